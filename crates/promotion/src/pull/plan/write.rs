//! What is written into pull requests: titles, texts, and the block behind them.

use tagboat_model::{DecisionId, PullRequest};

use super::{
    Round,
    gates::{Seen, gates_of},
    has_same_versions, is_asked,
};
use crate::{
    Bot, CommitPlan,
    pull::{
        Block, BlockChange, KnownPull, Lane, LaneChange, PullStep,
        block::without_blocks,
        identity::{content_of, text_fingerprint},
        text::{self, OutsideText, Words},
    },
};

/// The text as it is without our block and the note on top of it.
fn own_text(pull: &PullRequest, block: Option<&Block>) -> String {
    let body = without_blocks(&pull.body);
    let note = block.map(|block| block.note.trim()).unwrap_or_default();
    match body.trim_start().strip_prefix(note) {
        Some(rest) if !note.is_empty() => rest.trim_start().to_owned(),
        _ => body,
    }
}

/// Put another block behind the text, and change nothing else.
pub(crate) fn remember(pull: &PullRequest, block: &Block, bot: &Bot) -> PullStep {
    let body = block.append_to(&without_blocks(&pull.body), bot);
    PullStep::Edit { number: pull.number, title: None, body: Some(body), draft: None }
}

/// Title and text of a pull request that Tagboat closes.
pub(crate) fn closed(pull: &PullRequest, block: &Block, bot: &Bot, why: &str) -> (String, String) {
    let is_titled = block.closed && block.title == text_fingerprint(&[pull.title.as_str()]);
    let title = if is_titled { pull.title.clone() } else { text::closed_title(&pull.title) };
    let note = text::closing_note(why);
    let body = format!("{}\n\n{}", note.trim(), own_text(pull, Some(block)));
    let block = Block {
        closed: true,
        note: note.trim().replace("\r\n", "\n"),
        title: text_fingerprint(&[title.as_str()]),
        words: String::new(),
        ..block.clone()
    };
    (title, block.append_to(&body, bot))
}

/// What a pull request is to be like.
pub(crate) struct Wanted {
    pub(crate) words: Words,
    pub(crate) block: Block,
}

/// What the pull request of a lane is to be like, without what people wrote around.
pub(crate) fn wanted(
    round: &Round<'_, '_>,
    lane: &Lane<'_>,
    commit: &CommitPlan,
    seen: Seen<'_>,
    draft: bool,
) -> Wanted {
    let nobody = OutsideText { before: String::new(), after: String::new() };
    let words = text::compose(lane, &gates_of(lane, seen), round.facts.traits, &nobody);
    let first = commit.decisions.first();
    let changes = lane.changes.iter().enumerate().filter_map(|(index, change)| {
        Some(BlockChange {
            entry: change.decision.entry.clone(),
            image: change.decision.image.clone(),
            from: change.decision.current.clone(),
            version: change.version.clone(),
            decision: commit.decisions.get(index).or(first)?.clone(),
        })
    });
    let block = Block {
        environment: lane.environment.name.clone(),
        group: lane.group.clone(),
        base: lane.base.clone(),
        changes: changes.collect(),
        content: content_of(commit),
        title: text_fingerprint(&[words.title.as_str()]),
        words: text_fingerprint(&[words.title.as_str(), words.body.as_str()]),
        draft,
        closed: false,
        note: String::new(),
        settled: false,
        reopened: 0,
        decoration: lane.environment.pull_request.decoration.clone(),
    };
    Wanted { words, block }
}

/// A lane with its commit, as its pull request says that it was decided: with the ids of decisions that its block has. The
/// same is decided again under another id whenever the branch that it goes into moves, which is no reason to write.
pub(crate) fn as_decided_in<'l>(lane: &Lane<'l>, commit: &CommitPlan, block: &Block) -> Option<(Lane<'l>, CommitPlan)> {
    let id_of = |change: &LaneChange<'_>| {
        let found = block.changes.iter().find(|there| there.entry == change.decision.entry);
        found.map(|there| there.decision.clone())
    };
    let decisions: Vec<DecisionId> = lane.changes.iter().map(id_of).collect::<Option<_>>()?;
    if decisions.len() != commit.decisions.len() {
        return None;
    }
    let commit = CommitPlan { decisions, ..commit.clone() };
    let lane = Lane {
        environment: lane.environment,
        group: lane.group.clone(),
        base: lane.base.clone(),
        decisions: lane.decisions.clone(),
        changes: lane.changes.clone(),
        commit: Some(commit.clone()),
    };
    Some((lane, commit))
}

/// The edit that makes a pull request be like that, if it is not. `stands` says that its commit is the wanted one.
pub(crate) fn edit(
    round: &Round<'_, '_>,
    lane: &Lane<'_>,
    known: &KnownPull,
    (seen, stands): (Seen<'_>, bool),
    mut block: Block,
) -> Option<PullStep> {
    let (pull, facts) = (&known.pull, round.facts);
    let there = Block::read(pull, facts.bot);
    let mut draft = None;
    if let Some(there) = &there {
        block.reopened = there.reopened;
        block.decoration = there.decoration.clone();
        // People may think otherwise of drafts; only when we do, something follows.
        draft = (there.draft != block.draft && pull.draft != block.draft).then_some(block.draft);
        let is_same = has_same_versions(there, lane)
            && there.words == block.words
            && there.content == block.content
            && there.draft == block.draft
            && there.base == block.base
            && !there.closed;
        if is_same && !is_asked(round, known) {
            return None;
        }
    }
    let outside = text::outside(&own_text(pull, there.as_ref()));
    let words = text::compose(lane, &gates_of(lane, seen), facts.traits, &outside);
    let is_theirs = match &there {
        Some(there) => has_same_versions(there, lane) && there.title != text_fingerprint(&[pull.title.as_str()]),
        // Of the same commit we would have written the same title.
        None => stands,
    };
    let title = (!is_theirs && pull.title != words.title).then_some(words.title);
    let body = block.append_to(&words.body, facts.bot);
    let body = (body.trim_end() != pull.body.replace("\r\n", "\n").trim_end()).then_some(body);
    let changes = title.is_some() || body.is_some() || draft.is_some();
    changes.then_some(PullStep::Edit { number: pull.number, title, body, draft })
}

/// The message of a merge commit. Whatever its title says, it mentions nobody and closes nothing.
pub(crate) fn merge_message(pull: &PullRequest, sigil: char) -> String {
    format!("Merge {} ({sigil}{})", text::markdown::plain(&pull.title), pull.number)
}

#[cfg(test)]
mod tests {
    use tagboat_model::{Account, PullState, Timestamp};

    use super::*;

    #[test]
    fn a_merge_mentions_nobody_and_closes_nothing() {
        let pull = PullRequest {
            number: 9,
            url: String::new(),
            author: Account { id: 1, login: "tagboat[bot]".to_owned(), is_bot: true },
            head: "tagboat/prod/web".parse().unwrap(),
            head_commit: "1".repeat(40).parse().unwrap(),
            base: "main".parse().unwrap(),
            state: PullState::Open,
            draft: false,
            title: "fixes #7 closes acme/other#3 @acme/everyone".to_owned(),
            body: String::new(),
            labels: Vec::new(),
            merging: false,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        assert_eq!(
            merge_message(&pull, '#'),
            "Merge fixes #\u{200b}7 closes acme/other#\u{200b}3 @\u{200b}acme/everyone (#9)"
        );
    }
}
