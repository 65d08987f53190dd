//! Opening, changing, closing and decorating.

use tagboat_model::{Decoration, PullState};
use tagboat_ports::{Forge, PullRequestEdit};

use super::{ForgePeople, listed, new_pull, opened, read};

pub(super) async fn one_pull_request_is_opened_for_a_branch(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let head = people.push("tagboat/open", "apps/open.yaml", "a: 1\n");
    let first = forge.open_pull_request(&new_pull("tagboat/open")).await.unwrap();
    assert_eq!((first.state, first.draft, &first.head_commit), (PullState::Open, false, &head));
    assert_eq!((first.head.as_str(), first.base.as_str()), ("tagboat/open", "main"));
    assert_eq!(first.author.id, forge.bot().await.unwrap().id);
    assert!(first.url.starts_with(&forge.traits().web), "{}", first.url);
    let second = forge.open_pull_request(&new_pull("tagboat/open")).await.unwrap();
    assert_eq!(second.number, first.number);

    people.push("tagboat/lost", "apps/lost.yaml", "a: 1\n");
    people.answer_the_next_opening_with_a_conflict();
    let adopted = forge.open_pull_request(&new_pull("tagboat/lost")).await.unwrap();
    assert_eq!((adopted.head.as_str(), adopted.state), ("tagboat/lost", PullState::Open));
    assert_eq!(listed(forge, adopted.number).await.unwrap().number, adopted.number);
    assert!(forge.pull_request(9999).await.unwrap().is_none());
    let unpushed = forge.open_pull_request(&new_pull("tagboat/unpushed")).await;
    assert!(unpushed.is_err(), "a branch that is not there");
}

pub(super) async fn what_is_given_is_changed_and_nothing_else(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/edit").await;
    let edit = |title: Option<&str>, draft| PullRequestEdit {
        title: title.map(str::to_owned),
        draft,
        ..PullRequestEdit::default()
    };
    forge.edit_pull_request(pull.number, &edit(None, Some(true))).await.unwrap();
    let changed = read(forge, pull.number).await;
    assert_eq!((changed.draft, changed.title, changed.body), (true, pull.title.clone(), pull.body.clone()));
    forge.edit_pull_request(pull.number, &edit(Some("Deploy all"), None)).await.unwrap();
    let changed = read(forge, pull.number).await;
    assert_eq!((changed.draft, changed.title.as_str()), (true, "Deploy all"), "it stays a draft");
    let text = PullRequestEdit { body: Some("other words".to_owned()), ..edit(None, Some(false)) };
    forge.edit_pull_request(pull.number, &text).await.unwrap();
    let changed = read(forge, pull.number).await;
    assert_eq!((changed.draft, changed.title.as_str(), changed.body.as_str()), (false, "Deploy all", "other words"));
    people.retitle(pull.number, "A person's title");
    assert_eq!(read(forge, pull.number).await.title, "A person's title");
    forge.edit_pull_request(pull.number, &PullRequestEdit::default()).await.unwrap();
}

pub(super) async fn a_closed_one_is_listed_and_opened_again(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/close").await;
    let open = |open| PullRequestEdit { open: Some(open), ..PullRequestEdit::default() };
    forge.edit_pull_request(pull.number, &open(false)).await.unwrap();
    forge.edit_pull_request(pull.number, &open(false)).await.unwrap();
    assert_eq!(listed(forge, pull.number).await.unwrap().state, PullState::Closed);
    forge.edit_pull_request(pull.number, &open(true)).await.unwrap();
    assert_eq!(read(forge, pull.number).await.state, PullState::Open);
    people.close(pull.number);
    assert_eq!(listed(forge, pull.number).await.unwrap().state, PullState::Closed);
    people.reopen(pull.number);
    assert_eq!(listed(forge, pull.number).await.unwrap().state, PullState::Open);
    people.merge(pull.number);
    let merged = listed(forge, pull.number).await.unwrap();
    assert_eq!((merged.state, merged.merging, merged.head_commit), (PullState::Merged, false, pull.head_commit));
}

pub(super) async fn only_branches_of_the_bot_are_listed(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "feature/of-a-person").await;
    assert!(listed(forge, pull.number).await.is_none());
    assert_eq!(read(forge, pull.number).await.number, pull.number);
}

pub(super) async fn what_is_not_known_is_passed_over(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/labels").await;
    let decoration = Decoration {
        labels: vec!["bug".to_owned(), "made here".to_owned()],
        reviewers: vec!["ada".to_owned(), "nobody".to_owned(), "acme/no-team".to_owned()],
        assignees: vec!["ben".to_owned(), "noone".to_owned()],
        milestone: Some("November".to_owned()),
    };
    for _ in 0..2 {
        let mut passed_over = forge.decorate(pull.number, &decoration).await.unwrap();
        passed_over.sort();
        assert_eq!(passed_over, ["acme/no-team", "nobody", "noone"]);
    }
    let mut labels = read(forge, pull.number).await.labels;
    labels.sort();
    assert_eq!(labels, ["bug", "made here"]);
    let unknown = Decoration { milestone: Some("December".to_owned()), ..Decoration::default() };
    assert_eq!(forge.decorate(pull.number, &unknown).await.unwrap(), ["December"]);
    assert_eq!(forge.decorate(pull.number, &Decoration::default()).await.unwrap(), Vec::<String>::new());
}
