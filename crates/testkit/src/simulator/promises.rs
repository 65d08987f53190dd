//! The promises about what the engine does to the world: commits, pull requests, comments. Checked as it happens.

use tagboat_model::{BranchName, CommitId, Digest, PullState};
use tagboat_ports::{BOT_BRANCHES, BranchChange, PullRequestEdit, Push};
use tagboat_promotion::{Bot, Seal, pull::Block};

use super::{
    faults::Promise,
    forge::bot,
    git::{By, Commit, decisions_of, trailer, value_in, with_value},
    ledger::Put,
    world::{ACME, World, image_name, key_of, main, tag},
};

/// Environments, their tenants, and what follows from which.
pub(super) const ACME_ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];
pub(super) const ENTRIES: [&str; 2] = ["web", "tool"];

pub(super) fn seal() -> Seal {
    Seal::of(b"simulator", "acme/config")
}

pub(super) fn block_of(pull: &tagboat_model::PullRequest) -> Option<Block> {
    Block::read(pull, &Bot { account: bot(), seal: seal() })
}

/// A version as numbers, where it is one.
pub(super) fn version(value: &str) -> Option<[u64; 3]> {
    let parts: Vec<u64> = value.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    parts.try_into().ok()
}

/// What a block's change puts where, as it is written.
fn put_of(block: &Block) -> Vec<Put> {
    let put = |change: &tagboat_promotion::pull::BlockChange| {
        let (tag, digest) = (&change.version.tag, &change.version.digest);
        let value = if change.entry.as_str() == "tool" { format!("{tag}@{digest}") } else { tag.to_string() };
        (block.environment.to_string(), change.entry.to_string(), value)
    };
    block.changes.iter().map(put).collect()
}

/// The puts of a pull request.
pub(super) fn puts_of(pull: &tagboat_model::PullRequest) -> Vec<Put> {
    block_of(pull).map(|block| put_of(&block)).unwrap_or_default()
}

impl World {
    /// A branch was moved by a push of ours.
    pub(super) fn check_pushed(
        &self,
        tenant: usize,
        branch: &BranchName,
        (from, to): (Option<&CommitId>, Option<&CommitId>),
        push: &Push,
    ) {
        if *branch == main() {
            let Some(to) = to else {
                return self.broke(Promise::HistoryOnlyGrows, || "the branch of people was deleted".to_owned());
            };
            return self.check_moved_main(tenant, from, to, true);
        }
        if !branch.as_str().starts_with(BOT_BRANCHES) {
            return self.broke(Promise::PeoplesWorkIsTheirs, || format!("{branch} is not the bot's"));
        }
        if branch.as_str().starts_with("tagboat/dev") || branch.as_str().starts_with("tagboat/live") {
            self.broke(Promise::NothingWithoutACause, || {
                format!("{branch} was made, though its environment takes commits")
            });
        }
        if let Some(to) = to {
            let head = self.git(tenant).head(&main()).cloned().unwrap();
            let made = self.git(tenant).between(&head, to);
            made.iter().for_each(|id| self.check_commit(tenant, id));
        }
        let Some(from) = from else { return };
        let lost = {
            let git = self.git(tenant);
            let kept: Vec<CommitId> =
                [git.head(&main()), to].into_iter().flatten().flat_map(|head| git.ancestors(head)).collect();
            git.ancestors(from).into_iter().any(|id| git.commits[&id].by == By::People && !kept.contains(&id))
        };
        let is_asked = {
            let (ledger, forge) = (self.ledger(), self.forge());
            // What a pull request that is over had is kept there.
            forge
                .pulls
                .iter()
                .filter(|pull| pull.now.head == *branch)
                .any(|pull| pull.is_seen_over(from, self.time()) || ledger.asked.contains(&pull.now.number))
        };
        if lost && !is_asked {
            let change = push.updates.iter().find(|update| update.branch == *branch).map(|update| &update.change);
            let seen = match change {
                Some(BranchChange::Replace { old, .. }) => old.as_ref() == Some(from),
                Some(BranchChange::Delete { old }) => old == from,
                _ => false,
            };
            let seen = if seen { "it had seen them" } else { "it had not seen them" };
            self.broke(Promise::PeoplesWorkIsTheirs, || {
                format!("people's commits on {branch} were thrown away; {seen}")
            });
        }
    }

    /// The branch of people was moved, by us or by the forge for us (`is_ours`), or by the forge for people.
    pub(super) fn check_moved_main(&self, tenant: usize, from: Option<&CommitId>, to: &CommitId, is_ours: bool) {
        let Some(from) = from else { return };
        if !self.git(tenant).descends(to, from) {
            return self.broke(Promise::HistoryOnlyGrows, || format!("the branch of people lost {from}"));
        }
        let made = self.git(tenant).between(from, to);
        made.iter().for_each(|id| self.check_commit(tenant, id));
        if !is_ours || tenant != ACME {
            return;
        }
        let (before, after) = {
            let git = self.git(tenant);
            (git.commits[from].files.clone(), git.commits[to].files.clone())
        };
        for environment in ACME_ENVIRONMENTS {
            for entry in ENTRIES {
                let [old, new] = [&before, &after].map(|files| value_in(files, environment, entry).unwrap_or_default());
                if old == new {
                    continue;
                }
                let put = (environment.to_owned(), entry.to_owned(), new.clone());
                if self.ledger().taken_back.contains(&put) {
                    self.broke(Promise::PeopleAreHeard, || {
                        format!("{environment} {entry} got {new} again, which people took back")
                    });
                }
                if version(&old) > version(&new) {
                    self.broke(Promise::NeverDown, || format!("{environment} {entry} went from {old} to {new}"));
                }
            }
        }
    }

