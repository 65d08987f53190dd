//! Commit statuses and check runs: read together, written where they differ from what stands there.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{Check, CheckState, CommitId};
use tagboat_ports::{Annotation, Report};

use super::{GithubForge, Who, client::Repeat};
use crate::{checks::worst_of_each_name, error::Failure};

/// Of a status, in characters.
const LONGEST_TEXT: usize = 140;
/// Of a check run's text, in bytes.
const LONGEST_SUMMARY: usize = 65_535;
/// Of one request.
const MOST_ANNOTATIONS: usize = 50;

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    #[serde(default)]
    output: Output,
    app: Option<AppOfRun>,
}

#[derive(Default, Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
    #[serde(default)]
    annotations_count: u64,
}

#[derive(Deserialize)]
struct AppOfRun {
    id: u64,
}

#[derive(Deserialize)]
struct MadeRun {
    id: u64,
}

fn state_of_status(state: &str) -> CheckState {
    match state {
        "success" => CheckState::Success,
        "pending" => CheckState::Pending,
        _ => CheckState::Failure,
    }
}

/// As branch protection counts them.
fn state_of_run(status: &str, conclusion: Option<&str>) -> CheckState {
    match (status, conclusion) {
        ("completed", Some("success" | "neutral" | "skipped")) => CheckState::Success,
        ("completed", _) => CheckState::Failure,
        _ => CheckState::Pending,
    }
}

fn word(state: CheckState) -> &'static str {
    match state {
        CheckState::Pending => "pending",
        CheckState::Success => "success",
        CheckState::Failure => "failure",
    }
}

/// The beginning of a text, so many characters at most.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The same in bytes.
fn bounded(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The body of a check run without its annotations.
fn run_body(commit: &CommitId, report: &Report) -> Value {
    let summary = if report.summary.trim().is_empty() { &report.title } else { &report.summary };
    let mut body = json!({
        "name": report.name,
        "head_sha": commit.as_str(),
        "output": { "title": report.title, "summary": bounded(summary, LONGEST_SUMMARY) },
    });
    match report.state {
        CheckState::Pending => body["status"] = json!("in_progress"),
        state => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(word(state));
        }
    }
    body
}

fn annotations(all: &[Annotation], state: CheckState) -> Value {
    let level = if state == CheckState::Failure { "failure" } else { "warning" };
    let each = all.iter().map(|annotation| {
        json!({
            "path": annotation.path,
            "start_line": annotation.line,
            "end_line": annotation.line,
            "annotation_level": level,
            "message": annotation.message,
        })
    });
    each.collect()
}

impl GithubForge {
    async fn statuses(&self, commit: &CommitId) -> Result<Vec<Check>, Failure> {
        let path = self.path(&format!("/commits/{commit}/status"));
        let found: Vec<Status> = self.client.list(&path, Some("statuses")).await?;
        let checks = found.into_iter().map(|status| Check {
            name: status.context,
            state: state_of_status(&status.state),
            text: status.description.unwrap_or_default(),
            url: status.target_url.filter(|url| !url.is_empty()),
        });
        Ok(checks.collect())
    }

    async fn runs(&self, commit: &CommitId) -> Result<Vec<CheckRun>, Failure> {
        let path = self.path(&format!("/commits/{commit}/check-runs?filter=latest"));
        self.client.list(&path, Some("check_runs")).await
    }

    pub(super) async fn list_checks(&self, commit: &CommitId) -> Result<Vec<Check>, Failure> {
        let mut checks = self.statuses(commit).await?;
        // Each suite has its latest; whoever may start another suite or set a status hides none of them by that.
        checks.extend(self.runs(commit).await?.into_iter().map(|run| Check {
            state: state_of_run(&run.status, run.conclusion.as_deref()),
            name: run.name,
            text: run.output.title.unwrap_or_default(),
            url: run.html_url,
        }));
        Ok(worst_of_each_name(checks))
    }

    pub(super) async fn write_status(&self, commit: &CommitId, status: &Check) -> Result<(), Failure> {
        let wanted = Check { text: shortened(&status.text, LONGEST_TEXT), ..status.clone() };
        if self.statuses(commit).await?.contains(&wanted) {
            return Ok(());
        }
        let path = self.path(&format!("/statuses/{commit}"));
        let mut body = json!({ "state": word(wanted.state), "context": wanted.name, "description": wanted.text });
        if let Some(url) = wanted.url {
            body["target_url"] = json!(url);
        }
        self.client.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?.success().map(|_| ())
    }

