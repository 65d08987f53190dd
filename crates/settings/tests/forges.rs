//! What the server file says of forges and the GitHub App, and what operators read when it is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::path::PathBuf;

use tagboat_model::ForgeKind;
use tagboat_settings::{CommitThrough, SecretSource, ServerFile, read_server_file};

fn read(text: &str, variables: &[(&str, &str)]) -> Result<ServerFile, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    read_server_file("tagboat.yaml", text, variables).map_err(|problem| problem.to_string())
}

fn told(text: &str) -> String {
    match read(text, &[]) {
        Ok(file) => format!("{} repositories, an App: {}", file.repositories.len(), file.github_app.is_some()),
        Err(problem) => problem,
    }
}

fn repository(url: &str, more: &str) -> String {
    told(&format!("repositories:\n  - name: config\n    url: {url}\n    {more}\n"))
}

const APP: &str = "githubApp:\n  appId: 7\n  privateKeyEnv: KEY\n  webhookSecretFile: /run/secret\n";

#[test]
fn a_forge_follows_from_the_url_where_it_can() {
    let github = |more: &str| repository("https://github.com/acme/config.git", more);
    insta::assert_snapshot!(github("forge: { kind: github, tokenEnv: T }"), @"1 repositories, an App: false");
    insta::assert_snapshot!(github("forge: { kind: github }"), @"tagboat.yaml:4:12: say where the token is, `tokenFile` or `tokenEnv`, or add a `githubApp`");
    insta::assert_snapshot!(github("forge: { kind: gitea }"), @"tagboat.yaml:4:12: say where the token is: `tokenFile` or `tokenEnv`");
    insta::assert_snapshot!(github("forge: { kind: github, tokenEnv: T, tokenFile: t }"), @"tagboat.yaml:4:12: `tokenFile` and `tokenEnv` exclude each other");
    insta::assert_snapshot!(github("forge: { kind: githbu, tokenEnv: T }"), @"tagboat.yaml:4:20: unknown value `githbu`; did you mean `github`? (known here: github, gitlab, gitea, forgejo)");
    insta::assert_snapshot!(github("forge: { kind: github, tokenEnv: T, url: api.github.com }"), @"tagboat.yaml:4:12: `api.github.com` is no address; it begins with `https://`");
    insta::assert_snapshot!(github("forge: { kind: github, tokenEnv: T, url: 'https://git.example/api?x' }"), @"tagboat.yaml:4:12: `https://git.example/api?x` is no address: write scheme, host and path, without `?`, `#` and `@`");
    insta::assert_snapshot!(github("forge: { kind: github, tokenEnv: T, url: 'http://git.example/api/v3' }"), @"tagboat.yaml:4:12: the token would travel in clear; use `https://`, or set `insecure: true`");
    insta::assert_snapshot!(github("insecure: true\n    forge: { kind: github, tokenEnv: T, url: 'http://git.example/api/v3' }"), @"1 repositories, an App: false");
    insta::assert_snapshot!(github("forge: { kind: github, tokenEnv: T, repository: config }"), @"tagboat.yaml:4:12: `config` is no repository of a forge; write owner and name, as in `acme/config`");
    insta::assert_snapshot!(repository("https://git.example/gitea/acme/config", "forge: { kind: gitea, tokenEnv: T }"), @"tagboat.yaml:4:12: the repository does not follow from its `url`; add `repository`, as in `acme/config`");
    insta::assert_snapshot!(repository("file:///srv/git/config.git", "forge: { kind: gitea, tokenEnv: T }"), @"tagboat.yaml:4:12: the address of the API does not follow from the repository's `url`; add `url`");
    insta::assert_snapshot!(repository("file:///srv/git/config.git", "forge: { kind: gitea, tokenEnv: T, url: 'http://localhost:3000/api/v1', repository: acme/config }"), @"1 repositories, an App: false");
    insta::assert_snapshot!(github("pushOptions: [ci.skip, \"a\\nb\"]"), @"tagboat.yaml:4:18: an option must not be empty, nor hold a line end");
}

