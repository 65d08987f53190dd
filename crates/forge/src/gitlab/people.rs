//! Who the bot is, what somebody may do, who belongs to a group; and labels, reviewers, assignees and milestones.
//!
//! GitLab asks for accounts by their number, which is never given to another.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tagboat_model::{Account, Decoration, Permission, Review, ReviewState};

use super::{GitlabForge, wire::User};
use crate::{error::Failure, http::encoded};

#[derive(Deserialize)]
struct Member {
    id: u64,
    access_level: u64,
    /// `active`, `blocked`, …
    state: Option<String>,
}

#[derive(Deserialize)]
struct Milestone {
    id: u64,
    title: String,
}

#[derive(Deserialize)]
struct Approvals {
    #[serde(default)]
    approved_by: Vec<Approval>,
}

#[derive(Deserialize)]
struct Approval {
    user: User,
}

#[derive(Deserialize)]
struct Reviewer {
    user: User,
    state: String,
}

/// GitLab's roles: guest, planner, reporter, developer, maintainer, owner.
fn permission(level: u64) -> Permission {
    match level {
        50.. => Permission::Admin,
        40.. => Permission::Maintain,
        30.. => Permission::Write,
        20.. => Permission::Triage,
        10.. => Permission::Read,
        _ => Permission::None,
    }
}

fn is_active(state: Option<&str>) -> bool {
    state.is_none_or(|state| state == "active")
}

impl GitlabForge {
    pub(super) async fn who_am_i(&self) -> Result<Account, Failure> {
        let ask = || async {
            let user: User = self.rest.read("/user").await?;
            Ok::<_, Failure>(Account { is_bot: true, ..user.account() })
        };
        self.bot.get_or_try_init(ask).await.cloned()
    }

    pub(super) async fn ask_permission(&self, account: &Account) -> Result<Permission, Failure> {
        let path = self.path(&format!("/members/all/{}", account.id));
        let member: Option<Member> = self.rest.find(&path).await?;
        let counts = |member: &Member| member.id == account.id && is_active(member.state.as_deref());
        Ok(member.filter(counts).map_or(Permission::None, |member| permission(member.access_level)))
    }

    /// A team is a group below one of those that the project is in: `group/subgroup/platform` or `group/platform`. Who
    /// is in it because of a group above it does not count.
    pub(super) async fn ask_membership(&self, team: &str, account: &Account) -> Result<bool, Failure> {
        let mut owner = self.repository.as_str();
        while let Some((above, _)) = owner.rsplit_once('/') {
            let group = encoded(&format!("{above}/{team}"));
            let path = format!("/groups/{group}/members/{}", account.id);
            let member: Option<Member> = self.rest.find(&path).await?;
            if member.is_some_and(|member| member.id == account.id && is_active(member.state.as_deref())) {
                return Ok(true);
            }
            owner = above;
        }
        Ok(false)
    }

    /// Approvals, and requests for changes since 16.9. Which commit was looked at is not said: settings of the project
    /// take approvals back when a branch moves.
    pub(super) async fn list_reviews(&self, number: u64) -> Result<Vec<Review>, Failure> {
        let path = self.path(&format!("/merge_requests/{number}"));
        let approvals: Option<Approvals> = self.rest.find(&format!("{path}/approvals")).await?;
        let reviewers: Option<Vec<Reviewer>> = self.rest.find(&format!("{path}/reviewers")).await?;
        let mut reviews = Vec::new();
        for reviewer in reviewers.unwrap_or_default() {
            let state = match reviewer.state.as_str() {
                "requested_changes" => ReviewState::ChangesRequested,
                "reviewed" => ReviewState::Other,
                _ => continue,
            };
            reviews.push(Review { by: reviewer.user.account(), state, commit: None });
        }
        for approval in approvals.map(|approvals| approvals.approved_by).unwrap_or_default() {
            let by = approval.user.account();
            if !reviews.iter().any(|review| review.by.id == by.id && review.state == ReviewState::ChangesRequested) {
                reviews.retain(|review| review.by.id != by.id);
                reviews.push(Review { by, state: ReviewState::Approved, commit: None });
            }
        }
        Ok(reviews)
    }

