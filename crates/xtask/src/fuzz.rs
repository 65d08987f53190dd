//! `cargo xtask fuzz`: LLVM's fuzzer over the targets in `tests/fuzz`, without further tools and on stable Rust.

use std::{fs::File, path::Path, process::Command};

use crate::run;

/// What cargo-fuzz sets too: the program tells which branches an input took, and what it was compared with.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// A program in `tests/fuzz` with the inputs that it begins with.
struct Target {
    name: &'static str,
    longest: u32,
    seeds: Seeds,
}

enum Seeds {
    Texts(&'static [&'static str]),
    /// Folders of `crates/manifest/tests/golden`.
    Golden(&'static [&'static str]),
}

/// One input for each way to choose.
const POLICY: Target = Target {
    name: "policy",
    longest: 512,
    seeds: Seeds::Texts(&[
        "s^1.4 || >=2.0.0-rc.1 <3\n1.4.0\n1.10.0\nv2.0.0-rc.1\n01.5.0\nlatest\n",
        "s1.2 - 2.0, !=1.5.x\n1.5.3\n2.0.9\n",
        "n^main-[a-f0-9]+-(?P<ts>[0-9]+) $ts\nmain-0ab1-1700\nmain-ff-99999999999999999999\n",
        "f^v?(.*)$ ${1}\nv1.2.3\n1.2.3\n",
        "x-rc ^v?[0-9]\n1.0-rc\nv1\n",
        "g*-[a-z]?\n1.0-rc\n1.0\n",
        "k~1.26\n1.26\n1.26.3-0\n",
    ]),
};

const fn format(name: &'static str, golden: &'static [&'static str]) -> Target {
    Target { name, longest: 4096, seeds: Seeds::Golden(golden) }
}

/// One target for each format that is edited.
const FORMATS: [Target; 11] = [
    format("kubernetes", &["kubernetes-objects", "config-map", "json-patch", "k3s-chart", "yaml-hazards", "sops"]),
    format("json", &["kubernetes-json"]),
    format("kustomization", &["kustomization", "kustomize-component"]),
    format("helm_values", &["helm-values", "anchors", "anchors-shared"]),
    format("helm_template", &["helm-template"]),
    format("flux", &["flux", "flux-oci"]),
    format("argocd", &["argocd"]),
    format("argocd_source", &["argocd-source"]),
    format("compose", &["compose"]),
    format("dockerfile", &["dockerfile", "dockerfile-shared"]),
    Target {
        name: "claims",
        longest: 1024,
        seeds: Seeds::Texts(&[
            "pweb.image.tag\nweb:\n  image:\n    repository: r\n",
            "pa[name=x].b[0]\na:\n- {name: x, b: ['1.4.0']}\n",
            "p[\"a.b\"]\n{\"a.b\": ghcr.io/acme/web:1}\n",
            "jweb.tag\n{\"web\": {\"a\": [1]}}\n",
            "tbuild.image\n[build]\nimage = \"ghcr.io/acme/web:1.4.0\"\n",
            "r=(?P<image>\\S+)|v(?P<tag>[0-9.]+)\nx=ghcr.io/acme/web:1 v1.4\n",
        ]),
    },
];

/// Fuzz a target, or with `formats` one after the other, for some seconds each.
pub(crate) fn run_named(name: &str, seconds: u64) -> Result<(), String> {
    match name {
        "policy" => run_target(&POLICY, seconds),
        "formats" => FORMATS.iter().try_for_each(|target| run_target(target, seconds)),
        name => {
            let names: Vec<&str> = FORMATS.iter().map(|target| target.name).collect();
            let found = FORMATS.iter().find(|target| target.name == name);
            let unknown = || format!("there is no target `{name}` (there are: policy, formats, {})", names.join(", "));
            run_target(found.ok_or_else(unknown)?, seconds)
        }
    }
}

fn seeds(seeds: &Seeds) -> Result<Vec<Vec<u8>>, String> {
    let folders = match seeds {
        Seeds::Texts(texts) => return Ok(texts.iter().map(|text| text.as_bytes().to_vec()).collect()),
        Seeds::Golden(folders) => folders,
    };
    let mut all = Vec::new();
    for folder in *folders {
        let folder = Path::new("crates/manifest/tests/golden").join(folder);
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !path.ends_with("expected.txt") {
                all.push(std::fs::read(path).map_err(failed)?);
            }
        }
    }
    Ok(all)
}

/// Fuzz one target for some seconds. New inputs and what fails stay below `target/fuzz`.
fn run_target(target: &Target, seconds: u64) -> Result<(), String> {
    let name = target.name;
    let folder = Path::new("target/fuzz");
    let corpus = folder.join("corpus").join(name);
    let write = |name: String, seed: &[u8]| std::fs::write(corpus.join(name), seed);
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    for (index, seed) in seeds(&target.seeds)?.iter().enumerate() {
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
        name,
    ]);
    command.arg("--target-dir").arg(folder).env("RUSTFLAGS", COVERAGE).arg("--").arg(&corpus);
    let artifacts = format!("-artifact_prefix={}/", folder.display());
    command.args([
        &format!("-max_total_time={seconds}"),
        &format!("-max_len={}", target.longest),
        "-timeout=5",
        "-rss_limit_mb=512",
        &artifacts,
    ]);
    // It tells of every input that takes a new branch, on standard error.
    let log = folder.join(format!("{name}.log"));
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let result = run(command.stderr(file));
    let told = std::fs::read_to_string(&log).unwrap_or_default();
    match &result {
        Ok(()) => told.lines().filter(|line| line.starts_with("Done ")).for_each(|line| eprintln!("{name}: {line}")),
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
