//! `cargo xtask`: what a developer and CI run beside cargo itself.
//!
//! It starts programs and writes generated files; it holds no logic of the product, so that it builds at once.

#![expect(clippy::print_stderr, reason = "it talks to the developer")]

mod fuzz;
mod generate;
mod tools;

use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

use fuzz::Length;

#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need, then run them all.
    Test {
        /// Add the long runs: more seeds of the simulator, an hour of fuzzing.
        #[arg(long)]
        full: bool,
    },
    /// Write the generated files anew: JSON schemas and the command reference.
    Generate,
    /// Measure, beside what a user would do without Tagboat.
    Bench {
        /// What: `git`, from a new tag to the moved ref of config repositories of 100 to 50,000 files, beside scripts and
        /// the server alone; `intake`, acknowledging deliveries under load, bursts, memory and a start with much to do, or one of its
        /// parts: `intake-acknowledge`, `intake-bursts`, `intake-memory`, `intake-restart`; `policy`, choosing among 100,000 tags; `pull-request`, from one new tag and from 1,000 to the
        /// pull request; `push-to-ref`, from the end of an image push to the new ref; `references`, finding all of them in a
        /// work tree; `sweep`, listing the tags of 1,000 repositories of one registry.
        name: String,
        /// How often. Default: 20 times, `git` 10 times, `pull-request` 7 times, `references` and `sweep` 5 times. For `intake`
        /// for how many seconds deliveries are sent (20).
        #[arg(long)]
        rounds: Option<u32>,
        /// How many files the config repository has: further ones for `push-to-ref` (1,000) and `git` (100, 1,000, 10,000,
        /// then 50,000), all for `references` (10,000, then 50,000). For `pull-request` and the bursts of `intake` how many images there
        /// are, each with a file (1,000).
        #[arg(long)]
        files: Option<u32>,
        /// How the figures are written; `json` is one object a line.
        #[arg(long, default_value = "text", value_parser = ["text", "json"])]
        output: String,
    },
    /// Throw generated inputs at a parser, guided by the branches they take.
    Fuzz {
        /// What: `policy`, ranges, expressions and tags; `formats`, every format that is edited; `senders`, the requests
        /// of every kind of sender and what they have to prove; or the name of one of these.
        target: String,
        /// For how long, each.
        #[arg(long, default_value_t = 60, conflicts_with = "runs")]
        seconds: u64,
        /// How many inputs, each, however long that takes. A long run has 10,000,000.
        #[arg(long)]
        runs: Option<u32>,
    },
    /// Kill the real binary again and again while events arrive, then hold what is left against what was promised.
    Chaos {
        /// How often. A long run has 2,000.
        #[arg(long, default_value_t = 200)]
        kills: u32,
        /// What decides where it is killed and what happens meanwhile. Default: another one each time.
        #[arg(long)]
        seed: Option<u64>,
        /// In what it keeps its state: `sqlite`, on a disk that loses what was not synced, or `postgres`, one of its own.
        #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "postgres"])]
        database: String,
    },
    /// Run the engine in the simulator, one seed after the other, until one fails.
    Simulate {
        /// How many seeds.
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How long the storm lasts, in polls; a failure says the shortest that still shows it.
        #[arg(long)]
        storm: Option<u64>,
        /// What goes wrong in it: names with commas between, `all` or `none`; a failure says the fewest.
        #[arg(long)]
        faults: Option<String>,
        /// A planted bug.
        #[arg(long)]
        bug: Option<String>,
        /// Print what happens in the first seed that fails, all of it.
        #[arg(long)]
        trace: bool,
        /// Say after how many seeds each planted bug is found.
        #[arg(long)]
        bugs: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test { full } => test(full),
        Task::Generate => generate::run(),
        Task::Bench { name, rounds, files, output } => {
            let rounds = rounds.unwrap_or(match name.as_str() {
                "references" | "sweep" => 5,
                "git" => 10,
                "pull-request" => 7,
                _ => 20,
            });
            bench(&name, rounds, files, &output)
        }
        Task::Fuzz { target, seconds, runs } => {
            let length = runs.map_or(Length::Seconds(seconds), Length::Inputs);
            tools::install().and_then(|()| fuzz::run_named(&target, length))
        }
        Task::Simulate { seeds, from, storm, faults, bug, trace, bugs } => {
            let mut options: Vec<String> = Vec::new();
            let values = [("--storm", storm.map(|storm| storm.to_string())), ("--faults", faults), ("--bug", bug)];
            for (name, value) in values {
                options.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
            }
            let flags = [("--trace", trace), ("--bugs", bugs)];
            options.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned()));
            simulate(seeds, from, &options)
        }
        Task::Chaos { kills, seed, database } => chaos(kills, seed, &database),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Seeds of the long run.
