//! Azure's container registry: workload identity or managed identity, exchanged for a refresh token of the registry.
//!
//! Documentation: "OAuth 2.0 client credentials flow", third case (federated token); "How to use managed identities
//! to acquire an access token" (virtual machines and App Service); Azure/acr `AAD-OAuth.md` (`/oauth2/exchange`).

use std::{path::Path, time::Duration};

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Environment,
    ambient::{AmbientCredential, Links},
    answer,
};
use crate::client::Fault;

/// What the registry wants to see in the token, in every cloud.
const AUDIENCE: &str = "https://containerregistry.azure.net";
const AUTHORITY: &str = "https://login.microsoftonline.com";
const METADATA: &str = "http://169.254.169.254";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The user that says "the password is a refresh token".
const USER: &str = "00000000-0000-0000-0000-000000000000";
/// The registry's refresh tokens last three hours. They say so only inside, where we do not look.
const LIFE: Duration = Duration::from_secs(3600);

pub(super) fn is_registry(host: &str) -> bool {
    [".azurecr.io", ".azurecr.cn", ".azurecr.us"].iter().any(|suffix| host.ends_with(suffix))
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Value,
}

#[derive(Deserialize)]
struct RefreshToken {
    refresh_token: SecretString,
}

/// `tunnel`: the registry is reached over plain http.
pub(super) async fn fetch(
    links: &Links,
    registry: &str,
    tunnel: bool,
    environment: &Environment,
) -> Result<AmbientCredential, Fault> {
    let token = match environment.path("AZURE_FEDERATED_TOKEN_FILE") {
        Some(file) => workload_identity(links, &file, environment).await?,
        None => managed_identity(links, environment).await?,
    };
    let life = answer::seconds(&token.expires_in).map_or(LIFE, |life| life.min(LIFE));
    let scheme = if tunnel { "http" } else { "https" };
    let url = parse(&format!("{scheme}://{registry}/oauth2/exchange"), "the registry's address")?;
    let mut form = vec![
        ("grant_type", "access_token"),
        ("service", registry),
        ("access_token", token.access_token.expose_secret()),
    ];
    form.extend(environment.get("AZURE_TENANT_ID").map(|tenant| ("tenant", tenant)));
    let request = links.to(&url).post(url.clone()).form(&form);
    let (refresh, _): (RefreshToken, _) = answer::json(&format!("the token exchange of {registry}"), request).await?;
    Ok(AmbientCredential { user: USER.to_owned(), password: refresh.refresh_token, lifetime: life })
}

/// The token that Kubernetes wrote, exchanged at the directory.
async fn workload_identity(links: &Links, file: &Path, environment: &Environment) -> Result<AccessToken, Fault> {
    let variable = |name: &str| {
        environment.get(name).ok_or_else(|| {
            Fault::new(format!(
                "AZURE_FEDERATED_TOKEN_FILE is set but {name} is not; is the workload's service account annotated?"
            ))
        })
    };
    let (tenant, client) = (variable("AZURE_TENANT_ID")?, variable("AZURE_CLIENT_ID")?);
    let assertion = tokio::fs::read_to_string(file).await.map(SecretString::from).map_err(|error| {
        Fault::new(format!("the file {} of AZURE_FEDERATED_TOKEN_FILE cannot be read", file.display())).because(error)
    })?;
    let authority = environment.get("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY).trim_end_matches('/');
    let url = parse(&format!("{authority}/{tenant}/oauth2/v2.0/token"), "AZURE_AUTHORITY_HOST")?;
    let scope = format!("{AUDIENCE}/.default");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", &scope),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.expose_secret().trim()),
    ];
    let request = links.to(&url).post(url.clone()).form(&form);
    Ok(answer::json("the directory of Azure", request).await?.0)
}

/// What the platform says about the machine: App Service and Container Apps by `IDENTITY_ENDPOINT`, else the
/// metadata service. `AZURE_CLIENT_ID` chooses one of several identities.
async fn managed_identity(links: &Links, environment: &Environment) -> Result<AccessToken, Fault> {
    let service = environment.get("IDENTITY_ENDPOINT").zip(environment.get("IDENTITY_HEADER"));
    let (text, version) = match service {
        Some((endpoint, _)) => (endpoint.to_owned(), "2019-08-01"),
        None => {
            let host = environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA);
            (format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/')), "2018-02-01")
        }
    };
    let mut url = parse(&text, "the address of the metadata service")?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", AUDIENCE);
    if let Some(client) = environment.get("AZURE_CLIENT_ID") {
        url.query_pairs_mut().append_pair("client_id", client);
    }
    let request = links.to(&url).get(url.clone());
    let request = match service {
        Some((_, header)) => request.header("X-IDENTITY-HEADER", header),
        None => request.header("Metadata", "true"),
    };
    Ok(answer::json("the managed identity of Azure", request).await?.0)
}

fn parse(text: &str, what: &str) -> Result<Url, Fault> {
    Url::parse(text).map_err(|error| Fault::new(format!("{what} is not a URL")).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_azure_are_its_registries() {
        assert!(is_registry("acme.azurecr.io") && is_registry("acme.azurecr.us") && is_registry("acme-abc.azurecr.cn"));
        for bad in ["azurecr.io", "acme.azurecr.io.evil.example", "evilazurecr.io", "acme.azurecr.io:8443", ""] {
            assert!(!is_registry(bad), "{bad}");
        }
    }
}
