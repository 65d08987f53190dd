//! The schema's steps, embedded from `migrations/postgres`. Steps of the same number leave the same tables in both
//! databases; PostgreSQL came with the sixth.

use sqlx::migrate::{MigrateError, Migrator};

use super::dialect::Connection;
use crate::steps::{self, Step};

const STEPS: [Step; 1] = [(
    6,
    "start",
    include_str!("../../../../migrations/postgres/0006_start.up.sql"),
    include_str!("../../../../migrations/postgres/0006_start.down.sql"),
)];

fn migrator() -> Migrator {
    steps::migrator(&STEPS)
}

/// Apply what is missing; of several replicas that start at once, one does. A database of a newer Tagboat is refused.
pub(crate) async fn bring_up_to_date(connection: &mut Connection) -> Result<(), MigrateError> {
    migrator().run_direct(None, connection, false).await
}
