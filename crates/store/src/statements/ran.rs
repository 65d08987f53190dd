//! What ran in environments, and since when.

use sqlx::Row as _;
use tagboat_model::{EntryName, EnvironmentName, PutBy, Ran, RanIn, RepositoryName, TenantName, Timestamp, Version};
use tagboat_ports::{MOST_RAN, NotedRan, Work};

use super::{
    branches,
    dialect::{Connection, Row},
    rows::{flag, optional, optional_json, parsed, time, to_json},
};

/// Binds tenant, repository, environment and entry as `$1` to `$4`.
macro_rules! about_entry {
    ($sql:literal, $key:expr, $environment:expr, $entry:expr) => {
        sqlx::query($sql)
            .bind($key.tenant.as_str())
            .bind($key.repository.as_str())
            .bind($environment.as_str())
            .bind($entry.as_str())
    };
}

/// The newest of each environment and entry are found in the index; older ones are not read.
pub(crate) async fn newest(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    most: u32,
) -> Result<Vec<RanIn>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT r.* FROM (SELECT DISTINCT environment, entry FROM ran WHERE tenant = $1 AND repository = $2) e
           CROSS JOIN ran r WHERE r.place IN (SELECT n.place FROM ran n
             WHERE n.tenant = $1 AND n.repository = $2 AND n.environment = e.environment AND n.entry = e.entry
             ORDER BY n.place DESC LIMIT $3)
         ORDER BY r.environment, r.entry, r.place",
    )
    .bind(tenant.as_str())
    .bind(repository.as_str())
    .bind(i64::from(most))
    .fetch_all(c)
    .await?;
    rows.iter().map(ran_in).collect()
}

fn ran_in(row: &Row) -> Result<RanIn, sqlx::Error> {
    let by = match optional(row, "decision")? {
        Some(decision) => PutBy::Tagboat { decision },
        None => PutBy::Others,
    };
    let ran = Ran {
        version: Version { tag: parsed(row, "tag")?, digest: parsed(row, "digest")? },
        since: time(row, "since")?,
        until: row.try_get::<Option<i64>, _>("until")?.map(Timestamp),
        by,
        commit: optional(row, "commit_id")?,
        taken_back: flag(row, "taken_back")?,
        rollout: optional_json(row, "rollout")?,
    };
    Ok(RanIn { environment: parsed(row, "environment")?, entry: parsed(row, "entry")?, ran })
}

pub(crate) async fn note(c: &mut Connection, work: &Work, noted: &[NotedRan]) -> Result<(), sqlx::Error> {
    if !branches::holds(c, work).await? {
        return Ok(());
    }
    for noted in noted {
        match noted {
            NotedRan::Runs(runs) => begin(c, work, runs).await?,
            NotedRan::Ends { environment, entry, at } => end(c, work, environment, entry, *at).await?,
            NotedRan::TakenBack { environment, entry, version } => {
                take_back(c, work, environment, entry, version).await?;
            }
        }
    }
    Ok(())
}

async fn begin(c: &mut Connection, work: &Work, RanIn { environment, entry, ran }: &RanIn) -> Result<(), sqlx::Error> {
    let open = about_entry!(
        "SELECT tag, digest FROM ran
         WHERE tenant = $1 AND repository = $2 AND environment = $3 AND entry = $4 AND until IS NULL
         ORDER BY place DESC LIMIT 1",
        work.key,
        environment,
        entry
    )
    .fetch_optional(&mut *c)
    .await?;
    if let Some(open) = open {
        let version = Version { tag: parsed(&open, "tag")?, digest: parsed(&open, "digest")? };
        if version == ran.version {
            return Ok(());
        }
        end(c, work, environment, entry, ran.since).await?;
    }
    insert(c, work, environment, entry, ran).await?;
    about_entry!(
        "DELETE FROM ran WHERE tenant = $1 AND repository = $2 AND environment = $3 AND entry = $4
           AND place <= (SELECT n.place FROM ran n
             WHERE n.tenant = $1 AND n.repository = $2 AND n.environment = $3 AND n.entry = $4
             ORDER BY n.place DESC LIMIT 1 OFFSET $5)",
        work.key,
        environment,
        entry
    )
    .bind(i64::try_from(MOST_RAN).unwrap_or(i64::MAX))
    .execute(c)
    .await
    .map(|_| ())
}

async fn insert(
    c: &mut Connection,
    work: &Work,
    environment: &EnvironmentName,
    entry: &EntryName,
    ran: &Ran,
) -> Result<(), sqlx::Error> {
    let decision = match &ran.by {
        PutBy::Tagboat { decision } => Some(decision.as_str()),
        PutBy::Others => None,
    };
    about_entry!(
        "INSERT INTO ran (tenant, repository, environment, entry, tag, digest, since, decision, commit_id, taken_back, rollout)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        work.key,
        environment,
        entry
    )
    .bind(ran.version.tag.as_str())
    .bind(ran.version.digest.as_str())
    .bind(ran.since.0)
    .bind(decision)
    .bind(ran.commit.as_ref().map(|commit| commit.as_str()))
    .bind(i64::from(ran.taken_back))
    .bind(ran.rollout.as_ref().map(to_json).transpose()?)
    .execute(c)
    .await
    .map(|_| ())
}

async fn end(
    c: &mut Connection,
    work: &Work,
    environment: &EnvironmentName,
    entry: &EntryName,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    about_entry!(
        "UPDATE ran SET until = $5
         WHERE tenant = $1 AND repository = $2 AND environment = $3 AND entry = $4 AND until IS NULL",
        work.key,
        environment,
        entry
    )
    .bind(at.0)
    .execute(c)
    .await
    .map(|_| ())
}

async fn take_back(
    c: &mut Connection,
    work: &Work,
    environment: &EnvironmentName,
    entry: &EntryName,
    version: &Version,
) -> Result<(), sqlx::Error> {
    about_entry!(
        "UPDATE ran SET taken_back = 1 WHERE place = (SELECT MAX(n.place) FROM ran n
           WHERE n.tenant = $1 AND n.repository = $2 AND n.environment = $3 AND n.entry = $4
             AND n.tag = $5 AND n.digest = $6)",
        work.key,
        environment,
        entry
    )
    .bind(version.tag.as_str())
    .bind(version.digest.as_str())
    .execute(c)
    .await
    .map(|_| ())
}
