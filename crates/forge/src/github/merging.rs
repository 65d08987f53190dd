//! Merging a pull request now, or having GitHub do it; and what people said of it in reviews.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tagboat_model::{Account, MergeMethod, Review, ReviewState};
use tagboat_ports::{AutoMerge, Merge, Merged};

use super::{
    GithubForge,
    client::Repeat,
    graphql::{GraphAnswer, GraphError, change},
    wire::{Pull, User, account_of, commit},
};
use crate::{error::Failure, http::one_line};

const ENABLE: &str = "mutation($input: EnablePullRequestAutoMergeInput!) { enablePullRequestAutoMerge(input: $input) { pullRequest { isInMergeQueue } } }";
const DISABLE: &str = "mutation($input: DisablePullRequestAutoMergeInput!) { disablePullRequestAutoMerge(input: $input) { pullRequest { isInMergeQueue } } }";
const DEQUEUE: &str =
    "mutation($input: DequeuePullRequestInput!) { dequeuePullRequest(input: $input) { clientMutationId } }";

#[derive(Deserialize)]
struct WireReview {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
}

/// The first line, and what stands below it.
pub(super) fn split(message: &str) -> (&str, &str) {
    let (headline, body) = message.split_once('\n').unwrap_or((message, ""));
    (headline.trim_end(), body.trim_start_matches(['\n', '\r']).trim_end())
}

fn word(method: MergeMethod) -> &'static str {
    match method {
        MergeMethod::Merge => "merge",
        MergeMethod::Squash => "squash",
        MergeMethod::Rebase => "rebase",
    }
}

/// What a refusal to merge says.
fn speaks_of_queue(words: &str) -> bool {
    words.to_ascii_lowercase().contains("merge queue")
}

impl GithubForge {
    pub(super) async fn merge_pull(&self, number: u64, merge: &Merge) -> Result<Merged, Failure> {
        let mut body = json!({ "sha": merge.head.as_str(), "merge_method": word(merge.method) });
        if merge.method != MergeMethod::Rebase && !merge.message.trim().is_empty() {
            let (headline, rest) = split(&merge.message);
            body["commit_title"] = json!(headline);
            body["commit_message"] = json!(rest);
        }
        let path = self.path(&format!("/pulls/{number}/merge"));
        let answer = match self.client.write(Method::PUT, &path, Some(&body), Repeat::Never).await {
            Ok(answer) => answer,
            Err(failure) if failure.unknown => {
                return if self.is_merged(number).await? { Ok(Merged::Done) } else { Err(failure) };
            }
            Err(failure) => return Err(failure),
        };
        let words = answer.words();
        if matches!(answer.status, 405 | 422) && self.is_merged(number).await? {
            return Ok(Merged::Done);
        }
        match answer.status {
            405 if speaks_of_queue(&words) => self.put_into_queue(number, merge).await,
            405 | 422 => Ok(Merged::NotNow(words)),
            409 => Ok(Merged::HeadMoved),
            _ => answer.success().map(|_| Merged::Done),
        }
    }

    async fn is_merged(&self, number: u64) -> Result<bool, Failure> {
        let merged = |pull: Pull| pull.into_model(false).map(|pull| pull.state == tagboat_model::PullState::Merged);
        Ok(self.pull(number).await?.map(merged).transpose()?.unwrap_or(false))
    }

    /// Where there is a queue, auto-merge is the way into it.
    async fn put_into_queue(&self, number: u64, merge: &Merge) -> Result<Merged, Failure> {
        self.queue.is_there();
        Ok(Merged::NotNow(match self.enable_auto_merge(number, merge).await? {
            AutoMerge::Set => "it waits in the merge queue".to_owned(),
            AutoMerge::MergeNow => "the branch has a merge queue, and GitHub does not put it there".to_owned(),
            AutoMerge::Unavailable(words) => words,
        }))
    }

    pub(super) async fn enable_auto_merge(&self, number: u64, merge: &Merge) -> Result<AutoMerge, Failure> {
        let pull = self.known_pull(number).await?;
        if pull.is_auto_merging() {
            return Ok(AutoMerge::Set);
        }
        let mut input = Map::new();
        let mut set = |key: &str, value: &str| input.insert(key.to_owned(), Value::from(value));
        set("pullRequestId", &pull.node_id);
        set("mergeMethod", &word(merge.method).to_ascii_uppercase());
        set("expectedHeadOid", merge.head.as_str());
        if merge.method != MergeMethod::Rebase && !merge.message.trim().is_empty() {
            let (headline, rest) = split(&merge.message);
            set("commitHeadline", headline);
            set("commitBody", rest);
        }
        match change(&self.client, ENABLE, &Value::Object(input)).await? {
            GraphAnswer::Data(data) => {
                self.queue.may_take(number);
                if data["enablePullRequestAutoMerge"]["pullRequest"]["isInMergeQueue"] == true {
                    self.queue.is_there();
                }
                Ok(AutoMerge::Set)
            }
            GraphAnswer::Refused(error) => not_enabled(&error),
        }
    }

