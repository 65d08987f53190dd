//! The command line.

mod acts;
mod deliveries;
mod event;
mod github_app;
mod notify;
mod receivers;
mod store;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use acts::{Act, Freeze, Hold, Promote, Reach, Release, Rollback, Skip, Status};
pub(crate) use deliveries::{Deliveries, DeliveriesAction, DeliveryShow};
pub(crate) use event::{Event, EventParse};
pub(crate) use github_app::{GithubApp, GithubAppCreate};
pub(crate) use notify::Notify;
pub(crate) use receivers::Receivers;
pub(crate) use store::{Store, StoreAction};

/// Joins CI to pull-based GitOps: hears that an image was pushed, decides by policy which environment should
/// run it, and commits exactly that change to the config repository.
#[derive(Debug, Parser)]
#[command(name = "tagboat", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage or invalid input, 3 none or ignored, 4 refused, 5 changes pending."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(Serve),
    /// Show the main job with a registry, a config repository and a server of its own.
    Demo(Demo),
    /// Validate the server file and the repository file.
    Check(Check),
    /// Show what would change in a work tree by its `.tagboat.yaml` and the registries.
    Plan(Plan),
    /// Write versions into a work tree: what a pipeline would do with `sed`. Needs no server and no configuration.
    Update(Update),
    /// List every place in a work tree that names an image.
    References(References),
    /// Say why an image was updated, or why nothing was done.
    Explain(Explain),
    /// Tell a server from CI that an image was pushed, and follow what comes of it.
    Notify(Box<Notify>),
    /// Show what runs in the environments of a server, what is offered, and what stands in between.
    Status(Box<Status>),
    /// Keep the version that runs.
    Hold(Box<Hold>),
    /// Keep all versions that run in an environment, or everywhere.
    Freeze(Box<Freeze>),
    /// Take back holds, freezes, skips and refusals.
    Release(Box<Release>),
    /// Do without a version.
    Skip(Box<Skip>),
    /// Go back to a version that ran before, and hold it.
    Rollback(Box<Rollback>),
    /// Bring a version to an environment without its upstreams and gates: a hotfix.
    Promote(Box<Promote>),
    /// Work with the GitHub App.
    #[command(subcommand)]
    GithubApp(GithubApp),
    /// Work with policies.
    #[command(subcommand)]
    Policy(Policy),
    /// Work with requests of senders.
    #[command(subcommand)]
    Event(Event),
    /// Show the addresses that senders send to, whole, to be given to them.
    Receivers(Receivers),
    /// Show what senders sent, or take it apart again.
    Deliveries(Deliveries),
    /// Look after the database: what it holds, what is old, and how it gets elsewhere.
    Store(Store),
    /// Print the JSON schema of a configuration file.
    Schema(Schema),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say which of some tags a policy selects, and why every other was not.
    Test(PolicyTest),
}

