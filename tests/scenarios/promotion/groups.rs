//! Several images in one pull request, and limits on how many there are.

use tagboat_testkit::github_world::{GithubSetup, GithubWorld, REPOSITORY};

use super::with;

const ALL: &str = "kind: Pod\nspec:\n  containers:\n    - name: web\n      image: HOST/acme/web:1.4.0\n    - name: api\n      image: HOST/acme/api:1.4.0\n    - name: db\n      image: HOST/acme/db:1.4.0\n";
const PATH: &str = "apps/prod/all.yaml";

/// Three images in one file; `rules` are more lines of the environment.
fn three_images(rules: &str) -> GithubSetup {
    let entry = |name: &str| {
        format!("  - name: {name}\n    image: HOST/acme/{name}\n    policy: {{ semver: {{ range: \"^1.4\" }} }}\n")
    };
    let images: String = ["web", "api", "db"].map(entry).concat();
    let settings = format!(
        "images:\n{images}environments:\n  - name: prod\n    paths: [apps/prod]\n    deliver: pullRequest\n{rules}"
    );
    GithubSetup::new(env!("CARGO_BIN_EXE_tagboat"), &settings, &[(PATH, ALL)])
}

async fn start(rules: &str) -> GithubWorld {
    let mut world = GithubWorld::prepare(three_images(rules), |setup, repository| setup.repository(repository));
    for name in ["web", "api", "db"] {
        world.push(name, "1.4.0").await;
    }
    world.start_tagboat();
    world.wait_until_started().await;
    world.settle().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_for_all_and_closing_it_refuses_exactly_these() {
    let world = start("    group: all\n").await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.push("api", "1.5.0").await;
    world.push("db", "1.5.0").await;
    assert_eq!(world.wait_for_pull("Update 3 images (1.5.0) in prod").await, number);
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    assert_eq!(Some(world.parent("tagboat/prod/all")), world.github.head(REPOSITORY, "main"));

    world.github.person("bob").close(REPOSITORY, number);
    let comment = world.wait_for_comment(number, "brings neither these versions nor older ones to **prod**").await;
    for name in ["web", "api", "db"] {
        assert!(comment.contains(&format!("- {name} `1.5.0@sha256:")), "{comment}");
    }
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty(), "it does not come back");
    assert_eq!(world.get("/api/v1/holds").await["holds"].as_array().unwrap().len(), 3);

    // A newer one of one image comes by itself.
    world.push("api", "1.6.0").await;
    let next = world.wait_for_pull("Update api to 1.6.0 in prod").await;
    assert_ne!(next, number);
    let text = world.github.file(REPOSITORY, "tagboat/prod/all", PATH).unwrap();
    assert!(text.contains("web:1.4.0") && text.contains("api:1.6.0") && text.contains("db:1.4.0"), "{text}");
    world.github.person("bob").merge(REPOSITORY, next, "merge").unwrap();
    world.wait_for_file(PATH, "api:1.6.0").await;
    world.settle().await;
    assert!(world.github.open_pulls(REPOSITORY).is_empty());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_with_other_names_take_the_place_of_those_that_were_offered() {
    let world = start("    group: all\n").await;
    world.push("web", "1.5.0").await;
    world.push("api", "1.5.0").await;
    let number = world.wait_for_pull("Update 2 images (1.5.0) in prod").await;
    world.settle().await;
    let settings = world.file(".tagboat.yaml");
    let renamed = settings.replace("name: web", "name: shop").replace("name: api", "name: shop-api");
    world.github.person("alice").push(REPOSITORY, "main", "Rename", &[(".tagboat.yaml", Some(renamed.as_str()))]);
    world
        .wait("the other names", async |world| {
            let open = world.github.open_pulls(REPOSITORY);
            matches!(open[..], [one] if world.body(one).contains("shop-api") && !world.body(one).contains("| web ("))
        })
        .await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number], "{}", world.body(number));
    let text = world.github.file(REPOSITORY, "tagboat/prod/all", PATH).unwrap();
    assert!(text.contains("web:1.5.0") && text.contains("api:1.5.0"), "{text}");
    assert_eq!(world.get("/api/v1/holds").await["holds"], serde_json::json!([]), "nobody said no");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_groups_go_together_and_the_others_alone() {
    let world = start("    group: { shop: [web, api] }\n").await;
    for name in ["web", "api", "db"] {
        world.push(name, "1.5.0").await;
    }
    let shop = world.wait_for_pull("Update 2 images (1.5.0) in prod").await;
    let db = world.wait_for_pull("Update db to 1.5.0 in prod").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY).len(), 2);
    assert_eq!(world.github.pull(REPOSITORY, shop)["head"]["ref"], "tagboat/prod/shop");

    // What happens to one is nothing to the other.
    let head = world.github.head(REPOSITORY, "tagboat/prod/db");
    world.github.person("bob").close(REPOSITORY, shop);
    world.wait_for_comment(shop, "brings neither these versions").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [db]);
    assert_eq!(world.github.head(REPOSITORY, "tagboat/prod/db"), head);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_limit_holds_back_can_be_seen_and_comes_when_there_is_room() {
    let settings = format!(
        "{}environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n  - name: staging\n    paths: [apps/staging]\n\
         \x20   promoteFrom: dev\n    deliver: pullRequest\n  - name: prod\n    paths: [apps/prod]\n    promoteFrom: dev\n\
         \x20   deliver: pullRequest\nlimits: {{ openPullRequests: 1 }}\n",
        super::IMAGES
    );
    let world = GithubWorld::start(with(&settings), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Promote web 1.5.0 to").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    let held = "held back by the limit of 1 open pull requests (`limits.openPullRequests`)";
    assert!(world.explain("web").contains(held), "{}", world.explain("web"));
    let environments = world.get("/api/v1/environments").await.to_string();
    assert!(environments.contains("limits.openPullRequests"), "{environments}");

    // What is open is kept up to date all the same.
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Promote web 1.6.0 to").await, number);
    world.github.person("bob").merge(REPOSITORY, number, "merge").unwrap();
    let next = world.wait_for_pull("Promote web 1.6.0 to").await;
    assert_ne!(next, number);
    world.finish_quiet().await;
}
