//! What repository files say of promotions, pull requests, defaults, patterns and included files, and what users read when
//! that is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_model::{MergeMethod, Pin};
use tagboat_promotion::{Delivery, Grouping, Supersede};
use tagboat_settings::{
    Problem, ReadContext, RepositorySettings, includes, read_repository_file, read_repository_files,
};

fn told(read: Result<RepositorySettings, Problem>) -> String {
    match read {
        Ok(settings) => format!("{} images, {} environments", settings.images.len(), settings.environments.len()),
        Err(problem) => problem.to_string(),
    }
}

fn repository(text: &str) -> String {
    told(read_repository_file(".tagboat.yaml", text))
}

const IMAGE: &str =
    "images:\n  - name: web\n    image: ghcr.io/acme/web\n    policy: { semver: { range: \"^1.4\" } }\n";
const API: &str = "  - { name: api, image: ghcr.io/acme/api, policy: { newest: {} } }\n";
const DEV: &str = "environments:\n  - name: dev\n    paths: [apps/dev]\n    deliver: commit\n";

/// A file in which the second environment says more.
fn staged(more: &str) -> String {
    format!("{IMAGE}{DEV}  - name: prod\n    paths: [apps/prod]\n    {more}\n")
}

fn stage(more: &str) -> String {
    repository(&staged(more))
}

fn two(more: &str) -> String {
    repository(&format!("{IMAGE}{API}{DEV}  - name: prod\n    paths: [apps/prod]\n    {more}\n"))
}

fn entry(entry: &str) -> String {
    repository(&format!("images:\n  - {entry}\n{DEV}"))
}

fn defaults(defaults: &str) -> String {
    repository(&format!("defaults: {defaults}\n"))
}

fn include(include: &str) -> String {
    repository(&format!("include: {include}\n"))
}

fn with(root: &str, included: &[(&str, &str)]) -> Result<RepositorySettings, Problem> {
    let included: Vec<(String, String)> =
        included.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    read_repository_files(".tagboat.yaml", root, &included, ReadContext::default())
}

#[test]
fn an_environment_is_promoted_from_another() {
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: dev"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: dve"), @".tagboat.yaml:12:18: there is no environment `dve`; did you mean `dev`? (there are: dev, prod)");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: elsewhere"), @".tagboat.yaml:12:18: there is no environment `elsewhere` (there are: dev, prod)");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: prod"), @".tagboat.yaml:12:18: `prod` cannot be promoted from itself; name another environment, or remove `promoteFrom`");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: next\n  - { name: next, paths: [n], deliver: commit, promoteFrom: last }\n  - { name: last, paths: [l], deliver: commit, promoteFrom: prod }"), @".tagboat.yaml:12:18: these are promoted in a circle, so no version would ever enter it: `prod` from `next` from `last` from `prod`; remove one `promoteFrom`");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: next\n  - { name: next, paths: [n], deliver: commit, promoteFrom: last }\n  - { name: last, paths: [l], deliver: commit, promoteFrom: next }"), @".tagboat.yaml:13:61: these are promoted in a circle, so no version would ever enter it: `next` from `last` from `next`; remove one `promoteFrom`");
    insta::assert_snapshot!(stage("deliver: commit\n    branch: tagboat/prod"), @".tagboat.yaml:12:13: branches below `tagboat/` are those of pull requests; name another");
}

