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
