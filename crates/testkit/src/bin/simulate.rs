//! `simulate`: run the simulator over seeds, and print the first that breaks a promise, made small; or how soon each
//! planted bug is found.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the developer")]

use std::{process::ExitCode, time::Instant};

use tagboat_testkit::simulator::{Broken, Bug, Report, Settings, run, shrink};

const USAGE: &str =
    "usage: simulate [--seeds N] [--from S] [--storm POLLS] [--faults all|none|NAME,…] [--bug NAME] [--trace] [--bugs]";
/// Lines of a trace that are printed.
const LAST_LINES: usize = 80;

struct Arguments {
    seeds: u64,
    settings: Settings,
    bugs: bool,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let is_well = if arguments.bugs { find_bugs(&arguments) } else { run_seeds(&arguments) };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(mut texts: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 1, settings: Settings::of(0), bugs: false };
    while let Some(name) = texts.next() {
        let mut value = || texts.next().ok_or_else(|| format!("{name} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match name.as_str() {
            "--seeds" => arguments.seeds = number(value()?)?,
            "--from" => arguments.settings.seed = number(value()?)?,
            "--storm" => arguments.settings.storm = number(value()?)?,
            "--faults" => arguments.settings.faults = value()?.parse()?,
            "--bug" => arguments.settings.bug = Some(value()?.parse()?),
            "--trace" => arguments.settings.trace = true,
            "--bugs" => arguments.bugs = true,
            other => return Err(format!("{other} is not known")),
        }
    }
    Ok(arguments)
}

fn run_seeds(arguments: &Arguments) -> bool {
    let (start, mut total) = (Instant::now(), Report::default());
    let first = arguments.settings.seed;
    for seed in first..first.saturating_add(arguments.seeds) {
        match run(Settings { seed, ..arguments.settings }) {
            Ok(report) => total = total.and(&report),
            Err(broken) => {
                show(&broken);
                return false;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = arguments.seeds as f64 / seconds;
    println!("{} seeds in {seconds:.1} s ({rate:.0} a second), no promise broken: {total:?}", arguments.seeds);
    true
}

fn show(broken: &Broken) {
    println!("{broken}");
    if broken.settings.trace {
        broken.trace.iter().for_each(|line| println!("  {line}"));
        return;
    }
    let small = shrink(broken);
    println!("made small: {small}");
    for line in small.trace.iter().skip(small.trace.len().saturating_sub(LAST_LINES)) {
        println!("  {line}");
    }
    println!("run it again with: cargo xtask simulate {} --trace", small.settings);
}

/// After how many seeds each planted bug is found.
fn find_bugs(arguments: &Arguments) -> bool {
    let first = arguments.settings.seed;
    let mut all = true;
    println!("| planted bug | found after seeds | by the promise |\n|---|---|---|");
    for bug in Bug::ALL {
        let settings = arguments.settings.with_bug(*bug);
        let mut seeds = first..first.saturating_add(arguments.seeds);
        let found = seeds.find_map(|seed| run(Settings { seed, ..settings }).err());
        match found {
            Some(broken) => println!("| {bug} | {} | {} |", broken.settings.seed - first + 1, broken.promise),
            None => {
                println!("| {bug} | not in {} | |", arguments.seeds);
                all = false;
            }
        }
    }
    all
}
