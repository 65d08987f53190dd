//! The forge of `acme`: pull requests, comments, reviews, statuses; and its listing, which may lag behind.
//!
//! As forges do, it closes a pull request whose branch goes away, refuses a second one of the same branches, and merges only
//! what can be merged. What the bot asks of it comes through `forge_port`; what people do is in `people`.

use std::collections::BTreeMap;

use tagboat_model::{Account, BranchName, Check, Comment, CommitId, PullRequest, PullState, Review, Timestamp};
use tagboat_ports::{Issue, NewPullRequest};

use super::{
    faults::{Bug, Promise},
    git::By,
    world::{ACME, World, main},
};

/// A listing lags at most this far behind.
pub(super) const LONGEST_LAG: i64 = 15_000;

pub(super) struct Pull {
    pub(super) now: PullRequest,
    /// As it was, and from when on.
    versions: Vec<(i64, PullRequest)>,
    pub(super) comments: Vec<Comment>,
    pub(super) reviews: Vec<Review>,
    pub(super) over_since: Option<i64>,
    pub(super) closed_by_people: bool,
    pub(super) armed: bool,
}

#[derive(Default)]
pub(super) struct ForgeServer {
    pub(super) pulls: Vec<Pull>,
    pub(super) statuses: BTreeMap<CommitId, Vec<Check>>,
    pub(super) issues: Vec<Issue>,
    pub(super) comments: u64,
}

pub(super) fn bot() -> Account {
    Account { id: 1, login: "tagboat[bot]".to_owned(), is_bot: true }
}

/// May write.
pub(super) fn bob() -> Account {
    Account { id: 2, login: "bob".to_owned(), is_bot: false }
}

/// May read.
pub(super) fn mallory() -> Account {
    Account { id: 3, login: "mallory".to_owned(), is_bot: false }
}

impl Pull {
    /// Whether a listing can still show it as over, with this on its branch.
    pub(super) fn is_seen_over(&self, head: &CommitId, now: i64) -> bool {
        let ends = self.versions.iter().skip(1).map(|(since, _)| *since).chain([i64::MAX]);
        let mut seen = self.versions.iter().zip(ends).filter(|(_, end)| *end >= now - 2 * LONGEST_LAG);
        seen.any(|((_, pull), _)| pull.state != PullState::Open && pull.head_commit == *head)
    }
}

impl ForgeServer {
    pub(super) fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.now.number == number)
    }

    /// Change a pull request, which is remembered.
    pub(super) fn change(&mut self, number: u64, (time, wall): (i64, Timestamp), change: impl FnOnce(&mut Pull)) {
        let Some(pull) = self.pulls.iter_mut().find(|pull| pull.now.number == number) else { return };
        change(pull);
        // Forges tell the time in whole seconds.
        pull.now.updated_at = Timestamp(wall.0 / 1000 * 1000);
        let is_over = pull.now.state != PullState::Open;
        pull.over_since = if is_over { pull.over_since.or(Some(time)) } else { None };
        pull.versions.push((time, pull.now.clone()));
    }

    /// As the listing had it at some time.
    pub(super) fn listed_at(&self, time: i64) -> Vec<PullRequest> {
        let of = self.pulls.iter();
        of.filter_map(|pull| Some(pull.versions.iter().rev().find(|(since, _)| *since <= time)?.1.clone())).collect()
    }

    pub(super) fn open_of(&self, head: &BranchName) -> Option<u64> {
        let mut open = self.pulls.iter().filter(|pull| pull.now.state == PullState::Open);
        open.find(|pull| pull.now.head == *head).map(|pull| pull.now.number)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Pull> {
        self.pulls.iter().filter(|pull| pull.now.state == PullState::Open)
    }

    pub(super) fn put_status(&mut self, commit: &CommitId, status: &Check) {
        let statuses = self.statuses.entry(commit.clone()).or_default();
        statuses.retain(|known| known.name != status.name);
        statuses.push(status.clone());
    }

    pub(super) fn put_issue(&mut self, number: Option<u64>, (title, body): (&str, &str), at: Timestamp) -> Issue {
        let number = number.unwrap_or_else(|| u64::try_from(self.issues.len()).unwrap() + 1);
        let issue = Issue { number, title: title.to_owned(), body: body.to_owned(), updated_at: at };
        self.issues.retain(|known| known.number != number);
        self.issues.push(issue.clone());
        issue
    }

    pub(super) fn comment(&mut self, number: u64, by: Account, body: String, at: (i64, Timestamp)) {
        self.comments += 1;
        let comment =
            Comment { id: self.comments, by, body, created_at: Timestamp(at.1.0 / 1000 * 1000), edited: false };
        self.change(number, at, |pull| pull.comments.push(comment));
    }
}