#[test]
fn gates_that_could_never_pass_are_refused() {
    insta::assert_snapshot!(stage("deliver: pullRequest\n    promoteFrom: dev\n    gates: { soak: 1h, rollout: healthy, checks: [e2e], approvals: 2, minimumAge: 1d }"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    gates: { checks: [e2e], approvals: 1, minimumAge: 2h }"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: commit\n    gates: { minimumAge: 2h }"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: dev\n    gates: { checks: [e2e] }"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    gates: { soak: 1h }"), @".tagboat.yaml:12:20: `soak` is how long a version has to have run upstream, and this environment has no `promoteFrom`; add it, or use `minimumAge`");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    gates: { rollout: healthy }"), @".tagboat.yaml:12:23: `rollout` is what an agent has to report upstream, and this environment has no `promoteFrom`; add it, or remove `rollout`");
    insta::assert_snapshot!(stage("deliver: commit\n    promoteFrom: dev\n    gates: { approvals: 1 }"), @".tagboat.yaml:13:25: pull requests are approved, and this environment has none; write `deliver: pullRequest`, or remove `approvals`");
    insta::assert_snapshot!(stage("deliver: commit\n    gates: { checks: [e2e] }"), @".tagboat.yaml:12:22: checks are those of the commit upstream or of the pull request, and this environment has neither; add `promoteFrom`, write `deliver: pullRequest`, or remove `checks`");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    gates: { checks: [e2e, ''] }"), @".tagboat.yaml:12:28: a check has a name; write that of the commit status or check run");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    gates: { window: [] }"), @".tagboat.yaml:12:22: `window` is empty, so nothing would ever come; name a window, or remove it");
}

#[test]
fn pull_requests_are_checked() {
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { autoMerge: true, mergeMethod: squash, draft: true, supersede: always, reviewers: [alice, team/platform], assignees: [bob], labels: [a b, a b], milestone: '1.0', group: all }"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: {}"), @"1 images, 2 environments");
    insta::assert_snapshot!(stage("deliver: commit\n    pullRequest: { draft: true }"), @".tagboat.yaml:12:18: this environment is delivered by commit; write `deliver: pullRequest`, or remove `pullRequest`");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { reviewers: ['@alice'] }"), @".tagboat.yaml:12:32: names are written without `@`: `alice`");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { reviewers: [acme/platform] }"), @".tagboat.yaml:12:32: `acme/platform` is no account; a team is written `team/platform`");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { reviewers: [team/] }"), @".tagboat.yaml:12:32: `team/` is no account");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { assignees: [bob, team/platform] }"), @".tagboat.yaml:12:37: `team/platform` is a team, and only accounts can stand here");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { assignees: [a/b] }"), @".tagboat.yaml:12:32: `a/b` is no account");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { labels: [''] }"), @".tagboat.yaml:12:29: a name must not be empty, nor hold a line end");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    pullRequest: { milestone: ' ' }"), @".tagboat.yaml:12:31: a milestone is named by its title; write it, or remove `milestone`");
    insta::assert_snapshot!(stage("deliver: pullRequest\n    group: all\n    pullRequest: { group: image }"), @".tagboat.yaml:13:27: `group` stands at the environment and under `pullRequest`; keep one");
}

#[test]
fn groups_are_checked() {
    insta::assert_snapshot!(two("deliver: commit\n    group: image"), @"2 images, 2 environments");
    insta::assert_snapshot!(two("deliver: pullRequest\n    pullRequest: { group: { shop: [web, api] } }"), @"2 images, 2 environments");
    insta::assert_snapshot!(two("deliver: commit\n    group: { web: [web, api] }"), @"2 images, 2 environments");
    insta::assert_snapshot!(two("deliver: commit\n    group: { shop: [web, apo] }"), @".tagboat.yaml:13:26: there is no image entry `apo`; did you mean `api`? (there are: web, api)");
    insta::assert_snapshot!(two("deliver: commit\n    group: { a: [web], b: [api, web] }"), @".tagboat.yaml:13:33: `web` is in the group `a` already; an image entry is in one group at most");
    insta::assert_snapshot!(two("deliver: commit\n    group: { a: [web, web] }"), @".tagboat.yaml:13:23: `web` stands in this group a second time; keep one");
    insta::assert_snapshot!(two("deliver: commit\n    group: { web: [api] }"), @".tagboat.yaml:13:19: an image entry that is not in this group is named `web` too; name the group otherwise");
    insta::assert_snapshot!(two("deliver: commit\n    group: each"), @".tagboat.yaml:13:12: `each` is no group; write `image`, `all`, or groups by name, as in `{ shop: [cart, checkout] }`");
}