    /// A commit of ours: it changes the one value that it names, upwards, to what is at the registry, and is written down.
    fn check_commit(&self, tenant: usize, id: &CommitId) {
        let (commit, before): (Commit, _) = {
            let git = self.git(tenant);
            let commit = git.commits[id].clone();
            let before = commit.parents.first().map(|parent| git.commits[parent].files.clone());
            (commit, before.unwrap_or_default())
        };
        if commit.by != By::Tagboat {
            return;
        }
        let environment = trailer(&commit.message, "Tagboat-Environment").unwrap_or_default();
        let image = trailer(&commit.message, "Tagboat-Image").unwrap_or_default();
        let entry = if image.contains("/tool:") { "tool" } else { "web" };
        let [old, new] = [&before, &commit.files].map(|files| value_in(files, environment, entry).unwrap_or_default());
        let name = &id.as_str()[..8];
        if before == commit.files {
            return self.broke(Promise::NothingIsDoneTwice, || {
                format!("{name} does again what was done: {image} in {environment}")
            });
        }
        if with_value(&before, (environment, entry), &new).as_ref() != Some(&commit.files) || old == new {
            return self.broke(Promise::HistoryOnlyGrows, || {
                format!("{name} changes more or other than {image} in {environment}")
            });
        }
        if version(&old) > version(&new) {
            return self
                .broke(Promise::NeverDown, || format!("{name} takes {entry} in {environment} from {old} to {new}"));
        }
        let (text, digest) = new.split_once('@').map_or((new.as_str(), None), |(text, digest)| (text, Some(digest)));
        let digest: Option<Digest> = digest.and_then(|digest| digest.parse().ok());
        if !self.registry().ever_named(&image_name(entry), &tag(text), digest.as_ref()) {
            return self.broke(Promise::NothingWithoutACause, || {
                format!("{name} brings {new} of {entry}, which is at no registry")
            });
        }
        self.check_decision(tenant, &commit, environment, name);
    }

    fn check_decision(&self, tenant: usize, commit: &Commit, environment: &str, name: &str) {
        for decision in decisions_of(&commit.message) {
            let key = self.store().look(|tables| {
                tables.decisions.iter().find(|(record, _)| record.id == decision).map(|(record, _)| record.key.clone())
            });
            match key {
                None => self.broke(Promise::NothingWithoutACause, || {
                    format!("{name} carries out {decision}, which is written down nowhere")
                }),
                Some(key) if key != key_of(tenant) => {
                    self.broke(Promise::TenantsStayApart, || format!("{name} carries out {decision} of {key}"));
                }
                Some(_) => {}
            }
            let ledger = self.ledger();
            let frozen = ledger.frozen.get(environment).copied();
            let recorded = ledger.recorded.get(&decision).copied().unwrap_or_default();
            drop(ledger);
            if tenant == ACME && frozen.is_some_and(|since| recorded > since) {
                self.broke(Promise::PeopleAreHeard, || format!("{name} changes {environment}, which is frozen"));
            }
        }
    }

    /// A pull request was opened: there is no other, and people did not close it before whoever opened it began to look.
    pub(super) fn check_opened(&self, replica: usize, number: u64) {
        let (pull, same) = {
            let forge = self.forge();
            let Some(pull) = forge.pull(number).map(|pull| pull.now.clone()) else { return };
            let same = forge.open().filter(|other| other.now.head == pull.head && other.now.base == pull.base).count();
            (pull, same)
        };
        if same > 1 {
            self.broke(Promise::PeopleAreToldOnce, || format!("{same} pull requests are open of {}", pull.head));
        }
        let (closed, began) = {
            let ledger = self.ledger();
            (ledger.closed.clone(), ledger.began[replica])
        };
        for put in puts_of(&pull).into_iter().filter(|put| closed.get(put).is_some_and(|at| *at < began)) {
            self.broke(Promise::PeopleAreHeard, || format!("#{number} offers {put:?} again, which people closed"));
        }
    }

    /// What is written to a pull request that was over before the writer began to look says that it is over.
    pub(super) fn check_edit(&self, replica: usize, number: u64, edit: &PullRequestEdit) {
        let began = self.ledger().began[replica];
        let Some((mut now, over_since)) = self.forge().pull(number).map(|pull| (pull.now.clone(), pull.over_since))
        else {
            return;
        };
        let Some(body) = edit.body.clone().filter(|_| over_since.is_some_and(|since| since < began)) else { return };
        now.body = body;
        let Some(block) = block_of(&now) else { return };
        let is_ended = block.settled || (block.closed && now.state == PullState::Closed);
        if !is_ended {
            self.broke(Promise::WhatIsSaidWasRead, || {
                format!("#{number} is {:?} for long, and is written to as if it were open", now.state)
            });
        }
    }

    pub(super) fn check_comments(&self, number: u64, mark: &str) {
        let forge = self.forge();
        let comments = forge.pull(number).map(|pull| pull.comments.as_slice()).unwrap_or_default();
        let same = comments.iter().filter(|comment| comment.by.id == bot().id && comment.body.contains(mark)).count();
        drop(forge);
        if same > 1 {
            self.broke(Promise::PeopleAreToldOnce, || format!("#{number} has {same} comments of {mark}"));
        }
    }
}
