//! Branches: dirtiness, leases, sweeps.

use sqlx::Row as _;
use tagboat_model::{BranchKey, Duration, RepositoryName, TenantName, Timestamp};
use tagboat_ports::{BranchState, Finish, Settle, Work};

use super::{
    dialect::{self, Connection, Row},
    rows::{branch_key, count, optional, time},
};

/// Binds tenant, repository and branch as `$1`, `$2`, `$3`.
macro_rules! about {
    ($sql:literal, $key:expr) => {
        sqlx::query($sql).bind($key.tenant.as_str()).bind($key.repository.as_str()).bind($key.branch.as_str())
    };
}
pub(crate) use about;

/// Those who hold leases.
pub(crate) async fn owners(c: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT DISTINCT lease_owner FROM branch WHERE lease_owner IS NOT NULL ORDER BY lease_owner");
    rows.fetch_all(c).await?.iter().map(|row| row.try_get("lease_owner")).collect()
}

/// End the leases of these, which ended in the middle of it. That may be the work's doing, and then it would end whoever takes
/// it up: from the fourth time in a row it waits, twice as long each time and ten minutes at most, and others go on.
pub(crate) async fn release(c: &mut Connection, owners: &[String]) -> Result<(), sqlx::Error> {
    for owner in owners {
        sqlx::query(
            "UPDATE branch SET lease_owner = NULL, attempts = attempts + 1,
               lease_until = CASE WHEN attempts < 3 THEN 0
                 WHEN attempts < 12 THEN leased_at + (1000 << CAST(attempts - 2 AS INTEGER)) ELSE leased_at + 600000 END,
               problem = CASE WHEN attempts < 3 THEN problem
                 ELSE 'the process ended in the middle of this each time: it may run out of memory' END
             WHERE lease_owner = $1",
        )
        .bind(owner.as_str())
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

/// Whatever failed, or waits since processes ended with it, is tried again from the start.
pub(crate) async fn retry(c: &mut Connection, keys: &[BranchKey], now: Timestamp) -> Result<(), sqlx::Error> {
    for key in keys {
        about!(
            "UPDATE branch SET attempts = 0, not_before = 0, parked_at = NULL,
               lease_until = CASE WHEN lease_owner IS NULL THEN 0 ELSE lease_until END
             WHERE tenant = $1 AND repository = $2 AND branch = $3",
            key
        )
        .execute(&mut *c)
        .await?;
    }
    wake(c, keys, now).await
}

/// What is parked is tried again: whoever starts may be mended.
pub(crate) async fn unpark(c: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE branch SET parked_at = NULL, not_before = 0 WHERE parked_at IS NOT NULL")
        .execute(c)
        .await
        .map(|_| ())
}

pub(crate) async fn know(c: &mut Connection, keys: &[BranchKey], now: Timestamp) -> Result<(), sqlx::Error> {
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
pub(crate) async fn is_known(c: &mut Connection, key: &BranchKey) -> Result<bool, sqlx::Error> {
    let row = about!("SELECT 1 FROM branch WHERE tenant = $1 AND repository = $2 AND branch = $3", key)
        .fetch_optional(c)
        .await?;
    Ok(row.is_some())
}

/// Returns the new dirty sequence.
pub(crate) async fn mark_dirty(c: &mut Connection, key: &BranchKey, now: Timestamp) -> Result<i64, sqlx::Error> {
    let row = about!(
        "INSERT INTO branch (tenant, repository, branch, dirty, first_dirty_at, last_dirty_at)
         VALUES ($1, $2, $3, 1, $4, $4)
         ON CONFLICT (tenant, repository, branch) DO UPDATE SET
           first_dirty_at = CASE WHEN branch.dirty = branch.served THEN excluded.first_dirty_at ELSE branch.first_dirty_at END,
           last_dirty_at = excluded.last_dirty_at, dirty = branch.dirty + 1
         RETURNING dirty",
        key
    )
    .bind(now.0)
    .fetch_one(c)
    .await?;
    row.try_get("dirty")
}

/// As [`mark_dirty`] so many times, by events of which the first and the last came then. Returns the last sequence.
pub(crate) async fn mark_dirty_often(
    c: &mut Connection,
    key: &BranchKey,
    count: i64,
    first: Timestamp,
    last: Timestamp,
) -> Result<i64, sqlx::Error> {
    let row = about!(
        "INSERT INTO branch (tenant, repository, branch, dirty, first_dirty_at, last_dirty_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant, repository, branch) DO UPDATE SET
           first_dirty_at = CASE WHEN branch.dirty = branch.served THEN excluded.first_dirty_at ELSE branch.first_dirty_at END,
           last_dirty_at = excluded.last_dirty_at, dirty = branch.dirty + $4
         RETURNING dirty",
        key
    )
    .bind(count)
    .bind(first.0)
    .bind(last.0)
    .fetch_one(c)
    .await?;
    row.try_get("dirty")
}

/// Do not let a branch wait to settle.
pub(crate) async fn hurry(c: &mut Connection, key: &BranchKey) -> Result<(), sqlx::Error> {
    about!("UPDATE branch SET urgent = 1 WHERE tenant = $1 AND repository = $2 AND branch = $3", key)
        .execute(c)
        .await
        .map(|_| ())
}

/// Make the branches of a config repository dirty that are known; they do not wait to settle.
pub(crate) async fn wake_all_of(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let keys = of_repository(c, tenant, repository).await?;
    wake(c, &keys, now).await
}

/// Make branches dirty that are known; they do not wait to settle.
pub(crate) async fn wake(c: &mut Connection, keys: &[BranchKey], now: Timestamp) -> Result<(), sqlx::Error> {
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
    c: &mut Connection,
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
    c: &mut Connection,
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
        "SELECT MIN(COALESCE(swept_at, 0) + $1 + (rowid * 7919) % ($1 / 10 + 1)) AS sweep_at,
           MIN(wake_at) AS wake_at, MIN(gate_at) AS gate_at
         FROM branch WHERE dirty = served",
    )
    .bind(interval)
    .fetch_one(c)
    .await?;
    let dues: [Option<i64>; 3] = [row.try_get("sweep_at")?, row.try_get("wake_at")?, row.try_get("gate_at")?];
    Ok(dues.into_iter().flatten().min().map(Timestamp))
}

/// When a dirty branch has settled, with the times to settle as `$1` and `$2`: an urgent one at once.
macro_rules! settled {
    () => {
        "(CASE WHEN urgent = 1 THEN 0 WHEN last_dirty_at + $1 < first_dirty_at + $2 THEN last_dirty_at + $1
           ELSE first_dirty_at + $2 END)"
    };
}

/// When what failed is tried again: at once if newer work came.
macro_rules! retried {
    () => {
        "(CASE WHEN dirty = failed_sequence THEN not_before ELSE 0 END)"
    };
}

/// Work that waits, and is not parked. Newer work takes what is parked up again.
macro_rules! waits {
    () => {
        "dirty > served AND (parked_at IS NULL OR dirty <> failed_sequence)"
    };
}

/// Of the branches that are due and that nobody holds, first those of the tenant that was served longest ago; of these what
/// is urgent; of these those of the config repository that was served longest ago; of these the one that is due longest.
pub(crate) async fn lease(
    c: &mut Connection,
    owner: &str,
    settle: Settle,
    lease: Duration,
    now: Timestamp,
) -> Result<Result<Work, Option<Timestamp>>, sqlx::Error> {
    let (quiet, at_most) = (milliseconds(settle.quiet), milliseconds(settle.at_most));
    let row = sqlx::query(dialect::and_lock_row!(
        "SELECT b.rowid AS id FROM branch b
         WHERE ",
        waits!(),
        " AND lease_until <= $3 AND ",
        retried!(),
        " <= $3 AND ",
        settled!(),
        " <= $3
         ORDER BY (SELECT MAX(t.leased_at) FROM branch t WHERE t.tenant = b.tenant), b.urgent DESC,
           (SELECT MAX(r.leased_at) FROM branch r WHERE r.tenant = b.tenant AND r.repository = b.repository), ",
        settled!(),
        ", b.rowid LIMIT 1"
    ))
    .bind(quiet)
    .bind(at_most)
    .bind(now.0)
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else { return Ok(Err(next_due(c, quiet, at_most).await?)) };
    let row = sqlx::query(
        "UPDATE branch SET lease_owner = $1, lease_until = $2, leased_at = $3, fence = fence + 1 WHERE rowid = $4
         RETURNING tenant, repository, branch, dirty, fence, attempts, swept_at",
    )
    .bind(owner)
    .bind(now.plus(lease).0)
    .bind(now.0)
    .bind(row.try_get::<i64, _>("id")?)
    .fetch_one(c)
    .await?;
    Ok(Ok(Work {
        key: branch_key(&row)?,
        sequence: row.try_get("dirty")?,
        fence: row.try_get("fence")?,
        attempts: count(&row, "attempts")?,
        swept_at: row.try_get::<Option<i64>, _>("swept_at")?.map(Timestamp),
    }))
}

/// When the next branch will be due, or could be taken if whoever holds it went away.
async fn next_due(c: &mut Connection, quiet: i64, at_most: i64) -> Result<Option<Timestamp>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT MIN(CASE WHEN w.settled >= w.retried AND w.settled >= w.lease_until THEN w.settled
           WHEN w.retried >= w.lease_until THEN w.retried ELSE w.lease_until END) AS due
         FROM (SELECT ",
        settled!(),
        " AS settled, ",
        retried!(),
        " AS retried, lease_until FROM branch WHERE ",
        waits!(),
        ") w"
    ))
    .bind(quiet)
    .bind(at_most)
    .fetch_one(c)
    .await?;
    Ok(row.try_get::<Option<i64>, _>("due")?.map(Timestamp))
}