#[test]
fn working_with_people_is_checked() {
    insta::assert_snapshot!(repository("limits: { openPullRequests: 5, perHour: 2 }\napprovers: [alice, team/release]\ndashboard: true"), @"0 images, 0 environments");
    insta::assert_snapshot!(repository("limits: { openPullRequests: 0 }"), @".tagboat.yaml:1:29: `openPullRequests` is 0, so no pull request would ever be opened; 1 is the least");
    insta::assert_snapshot!(repository("limits: { perHour: 0 }"), @".tagboat.yaml:1:20: `perHour` is 0, so no pull request would ever be opened; 1 is the least");
    insta::assert_snapshot!(repository("approvers: [alice, '']"), @".tagboat.yaml:1:20: a name must not be empty, nor hold a line end");
    insta::assert_snapshot!(repository("dashboard: { title: '' }"), @".tagboat.yaml:1:21: a title must not be empty, nor hold a line end");
    insta::assert_snapshot!(repository("dashboard: { labels: [a, ' '] }"), @".tagboat.yaml:1:26: a name must not be empty, nor hold a line end");
}

#[test]
fn a_pattern_is_for_many_images() {
    insta::assert_snapshot!(entry("{ image: 'ghcr.io/acme/*', policy: { newest: {} } }"), @"0 images, 1 environments");
    insta::assert_snapshot!(entry("{ name: all, image: 'ghcr.io/acme/*', policy: { newest: {} } }"), @".tagboat.yaml:2:13: `image` is a pattern, and names follow from the images that match; remove `name`");
    insta::assert_snapshot!(entry("{ image: 'ghcr.io/acme/*', policy: { newest: {} }, aliases: [a/b] }"), @".tagboat.yaml:2:65: `aliases` are those of one image, and `image` is a pattern; give the image an entry of its own, or remove `aliases`");
    insta::assert_snapshot!(entry("{ image: 'ghcr.io/acme/*', policy: { newest: {} }, references: [{ file: a, path: b }] }"), @".tagboat.yaml:2:68: `references` are those of one image, and `image` is a pattern; give the image an entry of its own, or remove `references`");
    insta::assert_snapshot!(entry("{ image: ghcr.io/acme/web, policy: { newest: {} } }"), @".tagboat.yaml:2:5: the key `name` is missing");
    insta::assert_snapshot!(entry("{ name: web, image: ghcr.io/acme/web }"), @".tagboat.yaml:2:5: the key `policy` is missing; write it here, or for all entries under `defaults`");
    insta::assert_snapshot!(entry("{ image: 'ghcr.io/*', pin: tag, policy: { digest: { tag: main } } }"), @".tagboat.yaml:2:32: `pin: tag` removes the digest that the policy follows (digest of `main`); use `digest` or `tagAndDigest`");
}

#[test]
fn defaults_have_to_go_together() {
    insta::assert_snapshot!(defaults("{ maximumJump: minor, minimumAge: 1h }"), @"0 images, 0 environments");
    insta::assert_snapshot!(defaults("{ policy: { newest: {} }, maximumJump: minor }"), @".tagboat.yaml:1:50: `maximumJump` compares versions, and the policy `newest` has none");
    insta::assert_snapshot!(defaults("{ verify: { cosign: {} } }"), @".tagboat.yaml:1:21: `cosign` needs `keyFile`, `key`, or `issuer` with `identity`");
}

#[test]
fn only_repository_files_in_folders_are_included() {
    insta::assert_snapshot!(include("['teams/*/.tagboat.yaml', '**/.tagboat.yaml', ./x/.tagboat.yaml]"), @"0 images, 0 environments");
    insta::assert_snapshot!(include("[teams/*]"), @".tagboat.yaml:1:11: `teams/*` names no included file: write the path of a `.tagboat.yaml` in a folder, as in `teams/*/.tagboat.yaml`");
    insta::assert_snapshot!(include("[a/.tagboat.yaml, .tagboat.yaml]"), @".tagboat.yaml:1:28: `.tagboat.yaml` names no included file: write the path of a `.tagboat.yaml` in a folder, as in `teams/*/.tagboat.yaml`");
    insta::assert_snapshot!(include("[../.tagboat.yaml]"), @".tagboat.yaml:1:11: `../.tagboat.yaml` is not a path in the repository: write it from the root of the repository, without `/` in front and without `..`");
}

