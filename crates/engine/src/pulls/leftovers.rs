//! Branches that are there though no open pull request has them: of one that was closed, or of a process that ended between
//! the push and the pull request.
//!
//! They are replaced from where they stand. One with commits of others that no pull request of ours explains is left alone.

use std::collections::BTreeMap;

use futures_util::future;
use tagboat_model::{BranchKey, BranchName, CommitId};
use tagboat_promotion::pull::PullStep;

use crate::{ConfigRepository, Engine, ReconcileError};

/// What is there of branches that are to be made.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Where they stand, and whether that is others' affair.
    found: BTreeMap<BranchName, (CommitId, bool)>,
}

impl Leftovers {
    /// Where a branch stands.
    pub(super) fn head(&self, branch: &BranchName) -> Option<&CommitId> {
        self.found.get(branch).map(|(head, _)| head)
    }

    /// Whether others made it what it is.
    pub(super) fn is_others(&self, branch: &BranchName) -> bool {
        self.found.get(branch).is_some_and(|(_, others)| *others)
    }

    /// What a person has to act on.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let others = self.found.iter().filter(|(_, (_, others))| *others);
        others.map(|(branch, _)| {
            format!("branch `{branch}` is the bot's and has commits of others; delete it, or open a pull request from another branch with them")
        })
    }
}

impl Engine {
    /// What is there of the branches that pull requests are to be opened from.
    pub(super) async fn leftovers(
        &self,
        key: &BranchKey,
        config: &ConfigRepository,
        steps: &[PullStep],
    ) -> Result<Leftovers, ReconcileError> {
        let opens = steps.iter().filter_map(|step| match step {
            PullStep::Open { head, old, .. } => Some((head, old)),
            _ => None,
        });
        let look = async |(head, old): (&BranchName, &Option<CommitId>)| {
            let Some(stands) = config.port.head(head).await? else { return Ok(None) };
            // That of a pull request that is over is known; else it is ours if we noted it.
            let is_known = old.as_ref() == Some(&stands) || self.is_noted(key, head, &stands).await?;
            Ok::<_, ReconcileError>(Some((head.clone(), (stands, !is_known))))
        };
        let found = future::try_join_all(opens.map(look)).await?;
        Ok(Leftovers { found: found.into_iter().flatten().collect() })
    }
}