const FULL_SEEDS: u64 = 20_000;
/// Seeds within which it finds each planted bug.
const FULL_SEEDS_FOR_A_BUG: u64 = 10_000;
/// Seconds of fuzzing in it.
const FULL_FUZZING: u64 = 600;
const FULL_FUZZING_OF_A_FORMAT: u64 = 120;
const FULL_FUZZING_OF_A_SENDER: u64 = 60;

fn test(full: bool) -> Result<(), String> {
    tools::install()?;
    if full {
        simulate(FULL_SEEDS, 0, &[])?;
        simulate(FULL_SEEDS_FOR_A_BUG, 0, &["--bugs".to_owned()])?;
        fuzz::run_named("policy", Length::Seconds(FULL_FUZZING))?;
        fuzz::run_named("formats", Length::Seconds(FULL_FUZZING_OF_A_FORMAT))?;
        fuzz::run_named("senders", Length::Seconds(FULL_FUZZING_OF_A_SENDER))?;
    }
    // nextest runs each test in a process of its own and all files at once; both run the same tests.
    let nextest =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    // Tests that take many minutes are ignored otherwise.
    let (with_nextest, with_cargo) = match full {
        true => (&["--run-ignored", "all"][..], &["--", "--include-ignored"][..]),
        false => (&[][..], &[][..]),
    };
    match nextest {
        true => {
            // Scenarios wait for a clock most of the time.
            let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() * 3 / 2).to_string();
            let nextest = ["nextest", "run", "--workspace", "--test-threads", &threads];
            run(Command::new("cargo").args(nextest).args(with_nextest))
        }
        false => run(Command::new("cargo").args(["test", "--workspace"]).args(with_cargo)),
    }
}

fn bench(name: &str, rounds: u32, files: Option<u32>, output: &str) -> Result<(), String> {
    tools::install()?;
    // 0 means every size that the bench knows.
    let files = files.unwrap_or(if ["git", "references"].contains(&name) { 0 } else { 1000 });
    // `policy` measures a crate, the others the binary too.
    if name != "policy" {
        run(Command::new("cargo").args(["build", "--quiet", "--release", "--package", "tagboat"]))?;
    }
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", "tagboat-testkit", "--bin", "bench", "--"]);
    let folder = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let binary = format!("{folder}/release/tagboat");
    run(command.args([name, &binary, &rounds.to_string(), &files.to_string(), output]))
}

fn chaos(kills: u32, seed: Option<u64>, database: &str) -> Result<(), String> {
    tools::install()?;
    // The seed needs no more than to be another one.
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs());
    let seed = seed.unwrap_or(now);
    run(Command::new("cargo").args(["build", "--quiet", "--package", "tagboat"]))?;
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--package", "tagboat-testkit", "--bin", "chaos", "--"]);
    let folder = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let binary = std::path::absolute(format!("{folder}/debug/tagboat")).map_err(|error| error.to_string())?;
    run(command.arg(binary).args([&kills.to_string(), &seed.to_string(), database]))
}

fn simulate(seeds: u64, from: u64, options: &[String]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", "tagboat-testkit", "--bin", "simulate", "--"]);
    run(command.args(["--seeds", &seeds.to_string(), "--from", &from.to_string()]).args(options))
}

/// Run a program to its end, its output shown.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{command:?} could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
