//! The schema's steps, embedded from `migrations/sqlite`.

use sqlx::{
    SqliteConnection,
    migrate::{MigrateError, Migrator},
};

use crate::steps::{self, Step};

const STEPS: [Step; 7] = [
    (
        1,
        "start",
        include_str!("../../../../migrations/sqlite/0001_start.up.sql"),
        include_str!("../../../../migrations/sqlite/0001_start.down.sql"),
    ),
    (
        2,
        "tags",
        include_str!("../../../../migrations/sqlite/0002_tags.up.sql"),
        include_str!("../../../../migrations/sqlite/0002_tags.down.sql"),
    ),
    (
        3,
        "files",
        include_str!("../../../../migrations/sqlite/0003_files.up.sql"),
        include_str!("../../../../migrations/sqlite/0003_files.down.sql"),
    ),
    (
        4,
        "senders",
        include_str!("../../../../migrations/sqlite/0004_senders.up.sql"),
        include_str!("../../../../migrations/sqlite/0004_senders.down.sql"),
    ),
    (
        5,
        "history",
        include_str!("../../../../migrations/sqlite/0005_history.up.sql"),
        include_str!("../../../../migrations/sqlite/0005_history.down.sql"),
    ),
    (
        6,
        "work",
        include_str!("../../../../migrations/sqlite/0006_work.up.sql"),
        include_str!("../../../../migrations/sqlite/0006_work.down.sql"),
    ),
    (
        7,
        "versions",
        include_str!("../../../../migrations/sqlite/0007_versions.up.sql"),
        include_str!("../../../../migrations/sqlite/0007_versions.down.sql"),
    ),
];

fn migrator() -> Migrator {
    steps::migrator(&STEPS)
}

/// Apply what is missing. A database of a newer Tagboat is refused.
pub(crate) async fn bring_up_to_date(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    migrator().run_direct(None, connection, false).await
}

#[cfg(test)]
mod tests {
    use super::*;

    use sqlx::{ConnectOptions as _, Row as _, sqlite::SqliteConnectOptions};
    use tagboat_model::{Event, ImagePushed, Source, Timestamp, Trust};
    use tagboat_ports::Stored;

