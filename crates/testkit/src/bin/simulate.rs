//! `simulate SEEDS FROM`: run the simulator over seeds and print the first that breaks a promise.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the developer")]

use std::{process::ExitCode, time::Instant};

use tagboat_testkit::simulator::{Report, run};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(seeds)), Some(Ok(from)), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: simulate SEEDS FROM");
        return ExitCode::from(2);
    };
    let (start, mut total) = (Instant::now(), Report::default());
    for seed in from..from.saturating_add(seeds) {
        match run(seed, None) {
            Ok(report) => {
                total.steps += report.steps;
                total.pushes += report.pushes;
                total.commits += report.commits;
                total.crashes += report.crashes;
                total.races += report.races;
            }
            Err(broken) => {
                println!("{broken}\nrun it again with: cargo xtask simulate --seeds 1 --from {seed}");
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.1} s, no promise broken: {total:?}");
    ExitCode::SUCCESS
}
