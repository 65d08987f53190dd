//! What is done and what waits, counted in one statement; and the write by which a probe finds out whether writing works.
//!
//! One statement is one consistent read, so that what is counted adds up whatever is written meanwhile. Counting the events that
//! are stored reads indexes alone; the rest grows with what waits.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use tagboat_model::Timestamp;
use tagboat_ports::Tally;

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
    (SELECT COUNT(*) FROM branch WHERE lease_owner IS NOT NULL AND lease_until > $1) AS leased,
    (SELECT MIN(CASE WHEN w.received_at IS NULL THEN w.first_dirty_at
                     WHEN w.served_at > w.received_at THEN w.served_at
                     ELSE w.received_at END)
      FROM (SELECT b.first_dirty_at, b.served_at,
              (SELECT e.received_at FROM event_branch eb JOIN event e ON e.id = eb.event
                WHERE eb.tenant = b.tenant AND eb.repository = b.repository AND eb.branch = b.branch
                  AND eb.sequence > b.served ORDER BY eb.sequence LIMIT 1) AS received_at
            FROM branch b WHERE b.dirty > b.served) AS w) AS oldest";

pub(crate) async fn tally(c: &mut SqliteConnection, now: Timestamp) -> Result<Tally, sqlx::Error> {
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
        leased: count(&row, "leased")?,
        oldest: row.try_get::<Option<i64>, _>("oldest")?.map(Timestamp),
    })
}

fn count(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0))
}

/// One row, which belongs to nobody: no tenant has an empty name.
pub(crate) async fn probe(c: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO kept (tenant, repository, key, value) VALUES ('', '', 'probe', $1)
         ON CONFLICT (tenant, repository, key) DO UPDATE SET value = excluded.value",
    )
    .bind(now.0.to_string())
    .execute(c)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    const EVENTS: i64 = 100_000;

    async fn filled() -> SqliteConnection {
        let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        crate::schema::bring_up_to_date(&mut connection).await.unwrap();
        let fill = format!(
            "INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at)
               VALUES ('d', 'default', 'ci', 'k', 'accepted', '[]', x'', 1);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS})
               INSERT INTO event (id, delivery, tenant, image, tag, trust, received_at)
               SELECT 'ev-' || i, 'd', 'default', 'r.example/a', i, '\"signed\"', i FROM n;
             INSERT INTO branch (tenant, repository, branch, dirty, served, first_dirty_at)
               VALUES ('default', 'config', 'main', {EVENTS}, 10, 7), ('default', 'quiet', 'main', 1, 1, 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS} - 5)
               INSERT INTO event_branch (event, tenant, repository, branch, sequence, since)
               SELECT 'ev-' || i, 'default', 'config', 'main', i, i FROM n;"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
        connection
    }

    #[tokio::test]
    async fn a_hundred_thousand_waiting_events_are_counted_by_indexes() {
        let mut connection = filled().await;
        let begin = std::time::Instant::now();
        let tally = tally(&mut connection, Timestamp(1)).await.unwrap();
        let took = begin.elapsed();
        assert_eq!((tally.accepted, tally.done, tally.refused, tally.pending), (100_000, 10, 5, 99_985));
        assert_eq!((tally.branches, tally.waiting, tally.oldest), (2, 1, Some(Timestamp(11))));
        // Many times what it takes on a machine that does nothing else.
        assert!(took < std::time::Duration::from_secs(3), "{took:?}");
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {TALLY}"));
        let plan = sqlx::query(explain).bind(1_i64).fetch_all(&mut connection).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.try_get("detail").unwrap()).collect();
        let reads_rows = |step: &&String| step.contains("SCAN eb") || step.contains("SCAN e ");
        assert!(!steps.iter().any(|step| reads_rows(&step)), "{steps:#?}");
        assert!(steps.iter().any(|step| step.contains("event_branch_by_sequence")), "{steps:#?}");
    }

    #[tokio::test]
    async fn a_probe_writes_and_leaves_one_row() {
        let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        crate::schema::bring_up_to_date(&mut connection).await.unwrap();
        for now in [1, 2] {
            probe(&mut connection, Timestamp(now)).await.unwrap();
        }
        let rows = sqlx::query("SELECT value FROM kept").fetch_all(&mut connection).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].try_get::<String, _>("value").unwrap(), "2");
        sqlx::raw_sql("PRAGMA query_only = 1").execute(&mut connection).await.unwrap();
        assert!(probe(&mut connection, Timestamp(3)).await.is_err(), "it does not write");
    }
}
