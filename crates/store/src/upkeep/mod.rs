//! What operators do with the whole database: see what it holds, and take it elsewhere.

pub(crate) mod tables;
pub(crate) mod transfer;

use async_trait::async_trait;
use serde::Serialize;
use tagboat_model::{BranchKey, Timestamp};
use tagboat_ports::{Store, StoreError};

use self::{
    tables::{Table, Value},
    transfer::TransferError,
};

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSize {
    /// Its name.
    pub table: &'static str,
    /// How many rows.
    pub rows: i64,
    /// What it takes, in bytes, with its indexes where the database counts them with it.
    pub bytes: i64,
}

/// A row and the table it is of.
pub type TableRow = (&'static Table, Vec<Value>);

/// A database, as an operator has to do with it.
#[async_trait]
pub trait Upkeep: Store {
    /// What each table holds.
    async fn sizes(&self) -> Result<Vec<TableSize>, StoreError>;

    /// Read everything and find out whether something is damaged, where the database is one's own file. That takes as long as
    /// reading it; who writes or reads meanwhile does not wait.
    ///
    /// # Errors
    /// With what is damaged, or when it cannot be read.
    async fn check(&self) -> Result<(), StoreError>;

    /// Try work again, whether it fails, is parked, or waits since processes ended in the middle of it. A server that runs takes
    /// it up within seconds.
    async fn retry(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError>;

    /// Take away some of what came, was decided and was asked for before `before`, and is done with. What waits, what is
    /// planned, what is held and what runs stays. Returns how many rows; nothing is left when it is none.
    async fn prune_history(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Hand over every row that cannot be had from elsewhere, table by table, all as of one moment.
    async fn dump(
        &self,
        row: &mut (dyn FnMut(TableRow) -> Result<(), TransferError> + Send),
    ) -> Result<(), TransferError>;

    /// Fill an empty database with rows: with all, or with none. Returns how many.
    async fn fill(
        &self,
        rows: &mut (dyn Iterator<Item = Result<TableRow, TransferError>> + Send),
    ) -> Result<u64, TransferError>;
}
