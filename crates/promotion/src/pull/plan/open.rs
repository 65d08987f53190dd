//! Opening pull requests, within limits. Limits hold back what begins, never what is open, and say so.

use tagboat_model::{
    BranchName, CommitId, Duration, EntryName, EnvironmentName, Outcome, PullRequest, PullState, Reason, Timestamp,
    Version,
};

use super::{Round, gates::Seen, keep::is_to_be_draft, write};
use crate::pull::{Lane, LaneChange, PullStep, branch_of};

const HOUR: Duration = Duration::from_seconds(3600);
const BRANCHES: &str = "tagboat/";

/// Open what is wanted and not there, in the order of the lanes.
pub(crate) fn open(round: &mut Round<'_, '_>, lanes: &[&Lane<'_>]) {
    let mut room = Room::new(round);
    for lane in lanes {
        let Some(step) = opening(round, lane) else { continue };
        match room.take(round.facts.now) {
            Ok(()) => round.begins.push(step),
            Err(Full { limit, until }) => {
                round.explain(lane, |_| Reason::LimitReached { limit: limit.clone() });
                round.wake_at = round.wake_at.into_iter().chain(until).min();
            }
        }
    }
}

fn opening(round: &Round<'_, '_>, lane: &Lane<'_>) -> Option<PullStep> {
    let commit = lane.commit.as_ref().filter(|_| !lane.changes.is_empty())?;
    let draft = is_to_be_draft(round, lane);
    let waits = lane.changes.iter().any(|change| change.decision.outcome == Outcome::Waiting);
    let is_refused = |change: &LaneChange<'_>| {
        let of = |refused: &(EnvironmentName, EntryName, Version)| {
            let (environment, entry, version) = refused;
            lane.environment.name == *environment && change.decision.entry == *entry && change.version == version
        };
        round.refused.iter().any(of)
    };
    // What people refused just now is decided anew before anything is opened.
    if (waits && !draft) || lane.changes.iter().any(is_refused) {
        return None;
    }
    let wanted = write::wanted(round, lane, commit, Seen::default(), draft);
    let head = branch_of(&lane.environment.name, &lane.group);
    Some(PullStep::Open {
        old: left_over(round, &head),
        head,
        commit: commit.clone(),
        title: wanted.words.title,
        body: wanted.block.append_to(&wanted.words.body, round.facts.bot),
        draft,
        decoration: lane.environment.pull_request.decoration.clone(),
    })
}

/// Where the branch stands if it is left over: what the newest pull request of it had that is over. People may have committed
/// on that, so it was kept.
fn left_over(round: &Round<'_, '_>, head: &BranchName) -> Option<CommitId> {
    let facts = round.facts;
    let is_over = |pull: &&PullRequest| pull.head == *head && pull.state != PullState::Open;
    let pulls = facts.pulls.iter().map(|known| &known.pull).filter(|pull| pull.author.id == facts.bot.id);
    pulls.filter(is_over).max_by_key(|pull| pull.number).map(|pull| pull.head_commit.clone())
}

/// How many may still be opened.
struct Room {
    open: usize,
    most_open: Option<usize>,
    /// When those of the last hour were opened, oldest first.
    opened_at: Vec<Timestamp>,
    most_per_hour: Option<usize>,
}

/// There is no room.
struct Full {
    limit: String,
    until: Option<Timestamp>,
}

impl Room {
    fn new(round: &Round<'_, '_>) -> Self {
        let facts = round.facts;
        let is_ours = |pull: &&PullRequest| pull.author.id == facts.bot.id && pull.head.as_str().starts_with(BRANCHES);
        let ours: Vec<&PullRequest> = facts.pulls.iter().map(|known| &known.pull).filter(is_ours).collect();
        let open = ours.iter().filter(|pull| pull.state == PullState::Open).count();
        let mut opened_at: Vec<Timestamp> = ours.iter().map(|pull| pull.created_at).collect();
        opened_at.retain(|at| at.plus(HOUR) > facts.now);
        opened_at.sort_unstable();
        let most = |limit: Option<u32>| limit.and_then(|limit| usize::try_from(limit).ok());
        Self {
            open: open.saturating_sub(round.closed),
            most_open: most(facts.limits.open_pull_requests),
            opened_at,
            most_per_hour: most(facts.limits.per_hour),
        }
    }

    fn take(&mut self, now: Timestamp) -> Result<(), Full> {
        if let Some(most) = self.most_open.filter(|most| self.open >= *most) {
            let limit = format!("the limit of {most} open pull requests (`limits.openPullRequests`)");
            return Err(Full { limit, until: None });
        }
        if let Some(most) = self.most_per_hour.filter(|most| self.opened_at.len() >= *most) {
            // The one that has to be an hour old before there are fewer than the limit.
            let last = self.opened_at.get(self.opened_at.len() - most);
            let limit = format!("the limit of {most} pull requests within an hour (`limits.perHour`)");
            return Err(Full { limit, until: last.map(|at| at.plus(HOUR)) });
        }
        self.open += 1;
        self.opened_at.push(now);
        Ok(())
    }
}
