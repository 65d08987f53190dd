//! What the statements are run on here.

use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use super::schema;

pub(crate) use super::SqliteStore as Backend;
pub(crate) use sqlx::{
    Sqlite as Database,
    sqlite::{SqliteArguments as Arguments, SqliteConnection as Connection, SqliteRow as Row},
};

/// Begins a transaction that will write.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
/// Ends a transaction.
pub(crate) const COMMIT: &str = "COMMIT";
/// Ends one after which workers of other processes are to be woken. There are none.
pub(crate) const COMMIT_AND_WAKE: &str = "COMMIT";
/// A statement comes to its end; it is not known how long a disk may take.
pub(crate) const LONGEST: Option<std::time::Duration> = None;

/// Begins a transaction that sees the database as it is now, whatever is written meanwhile.
pub(crate) const BEGIN_SNAPSHOT: &str = "BEGIN";
/// Begins a transaction in which as much is written as there is.
pub(crate) const BEGIN_IMPORT: &str = "BEGIN IMMEDIATE";
/// Reads every page and says `ok`, or what is damaged. <https://sqlite.org/pragma.html#pragma_quick_check>
pub(crate) const CHECK: Option<&str> = Some("PRAGMA quick_check(5)");
/// What a table takes, in bytes, as `bytes`; its name is `$1`.
pub(crate) const TABLE_BYTES: &str = "SELECT SUM(pgsize) AS bytes FROM dbstat WHERE name = $1";
/// Lets numbers that the database gives go on behind those that were written into it.
pub(crate) const AFTER_IMPORT: &[&str] = &[];

/// A statement that holds the row that it finds, and passes by what others hold. One connection writes here, so that
/// there is nothing to hold.
macro_rules! and_lock_row {
    ($($sql:expr),+) => {
        concat!($($sql),+)
    };
}
pub(crate) use and_lock_row;

/// How the writer gets its connection.
pub(crate) struct Connector {
    options: SqliteConnectOptions,
}

impl Connector {
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        Self { options }
    }

    /// Connect, and bring the schema up to date the first time.
    pub(crate) async fn connect(&self, is_first: bool) -> Result<Connection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if is_first {
            schema::bring_up_to_date(&mut connection).await.map_err(|error| sqlx::Error::Migrate(Box::new(error)))?;
        }
        Ok(connection)
    }
}
