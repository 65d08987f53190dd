//! Promotion by pull request, as a team sees it that installs the App on its config repository.

mod app;
mod asked;
mod commands;
mod gates;
mod groups;
mod large;
mod life;
mod merging;
mod outages;
mod people;
mod places;
mod refusals;
mod steps;
mod versions;
mod wishes;

use tagboat_testkit::github_world::GithubSetup;

/// Dev by commit, staging and prod by pull request.
pub(crate) const THREE: &str = "images:
  - name: web
    image: HOST/acme/web
    policy: { semver: { range: \"^1.4\" } }
environments:
  - name: dev
    paths: [apps/dev]
    deliver: commit
  - name: staging
    paths: [apps/staging]
    promoteFrom: dev
    deliver: pullRequest
  - name: prod
    paths: [apps/prod]
    promoteFrom: staging
    deliver: pullRequest
";

/// A file that names the image with a tag and a comment.
pub(crate) const WEB: &str =
    "kind: Pod\nspec:\n  containers:\n    - name: web\n      image: HOST/acme/web:1.4.0 # moved by Tagboat\n";

/// The three environments with the image in each.
pub(crate) fn three() -> GithubSetup {
    with(THREE)
}

/// Other settings for the same files.
pub(crate) fn with(settings: &str) -> GithubSetup {
    let files = [("apps/dev/web.yaml", WEB), ("apps/staging/web.yaml", WEB), ("apps/prod/web.yaml", WEB)];
    GithubSetup::new(env!("CARGO_BIN_EXE_tagboat"), settings, &files)
}

/// Only prod, chosen by policy and delivered by pull request; `rules` are more lines of it, indented by four.
pub(crate) fn only_prod(rules: &str) -> GithubSetup {
    with(&format!("{IMAGES}environments:\n  - name: prod\n    paths: [apps/prod]\n    deliver: pullRequest\n{rules}"))
}

/// The image `web` with its policy.
pub(crate) const IMAGES: &str =
    "images:\n  - name: web\n    image: HOST/acme/web\n    policy: { semver: { range: \"^1.4\" } }\n";

/// The branch of the pull request of [`only_prod`].
pub(crate) const BRANCH: &str = "tagboat/prod/web";
/// The file that it changes.
pub(crate) const FILE: &str = "apps/prod/web.yaml";

/// The file with another tag, and a line of a person's.
pub(crate) fn web_at(host: &str, tag: &str) -> String {
    let text = WEB.replace("HOST", host).replace(":1.4.0", &format!(":{tag}"));
    format!("{text}# written by hand\n")
}