#[test]
fn an_app_is_checked() {
    let app = |more: &str| told(&format!("githubApp: {{ {more} }}\n"));
    insta::assert_snapshot!(told(APP), @"0 repositories, an App: true");
    insta::assert_snapshot!(app("privateKeyEnv: K, webhookSecretEnv: S"), @"tagboat.yaml:1:32: the key `appId` is missing");
    insta::assert_snapshot!(app("appId: 0, privateKeyEnv: K, webhookSecretEnv: S"), @"tagboat.yaml:1:21: an App has a number; its settings show it");
    insta::assert_snapshot!(app("appId: 7, webhookSecretEnv: S"), @"tagboat.yaml:1:12: say where the private key is: `privateKeyFile` or `privateKeyEnv`");
    insta::assert_snapshot!(app("appId: 7, privateKeyEnv: K"), @"tagboat.yaml:1:12: say where the secret of the webhook is: `webhookSecretFile` or `webhookSecretEnv`");
    insta::assert_snapshot!(app("appId: 7, privateKeyEnv: K, privateKeyFile: k, webhookSecretEnv: S"), @"tagboat.yaml:1:58: `privateKeyFile` and `privateKeyEnv` exclude each other");
    insta::assert_snapshot!(app("appId: 7, privateKeyEnv: K, webhookSecretEnv: S, url: 'http://ghe.example'"), @"tagboat.yaml:1:68: the token would travel in clear; use `https://`, or set `insecure: true`");
    insta::assert_snapshot!(app("appId: 7, privateKeyEnv: K, webhookSecretEnv: S, url: 'https://api.github.com'"), @"tagboat.yaml:1:68: write the address for people, as in `https://github.com`, not that of the API");
    insta::assert_snapshot!(app("appId: 7, privateKeyEnv: K, webhookSecretEnv: S, url: 'http://ghe.example', insecure: true"), @"0 repositories, an App: true");
    insta::assert_snapshot!(app("appId: 7, privateKeyEnv: K, webhookSecretEnv: S, commitThrough: push"), @"tagboat.yaml:1:78: unknown value `push` (known here: api, git)");
}

#[test]
fn a_repository_at_github_may_leave_its_token_to_the_app() {
    let text = format!(
        "{APP}repositories:\n  - name: config\n    url: https://github.com/acme/config\n    forge: {{ kind: github }}\n"
    );
    let file = read(&text, &[]).unwrap();
    let (repository, app) = (&file.repositories[0], file.github_app.as_ref().unwrap());
    let forge = repository.forge.as_ref().unwrap();
    assert_eq!((ForgeKind::from(forge.kind), forge.token()), (ForgeKind::Github, None));
    assert_eq!(forge.api(&repository.url).as_deref(), Some("https://api.github.com"));
    assert_eq!(forge.repository(&repository.url).as_deref(), Some("acme/config"));
    assert_eq!((app.app_id, app.api().as_str(), app.tenant.is_none()), (7, "https://api.github.com", true));
    assert_eq!((app.onboarding, app.commit_through), (true, CommitThrough::Api));
    assert_eq!(app.private_key(), Some(SecretSource::Env("KEY".to_owned())));
    assert_eq!(app.webhook_secret(), Some(SecretSource::File(PathBuf::from("/run/secret"))));
}

#[test]
fn environment_variables_override_them_too() {
    let text = format!(
        "{APP}repositories:\n  - name: config\n    url: https://github.com/acme/config\n    forge: {{ kind: github }}\n"
    );
    let file = read(
        &text,
        &[
            ("TAGBOAT_GITHUB_APP_APP_ID", "8"),
            ("TAGBOAT_GITHUB_APP_TENANT", "acme"),
            ("TAGBOAT_GITHUB_APP_ONBOARDING", "false"),
            ("TAGBOAT_GITHUB_APP_COMMIT_THROUGH", "git"),
            ("TAGBOAT_REPOSITORIES_0_FORGE_TOKEN_ENV", "TOKEN"),
            ("TAGBOAT_REPOSITORIES_0_FORGE_REPOSITORY", "acme/other"),
            ("TAGBOAT_REPOSITORIES_0_PUSH_OPTIONS", "[ci.skip]"),
        ],
    )
    .unwrap();
    let app = file.github_app.as_ref().unwrap();
    assert_eq!((app.app_id, app.onboarding, app.commit_through), (8, false, CommitThrough::Git));
    assert_eq!(app.tenant.as_ref().unwrap().as_str(), "acme");
    let repository = &file.repositories[0];
    let forge = repository.forge.as_ref().unwrap();
    assert_eq!(forge.token(), Some(SecretSource::Env("TOKEN".to_owned())));
    assert_eq!(forge.repository(&repository.url).as_deref(), Some("acme/other"));
    assert_eq!(repository.push_options, ["ci.skip"]);
    let whole = read("", &[("TAGBOAT_GITHUB_APP", "{ appId: 7, privateKeyEnv: K, webhookSecretEnv: S }")]).unwrap();
    assert_eq!(whole.github_app.unwrap().app_id, 7);
}
