//! Branches moved by `updateRefs`, all or none, and what became of them.
//!
//! One update that cannot be done any more fails all that are sent with it, and `updateRefs` does not say which. So what
//! is done already is not sent, and after a refusal the branches are looked at, and only what still waits is sent again.
//! Deletions go last and by themselves: a rule against them stops nothing else.

use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::{CommitId, DecisionId};
use tagboat_ports::{BranchChange, BranchUpdate, Push, PushOutcome, RepositoryError};

use super::{GithubCommits, Trouble};
use crate::{
    error::Failure,
    github::{
        client::Repeat,
        graphql::{GraphAnswer, GraphError, run},
    },
    http::one_line,
};

const UPDATE: &str = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";
/// Where there is no branch, before or after.
const NOWHERE: &str = "0000000000000000000000000000000000000000";
const PERMISSION: &str = "contents=write";
/// How often branches are sent in one push.
const MOST_SENDS: usize = 3;

/// What GitHub said, before the branches were looked at.
pub(super) enum Said {
    No(GraphError),
    Nothing(Failure),
}

impl Said {
    fn is_stale(&self) -> bool {
        matches!(self, Self::No(error) if error.is("STALE_DATA"))
    }
}

/// What a look at a branch says of what was to be done to it.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// It is done, by these commits.
    Done(Vec<CommitId>),
    /// It is where it was.
    Waiting,
    /// It is elsewhere.
    Moved(Option<CommitId>),
}

#[derive(Deserialize)]
struct Node {
    node_id: String,
}

impl GithubCommits {
    /// Make all commits and move all branches at once; then delete.
    pub(super) async fn move_branches(&self, push: &Push) -> Result<PushOutcome, Trouble> {
        let (deletions, moves): (Vec<&BranchUpdate>, Vec<&BranchUpdate>) =
            push.updates.iter().partition(|update| is_deletion(update));
        let outcome = self.move_together(&moves).await?;
        if deletions.is_empty() || matches!(outcome, PushOutcome::Refused(_)) {
            return Ok(outcome);
        }
        let deleted = self.delete(&deletions).await;
        if moves.iter().all(|update| is_nothing(update)) && !matches!(deleted, Ok(PushOutcome::Landed(_))) {
            return deleted;
        }
        let PushOutcome::Landed(ids) = outcome else { return Ok(PushOutcome::Moved(None)) };
        if matches!(deleted, Ok(PushOutcome::Moved(_))) {
            return Ok(PushOutcome::Moved(None));
        }
        // A branch that is still there is found by whoever looks next.
        let mut ids = ids.into_iter();
        let of = |update: &BranchUpdate| if is_deletion(update) { None } else { ids.next() };
        Ok(PushOutcome::Landed(push.updates.iter().map(of).map(Option::unwrap_or_default).collect()))
    }

    /// All at once, or else each by itself.
    async fn delete(&self, deletions: &[&BranchUpdate]) -> Result<PushOutcome, Trouble> {
        let together = self.move_together(deletions).await?;
        if deletions.len() == 1 || matches!(together, PushOutcome::Landed(_)) {
            return Ok(together);
        }
        let (mut is_moved, mut refused) = (false, None);
        for deletion in deletions {
            match self.move_together(&[*deletion]).await? {
                PushOutcome::Landed(_) => {}
                PushOutcome::Moved(_) => is_moved = true,
                PushOutcome::Refused(words) => refused = Some(words),
            }
        }
        Ok(match refused {
            _ if is_moved => PushOutcome::Moved(None),
            Some(words) => PushOutcome::Refused(words),
            None => PushOutcome::Landed(deletions.iter().map(|_| Vec::new()).collect()),
        })
    }

