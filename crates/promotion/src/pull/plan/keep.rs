//! An open pull request and the lane that it is of: it is brought to what is wanted, left alone, merged or closed.

use tagboat_model::{Check, CheckState, CommitId, MergeMethod, Outcome, Reason, shown};

use super::{
    Round, STOP_LABEL,
    gates::{self, Seen, gates_of, in_the_way},
    has_same_versions, is_asked,
    moot::{Fate, fate},
    over, versions_of, write,
};
use crate::{
    CommitPlan, Environment, Supersede,
    pull::{Block, BlockChange, KnownPull, Lane, PullStep, identity::content_of, text},
};

/// What follows for an open pull request of a lane, into the branch of that lane.
pub(crate) fn keep(round: &mut Round<'_, '_>, lane: &Lane<'_>, known: &KnownPull) {
    let pull = &known.pull;
    let number = pull.number;
    if pull.author.id != round.facts.bot.id {
        round.explain(lane, |_| Reason::EditedByPeople { number });
        return;
    }
    let block = Block::read(pull, round.facts.bot);
    if over::permit(round, known, block.as_ref()) {
        return;
    }
    if pull.labels.iter().any(|label| label == STOP_LABEL) {
        if known.foreign {
            // What we asked the forge for must not merge what people put there since.
            disarm(round, lane, known);
        }
        round.explain(lane, |version| Reason::InPullRequest { version: version.clone(), number });
        return;
    }
    let asked = is_asked(round, known);
    let fate = fate(lane, block.as_ref());
    if known.foreign && !asked {
        hands_off(round, lane, known, matches!(fate, Fate::Moot(_)));
    }
    match (fate, block, &lane.commit) {
        (Fate::Moot(why), Some(block), _) => round.end(known, &block, &why, asked),
        (Fate::Wanted, block, Some(commit)) if !known.foreign || asked => {
            update(round, &Pair { lane, known, commit, block: block.as_ref() });
        }
        (Fate::Open, ..) => stop_merging(round, lane, known),
        _ => {}
    }
}

/// People committed on the branch: it is theirs now.
fn hands_off(round: &mut Round<'_, '_>, lane: &Lane<'_>, known: &KnownPull, is_moot: bool) {
    let number = known.pull.number;
    disarm(round, lane, known);
    if !is_moot {
        let body = text::edited_comment(&known.pull, round.facts.traits);
        round.goes_on.push(PullStep::Comment { number, mark: "edited".to_owned(), body });
    }
    round.explain(lane, |_| Reason::EditedByPeople { number });
}

/// What it offers is not to come now: gates that passed wait again, or something stands in the way. It stays open, and is not
/// merged by us.
fn stop_merging(round: &mut Round<'_, '_>, lane: &Lane<'_>, known: &KnownPull) {
    let in_the_way = lane.decisions.iter().find(|decision| {
        matches!(decision.outcome, Outcome::Waiting | Outcome::Blocked) && !decision.reasons.is_empty()
    });
    let Some(reason) = in_the_way.and_then(|decision| decision.reasons.first()) else { return };
    disarm(round, lane, known);
    let status = Check {
        name: gates::STATUS.to_owned(),
        state: CheckState::Pending,
        text: shown(&reason.to_string()).chars().take(130).collect(),
        url: None,
    };
    let is_there = known.checks.iter().any(|check| check.name == status.name && check.state == status.state);
    if !is_there {
        round.goes_on.push(PullStep::Status { commit: known.pull.head_commit.clone(), status });
    }
}

/// Take back that the forge merges it.
fn disarm(round: &mut Round<'_, '_>, lane: &Lane<'_>, known: &KnownPull) {
    if lane.environment.pull_request.auto_merge && known.pull.merging {
        round.goes_on.push(auto_merge(lane, known, false));
    }
}

/// An open pull request with what it is to bring.
struct Pair<'k, 'l> {
    lane: &'k Lane<'l>,
    known: &'k KnownPull,
    commit: &'k CommitPlan,
    block: Option<&'k Block>,
}

fn update(round: &mut Round<'_, '_>, pair: &Pair<'_, '_>) {
    let Pair { lane, known, commit, block } = *pair;
    let number = known.pull.number;
    let is_rebuilt = is_asked(round, known) || !is_as_wanted(pair);
    if is_rebuilt && is_protected(round, pair) {
        let approved = versions_of(block, known);
        round.explain(lane, |_| Reason::NotSuperseded { number, approved: approved.clone() });
        return;
    }
    round.explain(lane, |version| Reason::InPullRequest { version: version.clone(), number });
    let seen = if is_rebuilt { Seen::default() } else { Seen::on(known) };
    let is_draft = is_to_be_draft(round, lane);
    let there = block.filter(|_| !is_rebuilt).and_then(|block| write::as_decided_in(lane, commit, block));
    let (lane, commit_there) = there.as_ref().map_or((lane, commit), |(lane, commit)| (lane, commit));
    let wanted = write::wanted(round, lane, commit_there, seen, is_draft);
    let edit = write::edit(round, lane, known, (seen, !is_rebuilt), wanted.block);
    if is_rebuilt {
        // Whether the forge may merge the new commit is asked of that.
        if lane.environment.pull_request.auto_merge && known.pull.merging {
            round.goes_on.push(auto_merge(lane, known, false));
        }
        let (head, old) = (known.pull.head.clone(), known.pull.head_commit.clone());
        round.goes_on.push(PullStep::Rebuild { number, head, old, commit: commit.clone() });
        round.goes_on.extend(edit);
        return;
    }
    let changes_draft = matches!(edit, Some(PullStep::Edit { draft: Some(_), .. }));
    round.goes_on.extend(edit);
    judge(round, pair, changes_draft || is_draft);
}

