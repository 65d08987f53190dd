//! What is done and what waits, counted in one statement; and the write by which a probe finds out whether writing works.
//!
//! One statement is one consistent read, so that what is counted adds up whatever is written meanwhile. Counting the events that
//! are stored reads indexes alone; the rest grows with what waits.

use sqlx::Row as _;
use tagboat_model::Timestamp;
use tagboat_ports::Tally;

use super::dialect::{Connection, Row};

/// The statement; `$1` is the time. `CROSS JOIN` keeps the order: from the few branches that are behind to the events that wait
/// for them. Work waits since the first event that waits for it came, or since it was served last, if the event was
/// caused anew after that; work without an event waits since the branch became dirty.
pub(crate) const TALLY: &str = "
  SELECT
    (SELECT COUNT(*) FROM event) AS accepted,
    (SELECT COUNT(*) FROM (SELECT DISTINCT event FROM event_branch) AS concerning) AS concerning,
    (SELECT COUNT(DISTINCT eb.event) FROM branch b CROSS JOIN event_branch eb
      WHERE eb.tenant = b.tenant AND eb.repository = b.repository AND eb.branch = b.branch
        AND b.dirty > b.served AND eb.sequence > b.served) AS pending,
    (SELECT COUNT(*) FROM branch) AS branches,
    (SELECT COUNT(*) FROM branch WHERE dirty > served) AS waiting,
    (SELECT COUNT(*) FROM branch WHERE dirty > served AND attempts > 0) AS failing,
    (SELECT COUNT(*) FROM branch WHERE dirty > served AND parked_at IS NOT NULL AND dirty = failed_sequence) AS parked,
    (SELECT COUNT(*) FROM branch WHERE lease_owner IS NOT NULL AND lease_until > $1) AS leased,
    (SELECT MIN(CASE WHEN w.received_at IS NULL THEN w.first_dirty_at
                     WHEN w.served_at > w.received_at THEN w.served_at
                     ELSE w.received_at END)
      FROM (SELECT b.first_dirty_at, b.served_at,
              (SELECT e.received_at FROM event_branch eb JOIN event e ON e.id = eb.event
                WHERE eb.tenant = b.tenant AND eb.repository = b.repository AND eb.branch = b.branch
                  AND eb.sequence > b.served ORDER BY eb.sequence LIMIT 1) AS received_at
            FROM branch b WHERE b.dirty > b.served) AS w) AS oldest";

pub(crate) async fn tally(c: &mut Connection, now: Timestamp) -> Result<Tally, sqlx::Error> {
    let row = sqlx::query(TALLY).bind(now.0).fetch_one(c).await?;
    let (accepted, concerning, pending) =
        (count(&row, "accepted")?, count(&row, "concerning")?, count(&row, "pending")?);
    Ok(Tally {
        accepted,
        done: concerning.saturating_sub(pending),
        refused: accepted.saturating_sub(concerning),
        pending,
        branches: count(&row, "branches")?,
        waiting: count(&row, "waiting")?,
        failing: count(&row, "failing")?,
        parked: count(&row, "parked")?,
        leased: count(&row, "leased")?,
        oldest: row.try_get::<Option<i64>, _>("oldest")?.map(Timestamp),
    })
}

fn count(row: &Row, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0))
}

/// Writes: a full or read-only disk answers reads as if nothing were wrong.
pub(crate) async fn probe(c: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE pulse SET beats = beats + 1").execute(c).await.map(|_| ())
}
