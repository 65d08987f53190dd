//! What accounts do with issues and pull requests; each act tells the App what GitHub would tell it.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    render, render_pulls,
    state::{CheckRun, Comment, Issue, Pull, Review, State, Status},
    store,
};

/// What a new pull request is made of.
pub(super) struct NewPull {
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) head: String,
    pub(super) base: String,
    pub(super) draft: bool,
}

/// What is changed of an issue or a pull request; nothing stays as it is.
#[derive(Default)]
pub(super) struct Edit {
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    pub(super) base: Option<String>,
}

impl State {
    /// Tell the App about an issue.
    pub(super) fn emit_issue(&mut self, place: usize, number: u64, action: &str, login: &str, more: Value) {
        let repository = &self.repositories[place];
        let Some(issue) = repository.issue(number) else { return };
        let issue = render_pulls::issue(self, repository, issue);
        let mut values = json!({ "action": action, "issue": issue });
        if let (Value::Object(values), Value::Object(more)) = (&mut values, more) {
            values.extend(more);
        }
        self.emit(place, "issues", &format!("issues-{action}"), login, values);
    }

    /// Tell the App about an issue or a pull request, whichever it is.
    pub(super) fn emit_either(&mut self, place: usize, number: u64, action: &str, login: &str, more: Value) {
        if self.pull(place, number).is_some() {
            self.emit_pull(place, number, action, login, more);
        } else {
            self.emit_issue(place, number, action, login, more);
        }
    }

    fn new_issue(&mut self, place: usize, title: &str, body: Option<String>, login: &str, pull: Option<Pull>) -> u64 {
        let (id, now) = (self.id(), self.now());
        let repository = &mut self.repositories[place];
        let number = u64::try_from(repository.issues.len()).unwrap() + 1;
        repository.issues.push(Issue {
            id,
            number,
            title: title.to_owned(),
            body,
            author: login.to_owned(),
            labels: Vec::new(),
            assignees: Vec::new(),
            milestone: None,
            open: true,
            created: now,
            updated: now,
            closed: None,
            comments: Vec::new(),
            pull,
        });
        number
    }

    /// Open an issue.
    pub(super) fn open_issue(&mut self, place: usize, title: &str, body: Option<String>, login: &str) -> u64 {
        let number = self.new_issue(place, title, body, login, None);
        self.emit_issue(place, number, "opened", login, json!({}));
        number
    }

    /// Open a pull request.
    pub(super) fn open_pull(&mut self, place: usize, new: NewPull, login: &str) -> Result<u64, Answer> {
        let repository = &self.repositories[place];
        let owner = repository.owner.clone();
        let head = new.head.strip_prefix(&format!("{owner}:")).unwrap_or(&new.head).to_owned();
        let at = |branch: &str| repository.references.get(&format!("refs/heads/{branch}")).cloned();
        let head_id = at(&head).ok_or_else(|| field("head"))?;
        let base_id = at(&new.base).ok_or_else(|| field("base"))?;
        let mut taken = repository.issues.iter().filter(|issue| issue.open).filter_map(|issue| issue.pull.as_ref());
        if taken.any(|pull| pull.head == head && pull.base == new.base) {
            let message = format!("A pull request already exists for {owner}:{head}.");
            return Err(Answer::invalid("PullRequest", "head", &message));
        }
        if store::commits_between(&repository.folder, &base_id, &head_id).is_empty() {
            let message = format!("No commits between {} and {head}", new.base);
            return Err(Answer::invalid("PullRequest", "head", &message));
        }
        if new.draft && !repository.allow_drafts {
            let message = "Draft pull requests are not supported in this repository.";
            return Err(Answer::invalid("PullRequest", "draft", message));
        }
        let pull = Pull {
            id: self.id(),
            head,
            head_id,
            base: new.base,
            base_id,
            draft: new.draft,
            merged: None,
            auto_merge: None,
            queued: false,
            reviewers: Vec::new(),
            reviews: Vec::new(),
        };
        let number = self.new_issue(place, &new.title, new.body, login, Some(pull));
        self.emit_pull(place, number, "opened", login, json!({}));
        Ok(number)
    }

