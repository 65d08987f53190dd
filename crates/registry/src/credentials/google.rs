//! Google's Artifact Registry and Container Registry: an access token of the machine, or a key file.
//!
//! Documentation: "Authenticate workloads using service accounts" (metadata server) and "Set up authentication for
//! Docker" (users `oauth2accesstoken` and `_json_key`). Workload identity of GKE answers at the same address.
//! Does not read credentials of people, nor federated identities in files.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Environment,
    ambient::{AmbientCredential, Links},
    answer,
};
use crate::client::Fault;

const METADATA_HOST: &str = "metadata.google.internal";
const TOKEN_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";
/// What Google documents. Whatever the answer says: it is asked for again, and one that was withdrawn is used no longer.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// A key file has no end that we know; it is read again after this time.
const KEY_FILE_LIFE: Duration = Duration::from_secs(600);

pub(super) fn is_registry(host: &str) -> bool {
    host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with(".pkg.dev")
}

#[derive(Deserialize)]
struct Token {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Value,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
}

/// `tunnel`: the registry is reached over plain http, which a private key never is sent over.
pub(super) async fn fetch(links: &Links, tunnel: bool, environment: &Environment) -> Result<AmbientCredential, Fault> {
    if let Some(file) = environment.path("GOOGLE_APPLICATION_CREDENTIALS").filter(|_| !tunnel) {
        return key_file(&file).await;
    }
    let host = environment.get("GCE_METADATA_HOST").unwrap_or(METADATA_HOST);
    let url = Url::parse(&format!("http://{host}/{TOKEN_PATH}"))
        .map_err(|error| Fault::new("GCE_METADATA_HOST is not a host").because(error))?;
    // Without the header the server refuses: it keeps requests away that others made us send.
    let request = links.to(&url).get(url.clone()).header("Metadata-Flavor", "Google");
    let (token, _): (Token, _) = answer::json("the metadata server of Google", request).await?;
    let lifetime = answer::seconds(&token.expires_in).unwrap_or_default().min(LONGEST_LIFE);
    Ok(AmbientCredential { user: "oauth2accesstoken".to_owned(), password: token.access_token, lifetime })
}

/// The registry takes the whole file as a password. It goes to hosts of Google only, and only over https.
async fn key_file(file: &std::path::Path) -> Result<AmbientCredential, Fault> {
    let fault =
        |what: &str| Fault::new(format!("the file {} of GOOGLE_APPLICATION_CREDENTIALS {what}", file.display()));
    let text = tokio::fs::read_to_string(file).await.map_err(|error| fault("cannot be read").because(error))?;
    let key: KeyFile = serde_json::from_str(&text).map_err(|_| fault("is not a key file of Google"))?;
    if key.kind != "service_account" {
        return Err(fault("is not the key of a service account; others are not supported"));
    }
    Ok(AmbientCredential { user: "_json_key".to_owned(), password: text.into(), lifetime: KEY_FILE_LIFE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_google_are_its_registries() {
        for good in ["gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev"] {
            assert!(is_registry(good), "{good}");
        }
        for bad in [
            "evilgcr.io",
            "gcr.io.evil.example",
            "pkg.dev.evil.example",
            "evilpkg.dev",
            "gcr.io:8443",
            "mirror.gcr.io.",
            "",
        ] {
            assert!(!is_registry(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn only_the_key_of_a_service_account_is_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let text = r#"{"type":"service_account","private_key":"canary"}"#;
        std::fs::write(&path, text).unwrap();
        assert_eq!(key_file(&path).await.unwrap().user, "_json_key");
        for bad in ["canary", r#"{"type":"external_account"}"#, r#"{"key":"canary"}"#] {
            std::fs::write(&path, bad).unwrap();
            let error = format!("{:?}", key_file(&path).await.unwrap_err());
            assert!(error.contains("key.json") && !error.contains("canary"), "{error}");
        }
    }
}
