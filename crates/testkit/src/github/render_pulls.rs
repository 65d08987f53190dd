//! Issues, pull requests, comments and reviews in GitHub's words.

use serde_json::{Value, json};

use super::{
    checks::{mergeable, mergeable_state},
    render::{account, api, page, repository as rendered_repository},
    skeleton::filled,
    state::{Comment, Issue, Pull, Repository, Review, State},
    store,
};

/// A label.
pub(super) fn label(state: &State, repository: &Repository, name: &str) -> Value {
    let id = repository.labels.get(name).copied().unwrap_or(0);
    filled(
        "label",
        json!({
            "id": id, "node_id": format!("LA_{id}"), "name": name, "color": "ededed", "default": false, "description": "",
            "url": format!("{}/labels/{name}", api(state, repository)).replace(' ', "%20"),
        }),
    )
}

/// A milestone, by its number.
pub(super) fn milestone(state: &State, repository: &Repository, number: u64) -> Value {
    let place = usize::try_from(number).unwrap_or(0).checked_sub(1);
    let Some((title, id)) = place.and_then(|place| repository.milestones.get(place)) else { return Value::Null };
    let url = format!("{}/milestones/{number}", api(state, repository));
    filled(
        "milestone",
        json!({
            "id": id, "node_id": format!("MI_{id}"), "number": number, "title": title, "state": "open", "url": url,
            "creator": account(state, &repository.owner), "labels_url": format!("{url}/labels"),
            "html_url": format!("{}/milestone/{number}", page(state, repository)), "open_issues": 0, "closed_issues": 0,
        }),
    )
}

/// How somebody is related to a repository.
fn association(repository: &Repository, login: &str) -> &'static str {
    match repository.role(login) {
        "none" => "NONE",
        _ => "COLLABORATOR",
    }
}

/// An issue; also a pull request as lists of issues show it.
pub(super) fn issue(state: &State, repository: &Repository, issue: &Issue) -> Value {
    let (api, page) = (api(state, repository), page(state, repository));
    let url = format!("{api}/issues/{}", issue.number);
    let kind = if issue.pull.is_some() { "pull" } else { "issues" };
    let labels: Vec<Value> = issue.labels.iter().map(|name| label(state, repository, name)).collect();
    let assignees: Vec<Value> = issue.assignees.iter().map(|login| account(state, login)).collect();
    let mut values = json!({
        "id": issue.id, "node_id": format!("I_{}", issue.id), "number": issue.number, "title": issue.title,
        "body": issue.body, "user": account(state, &issue.author), "labels": labels, "url": url,
        "assignee": assignees.first(), "assignees": assignees, "state": if issue.open { "open" } else { "closed" },
        "state_reason": if issue.open { Value::Null } else { json!("completed") },
        "milestone": issue.milestone.map(|number| milestone(state, repository, number)), "locked": false,
        "active_lock_reason": null, "comments": issue.comments.len(), "created_at": issue.created.to_string(),
        "updated_at": issue.updated.to_string(), "closed_at": issue.closed.map(|at| at.to_string()),
        "repository_url": api, "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"),
        "html_url": format!("{page}/{kind}/{}", issue.number), "timeline_url": format!("{url}/timeline"),
        "author_association": association(repository, &issue.author), "reactions": reactions(&url, &[]),
    });
    if let Some(pull) = &issue.pull {
        let html = format!("{page}/pull/{}", issue.number);
        values["draft"] = json!(pull.draft);
        values["pull_request"] = json!({
            "url": format!("{api}/pulls/{}", issue.number), "html_url": html, "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"), "merged_at": pull.merged.as_ref().map(|merged| merged.at.to_string()),
        });
    }
    filled("issue", values)
}

fn reactions(url: &str, given: &[(u64, String, String)]) -> Value {
    let count = |content: &str| given.iter().filter(|(_, _, known)| known == content).count();
    json!({
        "url": format!("{url}/reactions"), "total_count": given.len(), "+1": count("+1"), "-1": count("-1"),
        "laugh": count("laugh"), "hooray": count("hooray"), "confused": count("confused"), "heart": count("heart"),
        "rocket": count("rocket"), "eyes": count("eyes"),
    })
}

/// A comment.
pub(super) fn comment(state: &State, repository: &Repository, issue: &Issue, comment: &Comment) -> Value {
    let api = api(state, repository);
    let url = format!("{api}/issues/comments/{}", comment.id);
    let kind = if issue.pull.is_some() { "pull" } else { "issues" };
    let html = format!("{}/{kind}/{}#issuecomment-{}", page(state, repository), issue.number, comment.id);
    filled(
        "issue-comment",
        json!({
            "id": comment.id, "node_id": format!("IC_{}", comment.id), "body": comment.body, "url": url,
            "html_url": html, "user": account(state, &comment.author), "created_at": comment.created.to_string(),
            "updated_at": comment.updated.to_string(), "issue_url": format!("{api}/issues/{}", issue.number),
            "author_association": association(repository, &comment.author), "performed_via_github_app": null,
            "reactions": reactions(&url, &comment.reactions),
        }),
    )
}