fn milliseconds(length: Duration) -> i64 {
    i64::try_from(length.milliseconds()).unwrap_or(i64::MAX / 4)
}

pub(crate) async fn finish(
    c: &mut Connection,
    work: &Work,
    finish: &Finish,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    match finish {
        Finish::Served { head, swept, problem, wake_at } => {
            about!(
                "UPDATE branch SET served = CASE WHEN served > $5 THEN served ELSE $5 END, attempts = 0, not_before = 0, failed_sequence = 0,
                   urgent = CASE WHEN dirty = $5 THEN 0 ELSE urgent END,
                   first_dirty_at = CASE WHEN dirty <= $5 THEN first_dirty_at WHEN last_dirty_at < $6 THEN last_dirty_at ELSE $6 END,
                   head = COALESCE($7, head), swept_at = CASE WHEN $8 THEN $6 ELSE swept_at END,
                   wake_at = (SELECT MIN(look_at) FROM interest WHERE tenant = $1 AND repository = $2 AND branch = $3),
                   gate_at = $10, served_at = $6, problem = $9, parked_at = NULL, lease_owner = NULL, lease_until = 0
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
        Finish::Failed { error, swept, again_at, parked } => {
            // Work that came meanwhile settles anew from here.
            about!(
                "UPDATE branch SET attempts = attempts + 1, not_before = $6, failed_sequence = $5, problem = $7,
                   urgent = 0, first_dirty_at = $8, swept_at = CASE WHEN $9 THEN $8 ELSE swept_at END,
                   parked_at = CASE WHEN $10 THEN $8 END, lease_owner = NULL, lease_until = 0
                 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND fence = $4",
                work.key
            )
            .bind(work.fence)
            .bind(work.sequence)
            .bind(again_at.0)
            // Words of others may hold anything; PostgreSQL keeps no zero in text.
            .bind(error.replace('\0', "\u{fffd}"))
            .bind(now.0)
            .bind(swept)
            .bind(parked)
            .execute(c)
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn renew(c: &mut Connection, work: &Work, until: Timestamp) -> Result<bool, sqlx::Error> {
    about!(
        "UPDATE branch SET lease_until = $5 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND fence = $4
           AND lease_owner IS NOT NULL",
        work.key
    )
    .bind(work.fence)
    .bind(until.0)
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Whether `work` is still the newest lease of its branch.
pub(crate) async fn holds(c: &mut Connection, work: &Work) -> Result<bool, sqlx::Error> {
    let row = about!("SELECT fence FROM branch WHERE tenant = $1 AND repository = $2 AND branch = $3", work.key)
        .fetch_optional(c)
        .await?;
    Ok(row.map(|row| row.try_get::<i64, _>("fence")).transpose()? == Some(work.fence))
}

pub(crate) async fn all(c: &mut Connection) -> Result<Vec<BranchState>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM branch ORDER BY tenant, repository, branch").fetch_all(c).await?;
    rows.iter().map(state).collect()
}

fn state(row: &Row) -> Result<BranchState, sqlx::Error> {
    let (dirty, served): (i64, i64) = (row.try_get("dirty")?, row.try_get("served")?);
    let wakes = [row.try_get::<Option<i64>, _>("wake_at")?, row.try_get("gate_at")?];
    let attempts = count(row, "attempts")?;
    let is_newest_failed = row.try_get::<i64, _>("failed_sequence")? == dirty;
    let parked_at = row.try_get::<Option<i64>, _>("parked_at")?.filter(|_| is_newest_failed).map(Timestamp);
    Ok(BranchState {
        key: branch_key(row)?,
        dirty: dirty > served,
        head: optional(row, "head")?,
        served_at: row.try_get::<Option<i64>, _>("served_at")?.map(Timestamp),
        problem: row.try_get("problem")?,
        attempts,
        parked_at,
        again_at: match (dirty > served && attempts > 0, parked_at) {
            (true, Some(_)) => None,
            // A lease without an owner is a wait.
            (true, None) => Some(match row.try_get::<Option<String>, _>("lease_owner")? {
                Some(_) => time(row, "not_before")?,
                None => time(row, "not_before")?.max(time(row, "lease_until")?),
            }),
            (false, _) => wakes.into_iter().flatten().min().map(Timestamp),
        },
    })
}
