//! The whole database, on a connection of its own: who writes or reads meanwhile does not wait.

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use tagboat_model::{BranchKey, Timestamp};
use tagboat_ports::StoreError;

use super::super::{
    branches,
    dialect::{BEGIN_IMPORT, BEGIN_SNAPSHOT, Backend, CHECK, Connection},
    upkeep,
};
use crate::upkeep::{
    TableRow, TableSize, Upkeep,
    tables::{TABLES, Table, Value},
    transfer::TransferError,
};

/// Rows of one statement, and bytes of one, about.
const ROWS_AT_ONCE: usize = 200;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

#[async_trait]
impl Upkeep for Backend {
    async fn sizes(&self) -> Result<Vec<TableSize>, StoreError> {
        self.read("count rows", async |c| upkeep::sizes(c).await).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError { operation: "look for damage", source };
        let Some(check) = CHECK else { return Ok(()) };
        let mut connection = self.options.connect().await.map_err(|error| failed(error.into()))?;
        let found = sqlx::query_scalar::<_, String>(check).fetch_all(&mut connection).await;
        match found.map_err(|error| failed(error.into()))? {
            found if found == ["ok"] => Ok(()),
            found => Err(failed(format!("the database is corrupt: {}", found.join("; ")).into())),
        }
    }

    async fn retry(&self, keys: &[BranchKey], now: Timestamp) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        wake!(self, "try work again", keys.len(), async |c| branches::retry(c, &keys, now).await)
    }

    async fn prune_history(&self, before: Timestamp) -> Result<u64, StoreError> {
        write!(self, "prune history", 500, async |c| upkeep::prune_history(c, before).await)
    }

    async fn dump(
        &self,
        row: &mut (dyn FnMut(TableRow) -> Result<(), TransferError> + Send),
    ) -> Result<(), TransferError> {
        let mut connection = self.options.connect().await.map_err(read)?;
        sqlx::raw_sql(BEGIN_SNAPSHOT).execute(&mut connection).await.map_err(read)?;
        for table in &TABLES {
            upkeep::dump(&mut connection, table, row, &read).await?;
        }
        Ok(())
    }

    async fn fill(
        &self,
        rows: &mut (dyn Iterator<Item = Result<TableRow, TransferError>> + Send),
    ) -> Result<u64, TransferError> {
        let mut connection = self.options.connect().await.map_err(written)?;
        sqlx::raw_sql(BEGIN_IMPORT).execute(&mut connection).await.map_err(written)?;
        let filled = fill(&mut connection, rows).await;
        let end = if filled.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = sqlx::raw_sql(end).execute(&mut connection).await.map_err(written);
        let count = filled?;
        ended.map(|_| count)
    }
}

async fn fill(
    c: &mut Connection,
    rows: &mut (dyn Iterator<Item = Result<TableRow, TransferError>> + Send),
) -> Result<u64, TransferError> {
    if let Some(table) = upkeep::first_filled(c).await.map_err(written)? {
        return Err(TransferError::NotEmpty { table });
    }
    let mut count = 0;
    let mut batch = Batch::default();
    for row in rows {
        let (table, values) = row?;
        count += 1;
        batch.write_unless_of(table, c).await?;
        batch.add(table, values);
    }
    batch.write(c).await?;
    upkeep::loaded(c).await.map_err(written)?;
    Ok(count)
}

/// Rows of one table that are written together.
#[derive(Default)]
struct Batch {
    table: Option<&'static Table>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Batch {
    /// Make room for a row of `table`.
    async fn write_unless_of(&mut self, table: &'static Table, c: &mut Connection) -> Result<(), TransferError> {
        let is_full = self.rows.len() >= ROWS_AT_ONCE || self.bytes >= BYTES_AT_ONCE;
        match self.table == Some(table) && !is_full {
            true => Ok(()),
            false => self.write(c).await,
        }
    }

    fn add(&mut self, table: &'static Table, row: Vec<Value>) {
        let bytes = |value: &Value| if let Value::Bytes(Some(bytes)) = value { bytes.len() } else { 0 };
        self.bytes += row.iter().map(bytes).sum::<usize>();
        self.table = Some(table);
        self.rows.push(row);
    }

    async fn write(&mut self, c: &mut Connection) -> Result<(), TransferError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        match self.table.filter(|_| !rows.is_empty()) {
            Some(table) => upkeep::load(c, table, &rows).await.map_err(written),
            None => Ok(()),
        }
    }
}

fn read(error: sqlx::Error) -> TransferError {
    StoreError { operation: "read the whole database", source: error.into() }.into()
}

fn written(error: sqlx::Error) -> TransferError {
    StoreError { operation: "fill the database", source: error.into() }.into()
}
