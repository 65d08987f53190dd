//! What people do at a forge, and switches of the fake.

use std::sync::{Arc, Mutex};

use tagboat_model::{Account, CommitId};

use super::{
    locked,
    state::{Note, Stage, State, Verdict},
};
use crate::git_work::git;

/// People at a forge. There are `ada` (maintains the repository, in the team `platform`), `ben` (reads), `eve` (nobody)
/// and the bot; the label `bug` and the milestone `November`.
pub trait ForgePeople: Send {
    /// The account of somebody.
    fn account(&self, login: &str) -> Account;

    /// Commit a file on top of a branch, which is begun at `main` if it is not there.
    fn push(&mut self, branch: &str, path: &str, text: &str) -> CommitId;

    /// Comment on a pull request.
    fn comment(&mut self, number: u64, login: &str, body: &str);

    /// Somebody edits their last comment.
    fn edit_comment(&mut self, number: u64, login: &str, body: &str);

    /// Say yes, or not so.
    fn review(&mut self, number: u64, login: &str, approves: bool);

    /// Close a pull request.
    fn close(&mut self, number: u64);

    /// Open it again.
    fn reopen(&mut self, number: u64);

    /// Merge it.
    fn merge(&mut self, number: u64);

    /// Give it another title, as it stands at the forge.
    fn retitle(&mut self, number: u64, title: &str);

    /// The next pull request is opened, and the answer says that there is one already.
    fn answer_the_next_opening_with_a_conflict(&mut self);

    /// Whether something is running that auto-merge can wait for.
    fn run_a_pipeline(&mut self, runs: bool);
}

/// The people of a fake.
pub(crate) struct People {
    pub(crate) state: Arc<Mutex<State>>,
}

impl People {
    fn id(&self, login: &str) -> u64 {
        locked(&self.state).named(login).expect("there is such a person").id
    }
}

impl ForgePeople for People {
    fn account(&self, login: &str) -> Account {
        Account { id: self.id(login), login: login.to_owned(), is_bot: login == "tagboat" }
    }

    fn push(&mut self, branch: &str, path: &str, text: &str) -> CommitId {
        let state = locked(&self.state);
        let work = tempfile::tempdir().unwrap();
        git(work.path(), &["clone", "--quiet", &state.repository.url(), "."]);
        let start = if state.head_of(branch).is_some() { format!("origin/{branch}") } else { "origin/main".to_owned() };
        git(work.path(), &["checkout", "--quiet", "-B", "work", &start]);
        let file = work.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        git(work.path(), &["add", "--all"]);
        git(work.path(), &["commit", "--quiet", "--message", &format!("Change {path}")]);
        git(work.path(), &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        git(work.path(), &["rev-parse", "HEAD"]).trim().parse().unwrap()
    }

    fn comment(&mut self, number: u64, login: &str, body: &str) {
        let by = self.id(login);
        locked(&self.state).comment(number, by, body);
    }

    fn edit_comment(&mut self, number: u64, login: &str, body: &str) {
        let by = self.id(login);
        let mut state = locked(&self.state);
        let now = state.tick();
        let notes = &mut state.pull_mut(number).notes;
        let note: &mut Note = notes.iter_mut().rev().find(|note| note.by == by).expect("they wrote one");
        (note.body, note.updated_at) = (body.to_owned(), now);
    }

    fn review(&mut self, number: u64, login: &str, approves: bool) {
        let by = self.id(login);
        let verdict = if approves { Verdict::Approved } else { Verdict::ChangesRequested };
        let mut state = locked(&self.state);
        let head = state.pull(number).map(|pull| state.head(pull)).unwrap_or_default();
        let pull = state.pull_mut(number);
        pull.reviews.push((by, verdict, head));
    }

    fn close(&mut self, number: u64) {
        locked(&self.state).set_stage(number, Stage::Closed);
    }

    fn reopen(&mut self, number: u64) {
        locked(&self.state).set_stage(number, Stage::Open);
    }

    fn merge(&mut self, number: u64) {
        locked(&self.state).merge(number, "Merged by a person");
    }

    fn retitle(&mut self, number: u64, title: &str) {
        title.clone_into(&mut locked(&self.state).pull_mut(number).title);
    }

    fn answer_the_next_opening_with_a_conflict(&mut self) {
        locked(&self.state).conflicts += 1;
    }

    fn run_a_pipeline(&mut self, runs: bool) {
        locked(&self.state).has_pipeline = runs;
    }
}