    pub(super) async fn disable_auto_merge(&self, number: u64) -> Result<AutoMerge, Failure> {
        let pull = self.known_pull(number).await?;
        if pull.is_auto_merging() {
            let refused = change(&self.client, DISABLE, &json!({ "pullRequestId": pull.node_id })).await?;
            if let GraphAnswer::Refused(error) = refused
                && self.known_pull(number).await?.is_auto_merging()
            {
                return refusal(&error);
            }
        } else if pull.is_open()
            && self.queued(&[number]).await?.contains(&number)
            && let GraphAnswer::Refused(error) = change(&self.client, DEQUEUE, &json!({ "id": pull.node_id })).await?
        {
            return refusal(&error);
        }
        self.queue.let_go(number);
        Ok(AutoMerge::Set)
    }

    /// The newest of each person that says something; a remark takes no approval back, a dismissal does.
    pub(super) async fn list_reviews(&self, number: u64) -> Result<Vec<Review>, Failure> {
        let found: Vec<WireReview> = self.client.list(&self.path(&format!("/pulls/{number}/reviews")), None).await?;
        let mut newest: BTreeMap<(u64, String), Review> = BTreeMap::new();
        for review in found {
            let by = account_of(review.user);
            let state = match review.state.as_str() {
                "APPROVED" => ReviewState::Approved,
                "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
                "DISMISSED" | "COMMENTED" => ReviewState::Other,
                // Not handed in yet.
                _ => continue,
            };
            let is_remark = review.state == "COMMENTED";
            let key = key(&by);
            if is_remark && newest.contains_key(&key) {
                continue;
            }
            let commit = review.commit_id.as_deref().map(commit).transpose()?;
            newest.insert(key, Review { by, state, commit });
        }
        Ok(newest.into_values().collect())
    }
}

/// Ghosts have no number of their own.
fn key(account: &Account) -> (u64, String) {
    (account.id, account.login.clone())
}

/// Why auto-merge was not set.
fn not_enabled(error: &GraphError) -> Result<AutoMerge, Failure> {
    let words = error.message.to_ascii_lowercase();
    if ["clean status", "unstable status", "protected branch rules not configured"].iter().any(|it| words.contains(it))
    {
        return Ok(AutoMerge::MergeNow);
    }
    let speaks_of_head =
        words.contains("head") && ["modified", "expected", "did not match"].iter().any(|it| words.contains(it));
    if error.is("STALE_DATA") || speaks_of_head {
        return Err(Failure::temporary(format!("its head moved: {}", one_line(&error.message))));
    }
    refusal(error)
}

/// A refusal that is no trouble is the forge's word.
fn refusal(error: &GraphError) -> Result<AutoMerge, Failure> {
    if error.is_trouble() || error.is_forbidden() {
        Err(error.failure("pull_requests=write"))
    } else {
        Ok(AutoMerge::Unavailable(one_line(&error.message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_headline_and_a_body() {
        assert_eq!(
            split("Deploy web 2\n\nBecause.\n\nTagboat-Decision: d-1\n"),
            ("Deploy web 2", "Because.\n\nTagboat-Decision: d-1")
        );
        assert_eq!(split("Deploy"), ("Deploy", ""));
        assert_eq!(split("Deploy\nweb"), ("Deploy", "web"));
        assert_eq!(split(""), ("", ""));
    }

    #[test]
    fn why_auto_merge_was_not_set_is_read_from_the_words() {
        let outcome = |message: &str| {
            not_enabled(&GraphError { kind: Some("UNPROCESSABLE".to_owned()), message: message.to_owned() })
        };
        assert_eq!(outcome("Pull request Pull request is in clean status").unwrap(), AutoMerge::MergeNow);
        let words = "Pull request Auto merge is not allowed for this repository";
        assert_eq!(outcome(words).unwrap(), AutoMerge::Unavailable(words.to_owned()));
        assert!(outcome("Head branch was modified. Review and try the merge again.").is_err());
        assert!(outcome("Resource not accessible by integration").is_err());
        assert!(speaks_of_queue("Changes must be made through the merge queue"));
    }
}