/// Whether its commit is the one that would be made now. Where people took its block away, what was pushed says so.
fn is_as_wanted(pair: &Pair<'_, '_>) -> bool {
    let Pair { lane, known, commit, block } = *pair;
    let content = content_of(commit);
    match (block, &known.own_content) {
        (Some(block), _) => has_same_versions(block, lane) && block.content == content && is_from_there(block, lane),
        (None, Some(pushed)) => !known.foreign && *pushed == content,
        (None, None) => false,
    }
}

/// Whether the references still carry what they carried when its commit was made. Else the same lines were changed on both
/// branches, and though the files would be the same they cannot be merged.
fn is_from_there(block: &Block, lane: &Lane<'_>) -> bool {
    let is_the_same = |change: &BlockChange| {
        let mut here = lane.changes.iter().filter(|wanted| wanted.decision.entry == change.entry);
        here.all(|wanted| wanted.decision.current == change.from)
    };
    block.changes.iter().all(is_the_same)
}

/// Whether the forge was asked to merge it and does not get to it, because a check of its head failed: the next version may
/// mend what this one broke.
#[must_use]
pub fn is_stuck(known: &KnownPull, environment: &Environment) -> bool {
    let has_failed = known.checks.iter().any(|check| check.state == CheckState::Failure);
    environment.pull_request.auto_merge && has_failed
}

/// Whether its commit is kept although another one is wanted. One that brings what is not wanted any more is not, nor one
/// whose files have changed on the branch it goes into: that could not be merged.
fn is_protected(round: &Round<'_, '_>, pair: &Pair<'_, '_>) -> bool {
    let Pair { lane, known, block, .. } = *pair;
    let rules = &lane.environment.pull_request;
    if is_asked(round, known) || rules.supersede == Supersede::Always {
        return false;
    }
    let is_left_out = |block: &Block| {
        let is_wanted = |change: &BlockChange| lane.changes.iter().any(|wanted| wanted.decision.entry == change.entry);
        !block.changes.iter().all(is_wanted)
    };
    match block {
        Some(block) if is_left_out(block) => false,
        // What we had merged we build anew; what people had merged may wait in a queue, which a new commit would leave.
        Some(block) if has_same_versions(block, lane) => known.pull.merging && !rules.auto_merge,
        _ => (known.pull.merging && !is_stuck(known, lane.environment)) || gates::is_approved(known),
    }
}

/// Whether it is a draft as long as its gates wait.
pub(crate) fn is_to_be_draft(round: &Round<'_, '_>, lane: &Lane<'_>) -> bool {
    let waits = lane.changes.iter().any(|change| change.decision.outcome == Outcome::Waiting);
    lane.environment.pull_request.draft && round.facts.traits.drafts && waits
}

/// Mirror the gates of one that is as wanted, and merge it where that is wanted.
fn judge(round: &mut Round<'_, '_>, pair: &Pair<'_, '_>, is_draft: bool) {
    let Pair { lane, known, .. } = *pair;
    let (pull, rules) = (&known.pull, &lane.environment.pull_request);
    let gates = gates_of(lane, Seen::on(known));
    if let Some(status) = gates::status(lane, &gates, known) {
        round.goes_on.push(PullStep::Status { commit: pull.head_commit.clone(), status });
    }
    let is_ready = !known.foreign
        && !is_draft
        && !pull.draft
        && in_the_way(lane, &gates).is_empty()
        && !gates::is_changes_requested(known);
    let is_asked_for = |(number, head): &(u64, CommitId)| *number == pull.number && *head == pull.head_commit;
    if is_ready && round.facts.merge.iter().any(is_asked_for) {
        let message = match rules.merge_method {
            MergeMethod::Squash => pair.commit.message.clone(),
            MergeMethod::Merge | MergeMethod::Rebase => write::merge_message(pull, round.facts.traits.sigil),
        };
        let (number, head) = (pull.number, pull.head_commit.clone());
        round.goes_on.push(PullStep::Merge { number, head, method: rules.merge_method, message });
    } else if rules.auto_merge && is_ready != pull.merging {
        round.goes_on.push(auto_merge(lane, known, is_ready));
    }
}

fn auto_merge(lane: &Lane<'_>, known: &KnownPull, wanted: bool) -> PullStep {
    PullStep::AutoMerge {
        number: known.pull.number,
        head: known.pull.head_commit.clone(),
        method: lane.environment.pull_request.merge_method,
        wanted,
    }
}
