//! The arguments of what people tell a server to do: `hold`, `release`, `skip`, `rollback`, `promote`, `freeze`; and of
//! `status`. No secret is one of them: whoever lists processes reads arguments.

use std::path::PathBuf;

use clap::Args;
use tagboat_model::{Duration, EntryName, EnvironmentName, HoldId, RepositoryName, Tag, TenantName};

use crate::{
    cli::Output,
    commands::{acts::UntilWhen, notify},
};

/// What the commands that people act with end with.
const EXIT_CODES: &str =
    "Exit codes: 0 done, 3 it was so already, 4 refused, 2 it makes no sense here, 1 unreachable or out of time.";

/// How a server is reached.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// The server.
    #[arg(long, env = "TAGBOAT_URL", value_name = "URL", value_parser = notify::server)]
    pub(crate) server: reqwest::Url,
    /// File with the token of the server's API [default: the variable TAGBOAT_API_TOKEN, else none].
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Permit `http://` to another machine, where everybody on the way can read the token.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// What all of them have in common.
#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// The config repository [default: the only one that the server has].
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<RepositoryName>,
    /// Its tenant, where several have one of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<TenantName>,
    /// Who says this, for people [default: the name of the user].
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// How long the answer is waited for.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) wait: Duration,
    /// Do not wait for the answer.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES
)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: EnvironmentName,
    /// The image entry [default: all of the environment].
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<EntryName>,
    /// A point in time (`2026-12-01T08:00:00Z`), a length of time (`4h`), or `newer`: until something newer comes than what
    /// runs [default: until it is released].
    #[arg(long, value_name = "TIME", value_parser = crate::commands::acts::until_when)]
    pub(crate) until: Option<UntilWhen>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES
)]
pub(crate) struct Freeze {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The environment [default: all of the config repository].
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<EnvironmentName>,
    /// A point in time (`2026-12-01T08:00:00Z`) or a length of time (`4h`) [default: until it is released].
    #[arg(long, value_name = "TIME", value_parser = crate::commands::acts::until_when)]
    pub(crate) until: Option<UntilWhen>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["id", "environment", "image"]))]
#[command(
    after_help = "Exit codes: 0 done, 3 there was nothing to release, 4 refused, 2 it makes no sense here, 1 unreachable or out of time."
)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) act: Act,
    /// One of them, by its id as `tagboat status` shows it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["environment", "image"])]
    pub(crate) id: Option<HoldId>,
    /// The environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<EnvironmentName>,
    /// The image entry [default: all of the environment].
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<EntryName>,
}

#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES
)]
pub(crate) struct Skip {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: EnvironmentName,
    /// The image entry.
    #[arg(long, value_name = "NAME")]
    pub(crate) image: EntryName,
    /// The version [default: the one that is offered].
    #[arg(long, value_name = "TAG")]
    pub(crate) version: Option<Tag>,
}

#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES
)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: EnvironmentName,
    /// The image entry.
    #[arg(long, value_name = "NAME")]
    pub(crate) image: EntryName,
    /// The version, which ran there before [default: the one before what runs].
    #[arg(long, value_name = "TAG")]
    pub(crate) to: Option<Tag>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES
)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The image entry.
    pub(crate) image: EntryName,
    /// The version.
    #[arg(value_name = "TAG")]
    pub(crate) version: Tag,
    /// The environment that gets it, without its upstreams and gates.
    pub(crate) environment: EnvironmentName,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 something is known to run, 3 nothing is, 4 not permitted, 1 unreachable, 2 invalid input."
)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Only this config repository.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<RepositoryName>,
    /// Only this tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<TenantName>,
}
