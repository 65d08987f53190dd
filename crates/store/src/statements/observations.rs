//! What is remembered of tags.

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use tagboat_model::{ImageName, ImagePushed, Tag, TenantName, Timestamp};
use tagboat_ports::{Announcement, NewDelivery, Observation, ObservedTag, Sighting};

use super::{
    dialect::{Arguments, Connection, Database, Row},
    rows::{flag, json, parsed, time, to_json},
};

pub(crate) async fn observe(
    c: &mut Connection,
    tenant: &TenantName,
    seen: &[Observation],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for Observation { image, tag, manifest } in seen {
        let before = sqlx::query("SELECT * FROM reading WHERE tenant = $1 AND image = $2 AND tag = $3")
            .bind(tenant.as_str())
            .bind(image.to_string())
            .bind(tag.as_str())
            .fetch_optional(&mut *c)
            .await?;
        let before = before.as_ref().map(observed).transpose()?;
        let after = ObservedTag::after(before, tag.clone(), manifest.clone(), now);
        sqlx::query(
            "INSERT INTO reading (tenant, image, tag, manifest, created, since, replaced, seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant, image, tag) DO UPDATE SET
               manifest = excluded.manifest, since = excluded.since, replaced = excluded.replaced, seen_at = excluded.seen_at",
        )
        .bind(tenant.as_str())
        .bind(image.to_string())
        .bind(tag.as_str())
        .bind(to_json(&after.manifest)?)
        .bind(after.created.map(|created| created.0))
        .bind(after.since.0)
        .bind(to_json(&after.replaced)?)
        .bind(now.0)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

fn observed(row: &Row) -> Result<ObservedTag, sqlx::Error> {
    let (tag, manifest) = (parsed(row, "tag")?, json(row, "manifest")?);
    let created = row.try_get::<Option<i64>, _>("created")?.map(Timestamp);
    Ok(ObservedTag { tag, manifest, created, since: time(row, "since")?, replaced: json(row, "replaced")? })
}

pub(crate) async fn of(
    c: &mut Connection,
    tenant: &TenantName,
    image: &ImageName,
) -> Result<Vec<ObservedTag>, sqlx::Error> {
    let rows = about("SELECT * FROM reading WHERE tenant = $1 AND image = $2 ORDER BY tag", tenant, image);
    rows.fetch_all(c).await?.iter().map(observed).collect()
}

pub(crate) async fn sight(
    c: &mut Connection,
    tenant: &TenantName,
    image: &ImageName,
    tags: &[Tag],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let first = about(
        "INSERT INTO baseline (tenant, image, listed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        tenant,
        image,
    )
    .bind(now.0)
    .execute(&mut *c)
    .await?
    .rows_affected()
        == 1;
    for tag in tags {
        about(
            "INSERT INTO sighting (tenant, image, tag, seen_at, baseline) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            tenant,
            image,
        )
        .bind(tag.as_str())
        .bind(now.0)
        .bind(i64::from(first))
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

pub(crate) async fn sightings(
    c: &mut Connection,
    tenant: &TenantName,
    image: &ImageName,
) -> Result<Option<Vec<Sighting>>, sqlx::Error> {
    let listed = about("SELECT 1 FROM baseline WHERE tenant = $1 AND image = $2", tenant, image);
    if listed.fetch_optional(&mut *c).await?.is_none() {
        return Ok(None);
    }
    let rows = about("SELECT tag, seen_at, baseline FROM sighting WHERE tenant = $1 AND image = $2", tenant, image);
    let sighting = |row: &Row| {
        Ok(Sighting { tag: parsed(row, "tag")?, at: time(row, "seen_at")?, baseline: flag(row, "baseline")? })
    };
    rows.fetch_all(c).await?.iter().map(sighting).collect::<Result<_, _>>().map(Some)
}

/// A push announces when CI itself says what it built. An announcement without digest is written with an empty one: the
/// key that finds repetitions must not be null.
pub(crate) async fn announce(
    c: &mut Connection,
    tenant: &TenantName,
    pushed: &ImagePushed,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let Some(source) = &pushed.source else { return Ok(()) };
    about(
        "INSERT INTO announced (tenant, image, tag, digest, announced_at, source, origin)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        tenant,
        &pushed.image,
    )
    .bind(pushed.tag.as_str())
    .bind(pushed.claimed_digest.as_ref().map_or("", |digest| digest.as_str()))
    .bind(now.0)
    .bind(to_json(source)?)
    .bind(hash(&source.origin()))
    .execute(c)
    .await
    .map(|_| ())
}

/// Several at once.
pub(crate) async fn announce_all(c: &mut Connection, all: &[(&NewDelivery, &ImagePushed)]) -> Result<(), sqlx::Error> {
    let said = |(delivery, pushed): &(&NewDelivery, &ImagePushed)| {
        let source = pushed.source.as_ref()?;
        Some(to_json(source).map(|text| {
            (delivery.tenant.to_string(), (*pushed).clone(), delivery.received_at, text, hash(&source.origin()))
        }))
    };
    let all = all.iter().filter_map(said).collect::<Result<Vec<_>, sqlx::Error>>()?;
    if all.is_empty() {
        return Ok(());
    }
    let mut insert = sqlx::QueryBuilder::<Database>::new(
        "INSERT INTO announced (tenant, image, tag, digest, announced_at, source, origin) ",
    );
    insert.push_values(all, |mut row, (tenant, pushed, at, source, origin)| {
        row.push_bind(tenant).push_bind(pushed.image.to_string()).push_bind(pushed.tag.to_string());
        row.push_bind(pushed.claimed_digest.as_ref().map_or_else(String::new, ToString::to_string));
        row.push_bind(at.0).push_bind(source).push_bind(origin);
    });
    insert.push(" ON CONFLICT DO NOTHING").build().persistent(false).execute(c).await.map(|_| ())
}

pub(crate) async fn announcements(
    c: &mut Connection,
    tenant: &TenantName,
    image: &ImageName,
) -> Result<Vec<Announcement>, sqlx::Error> {
    let rows = about("SELECT * FROM announced WHERE tenant = $1 AND image = $2 ORDER BY place", tenant, image);
    let announcement = |row: &Row| {
        let digest: &str = row.try_get("digest")?;
        let digest = if digest.is_empty() { None } else { Some(parsed(row, "digest")?) };
        let place: i64 = row.try_get("place")?;
        Ok(Announcement {
            tag: parsed(row, "tag")?,
            digest,
            place: place.unsigned_abs(),
            at: time(row, "announced_at")?,
            source: json(row, "source")?,
        })
    };
    rows.fetch_all(c).await?.iter().map(announcement).collect()
}

pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Binds tenant and image as `$1` and `$2`.
fn about<'q>(
    sql: &'static str,
    tenant: &'q TenantName,
    image: &ImageName,
) -> sqlx::query::Query<'q, Database, Arguments> {
    sqlx::query(sql).bind(tenant.as_str()).bind(image.to_string())
}
