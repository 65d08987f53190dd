//! The world of the fakes: pull requests, people and their words, over a bare repository.

use std::path::PathBuf;

use tagboat_model::Timestamp;

use crate::git_work::{BareRepository, git, try_git};

/// When it begins.
const START: i64 = 1_790_000_000_000;

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) login: &'static str,
    /// GitLab's number of a role: 0, 10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner.
    pub(crate) level: u64,
    /// Whether they are in the team `platform`.
    pub(crate) is_in_team: bool,
}

/// How far a pull request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Closed,
    Merged,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approved,
    ChangesRequested,
}

/// A comment.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) id: u64,
    pub(crate) by: u64,
    pub(crate) body: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// Whether the forge itself wrote it.
    pub(crate) is_system: bool,
}

/// A pull request.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) stage: Stage,
    /// Where the branch stood when it was merged or closed.
    pub(crate) last_head: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) reviewers: Vec<u64>,
    pub(crate) assignees: Vec<u64>,
    pub(crate) milestone: bool,
    pub(crate) auto_merge: bool,
    pub(crate) notes: Vec<Note>,
    pub(crate) reviews: Vec<(u64, Verdict, String)>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// An issue.
#[derive(Debug, Clone)]
pub(crate) struct IssueRecord {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) labels: Vec<String>,
    pub(crate) updated_at: i64,
}

/// A commit status.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) text: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) created_at: i64,
}

/// Everything.
pub(crate) struct State {
    pub(crate) repository: BareRepository,
    pub(crate) people: Vec<Person>,
    pub(crate) pulls: Vec<Pull>,
    pub(crate) issues: Vec<IssueRecord>,
    pub(crate) statuses: Vec<Status>,
    /// Their numbers are their places, from 1.
    pub(crate) labels: Vec<String>,
    /// So often the opening of a pull request is answered as if there were one.
    pub(crate) conflicts: u32,
    /// Whether something is running that auto-merge can wait for.
    pub(crate) has_pipeline: bool,
    /// What requests and answers had that is not described.
    pub(crate) failures: Vec<String>,
    now: i64,
    next: u64,
}

/// The one milestone that there is.
pub(crate) const MILESTONE: &str = "November";
/// The number of the bot.
pub(crate) const BOT: u64 = 1;

pub(crate) fn shown(at: i64) -> String {
    Timestamp(at).to_string()
}

impl State {
    pub(crate) fn new(repository: BareRepository) -> Self {
        let person = |id, login, level, is_in_team| Person { id, login, level, is_in_team };
        Self {
            repository,
            people: vec![
                person(BOT, "tagboat", 40, false),
                person(2, "ada", 40, true),
                person(3, "ben", 20, false),
                person(4, "eve", 0, false),
            ],
            pulls: Vec::new(),
            issues: Vec::new(),
            statuses: Vec::new(),
            labels: vec!["bug".to_owned()],
            conflicts: 0,
            has_pipeline: false,
            failures: Vec::new(),
            now: START,
            next: 100,
        }
    }

    fn folder(&self) -> PathBuf {
        self.repository.path()
    }

    pub(crate) fn set_clock(&mut self, now: i64) {
        self.now = now;
    }

    /// A second later.
    pub(crate) fn tick(&mut self) -> i64 {
        self.now += 1000;
        self.now
    }

