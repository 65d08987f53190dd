//! Who the bot is, what somebody may do, who belongs to a team; and labels, reviewers, assignees and milestones.
//!
//! Names are given to others after they were let go, so an answer counts only for the number that was asked about.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{Account, Decoration, Permission};

use super::{
    GiteaForge,
    wire::{Label, User},
};
use crate::{error::Failure, http::encoded, rest::Repeat};

const MOST_LABELS: usize = 1000;
const MOST_TEAMS: usize = 1000;
/// What a label gets that is made here.
const COLOUR: &str = "#1f6feb";

#[derive(Deserialize)]
struct Permitted {
    permission: String,
    user: Option<User>,
}

#[derive(Deserialize)]
struct Team {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Milestone {
    id: u64,
    title: String,
}

fn permission(word: &str) -> Permission {
    match word {
        "owner" | "admin" => Permission::Admin,
        "write" => Permission::Write,
        "read" => Permission::Read,
        _ => Permission::None,
    }
}

impl GiteaForge {
    pub(super) async fn who_am_i(&self) -> Result<Account, Failure> {
        let ask = || async {
            let user: User = self.rest.read("/user").await?;
            Ok::<_, Failure>(Account { is_bot: true, ..user.account() })
        };
        self.bot.get_or_try_init(ask).await.cloned()
    }

    pub(super) async fn ask_permission(&self, account: &Account) -> Result<Permission, Failure> {
        let path = self.path(&format!("/collaborators/{}/permission", encoded(&account.login)));
        let answer = self.rest.get(&path).await?;
        match answer.status {
            404 => return Ok(Permission::None),
            403 => {
                let refused = "the forge does not say what people may do (status 403): the bot's account has to be an administrator of this repository";
                return Err(Failure::permanent(refused));
            }
            _ => {}
        }
        let permitted: Permitted = answer.success()?.json()?;
        let is_the_one = permitted.user.as_ref().is_some_and(|user| user.is(account));
        Ok(if is_the_one { permission(&permitted.permission) } else { Permission::None })
    }

    pub(super) async fn ask_membership(&self, team: &str, account: &Account) -> Result<bool, Failure> {
        let path = format!("/orgs/{}/teams", encoded(&self.owner));
        // Whoever owns it may be a person, who has no teams.
        if self.rest.get(&path).await?.status == 404 {
            return Ok(false);
        }
        let teams: Vec<Team> = self.rest.list(&path, MOST_TEAMS).await?;
        let Some(team) = teams.into_iter().find(|it| it.name.eq_ignore_ascii_case(team)) else { return Ok(false) };
        let path = format!("/teams/{}/members/{}", team.id, encoded(&account.login));
        let member: Option<User> = self.rest.find(&path).await?;
        Ok(member.is_some_and(|user| user.is(account)))
    }

    pub(super) async fn decorate_pull(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, Failure> {
        let mut passed_over = Vec::new();
        if !decoration.labels.is_empty() {
            let ids = self.labels(&decoration.labels, &mut passed_over).await?;
            let path = self.path(&format!("/issues/{number}/labels"));
            let body = json!({ "labels": ids });
            self.rest.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?.success()?;
        }
        // One by one: a name that is not known spoils the whole request.
        for reviewer in &decoration.reviewers {
            let body = match reviewer.split_once('/') {
                Some((_, team)) => json!({ "team_reviewers": [team] }),
                None => json!({ "reviewers": [reviewer] }),
            };
            let path = self.pull_path(number, "/requested_reviewers");
            self.pass_over(Method::POST, &path, &body, reviewer, &mut passed_over).await?;
        }
        self.assign(number, &decoration.assignees, &mut passed_over).await?;
        if let Some(title) = &decoration.milestone {
            match self.milestone(title).await? {
                Some(id) => {
                    let path = self.path(&format!("/issues/{number}"));
                    self.pass_over(Method::PATCH, &path, &json!({ "milestone": id }), title, &mut passed_over).await?;
                }
                None => passed_over.push(title.clone()),
            }
        }
        Ok(passed_over)
    }

    /// Whether it was done; what is not known or not permitted is remembered.
    async fn pass_over(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        name: &str,
        passed_over: &mut Vec<String>,
    ) -> Result<bool, Failure> {
        let answer = self.rest.write(method, path, Some(body), Repeat::Harmless).await?;
        if matches!(answer.status, 400 | 403 | 404 | 422) {
            passed_over.push(name.to_owned());
            return Ok(false);
        }
        answer.success().map(|_| true)
    }

    async fn assign(&self, number: u64, names: &[String], passed_over: &mut Vec<String>) -> Result<(), Failure> {
        if names.is_empty() {
            return Ok(());
        }
        let current = self.known_pull(number).await?.assignees.unwrap_or_default();
        let mut assigned: Vec<String> = current.into_iter().map(|user| user.login).collect();
        let path = self.path(&format!("/issues/{number}"));
        for name in names {
            if assigned.iter().any(|login| login.eq_ignore_ascii_case(name)) {
                continue;
            }
            assigned.push(name.clone());
            if !self.pass_over(Method::PATCH, &path, &json!({ "assignees": assigned }), name, passed_over).await? {
                assigned.pop();
            }
        }
        Ok(())
    }

    /// The numbers of labels by their names: those of the repository, then those of its organization, then new ones.
    pub(super) async fn labels(&self, names: &[String], passed_over: &mut Vec<String>) -> Result<Vec<u64>, Failure> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut known: Vec<Label> = self.rest.list(&self.path("/labels"), MOST_LABELS).await?;
        if names.iter().any(|name| id_of(&known, name).is_none()) {
            let path = format!("/orgs/{}/labels", encoded(&self.owner));
            if self.rest.get(&path).await?.is_success() {
                known.extend(self.rest.list::<Label>(&path, MOST_LABELS).await?);
            }
        }
        let mut ids = Vec::new();
        for name in names {
            match id_of(&known, name) {
                Some(id) => ids.push(id),
                None => {
                    let body = json!({ "name": name, "color": COLOUR });
                    let path = self.path("/labels");
                    let answer = self.rest.write(Method::POST, &path, Some(&body), Repeat::Never).await?;
                    if matches!(answer.status, 403 | 404 | 422) {
                        passed_over.push(name.clone());
                        continue;
                    }
                    ids.push(answer.success()?.json::<Label>()?.id);
                }
            }
        }
        Ok(ids)
    }

    async fn milestone(&self, title: &str) -> Result<Option<u64>, Failure> {
        let path = self.path(&format!("/milestones?state=open&name={}", encoded(title)));
        let found: Vec<Milestone> = self.rest.list(&path, 100).await?;
        Ok(found.into_iter().find(|milestone| milestone.title == title).map(|milestone| milestone.id))
    }
}

fn id_of(labels: &[Label], name: &str) -> Option<u64> {
    labels.iter().find(|label| label.name == name).map(|label| label.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_permissions() {
        let all = ["owner", "admin", "write", "read", "none", "new one"].map(permission);
        assert_eq!(all[..3], [Permission::Admin, Permission::Admin, Permission::Write]);
        assert_eq!(all[3..], [Permission::Read, Permission::None, Permission::None]);
    }
}
