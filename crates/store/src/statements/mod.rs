//! Every statement, and the port over them. This folder is compiled once for each database: `dialect` is the parent's,
//! and says what a connection and a row are there. The text of statements is one that both databases understand: `$1`
//! for values, `CASE` where SQLite has `MAX(a, b)` and PostgreSQL `GREATEST`, flags as 0 and 1, and `rowid` for the order of
//! insertion, which is a column of its own in PostgreSQL.

pub(super) mod branches;
mod commands;
mod decisions;
pub(super) mod deliveries;
pub(super) mod events;
mod files;
mod holds;
mod interests;
pub(super) mod observations;
mod port;
mod ran;
mod rows;
pub(super) mod tally;
mod upkeep;

use super::dialect;
