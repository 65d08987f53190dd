//! What people change at a pull request stays theirs.

use tagboat_testkit::github_world::{GithubWorld, REPOSITORY};

use super::{BRANCH, only_prod};

#[tokio::test(flavor = "multi_thread")]
async fn words_around_ours_and_an_own_title_are_kept() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let bob = world.github.person("bob");
    bob.edit_title(REPOSITORY, number, "Release of the week");
    let body = format!("Please look at the graphs first.\n\n{}\n\nCC @alice", world.body(number).trim_end());
    bob.edit_body(REPOSITORY, number, &body);
    world.settle().await;
    assert_eq!(world.title(number), "Release of the week");

    // A newer version has a title of its own; their words stay.
    world.push("web", "1.6.0").await;
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in prod").await, number);
    world.settle().await;
    let body = world.body(number);
    assert!(body.starts_with("Please look at the graphs first.\n"), "{body}");
    assert!(body.contains("CC @alice"), "{body}");
    assert!(body.contains("`1.6.0`") && !body.contains("`1.5.0`"), "{body}");
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_replaced_gets_ours_back_once() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let body = world.body(number);
    world.github.person("bob").edit_body(REPOSITORY, number, "");
    world.wait("the text to come back", async |world| world.body(number) == body).await;
    world.settle().await;
    let writes = world.github.writes().len();
    world.settle().await;
    assert_eq!(world.github.writes().len(), writes);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_elsewhere_now_is_left_alone_and_comes_back() {
    let mut world = GithubWorld::prepare(only_prod(""), |setup, repository| setup.repository(repository));
    let main = world.github.head(REPOSITORY, "main").unwrap();
    world.github.person("alice").set_branch(REPOSITORY, "other", &main);
    world.push("web", "1.4.0").await;
    world.start_tagboat();
    world.wait_until_started().await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;

    world.github.person("bob").edit_base(REPOSITORY, number, "other");
    world.wait_for_comment(number, "This goes into `other` now").await;
    let head = world.github.head(REPOSITORY, BRANCH);
    world.push("web", "1.6.0").await;
    world.settle().await;
    assert_eq!(world.github.open_pulls(REPOSITORY), [number]);
    assert_eq!(world.github.head(REPOSITORY, BRANCH), head);
    assert_eq!(world.comments_of_app(number).len(), 1);

    world.github.person("bob").edit_base(REPOSITORY, number, "main");
    assert_eq!(world.wait_for_pull("Update web to 1.6.0 in prod").await, number);
    world.settle().await;
    assert_eq!(world.comments_of_app(number).len(), 1);
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_stops_all_updates() {
    let world = GithubWorld::start(only_prod(""), |setup, repository| setup.repository(repository)).await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.github.person("bob").label(REPOSITORY, number, "stop-updating");
    world.settle().await;
    let writes = world.github.writes().len();
    world.push("web", "1.6.0").await;
    world.settle().await;
    assert_eq!(world.title(number), "Update web to 1.5.0 in prod");
    assert_eq!(world.github.writes().len(), writes, "{:?}", world.github.writes());
    world.finish_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_reviewers_assignees_and_milestone_are_set_and_unknown_ones_left_out() {
    let rules = "    pullRequest:\n      labels: [promotion, deploy]\n      reviewers: [team/platform, carol, nobody-here]\n      assignees: [bob, ghost-there]\n      milestone: next\n";
    let world = GithubWorld::start(only_prod(rules), |setup, mut repository| {
        repository.milestones = vec!["next".to_owned()];
        setup.repository(repository).team_member("acme", "platform", "alice")
    })
    .await;
    world.push("web", "1.5.0").await;
    let number = world.wait_for_pull("Update web to 1.5.0 in prod").await;
    world.settle().await;
    let pull = world.github.pull(REPOSITORY, number);
    let names = |list: &str, key: &str| -> Vec<String> {
        let items = pull[list].as_array().unwrap().iter();
        items.map(|item| item[key].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names("labels", "name"), ["promotion", "deploy"]);
    assert_eq!(names("requested_reviewers", "login"), ["carol"]);
    assert_eq!(names("assignees", "login"), ["bob"]);
    assert_eq!(pull["milestone"]["title"], "next");
    let writes = world.github.writes();
    assert!(writes.iter().any(|seen| seen.body["team_reviewers"] == serde_json::json!(["platform"])), "{writes:?}");
    assert!(world.log().contains("nobody-here"), "it is said what was left out");
    assert!(world.log().contains("ghost-there"));

    // People take some away; a newer version does not put them back.
    world.push("web", "1.6.0").await;
    world.wait_for_pull("Update web to 1.6.0 in prod").await;
    world.settle().await;
    let asked = |path: &str| world.github.writes().iter().filter(|seen| seen.path.ends_with(path)).count();
    assert_eq!((asked("/labels"), asked("/assignees")), (1, 1));
    world.finish_quiet().await;
}