#[test]
fn unknown_words_are_told_with_those_that_there_are() {
    for (more, expect) in [
        ("deliver: pull", "unknown value `pull` (known here: commit, pullRequest)"),
        ("deliver: commit\n    gates: { soka: 1h }", "unknown key `soka`; did you mean `soak`?"),
        ("deliver: commit\n    gates: { rollout: good }", "unknown value `good` (known here: healthy)"),
        ("deliver: commit\n    gates: { window: 5 }", "expected a text or a list of texts"),
        ("deliver: pullRequest\n    pullRequest: { mergeMethod: ff }", "(known here: merge, squash, rebase)"),
        ("deliver: pullRequest\n    pullRequest: { supersede: never }", "(known here: unlessApproved, always)"),
        ("deliver: pullRequest\n    group: 5", "expected `image`, `all`, or groups by name"),
        ("deliver: pullRequest\n    group: { 'a b': [web] }", "`a b` is not a name for a group"),
    ] {
        let told = stage(more);
        assert!(told.contains(expect), "{more}: {told}");
    }
    for (text, expect) in [
        ("dashboard: { titel: x }", "unknown key `titel`; did you mean `title`? (known here: title, labels)"),
        ("dashboard: 5", "expected `true`, or `title` and `labels`"),
        ("limits: { perDay: 5 }", "(known here: openPullRequests, perHour)"),
        ("images: [{ image: 'acme/*', policy: { newest: {} } }]", "write the registry's host before the first `/`"),
        ("images: [{ name: web, image: a/Web }]", "`a/Web` is not an image name"),
    ] {
        let told = repository(&format!("{text}\n"));
        assert!(told.contains(expect), "{text}: {told}");
    }
    assert!(repository("environments:\n  - { name: dev, paths: [a] }\n").contains("the key `deliver` is missing"));
}

#[test]
fn windows_and_templates_are_told_where_they_stand() {
    for (more, place) in [
        ("deliver: commit\n    gates: { window: nonsense }", "12:22"),
        ("deliver: commit\n    gates: { window: ['Mon-Fri 09:00-16:00 Europe/Berlin', nonsense] }", "12:60"),
        ("deliver: commit\n    gates: { freeze: ['2026-12-24 Europe/Berlin', someday] }", "12:51"),
        ("deliver: pullRequest\n    pullRequest: { title: '{{' }", "12:27"),
        ("deliver: pullRequest\n    pullRequest: { body: '{{' }", "12:26"),
    ] {
        let told = stage(more);
        assert!(told.starts_with(&format!(".tagboat.yaml:{place}: ")), "{more}: {told}");
    }
    let good = "deliver: commit\n    gates: { window: [Mon-Fri 09:00-16:00 Europe/Berlin], freeze: [2026-12-24, 2026-12-30..2027-01-02] }";
    assert_eq!(stage(good), "1 images, 2 environments");
}

#[test]
fn nothing_waits_for_rollouts_that_nobody_reports() {
    let text = staged("deliver: commit\n    promoteFrom: dev\n    gates: { rollout: healthy }");
    let read = |agents: bool| told(read_repository_files(".tagboat.yaml", &text, &[], ReadContext { agents }));
    assert_eq!(read(true), "1 images, 2 environments");
    insta::assert_snapshot!(read(false), @".tagboat.yaml:13:23: no agent reports rollouts to this server, so this gate would never pass; configure a receiver of an agent, or remove `rollout`");
}

#[test]
fn what_is_said_of_pull_requests_is_kept() {
    let text = staged(
        "deliver: pullRequest\n    promoteFrom: dev\n    pullRequest: { autoMerge: true, mergeMethod: rebase, supersede: always, labels: [a], reviewers: [team/x] }",
    );
    let settings = read_repository_file(".tagboat.yaml", &text).unwrap();
    let prod = &settings.environments[1];
    assert_eq!((prod.deliver, &prod.group), (Delivery::PullRequest, &Grouping::PerImage));
    let rules = &prod.pull_request;
    assert!(rules.auto_merge && !rules.draft && rules.title.is_none());
    assert_eq!((rules.merge_method, rules.supersede), (MergeMethod::Rebase, Supersede::Always));
    assert_eq!((rules.decoration.labels.len(), rules.decoration.reviewers.len()), (1, 1));
    let dev = &settings.environments[0];
    assert!(dev.gates.is_empty() && dev.promote_from.is_none() && dev.deliver == Delivery::Commit);
}

