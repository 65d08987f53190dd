//! The life of pull requests: what follows from references that moved, and merges.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    checks, render, render_pulls,
    state::{AutoMerge, BOT, Merged, State},
    store,
};

/// No commit, as Git and events write it.
pub(super) const ZERO: &str = "0000000000000000000000000000000000000000";

/// What a merge is asked for.
pub(super) struct MergeWish {
    /// `merge`, `squash` or `rebase`.
    pub(super) method: String,
    /// The head that the asker saw.
    pub(super) expected: Option<String>,
    pub(super) headline: Option<String>,
    pub(super) body: Option<String>,
}

impl State {
    /// Name and address under which somebody's commits are.
    pub(super) fn signature(&self, login: &str) -> (String, String) {
        let id = self.account(login).map_or(0, |account| account.id);
        (login.to_owned(), format!("{id}+{login}@users.noreply.github.com"))
    }

    /// Tell the App about a pull request.
    pub(super) fn emit_pull(&mut self, place: usize, number: u64, action: &str, login: &str, more: Value) {
        let repository = &self.repositories[place];
        let Some(issue) = repository.issue(number) else { return };
        let pull = render_pulls::pull(self, repository, issue);
        let mut values = json!({ "action": action, "number": number, "pull_request": pull });
        if let (Value::Object(values), Value::Object(more)) = (&mut values, more) {
            values.extend(more);
        }
        self.emit(place, "pull_request", &format!("pull-request-{}", action.replace('_', "-")), login, values);
    }