    /// A number that nothing has yet.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn person(&self, id: u64) -> &Person {
        self.people.iter().find(|person| person.id == id).expect("there is such a person")
    }

    pub(crate) fn named(&self, login: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.login == login)
    }

    /// Where a branch stands.
    pub(crate) fn head_of(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let listed = git(&self.folder(), &["for-each-ref", "--format=%(refname) %(objectname)", &name]);
        let mut lines = listed.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(found, _)| *found == name).map(|(_, id)| id.to_owned())
    }

    pub(crate) fn head(&self, pull: &Pull) -> String {
        let last = pull.last_head.clone();
        last.or_else(|| self.head_of(&pull.head)).unwrap_or_default()
    }

    pub(crate) fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.number == number)
    }

    /// To change it, which makes it newer.
    pub(crate) fn pull_mut(&mut self, number: u64) -> &mut Pull {
        let now = self.tick();
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).expect("there is such a pull request");
        pull.updated_at = now;
        pull
    }

    pub(crate) fn open_of(&self, head: &str, base: &str) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.stage == Stage::Open && pull.head == head && pull.base == base)
    }

    /// Open a pull request of the bot.
    pub(crate) fn open(&mut self, head: &str, base: &str, title: &str, body: &str) -> u64 {
        let now = self.tick();
        let number = u64::try_from(self.pulls.len() + self.issues.len() + 1).unwrap();
        self.pulls.push(Pull {
            number,
            head: head.to_owned(),
            base: base.to_owned(),
            title: title.to_owned(),
            body: body.to_owned(),
            stage: Stage::Open,
            last_head: None,
            labels: Vec::new(),
            reviewers: Vec::new(),
            assignees: Vec::new(),
            milestone: false,
            auto_merge: false,
            notes: Vec::new(),
            reviews: Vec::new(),
            created_at: now,
            updated_at: now,
        });
        number
    }

    pub(crate) fn set_stage(&mut self, number: u64, stage: Stage) {
        let head = self.pull(number).map(|pull| self.head(pull));
        let pull = self.pull_mut(number);
        pull.last_head = head.filter(|_| stage != Stage::Open);
        pull.stage = stage;
        pull.auto_merge = false;
    }

    /// Merge with a commit of two parents.
    pub(crate) fn merge(&mut self, number: u64, message: &str) {
        self.try_merge(number, message).expect("it can be merged");
    }

    /// The same, unless it conflicts or somebody pushes meanwhile.
    pub(crate) fn try_merge(&mut self, number: u64, message: &str) -> Result<(), String> {
        let pull = self.pull(number).expect("there is such a pull request").clone();
        let (folder, head) = (self.folder(), self.head(&pull));
        let base = self.head_of(&pull.base).expect("its base is there");
        let tree = try_git(&folder, &["merge-tree", "--write-tree", &base, &head])?;
        let tree = tree.lines().next().unwrap_or_default();
        let commit = git(&folder, &["commit-tree", tree, "-p", &base, "-p", &head, "-m", message]);
        try_git(&folder, &["update-ref", &format!("refs/heads/{}", pull.base), commit.trim(), &base])?;
        self.set_stage(number, Stage::Merged);
        Ok(())
    }

    pub(crate) fn changed_paths(&self, pull: &Pull) -> Vec<String> {
        let (head, range) = (self.head(pull), self.head_of(&pull.base).unwrap_or_default());
        let listed = git(&self.folder(), &["diff", "--name-only", &format!("{range}...{head}")]);
        listed.lines().map(str::to_owned).collect()
    }

    /// A file of a commit.
    pub(crate) fn file(&self, commit: &str, path: &str) -> Option<String> {
        let listed = git(&self.folder(), &["ls-tree", commit, "--", path]);
        (!listed.is_empty()).then(|| git(&self.folder(), &["show", &format!("{commit}:{path}")]))
    }

    /// The commits between two revisions, newest first: id and subject.
    pub(crate) fn commits(&self, from: &str, to: &str) -> Vec<(String, String)> {
        let listed = git(&self.folder(), &["log", "--format=%H %s", &format!("{from}..{to}")]);
        let lines = listed.lines().filter_map(|line| line.split_once(' '));
        lines.map(|(id, subject)| (id.to_owned(), subject.to_owned())).collect()
    }

    pub(crate) fn comment(&mut self, number: u64, by: u64, body: &str) -> Note {
        let (id, now) = (self.fresh(), self.tick());
        let note = Note { id, by, body: body.to_owned(), created_at: now, updated_at: now, is_system: false };
        self.pull_mut(number).notes.push(note.clone());
        note
    }

    pub(crate) fn write_issue(
        &mut self,
        number: Option<u64>,
        title: String,
        body: String,
        labels: Vec<String>,
    ) -> IssueRecord {
        let now = self.tick();
        if let Some(issue) = self.issues.iter_mut().find(|issue| Some(issue.number) == number) {
            (issue.title, issue.body, issue.updated_at) = (title, body, now);
            return issue.clone();
        }
        let number = u64::try_from(self.pulls.len() + self.issues.len() + 1).unwrap();
        let issue = IssueRecord { number, title, body, labels, updated_at: now };
        self.issues.push(issue.clone());
        issue
    }

    pub(crate) fn set_status(&mut self, status: Status) -> Status {
        let (id, now) = (self.fresh(), self.tick());
        let status = Status { id, created_at: now, ..status };
        self.statuses.push(status.clone());
        status
    }

    /// The number of a label, which is made if it is not there.
    pub(crate) fn label(&mut self, name: &str) -> usize {
        if let Some(place) = self.labels.iter().position(|label| label == name) {
            return place + 1;
        }
        self.labels.push(name.to_owned());
        self.labels.len()
    }
}
