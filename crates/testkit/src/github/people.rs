//! What people do in the browser and with git; GitHub tells the App.

use serde_json::json;

use super::{
    Shared,
    issues::{Edit, NewPull},
    pulls::MergeWish,
    state::{AutoMerge, State, Status},
    store::{self, Change},
};

/// A person, about to do something.
pub struct Person<'a> {
    shared: &'a Shared,
    login: String,
}

/// The verdict of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be merged.
    Approve,
    /// It must not be merged so.
    RequestChanges,
    /// No verdict.
    Comment,
}

impl std::fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("login", &self.login).finish_non_exhaustive()
    }
}

impl<'a> Person<'a> {
    pub(super) fn new(shared: &'a Shared, login: String) -> Self {
        Self { shared, login }
    }

    fn act<T>(&self, repository: &str, act: impl FnOnce(&mut State, usize, &str) -> T) -> T {
        self.shared.act(|state| {
            let place = state.place_of(repository);
            act(state, place, &self.login)
        })
    }

    /// Open an issue; its number.
    pub fn open_issue(&self, repository: &str, title: &str, body: &str) -> u64 {
        self.act(repository, |state, place, login| state.open_issue(place, title, Some(body.to_owned()), login))
    }

    /// Open a pull request; its number.
    ///
    /// # Errors
    /// When GitHub refuses, in its words.
    pub fn open_pull(&self, repository: &str, title: &str, head: &str, base: &str) -> Result<u64, String> {
        let [title, head, base] = [title, head, base].map(str::to_owned);
        let new = NewPull { title, body: None, head, base, draft: false };
        self.act(repository, |state, place, login| state.open_pull(place, new, login)).map_err(|answer| words(&answer))
    }

    /// Comment; the comment's id.
    ///
    /// # Panics
    /// When there is no such issue.
    pub fn comment(&self, repository: &str, number: u64, body: &str) -> u64 {
        let done = self.act(repository, |state, place, login| state.comment(place, number, body, login));
        done.unwrap_or_else(|answer| panic!("{}", words(&answer)))
    }

    /// Change a comment.
    ///
    /// # Panics
    /// When there is no such comment.
    pub fn edit_comment(&self, repository: &str, id: u64, body: &str) {
        let done = self.act(repository, |state, place, login| state.edit_comment(place, id, body, login));
        done.unwrap_or_else(|answer| panic!("{}", words(&answer)));
    }

    /// Review the head of a pull request.
    pub fn review(&self, repository: &str, number: u64, verdict: Verdict, body: &str) {
        let word = match verdict {
            Verdict::Approve => "APPROVED",
            Verdict::RequestChanges => "CHANGES_REQUESTED",
            Verdict::Comment => "COMMENTED",
        };
        self.act(repository, |state, place, login| state.review(place, number, word, body, login));
    }

    /// Close an issue or a pull request.
    pub fn close(&self, repository: &str, number: u64) {
        self.act(repository, |state, place, login| state.close(place, number, login));
    }

    /// Open it again.
    ///
    /// # Errors
    /// When GitHub refuses, in its words.
    pub fn reopen(&self, repository: &str, number: u64) -> Result<(), String> {
        self.act(repository, |state, place, login| state.reopen(place, number, login)).map_err(|answer| words(&answer))
    }

    /// Merge with `merge`, `squash` or `rebase`; the new commit.
    ///
    /// # Errors
    /// When GitHub refuses, in its words.
    pub fn merge(&self, repository: &str, number: u64, method: &str) -> Result<String, String> {
        let wish = MergeWish { method: method.to_owned(), expected: None, headline: None, body: None };
        let done = self.act(repository, |state, place, login| state.merge(place, number, &wish, login));
        done.map_err(|answer| words(&answer))
    }

    /// Ask for the merge as soon as everything allows it: `merge`, `squash` or `rebase`. With a queue that is the way into it.
    ///
    /// # Panics
    /// When there is no such pull request.
    pub fn auto_merge(&self, repository: &str, number: u64, method: &str) {
        self.act(repository, |state, place, login| {
            let (method, by, at) = (method.to_owned(), login.to_owned(), state.now());
            let pull = state.pull_mut(place, number).expect("a pull request");
            pull.auto_merge = Some(AutoMerge { method, by, at, headline: None, body: None });
            state.emit_pull(place, number, "auto_merge_enabled", login, json!({}));
            state.merge_what_may(place);
        });
    }

    /// Change the title.
    pub fn edit_title(&self, repository: &str, number: u64, title: &str) {
        self.edit(repository, number, Edit { title: Some(title.to_owned()), ..Edit::default() });
    }

