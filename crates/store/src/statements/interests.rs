//! Which branch wants to know of pushes to which image, and whether it looked at all of that image.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use tagboat_model::{BranchKey, EventId, ImageName, TenantName, Timestamp};
use tagboat_ports::{Interest, ToRecord, Work};

use super::{
    branches::{self, about},
    dialect::{Connection, Database, Row},
    rows::{branch_key, flag, parsed},
};

pub(crate) async fn set(c: &mut Connection, work: &Work, images: &[(ImageName, String)]) -> Result<(), sqlx::Error> {
    if !branches::holds(c, work).await? {
        return Ok(());
    }
    let key = &work.key;
    let known: BTreeMap<ImageName, String> =
        of(c, key).await?.into_iter().map(|interest| (interest.image, interest.rules)).collect();
    let wanted: BTreeMap<&ImageName, &String> = images.iter().map(|(image, rules)| (image, rules)).collect();
    for gone in known.keys().filter(|image| !wanted.contains_key(image)) {
        about!("DELETE FROM interest WHERE tenant = $1 AND repository = $2 AND branch = $3 AND image = $4", key)
            .bind(gone.to_string())
            .execute(&mut *c)
            .await?;
    }
    for (image, rules) in wanted.into_iter().filter(|(image, rules)| known.get(image) != Some(rules)) {
        about!(
            "INSERT INTO interest (tenant, repository, branch, image, rules) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant, repository, branch, image) DO UPDATE SET rules = excluded.rules, listed = 0",
            key
        )
        .bind(image.to_string())
        .bind(rules)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

pub(crate) async fn of(c: &mut Connection, key: &BranchKey) -> Result<Vec<Interest>, sqlx::Error> {
    let rows =
        about!("SELECT * FROM interest WHERE tenant = $1 AND repository = $2 AND branch = $3 ORDER BY image", key)
            .fetch_all(c)
            .await?;
    let interest = |row: &Row| {
        let look_at = row.try_get::<Option<i64>, _>("look_at")?.map(Timestamp);
        Ok(Interest {
            image: parsed(row, "image")?,
            listed: flag(row, "listed")?,
            look_at,
            rules: row.try_get("rules")?,
        })
    };
    rows.iter().map(interest).collect()
}

/// The images that any branch of a tenant is interested in.
pub(crate) async fn images(c: &mut Connection, tenant: &TenantName) -> Result<Vec<ImageName>, sqlx::Error> {
    let rows = sqlx::query("SELECT DISTINCT image FROM interest WHERE tenant = $1 ORDER BY image")
        .bind(tenant.as_str())
        .fetch_all(c)
        .await?;
    rows.iter().map(|row| parsed(row, "image")).collect()
}

/// The branches that are interested in images, by tenant and image.
pub(crate) async fn branches_of_all(
    c: &mut Connection,
    all: &BTreeSet<(String, String)>,
) -> Result<BTreeMap<(String, String), Vec<BranchKey>>, sqlx::Error> {
    let mut found: BTreeMap<(String, String), Vec<BranchKey>> = BTreeMap::new();
    if all.is_empty() {
        return Ok(found);
    }
    let mut select = sqlx::QueryBuilder::<Database>::new(
        "SELECT tenant, repository, branch, image FROM interest WHERE (tenant, image) IN (",
    );
    select.push_values(all, |mut row, (tenant, image)| {
        row.push_bind(tenant).push_bind(image);
    });
    for row in select.push(")").build().persistent(false).fetch_all(c).await? {
        found.entry((row.try_get("tenant")?, row.try_get("image")?)).or_default().push(branch_key(&row)?);
    }
    Ok(found)
}

/// The branches of a tenant that are interested in an image.
pub(crate) async fn branches_of(
    c: &mut Connection,
    tenant: &TenantName,
    image: &ImageName,
) -> Result<Vec<BranchKey>, sqlx::Error> {
    let rows = sqlx::query("SELECT tenant, repository, branch FROM interest WHERE tenant = $1 AND image = $2")
        .bind(tenant.as_str())
        .bind(image.to_string())
        .fetch_all(c)
        .await?;
    rows.iter().map(branch_key).collect()
}

/// Have an image looked at completely by every branch that is interested in it. Each was marked dirty by `event`.
pub(crate) async fn ask_for_look(
    c: &mut Connection,
    tenant: &TenantName,
    image: &ImageName,
    event: &EventId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE interest SET listed = 0, asked = (SELECT eb.sequence FROM event_branch eb
           WHERE eb.event = $3 AND eb.tenant = interest.tenant AND eb.repository = interest.repository
             AND eb.branch = interest.branch)
         WHERE tenant = $1 AND image = $2",
    )
    .bind(tenant.as_str())
    .bind(image.to_string())
    .bind(event.as_str())
    .execute(c)
    .await
    .map(|_| ())
}

/// Write down which images were looked at, could not be, and wait for something. A look that was asked for after the
/// work was taken is still to be made.
pub(crate) async fn note_looks(c: &mut Connection, work: &Work, record: &ToRecord) -> Result<(), sqlx::Error> {
    about!(
        "UPDATE interest SET look_at = NULL WHERE tenant = $1 AND repository = $2 AND branch = $3 AND look_at <= $4",
        work.key
    )
    .bind(record.at.0)
    .execute(&mut *c)
    .await?;
    for image in &record.listed {
        about!(
            "UPDATE interest SET listed = 1, asked = 0
             WHERE tenant = $1 AND repository = $2 AND branch = $3 AND image = $4 AND asked <= $5",
            work.key
        )
        .bind(image.to_string())
        .bind(work.sequence)
        .execute(&mut *c)
        .await?;
    }
    for image in &record.missed {
        about!(
            "UPDATE interest SET listed = 0, asked = CASE WHEN asked <= $5 THEN 0 ELSE asked END
             WHERE tenant = $1 AND repository = $2 AND branch = $3 AND image = $4",
            work.key
        )
        .bind(image.to_string())
        .bind(work.sequence)
        .execute(&mut *c)
        .await?;
    }
    for (image, at) in &record.waiting {
        about!(
            "UPDATE interest SET look_at = $5 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND image = $4",
            work.key
        )
        .bind(image.to_string())
        .bind(at.0)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

/// What was looked at completely for what has landed now counts as looked at, unless another look was asked for since.
pub(crate) async fn note_landed(c: &mut Connection, key: &BranchKey, images: &[ImageName]) -> Result<(), sqlx::Error> {
    for image in images {
        about!(
            "UPDATE interest SET listed = 1
             WHERE tenant = $1 AND repository = $2 AND branch = $3 AND image = $4 AND asked = 0",
            key
        )
        .bind(image.to_string())
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}
