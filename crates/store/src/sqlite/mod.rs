//! SQLite: one file, one process. No set-up.

mod dialect;
mod schema;
#[path = "../statements/mod.rs"]
mod statements;
#[path = "../writer.rs"]
mod writer;

use std::{str::FromStr as _, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use tagboat_ports::StoreError;
use tokio::sync::Notify;

use dialect::{Connection, Connector};
use writer::Writer;

/// Rows that are read before they are wanted.
const ROWS_AHEAD: usize = 1000;
/// Readers at once; more would only wait for the same disk.
const READERS: u32 = 4;

/// SQLite with a writer of its own.
pub struct SqliteStore {
    options: SqliteConnectOptions,
    writer: Writer,
    readers: SqlitePool,
    changed: Arc<Notify>,
}

impl SqliteStore {
    /// Open the database of a URL (`sqlite:path`), make it where there is none, and bring its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written, or was written by a newer Tagboat.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |source| StoreError { operation: "open", source };
        let options = SqliteConnectOptions::from_str(url).map_err(|error| failed(error.into()))?;
        if let Some(folder) = options.get_filename().parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        }
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer promises that the delivery survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(std::time::Duration::from_secs(5))
            // What many rows are read of is not handed over one by one, each with two changes of the thread.
            .row_buffer_size(ROWS_AHEAD)
            // Each would be a line of the log, and formatting them costs more than running them.
            .disable_statement_logging();
        let changed = Arc::new(Notify::new());
        let connector = Connector::new(options.clone());
        let writer = Writer::start(connector, Arc::clone(&changed)).await.map_err(|error| failed(error.into()))?;
        let readers =
            SqlitePoolOptions::new().max_connections(READERS).connect_with(options.clone().read_only(true)).await;
        let readers = readers.map_err(|error| failed(error.into()))?;
        Ok(Self { options, writer, readers, changed })
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let failed = |error: sqlx::Error| StoreError { operation, source: error.into() };
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        work(&mut connection).await.map_err(failed)
    }

    /// An operation that need not wait for others: there is one writer here.
    async fn alone<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.write(operation, 1, false, work).await
    }

    /// The name under which a worker of this process holds leases.
    fn owner(&self, worker: &str) -> String {
        worker.to_owned()
    }

    /// Which of these are gone. One process uses the file at a time, so all that held leases before it starts.
    async fn gone(&self, owners: Vec<String>) -> Result<Vec<String>, StoreError> {
        Ok(owners)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        schema,
        statements::tally::{TALLY, probe, tally},
    };

    use sqlx::Row as _;
    use tagboat_model::Timestamp;

    use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

    const EVENTS: i64 = 100_000;

    async fn filled() -> SqliteConnection {
        let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        schema::bring_up_to_date(&mut connection).await.unwrap();
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
        let tally = tally(&mut connection, Timestamp(1)).await.unwrap();
        assert_eq!((tally.accepted, tally.done, tally.refused, tally.pending), (100_000, 10, 5, 99_985));
        assert_eq!((tally.branches, tally.waiting, tally.oldest), (2, 1, Some(Timestamp(11))));
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {TALLY}"));
        let plan = sqlx::query(explain).bind(1_i64).fetch_all(&mut connection).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.try_get("detail").unwrap()).collect();
        let reads_rows = |step: &&String| step.contains("SCAN eb") || step.contains("SCAN e ");
        assert!(!steps.iter().any(|step| reads_rows(&step)), "{steps:#?}");
        assert!(steps.iter().any(|step| step.contains("event_branch_by_sequence")), "{steps:#?}");
    }

    #[tokio::test]
    async fn a_probe_writes() {
        let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        schema::bring_up_to_date(&mut connection).await.unwrap();
        probe(&mut connection).await.unwrap();
        sqlx::raw_sql("PRAGMA query_only = 1").execute(&mut connection).await.unwrap();
        assert!(probe(&mut connection).await.is_err(), "it does not write");
    }
}
