//! The arguments of `tagboat receivers`.

use std::path::PathBuf;

use clap::Args;

use super::Output;

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 some are listed, 3 there are none, 1 failed, 2 invalid input.\n\n\
                  The address of a receiver with the scheme `path` is a secret: whoever knows it may send.")]
pub(crate) struct Receivers {
    /// The server file.
    #[arg(long, env = "TAGBOAT_CONFIG", value_name = "FILE", default_value = "config/tagboat.yaml")]
    pub(crate) config: PathBuf,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
