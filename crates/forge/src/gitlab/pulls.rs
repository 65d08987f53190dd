//! Merge requests: listed, opened, changed and merged.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tagboat_model::{MergeMethod, PullRequest};
use tagboat_ports::{AutoMerge, BOT_BRANCHES, Merge, Merged, NewPullRequest, PullRequestEdit};

use super::{GitlabForge, wire::MergeRequest};
use crate::{
    error::Failure,
    http::encoded,
    rest::{Answer, Repeat},
};

/// Of the open ones, and of those that are not any more.
const MOST_OPEN: usize = 3000;
const MOST_DONE: usize = 100;
const MOST_PATHS: usize = 3000;

#[derive(Deserialize)]
struct Diff {
    old_path: String,
    new_path: String,
}

fn titled(title: &str, draft: bool) -> String {
    if draft { format!("Draft: {title}") } else { title.to_owned() }
}

/// `auto_merge` is the name since 17.11. An older version does not know it and would merge at once, hence both, which
/// is permitted.
fn auto_merge_body(merge: &Merge) -> Value {
    let mut body = merge_body(merge);
    body["merge_when_pipeline_succeeds"] = json!(true);
    body["auto_merge"] = json!(true);
    body
}

fn merge_body(merge: &Merge) -> Value {
    let is_squash = merge.method == MergeMethod::Squash;
    let mut body = json!({ "sha": merge.head.as_str(), "squash": is_squash, "should_remove_source_branch": false });
    if merge.method != MergeMethod::Rebase && !merge.message.trim().is_empty() {
        let key = if is_squash { "squash_commit_message" } else { "merge_commit_message" };
        body[key] = json!(merge.message);
    }
    body
}

impl GitlabForge {
    fn request_path(&self, number: u64, rest: &str) -> String {
        self.path(&format!("/merge_requests/{number}{rest}"))
    }

    pub(super) async fn list_pulls(&self) -> Result<Vec<PullRequest>, Failure> {
        let sorted = "order_by=updated_at&sort=desc&scope=all";
        let mut found: Vec<MergeRequest> = Vec::new();
        for (state, most) in [("opened", MOST_OPEN), ("merged", MOST_DONE), ("closed", MOST_DONE)] {
            let path = self.path(&format!("/merge_requests?state={state}&{sorted}"));
            found.extend(self.rest.list::<MergeRequest>(&path, most).await?);
        }
        let ours = |request: &MergeRequest| {
            let is_known = request.is_open() || request.sha.is_some();
            request.is_of_this_repository() && request.head().starts_with(BOT_BRANCHES) && is_known
        };
        found.into_iter().filter(ours).map(MergeRequest::into_model).collect()
    }

    async fn request(&self, number: u64) -> Result<Option<MergeRequest>, Failure> {
        self.rest.find(&self.request_path(number, "")).await
    }

    pub(super) async fn known_request(&self, number: u64) -> Result<MergeRequest, Failure> {
        let found = self.request(number).await?;
        found.ok_or_else(|| Failure::permanent(format!("there is no merge request !{number}")))
    }

    pub(super) async fn read_pull(&self, number: u64) -> Result<Option<PullRequest>, Failure> {
        self.request(number).await?.map(MergeRequest::into_model).transpose()
    }

    async fn open_of(&self, new: &NewPullRequest) -> Result<Option<PullRequest>, Failure> {
        let (head, base) = (encoded(new.head.as_str()), encoded(new.base.as_str()));
        let query = format!("/merge_requests?state=opened&scope=all&source_branch={head}&target_branch={base}");
        let found: Vec<MergeRequest> = self.rest.list(&self.path(&query), 100).await?;
        let own = found.into_iter().find(MergeRequest::is_of_this_repository);
        own.map(MergeRequest::into_model).transpose()
    }

    pub(super) async fn open_pull(&self, new: &NewPullRequest) -> Result<PullRequest, Failure> {
        let body = json!({
            "source_branch": new.head.as_str(),
            "target_branch": new.base.as_str(),
            "title": titled(&new.title, new.draft),
            "description": new.body,
            "remove_source_branch": false,
        });
        let written = self.rest.write(Method::POST, &self.path("/merge_requests"), Some(&body), Repeat::Never).await;
        let answer = match written {
            Ok(answer) if answer.status == 409 => answer,
            Ok(answer) => return answer.success()?.json::<MergeRequest>()?.into_model(),
            Err(failure) if failure.unknown => return self.open_of(new).await?.ok_or(failure),
            Err(failure) => return Err(failure),
        };
        self.open_of(new).await?.ok_or_else(|| answer.refusal())
    }

    pub(super) async fn edit_pull(&self, number: u64, edit: &PullRequestEdit) -> Result<(), Failure> {
        let mut body = Map::new();
        if let Some(title) = self.new_title(number, edit).await? {
            body.insert("title".to_owned(), json!(title));
        }
        if let Some(text) = &edit.body {
            body.insert("description".to_owned(), json!(text));
        }
        if let Some(open) = edit.open
            && self.known_request(number).await?.is_open() != open
        {
            body.insert("state_event".to_owned(), json!(if open { "reopen" } else { "close" }));
        }
        if body.is_empty() {
            return Ok(());
        }
        self.change(number, &Value::Object(body)).await.map(|_| ())
    }

    /// Whether it is a draft is in the title.
    async fn new_title(&self, number: u64, edit: &PullRequestEdit) -> Result<Option<String>, Failure> {
        if let (Some(title), Some(draft)) = (&edit.title, edit.draft) {
            return Ok(Some(titled(title, draft)));
        }
        if edit.title.is_none() && edit.draft.is_none() {
            return Ok(None);
        }
        let (draft, title) = self.known_request(number).await?.title();
        Ok(Some(titled(edit.title.as_ref().unwrap_or(&title), edit.draft.unwrap_or(draft))))
    }

