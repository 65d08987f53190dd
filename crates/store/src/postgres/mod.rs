//! PostgreSQL 13 or newer: any number of replicas over one database.

mod dialect;
mod presence;
mod schema;
#[path = "../statements/mod.rs"]
mod statements;
#[path = "../writer.rs"]
mod writer;

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions},
};
use tagboat_ports::StoreError;
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use dialect::{Connection, Connector, LONGEST};
use writer::Writer;

/// Connections beside that of the writer and that which listens. A server permits a hundred, of all replicas together.
const READERS: u32 = 6;
/// How long somebody waits for one of them.
const LONGEST_FOR_CONNECTION: Duration = Duration::from_secs(5);
/// What the server does with a statement that takes too long, and with a transaction whose replica is silent: while that one
/// lasts nobody else writes.
const SERVER_LIMITS: [(&str, &str); 3] =
    [("statement_timeout", "15s"), ("idle_in_transaction_session_timeout", "3s"), ("tcp_keepalives_idle", "10")];

/// PostgreSQL, with one connection that writes.
pub struct PostgresStore {
    options: PgConnectOptions,
    writer: Writer,
    readers: PgPool,
    changed: Arc<Notify>,
    presence: Arc<AtomicI64>,
    /// Hears of work, and looks after replicas that are gone.
    tasks: [JoinHandle<()>; 2],
}

impl PostgresStore {
    /// Connect to the database of a URL (`postgres://user@host/name`), and bring its schema up to date.
    ///
    /// # Errors
    /// When it cannot be reached or written, or was written by a newer Tagboat.
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        let failed = |error: sqlx::Error| StoreError { operation: "open", source: error.into() };
        let options = PgConnectOptions::from_str(url)
            .map_err(failed)?
            .application_name("tagboat")
            .options(SERVER_LIMITS)
            // Each would be a line of the log, and formatting them costs more than running them.
            .disable_statement_logging();
        let options = match password {
            Some(password) => options.password(password),
            None => options,
        };
        let (changed, presence) = (Arc::new(Notify::new()), Arc::new(AtomicI64::new(0)));
        let connector = Connector::new(options.clone(), Arc::clone(&presence));
        let writer = Writer::start(connector, Arc::clone(&changed)).await.map_err(failed)?;
        let pool = PgPoolOptions::new().max_connections(READERS).acquire_timeout(LONGEST_FOR_CONNECTION);
        let readers = pool.connect_with(options.clone()).await.map_err(failed)?;
        let hearing = tokio::spawn(listen(readers.clone(), Arc::clone(&changed)));
        let looking = tokio::spawn(presence::look_for_gone(readers.clone()));
        Ok(Self { options, writer, readers, changed, presence, tasks: [hearing, looking] })
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let read = async {
            let mut connection = self.readers.acquire().await?;
            work(&mut connection).await
        };
        in_time(operation, read).await
    }

    /// An operation that touches one row and holds it, so that it need not wait for others who write.
    async fn alone<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = async {
            let mut transaction = self.readers.begin().await?;
            let result = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(result)
        };
        in_time(operation, written).await
    }

    /// The name under which a worker of this process holds leases.
    fn owner(&self, worker: &str) -> String {
        format!("{}/{worker}", self.presence.load(Ordering::Relaxed))
    }

    /// Which of these are gone.
    async fn gone(&self, owners: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.read("look for replicas that are gone", async |c| presence::gone(c, owners).await).await
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What an operation came to, unless the server gives no answer: it may be gone without a word.
async fn in_time<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let longest = LONGEST.unwrap_or(Duration::MAX);
    let result = tokio::time::timeout(longest, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    result.map_err(|error| StoreError { operation, source: error.into() })
}

/// Hear of work that other replicas were told of. What is not heard is found by looking, some seconds later.
async fn listen(pool: PgPool, changed: Arc<Notify>) {
    loop {
        if let Ok(listener) = PgListener::connect_with(&pool).await {
            let error = hear(listener, &changed).await;
            tracing::debug!(%error, "listening to the database again");
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn hear(mut listener: PgListener, changed: &Notify) -> sqlx::Error {
    if let Err(error) = listener.listen("tagboat_work").await {
        return error;
    }
    loop {
        // What was said while nobody listened was not heard.
        changed.notify_one();
        match tokio::time::timeout(Duration::from_secs(30), listener.try_recv()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => return sqlx::Error::WorkerCrashed,
            Ok(Err(error)) => return error,
            // Silence is no sign that the server is there.
            Err(_) => {
                let asked = in_time("listen", sqlx::query("SELECT 1").execute(&mut listener)).await;
                if asked.is_err() {
                    return sqlx::Error::WorkerCrashed;
                }
            }
        }
    }
}
