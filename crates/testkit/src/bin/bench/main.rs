//! `bench NAME TAGBOAT ROUNDS FILES`: measurements beside what users would otherwise do. One file for each; a new one is
//! a module and a line in [`main`], and a line in the help of `cargo xtask bench`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the developer")]

mod policy;
mod push_to_ref;
mod sweep;

use std::{path::PathBuf, process::ExitCode, time::Duration};

/// What each bench may use of the command line.
struct Setup {
    /// The binary of Tagboat.
    binary: PathBuf,
    rounds: u32,
    /// Further files in the config repository.
    files: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, binary, rounds, files] = &arguments[..] else { return usage() };
    let (Ok(rounds), Ok(files)) = (rounds.parse(), files.parse()) else { return usage() };
    // Servers run in folders of their own.
    let binary = std::fs::canonicalize(binary).unwrap_or_else(|_| PathBuf::from(binary));
    let setup = Setup { binary, rounds, files };
    match name.as_str() {
        "policy" => policy::run(&setup),
        "push-to-ref" => push_to_ref::run(&setup).await,
        "sweep" => sweep::run(&setup).await,
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench policy|push-to-ref|sweep TAGBOAT ROUNDS FILES");
    ExitCode::from(2)
}

/// Resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Median, least and most.
fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return };
    println!("{what:28}{:.0} ({:.0} .. {:.0})", ms(times[times.len() / 2]), ms(*least), ms(*most));
}
