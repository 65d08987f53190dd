//! Branches: dirtiness, leases, sweeps.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use tagboat_model::{BranchKey, Duration, RepositoryName, TenantName, Timestamp};
use tagboat_ports::{BranchState, Finish, Settle, Work};

use crate::rows::{branch_key, optional, time};

/// Binds tenant, repository and branch as `$1`, `$2`, `$3`.
macro_rules! about {
    ($sql:literal, $key:expr) => {
        sqlx::query($sql).bind($key.tenant.as_str()).bind($key.repository.as_str()).bind($key.branch.as_str())
    };
}
pub(crate) use about;

pub(crate) async fn ping(c: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT 1").execute(c).await.map(|_| ())
}

pub(crate) async fn release_all(c: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE branch SET lease_owner = NULL, lease_until = 0").execute(c).await.map(|_| ())
}

pub(crate) async fn know(c: &mut SqliteConnection, keys: &[BranchKey], now: Timestamp) -> Result<(), sqlx::Error> {
    for key in keys {
        about!(
            "INSERT INTO branch (tenant, repository, branch, dirty, first_dirty_at, last_dirty_at, urgent)
             VALUES ($1, $2, $3, 1, $4, $4, 1) ON CONFLICT DO NOTHING",
            key
        )
        .bind(now.0)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

/// Whether a branch is known.
pub(crate) async fn is_known(c: &mut SqliteConnection, key: &BranchKey) -> Result<bool, sqlx::Error> {
    let row = about!("SELECT 1 FROM branch WHERE tenant = $1 AND repository = $2 AND branch = $3", key)
        .fetch_optional(c)
        .await?;
    Ok(row.is_some())
}

/// Returns the new dirty sequence.
pub(crate) async fn mark_dirty(c: &mut SqliteConnection, key: &BranchKey, now: Timestamp) -> Result<i64, sqlx::Error> {
    let row = about!(
        "INSERT INTO branch (tenant, repository, branch, dirty, first_dirty_at, last_dirty_at)
         VALUES ($1, $2, $3, 1, $4, $4)
         ON CONFLICT (tenant, repository, branch) DO UPDATE SET
           first_dirty_at = CASE WHEN dirty = served THEN excluded.first_dirty_at ELSE first_dirty_at END,
           last_dirty_at = excluded.last_dirty_at, dirty = dirty + 1
         RETURNING dirty",
        key
    )
    .bind(now.0)
    .fetch_one(c)
    .await?;
    row.try_get("dirty")
}

/// Do not let a branch wait to settle.
pub(crate) async fn hurry(c: &mut SqliteConnection, key: &BranchKey) -> Result<(), sqlx::Error> {
    about!("UPDATE branch SET urgent = 1 WHERE tenant = $1 AND repository = $2 AND branch = $3", key)
        .execute(c)
        .await
        .map(|_| ())
}

/// Make the branches of a config repository dirty that are known; they do not wait to settle.
pub(crate) async fn wake_all_of(
    c: &mut SqliteConnection,
    tenant: &TenantName,
    repository: &RepositoryName,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let keys = of_repository(c, tenant, repository).await?;
    wake(c, &keys, now).await
}

/// Make branches dirty that are known; they do not wait to settle.
pub(crate) async fn wake(c: &mut SqliteConnection, keys: &[BranchKey], now: Timestamp) -> Result<(), sqlx::Error> {
    for key in keys {
        about!(
            "UPDATE branch SET first_dirty_at = CASE WHEN dirty = served THEN $4 ELSE first_dirty_at END,
               last_dirty_at = $4, dirty = dirty + 1, urgent = 1
             WHERE tenant = $1 AND repository = $2 AND branch = $3",
            key
        )
        .bind(now.0)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

/// Every branch of a config repository that is known.
pub(crate) async fn of_repository(
    c: &mut SqliteConnection,
    tenant: &TenantName,
    repository: &RepositoryName,
) -> Result<Vec<BranchKey>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT tenant, repository, branch FROM branch WHERE tenant = $1 AND repository = $2 ORDER BY branch",
    )
    .bind(tenant.as_str())
    .bind(repository.as_str())
    .fetch_all(c)
    .await?;
    rows.iter().map(branch_key).collect()
}

/// A tenth of the interval, spread by row, keeps branches from sweeping all at once.
pub(crate) async fn mark_sweeps(
    c: &mut SqliteConnection,
    interval: Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let interval = i64::try_from(interval.milliseconds()).unwrap_or(i64::MAX / 4);
    sqlx::query(
        "UPDATE branch SET dirty = dirty + 1, first_dirty_at = $1, last_dirty_at = $1
         WHERE dirty = served AND COALESCE(swept_at, 0) + $2 + (rowid * 7919) % ($2 / 10 + 1) <= $1",
    )
    .bind(now.0)
    .bind(interval)
    .execute(&mut *c)
    .await?;
    sqlx::query(
        "UPDATE branch SET dirty = dirty + 1, first_dirty_at = $1, last_dirty_at = $1, wake_at = NULL
         WHERE dirty = served AND wake_at <= $1",
    )
    .bind(now.0)
    .execute(&mut *c)
    .await?;
    // No image is to be looked at for this one. It stays until the work is served.
    sqlx::query(
        "UPDATE branch SET dirty = dirty + 1, first_dirty_at = $1, last_dirty_at = $1
         WHERE dirty = served AND gate_at <= $1",
    )
    .bind(now.0)
    .execute(&mut *c)
    .await?;
    let row = sqlx::query(
        "SELECT MIN(MIN(COALESCE(swept_at, 0) + $1 + (rowid * 7919) % ($1 / 10 + 1),
           COALESCE(wake_at, 1 << 62), COALESCE(gate_at, 1 << 62))) AS due
         FROM branch WHERE dirty = served",
    )
    .bind(interval)
    .fetch_one(c)
    .await?;
    Ok(row.try_get::<Option<i64>, _>("due")?.map(Timestamp))
}

