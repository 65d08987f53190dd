//! Holds: placed once each, listed, released.

use tagboat_model::{BranchKey, Hold, HoldId, Person, RepositoryName, TenantName, Timestamp};
use tagboat_ports::Work;

use super::{
    branches,
    dialect::{Connection, Row},
    rows::{json, parsed, to_json},
};

/// Those of a config repository that are not released.
pub(crate) async fn of(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
) -> Result<Vec<Hold>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT hold FROM hold WHERE tenant = $1 AND repository = $2 AND released_at IS NULL
         ORDER BY placed_at, rowid",
    )
    .bind(tenant.as_str())
    .bind(repository.as_str())
    .fetch_all(c)
    .await?;
    rows.iter().map(|row| json(row, "hold")).collect()
}

/// Those of all config repositories.
pub(crate) async fn all(c: &mut Connection) -> Result<Vec<(TenantName, RepositoryName, Hold)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT tenant, repository, hold FROM hold WHERE released_at IS NULL
         ORDER BY tenant, repository, placed_at, rowid",
    )
    .fetch_all(c)
    .await?;
    let hold = |row: &Row| Ok((parsed(row, "tenant")?, parsed(row, "repository")?, json(row, "hold")?));
    rows.iter().map(hold).collect()
}

/// Whoever finds the same again and again (a pull request that was closed) wakes nobody with it.
pub(crate) async fn place(
    c: &mut Connection,
    work: &Work,
    holds: &[Hold],
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    if !branches::holds(c, work).await? {
        return Ok(false);
    }
    let BranchKey { tenant, repository, .. } = &work.key;
    let mut is_any_new = false;
    for hold in holds {
        let placed = sqlx::query(
            "INSERT INTO hold (tenant, repository, id, environment, entry, hold, placed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(repository.as_str())
        .bind(hold.id.as_str())
        .bind(hold.environment.as_ref().map(|environment| environment.as_str()))
        .bind(hold.entry.as_ref().map(|entry| entry.as_str()))
        .bind(to_json(hold)?)
        .bind(now.0)
        .execute(&mut *c)
        .await?;
        is_any_new |= placed.rows_affected() == 1;
    }
    if is_any_new {
        branches::wake_all_of(c, tenant, repository, now).await?;
    }
    Ok(true)
}

pub(crate) async fn release(
    c: &mut Connection,
    work: &Work,
    ids: &[HoldId],
    by: &Person,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    if !branches::holds(c, work).await? {
        return Ok(false);
    }
    let BranchKey { tenant, repository, .. } = &work.key;
    let by = to_json(by)?;
    let mut is_any_released = false;
    for id in ids {
        let done = sqlx::query(
            "UPDATE hold SET released_at = $4, released_by = $5
             WHERE tenant = $1 AND repository = $2 AND id = $3 AND released_at IS NULL",
        )
        .bind(tenant.as_str())
        .bind(repository.as_str())
        .bind(id.as_str())
        .bind(now.0)
        .bind(by.as_str())
        .execute(&mut *c)
        .await?;
        is_any_released |= done.rows_affected() == 1;
    }
    if is_any_released {
        branches::wake_all_of(c, tenant, repository, now).await?;
    }
    Ok(true)
}
