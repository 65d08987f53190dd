//! Environments on branches of their own, beside the branch whose repository file governs.

use std::fs;

use tagboat_testkit::git;

use crate::world::over_http;

/// A repository file for an environment on `staging`, with the range of web.
fn settings(host: &str, range: &str) -> String {
    format!(
        "images:\n  - {{ name: web, image: {host}/acme/web, policy: {{ semver: {{ range: '{range}' }} }} }}\n\
         environments:\n  - {{ name: staging, branch: staging, deliver: commit }}\n"
    )
}

#[tokio::test]
async fn what_a_branch_says_of_policies_governs_once_it_is_merged() {
    let world = over_http().await;
    world.wait_until_started().await;
    let (server, host) = (world.config.path(), world.registry.host());
    // The environment's branch carries another repository file than the branch that governs.
    let work = tempfile::tempdir().unwrap();
    git(work.path(), &["clone", "--quiet", server.to_str().unwrap(), "."]);
    git(work.path(), &["checkout", "--quiet", "-b", "staging"]);
    for (branch, range) in [("main", "^1.4"), ("staging", ">=1.4")] {
        fs::write(work.path().join(".tagboat.yaml"), settings(&host, range)).unwrap();
        git(work.path(), &["commit", "--quiet", "--all", "--message", branch]);
        git(work.path(), &["push", "--quiet", "origin", &format!("HEAD:{branch}")]);
    }
    let tag_at_staging = || git(&server, &["show", "staging:apps/dev/kustomization.yaml"]);
    world.registry.push_image("acme/web", "1.5.0", "1.5.0").await;
    world.announce("1", &world.announcement("web", "1.5.0")).await;
    world.wait("1.5.0 on staging", async |_| tag_at_staging().contains("\"1.5.0\"")).await;
    world.wait_for_event("web", "1.5.0", 1).await;

    // Merged without a commit of its own: main is where our commit on staging is.
    git(&server, &["update-ref", "refs/heads/main", "refs/heads/staging"]);
    world.registry.push_image("acme/web", "2.0.0", "2.0.0").await;
    world.announce("2", &world.announcement("web", "2.0.0")).await;
    world.wait("2.0.0 on staging", async |_| tag_at_staging().contains("\"2.0.0\"")).await;
    world.config.check_integrity();
}
