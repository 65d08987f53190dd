//! GitHub's `installation`, `installation_repositories`, `installation_target` and `repository`, as a GitHub App gets them:
//! which repositories it works on may have changed. And the account that owns what any event is about.
//!
//! None of them says all of it, so nothing is taken from them but the account: whoever wants to know asks for the
//! installations. Of a repository that moved, `repository.owner` is whose it is now.
//! Format: GitHub's "Webhook events and payloads".

use serde::Deserialize;
use tagboat_model::Event;

use super::super::git_host::{User, missing, object, text};
use crate::{
    Ignored,
    read::{Read, Unreadable},
};

/// What can happen to a repository so that it is found elsewhere, by another name, or not at all. `edited` may be its default
/// branch.
const OF_REPOSITORIES: [&str; 7] = ["created", "deleted", "archived", "unarchived", "renamed", "transferred", "edited"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "text")]
    action: Option<String>,
    #[serde(deserialize_with = "object")]
    repository: Option<Owned>,
    #[serde(deserialize_with = "object")]
    installation: Option<Installation>,
    #[serde(deserialize_with = "object")]
    organization: Option<User>,
    /// Of an account that was renamed.
    #[serde(deserialize_with = "object")]
    account: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owned {
    #[serde(deserialize_with = "object")]
    owner: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Installation {
    #[serde(deserialize_with = "object")]
    account: Option<User>,
}

impl Body {
    fn owner(self) -> Option<String> {
        let of_repository = self.repository.and_then(|repository| repository.owner);
        let of_installation = self.installation.and_then(|installation| installation.account);
        let accounts = [of_repository, of_installation, self.account, self.organization];
        accounts.into_iter().flatten().find_map(|account| account.login)
    }
}

/// The account that owns what a body is about.
pub(super) fn owner(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Body>(body).ok()?.owner()
}

/// Whether an event is one of these.
pub(super) fn is_one(event: &str) -> bool {
    matches!(event, "installation" | "installation_repositories" | "installation_target" | "repository")
}

/// Take one of these.
pub(super) fn take(event: &str, body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let body: Body = serde_json::from_slice(body)?;
    let action = body.action.as_deref().unwrap_or("without an action");
    if event == "repository" && !OF_REPOSITORIES.contains(&action) {
        read.ignored.push(Ignored::NotUsed { event: format!("repository {action}") });
        return Ok(());
    }
    let account = body.owner().ok_or_else(|| missing("installation.account"))?;
    read.events.push(Event::InstallationsChanged { account });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(event: &str, body: &str) -> (Vec<Event>, Vec<Ignored>) {
        let mut read = Read::default();
        take(event, body.as_bytes(), &mut read).unwrap();
        (read.events, read.ignored)
    }

    fn changed(account: &str) -> Vec<Event> {
        vec![Event::InstallationsChanged { account: account.to_owned() }]
    }

    #[test]
    fn every_event_names_the_account_that_owns_what_it_is_about() {
        for (body, expected) in [
            (r#"{"repository":{"owner":{"login":"Acme"}},"organization":{"login":"other"}}"#, Some("Acme")),
            (r#"{"repository":{"owner":{"name":"Acme"}},"installation":{"account":{"login":"Acme"}}}"#, Some("Acme")),
            (r#"{"installation":{"id":7},"organization":{"login":"acme"}}"#, Some("acme")),
            (r#"{"installation":{"id":7},"account":{"login":"acme2"}}"#, Some("acme2")),
            (r#"{"repository":null,"installation":[],"organization":"acme"}"#, None),
            ("nonsense", None),
        ] {
            assert_eq!(owner(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn installations_and_repositories_that_move_are_changes() {
        let installed = r#"{"action":"created","installation":{"account":{"login":"Acme"}}}"#;
        for event in ["installation", "installation_repositories", "installation_target"] {
            assert!(is_one(event));
            assert_eq!(taken(event, installed), (changed("Acme"), Vec::new()));
        }
        let repository = |action: &str| {
            taken("repository", &format!(r#"{{"action":"{action}","repository":{{"owner":{{"login":"acme"}}}}}}"#))
        };
        assert_eq!(repository("transferred"), (changed("acme"), Vec::new()));
        let unused = vec![Ignored::NotUsed { event: "repository publicized".to_owned() }];
        assert_eq!(repository("publicized"), (Vec::new(), unused));
        assert!(!is_one("github_app_authorization") && !is_one("push"));
        let mut read = Read::default();
        assert!(take("installation", b"{}", &mut read).is_err(), "of nobody");
    }
}