    pub(super) async fn change(&self, number: u64, body: &Value) -> Result<MergeRequest, Failure> {
        let path = self.request_path(number, "");
        self.rest.write(Method::PUT, &path, Some(body), Repeat::Harmless).await?.success()?.json()
    }

    pub(super) async fn merge_pull(&self, number: u64, merge: &Merge) -> Result<Merged, Failure> {
        let path = self.request_path(number, "/merge");
        match self.rest.write(Method::PUT, &path, Some(&merge_body(merge)), Repeat::Never).await {
            Ok(answer) if answer.is_success() => {
                let request: MergeRequest = answer.json()?;
                match request.merge_error {
                    Some(words) if request.state != "merged" => Ok(Merged::NotNow(words)),
                    _ => Ok(Merged::Done),
                }
            }
            // 401 is said to whoever may not merge, too.
            Ok(answer) if matches!(answer.status, 401 | 404) => Err(answer.refusal()),
            Ok(answer) => self.why_not(number, merge, &answer).await,
            Err(failure) if failure.unknown => match self.request(number).await? {
                Some(request) if request.is_merged() => Ok(Merged::Done),
                _ => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }

    async fn why_not(&self, number: u64, merge: &Merge, answer: &Answer) -> Result<Merged, Failure> {
        let request = self.known_request(number).await?;
        if request.is_merged() {
            return Ok(Merged::Done);
        }
        let is_moved = request.sha.as_deref().is_some_and(|sha| sha != merge.head.as_str());
        let words = answer.words();
        if is_moved || words.contains("SHA does not match") {
            return Ok(Merged::HeadMoved);
        }
        if !matches!(answer.status, 405 | 406 | 409 | 422) {
            return Err(answer.refusal());
        }
        Ok(Merged::NotNow(match request.detailed_merge_status {
            Some(status) => format!("{words} ({})", status.replace('_', " ")),
            None => words,
        }))
    }

    pub(super) async fn enable_auto_merge(&self, number: u64, merge: &Merge) -> Result<AutoMerge, Failure> {
        let request = self.known_request(number).await?;
        if request.merge_when_pipeline_succeeds || request.is_merged() {
            return Ok(AutoMerge::Set);
        }
        if !request.is_open() {
            return Ok(AutoMerge::Unavailable("it is closed".to_owned()));
        }
        let path = self.request_path(number, "/merge");
        let answer = self.rest.write(Method::PUT, &path, Some(&auto_merge_body(merge)), Repeat::Never).await?;
        if answer.is_success() {
            return Ok(AutoMerge::Set);
        }
        if !matches!(answer.status, 405 | 406 | 409 | 422) {
            return Err(answer.refusal());
        }
        // No pipeline is running, so that there is nothing that auto-merge could wait for.
        let is_ready = request.detailed_merge_status.as_deref() == Some("mergeable");
        let is_same = request.sha.as_deref() == Some(merge.head.as_str());
        Ok(if is_ready && is_same { AutoMerge::MergeNow } else { AutoMerge::Unavailable(answer.words()) })
    }

    pub(super) async fn disable_auto_merge(&self, number: u64) -> Result<AutoMerge, Failure> {
        if !self.known_request(number).await?.merge_when_pipeline_succeeds {
            return Ok(AutoMerge::Set);
        }
        let path = self.request_path(number, "/cancel_merge_when_pipeline_succeeds");
        let answer = self.rest.write(Method::POST, &path, None, Repeat::Harmless).await?;
        if matches!(answer.status, 401 | 403) {
            return Err(answer.refusal());
        }
        // Some versions refuse with a success.
        if self.known_request(number).await?.merge_when_pipeline_succeeds {
            return Ok(AutoMerge::Unavailable(answer.words()));
        }
        Ok(AutoMerge::Set)
    }

    pub(super) async fn list_changed_paths(&self, number: u64) -> Result<Vec<String>, Failure> {
        let found: Vec<Diff> = self.rest.list(&self.request_path(number, "/diffs"), MOST_PATHS).await?;
        let mut paths = Vec::new();
        for diff in found {
            if diff.old_path != diff.new_path {
                paths.push(diff.old_path);
            }
            paths.push(diff.new_path);
        }
        paths.truncate(MOST_PATHS);
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(method: MergeMethod) -> Merge {
        Merge { head: "1".repeat(40).parse().unwrap(), method, message: "Deploy\n\nAll of it".to_owned() }
    }

    #[test]
    fn the_message_goes_where_a_commit_is_made() {
        assert_eq!(merge_body(&merge(MergeMethod::Merge))["merge_commit_message"], "Deploy\n\nAll of it");
        let squash = merge_body(&merge(MergeMethod::Squash));
        assert_eq!(
            (&squash["squash"], &squash["squash_commit_message"]),
            (&json!(true), &json!("Deploy\n\nAll of it"))
        );
        assert_eq!(merge_body(&merge(MergeMethod::Rebase)).as_object().unwrap().len(), 3);
    }

    #[test]
    fn auto_merge_is_asked_for_in_both_words() {
        let body = auto_merge_body(&merge(MergeMethod::Merge));
        assert_eq!((&body["auto_merge"], &body["merge_when_pipeline_succeeds"]), (&json!(true), &json!(true)));
        assert_eq!(body["sha"], "1".repeat(40));
    }
}