/// A review.
pub(super) fn review(state: &State, repository: &Repository, issue: &Issue, review: &Review) -> Value {
    let pull = format!("{}/pulls/{}", api(state, repository), issue.number);
    let html = format!("{}/pull/{}#pullrequestreview-{}", page(state, repository), issue.number, review.id);
    filled(
        "pull-request-review",
        json!({
            "id": review.id, "node_id": format!("PRR_{}", review.id), "user": account(state, &review.author),
            "body": review.body, "state": review.state, "commit_id": review.commit, "html_url": html,
            "pull_request_url": pull, "_links": { "html": { "href": html }, "pull_request": { "href": pull } },
            "submitted_at": review.at.to_string(), "author_association": association(repository, &review.author),
        }),
    )
}

fn end(state: &State, repository: &Repository, branch: &str, id: &str) -> Value {
    json!({
        "label": format!("{}:{branch}", repository.owner), "ref": branch, "sha": id,
        "user": account(state, &repository.owner), "repo": rendered_repository(state, repository),
    })
}

fn shared(state: &State, repository: &Repository, issue: &Issue, pull: &Pull) -> Value {
    let (api, page) = (api(state, repository), page(state, repository));
    let number = issue.number;
    let (url, html, issue_url) =
        (format!("{api}/pulls/{number}"), format!("{page}/pull/{number}"), format!("{api}/issues/{number}"));
    let statuses = format!("{api}/statuses/{}", pull.head_id);
    let labels: Vec<Value> = issue.labels.iter().map(|name| label(state, repository, name)).collect();
    let assignees: Vec<Value> = issue.assignees.iter().map(|login| account(state, login)).collect();
    let reviewers: Vec<Value> = pull.reviewers.iter().map(|login| account(state, login)).collect();
    let automatic = pull.auto_merge.as_ref().map(|wish| {
        json!({
            "enabled_by": account(state, &wish.by), "merge_method": wish.method,
            "commit_title": wish.headline.as_deref().unwrap_or_default(),
            "commit_message": wish.body.as_deref().unwrap_or_default(),
        })
    });
    let link = |href: &str| json!({ "href": href });
    json!({
        "id": pull.id, "node_id": format!("PR_{}", pull.id), "number": number, "title": issue.title,
        "body": issue.body, "user": account(state, &issue.author), "state": if issue.open { "open" } else { "closed" },
        "locked": false, "labels": labels, "assignee": assignees.first(), "assignees": assignees,
        "requested_reviewers": reviewers, "requested_teams": [], "draft": pull.draft,
        "milestone": issue.milestone.map(|number| milestone(state, repository, number)),
        "created_at": issue.created.to_string(), "updated_at": issue.updated.to_string(),
        "closed_at": issue.closed.map(|at| at.to_string()),
        "merged_at": pull.merged.as_ref().map(|merged| merged.at.to_string()),
        "merge_commit_sha": pull.merged.as_ref().map(|merged| merged.commit.clone()),
        "head": end(state, repository, &pull.head, &pull.head_id),
        "base": end(state, repository, &pull.base, &pull.base_id), "auto_merge": automatic,
        "author_association": association(repository, &issue.author), "url": url, "html_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "issue_url": issue_url,
        "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue_url}/comments"), "statuses_url": statuses,
        "_links": {
            "self": link(&url), "html": link(&html), "issue": link(&issue_url),
            "comments": link(&format!("{issue_url}/comments")),
            "review_comments": link(&format!("{url}/comments")),
            "review_comment": link(&format!("{api}/pulls/comments{{/number}}")),
            "commits": link(&format!("{url}/commits")), "statuses": link(&statuses),
        },
    })
}

/// A pull request as lists show it.
pub(super) fn simple_pull(state: &State, repository: &Repository, issue: &Issue) -> Value {
    issue
        .pull
        .as_ref()
        .map_or(Value::Null, |pull| filled("pull-request-simple", shared(state, repository, issue, pull)))
}

/// A pull request.
pub(super) fn pull(state: &State, repository: &Repository, issue: &Issue) -> Value {
    let Some(pull) = &issue.pull else { return Value::Null };
    let mut values = shared(state, repository, issue, pull);
    let commits = store::commits_between(&repository.folder, &pull.base_id, &pull.head_id).len();
    let files = store::changed_paths(&repository.folder, &pull.base_id, &pull.head_id).len();
    let more = json!({
        "merged": pull.merged.is_some(),
        "merged_by": pull.merged.as_ref().map(|merged| account(state, &merged.by)),
        "mergeable": if issue.open { json!(mergeable(repository, pull)) } else { Value::Null },
        "mergeable_state": if issue.open { mergeable_state(repository, pull) } else { "unknown" },
        "comments": issue.comments.len(), "review_comments": 0, "commits": commits, "changed_files": files,
        "additions": 0, "deletions": 0, "maintainer_can_modify": false,
    });
    if let (Value::Object(values), Value::Object(more)) = (&mut values, more) {
        values.extend(more);
    }
    filled("pull-request", values)
}
