//! Onboarding: a config repository without a repository file is offered one, made of what is found in it.
//!
//! Offered once: a closed pull request means no.

use tagboat_manifest::{LARGEST_FILE, find, is_candidate, may_name_images};
use tagboat_model::{BranchName, CommitId, PullState, Reference};
use tagboat_ports::{
    BranchChange, BranchUpdate, FileEntry, Forge, NewCommit, NewFile, NewPullRequest, Push, PushOutcome, Work,
};
use tagboat_promotion::{onboarding_words, propose_file};
use tagboat_settings::REPOSITORY_FILE;

use crate::{ConfigRepository, Engine, ReconcileError, WithoutFile};

/// The branch of the pull request.
pub(crate) const BRANCH: &str = "tagboat/onboarding";
/// Files that are read at once.
const READ_AT_ONCE: usize = 64;

impl Engine {
    /// Offer a repository file, unless that was done. Returns what people are to know.
    pub(crate) async fn onboard(
        &self,
        work: &Work,
        config: &ConfigRepository,
        head: &CommitId,
    ) -> Result<Option<String>, ReconcileError> {
        let forge = match (config.without_file, &config.forge) {
            (WithoutFile::IsLeft, _) => return Ok(Some("there is no .tagboat.yaml".to_owned())),
            (WithoutFile::IsProposed, Some(forge)) => forge,
            (WithoutFile::IsProposed, None) | (WithoutFile::Fails, _) => return Ok(None),
        };
        let Ok(branch) = BRANCH.parse::<BranchName>() else { return Ok(None) };
        let pulls = forge.pull_requests().await?;
        if let Some(pull) = pulls.iter().find(|pull| pull.head == branch && pull.state != PullState::Merged) {
            let sigil = forge.traits().sigil;
            return Ok(Some(match pull.state {
                PullState::Open => {
                    format!("{sigil}{} proposes a .tagboat.yaml; nothing is done before it is merged", pull.number)
                }
                _ => format!("{sigil}{} proposed a .tagboat.yaml and was closed, so nothing is done here", pull.number),
            }));
        }
        let found = self.references_in(config, head).await?;
        let Some(text) = propose_file(&found) else {
            return Ok(Some("there is no .tagboat.yaml, and nothing names an image".to_owned()));
        };
        self.propose_onboarding(work, config, forge.as_ref(), head, branch, (found.len(), &text)).await
    }

    async fn propose_onboarding(
        &self,
        work: &Work,
        config: &ConfigRepository,
        forge: &dyn Forge,
        head: &CommitId,
        branch: BranchName,
        (found, text): (usize, &str),
    ) -> Result<Option<String>, ReconcileError> {
        let words = onboarding_words(found, text);
        let Ok(decision) = "d-onboarding".parse() else { return Ok(None) };
        let file = NewFile { path: REPOSITORY_FILE.to_owned(), bytes: text.as_bytes().to_vec() };
        let message = format!("{}\n\nTagboat-Decision: d-onboarding\n", words.title);
        let commit = NewCommit { decision, time: self.now(), message, files: vec![file] };
        // A branch left over from before has no pull request any more.
        let old = config.port.head(&branch).await?;
        let change = BranchChange::Replace { old, base: head.clone(), commits: vec![commit] };
        let push = Push { updates: vec![BranchUpdate { branch: branch.clone(), change }], options: Vec::new() };
        if let PushOutcome::Refused(detail) = self.push(&work.key, config, &push).await? {
            return Err(ReconcileError::Refused { detail });
        }
        let base = work.key.branch.clone();
        let new = NewPullRequest { head: branch, base, title: words.title, body: words.body, draft: false };
        let pull = forge.open_pull_request(&new).await?;
        tracing::info!(branch = %work.key, number = pull.number, "proposed a repository file");
        Ok(Some(format!(
            "{}{} proposes a .tagboat.yaml; nothing is done before it is merged",
            forge.traits().sigil,
            pull.number
        )))
    }

    /// Everything in a commit that names an image.
    async fn references_in(
        &self,
        config: &ConfigRepository,
        head: &CommitId,
    ) -> Result<Vec<Reference>, ReconcileError> {
        let files: Vec<FileEntry> =
            config.port.files(head).await?.into_iter().filter(|file| is_candidate(&file.path)).collect();
        let mut found = Vec::new();
        for part in files.chunks(READ_AT_ONCE) {
            let blobs: Vec<_> = part.iter().map(|file| file.blob).collect();
            let contents = config.port.read(&blobs, LARGEST_FILE).await?;
            for (file, bytes) in part.iter().zip(contents) {
                let Some(bytes) = bytes.filter(|bytes| may_name_images(&file.path, bytes)) else { continue };
                // What cannot be read says nothing.
                found.extend(find(&file.path, &bytes, &[]).map(|found| found.references).unwrap_or_default());
            }
        }
        Ok(found)
    }
}
