//! Pull requests that are over, and those that people opened again.
//!
//! Closed by people means no: its versions are refused for its environment, and with them what is older. Merged means that
//! its branch goes. Both are done once, which the block remembers.

use tagboat_model::{Hold, HoldId, Person, PullState, Until, Wish};

use super::{Round, write};
use crate::pull::{Block, BlockChange, KnownPull, PullStep, identity::refusal_id, text};

/// What follows from the end of a pull request.
pub(crate) fn finish(round: &mut Round<'_, '_>, known: &KnownPull) {
    let pull = &known.pull;
    let Some(block) = Block::read(pull, round.facts.bot) else { return };
    if block.base != *round.facts.base || block.settled || block.closed {
        return;
    }
    match pull.state {
        PullState::Open => return,
        PullState::Merged => {}
        PullState::Closed => refuse(round, known, &block),
    }
    // What people committed and did not merge is not ours to delete.
    let is_theirs = known.foreign && pull.state == PullState::Closed;
    if !is_theirs && !round.is_shared(known) {
        let (head, old) = (pull.head.clone(), pull.head_commit.clone());
        round.ends.push(PullStep::DeleteBranch { head, old });
    }
    let block = Block { settled: true, ..block };
    round.ends.push(write::remember(pull, &block, round.facts.bot));
}

fn refuse(round: &mut Round<'_, '_>, known: &KnownPull, block: &Block) {
    let (pull, facts) = (&known.pull, round.facts);
    let is_refused = |change: &BlockChange| {
        let refuses = |hold: &Hold| {
            matches!(&hold.wish, Wish::Refuse { version, pull_request } if *version == change.version && *pull_request == pull.number)
                && hold.environment.as_ref() == Some(&block.environment)
                && hold.entry.as_ref() == Some(&change.entry)
        };
        facts.holds.iter().any(refuses)
    };
    let hold = |change: &BlockChange| {
        let BlockChange { entry, version, .. } = change;
        Some(Hold {
            id: refusal_id(&block.environment, entry, version, pull.number, block.reopened)?,
            environment: Some(block.environment.clone()),
            entry: Some(entry.clone()),
            wish: Wish::Refuse { version: version.clone(), pull_request: pull.number },
            by: Person::tagboat(),
            why: None,
            since: pull.updated_at,
            until: Until::Released,
        })
    };
    let holds: Vec<Hold> = block.changes.iter().filter(|change| !is_refused(change)).filter_map(hold).collect();
    if !holds.is_empty() {
        round.ends.push(PullStep::Refuse { holds });
    }
    for BlockChange { entry, version, .. } in &block.changes {
        round.refused.push((block.environment.clone(), entry.clone(), version.clone()));
    }
    let mark = match block.reopened {
        0 => "refused".to_owned(),
        times => format!("refused-{times}"),
    };
    let body = text::refused_comment(pull, &block.changes, facts.traits);
    round.ends.push(PullStep::Comment { number: pull.number, mark, body });
}

/// Take back what followed from the end of a pull request that is open again. Returns whether it was over.
pub(crate) fn permit(round: &mut Round<'_, '_>, known: &KnownPull, block: Option<&Block>) -> bool {
    let pull = &known.pull;
    let is_of_it = |hold: &&Hold| matches!(hold.wish, Wish::Refuse { pull_request, .. } if pull_request == pull.number);
    let ids: Vec<HoldId> = round.facts.holds.iter().filter(is_of_it).map(|hold| hold.id.clone()).collect();
    if ids.is_empty() && !block.is_some_and(|block| block.settled) {
        return false;
    }
    if let Some(block) = block {
        // Before the holds go: closed once more, it is refused by holds of another id.
        let again = Block { settled: false, reopened: block.reopened.saturating_add(1), ..block.clone() };
        round.goes_on.push(write::remember(pull, &again, round.facts.bot));
    }
    if !ids.is_empty() {
        round.goes_on.push(PullStep::Permit { number: pull.number, ids });
    }
    true
}