    /// Make all commits, then move all branches that are not yet where they are to be at once.
    async fn move_together(&self, updates: &[&BranchUpdate]) -> Result<PushOutcome, Trouble> {
        let mut all = self.first_look(updates).await;
        let mut made = Vec::new();
        for (update, standing) in updates.iter().zip(&all) {
            made.push(match &update.change {
                BranchChange::Append { base, commits } | BranchChange::Replace { base, commits, .. }
                    if *standing == Standing::Waiting =>
                {
                    match self.forge.make_commits(&self.trees, base, commits).await? {
                        Some(made) => made,
                        None => return Ok(PushOutcome::Moved(None)),
                    }
                }
                _ => Vec::new(),
            });
        }
        let mut sends = 0;
        loop {
            let waiting = updates.iter().zip(&made).zip(&all).filter(|(_, standing)| **standing == Standing::Waiting);
            let refs: Vec<Value> = waiting.filter_map(|((update, made), _)| reference(update, made.last())).collect();
            if refs.is_empty() {
                return Ok(landed(all));
            }
            let Some(said) = self.update_references(&refs).await? else {
                self.note_moved(updates, &all);
                let ids = all.into_iter().zip(made);
                let ids = ids.map(|(standing, made)| if let Standing::Done(ids) = standing { ids } else { made });
                return Ok(PushOutcome::Landed(ids.collect()));
            };
            sends += 1;
            for (standing, update) in all.iter_mut().zip(updates) {
                if *standing == Standing::Waiting {
                    *standing = self.standing(update).await?;
                }
            }
            if sends >= MOST_SENDS || !is_worth_another(&all, refs.len(), &said) {
                return Ok(outcome(all, said)?);
            }
        }
    }

    /// What is done already. All else is for GitHub to compare: the mirror may be behind.
    async fn first_look(&self, updates: &[&BranchUpdate]) -> Vec<Standing> {
        let mut all = Vec::new();
        for update in updates {
            all.push(if is_nothing(update) {
                Standing::Done(Vec::new())
            } else if updates.len() == 1 {
                // GitHub says no to it as well, and it is looked at then.
                Standing::Waiting
            } else {
                let found = self.standing(update).await;
                found.ok().filter(|standing| matches!(standing, Standing::Done(_))).unwrap_or(Standing::Waiting)
            });
        }
        all
    }

    fn note_moved(&self, updates: &[&BranchUpdate], all: &[Standing]) {
        let sent = updates.iter().zip(all).filter(|(_, standing)| **standing == Standing::Waiting);
        self.moved().extend(sent.map(|(update, _)| update.branch.clone()));
    }

    /// Nothing when it is done.
    async fn update_references(&self, refs: &[Value]) -> Result<Option<Said>, Failure> {
        let repository = self.node_id().await?;
        let input = json!({ "repositoryId": repository, "refUpdates": refs });
        match run(&self.forge.client, UPDATE, &json!({ "input": input }), true, Repeat::Never).await {
            Ok(GraphAnswer::Data(_)) => Ok(None),
            Ok(GraphAnswer::Refused(error)) => Ok(Some(Said::No(error))),
            Err(failure) if failure.unknown => Ok(Some(Said::Nothing(failure))),
            Err(failure) => Err(failure),
        }
    }

    async fn node_id(&self) -> Result<&String, Failure> {
        let ask = || async {
            let node: Node = self.forge.client.get(&self.forge.path("")).await?.success()?.json()?;
            Ok::<_, Failure>(node.node_id)
        };
        self.node_id.get_or_try_init(ask).await
    }

    /// What became of a push, read from its branches.
    pub(super) async fn look(&self, push: &Push, said: Said) -> Result<PushOutcome, Trouble> {
        let mut all = Vec::new();
        for update in &push.updates {
            all.push(self.standing(update).await?);
        }
        Ok(outcome(all, said)?)
    }