#[test]
fn limits_and_dashboard_have_their_defaults() {
    let of = |text: &str| read_repository_file(".tagboat.yaml", text).unwrap().collaboration;
    assert_eq!((of("").limits.open_pull_requests, of("").limits.per_hour), (Some(20), None));
    assert_eq!(of("limits: { perHour: 3 }\n").limits.open_pull_requests, Some(20));
    assert!(of("").dashboard.is_none() && of("dashboard: false\n").dashboard.is_none());
    assert_eq!(of("dashboard: true\n").dashboard.unwrap().title, "Tagboat dashboard");
    let own = of("dashboard: { labels: [tagboat] }\n").dashboard.unwrap();
    assert_eq!((own.title.as_str(), own.labels.len()), ("Tagboat dashboard", 1));
}

#[test]
fn defaults_hold_where_an_entry_says_nothing_and_they_mean_something() {
    let text = "defaults:\n  policy: { semver: { range: '1.x' } }\n  maximumJump: minor\n  filterTags: { pattern: '^v' }\n  \
                exclude: [rc]\n  allow: ['^v']\n  minimumAge: 2h\n  platforms: [linux/amd64]\n  pin: tag\n  \
                verify: { cosign: { keyFile: keys/all.pub } }\nimages:\n  \
                - { name: plain, image: a/plain }\n  \
                - { name: own, image: a/own, exclude: [], minimumAge: 0s, pin: tagAndDigest, maximumJump: patch, verify: { cosign: { keyFile: keys/own.pub } } }\n  \
                - { name: other, image: a/other, policy: { newest: {} } }\n  \
                - { name: follows, image: a/follows, policy: { digest: { tag: main } } }\n  \
                - { image: 'ghcr.io/acme/*' }\n";
    let settings = read_repository_file(".tagboat.yaml", text).unwrap();
    let of = |index: usize| &settings.images[index];
    let plain = &of(0).selection;
    assert_eq!((plain.exclude.len(), plain.allow.len(), plain.platforms.len()), (1, 1, 1));
    assert!(plain.maximum_jump.is_some() && plain.filter_tags.is_some() && of(0).pin == Pin::Tag);
    let own = &of(1).selection;
    assert!(own.exclude.is_empty() && own.minimum_age.unwrap().milliseconds() == 0);
    assert_eq!((own.maximum_jump.unwrap().to_string(), of(1).pin), ("patch".to_owned(), Pin::TagAndDigest));
    assert_ne!(of(0).verify, of(1).verify);
    let newest = &of(2).selection;
    assert!(newest.maximum_jump.is_none() && newest.filter_tags.is_some());
    let follows = &of(3).selection;
    assert!(follows.filter_tags.is_none() && follows.exclude.is_empty() && follows.allow.is_empty());
    assert_eq!((of(3).pin, follows.minimum_age.is_some()), (Pin::Keep, true));
    assert_eq!(settings.patterns[0].selection, *plain);
    let mut settings = settings;
    assert_eq!(settings.verify_mut().count(), 5);
}

#[test]
fn without_environments_the_whole_repository_is_one() {
    for text in [IMAGE, "images: [{ image: 'ghcr.io/acme/*', policy: { newest: {} } }]\n"] {
        let settings = read_repository_file(".tagboat.yaml", text).unwrap();
        let [whole] = settings.environments.as_slice() else { panic!("{:?}", settings.environments) };
        assert_eq!((whole.name.as_str(), whole.deliver), ("default", Delivery::PullRequest));
        assert!(whole.contains("any/file.yaml") && whole.branch.is_none());
    }
    assert!(read_repository_file(".tagboat.yaml", "").unwrap().environments.is_empty());
}

