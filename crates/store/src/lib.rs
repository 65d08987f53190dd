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

/// Whether a URL is one of PostgreSQL.
#[must_use]
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}