    /// Rows for the tables as each step leaves them.
    const ROWS: [&str; 7] = ["
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
        INSERT INTO file_memory VALUES ('default', 'config', x'00', 'yaml', 'f', 1, x'');", "
        INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at, kind, trust, headers, body_hash)
            VALUES ('d', 'default', 'registry', 'k', 'accepted', '[]', x'00', 1, 'quay', '\"url\"', '[]', 'h');
        INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at, body_pruned)
            VALUES ('p', 'default', 'registry', 'l', 'accepted', '[]', x'', 1, 1);
        INSERT INTO event VALUES ('e', 'd', 'default', '', '', NULL, '\"signed\"', 1, '{\"kind\":\"buildFinished\"}');
        INSERT INTO event VALUES ('f', 'd', 'default', 'r.example/a', '1', NULL, '\"url\"', 1, '{}');
        INSERT INTO event VALUES ('g', 'd', 'default', 'r.example/a', '1', NULL, '\"token\"', 1, '{}');
        INSERT INTO branch (tenant, repository, branch) VALUES ('default', 'config', 'main');
        INSERT INTO event_branch VALUES ('e', 'default', 'config', 'main', 1, 1);
        INSERT INTO gathering VALUES (1, 'default', 'config', 'main', 1, x'00');
        INSERT INTO decision (id, tenant, repository, branch, head, decided_at, seen_at, image, entry, decision, gathering)
            VALUES ('x', 'default', 'config', 'main', 'h', 1, 1, 'r.example/a', 'a', '{}', 1);
        INSERT INTO decision_event VALUES ('x', 'f');
        INSERT INTO announced VALUES (1, 'default', 'r.example/a', '1', '', 1, '{\"run\":\"7\"}', 'o');
        INSERT INTO interest VALUES ('default', 'config', 'main', 'r.example/b', 1, 1, 'r', 1);", "
        UPDATE branch SET gate_at = 1;
        INSERT INTO ran VALUES (1, 'default', 'config', 'prod', 'a', '1', 'sha256:0', 1, 2, 'x', 'h', 1, '{}');
        INSERT INTO ran (tenant, repository, environment, entry, tag, digest, since)
            VALUES ('default', 'config', 'prod', 'a', '2', 'sha256:1', 2);
        INSERT INTO hold VALUES ('default', 'config', 'h', NULL, 'a', '{}', 1, 2, '{}');
        INSERT INTO hold (tenant, repository, id, hold, placed_at) VALUES ('default', 'config', 'i', '{}', 1);
        INSERT INTO command VALUES ('default', 'c', 'config', '{}', 1, 2, '{}');
        INSERT INTO command (tenant, id, repository, record, given_at) VALUES ('default', 'd', 'config', '{}', 1);
        INSERT INTO kept VALUES ('default', 'config', 'k', 'v');
        INSERT INTO decision (id, tenant, repository, branch, head, decided_at, seen_at, image, entry, decision, gathering)
            VALUES ('w', 'default', 'config', 'main', 'h', 1, 1, 'r.example/a', 'a', '{\"outcome\":\"waiting\"}', 1);", "
        UPDATE branch SET leased_at = 1, parked_at = 2;
        UPDATE pulse SET beats = 1;", "
        INSERT INTO event VALUES ('v', 'd', 'default', 'r.example/a', '2', NULL, '\"signed\"', 1, '{}');"];

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
        let known = super::super::statements::observations::of(&mut connection, &"default".parse().unwrap(), &image)
            .await
            .unwrap();
        assert!(known.len() == 1 && !known[0].manifest.is_complete(), "it is read again before it is relied on");
        assert_eq!((known[0].tag.as_str(), known[0].since.0), ("1", 5));
    }

    /// As the program of the third step stored it: signed, by a token, and with nothing to act on.
    const DELIVERIES_OF_BEFORE: &str = "
        INSERT INTO delivery VALUES ('s', 'default', 'ci', 's', 'accepted', '[]', x'7b7d', 1);
        INSERT INTO event VALUES ('es', 's', 'default', 'r.example/a', '1', 'sha256:DIGEST', '\"signed\"', 1);
        INSERT INTO announcement VALUES (1, 'default', 'r.example/a', '1', '', 1);
        INSERT INTO delivery VALUES ('t', 'default', 'registry', 't', 'accepted', '[]', x'7b7d', 2);
        INSERT INTO event VALUES ('et', 't', 'default', 'r.example/a', '2', NULL, '\"token\"', 2);
        INSERT INTO delivery VALUES ('u', 'default', 'ci', 'u', 'ignored', '[\"a reason\"]', x'7b7d', 3);";

    fn repeated(key: &str, receiver: &str, body: &[u8]) -> tagboat_ports::NewDelivery {
        tagboat_ports::NewDelivery {
            id: "again".parse().unwrap(),
            tenant: "default".parse().unwrap(),
            receiver: receiver.parse().unwrap(),
            kind: "generic".to_owned(),
            trust: Trust::Signed,
            key: key.to_owned(),
            once: None,
            acts_again: false,
            verdict: "accepted".to_owned(),
            reasons: Vec::new(),
            headers: Vec::new(),
            body: body.to_vec(),
            body_hash: "a hash".to_owned(),
            received_at: Timestamp(9),
            events: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_came_before_the_fourth_step_is_known_after_it() {
        use super::super::statements::{deliveries, events, observations};
        let mut connection = memory().await;
        let c = &mut connection;
        migrator().run_to(3, &mut *c).await.unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let old = DELIVERIES_OF_BEFORE.replace("sha256:DIGEST", &digest);
        sqlx::raw_sql(sqlx::AssertSqlSafe(old)).execute(&mut *c).await.unwrap();
        bring_up_to_date(c).await.unwrap();

        let shown = deliveries::newest(c, None, 10).await.unwrap();
        let shown: Vec<_> = shown.iter().map(|it| (it.id.as_str(), it.kind.as_str(), it.trust)).collect();
        assert_eq!(shown, [("u", "", Trust::Token), ("t", "", Trust::Token), ("s", "", Trust::Signed)]);
        let one = deliveries::one(c, &"s".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((one.headers.len(), one.body.as_deref(), one.events.len()), (0, Some(&b"{}"[..]), 1));
        let event = events::one(c, &"es".parse().unwrap()).await.unwrap().unwrap().event;
        let image: tagboat_model::ImageName = "r.example/a".parse().unwrap();
        let pushed = ImagePushed::new(image.clone(), "1".parse().unwrap(), Some(digest.parse().unwrap()));
        assert_eq!(event, Event::ImagePushed(pushed));
        let announced = observations::announcements(c, &"default".parse().unwrap(), &image).await.unwrap();
        assert_eq!((announced.len(), &announced[0].source), (1, &Source::default()));

        let same = |events: &[&str], same_body| Stored::Duplicate {
            events: events.iter().map(|id| id.parse().unwrap()).collect(),
            same_body,
        };
        assert_eq!(deliveries::accept(c, &repeated("s", "ci", b"{}")).await.unwrap(), same(&["es"], true));
        assert_eq!(deliveries::accept(c, &repeated("u", "ci", b"[]")).await.unwrap(), same(&[], false));
        let last = deliveries::last_to_prune(c, Timestamp(2), 100).await.unwrap();
        assert_eq!(last, Some((Timestamp(1), "s".to_owned())));
        assert_eq!(deliveries::prune(c, &last.unwrap()).await.unwrap(), 1);
        let later = deliveries::accept(c, &repeated("s", "ci", b"[]")).await.unwrap();
        assert_eq!(later, same(&["es"], true), "there is nothing left to compare");
    }

    #[tokio::test]
    async fn the_fourth_step_back_leaves_what_the_program_before_can_read() {
        let mut connection = memory().await;
        bring_up_to_date(&mut connection).await.unwrap();
        sqlx::raw_sql(ROWS[3]).execute(&mut connection).await.unwrap();
        migrator().undo(&mut connection, 3).await.unwrap();
        let left = sqlx::query("SELECT id FROM event").fetch_all(&mut connection).await.unwrap();
        let left: Vec<String> = left.iter().map(|row| row.try_get("id").unwrap()).collect();
        assert_eq!(left, ["g"]);
        for table in ["SELECT * FROM event_branch", "SELECT * FROM decision_event"] {
            assert!(sqlx::query(table).fetch_all(&mut connection).await.unwrap().is_empty(), "{table}");
        }
    }

    #[tokio::test]
    async fn the_fifth_step_back_leaves_what_the_program_before_can_read() {
        let mut connection = memory().await;
        bring_up_to_date(&mut connection).await.unwrap();
        for rows in &ROWS[3..] {
            sqlx::raw_sql(*rows).execute(&mut connection).await.unwrap();
        }
        migrator().undo(&mut connection, 4).await.unwrap();
        let left = sqlx::query("SELECT id FROM decision").fetch_all(&mut connection).await.unwrap();
        let left: Vec<String> = left.iter().map(|row| row.try_get("id").unwrap()).collect();
        assert_eq!(left, ["x"], "it knows nothing of decisions that wait");
    }

    /// Deliveries may be many and their bodies large; what ran is asked for with every look at a branch.
    #[tokio::test]
    async fn what_is_asked_of_many_rows_is_answered_from_indexes() {
        let mut connection = memory().await;
        bring_up_to_date(&mut connection).await.unwrap();
        for (query, index) in [
            ("SELECT SUM(length(body)) FROM delivery WHERE body_pruned = 0", "delivery_with_body"),
            (
                "SELECT id, length(body) FROM delivery WHERE body_pruned = 0 ORDER BY received_at, id LIMIT 9",
                "delivery_with_body",
            ),
            (
                "UPDATE delivery SET body_pruned = 1 WHERE body_pruned = 0 AND (received_at, id) <= (1, 'a')",
                "delivery_with_body",
            ),
            (
                "SELECT id FROM delivery WHERE receiver = 'a' ORDER BY received_at DESC, id DESC LIMIT 9",
                "delivery_by_receiver",
            ),
            (
                "SELECT DISTINCT environment, entry FROM ran WHERE tenant = 'a' AND repository = 'b'",
                "COVERING INDEX ran_by_entry",
            ),
            (
                "UPDATE ran SET until = 1
                 WHERE tenant = 'a' AND repository = 'b' AND environment = 'c' AND entry = 'd' AND until IS NULL",
                "ran_by_entry",
            ),
            ("SELECT * FROM hold WHERE tenant = 'a' AND repository = 'b' AND released_at IS NULL", "hold_open"),
            ("SELECT * FROM hold WHERE released_at IS NULL", "hold_open"),
            (
                "SELECT * FROM command WHERE tenant = 'a' AND repository = 'b' AND answered_at IS NULL ORDER BY given_at",
                "command_open",
            ),
            ("SELECT * FROM command WHERE id = 'a' ORDER BY rowid LIMIT 1", "command_by_id"),
            ("SELECT id FROM event WHERE tenant = 'a' AND image = 'b' AND tag = 'c'", "event_by_version"),
        ] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
            let plan = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
            let steps: Vec<String> = plan.iter().map(|row| row.try_get("detail").unwrap()).collect();
            assert!(steps[0].contains(index), "{query}: {steps:?}");
        }
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
