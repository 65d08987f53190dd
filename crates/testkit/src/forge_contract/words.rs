//! Comments, reviews, issues, and what people may do.

use tagboat_model::{Account, Duration, Permission, ReviewState};
use tagboat_ports::Forge;

use super::{ForgePeople, opened};

pub(super) async fn a_comment_is_written_once_for_a_mark(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/comment").await;
    let count = async |mark: &str| {
        let comments = forge.comments(pull.number, None).await.unwrap();
        comments.iter().filter(|comment| comment.body.contains(mark)).count()
    };
    for _ in 0..2 {
        forge.comment(pull.number, "waits-1", "It waits for a person.").await.unwrap();
    }
    assert_eq!(count("waits-1").await, 1);
    forge.comment(pull.number, "waits-2", "It waits for another.").await.unwrap();
    assert_eq!(count("It waits").await, 2);
    people.comment(pull.number, "ben", "<!-- tagboat:copied -->");
    forge.comment(pull.number, "copied", "A mark that somebody else wrote counts for nothing.").await.unwrap();
    assert_eq!(count("copied").await, 2);
}

pub(super) async fn comments_are_told_with_whose_they_are(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/talk").await;
    people.comment(pull.number, "ada", "/tagboat hold");
    people.comment(pull.number, "eve", "first");
    people.comment(pull.number, "ben", "second");
    people.edit_comment(pull.number, "ben", "second, edited");
    let comments = forge.comments(pull.number, None).await.unwrap();
    let told: Vec<(&str, &str, bool)> =
        comments.iter().map(|it| (it.by.login.as_str(), it.body.as_str(), it.edited)).collect();
    assert_eq!(told, [("ada", "/tagboat hold", false), ("eve", "first", false), ("ben", "second, edited", true)]);
    assert_eq!(comments[0].by.id, people.account("ada").id);
    let since = comments[1].created_at.plus(Duration::from_milliseconds(1));
    let newer = forge.comments(pull.number, Some(since)).await.unwrap();
    assert!(newer.iter().any(|comment| comment.body == "second, edited"));
}

pub(super) async fn the_newest_review_of_a_person_counts(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let pull = opened(forge, people, "tagboat/review").await;
    assert!(forge.reviews(pull.number).await.unwrap().is_empty());
    people.review(pull.number, "ben", true);
    people.review(pull.number, "ada", false);
    let said = async || {
        let reviews = forge.reviews(pull.number).await.unwrap();
        let mut said: Vec<(String, ReviewState)> =
            reviews.into_iter().map(|review| (review.by.login, review.state)).collect();
        said.sort_by(|one, two| one.0.cmp(&two.0));
        said
    };
    let both = [("ada".to_owned(), ReviewState::ChangesRequested), ("ben".to_owned(), ReviewState::Approved)];
    assert_eq!(said().await, both);
    people.review(pull.number, "ada", true);
    assert_eq!(said().await[0], ("ada".to_owned(), ReviewState::Approved));
    let commits = forge.reviews(pull.number).await.unwrap();
    let is_told_or_unknown =
        commits.iter().all(|it| it.commit.as_ref().is_none_or(|commit| *commit == pull.head_commit));
    assert!(is_told_or_unknown);
}

pub(super) async fn an_issue_is_found_by_its_mark(forge: &dyn Forge) {
    let mark = "<!-- tagboat:report -->";
    assert!(forge.issue(mark).await.unwrap().is_none());
    let body = format!("All is well.\n\n{mark}");
    let labels = ["bug".to_owned()];
    let opened = forge.write_issue(None, "Deployments", &body, &labels).await.unwrap();
    let found = forge.issue(mark).await.unwrap().expect("it is there");
    assert_eq!((found.number, found.title.as_str(), &found.body), (opened.number, "Deployments", &body));
    let changed = format!("One waits.\n\n{mark}");
    let written = forge.write_issue(Some(opened.number), "Deployments", &changed, &labels).await.unwrap();
    assert_eq!((written.number, &written.body), (opened.number, &changed));
    assert!(written.updated_at > opened.updated_at);
    assert!(forge.issue("<!-- tagboat:other -->").await.unwrap().is_none());
}

pub(super) async fn people_may_do_what_the_forge_says(forge: &dyn Forge, people: &mut dyn ForgePeople) {
    let permission = async |login: &str| forge.permission(&people.account(login)).await.unwrap();
    assert!(permission("ada").await >= Permission::Maintain);
    assert!((Permission::Read..Permission::Write).contains(&permission("ben").await));
    assert_eq!(permission("eve").await, Permission::None);
    let renamed = Account { id: 77, ..people.account("ada") };
    assert_eq!(forge.permission(&renamed).await.unwrap(), Permission::None, "the name is another's now");
    assert!(forge.is_member("platform", &people.account("ada")).await.unwrap());
    assert!(!forge.is_member("platform", &people.account("ben")).await.unwrap());
    assert!(!forge.is_member("platform", &renamed).await.unwrap());
    assert!(!forge.is_member("unheard-of", &people.account("ada")).await.unwrap());
}
