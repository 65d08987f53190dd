//! Commits that GitHub makes and signs, so that they show as verified: reads go to a mirror, pushes through the API.
//!
//! One commit on a branch of people is made by `createCommitOnBranch`, which compares and signs in one request. All
//! else (several commits or branches, the bot's own branches, executable or large files) is made of single objects,
//! and the branches are moved by `moving.rs`. What became of a push is read from the branches: an answer may be lost.

mod moving;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use moving::{Said, is_nothing};
use serde_json::{Value, json};
use tagboat_model::{BranchName, CommitId, DecisionId, Timestamp};
use tagboat_ports::{
    BOT_BRANCHES, BlobId, BranchChange, BranchUpdate, ChangedFile, CommitSummary, FileEntry, ForgeErrorKind, NewCommit,
    NotEditable, Push, PushOutcome, Repository, RepositoryError, RepositoryErrorKind,
};
use tokio::sync::OnceCell;

use super::{
    GithubForge,
    client::Repeat,
    git_data::{REGULAR, Trees},
    graphql::{GraphAnswer, run},
    merging::split,
    wire::commit,
};
use crate::error::Failure;

const CREATE: &str =
    "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }";
/// Of the files of a commit that goes in one GraphQL request, in bytes.
const LARGEST_COMMIT: usize = 1 << 20;

/// A config repository whose commits GitHub makes.
pub struct GithubCommits {
    name: String,
    inner: Arc<dyn Repository>,
    forge: Arc<GithubForge>,
    trees: Trees,
    node_id: OnceCell<String>,
    /// Branches that were moved here and of which the mirror does not know yet.
    moved: Mutex<BTreeSet<BranchName>>,
}

impl fmt::Debug for GithubCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubCommits").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What stopped a push.
enum Trouble {
    Forge(Failure),
    Mirror(RepositoryError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Forge(failure)
    }
}

impl From<RepositoryError> for Trouble {
    fn from(error: RepositoryError) -> Self {
        Self::Mirror(error)
    }
}

impl GithubCommits {
    /// `inner` reads; `name` is the config repository's name for messages.
    #[must_use]
    pub fn new(name: &str, inner: Arc<dyn Repository>, forge: Arc<GithubForge>) -> Self {
        let (node_id, moved) = (OnceCell::new(), Mutex::new(BTreeSet::new()));
        Self { name: name.to_owned(), inner, forge, trees: Trees::new(), node_id, moved }
    }