    /// Change title, body or base.
    pub(super) fn edit(&mut self, place: usize, number: u64, edit: Edit, login: &str) -> Result<(), Answer> {
        let now = self.now();
        let repository = &mut self.repositories[place];
        let new_base = match &edit.base {
            Some(base) => {
                let found = repository.references.get(&format!("refs/heads/{base}")).cloned();
                Some((base.clone(), found.ok_or_else(|| field("base"))?))
            }
            None => None,
        };
        let issue = repository.issue_mut(number).ok_or_else(Answer::not_found)?;
        let mut changes = json!({});
        if let Some(title) = edit.title.filter(|title| *title != issue.title) {
            changes["title"] = json!({ "from": std::mem::replace(&mut issue.title, title) });
        }
        if let Some(body) = edit.body.filter(|body| Some(body) != issue.body.as_ref()) {
            changes["body"] = json!({ "from": issue.body.replace(body).unwrap_or_default() });
        }
        if let (Some((base, id)), Some(pull)) = (new_base, issue.pull.as_mut())
            && base != pull.base
        {
            let (name, before) = (std::mem::replace(&mut pull.base, base), std::mem::replace(&mut pull.base_id, id));
            changes["base"] = json!({ "ref": { "from": name }, "sha": { "from": before } });
        }
        if changes != json!({}) {
            issue.updated = now;
            self.emit_either(place, number, "edited", login, json!({ "changes": changes }));
        }
        Ok(())
    }

    /// Open again what was closed.
    pub(super) fn reopen(&mut self, place: usize, number: u64, login: &str) -> Result<(), Answer> {
        let now = self.now();
        let repository = &mut self.repositories[place];
        let references = repository.references.clone();
        let issue = repository.issue_mut(number).ok_or_else(Answer::not_found)?;
        if issue.open {
            return Ok(());
        }
        if let Some(pull) = issue.pull.as_mut() {
            let head = references.get(&format!("refs/heads/{}", pull.head)).filter(|_| pull.merged.is_none());
            let message = "state cannot be changed. The head branch was deleted or the pull request was merged.";
            let head = head.ok_or_else(|| Answer::invalid("PullRequest", "state", message))?;
            pull.head_id.clone_from(head);
            if let Some(base) = references.get(&format!("refs/heads/{}", pull.base)) {
                pull.base_id.clone_from(base);
            }
        }
        issue.open = true;
        issue.closed = None;
        issue.updated = now;
        self.emit_either(place, number, "reopened", login, json!({}));
        Ok(())
    }

    /// Add labels, which are made when they are not there.
    pub(super) fn add_labels(&mut self, place: usize, number: u64, labels: &[String], login: &str) {
        for label in labels {
            let id = self.id();
            let repository = &mut self.repositories[place];
            repository.labels.entry(label.clone()).or_insert(id);
            let Some(issue) = repository.issue_mut(number) else { return };
            if issue.labels.contains(label) {
                continue;
            }
            issue.labels.push(label.clone());
            let repository = &self.repositories[place];
            let rendered = render_pulls::label(self, repository, label);
            self.emit_either(place, number, "labeled", login, json!({ "label": rendered }));
        }
    }

    fn emit_comment(&mut self, place: usize, number: u64, comment: &Comment, action: &str, login: &str, more: Value) {
        let repository = &self.repositories[place];
        let Some(issue) = repository.issue(number) else { return };
        let mut values = json!({
            "action": action, "issue": render_pulls::issue(self, repository, issue),
            "comment": render_pulls::comment(self, repository, issue, comment),
        });
        if let (Value::Object(values), Value::Object(more)) = (&mut values, more) {
            values.extend(more);
        }
        self.emit(place, "issue_comment", &format!("issue-comment-{action}"), login, values);
    }

    /// Write a comment; its id.
    pub(super) fn comment(&mut self, place: usize, number: u64, body: &str, login: &str) -> Result<u64, Answer> {
        let (id, now) = (self.id(), self.now());
        let issue = self.repositories[place].issue_mut(number).ok_or_else(Answer::not_found)?;
        let (author, body) = (login.to_owned(), body.to_owned());
        let comment = Comment { id, author, body, created: now, updated: now, reactions: Vec::new() };
        issue.comments.push(comment.clone());
        issue.updated = now;
        self.emit_comment(place, number, &comment, "created", login, json!({}));
        Ok(id)
    }