    /// Look which references moved, and let follow what follows at GitHub.
    pub(super) fn references_moved(&mut self, place: usize, login: &str) {
        let repository = &mut self.repositories[place];
        let now = store::references(&repository.folder);
        let before = std::mem::replace(&mut repository.references, now.clone());
        let mut moved: Vec<(String, String, String)> = Vec::new();
        for (name, id) in &now {
            let old = before.get(name).map_or(ZERO, String::as_str);
            if old != id {
                moved.push((name.clone(), old.to_owned(), id.clone()));
            }
        }
        for (name, id) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
            moved.push((name.clone(), id.clone(), ZERO.to_owned()));
        }
        for (name, old, new) in &moved {
            self.emit_push(place, name, old, new, login);
        }
        for (name, old, new) in &moved {
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                self.branch_moved(place, branch, old, new, login);
            }
        }
        self.merge_what_may(place);
    }

    fn emit_push(&mut self, place: usize, name: &str, old: &str, new: &str, login: &str) {
        let repository = &self.repositories[place];
        let (page, folder) = (render::page(self, repository), repository.folder.clone());
        let default_branch = repository.default_branch.clone();
        let forced = old != ZERO && new != ZERO && !store::is_ancestor(&folder, old, new);
        let (_, email) = self.signature(login);
        let mut values = json!({
            "ref": name, "before": old, "after": new, "created": old == ZERO, "deleted": new == ZERO,
            "forced": forced, "base_ref": null, "compare": format!("{page}/compare/{old}...{new}"), "commits": [],
            "head_commit": null, "pusher": { "name": login, "email": email },
        });
        if new != ZERO {
            let described = store::describe(&folder, new);
            let author = json!({ "name": described.name, "email": described.email });
            let commit = json!({
                "id": new, "tree_id": described.tree, "distinct": true, "message": described.message,
                "timestamp": described.date, "url": format!("{page}/commit/{new}"), "author": author,
                "committer": author, "added": [], "removed": [], "modified": [],
            });
            values["commits"] = json!([commit]);
            values["head_commit"] = commit;
        }
        self.emit(place, "push", "push", login, values);
        let short = name.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
        let kind = if name.starts_with("refs/tags/") { "tag" } else { "branch" };
        let made = json!({ "ref": short, "ref_type": kind, "pusher_type": "user" });
        if old == ZERO {
            let more = json!({ "master_branch": default_branch, "description": null });
            self.emit(place, "create", "create", login, super::skeleton::over(made, more));
        } else if new == ZERO {
            self.emit(place, "delete", "delete", login, made);
        }
    }

    fn branch_moved(&mut self, place: usize, branch: &str, old: &str, new: &str, login: &str) {
        for number in self.open_pulls(place) {
            let Some(pull) = self.pull(place, number) else { continue };
            let protection = self.repositories[place].protections.get(&pull.base);
            let dismiss = protection.is_some_and(|protection| protection.dismiss_stale);
            let now = self.now();
            let folder = self.repositories[place].folder.clone();
            let Some(issue) = self.repositories[place].issue_mut(number) else { continue };
            let Some(pull) = issue.pull.as_mut() else { continue };
            if pull.head == branch {
                if new == ZERO {
                    self.close(place, number, login);
                    continue;
                }
                pull.head_id = new.to_owned();
                issue.updated = now;
                if dismiss {
                    let approvals = pull.reviews.iter_mut().filter(|review| review.state == "APPROVED");
                    approvals.for_each(|review| review.state = "DISMISSED".to_owned());
                }
                let nothing_left = store::is_ancestor(&folder, &pull.head_id, &pull.base_id);
                self.emit_pull(place, number, "synchronize", login, json!({ "before": old, "after": new }));
                if nothing_left {
                    self.close(place, number, login);
                }
            } else if pull.base == branch && new != ZERO {
                pull.base_id = new.to_owned();
                if store::is_ancestor(&folder, &pull.head_id, new) {
                    // Its commits came in by another way.
                    self.finish_merge(place, number, new, login);
                }
            }
        }
    }

    /// The numbers of open pull requests.
    pub(super) fn open_pulls(&self, place: usize) -> Vec<u64> {
        let issues = self.repositories[place].issues.iter();
        issues.filter(|issue| issue.open && issue.pull.is_some()).map(|issue| issue.number).collect()
    }

    /// What makes this number a pull request.
    pub(super) fn pull(&self, place: usize, number: u64) -> Option<&super::state::Pull> {
        self.repositories[place].issue(number)?.pull.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn pull_mut(&mut self, place: usize, number: u64) -> Option<&mut super::state::Pull> {
        self.repositories[place].issue_mut(number)?.pull.as_mut()
    }

    /// Close an issue or a pull request.
    pub(super) fn close(&mut self, place: usize, number: u64, login: &str) {
        let now = self.now();
        let Some(issue) = self.repositories[place].issue_mut(number) else { return };
        if !issue.open {
            return;
        }
        issue.open = false;
        issue.closed = Some(now);
        issue.updated = now;
        let is_pull = issue.pull.as_mut().map(|pull| pull.auto_merge = None).is_some();
        if is_pull {
            self.emit_pull(place, number, "closed", login, json!({}));
        } else {
            self.emit_issue(place, number, "closed", login, json!({}));
        }
    }

    /// Merge, or say in GitHub's words why not.
    pub(super) fn merge(&mut self, place: usize, number: u64, wish: &MergeWish, login: &str) -> Result<String, Answer> {
        let repository = &self.repositories[place];
        let issue = repository.issue(number).ok_or_else(Answer::not_found)?;
        let pull = issue.pull.as_ref().ok_or_else(Answer::not_found)?;
        if !issue.open || pull.draft {
            return Err(Answer::refused(405, "Pull Request is not mergeable"));
        }
        if wish.expected.as_ref().is_some_and(|expected| *expected != pull.head_id) {
            return Err(Answer::refused(409, "Head branch was modified. Review and try the merge again."));
        }
        if let Some(obstacle) = checks::obstacle(repository, pull) {
            return Err(Answer::refused(405, &obstacle));
        }
        if repository.merge_queue {
            return Err(Answer::refused(405, "Changes must be made through the merge queue"));
        }
        if !checks::mergeable(repository, pull) {
            return Err(Answer::refused(405, "Pull Request has merge conflicts"));
        }
        self.merge_now(place, number, wish, login).map_err(|words| Answer::refused(405, &words))
    }

    /// Merge without asking the rules again.
    fn merge_now(&mut self, place: usize, number: u64, wish: &MergeWish, login: &str) -> Result<String, String> {
        let repository = &self.repositories[place];
        let (folder, owner) = (repository.folder.clone(), repository.owner.clone());
        let issue = repository.issue(number).ok_or("no such pull request")?;
        let pull = issue.pull.clone().ok_or("no such pull request")?;
        let tree =
            store::merged_tree(&folder, &pull.base_id, &pull.head_id).ok_or("Pull Request has merge conflicts")?;
        let (name, email) = self.signature(login);
        let author = (name.as_str(), email.as_str());
        let headline = |usual: String| wish.headline.clone().filter(|text| !text.is_empty()).unwrap_or(usual);
        let body = wish.body.clone().unwrap_or_default();
        let message = |usual: String| format!("{}\n\n{body}", headline(usual)).trim_end().to_owned();
        let commit = match wish.method.as_str() {
            "squash" => {
                let text = message(format!("{} (#{number})", issue.title));
                store::commit_tree(&folder, &tree, std::slice::from_ref(&pull.base_id), &text, author)?
            }
            "rebase" => rebased(&folder, &pull.base_id, &pull.head_id)?,
            _ => {
                let text = message(format!("Merge pull request #{number} from {owner}/{}", pull.head));
                let parents = [pull.base_id.clone(), pull.head_id.clone()];
                store::commit_tree(&folder, &tree, &parents, &text, author)?
            }
        };
        store::update(&folder, &format!("refs/heads/{}", pull.base), &commit, Some(&pull.base_id))?;
        self.finish_merge(place, number, &commit, login);
        if self.repositories[place].delete_branch_on_merge {
            store::delete(&folder, &format!("refs/heads/{}", pull.head))?;
        }
        self.references_moved(place, login);
        Ok(commit)
    }

    fn finish_merge(&mut self, place: usize, number: u64, commit: &str, login: &str) {
        let now = self.now();
        let Some(issue) = self.repositories[place].issue_mut(number) else { return };
        let Some(pull) = issue.pull.as_mut() else { return };
        pull.merged = Some(Merged { commit: commit.to_owned(), by: login.to_owned(), at: now });
        pull.auto_merge = None;
        pull.queued = false;
        issue.open = false;
        issue.closed = Some(now);
        issue.updated = now;
        self.emit_pull(place, number, "closed", login, json!({}));
    }

    /// Do what auto-merge was asked for, where everything allows it now.
    pub(super) fn merge_what_may(&mut self, place: usize) {
        for number in self.open_pulls(place) {
            let repository = &self.repositories[place];
            let Some(pull) = self.pull(place, number) else { continue };
            let Some(wish) = pull.auto_merge.clone() else { continue };
            let blocked = pull.draft || checks::obstacle(repository, pull).is_some();
            if blocked || pull.queued || !checks::mergeable(repository, pull) {
                continue;
            }
            if repository.merge_queue {
                if let Some(pull) = self.pull_mut(place, number) {
                    pull.queued = true;
                }
                self.emit_pull(place, number, "enqueued", &wish.by, json!({}));
                continue;
            }
            self.merge_automatically(place, number, wish);
        }
    }

    /// Merge the pull requests in the queue, as if their checks had succeeded.
    pub(super) fn run_queue(&mut self, place: usize) {
        for number in self.open_pulls(place) {
            let Some(pull) = self.pull(place, number).filter(|pull| pull.queued) else { continue };
            let usual = || AutoMerge {
                method: "merge".to_owned(),
                by: BOT.to_owned(),
                at: self.now(),
                headline: None,
                body: None,
            };
            let wish = pull.auto_merge.clone().unwrap_or_else(usual);
            self.merge_automatically(place, number, wish);
        }
    }

    fn merge_automatically(&mut self, place: usize, number: u64, wish: AutoMerge) {
        let AutoMerge { method, by, headline, body, .. } = wish;
        let wish = MergeWish { method, expected: None, headline, body };
        if let Err(words) = self.merge_now(place, number, &wish, &by) {
            self.failures.push(format!("auto-merge of #{number}: {words}"));
        }
    }
}

/// The commits of `head` again, on top of `base`.
fn rebased(folder: &std::path::Path, base: &str, head: &str) -> Result<String, String> {
    let mut top = base.to_owned();
    for commit in store::commits_between(folder, base, head) {
        let described = store::describe(folder, &commit);
        let parent = described.parents.first().cloned().unwrap_or_default();
        let arguments = ["merge-tree", "--write-tree", &format!("--merge-base={parent}"), &top, &commit];
        let printed = store::run(folder, &arguments)?;
        let tree = printed.lines().next().unwrap_or_default().to_owned();
        let author = (described.name.as_str(), described.email.as_str());
        top = store::commit_tree(folder, &tree, &[top], &described.message, author)?;
    }
    Ok(top)
}
