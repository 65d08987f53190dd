//! `bench NAME TAGBOAT ROUNDS FILES text|json`: measurements beside what users would otherwise do. One file for each; a new one is
//! a module and a line in [`main`], and a line in the help of `cargo xtask bench`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the developer")]

mod figures;
mod git;
mod intake;
mod policy;
mod pull_request;
mod push_to_ref;
mod references;
mod sweep;

use std::{path::PathBuf, process::ExitCode, sync::OnceLock, time::Duration};

use serde_json::json;

/// The name of the bench, when its answer is read by programs.
static JSON: OnceLock<String> = OnceLock::new();

/// What each bench may use of the command line.
struct Setup {
    /// The binary of Tagboat.
    binary: PathBuf,
    /// For `intake` the seconds of a load.
    rounds: u32,
    /// Further files in the config repository; for `pull-request` and `intake` the images, each with a file.
    files: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, binary, rounds, files, output] = &arguments[..] else { return usage() };
    let (Ok(rounds), Ok(files)) = (rounds.parse(), files.parse()) else { return usage() };
    // Servers run in folders of their own.
    let binary = std::fs::canonicalize(binary).unwrap_or_else(|_| PathBuf::from(binary));
    let setup = Setup { binary, rounds, files };
    if output == "json" {
        JSON.get_or_init(|| name.clone());
    }
    match name.as_str() {
        "git" => git::run(&setup).await,
        name if name.starts_with("intake") => {
            let Some(parts) = intake::Parts::named(name) else { return usage() };
            intake::run(&setup, parts).await;
        }
        "policy" => policy::run(&setup),
        "pull-request" => pull_request::run(&setup).await,
        "push-to-ref" => push_to_ref::run(&setup).await,
        "references" => references::run(&setup),
        "sweep" => sweep::run(&setup).await,
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: bench git|intake|policy|pull-request|push-to-ref|references|sweep TAGBOAT ROUNDS FILES text|json"
    );
    ExitCode::from(2)
}

/// Resident memory of a process, in MiB.
fn mebibytes(process: u32) -> f64 {
    memory(process, "VmRSS:")
}

/// The most that it ever was.
fn peak_mebibytes(process: u32) -> f64 {
    memory(process, "VmHWM:")
}

fn memory(process: u32, which: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// A line for people.
fn say(line: &str) {
    if JSON.get().is_none() {
        println!("{line}");
    }
}

/// A figure that is no time.
fn figure(what: &str, value: f64, unit: &str) {
    match JSON.get() {
        Some(name) => println!("{}", json!({ "bench": name, "what": what, "unit": unit, "value": value })),
        None => println!("{what:64}{value:.2} {unit}"),
    }
}

/// Median, least and most. Returns the median in milliseconds.
fn show(what: &str, mut times: Vec<Duration>) -> f64 {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return 0.0 };
    let (median, least, most) = (ms(times[times.len() / 2]), ms(*least), ms(*most));
    match JSON.get() {
        Some(name) => println!(
            "{}",
            json!({ "bench": name, "what": what, "unit": "ms", "median": median, "least": least, "most": most })
        ),
        // Where milliseconds are few their parts matter.
        None if median < 10.0 => println!("{what:64}{median:.2} ({least:.2} .. {most:.2})"),
        None => println!("{what:64}{median:.0} ({least:.0} .. {most:.0})"),
    }
    median
}
