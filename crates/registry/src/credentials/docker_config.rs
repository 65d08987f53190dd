//! Docker's `config.json`: which entry or which helper program is meant for an image.
//!
//! Read here and not by the crate `docker_credential`: that one takes host names only, starts helpers of any name
//! without a limit of time, and shows secrets in its `Debug` output and in its errors. Forms of keys: those of
//! docker/cli; paths match only at the borders of `/` (CVE-2024-3727), as containers/image does.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tagboat_model::ImageName;

use super::{Environment, Identity};
use crate::client::Fault;

/// What helpers know Docker Hub by.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";
const LARGEST_FILE: u64 = 1024 * 1024;

/// The parts of the file that are about credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
}

/// Read the file; `None` when nobody named it and there is none.
pub(super) async fn read(file: Option<&PathBuf>, environment: &Environment) -> Result<Option<DockerConfig>, Fault> {
    let default = || {
        let folder = environment.path("DOCKER_CONFIG").or_else(|| Some(environment.path("HOME")?.join(".docker")));
        folder.map(|folder| folder.join("config.json"))
    };
    let Some(path) = file.cloned().or_else(default) else { return Ok(None) };
    let size = tokio::fs::metadata(&path).await.map(|metadata| metadata.len());
    let bytes = match size {
        Ok(size) if size > LARGEST_FILE => Err(std::io::Error::other("it is larger than 1 MiB")),
        Ok(_) => tokio::fs::read(&path).await,
        Err(error) => Err(error),
    };
    match bytes {
        Ok(bytes) => parse(&bytes, &path).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound && file.is_none() => Ok(None),
        Err(error) => {
            Err(Fault::new(format!("the Docker configuration {} cannot be read", path.display())).because(error))
        }
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<DockerConfig, Fault> {
    let mut config: DockerConfig = serde_json::from_slice(bytes).map_err(|error| {
        // The cause is left out: it may quote the file.
        let (path, line, column) = (path.display(), error.line(), error.column());
        Fault::new(format!("the Docker configuration {path} cannot be understood at line {line}, column {column}"))
    })?;
    path.clone_into(&mut config.path);
    Ok(config)
}

impl DockerConfig {
    /// The helper programs to ask, in order, with the server name that each of them knows.
    pub(super) fn helpers(&self, image: &ImageName) -> Vec<(String, String)> {
        let server = match image.registry() {
            "docker.io" => DOCKER_HUB_SERVER.to_owned(),
            registry => registry.to_owned(),
        };
        let own = best(&self.cred_helpers, image);
        let named = own.into_iter().chain(&self.creds_store).filter(|name| !name.is_empty());
        named.map(|name| (name.clone(), server.clone())).collect()
    }

    /// What stands in the file itself. An empty entry, which Docker writes beside a helper, says nothing.
    pub(super) fn entry(&self, image: &ImageName) -> Result<Option<Identity>, Fault> {
        let Some(entry) = best(&self.auths, image) else { return Ok(None) };
        let given = |secret: &Option<SecretString>| secret.clone().filter(|text| !text.expose_secret().is_empty());
        if let Some(token) = given(&entry.identitytoken) {
            return Ok(Some(Identity::Refresh(token)));
        }
        if let Some(auth) = given(&entry.auth) {
            return decode(&auth).map(Some).ok_or_else(|| {
                let (path, registry) = (self.path.display(), image.registry());
                Fault::new(format!("the Docker configuration {path} has an `auth` for {registry} that is not the base64 of `user:password`"))
            });
        }
        let user = entry.username.clone().filter(|user| !user.is_empty());
        Ok(user.zip(given(&entry.password)).map(|(user, password)| Identity::Password { user, password }))
    }
}

/// `auth` is the base64 of `user:password`, with or without padding.
fn decode(auth: &SecretString) -> Option<Identity> {
    let indifferent = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, indifferent).decode(auth.expose_secret()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker pads what it writes.
    let password = password.trim_matches('\0');
    Some(Identity::Password { user: user.to_owned(), password: password.to_owned().into() })
}

/// The entry with the longest path that contains the image. Of two spellings of one key the first in the order of
/// the alphabet counts, so that the answer is always the same.
fn best<'m, V>(entries: &'m BTreeMap<String, V>, image: &ImageName) -> Option<&'m V> {
    let mut best: Option<(usize, &V)> = None;
    for (key, value) in entries {
        let (host, path) = place(key);
        if host == image.registry()
            && contains(path, image.repository())
            && best.is_none_or(|(long, _)| path.len() > long)
        {
            best = Some((path.len(), value));
        }
    }
    best.map(|(_, value)| value)
}

/// Host and path that a key means. With a scheme, or with the path of an API, a key means the whole registry.
fn place(key: &str) -> (String, &str) {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let path = path.trim_end_matches('/');
    let whole = bare.is_some() || matches!(path, "v1" | "v2");
    let host = match host.to_ascii_lowercase() {
        hub if matches!(hub.as_str(), "index.docker.io" | "registry-1.docker.io") => "docker.io".to_owned(),
        host => host,
    };
    (host, if whole { "" } else { path })
}

