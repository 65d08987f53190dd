//! The arguments of `tagboat notify`. No secret is one of them: whoever lists processes reads arguments.

use std::path::PathBuf;

use clap::Args;

use crate::{cli::Output, commands::notify};

#[derive(Debug, Args)]
#[command(
    after_help = "How it proves who it is, the first of these: --secret-file, --id-token-file, TAGBOAT_SECRET, TAGBOAT_ID_TOKEN, \
                        the token of the CI in which it runs (GitHub Actions, Buildkite, CircleCI, Azure Pipelines).\n\n\
                        Exit codes: 0 accepted (with --wait: committed, offered by pull request, or nothing to do), 3 ignored (with --wait: or no config \
                        repository wants it), 4 refused (with --wait: or it cannot be used, or is blocked, so that a person has to \
                        act), 5 (with --wait) a gate, a hold or a limit stands in between, 1 unreachable or out of time, 2 invalid input or no credential."
)]
pub(crate) struct Notify {
    /// The image that was pushed. With its digest the server can tell whether the tag has moved on since.
    #[arg(long, value_name = "REPOSITORY:TAG[@DIGEST]", value_parser = crate::commands::update::image)]
    pub(crate) image: tagboat_manifest::NewImage,
    /// The server.
    #[arg(long, env = "TAGBOAT_URL", value_name = "URL", value_parser = notify::server)]
    pub(crate) server: reqwest::Url,
    /// The receiver, where more than one may believe this job.
    #[arg(long, env = "TAGBOAT_RECEIVER", value_name = "NAME", value_parser = notify::receiver)]
    pub(crate) receiver: Option<String>,
    /// File with the receiver's signing secret.
    #[arg(long, value_name = "FILE", conflicts_with = "id_token_file")]
    pub(crate) secret_file: Option<PathBuf>,
    /// File with a token of the CI (OIDC), as Kubernetes and Jenkins can write one.
    #[arg(long, value_name = "FILE")]
    pub(crate) id_token_file: Option<PathBuf>,
    /// For whom a token of the CI is asked [default: the URL of the server].
    #[arg(long, env = "TAGBOAT_AUDIENCE", value_name = "TEXT")]
    pub(crate) audience: Option<String>,
    /// The repository of the source code [default: as the CI says].
    #[arg(long, value_name = "TEXT")]
    pub(crate) repository: Option<String>,
    /// The commit that was built [default: as the CI says].
    #[arg(long, value_name = "TEXT")]
    pub(crate) revision: Option<String>,
    /// The run that built it [default: as the CI says].
    #[arg(long, value_name = "TEXT")]
    pub(crate) run: Option<String>,
    /// The same for every repetition of this event [default: made of the run and the image, so that a step that is run
    /// again says nothing new; outside of a CI another one each time].
    #[arg(long, value_name = "TEXT", value_parser = notify::idempotency_key)]
    pub(crate) idempotency_key: Option<String>,
    /// Wait until every config repository that wants the image has decided, and what is to be changed is committed or offered
    /// by pull request.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long all of it may take, tries that fail included.
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub(crate) timeout: tagboat_model::Duration,
    /// Permit `http://` to another machine, where everybody on the way can read the token.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
