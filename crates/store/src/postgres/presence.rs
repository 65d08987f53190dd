//! Which replicas are there. Each holds an advisory lock under a number of its own for as long as its connection lives, and
//! leases are under that number: when a process ends, its work is taken up at once and not only when the leases run out.
//! A replica that is cut off from the database, but goes on, loses its leases too; its fences keep it from writing.

use std::time::Duration;

use sqlx::{Connection as _, PgPool};
use tokio::time::sleep;

use super::{
    dialect::{BEGIN, COMMIT_AND_WAKE, Connection},
    in_time,
    statements::branches,
};

/// Leases of replicas that are gone are ended this often.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// Of those who hold leases, those whose process is gone.
pub(super) async fn gone(c: &mut Connection, owners: Vec<String>) -> Result<Vec<String>, sqlx::Error> {
    let mut gone = Vec::new();
    for owner in owners {
        let number = owner.split_once('/').and_then(|(number, _)| number.parse::<i64>().ok());
        if number.is_none() || is_free(c, number.unwrap_or_default()).await? {
            gone.push(owner);
        }
    }
    Ok(gone)
}

async fn is_free(c: &mut Connection, number: i64) -> Result<bool, sqlx::Error> {
    let mut look = c.begin().await?;
    let is_free = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(number).fetch_one(&mut *look).await?;
    look.rollback().await?;
    Ok(is_free)
}

/// Ends the leases of replicas that are gone, again and again.
pub(super) async fn look_for_gone(pool: PgPool) {
    loop {
        sleep(BETWEEN_LOOKS).await;
        if let Err(error) = in_time("release leases of others", release_gone(&pool)).await {
            tracing::debug!(%error, "replicas that are gone were not looked for");
        }
    }
}

async fn release_gone(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let owners = branches::owners(&mut connection).await?;
    let gone = gone(&mut connection, owners).await?;
    if gone.is_empty() {
        return Ok(());
    }
    tracing::info!(leases = gone.len(), "a replica is gone; its work is taken over");
    // Dropped in between, the connection is closed and the transaction with it.
    let mut connection = connection.detach();
    sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
    branches::release(&mut connection, &gone).await?;
    sqlx::raw_sql(COMMIT_AND_WAKE).execute(&mut connection).await?;
    Ok(())
}
