//! What these scenarios ask of a world: its command line, its API, and what was said at GitHub.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

/// Run a command of the binary against the server: exit code, and what it wrote to both streams.
pub(crate) fn tell(world: &GithubWorld, arguments: &[&str]) -> (Option<i32>, String) {
    let server = world.url("");
    let mut all = arguments.to_vec();
    all.extend(["--server", server.as_str()]);
    let output = world.run(&all);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

/// The same, which succeeds.
pub(crate) fn done(world: &GithubWorld, arguments: &[&str]) -> String {
    let (code, text) = tell(world, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

/// What the API says of an image in an environment; nothing where it is not known.
pub(crate) async fn image_in(world: &GithubWorld, environment: &str, entry: &str) -> Value {
    let board = world.get("/api/v1/environments").await;
    let environments = board["environments"].as_array().cloned().unwrap_or_default();
    let found = environments.iter().find(|shown| shown["environment"] == environment);
    let images = found.and_then(|shown| shown["images"].as_array().cloned()).unwrap_or_default();
    images.into_iter().find(|image| image["entry"] == entry).unwrap_or_default()
}

/// Every hold as a sentence, in alphabetical order.
pub(crate) async fn holds(world: &GithubWorld) -> Vec<String> {
    let holds = world.get("/api/v1/holds").await;
    let all = holds["holds"].as_array().cloned().unwrap_or_default();
    let mut words: Vec<String> = all.iter().filter_map(|hold| hold["words"].as_str()).map(str::to_owned).collect();
    words.sort();
    words
}

/// The reasons of the newest decision for an image, in one text.
pub(crate) async fn reasons(world: &GithubWorld, environment: &str, entry: &str) -> String {
    let image = image_in(world, environment, entry).await;
    let reasons = image["decision"]["explanation"].as_array().cloned().unwrap_or_default();
    reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// What the App wrote as comments.
pub(crate) fn answers(world: &GithubWorld, number: u64) -> Vec<String> {
    let comments = world.github.comments(REPOSITORY, number);
    comments.into_iter().filter(|(author, _)| author.ends_with("[bot]")).map(|(_, body)| body).collect()
}

/// The newest status `tagboat/gates` of a commit: state and description.
pub(crate) fn gates_status(world: &GithubWorld, commit: &str) -> Option<(String, String)> {
    let path = format!("/repos/{REPOSITORY}/statuses/{commit}");
    let mut written = world.github.requests().into_iter().filter(|seen| seen.method == "POST" && seen.status == 201);
    let last = written.rfind(|seen| seen.path == path && seen.body["context"] == "tagboat/gates")?;
    let text = |key: &str| last.body[key].as_str().unwrap_or_default().to_owned();
    Some((text("state"), text("description")))
}

/// The check runs that were made for a commit, as they were given, the newest last.
pub(crate) fn check_runs(world: &GithubWorld, commit: &str) -> Vec<Value> {
    let path = format!("/repos/{REPOSITORY}/check-runs");
    let made = world.github.requests().into_iter().filter(|seen| seen.method == "POST" && seen.status == 201);
    made.filter(|seen| seen.path == path && seen.body["head_sha"] == commit).map(|seen| seen.body).collect()
}

/// The head commit of a pull request.
pub(crate) fn head_of(world: &GithubWorld, number: u64) -> String {
    world.github.pull(REPOSITORY, number)["head"]["sha"].as_str().unwrap_or_default().to_owned()
}

/// The text of a pull request or an issue.
pub(crate) fn text_of(world: &GithubWorld, number: u64) -> String {
    world.github.issue(REPOSITORY, number)["body"].as_str().unwrap_or_default().to_owned()
}

/// Whether a pull request was merged.
pub(crate) fn is_merged(world: &GithubWorld, number: u64) -> bool {
    world.github.pull(REPOSITORY, number)["merged"] == true
}

/// The number of the commits that a branch has.
pub(crate) fn commits(world: &GithubWorld, branch: &str) -> usize {
    git(world, &["rev-list", "--count", branch]).trim().parse().unwrap()
}

/// What git says of the config repository.
pub(crate) fn git(world: &GithubWorld, arguments: &[&str]) -> String {
    let folder = world.github.folder(REPOSITORY);
    let output = std::process::Command::new("git").arg("--git-dir").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A text of the set-up, with the registry in it.
pub(crate) fn with_host(world: &GithubWorld, text: &str) -> String {
    text.replace("HOST", &world.registry.host())
}

/// The weekday so many days from now, as windows write it, in UTC.
pub(crate) fn weekday(days: u64) -> &'static str {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    // The first day of all was a Thursday.
    DAYS[usize::try_from((today + days) % 7).unwrap()]
}
