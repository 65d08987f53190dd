//! The databases that the server is measured with.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tagboat_testkit::Postgres;

use crate::say;

/// Keys of deliveries, a line each.
const KEYS: &str = "SELECT delivery_key FROM delivery";
/// `sqlite3 DATABASE STATEMENT`, with the library that Python has.
const SQLITE: &str = "\
import sqlite3, sys
for row in sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True).execute(sys.argv[2]):
    print(row[0])
";
/// The naive way: each event in a transaction of its own. Prints how many commits a second the disk lets it have.
const NAIVE: &str = "\
import os, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('PRAGMA journal_mode=WAL')
connection.execute('PRAGMA synchronous=FULL')
connection.execute('CREATE TABLE delivery (delivery_key TEXT PRIMARY KEY, body BLOB NOT NULL)')
body, count, begun = os.urandom(8192), 0, time.monotonic()
while time.monotonic() - begun < float(sys.argv[2]):
    connection.execute('BEGIN IMMEDIATE')
    connection.execute('INSERT INTO delivery VALUES (?, ?)', (f'delivery-{count}', body))
    connection.execute('COMMIT')
    count += 1
print(count / (time.monotonic() - begun))
";

/// The same in PostgreSQL. `EXTERNAL` is stored as it is: a body is not to become smaller by being compressed.
const NAIVE_POSTGRES: &str = "\
DO $$ DECLARE begun timestamptz := clock_timestamp(); BEGIN
  CREATE TABLE naive (delivery_key bigserial PRIMARY KEY, body bytea NOT NULL);
  ALTER TABLE naive ALTER COLUMN body SET STORAGE EXTERNAL;
  COMMIT;
  WHILE clock_timestamp() < begun + interval 'SECONDS seconds' LOOP
    INSERT INTO naive (body) VALUES (decode(repeat(md5(random()::text), 512), 'hex'));
    COMMIT;
  END LOOP;
END $$";

/// A database of a server.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file in the folder of the server.
    Sqlite(PathBuf),
    /// A database of this name.
    Postgres(Arc<Postgres>, String),
}

impl Database {
    /// Those that the binary can use.
    pub(crate) fn all(binary: &Path) -> Vec<Self> {
        let mut all = vec![Self::Sqlite(PathBuf::new())];
        if can_use_postgres(binary) {
            all.push(Self::Postgres(Arc::new(Postgres::start()), "postgres".to_owned()));
        } else {
            say("PostgreSQL: not measured, this binary does not take its address");
        }
        all
    }

    /// An empty one for a server in this folder.
    pub(crate) fn fresh(&self, folder: &Path) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        match self {
            Self::Sqlite(_) => Self::Sqlite(folder.join("data/tagboat.db")),
            Self::Postgres(cluster, _) => {
                let name = format!("bench_{}", MADE.fetch_add(1, Ordering::Relaxed));
                cluster.make_database(&name);
                Self::Postgres(Arc::clone(cluster), name)
            }
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            // That of the cluster is of the database `postgres`.
            Self::Postgres(cluster, name) => format!("{}{name}", cluster.url().trim_end_matches("postgres")),
        }
    }

    /// What a figure is called.
    pub(crate) fn figure(&self, what: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("{what}, SQLite"),
            Self::Postgres(..) => format!("{what}, PostgreSQL"),
        }
    }

    /// The process whose fsyncs make deliveries durable, when it is the server itself.
    pub(crate) fn who_syncs(&self, server: u32) -> Option<u32> {
        matches!(self, Self::Sqlite(_)).then_some(server)
    }

    /// The key of every delivery that is stored.
    pub(crate) fn deliveries(&self) -> HashSet<String> {
        let keys = match self {
            Self::Sqlite(path) => python(&[SQLITE, &path.display().to_string(), KEYS]),
            Self::Postgres(cluster, name) => cluster.query(name, KEYS),
        };
        keys.lines().map(str::to_owned).collect()
    }

    /// Commits a second of whoever has a transaction for each event.
    pub(crate) fn naive(&self, folder: &Path, seconds: u32) -> f64 {
        match self {
            Self::Sqlite(_) => {
                let path = folder.join("naive.db").display().to_string();
                python(&[NAIVE, &path, &seconds.to_string()]).trim().parse().unwrap()
            }
            Self::Postgres(cluster, _) => {
                let Self::Postgres(_, name) = self.fresh(folder) else { return f64::NAN };
                cluster.query(&name, &NAIVE_POSTGRES.replace("SECONDS", &seconds.to_string()));
                let count = cluster.query(&name, "SELECT count(*) FROM naive");
                count.parse::<f64>().unwrap() / f64::from(seconds)
            }
        }
    }
}

/// A server file with such an address is invalid input to a binary that does not know it; to others nobody listens there.
fn can_use_postgres(binary: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tagboat.yaml");
    std::fs::write(&file, "listen: 127.0.0.1:1\ndatabase: \"postgres://tagboat@127.0.0.1:1/tagboat\"\n").unwrap();
    let mut command = Command::new(binary);
    let output = command.current_dir(folder.path()).args(["deliveries", "--config"]).arg(&file).output().unwrap();
    output.status.code() != Some(2)
}

fn python(arguments: &[&str]) -> String {
    let output = Command::new("python3").arg("-c").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
