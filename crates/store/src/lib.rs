//! The database: SQLite, or PostgreSQL for several replicas. Every statement is in this crate.
//!
//! One connection writes (`writer.rs`): operations of many callers share a transaction and a single fsync, each within
//! its own savepoint. Readers have connections of their own and never wait for it. Every method of the port
//! is one operation, so it is durable when it returns, and a caller that goes away drops nothing of others.
//!
//! `statements` and `writer.rs` are compiled once for each database, with the `dialect` of that database.

#![allow(clippy::duplicate_mod, reason = "statements are compiled once for each database")]

mod postgres;
mod sqlite;
mod steps;
mod upkeep;

use std::sync::Arc;

use tagboat_ports::StoreError;

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
pub use upkeep::{
    TableRow, TableSize, Upkeep,
    tables::{Kind, Table, Value},
    transfer::{TransferError, export, import},
};

/// Open the database of a URL: `sqlite:path`, or `postgres://user@host/name` with a password if it wants one. What is missing of
/// its tables is made.
///
/// # Errors
/// When it cannot be reached or written, or was written by a newer Tagboat.
pub async fn open(url: &str, password: Option<&str>) -> Result<Arc<dyn Upkeep>, StoreError> {
    match is_postgres(url) {
        true => Ok(Arc::new(PostgresStore::open(url, password).await?)),
        false => Ok(Arc::new(SqliteStore::open(url).await?)),
    }
}

/// Whether an operation failed because the database's file is none, or is damaged.
#[must_use]
pub fn is_damaged(error: &StoreError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*error.source);
    while let Some(cause) = next {
        if let Some(sqlx::Error::Database(told)) = cause.downcast_ref::<sqlx::Error>() {
            // SQLite's words for it; extended codes have the kind in their lowest byte. <https://sqlite.org/rescode.html>
            let code =
                told.try_downcast_ref::<sqlx::sqlite::SqliteError>().and_then(|_| told.code()?.parse::<i32>().ok());
            return matches!(code.map(|code| code & 0xff), Some(11 | 26));
        }
        next = cause.source();
    }
    false
}

/// Whether a URL is one of PostgreSQL.
#[must_use]
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}