    pub(super) async fn decorate_pull(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, Failure> {
        if *decoration == Decoration::default() {
            return Ok(Vec::new());
        }
        let mut passed_over = Vec::new();
        let current = self.known_request(number).await?;
        let mut body = Map::new();
        // A comma ends a label.
        let (with_comma, labels): (Vec<&String>, Vec<&String>) =
            decoration.labels.iter().partition(|label| label.contains(','));
        passed_over.extend(with_comma.into_iter().cloned());
        if !labels.is_empty() {
            let joined = labels.iter().map(|label| label.as_str()).collect::<Vec<_>>().join(",");
            body.insert("add_labels".to_owned(), json!(joined));
        }
        let reviewers = self.accounts(&decoration.reviewers, &mut passed_over).await?;
        let assignees = self.accounts(&decoration.assignees, &mut passed_over).await?;
        for (key, wanted, there) in
            [("reviewer_ids", &reviewers, &current.reviewers), ("assignee_ids", &assignees, &current.assignees)]
        {
            let mut ids: BTreeSet<u64> = there.iter().map(|user| user.id).collect();
            let before = ids.len();
            ids.extend(wanted.iter().map(|(_, id)| *id));
            if ids.len() > before {
                body.insert(key.to_owned(), json!(ids));
            }
        }
        if let Some(title) = &decoration.milestone {
            match self.milestone(title).await? {
                Some(id) => drop(body.insert("milestone_id".to_owned(), json!(id))),
                None => passed_over.push(title.clone()),
            }
        }
        if body.is_empty() {
            return Ok(passed_over);
        }
        let after = self.change(number, &Value::Object(body)).await?;
        // Not every edition takes more than one of each.
        let missing = |wanted: &[(String, u64)], there: &[User]| -> Vec<String> {
            let is_missing = |(_, id): &&(String, u64)| !there.iter().any(|user| user.id == *id);
            wanted.iter().filter(is_missing).map(|(name, _)| name.clone()).collect()
        };
        passed_over.extend(missing(&reviewers, &after.reviewers));
        passed_over.extend(missing(&assignees, &after.assignees));
        Ok(passed_over)
    }

    /// The numbers of accounts by their names. Teams review nothing at GitLab.
    async fn accounts(&self, names: &[String], passed_over: &mut Vec<String>) -> Result<Vec<(String, u64)>, Failure> {
        let mut accounts = Vec::new();
        for name in names {
            let mut found: Vec<User> = Vec::new();
            if !name.contains('/') {
                found = self.rest.read(&format!("/users?username={}", encoded(name))).await?;
            }
            let is_the_one =
                |user: &&User| user.username.eq_ignore_ascii_case(name) && is_active(user.state.as_deref());
            match found.iter().find(is_the_one) {
                Some(user) => accounts.push((name.clone(), user.id)),
                None => passed_over.push(name.clone()),
            }
        }
        Ok(accounts)
    }

    async fn milestone(&self, title: &str) -> Result<Option<u64>, Failure> {
        let query = format!("/milestones?state=active&include_ancestors=true&title={}", encoded(title));
        let found: Vec<Milestone> = self.rest.list(&self.path(&query), 100).await?;
        Ok(found.into_iter().find(|milestone| milestone.title == title).map(|milestone| milestone.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_permissions() {
        let all = [0, 5, 10, 15, 20, 30, 40, 50, 60].map(permission);
        assert_eq!(all[..3], [Permission::None, Permission::None, Permission::Read]);
        assert_eq!(all[3..6], [Permission::Read, Permission::Triage, Permission::Write]);
        assert_eq!(all[6..], [Permission::Maintain, Permission::Admin, Permission::Admin]);
        assert!(is_active(None) && is_active(Some("active")) && !is_active(Some("blocked")));
    }
}
