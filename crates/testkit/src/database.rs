//! In what a server under test keeps its state.

/// The database of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Database {
    /// SQLite in its data directory.
    #[default]
    Sqlite,
    /// PostgreSQL.
    Postgres {
        /// The address of a database of it on this machine, which is empty at first.
        url: String,
    },
}

impl Database {
    /// The line of the server file that says so; empty where nothing has to be said.
    #[must_use]
    pub fn setting(&self) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres { url } => format!("database: \"{url}\"\n"),
        }
    }

    /// In a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }
}
