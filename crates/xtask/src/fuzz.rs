//! `cargo xtask fuzz`: LLVM's fuzzer over the targets in `tests/fuzz`, without further tools and on stable Rust.

use std::{fs::File, path::Path, process::Command};

use crate::run;

/// What cargo-fuzz sets too: the program tells which branches an input took, and what it was compared with.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Inputs to begin with: one for each way to choose.
const SEEDS: [&str; 7] = [
    "s^1.4 || >=2.0.0-rc.1 <3\n1.4.0\n1.10.0\nv2.0.0-rc.1\n01.5.0\nlatest\n",
    "s1.2 - 2.0, !=1.5.x\n1.5.3\n2.0.9\n",
    "n^main-[a-f0-9]+-(?P<ts>[0-9]+) $ts\nmain-0ab1-1700\nmain-ff-99999999999999999999\n",
    "f^v?(.*)$ ${1}\nv1.2.3\n1.2.3\n",
    "x-rc ^v?[0-9]\n1.0-rc\nv1\n",
    "g*-[a-z]?\n1.0-rc\n1.0\n",
    "k~1.26\n1.26\n1.26.3-0\n",
];

/// Fuzz one target for some seconds. New inputs and what fails stay below `target/fuzz`.
pub(crate) fn run_target(target: &str, seconds: u64) -> Result<(), String> {
    let folder = Path::new("target/fuzz");
    let corpus = folder.join("corpus").join(target);
    let write = |name: String, text: &str| std::fs::write(corpus.join(name), text);
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    for (index, seed) in SEEDS.iter().enumerate() {
        write(format!("seed-{index}"), seed).map_err(|error| format!("{}: {error}", corpus.display()))?;
    }
    // With a target named, the flags are for the program and not for build scripts and macros.
    let host = host()?;
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--target",
        &host,
        "--quiet",
        "--release",
        "--manifest-path",
        "tests/fuzz/Cargo.toml",
        "--bin",
        target,
    ]);
    command.arg("--target-dir").arg(folder).env("RUSTFLAGS", COVERAGE).arg("--").arg(&corpus);
    let artifacts = format!("-artifact_prefix={}/", folder.display());
    command.args([
        &format!("-max_total_time={seconds}"),
        "-max_len=512",
        "-timeout=5",
        "-rss_limit_mb=512",
        &artifacts,
    ]);
    // It tells of every input that takes a new branch, on standard error.
    let log = folder.join(format!("{target}.log"));
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let result = run(command.stderr(file));
    let told = std::fs::read_to_string(&log).unwrap_or_default();
    match &result {
        Ok(()) => told.lines().filter(|line| line.starts_with("Done ")).for_each(|line| eprintln!("{line}")),
        Err(_) => told.lines().rev().take(30).collect::<Vec<_>>().iter().rev().for_each(|line| eprintln!("{line}")),
    }
    result
}

/// The platform that this machine compiles for.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not name its host".to_owned())
}
