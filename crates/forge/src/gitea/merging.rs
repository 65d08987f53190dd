//! Merging a pull request now, or having the forge do it; and what people said of it in reviews.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{MergeMethod, Review, ReviewState};
use tagboat_ports::{AutoMerge, Merge, Merged};

use super::{
    GiteaForge,
    wire::{User, account_of, commit},
};
use crate::{
    error::Failure,
    rest::{Answer, Repeat},
};

const MOST_REVIEWS: usize = 1000;

#[derive(Deserialize)]
struct WireReview {
    user: Option<User>,
    state: String,
    #[serde(default)]
    dismissed: bool,
    commit_id: Option<String>,
}

fn merge_body(merge: &Merge) -> Value {
    let style = match merge.method {
        MergeMethod::Merge => "merge",
        MergeMethod::Squash => "squash",
        MergeMethod::Rebase => "rebase",
    };
    let mut body = json!({ "Do": style, "head_commit_id": merge.head.as_str(), "delete_branch_after_merge": false });
    if merge.method != MergeMethod::Rebase && !merge.message.trim().is_empty() {
        let (title, text) = merge.message.split_once('\n').unwrap_or((merge.message.as_str(), ""));
        body["MergeTitleField"] = json!(title.trim_end());
        body["MergeMessageField"] = json!(text.trim());
    }
    body
}

/// What refuses to merge, and not to be asked.
fn is_refused_merge(answer: &Answer) -> bool {
    matches!(answer.status, 405 | 409 | 422)
}

impl GiteaForge {
    pub(super) async fn merge_pull(&self, number: u64, merge: &Merge) -> Result<Merged, Failure> {
        let path = self.pull_path(number, "/merge");
        let answer = match self.rest.write(Method::POST, &path, Some(&merge_body(merge)), Repeat::Never).await {
            Ok(answer) => answer,
            Err(failure) if failure.unknown => {
                return if self.known_pull(number).await?.is_merged() { Ok(Merged::Done) } else { Err(failure) };
            }
            Err(failure) => return Err(failure),
        };
        if answer.is_success() {
            return Ok(Merged::Done);
        }
        // What is closed is not found.
        if !is_refused_merge(&answer) && answer.status != 404 {
            return Err(answer.refusal());
        }
        let pull = self.known_pull(number).await?;
        if pull.is_merged() {
            return Ok(Merged::Done);
        }
        let words = answer.words();
        if pull.head_commit() != merge.head.as_str() || words.contains("head out of date") {
            return Ok(Merged::HeadMoved);
        }
        if answer.status == 404 && pull.is_open() {
            return Err(answer.refusal());
        }
        Ok(Merged::NotNow(if words.is_empty() { "it cannot be merged".to_owned() } else { words }))
    }

    /// The forge itself forgets auto-merge when the branch moves. Where all checks are green already it merges at once,
    /// which is what was wanted.
    pub(super) async fn enable_auto_merge(&self, number: u64, merge: &Merge) -> Result<AutoMerge, Failure> {
        let pull = self.known_pull(number).await?;
        if pull.is_merged() {
            return Ok(AutoMerge::Set);
        }
        if !pull.is_open() {
            return Ok(AutoMerge::Unavailable("it is closed".to_owned()));
        }
        if pull.head_commit() != merge.head.as_str() {
            return Ok(AutoMerge::Unavailable("its branch has moved".to_owned()));
        }
        let mut body = merge_body(merge);
        body["merge_when_checks_succeed"] = json!(true);
        let answer =
            self.rest.write(Method::POST, &self.pull_path(number, "/merge"), Some(&body), Repeat::Never).await?;
        let words = answer.words();
        if answer.is_success() || words.contains("already scheduled") {
            return Ok(AutoMerge::Set);
        }
        if is_refused_merge(&answer) { Ok(AutoMerge::Unavailable(words)) } else { Err(answer.refusal()) }
    }

    pub(super) async fn disable_auto_merge(&self, number: u64) -> Result<AutoMerge, Failure> {
        let path = self.pull_path(number, "/merge");
        let answer = self.rest.write(Method::DELETE, &path, None, Repeat::Harmless).await?;
        // It is not found as well when it was not on; whether there is such a pull request is another question.
        if answer.status == 404 {
            return self.known_pull(number).await.map(|_| AutoMerge::Set);
        }
        answer.success().map(|_| AutoMerge::Set)
    }

    /// The newest of each person that says something; a remark takes no approval back, a dismissal does.
    pub(super) async fn list_reviews(&self, number: u64) -> Result<Vec<Review>, Failure> {
        let found: Vec<WireReview> = self.rest.list(&self.pull_path(number, "/reviews"), MOST_REVIEWS).await?;
        let mut newest: BTreeMap<(u64, String), Review> = BTreeMap::new();
        for review in found {
            let by = account_of(review.user);
            let state = match review.state.as_str() {
                _ if review.dismissed => ReviewState::Other,
                "APPROVED" => ReviewState::Approved,
                "REQUEST_CHANGES" => ReviewState::ChangesRequested,
                "COMMENT" => ReviewState::Other,
                // Asked for, or not handed in yet.
                _ => continue,
            };
            let key = (by.id, by.login.clone());
            if review.state == "COMMENT" && newest.contains_key(&key) {
                continue;
            }
            let looked_at = review.commit_id.as_deref().filter(|id| !id.is_empty()).map(commit).transpose()?;
            newest.insert(key, Review { by, state, commit: looked_at });
        }
        Ok(newest.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_goes_where_a_commit_is_made() {
        let merge = |method| Merge {
            head: "1".repeat(40).parse().unwrap(),
            method,
            message: "Deploy\n\nAll of it\n".to_owned(),
        };
        let body = merge_body(&merge(MergeMethod::Squash));
        assert_eq!((&body["Do"], &body["MergeTitleField"]), (&json!("squash"), &json!("Deploy")));
        assert_eq!(body["MergeMessageField"], "All of it");
        assert_eq!(merge_body(&merge(MergeMethod::Rebase)).as_object().unwrap().len(), 3);
    }
}
