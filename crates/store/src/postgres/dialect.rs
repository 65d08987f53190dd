//! What the statements are run on here.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use super::schema;

pub(crate) use super::PostgresStore as Backend;
pub(crate) use sqlx::{
    Postgres as Database,
    postgres::{PgArguments as Arguments, PgConnection as Connection, PgRow as Row},
};

/// Begins a transaction that will write. One writes at a time, of all replicas, as in SQLite: what takes long is never done
/// within one, and nothing can deadlock or see half of what another does.
pub(crate) const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(8387226009110)";
/// Ends a transaction. `COMMIT` alone answers with success where a statement failed before, and has written nothing then;
/// any statement before it fails.
pub(crate) const COMMIT: &str = "SELECT 1; COMMIT";
/// Ends one after which the workers of all replicas are to be woken.
pub(crate) const COMMIT_AND_WAKE: &str = "NOTIFY tagboat_work; COMMIT";
/// What takes longer is given up: the other side may be gone without a word. The server ends a statement sooner.
pub(crate) const LONGEST: Option<std::time::Duration> = Some(std::time::Duration::from_secs(20));

/// Begins a transaction that sees the database as it is now, whatever is written meanwhile.
pub(crate) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Begins a transaction in which as much is written as there is.
pub(crate) const BEGIN_IMPORT: &str =
    "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_advisory_xact_lock(8387226009110)";
/// Reads every page and says what is damaged: here that is the matter of whoever keeps the server.
pub(crate) const CHECK: Option<&str> = None;
/// What a table takes, in bytes, as `bytes`; its name is `$1`.
pub(crate) const TABLE_BYTES: &str = "SELECT pg_total_relation_size($1::text::regclass) AS bytes";
/// Lets numbers that the database gives go on behind those that were written into it.
pub(crate) const AFTER_IMPORT: &[&str] = &[
    "SELECT setval(pg_get_serial_sequence('gathering', 'id'), COALESCE(MAX(id), 0) + 1, false) FROM gathering",
    "SELECT setval(pg_get_serial_sequence('announced', 'place'), COALESCE(MAX(place), 0) + 1, false) FROM announced",
    "SELECT setval(pg_get_serial_sequence('ran', 'place'), COALESCE(MAX(place), 0) + 1, false) FROM ran",
];

/// A statement that holds the row that it finds, and passes by what others hold.
macro_rules! and_lock_row {
    ($($sql:expr),+) => {
        concat!($($sql),+, " FOR UPDATE OF b SKIP LOCKED")
    };
}
pub(crate) use and_lock_row;

/// How the writer gets its connection, which shows the others that this process is there: it holds a lock under a number of
/// its own for as long as it lives, and leases are under that number.
pub(crate) struct Connector {
    options: PgConnectOptions,
    presence: Arc<AtomicI64>,
}

impl Connector {
    pub(crate) fn new(options: PgConnectOptions, presence: Arc<AtomicI64>) -> Self {
        Self { options, presence }
    }

    /// Connect, and bring the schema up to date the first time.
    pub(crate) async fn connect(&self, is_first: bool) -> Result<Connection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if is_first {
            schema::bring_up_to_date(&mut connection).await.map_err(|error| sqlx::Error::Migrate(Box::new(error)))?;
        }
        // Always a new one: the server may not have noticed yet that the connection of before is gone.
        let number: i64 =
            sqlx::query_scalar("SELECT floor(random() * 9000000000000000)::bigint").fetch_one(&mut connection).await?;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(number).execute(&mut connection).await?;
        self.presence.store(number, Ordering::Relaxed);
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_testkit::Postgres;

    #[tokio::test]
    async fn the_end_of_a_failed_transaction_is_no_success() {
        let cluster = Postgres::start();
        let options = cluster.url().parse::<PgConnectOptions>().unwrap();
        for end in [COMMIT, COMMIT_AND_WAKE] {
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(BEGIN).execute(&mut connection).await.unwrap();
            assert!(sqlx::raw_sql("SELECT 1 / 0").execute(&mut connection).await.is_err());
            assert!(sqlx::raw_sql(end).execute(&mut connection).await.is_err(), "{end}");
            sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
            sqlx::raw_sql(BEGIN).execute(&mut connection).await.unwrap();
            sqlx::raw_sql(end).execute(&mut connection).await.unwrap();
        }
    }
}