    async fn standing(&self, update: &BranchUpdate) -> Result<Standing, RepositoryError> {
        let commits = update.change.commits();
        if is_nothing(update) {
            return Ok(Standing::Done(Vec::new()));
        }
        let head = self.inner.head(&update.branch).await?;
        let (before, base) = match &update.change {
            BranchChange::Append { base, .. } => (Some(base), base),
            BranchChange::Replace { old, base, .. } => (old.as_ref(), base),
            BranchChange::Delete { old } if head.as_ref() == Some(old) => return Ok(Standing::Waiting),
            BranchChange::Delete { .. } if head.is_none() => return Ok(Standing::Done(Vec::new())),
            BranchChange::Delete { .. } => return Ok(Standing::Moved(head)),
        };
        if head.as_ref() == before {
            return Ok(Standing::Waiting);
        }
        let Some(head) = head else { return Ok(Standing::Moved(None)) };
        let decisions: Vec<DecisionId> = commits.iter().map(|new| new.decision.clone()).collect();
        let landed = self.inner.landed(&head, base, &decisions).await?;
        let of = |decision: &DecisionId| landed.iter().find(|(found, _)| found == decision).map(|(_, id)| id.clone());
        let ids: Option<Vec<CommitId>> = decisions.iter().map(of).collect();
        // Of a branch of our own nothing remains below what took its place.
        let is_ours =
            |ids: &Vec<CommitId>| matches!(update.change, BranchChange::Append { .. }) || ids.last() == Some(&head);
        Ok(match ids.filter(is_ours) {
            Some(ids) => Standing::Done(ids),
            None => Standing::Moved(Some(head)),
        })
    }
}

fn is_deletion(update: &BranchUpdate) -> bool {
    matches!(update.change, BranchChange::Delete { .. })
}

/// Nothing to append moves nothing.
pub(super) fn is_nothing(update: &BranchUpdate) -> bool {
    update.change.commits().is_empty() && !is_deletion(update)
}

/// A `RefUpdate`; nothing to append moves nothing.
fn reference(update: &BranchUpdate, new: Option<&CommitId>) -> Option<Value> {
    let (before, after, force) = match &update.change {
        BranchChange::Append { base, .. } => (base.as_str(), new?.as_str(), false),
        BranchChange::Replace { old, .. } => (old.as_ref().map_or(NOWHERE, CommitId::as_str), new?.as_str(), true),
        BranchChange::Delete { old } => (old.as_str(), NOWHERE, false),
    };
    let name = format!("refs/heads/{}", update.branch);
    Some(json!({ "name": name, "beforeOid": before, "afterOid": after, "force": force }))
}

/// Whether what still waits is to be sent again: what stood in its way was done meanwhile, or GitHub saw it elsewhere.
fn is_worth_another(all: &[Standing], sent: usize, said: &Said) -> bool {
    let waiting = all.iter().filter(|standing| **standing == Standing::Waiting).count();
    let is_moved = all.iter().any(|standing| matches!(standing, Standing::Moved(_)));
    matches!(said, Said::No(_)) && !is_moved && waiting > 0 && (waiting < sent || said.is_stale())
}

fn landed(all: Vec<Standing>) -> PushOutcome {
    let ids = all.into_iter().map(|standing| if let Standing::Done(ids) = standing { ids } else { Vec::new() });
    PushOutcome::Landed(ids.collect())
}

/// What a push came to, by where its branches stand and what was said.
fn outcome(all: Vec<Standing>, said: Said) -> Result<PushOutcome, Failure> {
    let is_single = all.len() == 1;
    let mut is_waiting = false;
    for standing in &all {
        match standing {
            Standing::Done(_) => {}
            Standing::Waiting => is_waiting = true,
            Standing::Moved(head) => return Ok(PushOutcome::Moved(head.clone().filter(|_| is_single))),
        }
    }
    if !is_waiting {
        return Ok(landed(all));
    }
    match said {
        Said::Nothing(failure) => Err(failure),
        Said::No(error) if error.is_forbidden() || error.is_trouble() => Err(error.failure(PERMISSION)),
        Said::No(error) if error.is("STALE_DATA") => {
            Err(Failure::temporary(format!("GitHub sees the branch elsewhere: {}", one_line(&error.message))))
        }
        Said::No(error) => Ok(PushOutcome::Refused(one_line(&error.message))),
    }
}

#[cfg(test)]
mod tests {
    use tagboat_ports::ForgeErrorKind;

    use super::*;