fn contains(path: &str, repository: &str) -> bool {
    path.is_empty() || repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, image: &str) -> String {
        let config = parse(json.as_bytes(), Path::new("config.json")).unwrap();
        match config.entry(&image.parse().unwrap()) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(Identity::Password { user, password })) => format!("{user}:{}", password.expose_secret()),
            Ok(Some(Identity::Refresh(token))) => format!("refresh {}", token.expose_secret()),
            Ok(Some(Identity::Anonymous)) => "anonymous".to_owned(),
            Err(fault) => format!("{fault:?}"),
        }
    }

    /// A file whose entries say by their user which key was taken.
    fn with_keys(keys: &[&str]) -> String {
        let entries = keys.iter().map(|key| format!(r#""{key}":{{"username":"{key}","password":"p"}}"#));
        format!(r#"{{"auths":{{{}}}}}"#, entries.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn a_key_is_believed_only_for_its_registry_and_below_its_path() {
        for (keys, image, wanted) in [
            (&["https://index.docker.io/v1/"][..], "docker.io/acme/web", "https://index.docker.io/v1/:p"),
            (&["docker.io"], "docker.io/acme/web", "docker.io:p"),
            (&["registry-1.docker.io"], "nginx", "registry-1.docker.io:p"),
            (&["r.example"], "r.example/acme/web", "r.example:p"),
            (&["https://r.example"], "r.example/acme/web", "https://r.example:p"),
            (&["http://r.example/v2/"], "r.example/acme/web", "http://r.example/v2/:p"),
            (&["r.example/v1/"], "r.example/acme/web", "r.example/v1/:p"),
            (&["R.Example"], "r.example/acme/web", "R.Example:p"),
            (&["r.example:5000"], "r.example:5000/acme/web", "r.example:5000:p"),
            (&["r.example", "r.example/acme", "r.example/acme/web"], "r.example/acme/web", "r.example/acme/web:p"),
            (&["r.example", "r.example/acme", "r.example/acme/web"], "r.example/acme/webs", "r.example/acme:p"),
            (&["r.example", "r.example/acme/"], "r.example/acme/web", "r.example/acme/:p"),
            (&["r.example", "r.example/acme"], "r.example/acmes/web", "r.example:p"),
            (&["r.example/acme"], "r.example/acme-evil/web", "nothing"),
            (&["r.example/acme/web"], "r.example/acme", "nothing"),
            (&["r.example"], "r.example:5000/acme/web", "nothing"),
            (&["r.example:5000"], "r.example/acme/web", "nothing"),
            (&["r.example"], "r.example.evil.com/acme/web", "nothing"),
            (&["r.example"], "evil.r.example/acme/web", "nothing"),
            (&["example"], "r.example/acme/web", "nothing"),
            (&["", "/", "https://"], "r.example/acme/web", "nothing"),
        ] {
            assert_eq!(found(&with_keys(keys), image), wanted, "{keys:?} for {image}");
        }
    }

    #[test]
    fn all_ways_to_write_an_entry_are_read() {
        for (entry, wanted) in [
            (r#"{"auth":"dTpwOnE="}"#, "u:p:q"),
            (r#"{"auth":"dTpwOnE"}"#, "u:p:q"),
            (r#"{"auth":"dTpwAAA="}"#, "u:p"),
            (r#"{"auth":"dTpw","username":"other","password":"other"}"#, "u:p"),
            (r#"{"username":"u","password":"p"}"#, "u:p"),
            (r#"{"auth":"dTo=","identitytoken":"t"}"#, "refresh t"),
            (r"{}", "nothing"),
            (r#"{"username":"u"}"#, "nothing"),
            (r#"{"email":"x@y.example"}"#, "nothing"),
        ] {
            assert_eq!(found(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#), "r.example/a"), wanted, "{entry}");
        }
        let broken = found(r#"{"auths":{"r.example":{"auth":"canary!"}}}"#, "r.example/a");
        assert!(broken.contains("config.json") && !broken.contains("canary"), "{broken}");
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        for bad in ["", "[", r#"{"auths":"canary"}"#, r#"{"auths":{"r.example":{"auth":["canary"]}}}"#] {
            let error = format!("{:?}", parse(bad.as_bytes(), Path::new("/etc/config.json")).unwrap_err());
            assert!(error.contains("/etc/config.json") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_helper_of_the_registry_comes_before_the_store_for_all() {
        let json = r#"{"credHelpers":{"r.example":"own","https://index.docker.io/v1/":"hub"},"credsStore":"all"}"#;
        let config = parse(json.as_bytes(), Path::new("config.json")).unwrap();
        let helpers = |image: &str| {
            let found = config.helpers(&image.parse().unwrap());
            found.into_iter().map(|(name, server)| format!("{name} {server}")).collect::<Vec<_>>()
        };
        assert_eq!(helpers("r.example/a/b"), ["own r.example", "all r.example"]);
        assert_eq!(helpers("nginx"), ["hub https://index.docker.io/v1/", "all https://index.docker.io/v1/"]);
        assert_eq!(helpers("other.example/a"), ["all other.example"]);
    }
}
