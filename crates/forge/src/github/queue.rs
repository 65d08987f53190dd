//! What is known of the repository's merge queue: no listing tells who waits in it, so GraphQL is asked, and only where
//! there is a queue or there may be one.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::{
    GithubForge,
    client::Repeat,
    graphql::{GraphAnswer, run},
};
use crate::error::Failure;

/// How many pull requests one question is about.
const MOST: usize = 50;

/// What was learned so far.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether GitHub was ever asked: after a start nothing is known.
    asked: bool,
    /// Whether there is a queue.
    there: bool,
    /// Pull requests for which auto-merge was set; a queue takes them over.
    waiting: BTreeSet<u64>,
}

impl Queue {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// GitHub spoke of its queue.
    pub(super) fn is_there(&self) {
        self.known().there = true;
    }

    /// Auto-merge was set.
    pub(super) fn may_take(&self, number: u64) {
        self.known().waiting.insert(number);
    }

    /// Auto-merge was taken back.
    pub(super) fn let_go(&self, number: u64) {
        self.known().waiting.remove(&number);
    }

    /// Whether any of these may be in a queue.
    fn is_worth_asking(&self, numbers: &[u64]) -> bool {
        let known = self.known();
        !numbers.is_empty() && (!known.asked || known.there || numbers.iter().any(|it| known.waiting.contains(it)))
    }

    /// These are in the queue, of those that were asked for.
    fn learn(&self, queued: &BTreeSet<u64>) {
        let mut known = self.known();
        known.asked = true;
        known.there |= !queued.is_empty();
    }
}

fn question(numbers: &[u64]) -> String {
    let fields: String = numbers
        .iter()
        .map(|number| format!(" p{number}: pullRequest(number: {number}) {{ isInMergeQueue }}"))
        .collect();
    format!("query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{{fields} }} }}")
}

fn queued(data: &Value, numbers: &[u64]) -> BTreeSet<u64> {
    let is_queued = |number: &&u64| data["repository"][format!("p{number}")]["isInMergeQueue"] == true;
    numbers.iter().filter(is_queued).copied().collect()
}

impl GithubForge {
    /// Which of these open pull requests are in the merge queue.
    pub(super) async fn queued(&self, numbers: &[u64]) -> Result<BTreeSet<u64>, Failure> {
        let numbers = numbers.get(..MOST).unwrap_or(numbers);
        if !self.queue.is_worth_asking(numbers) {
            return Ok(BTreeSet::new());
        }
        let variables = json!({ "owner": self.owner, "name": self.name });
        let found = match run(&self.client, &question(numbers), &variables, false, Repeat::Harmless).await? {
            GraphAnswer::Data(data) => queued(&data, numbers),
            // An Enterprise server of old has no queues and does not know the word.
            GraphAnswer::Refused(_) => BTreeSet::new(),
        };
        self.queue.learn(&found);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_asked_for_once_and_then_only_where_there_is_one() {
        let queue = Queue::default();
        assert!(!queue.is_worth_asking(&[]) && queue.is_worth_asking(&[7]));
        queue.learn(&BTreeSet::new());
        assert!(!queue.is_worth_asking(&[7]));
        queue.may_take(7);
        assert!(queue.is_worth_asking(&[6, 7]) && !queue.is_worth_asking(&[6]));
        queue.let_go(7);
        assert!(!queue.is_worth_asking(&[7]));
        queue.is_there();
        assert!(queue.is_worth_asking(&[6]));
    }

    #[test]
    fn one_question_is_about_all() {
        let text = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { p7: pullRequest(number: 7) { isInMergeQueue } p8: pullRequest(number: 8) { isInMergeQueue } } }";
        assert_eq!(question(&[7, 8]), text);
        let data = json!({ "repository": { "p7": { "isInMergeQueue": true }, "p8": null } });
        assert_eq!(queued(&data, &[7, 8]), BTreeSet::from([7]));
    }
}