/// How answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The server file.
    #[arg(long, env = "TAGBOAT_CONFIG", default_value = "config/tagboat.yaml")]
    pub(crate) config: PathBuf,
    /// How log lines are written to standard error.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Exit after the first commit.
    #[arg(long)]
    pub(crate) once: bool,
    /// Leave the folder with everything that was made.
    #[arg(long)]
    pub(crate) keep: bool,
    /// How long the server waits for further events before it pushes.
    #[arg(long, default_value = "2s")]
    pub(crate) settle: tagboat_model::Duration,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 valid, also with warnings of what `serve` would refuse on this machine, 2 not valid."
)]
pub(crate) struct Check {
    /// The server file [default: config/tagboat.yaml, if it is there].
    #[arg(long, env = "TAGBOAT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The repository file, or the folder of a config repository [default: .tagboat.yaml, if it is there].
    #[arg(long)]
    pub(crate) repository: Option<PathBuf>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing to do, 5 changes pending, 4 something has to be done by hand, 1 a registry cannot be asked, 2 invalid input."
)]
pub(crate) struct Plan {
    /// The folder of a config repository, with `.tagboat.yaml` at its root.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Only this environment.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<tagboat_model::EnvironmentName>,
    /// The server file with `registries`. Without it credentials are those of `docker login`.
    #[arg(long, env = "TAGBOAT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["image", "marker"]))]
#[command(
    after_help = "Exit codes: 0 done, or nothing to change, 3 nothing names the image, 4 a place that should change cannot be edited \
                        safely (all others are), 5 changes pending (with --dry-run), 1 failed, 2 invalid input."
)]
pub(crate) struct Update {
    /// A folder, or one file. What Git ignores in it is left out.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// The version that every reference to this image gets. May be given several times.
    #[arg(long, value_name = "REPOSITORY:TAG[@DIGEST]", value_parser = crate::commands::update::image)]
    pub(crate) image: Vec<tagboat_manifest::NewImage>,
    /// The image that every Flux marker of this policy gets. May be given several times.
    #[arg(long, value_name = "NAMESPACE:POLICY=REPOSITORY:TAG[@DIGEST]", value_parser = crate::commands::update::marker)]
    pub(crate) marker: Vec<(String, tagboat_manifest::NewImage)>,
    /// Only this environment of `.tagboat.yaml`, with the pins and the places that it names.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<tagboat_model::EnvironmentName>,
    /// What references carry afterwards [default: what they carry now].
    #[arg(long, value_enum)]
    pub(crate) pin: Option<Pin>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Commit what was changed, one commit for each image, with the message that the server would write.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) commit: bool,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Which of tag and digest references carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub(crate) enum Pin {
    /// What they carry now.
    Keep,
    /// Only the tag.
    Tag,
    /// Only the digest.
    Digest,
    /// Both.
    TagAndDigest,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 some are listed, 3 there are none, 1 failed, 2 invalid input.")]
pub(crate) struct References {
    /// A folder, or one file. What Git ignores in it is left out.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Only references to this image.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) image: Option<tagboat_model::ImageName>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 something is known, 3 nothing is, 1 failed, 2 invalid input.")]
pub(crate) struct Explain {
    /// The id of an event (`ev-…`), a delivery (`dl-…`) or a decision (`d-…`, as in the trailer `Tagboat-Decision` of a
    /// commit), an image, with or without `:TAG`, or the name of an image entry.
    pub(crate) what: String,
    /// The server file, which says where the database is.
    #[arg(long, env = "TAGBOAT_CONFIG", default_value = "config/tagboat.yaml")]
    pub(crate) config: PathBuf,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true).multiple(true).args(["tags", "image"]))]
pub(crate) struct PolicyTest {
    /// YAML with the keys of an image entry that choose its version: `policy`, `filterTags`, `exclude`, `allow`,
    /// `minimumAge`, `platforms`, `allowDowngrade`, `maximumJump`, `verify`.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// File with the tags, one a line (`-`: standard input). After a space a line may say when its image was built,
    /// as RFC 3339 writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) tags: Option<PathBuf>,
    /// Ask the registry of this image: for its tags, unless `--tags` names them, and for what the best of them name.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) image: Option<tagboat_model::ImageName>,
    /// The tag that runs now: nothing below it is selected, and nothing beyond `maximumJump`.
    #[arg(long, value_name = "TAG")]
    pub(crate) current: Option<tagboat_model::Tag>,
    /// The server file with `registries`. Without it credentials are those of `docker login`.
    #[arg(long, env = "TAGBOAT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How many tags are shown for each reason [default: 5 as text, all as JSON]. All are counted.
    #[arg(long, value_name = "COUNT")]
    pub(crate) show: Option<usize>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which file.
    #[arg(value_enum)]
    pub(crate) file: SchemaFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFile {
    /// The server file.
    Server,
    /// The repository file, `.tagboat.yaml`.
    Repository,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