#[test]
fn environments_may_speak_of_entries_that_follow_from_patterns() {
    let of = |entry: &str, other: &str| {
        repository(&format!(
            "images:\n  - {entry}\n{DEV}    group: {{ shop: [api] }}\n    images: {{ api: {other} }}\n"
        ))
    };
    let pattern = "{ image: 'ghcr.io/acme/*', policy: { newest: {} } }";
    assert_eq!(of(pattern, "{ pin: tag, repository: registry.example.org/prod/api }"), "0 images, 1 environments");
    let wrong = of(pattern, "{ maximumJump: minor }");
    assert!(wrong.contains("`maximumJump` compares versions"), "{wrong}");
    let none = of("{ name: web, image: a/web, policy: { newest: {} } }", "{ pin: tag }");
    assert!(none.contains("there is no image entry `api` (there are: web)"), "{none}");
}

#[test]
fn a_pattern_means_images_as_names_do() {
    let text = "images: [{ image: 'index.docker.io/acme/*', policy: { newest: {} } }]\n";
    let settings = read_repository_file(".tagboat.yaml", text).unwrap();
    assert!(settings.patterns[0].pattern.matches("docker.io/acme/web"));
}

const TEAM: &str = "images:\n  - { name: shop, image: ghcr.io/acme/shop, policy: { newest: {} } }\n\
                    environments:\n  - { name: shop-prod, deliver: pullRequest, promoteFrom: dev }\n";

#[test]
fn included_files_speak_for_their_own_folder() {
    let root = format!("include: ['teams/*/.tagboat.yaml']\ndefaults: {{ minimumAge: 1h }}\n{IMAGE}{DEV}");
    assert!(includes(".tagboat.yaml", &root).unwrap()[0].matches("teams/shop/.tagboat.yaml"));
    let settings = with(&root, &[("teams/shop/.tagboat.yaml", TEAM), (".tagboat.yaml", &root)]).unwrap();
    assert_eq!((settings.images.len(), settings.environments.len(), settings.included.len()), (2, 2, 1));
    assert_eq!(settings.images[0].folder, None);
    assert_eq!(settings.images[1].folder.as_deref(), Some("teams/shop"));
    assert!(settings.images[1].selection.minimum_age.is_some(), "defaults of the root hold here too");
    let prod = &settings.environments[1];
    assert!(prod.contains("teams/shop/a.yaml") && !prod.contains("teams/shopping/a.yaml") && !prod.contains("a.yaml"));
}

#[test]
fn included_files_go_no_further() {
    let root = format!("include: ['teams/*/.tagboat.yaml']\n{IMAGE}{DEV}");
    let team = |text: &str| told(with(&root, &[("teams/shop/.tagboat.yaml", text)]));
    let environment = |more: &str| team(&format!("environments:\n  - {{ name: prod, deliver: commit, {more} }}\n"));
    assert_eq!(environment("paths: [teams/shop/prod, './teams/shop/x']"), "1 images, 2 environments");
    insta::assert_snapshot!(environment("paths: [apps/prod]"), @"teams/shop/.tagboat.yaml:2:44: `apps/prod` is not below teams/shop, and an included file speaks for its own folder only; write `teams/shop/…`");
    insta::assert_snapshot!(environment("paths: ['teams/*/prod']"), @"teams/shop/.tagboat.yaml:2:44: `teams/*/prod` is not below teams/shop, and an included file speaks for its own folder only; write `teams/shop/…`");
    insta::assert_snapshot!(environment("promoteFrom: dve"), @"teams/shop/.tagboat.yaml:2:49: there is no environment `dve`; did you mean `dev`? (there are: dev, prod)");
    let image = |more: &str| {
        team(&format!("images:\n  - {{ name: shop, image: a/shop, policy: {{ newest: {{}} }}, {more} }}\n"))
    };
    assert_eq!(image("references: [{ file: 'teams/shop/{name}.yaml', path: a }]"), "2 images, 1 environments");
    assert!(image("references: [{ file: apps/dev/web.yaml, path: a }]").contains("is not below teams/shop"));
    for key in
        ["defaults: {}", "include: [a/.tagboat.yaml]", "commit: {}", "limits: {}", "approvers: [a]", "dashboard: true"]
    {
        let (told, name) = (team(&format!("{key}\n")), key.split(':').next().unwrap());
        let expect = format!(
            ": `{name}` belongs into .tagboat.yaml; a file that it includes has `images` and `environments` only"
        );
        assert!(told.starts_with("teams/shop/.tagboat.yaml:1:") && told.ends_with(&expect), "{told}");
    }
    assert!(
        told(with(&root, &[("other.yaml", "")])).starts_with("other.yaml: an included file speaks for its own folder")
    );
    assert!(told(with(&root, &[("teams/[a]/.tagboat.yaml", "")])).contains("rename the folder"));
}