    /// Change the body.
    pub fn edit_body(&self, repository: &str, number: u64, body: &str) {
        self.edit(repository, number, Edit { body: Some(body.to_owned()), ..Edit::default() });
    }

    /// Change the base branch of a pull request.
    pub fn edit_base(&self, repository: &str, number: u64, base: &str) {
        self.edit(repository, number, Edit { base: Some(base.to_owned()), ..Edit::default() });
    }

    fn edit(&self, repository: &str, number: u64, edit: Edit) {
        let done = self.act(repository, |state, place, login| state.edit(place, number, edit, login));
        done.unwrap_or_else(|answer| panic!("{}", words(&answer)));
    }

    /// Tick the first box whose line has this text.
    ///
    /// # Panics
    /// When there is no such box.
    pub fn tick(&self, repository: &str, number: u64, text: &str) {
        let body = self.act(repository, |state, place, _| {
            state.repositories[place].issue(number).and_then(|issue| issue.body.clone()).unwrap_or_default()
        });
        let line = body.lines().find(|line| line.contains("[ ]") && line.contains(text));
        let line = line.unwrap_or_else(|| panic!("no box with {text} in:\n{body}"));
        let ticked = body.replacen(line, &line.replacen("[ ]", "[x]", 1), 1);
        self.edit_body(repository, number, &ticked);
    }

    /// Add a label.
    pub fn label(&self, repository: &str, number: u64, label: &str) {
        let labels = [label.to_owned()];
        self.act(repository, |state, place, login| state.add_labels(place, number, &labels, login));
    }

    /// Commit files onto a branch and push; nothing instead of a text takes the file away. A branch that is not there
    /// begins at the default branch. The new commit.
    ///
    /// # Panics
    /// When git fails.
    pub fn push(&self, repository: &str, branch: &str, message: &str, files: &[(&str, Option<&str>)]) -> String {
        self.act(repository, |state, place, login| {
            let own = &state.repositories[place];
            let folder = own.folder.clone();
            let (reference, start) = (format!("refs/heads/{branch}"), format!("refs/heads/{}", own.default_branch));
            let parent = own.references.get(&reference).or_else(|| own.references.get(&start)).cloned().unwrap();
            let changes: Vec<Change> = files
                .iter()
                .map(|(path, text)| {
                    let entry = text.map(|text| ("100644".to_owned(), store::blob(&folder, text.as_bytes())));
                    Change { path: (*path).to_owned(), entry }
                })
                .collect();
            let tree = store::tree(&folder, Some(&store::tree_of(&folder, &parent)), &changes).unwrap();
            let (name, email) = state.signature(login);
            let commit =
                store::commit_tree(&folder, &tree, &[parent], message, (name.as_str(), email.as_str())).unwrap();
            store::update(&folder, &reference, &commit, None).unwrap();
            state.references_moved(place, login);
            commit
        })
    }

    /// Let a branch point to a commit, by force if need be. A branch that is not there is made.
    ///
    /// # Panics
    /// When git fails.
    pub fn set_branch(&self, repository: &str, branch: &str, commit: &str) {
        self.act(repository, |state, place, login| {
            let folder = &state.repositories[place].folder;
            store::update(folder, &format!("refs/heads/{branch}"), commit, None).unwrap();
            state.references_moved(place, login);
        });
    }

    /// Take a branch away.
    ///
    /// # Panics
    /// When git fails.
    pub fn delete_branch(&self, repository: &str, branch: &str) {
        self.act(repository, |state, place, login| {
            store::delete(&state.repositories[place].folder, &format!("refs/heads/{branch}")).unwrap();
            state.references_moved(place, login);
        });
    }

    /// Set a commit status: `success`, `failure`, `error` or `pending`.
    pub fn set_status(&self, repository: &str, commit: &str, context: &str, word: &str) {
        self.act(repository, |state, place, login| {
            let status = Status {
                id: state.id(),
                commit: commit.to_owned(),
                state: word.to_owned(),
                context: context.to_owned(),
                description: None,
                target_url: None,
                author: login.to_owned(),
                at: state.now(),
            };
            state.set_status(place, status);
        });
    }
}

/// GitHub's words in an answer.
fn words(answer: &super::answer::Answer) -> String {
    let Some(body) = &answer.body else { return answer.status.to_string() };
    let detail = body["errors"][0]["message"].as_str().or_else(|| body["message"].as_str());
    detail.unwrap_or_default().to_owned()
}
