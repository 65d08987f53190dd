//! The schema's steps, embedded from `migrations/postgres`. Steps of the same number leave the same tables in both
//! databases; PostgreSQL came with the sixth.

use sqlx::migrate::{MigrateError, Migrator};

use super::dialect::Connection;
use crate::steps::{self, Step};

const STEPS: [Step; 2] = [
    (
        6,
        "start",
        include_str!("../../../../migrations/postgres/0006_start.up.sql"),
        include_str!("../../../../migrations/postgres/0006_start.down.sql"),
    ),
    (
        7,
        "versions",
        include_str!("../../../../migrations/postgres/0007_versions.up.sql"),
        include_str!("../../../../migrations/postgres/0007_versions.down.sql"),
    ),
];

fn migrator() -> Migrator {
    steps::migrator(&STEPS)
}

/// Apply what is missing; of several replicas that start at once, one does. A database of a newer Tagboat is refused.
pub(crate) async fn bring_up_to_date(connection: &mut Connection) -> Result<(), MigrateError> {
    migrator().run_direct(None, connection, false).await
}

#[cfg(test)]
mod tests {
    use super::*;

    use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
    use tagboat_testkit::Postgres;

    /// Rows for the tables as each step leaves them.
    const ROWS: [&str; 2] = ["
        INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at, once)
            VALUES ('d', 'default', 'registry', 'k', 'accepted', '[]', '\\x00ff', 1, 'o');
        INSERT INTO event (id, delivery, tenant, image, tag, trust, received_at)
            VALUES ('e', 'd', 'default', 'r.example/a', '1', '\"signed\"', 1);
        INSERT INTO branch (tenant, repository, branch, parked_at) VALUES ('default', 'config', 'main', 1);
        INSERT INTO event_branch VALUES ('e', 'default', 'config', 'main', 1, 1);
        INSERT INTO interest (tenant, repository, branch, image) VALUES ('default', 'config', 'main', 'r.example/a');
        INSERT INTO gathering (tenant, repository, branch, gathered_at, facts) VALUES ('default', 'config', 'main', 1, '');
        INSERT INTO decision (id, tenant, repository, branch, head, decided_at, seen_at, image, entry, decision, gathering)
            VALUES ('x', 'default', 'config', 'main', 'h', 1, 1, 'r.example/a', 'a', '{}', 1);
        INSERT INTO decision_event VALUES ('x', 'e');
        INSERT INTO ran (tenant, repository, environment, entry, tag, digest, since)
            VALUES ('default', 'config', 'prod', 'a', '1', 'sha256:0', 1);
        INSERT INTO hold (tenant, repository, id, hold, placed_at) VALUES ('default', 'config', 'h', '{}', 1);
        INSERT INTO command (tenant, id, repository, record, given_at) VALUES ('default', 'c', 'config', '{}', 1);
        INSERT INTO kept VALUES ('default', 'config', 'k', 'v');", "
        INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at)
            VALUES ('v', 'default', 'registry', 'v', 'accepted', '[]', '', 1);
        INSERT INTO event (id, delivery, tenant, image, tag, trust, received_at)
            VALUES ('v', 'v', 'default', 'r.example/a', '2', '\"signed\"', 1);"];

    async fn connect(cluster: &Postgres) -> Connection {
        cluster.url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
    }

    #[tokio::test]
    async fn every_step_goes_forward_and_back_on_filled_tables() {
        let cluster = Postgres::start();
        let mut connection = connect(&cluster).await;
        for (index, (number, ..)) in STEPS.iter().enumerate() {
            migrator().run_to(*number, &mut connection).await.unwrap();
            sqlx::raw_sql(ROWS[index]).execute(&mut connection).await.unwrap();
            migrator().undo(&mut connection, number - 1).await.unwrap();
            migrator().run_to(*number, &mut connection).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_tagboat_is_refused() {
        let cluster = Postgres::start();
        let mut connection = connect(&cluster).await;
        bring_up_to_date(&mut connection).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', true, '', 0)";
        sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
        assert!(bring_up_to_date(&mut connection).await.is_err());
    }
}
