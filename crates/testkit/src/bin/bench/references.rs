//! All references of a work tree of 10,000 and 50,000 YAML files, by the real binary, beside `grep -r` as the floor and a
//! plain parse of every file with a serde YAML crate. Two kinds of work tree: 5 % of the files name an image, and all do.
//! Cold, with the page cache dropped before each run, where the machine lets it; and warm. Each run is a process of its own.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize as _;

use crate::{Setup, figure, say, show};

/// How many files, when nobody says otherwise.
const SIZES: [usize; 2] = [10_000, 50_000];
/// Of so many files one names an image.
const ONE_IN: [(usize, &str); 2] = [(20, "5 % name an image"), (1, "all name an image")];
const FILES_IN_A_FOLDER: usize = 20;

pub(crate) fn run(setup: &Setup) {
    let sizes: Vec<usize> = if setup.files == 0 { SIZES.to_vec() } else { vec![setup.files] };
    for files in sizes {
        for (one_in, what) in ONE_IN {
            compare(setup, files, one_in, what);
        }
    }
}

fn compare(setup: &Setup, files: usize, one_in: usize, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = corpus(folder.path(), files, one_in);
    let megabytes = bytes / 1_000_000;
    say(&format!("{files} files, {megabytes} MB, {what}; {} rounds, ms: median (least .. most)", setup.rounds));
    if drop_caches() {
        compare_in_turn(setup, false, folder.path(), one_in, &format!("{files} files, {what}, cold"), files);
    } else {
        say("the page cache cannot be dropped here");
    }
    compare_in_turn(setup, true, folder.path(), one_in, &format!("{files} files, {what}, warm"), files);
}

/// In turn, so that what else the machine does meets all three.
fn compare_in_turn(setup: &Setup, warm: bool, folder: &Path, one_in: usize, what: &str, files: usize) {
    let (mut tagboat, mut grep, mut parse) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setup.rounds {
        tagboat.push(timed(warm, || references(&setup.binary, folder, files / one_in)));
        grep.push(timed(warm, || count(Command::new("grep").args(["-rE", "image:"]).arg(folder), files / one_in)));
        parse.push(timed(warm, || parse_all(folder, files)));
    }
    let name = |program: &str| format!("{what}: {program}");
    let tagboat = show(&name("tagboat references"), tagboat);
    let grep = show(&name("grep -r"), grep);
    let parse = show(&name("serde YAML, each file"), parse);
    figure(&name("tagboat / grep"), tagboat / grep, "");
    figure(&name("tagboat / serde YAML"), tagboat / parse, "");
}

fn timed(warm: bool, run: impl FnOnce()) -> Duration {
    if !warm {
        drop_caches();
    }
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Whether this process may forget what was read of files.
fn drop_caches() -> bool {
    // What is dirty cannot be dropped.
    Command::new("sync").status().is_ok() && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

fn references(binary: &Path, folder: &Path, expected: usize) {
    let output = Command::new(binary).arg("references").arg(folder).args(["--output", "json"]).output().unwrap();
    // Counted as cheaply as the lines of `grep` are: reading the answer is nobody's work here.
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("\"format\":").count(), expected);
}

/// Lines that a program prints. Its output is read: `grep` stops early when nobody does.
fn count(command: &mut Command, expected: usize) {
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), expected);
}

fn parse_all(folder: &Path, expected: usize) {
    let (mut folders, mut parsed) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap();
            for document in yaml_serde::Deserializer::from_str(&text) {
                yaml_serde::Value::deserialize(document).unwrap();
            }
            parsed += 1;
        }
    }
    assert_eq!(parsed, expected);
}

/// Write the work tree; returns how many bytes it has.
fn corpus(root: &Path, files: usize, one_in: usize) -> usize {
    let mut bytes = 0;
    for number in 0..files {
        let folder = root.join(format!("apps/team-{}/app-{}", number / 1000, number / FILES_IN_A_FOLDER));
        if number % FILES_IN_A_FOLDER == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        let text = if number % one_in == 0 { deployment(number) } else { other(number) };
        bytes += text.len();
        fs::write(folder.join(format!("file-{number}.yaml")), text).unwrap();
    }
    bytes
}

fn deployment(number: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{number}\n  namespace: team\n  labels:\n    app.kubernetes.io/name: app-{number}\n    app.kubernetes.io/part-of: shop\nspec:\n  replicas: 2\n  selector:\n    matchLabels: {{app.kubernetes.io/name: app-{number}}}\n  template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: app-{number}\n    spec:\n      serviceAccountName: app-{number}\n      containers:\n      - name: app\n        image: ghcr.io/acme/app-{number}:1.{}.0 # chosen by policy\n        ports:\n        - {{name: http, containerPort: 8080}}\n        env:\n        - name: LOG_LEVEL\n          value: \"info\"\n        resources:\n          requests: {{cpu: 100m, memory: 64Mi}}\n          limits: {{memory: 128Mi}}\n        readinessProbe:\n          httpGet: {{path: /healthz, port: http}}\n          periodSeconds: 5\n",
        number % 90
    )
}

fn other(number: usize) -> String {
    let mut text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings-{number}\n  namespace: team\ndata:\n");
    for key in 0..20 {
        let _ = writeln!(text, "  SETTING_{key}: \"value {key} of {number}\" # used by the app");
    }
    text
}
