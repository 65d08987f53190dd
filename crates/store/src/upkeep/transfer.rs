//! A database as a file, and back: one JSON value a line. The first line says what it is, the last one how many rows there
//! were, so that a file that was cut off is known for one.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use tagboat_ports::StoreError;
use thiserror::Error;

use super::{
    TableRow, Upkeep,
    tables::{TABLES, Value},
};

/// The step of the schema whose tables are written.
const STEP: i64 = 6;

/// Why a database was not taken elsewhere.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The database did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be read.
    #[error("the export cannot be read")]
    Read(#[source] std::io::Error),
    /// The file could not be written.
    #[error("the export cannot be written")]
    Write(#[source] std::io::Error),
    /// A line is not one of an export.
    #[error("line {line} is not one of an export: {detail}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// It is of another Tagboat.
    #[error(
        "the export is of a Tagboat whose tables are those of step {theirs}, and here they are of step {STEP}; let one of the same version read it"
    )]
    Step {
        /// The step of the export.
        theirs: i64,
    },
    /// The end is missing.
    #[error("the export was cut off: its last line is missing, or rows before it are; make it anew")]
    CutOff,
    /// There is something in the database.
    #[error(
        "the database is not empty: `{table}` has rows; an import needs an empty one, which `serve` was never started with"
    )]
    NotEmpty {
        /// Where something is.
        table: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct First {
    tagboat_store: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    table: String,
    row: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    rows: u64,
}

/// Write everything that cannot be had from elsewhere. Returns how many rows.
///
/// # Errors
/// When the database or the file does not do what is asked.
pub async fn export(store: &dyn Upkeep, out: &mut (dyn Write + Send)) -> Result<u64, TransferError> {
    let mut rows = 0;
    line(out, &First { tagboat_store: STEP })?;
    store
        .dump(&mut |(table, values): TableRow| {
            rows += 1;
            line(out, &Row { table: table.name.to_owned(), row: values.iter().map(Value::to_json).collect() })
        })
        .await?;
    line(out, &Last { rows })?;
    out.flush().map_err(TransferError::Write)?;
    Ok(rows)
}

fn line(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), TransferError> {
    let text = serde_json::to_string(value).map_err(|error| TransferError::Write(error.into()))?;
    writeln!(out, "{text}").map_err(TransferError::Write)
}

/// Fill an empty database with what [`export`] wrote: with all of it, or with nothing. Returns how many rows.
///
/// # Errors
/// When the file is damaged or of another Tagboat, or the database is not empty.
pub async fn import(store: &dyn Upkeep, from: &mut (dyn BufRead + Send)) -> Result<u64, TransferError> {
    store.fill(&mut Lines { from, line: 0, rows: 0, ended: false }).await
}

/// The rows of a file. The last thing is an error, unless the file ends as it has to.
struct Lines<'f> {
    from: &'f mut (dyn BufRead + Send),
    line: u64,
    rows: u64,
    ended: bool,
}

impl Iterator for Lines<'_> {
    type Item = Result<TableRow, TransferError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read();
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl Lines<'_> {
    fn read(&mut self) -> Result<Option<TableRow>, TransferError> {
        if self.line == 0 {
            let first: First = self.parsed()?;
            if first.tagboat_store != STEP {
                return Err(TransferError::Step { theirs: first.tagboat_store });
            }
        }
        let text = self.text()?;
        if let Ok(Last { rows }) = serde_json::from_str(&text) {
            return if rows == self.rows { Ok(None) } else { Err(TransferError::CutOff) };
        }
        let Row { table, row } = serde_json::from_str(&text).map_err(|error| self.wrong(&error.to_string()))?;
        let Some(known) = TABLES.iter().find(|known| known.name == table) else {
            return Err(self.wrong(&format!("there is no table `{table}`")));
        };
        if known.columns.len() != row.len() {
            return Err(self.wrong(&format!("a row of `{table}` has {} columns", known.columns.len())));
        }
        let columns = known.columns.iter().zip(&row);
        let values: Option<Vec<Value>> = columns.map(|((_, kind), json)| Value::from_json(*kind, json)).collect();
        self.rows += 1;
        values.map(|values| Some((known, values))).ok_or_else(|| self.wrong("a column holds something else"))
    }

    fn parsed<T: for<'t> Deserialize<'t>>(&mut self) -> Result<T, TransferError> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|error| self.wrong(&error.to_string()))
    }

    /// The next line; what ends without one was cut off.
    fn text(&mut self) -> Result<String, TransferError> {
        self.line += 1;
        let mut text = String::new();
        match self.from.read_line(&mut text).map_err(TransferError::Read)? {
            0 => Err(TransferError::CutOff),
            _ if !text.ends_with('\n') => Err(TransferError::CutOff),
            _ => Ok(text),
        }
    }

    fn wrong(&self, detail: &str) -> TransferError {
        TransferError::Line { line: self.line, detail: detail.to_owned() }
    }
}