    fn moved(&self) -> MutexGuard<'_, BTreeSet<BranchName>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, push: &Push, trouble: Trouble) -> RepositoryError {
        let failure = match trouble {
            Trouble::Mirror(error) => return error,
            Trouble::Forge(failure) => failure,
        };
        let branches: Vec<&str> = push.updates.iter().map(|update| update.branch.as_str()).collect();
        let kind = match failure.kind {
            ForgeErrorKind::Temporary => RepositoryErrorKind::Temporary,
            ForgeErrorKind::Permanent | ForgeErrorKind::Unsupported => RepositoryErrorKind::Permanent,
        };
        RepositoryError {
            operation: format!("push to branch {} of", branches.join(", ")),
            repository: self.name.clone(),
            detail: failure.detail,
            kind,
            source: None,
        }
    }

    async fn push_all(&self, push: &Push) -> Result<PushOutcome, Trouble> {
        permitted(push)?;
        if push.updates.iter().all(is_nothing) {
            return Ok(PushOutcome::Landed(push.updates.iter().map(|_| Vec::new()).collect()));
        }
        if let [BranchUpdate { branch, change: BranchChange::Append { base, commits } }] = push.updates.as_slice()
            && let [new] = commits.as_slice()
        {
            match self.is_plain(base, new).await? {
                None => return Ok(PushOutcome::Moved(None)),
                Some(true) => return self.append_one(push, branch, base, new).await,
                Some(false) => {}
            }
        }
        self.move_branches(push).await
    }

    /// Whether one GraphQL request can carry a commit: it cannot say modes. Nothing when GitHub does not have the base.
    async fn is_plain(&self, base: &CommitId, new: &NewCommit) -> Result<Option<bool>, Failure> {
        let Some(root) = self.forge.tree_of(base).await? else { return Ok(None) };
        if new.files.iter().map(|file| file.bytes.len()).sum::<usize>() > LARGEST_COMMIT {
            return Ok(Some(false));
        }
        for file in &new.files {
            if self.forge.mode(&self.trees, &root, &file.path).await? != REGULAR {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    async fn append_one(
        &self,
        push: &Push,
        branch: &BranchName,
        base: &CommitId,
        new: &NewCommit,
    ) -> Result<PushOutcome, Trouble> {
        let input = creation(&self.forge.full_name, branch, base, new);
        match run(&self.forge.client, CREATE, &json!({ "input": input }), true, Repeat::Never).await {
            Ok(GraphAnswer::Data(data)) => {
                let id = data["createCommitOnBranch"]["commit"]["oid"].as_str().unwrap_or_default();
                let id = commit(id)?;
                self.moved().insert(branch.clone());
                Ok(PushOutcome::Landed(vec![vec![id]]))
            }
            Ok(GraphAnswer::Refused(error)) => self.look(push, Said::No(error)).await,
            Err(failure) if failure.unknown => self.look(push, Said::Nothing(failure)).await,
            Err(failure) => Err(failure.into()),
        }
    }
}

/// What may be pushed at all.
fn permitted(push: &Push) -> Result<(), Failure> {
    for BranchUpdate { branch, change } in &push.updates {
        let is_own = branch.as_str().starts_with(BOT_BRANCHES);
        match change {
            BranchChange::Replace { .. } | BranchChange::Delete { .. } if !is_own => {
                return Err(Failure::permanent(format!(
                    "branch {branch} belongs to people: nothing on it is replaced or deleted"
                )));
            }
            BranchChange::Replace { commits, .. } if commits.is_empty() => {
                return Err(Failure::permanent(format!("branch {branch} would point at its base")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `CreateCommitOnBranchInput`.
fn creation(repository: &str, branch: &BranchName, base: &CommitId, new: &NewCommit) -> Value {
    let (headline, body) = split(&new.message);
    let additions: Vec<Value> =
        new.files.iter().map(|file| json!({ "path": file.path, "contents": STANDARD.encode(&file.bytes) })).collect();
    json!({
        "branch": { "repositoryNameWithOwner": repository, "branchName": branch.as_str() },
        "message": { "headline": headline, "body": body },
        "expectedHeadOid": base.as_str(),
        "fileChanges": { "additions": additions },
    })
}

#[async_trait]
impl Repository for GithubCommits {
    async fn known_head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        if self.moved().contains(branch) {
            return Ok(None);
        }
        self.inner.known_head(branch).await
    }

    async fn head(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        // Before the mirror asks: what is moved meanwhile it may not see.
        self.moved().remove(branch);
        match self.inner.head(branch).await {
            // Git does not say what it does not like about a token; with a new one it is told apart.
            Err(error) if error.kind == RepositoryErrorKind::Permanent && self.forge.renew_token() => {
                self.inner.head(branch).await
            }
            found => found,
        }
    }

    /// The mirror will not push: nothing is to be learned for that.
    async fn head_to_push(&self, branch: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        self.head(branch).await
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        self.inner.files(commit).await
    }

    async fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Option<Vec<ChangedFile>>, RepositoryError> {
        self.inner.changed_files(from, to).await
    }

    async fn read(&self, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        self.inner.read(blobs, largest).await
    }

    async fn read_at(
        &self,
        commit: &CommitId,
        paths: &[String],
        largest: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        self.inner.read_at(commit, paths, largest).await
    }

    async fn read_to_edit(
        &self,
        commit: &CommitId,
        paths: &[String],
        largest: usize,
    ) -> Result<Vec<Result<Vec<u8>, NotEditable>>, RepositoryError> {
        self.inner.read_to_edit(commit, paths, largest).await
    }

    async fn push(&self, push: &Push) -> Result<PushOutcome, RepositoryError> {
        self.push_all(push).await.map_err(|trouble| self.error(push, trouble))
    }

    async fn landed(
        &self,
        head: &CommitId,
        base: &CommitId,
        decisions: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        self.inner.landed(head, base, decisions).await
    }

    async fn commits_between(
        &self,
        base: &CommitId,
        head: &CommitId,
        most: usize,
    ) -> Result<Option<Vec<CommitSummary>>, RepositoryError> {
        self.inner.commits_between(base, head, most).await
    }

    async fn read_state(&self) -> Result<Option<(CommitId, Vec<u8>)>, RepositoryError> {
        self.inner.read_state().await
    }

    /// With Git: nobody looks at these commits, so nobody misses GitHub's signature on them.
    async fn write_state(
        &self,
        old: Option<&CommitId>,
        bytes: &[u8],
        message: &str,
        time: Timestamp,
    ) -> Result<PushOutcome, RepositoryError> {
        self.inner.write_state(old, bytes, message, time).await
    }
}

#[cfg(test)]
mod tests {
    use tagboat_ports::NewFile;

    use super::*;

    fn id(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn update(branch: &str, change: BranchChange) -> BranchUpdate {
        BranchUpdate { branch: branch.parse().unwrap(), change }
    }

    fn new_commit() -> NewCommit {
        NewCommit {
            decision: "d-1".parse().unwrap(),
            time: Timestamp(0),
            message: "Deploy web 2\n\nTagboat-Decision: d-1\n".to_owned(),
            files: vec![NewFile { path: "web.yaml".to_owned(), bytes: b"tag: 2\n".to_vec() }],
        }
    }

    #[test]
    fn only_the_bots_own_branches_are_replaced_or_deleted() {
        let replace = |commits| BranchChange::Replace { old: None, base: id('1'), commits };
        let allowed = |branch: &str, change| {
            permitted(&Push { updates: vec![update(branch, change)], options: Vec::new() }).is_ok()
        };
        assert!(
            !allowed("main", BranchChange::Delete { old: id('1') }) && !allowed("main", replace(vec![new_commit()]))
        );
        assert!(allowed("tagboat/prod", replace(vec![new_commit()])) && !allowed("tagboat/prod", replace(Vec::new())));
        assert!(allowed("main", BranchChange::Append { base: id('1'), commits: Vec::new() }));
    }

    #[test]
    fn a_commit_is_sent_with_its_headline_and_its_bytes() {
        let input = creation("acme/config", &BranchName::main(), &id('1'), &new_commit());
        assert_eq!(input["message"], json!({ "headline": "Deploy web 2", "body": "Tagboat-Decision: d-1" }));
        let additions = json!([{ "path": "web.yaml", "contents": "dGFnOiAyCg==" }]);
        assert_eq!(input["fileChanges"]["additions"], additions);
    }
}
