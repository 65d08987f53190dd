//! Merging, statuses, files, and what lies between two commits.

use tagboat_model::{Check, CheckState, PullState};
use tagboat_ports::{AutoMerge, Forge, Merged, PullRequestEdit, Report};

use super::{ForgePeople, listed, merge_of, opened, read};

pub(super) async fn a_moved_head_is_not_merged(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/merge").await;
    let newer = people.push("tagboat/merge", "apps/newer.yaml", "a: 2\n");
    assert_eq!(forge.merge(pull.number, &merge_of(&pull.head_commit)).await.unwrap(), Merged::HeadMoved);
    assert_eq!(read(forge, pull.number).await.state, PullState::Open);
    for _ in 0..2 {
        assert_eq!(forge.merge(pull.number, &merge_of(&newer)).await.unwrap(), Merged::Done);
    }
    let merged = listed(forge, pull.number).await.unwrap();
    assert_eq!((merged.state, merged.head_commit), (PullState::Merged, newer));
}

pub(super) async fn auto_merge_is_set_and_taken_back(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/auto").await;
    let merge = merge_of(&pull.head_commit);
    people.run_a_pipeline(true);
    for wanted in [true, true, false, false] {
        assert_eq!(forge.set_auto_merge(pull.number, &merge, wanted).await.unwrap(), AutoMerge::Set, "{wanted}");
    }
    people.run_a_pipeline(false);
    assert_eq!(read(forge, pull.number).await.state, PullState::Open);
    people.close(pull.number);
    let closed = forge.set_auto_merge(pull.number, &merge, true).await.unwrap();
    assert!(matches!(closed, AutoMerge::Unavailable(_)), "{closed:?}");
}

pub(super) async fn a_draft_is_not_merged(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/draft").await;
    let draft = PullRequestEdit { draft: Some(true), ..PullRequestEdit::default() };
    forge.edit_pull_request(pull.number, &draft).await.unwrap();
    let refused = forge.merge(pull.number, &merge_of(&pull.head_commit)).await.unwrap();
    assert!(matches!(&refused, Merged::NotNow(words) if !words.is_empty()), "{refused:?}");
    people.close(pull.number);
    let closed = forge.merge(pull.number, &merge_of(&pull.head_commit)).await.unwrap();
    assert!(matches!(closed, Merged::NotNow(_)), "{closed:?}");
}

pub(super) async fn a_status_stands_once(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/status").await;
    let commit = &pull.head_commit;
    let status = |state, text: &str| Check {
        name: "tagboat/gate".to_owned(),
        state,
        text: text.to_owned(),
        url: Some("https://tagboat.example/gate".to_owned()),
    };
    let steps = [
        status(CheckState::Pending, "waits"),
        status(CheckState::Pending, "waits"),
        status(CheckState::Pending, "waits for two"),
        status(CheckState::Failure, "red"),
        status(CheckState::Success, "green"),
    ];
    for step in steps {
        forge.set_status(commit, &step).await.unwrap();
        assert_eq!(forge.checks(commit).await.unwrap(), [step]);
    }
    let report = Report {
        name: "tagboat/report".to_owned(),
        state: CheckState::Success,
        title: "All is well".to_owned(),
        summary: "At length".to_owned(),
        annotations: Vec::new(),
    };
    forge.report(commit, &report).await.unwrap();
    let names: Vec<String> = forge.checks(commit).await.unwrap().into_iter().map(|check| check.name).collect();
    assert!(names.contains(&"tagboat/gate".to_owned()) && names.contains(&"tagboat/report".to_owned()), "{names:?}");
}

pub(super) async fn files_and_paths_are_those_of_the_commit(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/files").await;
    let path = "apps/a folder/web#1.yaml";
    let newer = people.push("tagboat/files", path, "image: web:2\n");
    let mut paths = forge.changed_paths(pull.number).await.unwrap();
    paths.sort();
    assert_eq!(paths, [path, "apps/tagboat-files.yaml"]);
    assert_eq!(forge.file_at(&newer, path).await.unwrap().as_deref(), Some(b"image: web:2\n".as_slice()));
    assert_eq!(forge.file_at(&pull.head_commit, path).await.unwrap(), None);
}

pub(super) async fn revisions_are_compared(forge: &dyn Forge, people: &mut dyn ForgePeople, source: &str) {
    let first = people.push("tagboat/compare", "one.yaml", "a: 1\n");
    let second = people.push("tagboat/compare", "two.yaml", "a: 2\n");
    let third = people.push("tagboat/compare", "three.yaml", "a: 3\n");
    let compared = forge.compare(source, first.as_str(), third.as_str()).await.unwrap().expect("it is there");
    let newest_first =
        [(third.to_string(), "Change three.yaml".to_owned()), (second.to_string(), "Change two.yaml".to_owned())];
    assert_eq!((compared.total, compared.commits.as_slice()), (2, newest_first.as_slice()));
    assert!(compared.url.contains("compare"), "{}", compared.url);
    let elsewhere = forge.compare("https://elsewhere.example/acme/web", first.as_str(), third.as_str()).await.unwrap();
    assert_eq!(elsewhere, None);
}
