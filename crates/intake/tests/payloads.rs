//! Bodies of each sender, with what becomes of them.
//!
//! `payloads/<kind>/<case>.body` has the raw bytes, `<case>.headers` a header a line, `<case>.expect` what is expected
//! in the words of `show` below. The receiver allows all images; it has the registry `registry.example` where its kind
//! needs one. A case is added by its first two files: the test that fails then says what the third would be.
//!
//! Whole and broken, all of them are also held to the rules that the fuzz targets of senders hold (`tests/fuzz`), which
//! begin with these bodies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

#[path = "../../../tests/fuzz/src/senders/check.rs"]
mod check;

use std::{
    collections::BTreeSet,
    fmt::{Display, Write as _},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use check::{NOW, Receivers};
use tagboat_intake::{Accepted, Headers, Kind, Receiver, Request, Tenancy, read_unverified};
use tagboat_model::{BuildFinished, Event, ImagePushed, RepositoryChange, RepositoryChanged, Trust};

const REGISTRY: &str = "registry.example";
/// Cases that each kind has at least.
const FEWEST: usize = 3;
/// Places in a body at which it is cut or changed.
const PLACES: usize = 64;

struct Case {
    kind: Kind,
    /// `quay/several-tags`
    name: String,
    headers: Headers,
    body: Vec<u8>,
    /// Absent while the case is being written.
    expect: Option<String>,
}

impl Case {
    fn got(&self) -> String {
        let request = Request { headers: &self.headers, path_token: None, body: &self.body, received_at: NOW };
        show(&read_unverified(&receiver(self.kind), &request, Trust::Signed))
    }
}

fn receiver(kind: Kind) -> Receiver {
    Receiver {
        name: "payloads".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        kind,
        credentials: Vec::new(),
        registry: kind.needs_registry().then(|| REGISTRY.to_owned()),
        repository: None,
        tenancy: Tenancy::Fixed,
        images: vec!["**".parse().unwrap()],
    }
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn folders() -> Vec<(Kind, PathBuf)> {
    let folders = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads"));
    let kind = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().parse::<Kind>().unwrap();
    folders.into_iter().map(|folder| (kind(&folder), folder)).collect()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, folder) in folders() {
        for body in entries(&folder).into_iter().filter(|path| extension(path) == "body") {
            let headers = fs::read_to_string(body.with_extension("headers")).unwrap_or_default();
            let header =
                |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
            cases.push(Case {
                kind,
                name: format!("{kind}/{}", body.file_stem().unwrap().to_str().unwrap()),
                headers: headers.lines().filter_map(header).collect(),
                expect: fs::read_to_string(body.with_extension("expect")).ok(),
                body: fs::read(&body).unwrap(),
            });
        }
    }
    cases
}

/// A key is shown as the sender gave it, unless it was made of the body.
fn shown_key(key: &str) -> &str {
    let is_hash = key.get(..64).is_some_and(|start| start.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match key.get(64..).filter(|_| is_hash) {
        Some("") => "(hashed)",
        Some(rest) if rest.starts_with('@') => "(body)",
        _ => key,
    }
}

fn show(accepted: &Accepted) -> String {
    let mut text = format!("verdict {}\nkey {}\n", accepted.verdict.word(), shown_key(&accepted.key));
    for event in &accepted.events {
        text += &match event {
            Event::ImagePushed(pushed) => show_pushed(pushed),
            Event::BuildFinished(built) => show_built(built),
            Event::RepositoryChanged(changed) => show_changed(changed),
            Event::InstallationsChanged { account } => format!("installations of {account}"),
        };
        text.push('\n');
    }
    for reason in &accepted.ignored {
        writeln!(text, "ignored {}", reason.code()).unwrap();
    }
    if let Some(subscription) = &accepted.subscription {
        writeln!(text, "subscription {}", subscription.url).unwrap();
    }
    text
}

/// A word and a value, where there is one.
fn optional<T: Display>(before: &str, value: Option<&T>) -> String {
    value.map(|value| format!("{before}{value}")).unwrap_or_default()
}

fn show_pushed(pushed: &ImagePushed) -> String {
    let mut text = format!("pushed {}:{}", pushed.image, pushed.tag);
    text += &optional(" @", pushed.claimed_digest.as_ref());
    text += &optional(" by ", pushed.actor.as_ref());
    text + &optional(" at ", pushed.pushed_at.as_ref())
}

fn show_built(built: &BuildFinished) -> String {
    let mut text = format!("built {}", built.repository);
    text += &optional(" revision ", built.revision.as_ref());
    text += &optional(" reference ", built.reference.as_ref());
    text + &optional(" by ", built.actor.as_ref())
}

fn show_changed(changed: &RepositoryChanged) -> String {
    let word = match changed.change {
        RepositoryChange::BranchMoved => "branchMoved",
        RepositoryChange::PullRequest => "pullRequest",
        RepositoryChange::Review => "review",
        RepositoryChange::Comment => "comment",
        RepositoryChange::Status => "status",
    };
    let mut text = format!("changed {word}");
    text += &optional(" #", changed.number.as_ref());
    text += &optional(" branch ", changed.branch.as_ref());
    text += &optional(" commit ", changed.commit.as_ref());
    text += &optional(" by ", changed.actor.as_ref());
    format!("{text} at {}", changed.addresses.join(", "))
}

/// Both texts, one above the other, with a mark at each line that the other lacks.
fn difference(expect: &str, got: &str) -> String {
    let marked = |text: &str, other: &str, mark: char| -> String {
        let has = |line: &str| other.lines().any(|there| there == line);
        text.lines().map(|line| format!("  {} {line}\n", if has(line) { ' ' } else { mark })).collect()
    };
    format!("  expected:\n{}  got:\n{}", marked(expect, got, '-'), marked(got, expect, '+'))
}

fn report(what: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{} {what}:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn each_body_becomes_what_is_expected() {
    let mut violations = Vec::new();
    for case in cases() {
        let got = case.got();
        match &case.expect {
            None => violations.push(format!("{}.expect is missing; it would be:\n{got}", case.name)),
            Some(expect) if expect.trim_end() != got.trim_end() => {
                violations.push(format!("{}\n{}", case.name, difference(expect.trim_end(), got.trim_end())));
            }
            Some(_) => {}
        }
    }
    report("bodies became something else", &violations);
}

#[test]
fn each_kind_of_sender_has_cases_and_each_case_its_body() {
    let cases = cases();
    let is_short = |kind: Kind| cases.iter().filter(|case| case.kind == kind).count() < FEWEST;
    let few = Kind::ALL.into_iter().filter(|kind| is_short(*kind));
    let mut violations: Vec<String> = few.map(|kind| format!("{kind} has fewer cases than {FEWEST}")).collect();
    for (_, folder) in folders() {
        for path in entries(&folder) {
            let is_known = ["body", "expect", "headers"].contains(&extension(&path));
            if !is_known || !path.with_extension("body").is_file() || !path.with_extension("headers").is_file() {
                violations.push(format!("{} belongs to no case with a body and headers", path.display()));
            }
        }
    }
    report("things are missing", &violations);
}

/// The body as it is, then cut off at each place, then with one bit turned at each place.
fn whole_and_broken(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("as it is".to_owned(), body.to_vec())];
    let places = |length: usize| (0..PLACES).map(move |step| (step, step * length / PLACES));
    for (_, place) in places(body.len() + 1) {
        all.push((format!("cut off at {place}"), body[..place].to_vec()));
    }
    for (step, place) in places(body.len()) {
        let mut changed = body.to_vec();
        if let Some(byte) = changed.get_mut(place) {
            *byte ^= 1_u8 << (step % 8);
        }
        all.push((format!("bit {} of byte {place} turned", step % 8), changed));
    }
    all
}

#[test]
fn whatever_becomes_of_a_body_whole_or_broken_keeps_the_rules() {
    let mut violations = Vec::new();
    for case in cases() {
        let receivers = Receivers::of(case.kind);
        for (how, body) in whole_and_broken(&case.body) {
            match catch_unwind(AssertUnwindSafe(|| receivers.faults(&case.headers, &body))) {
                Err(_) => violations.push(format!("{} {how}: panicked", case.name)),
                Ok(faults) => {
                    violations.extend(faults.iter().map(|fault| format!("{} {how}: {fault}", case.name)));
                }
            }
        }
    }
    report("bodies were not answered as they should be", &violations);
}

#[test]
#[ignore = "prints; for whoever writes cases: --ignored --nocapture print_what"]
#[allow(clippy::print_stdout, reason = "it is what this is for")]
fn print_what_each_body_becomes() {
    for case in cases() {
        println!("{}\n{}", case.name, case.got());
    }
}
