//! What `serve` would refuse here of a server file that is valid: secrets and files that are missing or cannot be used.
//!
//! Looks at all of it, where `serve` stops at the first. Nothing is opened, listened on or connected to.

use tagboat_settings::{CredentialsFile, ProxyFile, SecretSource, ServerFile};

use super::{access, issuers, receivers, registries, repositories};
use crate::{exit::Failure, secrets, telemetry};

/// All that stands in the way, in the words of `serve`.
pub(crate) fn refusals(file: &ServerFile) -> Vec<String> {
    let mut all: Vec<Failure> = Vec::new();
    for receiver in &file.receivers {
        let whose = format!("receiver `{}`", receiver.name);
        let unread = unread(&whose, &receiver.secrets());
        all.extend(or_else(unread, || receivers::receiver(receiver, &file.address()).map(|_| ())));
    }
    for repository in &file.repositories {
        let whose = format!("config repository `{}`", repository.name);
        let unread = unread(&whose, &passwords(repository.proxy.as_ref(), repository.credentials.as_ref()));
        all.extend(or_else(unread, || repositories::check(repository)));
    }
    for registry in &file.registries {
        let whose = format!("registry `{}`", registry.host);
        let unread = unread(&whose, &passwords(registry.proxy.as_ref(), registry.credentials.as_ref()));
        all.extend(or_else(unread, || registries::check(file, registry)));
    }
    if let Some(app) = &file.github_app {
        let key = app.private_key().map(|source| secrets::read_key("GitHub App", &source));
        all.extend(key.and_then(Result::err));
        all.extend(receivers::of_app(app).err());
        if file.receivers.iter().any(|receiver| receiver.name.as_str() == receivers::GITHUB_APP) {
            let name = receivers::GITHUB_APP;
            let message = format!("the receiver `{name}` has the name of the GitHub App's own; give it another");
            all.push(Failure::invalid(message));
        }
    }
    for repository in &file.repositories {
        let token = repository.forge.as_ref().and_then(tagboat_settings::ForgeFile::token);
        let whose = format!("the forge of config repository `{}`", repository.name);
        all.extend(token.and_then(|source| secrets::read(&whose, &source).err()));
    }
    all.extend(access(file).err());
    all.extend(telemetry::check(file).err());
    if file.receivers.iter().any(|receiver| receiver.identity.is_some()) {
        all.extend(issuers::of_server(file).err());
    }
    all.into_iter().map(|failure| failure.message).collect()
}

/// The secrets that cannot be read.
fn unread(whose: &str, sources: &[SecretSource]) -> Vec<Failure> {
    sources.iter().filter_map(|source| secrets::read(whose, source).err()).collect()
}

/// Where the passwords are of whatever has a proxy and credentials.
fn passwords(proxy: Option<&ProxyFile>, credentials: Option<&CredentialsFile>) -> Vec<SecretSource> {
    let proxy = proxy.and_then(|proxy| proxy.credentials.as_ref());
    let source = |file: &CredentialsFile| SecretSource::of(file.password_file.as_ref(), file.password_env.as_ref());
    [proxy, credentials].into_iter().flatten().filter_map(source).collect()
}

/// Where every secret can be read, what else is wrong.
fn or_else(unread: Vec<Failure>, whole: impl FnOnce() -> Result<(), Failure>) -> Vec<Failure> {
    if unread.is_empty() { whole().err().into_iter().collect() } else { unread }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_settings::read_server_file;

    fn of(text: &str) -> Vec<String> {
        refusals(&read_server_file("tagboat.yaml", text, Vec::new()).unwrap())
    }

    #[test]
    fn every_secret_that_is_missing_is_told_and_not_only_the_first() {
        let told = of("receivers:
  - { name: a, kind: generic, images: ['r.example/*'], secretEnvs: [NOT_SET_A, NOT_SET_B] }
  - { name: b, kind: generic, images: ['r.example/*'], secretFiles: [/nowhere/b] }
repositories:
  - name: config
    url: https://git.example/config
    credentials: { passwordEnv: NOT_SET_C }
    proxy: { url: 'http://proxy.example', credentials: { username: p, passwordEnv: NOT_SET_D } }
registries:
  - { host: r.example, credentials: { username: r, passwordFile: /nowhere/r } }
api: { tokenEnv: NOT_SET_E }
");
        let expect = [
            "receiver `a`: the environment variable NOT_SET_A is not set",
            "receiver `a`: the environment variable NOT_SET_B is not set",
            "receiver `b`: the file /nowhere/b cannot be read: ",
            "config repository `config`: the environment variable NOT_SET_D is not set",
            "config repository `config`: the environment variable NOT_SET_C is not set",
            "registry `r.example`: the file /nowhere/r cannot be read: ",
            "the API's token: the environment variable NOT_SET_E is not set",
        ];
        assert_eq!(told.len(), expect.len(), "{told:?}");
        for (told, expect) in told.iter().zip(expect) {
            assert!(told.starts_with(expect), "{told}");
        }
    }

    #[test]
    fn a_github_app_needs_a_key_that_is_one_and_the_secret_of_its_webhook() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "canary\n").unwrap();
        let told = of(&"githubApp: { appId: 7, privateKeyFile: FOLDER/key, webhookSecretFile: /nowhere/secret }
receivers:
  - { name: github-app, kind: generic, images: ['r.example/*'], secretEnvs: [PATH] }
"
        .replace("FOLDER", folder.path().to_str().unwrap()));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("GitHub App: ") && told[0].contains("holds no private key"), "{}", told[0]);
        assert!(told[1].starts_with("GitHub App: the file /nowhere/secret cannot be read: "), "{}", told[1]);
        assert!(told[2].starts_with("the receiver `github-app` has the name"), "{}", told[2]);
        assert!(!told.join("").contains("canary"), "{told:?}");
    }

    #[test]
    fn secrets_that_cannot_be_used_are_told_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        for (name, secret) in
            [("empty", "\n"), ("whsec", "whsec_canary!\n"), ("short", "canary\n"), ("good", "s3cret\n")]
        {
            std::fs::write(folder.path().join(name), secret).unwrap();
        }
        let told = of(&"receivers:
  - { name: empty, kind: generic, images: ['r.example/*'], secretFiles: [FOLDER/empty] }
  - { name: signing, kind: generic, images: ['r.example/*'], secretFiles: [FOLDER/whsec] }
  - { name: hub, kind: dockerhub, images: ['docker.io/acme/*'], secretFiles: [FOLDER/short] }
  - { name: good, kind: generic, images: ['r.example/*'], secretFiles: [FOLDER/good] }
repositories:
  - { name: config, url: 'ssh://git@git.example/config', ssh: { keyFile: /nowhere/key, knownHostsFile: /nowhere/hosts } }
"
        .replace("FOLDER", folder.path().to_str().unwrap()));
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("receiver `empty`: ") && told[0].ends_with("/empty is empty"), "{}", told[0]);
        assert!(told[1].starts_with("receiver `signing`: its signing secret cannot be used: "), "{}", told[1]);
        assert!(told[2].starts_with("receiver `hub`: the address is made of the secret"), "{}", told[2]);
        assert_eq!(told[3], "config repository `config`: there is no file /nowhere/key");
        assert!(!told.join("").contains("canary"), "{told:?}");
    }
}
