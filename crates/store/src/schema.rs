//! The schema's steps, embedded from `migrations/sqlite`.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

/// Number, name, forward, back.
const STEPS: [(i64, &str, &str, &str); 3] = [
    (
        1,
        "start",
        include_str!("../../../migrations/sqlite/0001_start.up.sql"),
        include_str!("../../../migrations/sqlite/0001_start.down.sql"),
    ),
    (
        2,
        "tags",
        include_str!("../../../migrations/sqlite/0002_tags.up.sql"),
        include_str!("../../../migrations/sqlite/0002_tags.down.sql"),
    ),
    (
        3,
        "files",
        include_str!("../../../migrations/sqlite/0003_files.up.sql"),
        include_str!("../../../migrations/sqlite/0003_files.down.sql"),
    ),
];

fn migrator() -> Migrator {
    let step = |number: i64, name: &'static str, direction: MigrationType, sql: &'static str| {
        Migration::new(number, Cow::Borrowed(name), direction, sql.into_sql_str(), false)
    };
    let migrations: Vec<Migration> = STEPS
        .iter()
        .flat_map(|(number, name, up, down)| {
            [
                step(*number, name, MigrationType::ReversibleUp, up),
                step(*number, name, MigrationType::ReversibleDown, down),
            ]
        })
        .collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

/// Apply what is missing. A database of a newer Tagboat is refused.
pub(crate) async fn bring_up_to_date(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    migrator().run_direct(None, connection, false).await
}

#[cfg(test)]
mod tests {
    use super::*;

    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    /// Rows for the tables as each step leaves them.
    const ROWS: [&str; 3] = ["
        INSERT INTO delivery VALUES ('d', 'default', 'registry', 'k', 'accepted', '[]', x'00', 1);
        INSERT INTO event VALUES ('e', 'd', 'default', 'r.example/a', '1', NULL, '\"signed\"', 1);
        INSERT INTO branch (tenant, repository, branch) VALUES ('default', 'config', 'main');
        INSERT INTO event_branch VALUES ('e', 'default', 'config', 'main', 1);
        INSERT INTO gathering VALUES (1, 'default', 'config', 'main', 1, x'00');
        INSERT INTO decision (id, tenant, repository, branch, head, decided_at, seen_at, image, entry, decision, gathering)
            VALUES ('x', 'default', 'config', 'main', 'h', 1, 1, 'r.example/a', 'a', '{}', 1);
        INSERT INTO decision_event VALUES ('x', 'e');
        INSERT INTO outbox (tenant, effect_key, kind, payload, created_at) VALUES ('default', 'k', 'kind', '{}', 1);
        INSERT INTO observation VALUES ('default', 'r.example/a', '1', '{}', 1, 1);", "
        INSERT INTO baseline VALUES ('default', 'r.example/a', 1);
        INSERT INTO sighting VALUES ('default', 'r.example/a', '1', 1, 1);
        INSERT INTO announcement VALUES (1, 'default', 'r.example/a', '1', '', 1);
        INSERT INTO reading VALUES ('default', 'r.example/b', '1', '{}', NULL, 1, '[]', 1);
        UPDATE branch SET wake_at = 1;
        INSERT INTO interest VALUES ('default', 'config', 'main', 'r.example/a', 1, 1, 'r');", "
        INSERT INTO file_memory VALUES ('default', 'config', x'00', 'yaml', 'f', 1, x'');"];

    async fn memory() -> SqliteConnection {
        "sqlite::memory:".parse::<SqliteConnectOptions>().unwrap().foreign_keys(true).connect().await.unwrap()
    }

    #[tokio::test]
    async fn every_step_goes_forward_and_back_on_filled_tables() {
        let mut connection = memory().await;
        for (index, (number, ..)) in STEPS.iter().enumerate() {
            let migrator = migrator();
            migrator.run_to(*number, &mut connection).await.unwrap();
            sqlx::raw_sql(ROWS[index]).execute(&mut connection).await.unwrap();
            migrator.undo(&mut connection, number - 1).await.unwrap();
            migrator.run_to(*number, &mut connection).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_read_before_the_second_step_is_known_after_it() {
        let mut connection = memory().await;
        migrator().run_to(1, &mut connection).await.unwrap();
        let old = r#"INSERT INTO observation VALUES ('default', 'r.example/a', '1', '{"digest":"sha256:DIGEST","kind":{"kind":"image"},"revision":null}', 5, 6)"#;
        let old = old.replace("DIGEST", &"a".repeat(64));
        sqlx::raw_sql(sqlx::AssertSqlSafe(old)).execute(&mut connection).await.unwrap();
        bring_up_to_date(&mut connection).await.unwrap();
        let image = "r.example/a".parse().unwrap();
        let known = crate::observations::of(&mut connection, &"default".parse().unwrap(), &image).await.unwrap();
        assert!(known.len() == 1 && !known[0].manifest.is_complete(), "it is read again before it is relied on");
        assert_eq!((known[0].tag.as_str(), known[0].since.0), ("1", 5));
    }

    #[tokio::test]
    async fn a_database_of_a_newer_tagboat_is_refused() {
        let mut connection = memory().await;
        bring_up_to_date(&mut connection).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', 1, x'00', 0)";
        sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
        assert!(bring_up_to_date(&mut connection).await.is_err());
    }
}