    pub(super) async fn write_report(&self, commit: &CommitId, report: &Report) -> Result<(), Failure> {
        let Who::App { app, .. } = &self.who else {
            // Check runs are for Apps alone.
            return self.status_instead(commit, report).await;
        };
        let own = app.identity().await?.id;
        let body = run_body(commit, report);
        let runs = self.runs(commit).await?;
        let ours =
            runs.into_iter().filter(|run| run.name == report.name && run.app.as_ref().is_some_and(|it| it.id == own));
        let there = ours.max_by_key(|run| run.id);
        if there.as_ref().is_some_and(|run| stands(run, &body, report)) {
            return Ok(());
        }
        // Annotations can only be added to: what had some gets a successor.
        let replaced = there.filter(|run| run.output.annotations_count == 0).map(|run| run.id);
        self.send_run(commit, report, body, replaced).await
    }

    async fn send_run(
        &self,
        commit: &CommitId,
        report: &Report,
        mut body: Value,
        replaced: Option<u64>,
    ) -> Result<(), Failure> {
        let mut parts = report.annotations.chunks(MOST_ANNOTATIONS);
        body["output"]["annotations"] = annotations(parts.next().unwrap_or_default(), report.state);
        let (method, path) = match replaced {
            Some(id) => (Method::PATCH, self.path(&format!("/check-runs/{id}"))),
            None => (Method::POST, self.path("/check-runs")),
        };
        if let (Some(_), Some(fields)) = (replaced, body.as_object_mut()) {
            fields.remove("head_sha");
        }
        let answer = self.client.write(method, &path, Some(&body), Repeat::Harmless).await?;
        if answer.status == 403 {
            return self.status_instead(commit, report).await;
        }
        let made: MadeRun = answer.success()?.json()?;
        let path = self.path(&format!("/check-runs/{}", made.id));
        for part in parts {
            let mut output = body["output"].clone();
            output["annotations"] = annotations(part, report.state);
            let more = json!({ "output": output });
            self.client.write(Method::PATCH, &path, Some(&more), Repeat::Never).await?.success()?;
        }
        Ok(())
    }

    async fn status_instead(&self, commit: &CommitId, report: &Report) -> Result<(), Failure> {
        let (name, text) = (report.name.clone(), report.title.clone());
        self.write_status(commit, &Check { name, state: report.state, text, url: None }).await
    }
}

/// Whether a run says this already.
fn stands(run: &CheckRun, body: &Value, report: &Report) -> bool {
    let output = &body["output"];
    run.output.title.as_deref() == output["title"].as_str()
        && run.output.summary.as_deref() == output["summary"].as_str()
        && state_of_run(&run.status, run.conclusion.as_deref()) == report.state
        && u64::try_from(report.annotations.len()) == Ok(run.output.annotations_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_and_skipped_runs_count_as_green() {
        for conclusion in ["success", "neutral", "skipped"] {
            assert_eq!(state_of_run("completed", Some(conclusion)), CheckState::Success);
        }
        for conclusion in ["failure", "cancelled", "timed_out", "action_required", "stale"] {
            assert_eq!(state_of_run("completed", Some(conclusion)), CheckState::Failure);
        }
        assert_eq!(state_of_run("in_progress", None), CheckState::Pending);
        assert_eq!(state_of_run("queued", None), CheckState::Pending);
        assert_eq!([state_of_status("error"), state_of_status("pending")], [CheckState::Failure, CheckState::Pending]);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("äbc", 3), "äbc");
        assert_eq!(shortened("äbcd", 3), "äb…");
        assert_eq!((bounded("äb", 1), bounded("äb", 2), bounded("äb", 9)), ("", "ä", "äb"));
    }

    #[test]
    fn a_run_without_an_end_has_no_conclusion() {
        let commit: CommitId = "1".repeat(40).parse().unwrap();
        let report = |state| Report {
            name: "tagboat".to_owned(),
            state,
            title: "Title".to_owned(),
            summary: String::new(),
            annotations: vec![Annotation { path: "a.yaml".to_owned(), line: 3, message: "no".to_owned() }],
        };
        let body = run_body(&commit, &report(CheckState::Pending));
        assert_eq!((&body["status"], body.get("conclusion")), (&json!("in_progress"), None));
        assert_eq!(body["output"]["summary"], "Title", "GitHub wants one");
        let body = run_body(&commit, &report(CheckState::Failure));
        assert_eq!((&body["status"], &body["conclusion"]), (&json!("completed"), &json!("failure")));
        let all = annotations(&report(CheckState::Failure).annotations, CheckState::Failure);
        assert_eq!(all[0]["annotation_level"], "failure");
        assert_eq!((&all[0]["start_line"], &all[0]["end_line"]), (&json!(3), &json!(3)));
    }
}
