//! Which version moves on, and what is written of it: moved tags, digests, patterns, other names and other registries.

use tagboat_testkit::{
    github::{RepositorySetup, Setup},
    github_world::{GithubSetup, GithubWorld, REPOSITORY},
};

use super::{
    asked::{gates_status, head_of, image_in, reasons, text_of, with_host},
    three,
};

fn plain(setup: Setup, repository: RepositorySetup) -> Setup {
    setup.repository(repository)
}

/// Settings and files of a world of their own.
fn setup(settings: &str, files: &[(&str, &str)]) -> GithubSetup {
    GithubSetup::new(env!("CARGO_BIN_EXE_tagboat"), settings, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_was_moved_does_not_move_on() {
    let world = GithubWorld::start(three(), plain).await;
    world.push("web", "1.5.0").await;
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    world.wait_until_quiet().await;
    world.registry.push_image("acme/web", "1.5.0", "something else").await;
    let reason = "the registry has";
    world.wait("the reason", async |world| reasons(world, "staging", "web").await.contains(reason)).await;
    let image = image_in(&world, "staging", "web").await;
    assert_eq!(image["decision"]["outcome"], "blocked", "{image}");
    // Whoever looks at the pull request learns that what it names is something else now.
    world
        .wait("a word on the pull request", async |world| {
            let is_closed = world.github.pull(REPOSITORY, pull)["state"] == "closed";
            let status = gates_status(world, &head_of(world, pull));
            is_closed || text_of(world, pull).contains(reason) || status.is_some_and(|(state, _)| state != "success")
        })
        .await;
    // The next one is none of that.
    world.push("web", "1.6.0").await;
    world.wait_for_pull("Promote web 1.6.0 to staging").await;
    world.finish();
}

const PINS: &str = "images:
  - name: web
    image: HOST/acme/web
    policy: { semver: { range: \"^1.4\" } }
    pin: tagAndDigest
environments:
  - name: dev
    paths: [apps/dev]
    deliver: commit
  - name: staging
    paths: [apps/staging]
    promoteFrom: dev
    deliver: pullRequest
";

/// A manifest with line ends of its own, and a kustomization without one at its end.
fn pinned(world: &GithubWorld, tag: &str, digest: &str) -> [String; 2] {
    let manifest = format!(
        "# since 1.4.0\r\nkind:   Pod\r\nspec: {{containers: [{{name: \"web\", image: \"HOST/acme/web:{tag}@{digest}\"}}]}}   # end\r\n"
    );
    let kustomization = format!(
        "images:\n- name: web   # the name\n  newName: HOST/acme/web\n  newTag: '{tag}' # tag\n  digest: {digest}\n- name: webber\n  newName: HOST/acme/webber\n  newTag: 1.4.0"
    );
    [with_host(world, &manifest), with_host(world, &kustomization)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_moves_with_its_tag_and_nothing_else_does() {
    let mut world = GithubWorld::prepare(setup(PINS, &[]), plain);
    let old = world.push("web", "1.4.0").await;
    let [manifest, kustomization] = pinned(&world, "1.4.0", &old);
    let files = [
        ("apps/dev/web.yaml", Some(manifest.as_str())),
        ("apps/dev/kustomization.yaml", Some(kustomization.as_str())),
        ("apps/staging/web.yaml", Some(manifest.as_str())),
        ("apps/staging/kustomization.yaml", Some(kustomization.as_str())),
    ];
    world.github.person("alice").push(REPOSITORY, "main", "Files", &files);
    world.start_tagboat();
    world.wait_until_started().await;

    let new = world.push("web", "1.5.0").await;
    let [changed, kustomized] = pinned(&world, "1.5.0", &new);
    let pull = world.wait_for_pull("Promote web 1.5.0 to staging").await;
    assert_eq!(world.file("apps/dev/web.yaml"), changed);
    assert_eq!(world.file("apps/dev/kustomization.yaml"), kustomized);
    world.github.person("bob").merge(REPOSITORY, pull, "merge").unwrap();
    assert_eq!(world.file("apps/staging/web.yaml"), changed);
    assert_eq!(world.file("apps/staging/kustomization.yaml"), kustomized);
    world.finish();
}

const SETTINGS: &str = "defaults:
  policy: { semver: { range: \"^1.4\" } }
include: [teams/*/.tagboat.yaml]
images:
  - image: HOST/acme/*
  - name: api
    image: HOST/acme/api
    aliases: [mirror.example.org/acme/api]
environments:
  - name: dev
    paths: [apps/dev]
    deliver: commit
";

const OF_TEAM: &str = "images:
  - name: shop
    image: HOST/shop/shop
environments:
  - name: shop-dev
    paths: [teams/shop/dev]
    deliver: commit
  - name: shop-prod
    paths: [teams/shop/prod]
    promoteFrom: shop-dev
    deliver: pullRequest
    images:
      shop: { repository: HOST/prod/shop }
";

const OF_APPS: &str = "kind: Pod
spec:
  containers:
    - name: web
      image: HOST/acme/web:1.4.0
    - name: api
      image: mirror.example.org/acme/api:1.4.0 # from the mirror
    - name: other
      image: docker.io/library/busybox:1.36
";

#[tokio::test(flavor = "multi_thread")]
async fn patterns_other_names_included_files_and_other_registries_go_together() {
    let shop = "kind: Pod\nspec: { containers: [{ name: shop, image: HOST/shop/shop:1.4.0 }] }\n";
    let there = shop.replace("HOST/shop/shop", "HOST/prod/shop");
    let files = [
        ("teams/shop/.tagboat.yaml", OF_TEAM),
        ("apps/dev/all.yaml", OF_APPS),
        ("teams/shop/dev/shop.yaml", shop),
        ("teams/shop/prod/shop.yaml", there.as_str()),
    ];
    let mut world = GithubWorld::prepare(setup(SETTINGS, &files), plain);
    for repository in ["acme/web", "acme/api", "shop/shop", "prod/shop"] {
        world.registry.push_image(repository, "1.4.0", &format!("{repository}-1.4.0")).await;
    }
    world.start_tagboat();
    world.wait_until_started().await;
    world.push("web", "1.5.0").await;
    world.push("api", "1.6.0").await;
    world.wait_for_file("apps/dev/all.yaml", "mirror.example.org/acme/api:1.6.0 # from the mirror").await;
    world.wait_for_file("apps/dev/all.yaml", "/acme/web:1.5.0").await;
    let expected = with_host(
        &world,
        &OF_APPS.replace("acme/web:1.4.0", "acme/web:1.5.0").replace("acme/api:1.4.0", "acme/api:1.6.0"),
    );
    assert_eq!(world.file("apps/dev/all.yaml"), expected);

    // The team's own: what runs in dev moves on once the other registry has the same.
    world.registry.push_image("shop/shop", "1.5.0", "shop").await;
    world.wait_for_file("teams/shop/dev/shop.yaml", "shop/shop:1.5.0").await;
    world.wait_until_quiet().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty(), "the other registry does not have it yet");
    world.registry.push_image("prod/shop", "1.5.0", "shop").await;
    let pull = world.wait_for_pull("Promote shop 1.5.0 to shop-prod").await;
    world.github.person("bob").merge(REPOSITORY, pull, "merge").unwrap();
    let expected = with_host(&world, &there.replace("1.4.0", "1.5.0"));
    assert_eq!(world.file("teams/shop/prod/shop.yaml"), expected);
    world.finish();
}