pub(crate) async fn lease(
    c: &mut SqliteConnection,
    owner: &str,
    settle: Settle,
    lease: Duration,
    now: Timestamp,
) -> Result<Result<Work, Option<Timestamp>>, sqlx::Error> {
    // When each dirty branch is due: urgent ones at once, others when they have settled; what failed waits for
    // its next try unless newer work came; nobody takes what another worker holds.
    let row = sqlx::query(
        "WITH due AS (
           SELECT rowid AS id,
             MAX(CASE WHEN urgent THEN 0 ELSE MIN(last_dirty_at + $1, first_dirty_at + $2) END,
                 CASE WHEN dirty = failed_sequence THEN not_before ELSE 0 END,
                 lease_until) AS due_at
           FROM branch WHERE dirty > served)
         SELECT id, due_at FROM due ORDER BY due_at, id LIMIT 1",
    )
    .bind(milliseconds(settle.quiet))
    .bind(milliseconds(settle.at_most))
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else { return Ok(Err(None)) };
    let (id, due_at): (i64, i64) = (row.try_get("id")?, row.try_get("due_at")?);
    if due_at > now.0 {
        return Ok(Err(Some(Timestamp(due_at))));
    }
    let row = sqlx::query(
        "UPDATE branch SET lease_owner = $1, lease_until = $2, fence = fence + 1 WHERE rowid = $3
         RETURNING tenant, repository, branch, dirty, fence, attempts, swept_at",
    )
    .bind(owner)
    .bind(now.plus(lease).0)
    .bind(id)
    .fetch_one(c)
    .await?;
    Ok(Ok(Work {
        key: branch_key(&row)?,
        sequence: row.try_get("dirty")?,
        fence: row.try_get("fence")?,
        attempts: row.try_get("attempts")?,
        swept_at: row.try_get::<Option<i64>, _>("swept_at")?.map(Timestamp),
    }))
}