    fn id(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn update(branch: &str, change: BranchChange) -> BranchUpdate {
        BranchUpdate { branch: branch.parse().unwrap(), change }
    }

    fn refused(kind: Option<&str>, message: &str) -> Said {
        Said::No(GraphError { kind: kind.map(str::to_owned), message: message.to_owned() })
    }

    #[test]
    fn branches_are_made_moved_and_deleted_only_from_where_they_were() {
        let new = id('2');
        let moved = |branch, change| reference(&update(branch, change), Some(&new));
        let append = moved("main", BranchChange::Append { base: id('1'), commits: Vec::new() }).unwrap();
        assert_eq!(
            append,
            json!({ "name": "refs/heads/main", "beforeOid": id('1').as_str(), "afterOid": new.as_str(), "force": false })
        );
        let made = moved("tagboat/a", BranchChange::Replace { old: None, base: id('1'), commits: Vec::new() }).unwrap();
        assert_eq!((&made["beforeOid"], &made["force"]), (&json!(NOWHERE), &json!(true)));
        let deleted = reference(&update("tagboat/a", BranchChange::Delete { old: id('3') }), None).unwrap();
        assert_eq!((&deleted["beforeOid"], &deleted["afterOid"]), (&json!(id('3').as_str()), &json!(NOWHERE)));
        let nothing = BranchChange::Append { base: id('1'), commits: Vec::new() };
        assert_eq!(reference(&update("main", nothing), None), None);
    }

    #[test]
    fn the_branches_say_what_became_of_a_push() {
        let ids = vec![id('2')];
        let stale = || refused(Some("STALE_DATA"), "Expected branch to point to …");
        assert_eq!(outcome(vec![Standing::Done(ids.clone())], stale()).unwrap(), PushOutcome::Landed(vec![ids]));
        let moved = || Standing::Moved(Some(id('9')));
        assert_eq!(outcome(vec![moved()], stale()).unwrap(), PushOutcome::Moved(Some(id('9'))));
        assert_eq!(outcome(vec![Standing::Waiting, moved()], stale()).unwrap(), PushOutcome::Moved(None));
        let rule = refused(Some("BRANCH_PROTECTION_RULE_VIOLATION"), "Changes must be made through a pull request.");
        let words = "Changes must be made through a pull request.".to_owned();
        assert_eq!(outcome(vec![Standing::Waiting], rule).unwrap(), PushOutcome::Refused(words));
        let trouble = refused(None, "Something went wrong while executing your query.");
        assert_eq!(outcome(vec![Standing::Waiting], trouble).unwrap_err().kind, ForgeErrorKind::Temporary);
        assert!(outcome(vec![Standing::Waiting], stale()).is_err());
        let forbidden = refused(Some("FORBIDDEN"), "Resource not accessible by integration");
        assert!(outcome(vec![Standing::Waiting], forbidden).unwrap_err().detail.contains("`contents=write`"));
        let lost = Said::Nothing(Failure::temporary("it did not answer in time").with_unknown_outcome());
        assert!(outcome(vec![Standing::Waiting], lost).is_err(), "nobody knows yet");
    }

    #[test]
    fn what_waits_is_sent_again_where_that_may_help() {
        let stale = || refused(Some("STALE_DATA"), "Expected branch to point to …");
        let rule = || refused(Some("UNPROCESSABLE"), "Cannot update this protected ref");
        let done = || Standing::Done(Vec::new());
        assert!(is_worth_another(&[done(), Standing::Waiting], 2, &stale()));
        assert!(is_worth_another(&[done(), Standing::Waiting], 2, &rule()), "one was done meanwhile");
        assert!(is_worth_another(&[Standing::Waiting], 1, &stale()));
        assert!(!is_worth_another(&[done(), Standing::Waiting], 1, &rule()));
        assert!(!is_worth_another(&[Standing::Waiting, Standing::Moved(None)], 2, &stale()));
        assert!(!is_worth_another(&[done()], 1, &stale()));
        let lost = Said::Nothing(Failure::temporary("it did not answer in time").with_unknown_outcome());
        assert!(!is_worth_another(&[Standing::Waiting], 1, &lost));
    }
}