#[test]
fn names_are_unique_over_all_files() {
    let root = format!("{IMAGE}{DEV}");
    let team = |text: &str| told(with(&root, &[("teams/shop/.tagboat.yaml", text)]));
    insta::assert_snapshot!(team("images:\n  - { name: web, image: a/b, policy: { newest: {} } }\n"), @"teams/shop/.tagboat.yaml:2:13: another image entry is named `web` already, in .tagboat.yaml; names are unique over all files");
    insta::assert_snapshot!(team("environments:\n  - { name: dev, deliver: commit }\n"), @"teams/shop/.tagboat.yaml:2:13: another environment is named `dev` already, in .tagboat.yaml; names are unique over all files");
    let (one, other) = (("teams/b/.tagboat.yaml", TEAM), ("teams/a/.tagboat.yaml", TEAM));
    assert_eq!(told(with(&root, &[one, other])), told(with(&root, &[other, one])));
}

#[test]
fn the_globs_are_read_even_where_the_rest_is_wrong() {
    let read = includes(".tagboat.yaml", "include: ['teams/*/.tagboat.yaml']\nimagse: [1]\nlimits: 5\n").unwrap();
    assert!(read[0].matches("teams/a/.tagboat.yaml") && !read[0].matches("teams/a/b/.tagboat.yaml"));
    assert!(includes(".tagboat.yaml", "# nothing\n").unwrap().is_empty());
    let wrong = includes(".tagboat.yaml", "include: [teams]\n").unwrap_err().to_string();
    assert!(wrong.starts_with(".tagboat.yaml:1:11: `teams` names no included file"), "{wrong}");
}

/// As the design has it.
const WHOLE: &str = r#"
images:
  - name: web
    image: ghcr.io/acme/web
    policy: { semver: { range: "^1.4" } }          # as Flux ImagePolicy.spec.policy
    filterTags: { pattern: "^v(?P<v>.*)$", extract: "$v" }
  - name: worker
    image: ghcr.io/acme/worker
    policy: { newest: {} }                          # by push time
    platforms: [linux/amd64, linux/arm64]           # wait until all are there
    minimumAge: 2h
    verify: { cosign: { keyFile: keys/cosign.pub } }
environments:
  - name: dev
    paths: [apps/dev]
    deliver: commit
  - name: staging
    paths: [apps/staging]
    promoteFrom: dev
    gates: { soak: 10m, rollout: healthy }
    deliver: pullRequest
    pullRequest: { autoMerge: true }
  - name: prod
    paths: [apps/prod]
    promoteFrom: staging
    gates: { soak: 24h, window: "Mon-Fri 09:00-16:00 Europe/Berlin", checks: [e2e] }
    deliver: pullRequest
    pullRequest: { reviewers: [team/platform], labels: [promotion], group: all }
"#;

#[test]
fn three_environments_with_gates_are_read_whole() {
    let settings = read_repository_file(".tagboat.yaml", WHOLE).unwrap();
    assert_eq!((settings.images.len(), settings.environments.len()), (2, 3));
    let [_, staging, prod] = settings.environments.as_slice() else { panic!("{:?}", settings.environments) };
    assert_eq!(staging.promote_from.as_ref().unwrap().as_str(), "dev");
    assert!(staging.gates.rollout && staging.pull_request.auto_merge && staging.gates.window.is_none());
    assert_eq!(prod.gates.soak.unwrap().to_string(), "1d");
    assert!(prod.gates.window.is_some() && prod.gates.checks == ["e2e"] && prod.group == Grouping::All);
    assert_eq!(prod.pull_request.decoration.reviewers, ["team/platform"]);
}
