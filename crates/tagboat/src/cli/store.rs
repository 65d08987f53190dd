//! The arguments of `tagboat store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tagboat_model::{Duration, RepositoryName};

use super::Output;

#[derive(Debug, Args)]
pub(crate) struct Store {
    #[command(subcommand)]
    pub(crate) action: StoreAction,
    /// The server file, which says where the database is.
    #[arg(long, global = true, env = "TAGBOAT_CONFIG", value_name = "FILE", default_value = "config/tagboat.yaml")]
    pub(crate) config: PathBuf,
    /// How the answer is written.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Show what the database holds, which work waits, which fails, and which is parked because it does so every time.
    #[command(after_help = "Exit codes: 0 shown, 5 some work is parked, 1 failed, 2 invalid input.")]
    Stats,
    /// Read an SQLite database whole and say whether something in it is damaged. A server does this when it starts, and every day.
    #[command(after_help = "Exit codes: 0 nothing is, 1 something is, 2 invalid input.")]
    Check,
    /// Try work again that fails, or is parked since it does so every time. A server that runs takes it up within seconds.
    #[command(after_help = "Exit codes: 0 taken up again, 3 none fails, 1 failed, 2 invalid input.")]
    Retry(Retry),
    /// Take away what is old and done with, as the server does by itself.
    #[command(after_help = "Exit codes: 0 some was taken away, 3 there was none, 1 failed, 2 invalid input.")]
    Prune(Prune),
    /// Write everything that cannot be had from elsewhere into a file. A server may run meanwhile.
    #[command(after_help = "Exit codes: 0 written, 1 failed, 2 invalid input.")]
    Export(Export),
    /// Fill an empty database with an export, of whichever database: with all of it, or with nothing.
    #[command(
        after_help = "To move from SQLite to PostgreSQL: stop the server, export, set `database` to the new URL, import, start.\n\nExit \
                      codes: 0 done, 4 the database is not empty, 1 failed, 2 the file is none, or is damaged."
    )]
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// Only that of this config repository.
    pub(crate) repository: Option<RepositoryName>,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// What is older goes [default: `limits.keepHistory` of the server file].
    #[arg(long, value_name = "LENGTH")]
    pub(crate) older_than: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where it is written (`-`: standard output). It holds whatever senders sent, so that nobody else can read it.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What was exported (`-`: standard input).
    pub(crate) file: PathBuf,
}
