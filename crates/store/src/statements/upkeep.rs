//! Whole tables, and what is taken away of them in time.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _};
use tagboat_model::Timestamp;

use super::dialect::{AFTER_IMPORT, Connection, Database, Row, TABLE_BYTES};
use crate::upkeep::{
    TableRow, TableSize,
    tables::{Kind, TABLES, Table, Value},
    transfer::TransferError,
};

/// Rows that one operation takes away of a table; others wait for the writer meanwhile.
const MOST_PRUNED: i64 = 500;

pub(crate) async fn sizes(c: &mut Connection) -> Result<Vec<TableSize>, sqlx::Error> {
    let mut sizes = Vec::new();
    for table in TABLES.iter().map(|table| table.name).chain(["file_memory"]) {
        let count = format!("SELECT COUNT(*) AS rows FROM {table}");
        let rows = sqlx::query(AssertSqlSafe(count)).fetch_one(&mut *c).await?.try_get("rows")?;
        let bytes = sqlx::query(TABLE_BYTES).bind(table).fetch_one(&mut *c).await?;
        sizes.push(TableSize { table, rows, bytes: bytes.try_get::<Option<i64>, _>("bytes")?.unwrap_or(0) });
    }
    Ok(sizes)
}

/// The first table that holds something.
pub(crate) async fn first_filled(c: &mut Connection) -> Result<Option<&'static str>, sqlx::Error> {
    for table in &TABLES {
        let any = format!("SELECT 1 FROM {} LIMIT 1", table.name);
        if sqlx::query(AssertSqlSafe(any)).fetch_optional(&mut *c).await?.is_some() {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// Every row of a table.
pub(crate) async fn dump(
    c: &mut Connection,
    table: &'static Table,
    each: &mut (dyn FnMut(TableRow) -> Result<(), TransferError> + Send),
    failed: &(dyn Fn(sqlx::Error) -> TransferError + Sync),
) -> Result<(), TransferError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let select = format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), table.name, table.order);
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(c);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let values = table.columns.iter().map(|(name, kind)| value(&row, name, *kind)).collect::<Result<_, _>>();
        each((table, values.map_err(failed)?))?;
    }
    Ok(())
}

fn value(row: &Row, column: &str, kind: Kind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        Kind::Text => Value::Text(row.try_get(column)?),
        Kind::Number => Value::Number(row.try_get(column)?),
        Kind::Bytes => Value::Bytes(row.try_get(column)?),
    })
}

/// Write rows of one table.
pub(crate) async fn load(c: &mut Connection, table: &'static Table, rows: &[Vec<Value>]) -> Result<(), sqlx::Error> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let insert = format!("INSERT INTO {} ({}) ", table.name, columns.join(", "));
    let mut statement = QueryBuilder::<Database>::new(insert);
    statement.push_values(rows, |mut line, row| {
        for value in row {
            match value {
                Value::Text(text) => line.push_bind(text.as_deref()),
                Value::Number(number) => line.push_bind(*number),
                Value::Bytes(bytes) => line.push_bind(bytes.as_deref()),
            };
        }
    });
    statement.build().persistent(false).execute(c).await.map(|_| ())
}

/// To be run once everything was loaded.
pub(crate) async fn loaded(c: &mut Connection) -> Result<(), sqlx::Error> {
    for statement in AFTER_IMPORT {
        sqlx::query(*statement).execute(&mut *c).await?;
    }
    Ok(())
}

/// Take away some of what came, was decided and was asked for before `before` and is done with. Returns how many rows.
pub(crate) async fn prune_history(c: &mut Connection, before: Timestamp) -> Result<u64, sqlx::Error> {
    let mut pruned = 0;
    // A decision goes before what it was decided from. What is planned is not done with.
    for statement in [
        "DELETE FROM decision WHERE id IN (SELECT id FROM decision WHERE seen_at < $1 AND change <> 'planned'
           ORDER BY seen_at LIMIT $2)",
        "DELETE FROM gathering WHERE id IN (SELECT g.id FROM gathering g WHERE g.gathered_at < $1
           AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.gathering = g.id) LIMIT $2)",
        // Its events go with it, and what they are linked with. One that waits is not done with.
        "DELETE FROM delivery WHERE id IN (SELECT d.id FROM delivery d WHERE d.received_at < $1
           AND NOT EXISTS (SELECT 1 FROM event e JOIN event_branch eb ON eb.event = e.id
             JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
             WHERE e.delivery = d.id AND eb.sequence > b.served)
           ORDER BY d.received_at LIMIT $2)",
        "DELETE FROM hold WHERE released_at < $1 AND rowid IN (SELECT rowid FROM hold WHERE released_at < $1 LIMIT $2)",
        "DELETE FROM command WHERE answered_at < $1
           AND rowid IN (SELECT rowid FROM command WHERE answered_at < $1 LIMIT $2)",
        // Nobody is interested in the image any more.
        "DELETE FROM reading WHERE (tenant, image, tag) IN (SELECT r.tenant, r.image, r.tag FROM reading r WHERE r.seen_at < $1
           AND NOT EXISTS (SELECT 1 FROM interest i WHERE i.tenant = r.tenant AND i.image = r.image) LIMIT $2)",
        "DELETE FROM announced WHERE place IN (SELECT a.place FROM announced a WHERE a.announced_at < $1
           AND NOT EXISTS (SELECT 1 FROM interest i WHERE i.tenant = a.tenant AND i.image = a.image) LIMIT $2)",
    ] {
        let deleted = sqlx::query(statement).bind(before.0).bind(MOST_PRUNED).execute(&mut *c).await?;
        pruned += deleted.rows_affected();
    }
    Ok(pruned)
}
