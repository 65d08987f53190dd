//! Commands of people with their answers, and the small values that the engine keeps for itself.

use sqlx::Row as _;
use tagboat_model::{CommandAnswer, CommandId, CommandRecord, RepositoryName, TenantName, Timestamp};

use super::{
    branches,
    dialect::{Connection, Row},
    rows::{json, optional_json, to_json},
};

/// Returns whether it is new.
pub(crate) async fn take(c: &mut Connection, command: &CommandRecord, now: Timestamp) -> Result<bool, sqlx::Error> {
    // The answer has a column of its own.
    let record = CommandRecord { answer: None, ..command.clone() };
    let taken = sqlx::query(
        "INSERT INTO command (tenant, id, repository, record, given_at, answered_at, answer)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(command.tenant.as_str())
    .bind(command.id.as_str())
    .bind(command.repository.as_str())
    .bind(to_json(&record)?)
    .bind(command.given_at.0)
    .bind(command.answer.as_ref().map(|_| now.0))
    .bind(command.answer.as_ref().map(to_json).transpose()?)
    .execute(&mut *c)
    .await?;
    if taken.rows_affected() == 0 {
        return Ok(false);
    }
    branches::wake_all_of(c, &command.tenant, &command.repository, now).await?;
    Ok(true)
}

/// Those to a config repository that are not answered.
pub(crate) async fn open(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
) -> Result<Vec<CommandRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT record, answer FROM command WHERE tenant = $1 AND repository = $2 AND answered_at IS NULL
         ORDER BY given_at, rowid",
    )
    .bind(tenant.as_str())
    .bind(repository.as_str())
    .fetch_all(c)
    .await?;
    rows.iter().map(command).collect()
}

pub(crate) async fn answer(
    c: &mut Connection,
    tenant: &TenantName,
    id: &CommandId,
    answer: &CommandAnswer,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE command SET answer = $3, answered_at = $4 WHERE tenant = $1 AND id = $2 AND answered_at IS NULL",
    )
    .bind(tenant.as_str())
    .bind(id.as_str())
    .bind(to_json(answer)?)
    .bind(now.0)
    .execute(c)
    .await
    .map(|_| ())
}

pub(crate) async fn one(c: &mut Connection, id: &CommandId) -> Result<Option<CommandRecord>, sqlx::Error> {
    let row = sqlx::query("SELECT record, answer FROM command WHERE id = $1 ORDER BY rowid LIMIT 1")
        .bind(id.as_str())
        .fetch_optional(c)
        .await?;
    row.as_ref().map(command).transpose()
}

fn command(row: &Row) -> Result<CommandRecord, sqlx::Error> {
    let record: CommandRecord = json(row, "record")?;
    Ok(CommandRecord { answer: optional_json(row, "answer")?, ..record })
}

pub(crate) async fn kept(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    key: &str,
) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("SELECT value FROM kept WHERE tenant = $1 AND repository = $2 AND key = $3")
        .bind(tenant.as_str())
        .bind(repository.as_str())
        .bind(key)
        .fetch_optional(c)
        .await?;
    row.map(|row| row.try_get("value")).transpose()
}

pub(crate) async fn keep(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    key: &str,
    value: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO kept (tenant, repository, key, value) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant, repository, key) DO UPDATE SET value = excluded.value",
    )
    .bind(tenant.as_str())
    .bind(repository.as_str())
    .bind(key)
    .bind(value)
    .execute(c)
    .await
    .map(|_| ())
}