    /// Where a comment is: number of the issue and place in it.
    pub(super) fn find_comment(&self, place: usize, id: u64) -> Option<(u64, usize)> {
        self.repositories[place].issues.iter().find_map(|issue| {
            let found = issue.comments.iter().position(|comment| comment.id == id)?;
            Some((issue.number, found))
        })
    }

    /// Change a comment.
    pub(super) fn edit_comment(&mut self, place: usize, id: u64, body: &str, login: &str) -> Result<u64, Answer> {
        let now = self.now();
        let (number, index) = self.find_comment(place, id).ok_or_else(Answer::not_found)?;
        let issue = self.repositories[place].issue_mut(number).ok_or_else(Answer::not_found)?;
        let comment = &mut issue.comments[index];
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated = now;
        let comment = comment.clone();
        let changes = json!({ "changes": { "body": { "from": before } } });
        self.emit_comment(place, number, &comment, "edited", login, changes);
        Ok(number)
    }

    /// Take a comment away.
    pub(super) fn delete_comment(&mut self, place: usize, id: u64, login: &str) -> Result<(), Answer> {
        let (number, index) = self.find_comment(place, id).ok_or_else(Answer::not_found)?;
        let issue = self.repositories[place].issue_mut(number).ok_or_else(Answer::not_found)?;
        let comment = issue.comments.remove(index);
        self.emit_comment(place, number, &comment, "deleted", login, json!({}));
        Ok(())
    }

    /// Review the head of a pull request.
    pub(super) fn review(&mut self, place: usize, number: u64, verdict: &str, body: &str, login: &str) {
        let (id, at) = (self.id(), self.now());
        let pull = self.pull_mut(place, number).expect("a pull request");
        let (author, state, body) = (login.to_owned(), verdict.to_owned(), body.to_owned());
        let review = Review { id, author, state, body, commit: pull.head_id.clone(), at };
        pull.reviews.push(review.clone());
        pull.reviewers.retain(|reviewer| reviewer != login);
        let repository = &self.repositories[place];
        let issue = repository.issue(number).expect("it was there");
        let mut rendered = render_pulls::review(self, repository, issue, &review);
        // Events say it in small letters.
        rendered["state"] = json!(verdict.to_ascii_lowercase());
        let pull = render_pulls::simple_pull(self, repository, issue);
        let values = json!({ "action": "submitted", "review": rendered, "pull_request": pull });
        self.emit(place, "pull_request_review", "pull-request-review-submitted", login, values);
        self.merge_what_may(place);
    }

    /// Remember a commit status and tell the App.
    pub(super) fn set_status(&mut self, place: usize, status: Status) {
        let login = status.author.clone();
        let repository = &self.repositories[place];
        let values = json!({
            "id": status.id, "sha": status.commit, "name": repository.full_name(), "context": status.context,
            "state": status.state, "description": status.description, "target_url": status.target_url,
            "created_at": status.at.to_string(), "updated_at": status.at.to_string(), "branches": [],
            "commit": render::commit(self, repository, &status.commit),
        });
        self.repositories[place].statuses.push(status);
        self.emit(place, "status", "status", &login, values);
        self.merge_what_may(place);
    }

    /// Tell the App about a check run, and let follow what follows.
    pub(super) fn check_run_changed(&mut self, place: usize, run: &CheckRun, action: &str, login: &str) {
        let rendered = render::check_run(self, &self.repositories[place], run);
        let values = json!({ "action": action, "check_run": rendered });
        self.emit(place, "check_run", &format!("check-run-{action}"), login, values);
        self.merge_what_may(place);
    }
}

/// 422 for a field that does not name anything.
fn field(name: &str) -> Answer {
    let mut answer = Answer::refused(422, "Validation Failed");
    if let Some(body) = &mut answer.body {
        body["errors"] = json!([{ "resource": "PullRequest", "field": name, "code": "invalid" }]);
    }
    answer
}
