//! What every forge promises, whoever stands behind it: run against a fake, with people who act there.
//!
//! The promises share one repository and one fake, as a bot meets it: each opens a pull request of its own.

mod acts;
mod merges;
mod words;

use tagboat_model::{BranchName, CommitId, MergeMethod, PullRequest};
use tagboat_ports::{Forge, Merge, NewPullRequest};

pub use crate::forge_fake::ForgePeople;

/// Run every promise. `source` is the address of the repository itself, as a source to be compared.
pub async fn check(forge: &dyn Forge, people: &mut dyn ForgePeople, source: &str) {
    acts::one_pull_request_is_opened_for_a_branch(forge, people).await;
    acts::what_is_given_is_changed_and_nothing_else(forge, people).await;
    acts::a_closed_one_is_listed_and_opened_again(forge, people).await;
    acts::only_branches_of_the_bot_are_listed(forge, people).await;
    acts::what_is_not_known_is_passed_over(forge, people).await;
    words::a_comment_is_written_once_for_a_mark(forge, people).await;
    words::comments_are_told_with_whose_they_are(forge, people).await;
    words::the_newest_review_of_a_person_counts(forge, people).await;
    words::an_issue_is_found_by_its_mark(forge).await;
    words::people_may_do_what_the_forge_says(forge, people).await;
    merges::a_moved_head_is_not_merged(forge, people).await;
    merges::auto_merge_is_set_and_taken_back(forge, people).await;
    merges::a_draft_is_not_merged(forge, people).await;
    merges::a_status_stands_once(forge, people).await;
    merges::files_and_paths_are_those_of_the_commit(forge, people).await;
    merges::revisions_are_compared(forge, people, source).await;
}

fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

fn new_pull(head: &str) -> NewPullRequest {
    NewPullRequest {
        head: branch(head),
        base: branch("main"),
        title: format!("Deploy {head}"),
        body: "web moves from 1.0.0 to 1.1.0".to_owned(),
        draft: false,
    }
}

fn merge_of(head: &CommitId) -> Merge {
    Merge { head: head.clone(), method: MergeMethod::Merge, message: "Deploy web\n\nAs asked".to_owned() }
}

/// A branch of the bot with a commit, and its pull request.
async fn opened(forge: &dyn Forge, people: &mut dyn ForgePeople, head: &str) -> PullRequest {
    people.push(head, &format!("apps/{}.yaml", head.replace('/', "-")), "image: web:1.1.0\n");
    forge.open_pull_request(&new_pull(head)).await.unwrap()
}

async fn read(forge: &dyn Forge, number: u64) -> PullRequest {
    forge.pull_request(number).await.unwrap().expect("it is there")
}

/// What the listing says of one.
async fn listed(forge: &dyn Forge, number: u64) -> Option<PullRequest> {
    forge.pull_requests().await.unwrap().into_iter().find(|pull| pull.number == number)
}