impl World {
    pub(super) fn times(&self) -> (i64, Timestamp) {
        (self.time(), self.wall())
    }

    /// Open a pull request, or say which one is open of this branch.
    pub(super) fn open_pull(&self, replica: usize, new: &NewPullRequest) -> Result<u64, String> {
        let head_commit = self.git(ACME).head(&new.head).cloned();
        let base = self.git(ACME).head(&new.base).cloned();
        let Some(head_commit) = head_commit.filter(|_| base.is_some()) else {
            return Err(format!("there is no branch {}", new.head));
        };
        let mut forge = self.forge();
        if let Some(number) = forge.open_of(&new.head).filter(|_| !self.has_bug(Bug::OpenTwice)) {
            return Ok(number);
        }
        let number = u64::try_from(forge.pulls.len()).unwrap() + 1;
        let (time, wall) = self.times();
        let at = Timestamp(wall.0 / 1000 * 1000);
        let now = PullRequest {
            number,
            url: format!("https://forge.example/acme/config/pull/{number}"),
            author: bot(),
            head: new.head.clone(),
            head_commit,
            base: new.base.clone(),
            state: PullState::Open,
            draft: new.draft,
            title: new.title.clone(),
            body: new.body.clone(),
            labels: Vec::new(),
            merging: false,
            created_at: at,
            updated_at: at,
        };
        forge.pulls.push(Pull {
            versions: vec![(time, now.clone())],
            now,
            comments: Vec::new(),
            reviews: Vec::new(),
            over_since: None,
            closed_by_people: false,
            armed: false,
        });
        drop(forge);
        self.note(|| format!("#{number} is opened: {}", new.title));
        self.check_opened(replica, number);
        Ok(number)
    }

    /// The forge sees that a branch moved, or is gone.
    pub(super) fn branch_moved(&self, branch: &BranchName, to: Option<&CommitId>) {
        let Some(number) = self.forge().open_of(branch) else { return };
        self.forge().change(number, self.times(), |pull| match to {
            Some(to) => {
                pull.now.head_commit = to.clone();
                (pull.armed, pull.now.merging) = (false, false);
            }
            None => pull.now.state = PullState::Closed,
        });
        if to.is_none() {
            self.note(|| format!("#{number} is closed, because its branch is gone"));
        }
    }

    /// Merge a pull request into its base; or why that cannot be.
    pub(super) fn merge_pull(&self, number: u64, by: By) -> Result<(), String> {
        let Some(pull) = self.forge().pull(number).map(|pull| pull.now.clone()) else {
            return Err("there is none".into());
        };
        let mut git = self.git(ACME);
        let base = git.head(&main()).cloned().unwrap();
        let Some(files) = git.merge(&base, &pull.head_commit).filter(|_| pull.state == PullState::Open) else {
            return Err("it has conflicts with its base".to_owned());
        };
        let message = format!("Merge pull request #{number}\n");
        let merge = git.commit(vec![base.clone(), pull.head_commit.clone()], (&message, self.wall()), files, By::Forge);
        git.point(&main(), Some(merge.clone()), self.time());
        drop(git);
        self.forge().change(number, self.times(), |pull| {
            pull.now.state = PullState::Merged;
            (pull.armed, pull.now.merging) = (false, false);
        });
        self.note(|| format!("#{number} is merged by {by:?}: {}", pull.title));
        self.check_moved_main(ACME, Some(&base), &merge, by != By::People);
        if by != By::People && !self.ledger().asked.contains(&number) {
            let is_ours = self.git(ACME).commits[&pull.head_commit].by == By::Tagboat;
            if !is_ours {
                self.broke(Promise::PeoplesWorkIsTheirs, || {
                    format!("#{number} was merged for us with people's commits")
                });
            }
        }
        Ok(())
    }
}
