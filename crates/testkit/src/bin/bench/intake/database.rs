//! The databases that the server is measured with.

use std::{collections::HashSet, path::Path, process::Command};

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

/// A database of a server.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file in the folder of the server.
    Sqlite(String),
}

impl Database {
    /// Those that the binary can use here.
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::Sqlite(String::new())]
    }

    /// An empty one for a server in this folder.
    pub(crate) fn fresh(&self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(_) => Self::Sqlite(folder.join("data/tagboat.db").display().to_string()),
        }
    }

    /// Its URL, unless it is the one that a server has by default.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
        }
    }

    /// What a figure is called.
    pub(crate) fn figure(&self, what: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("{what}, SQLite"),
        }
    }

    /// The key of every delivery that is stored.
    pub(crate) fn deliveries(&self) -> HashSet<String> {
        match self {
            Self::Sqlite(path) => python(&[SQLITE, path, KEYS]).lines().map(str::to_owned).collect(),
        }
    }

    /// Commits a second of whoever has a transaction for each event.
    pub(crate) fn naive(&self, folder: &Path, seconds: u32) -> f64 {
        match self {
            Self::Sqlite(_) => {
                let path = folder.join("naive.db").display().to_string();
                python(&[NAIVE, &path, &seconds.to_string()]).trim().parse().unwrap()
            }
        }
    }
}

fn python(arguments: &[&str]) -> String {
    let output = Command::new("python3").arg("-c").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
