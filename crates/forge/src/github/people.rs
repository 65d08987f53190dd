//! Who the bot is, what somebody may do, and who belongs to a team.
//!
//! Names are given to others after they were let go, so an answer counts only for the number that was asked about.

use serde::Deserialize;
use tagboat_model::{Account, Permission};

use super::{GithubForge, Who, token::user_path, wire::User};
use crate::{error::Failure, http::encoded};

#[derive(Deserialize)]
struct Permitted {
    permission: String,
    role_name: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
}

/// A role of one's own is worth what it is built on.
fn permission(permitted: &Permitted) -> Permission {
    match permitted.role_name.as_deref() {
        Some("triage") => Permission::Triage,
        Some("maintain") => Permission::Maintain,
        _ => match permitted.permission.as_str() {
            "admin" => Permission::Admin,
            "write" => Permission::Write,
            "read" => Permission::Read,
            _ => Permission::None,
        },
    }
}

impl GithubForge {
    pub(super) async fn who_am_i(&self) -> Result<Account, Failure> {
        if let Who::App { app, .. } = &self.who {
            return Ok(app.identity().await?.bot.clone());
        }
        let ask = || async {
            let user: User = self.client.get("/user").await?.success()?.json()?;
            Ok::<_, Failure>(user.account())
        };
        self.bot.get_or_try_init(ask).await.cloned()
    }

    pub(super) async fn ask_permission(&self, account: &Account) -> Result<Permission, Failure> {
        let path = self.path(&format!("/collaborators/{}/permission", encoded(&account.login)));
        let answer = self.client.get(&path).await?;
        if answer.status == 404 {
            return Ok(Permission::None);
        }
        let permitted: Permitted = answer.success()?.json()?;
        let is_the_one = permitted.user.as_ref().is_some_and(|user| user.id == account.id);
        Ok(if is_the_one { permission(&permitted) } else { Permission::None })
    }

    pub(super) async fn ask_membership(&self, team: &str, account: &Account) -> Result<bool, Failure> {
        let (owner, login) = (encoded(&self.owner), encoded(&account.login));
        let path = format!("/orgs/{owner}/teams/{}/memberships/{login}", encoded(team));
        let answer = self.client.get(&path).await?;
        match answer.status {
            404 => return Ok(false),
            403 => {
                return Err(Failure::unsupported(format!(
                    "GitHub does not say who is in the team `{team}` (status 403: {}); the App needs the permission `members: read`, which an owner of the organization grants",
                    answer.words()
                )));
            }
            _ => {}
        }
        let membership: Membership = answer.success()?.json()?;
        if membership.state != "active" {
            return Ok(false);
        }
        let answer = self.client.get(&user_path(&account.login)).await?;
        Ok(answer.status != 404 && answer.success()?.json::<User>()?.id == account.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read() {
        let read = |permission_word: &str, role: Option<&str>| {
            let (permission_word, role_name) = (permission_word.to_owned(), role.map(str::to_owned));
            permission(&Permitted { permission: permission_word, role_name, user: None })
        };
        assert_eq!(read("admin", Some("admin")), Permission::Admin);
        assert_eq!(read("write", Some("maintain")), Permission::Maintain);
        assert_eq!(read("write", Some("release-managers")), Permission::Write, "a role of one's own");
        assert_eq!(read("read", Some("triage")), Permission::Triage);
        assert_eq!(read("none", Some("none")), Permission::None);
        assert_eq!(read("write", None), Permission::Write);
    }
}