fn milliseconds(length: Duration) -> i64 {
    i64::try_from(length.milliseconds()).unwrap_or(i64::MAX / 4)
}

pub(crate) async fn finish(
    c: &mut SqliteConnection,
    work: &Work,
    finish: &Finish,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    match finish {
        Finish::Served { head, swept, problem, wake_at } => {
            about!(
                "UPDATE branch SET served = MAX(served, $5), attempts = 0, not_before = 0, failed_sequence = 0,
                   urgent = CASE WHEN dirty = $5 THEN 0 ELSE urgent END,
                   first_dirty_at = CASE WHEN dirty > $5 THEN MIN(last_dirty_at, $6) ELSE first_dirty_at END,
                   head = COALESCE($7, head), swept_at = CASE WHEN $8 THEN $6 ELSE swept_at END,
                   wake_at = (SELECT MIN(look_at) FROM interest WHERE tenant = $1 AND repository = $2 AND branch = $3),
                   gate_at = $10, served_at = $6, problem = $9, lease_owner = NULL, lease_until = 0
                 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND fence = $4",
                work.key
            )
            .bind(work.fence)
            .bind(work.sequence)
            .bind(now.0)
            .bind(head.as_ref().map(|head| head.as_str()))
            .bind(swept)
            .bind(problem.as_deref())
            .bind(wake_at.map(|wake_at| wake_at.0))
            .execute(c)
            .await?;
        }
        Finish::Failed { error, swept, again_at } => {
            // Work that came meanwhile settles anew from here.
            about!(
                "UPDATE branch SET attempts = attempts + 1, not_before = $6, failed_sequence = $5, problem = $7,
                   urgent = 0, first_dirty_at = $8, swept_at = CASE WHEN $9 THEN $8 ELSE swept_at END,
                   lease_owner = NULL, lease_until = 0
                 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND fence = $4",
                work.key
            )
            .bind(work.fence)
            .bind(work.sequence)
            .bind(again_at.0)
            .bind(error)
            .bind(now.0)
            .bind(swept)
            .execute(c)
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn renew(c: &mut SqliteConnection, work: &Work, until: Timestamp) -> Result<(), sqlx::Error> {
    about!(
        "UPDATE branch SET lease_until = $5 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND fence = $4
           AND lease_owner IS NOT NULL",
        work.key
    )
    .bind(work.fence)
    .bind(until.0)
    .execute(c)
    .await
    .map(|_| ())
}

/// Whether `work` is still the newest lease of its branch.
pub(crate) async fn holds(c: &mut SqliteConnection, work: &Work) -> Result<bool, sqlx::Error> {
    let row = about!("SELECT fence FROM branch WHERE tenant = $1 AND repository = $2 AND branch = $3", work.key)
        .fetch_optional(c)
        .await?;
    Ok(row.map(|row| row.try_get::<i64, _>("fence")).transpose()? == Some(work.fence))
}

pub(crate) async fn all(c: &mut SqliteConnection) -> Result<Vec<BranchState>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM branch ORDER BY tenant, repository, branch").fetch_all(c).await?;
    let state = |row: &SqliteRow| {
        let (dirty, served): (i64, i64) = (row.try_get("dirty")?, row.try_get("served")?);
        let wakes = [row.try_get::<Option<i64>, _>("wake_at")?, row.try_get("gate_at")?];
        let failing = dirty > served && row.try_get::<i64, _>("attempts")? > 0;
        Ok(BranchState {
            key: branch_key(row)?,
            dirty: dirty > served,
            head: optional(row, "head")?,
            served_at: row.try_get::<Option<i64>, _>("served_at")?.map(Timestamp),
            problem: row.try_get("problem")?,
            again_at: match failing {
                true => Some(time(row, "not_before")?),
                false => wakes.into_iter().flatten().min().map(Timestamp),
            },
        })
    };
    rows.iter().map(state).collect()
}
