//! Tags as they were read at the registry.

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use tagboat_model::{ImageName, TenantName, Timestamp};
use tagboat_ports::Observation;

use crate::rows::{json, parsed, to_json};

pub(crate) async fn observe(
    c: &mut SqliteConnection,
    tenant: &TenantName,
    seen: &[Observation],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for observation in seen {
        sqlx::query(
            "INSERT INTO observation (tenant, image, tag, manifest, first_seen_at, seen_at) VALUES ($1, $2, $3, $4, $5, $5)
             ON CONFLICT (tenant, image, tag) DO UPDATE SET manifest = excluded.manifest, seen_at = excluded.seen_at",
        )
        .bind(tenant.as_str())
        .bind(observation.image.to_string())
        .bind(observation.tag.as_str())
        .bind(to_json(&observation.manifest)?)
        .bind(now.0)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

pub(crate) async fn of(
    c: &mut SqliteConnection,
    tenant: &TenantName,
    image: &ImageName,
) -> Result<Vec<Observation>, sqlx::Error> {
    let rows = sqlx::query("SELECT tag, manifest FROM observation WHERE tenant = $1 AND image = $2 ORDER BY tag")
        .bind(tenant.as_str())
        .bind(image.to_string())
        .fetch_all(c)
        .await?;
    let observation = |row: &SqliteRow| {
        Ok(Observation { image: image.clone(), tag: parsed(row, "tag")?, manifest: json(row, "manifest")? })
    };
    rows.iter().map(observation).collect()
}
