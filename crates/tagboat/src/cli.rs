//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Say why an image was updated, or why nothing was done.
    Explain(Explain),
    /// Work with policies.
    #[command(subcommand)]
    Policy(Policy),
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
pub(crate) struct Explain {
    /// An event's id, an image, or the name of an image entry.
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
