//! An App that GitHub makes from a description: what it may do and what it is told, in one place.
//!
//! docs.github.com, "Registering a GitHub App from a manifest": a form with the manifest is posted to GitHub, which
//! comes back with a code that is exchanged once, within an hour, for everything that the App is.

use std::sync::{Arc, Mutex};

use http::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_ports::{Clock, ForgeError};

use super::{
    client::{Client, Fixed, Repeat},
    connection::Connection,
    limits::Limits,
};
use crate::{TransportSettings, error::Failure, http::encoded};

/// What the App is told. Installations and their repositories it is told without asking.
pub const EVENTS: [&str; 10] = [
    "push",
    "pull_request",
    "pull_request_review",
    "issue_comment",
    "issues",
    "check_suite",
    "check_run",
    "status",
    "registry_package",
    "repository",
];

/// An App that was just made.
#[derive(Debug, Clone)]
pub struct CreatedApp {
    /// Its number.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
    /// Its private key.
    pub pem: SecretString,
    /// What signs its deliveries.
    pub webhook_secret: Option<SecretString>,
    /// Its other id.
    pub client_id: String,
    /// Its page, from where it is installed.
    pub html_url: String,
}

#[derive(Deserialize)]
struct Converted {
    id: u64,
    slug: String,
    pem: SecretString,
    webhook_secret: Option<SecretString>,
    client_id: String,
    html_url: String,
}

/// The manifest of an App, and the address to which a form posts it as `manifest`.
///
/// `public_url` is where Tagboat is reached; deliveries go to `hook_path` below it. Nothing of the address of GitHub is
/// checked here.
#[must_use]
pub fn manifest(
    name: &str,
    public_url: &str,
    hook_path: &str,
    url: &str,
    organization: Option<&str>,
) -> (String, Value) {
    let (public_url, url) = (public_url.trim_end_matches('/'), url.trim_end_matches('/'));
    let action = match organization {
        Some(organization) => format!("{url}/organizations/{}/settings/apps/new", encoded(organization)),
        None => format!("{url}/settings/apps/new"),
    };
    let manifest = json!({
        "name": name,
        "url": public_url,
        "hook_attributes": { "url": format!("{public_url}/{}", hook_path.trim_start_matches('/')), "active": true },
        "redirect_url": format!("{public_url}/github-app/created"),
        "public": false,
        "default_permissions": {
            "contents": "write",
            "pull_requests": "write",
            "issues": "write",
            "checks": "write",
            "statuses": "write",
            "metadata": "read",
            "members": "read",
            "packages": "read",
        },
        "default_events": EVENTS,
    });
    (action, manifest)
}

/// Exchange the code with which GitHub came back for the App.
///
/// # Errors
/// [`ForgeError`] when GitHub cannot be asked, or the code was used already or is older than an hour.
pub async fn convert_manifest(
    url: &str,
    transport: &TransportSettings,
    code: &str,
    clock: Arc<dyn Clock>,
) -> Result<CreatedApp, ForgeError> {
    convert(url, transport, code, clock).await.map_err(|failure| failure.about("create", "the GitHub App"))
}

async fn convert(
    url: &str,
    transport: &TransportSettings,
    code: &str,
    clock: Arc<dyn Clock>,
) -> Result<CreatedApp, Failure> {
    let connection = Connection::new(url, transport)?;
    let limits = Arc::new(Mutex::new(Limits::default()));
    let client = Client::new(connection, Arc::new(Fixed(None)), limits, clock);
    let path = format!("/app-manifests/{}/conversions", encoded(code));
    let answer = client.write(Method::POST, &path, None, Repeat::Never).await?;
    if matches!(answer.status, 404 | 422) {
        return Err(Failure::permanent(
            "GitHub does not know the code; it serves once and for an hour, so start again",
        ));
    }
    let made: Converted = answer.success()?.json()?;
    Ok(CreatedApp {
        id: made.id,
        slug: made.slug,
        pem: made.pem,
        webhook_secret: made.webhook_secret,
        client_id: made.client_id,
        html_url: made.html_url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_described_for_an_account_or_an_organization() {
        let describe = |organization| {
            manifest(
                "Acme Tagboat",
                "https://tagboat.acme.example/",
                "/hooks/github",
                "https://github.com/",
                organization,
            )
        };
        let (action, manifest) = describe(Some("acme"));
        assert_eq!(action, "https://github.com/organizations/acme/settings/apps/new");
        assert_eq!(manifest["hook_attributes"]["url"], "https://tagboat.acme.example/hooks/github");
        assert_eq!(manifest["default_permissions"]["contents"], "write");
        assert_eq!(manifest["default_permissions"].get("workflows"), None);
        assert_eq!(describe(None).0, "https://github.com/settings/apps/new");
    }
}
