//! One step in the life of a pull request, carried out at the forge.

use tagboat_model::{
    BranchKey, BranchName, CheckState, CommitId, Decoration, Duration, MergeMethod, PullRequest, PullState, Timestamp,
    shown,
};
use tagboat_ports::{AutoMerge, Forge, Merge, Merged, NewPullRequest, PullRequestEdit, Work};
use tagboat_promotion::pull::{KnownPull, PullStep};

use crate::{Engine, ReconcileError, chain, worker::unless_taken_over};

/// A CI takes a moment to say that it has begun.
const UNTIL_CHECKS_APPEAR: Duration = Duration::from_seconds(20);
/// What one step came to.
pub(super) enum Acted {
    Quiet,
    /// With what could not be given to it.
    Opened(BranchName, u64, Option<String>),
    Merged,
    /// It may be done from then on.
    Later(Timestamp),
    Problem(String),
}

async fn merge_now(
    forge: &dyn Forge,
    number: u64,
    head: &CommitId,
    method: MergeMethod,
    message: String,
) -> Result<Acted, ReconcileError> {
    let merge = Merge { head: head.clone(), method, message };
    Ok(match forge.merge(number, &merge).await? {
        Merged::Done => Acted::Merged,
        // It is looked at anew once that is heard of.
        Merged::HeadMoved => Acted::Quiet,
        Merged::NotNow(words) => Acted::Problem(format!("#{number} cannot be merged yet: {}", shown(&words))),
    })
}

impl Engine {
    /// A listing may lag behind: what was merged meanwhile is not written over, and what people pushed meanwhile is seen
    /// first. That the branch stands elsewhere shows when it is to be deleted.
    async fn close(
        &self,
        key: &BranchKey,
        forge: &dyn Forge,
        number: u64,
        (title, body): (&str, &str),
        seen: Option<&CommitId>,
    ) -> Result<Acted, ReconcileError> {
        let is_as_seen = |pull: &PullRequest| seen.is_none_or(|seen| pull.head_commit == *seen);
        let now = forge.pull_request(number).await?;
        if now.is_some_and(|pull| pull.state == PullState::Open && is_as_seen(&pull)) {
            let (title, body) = (Some(title.to_owned()), Some(self.shortened(key, body).await?));
            let edit = PullRequestEdit { title, body, open: Some(false), draft: None };
            forge.edit_pull_request(number, &edit).await?;
        }
        Ok(Acted::Quiet)
    }

    pub(super) async fn act_on_pull(
        &self,
        work: &Work,
        forge: &dyn Forge,
        pulls: &[KnownPull],
        step: &PullStep,
    ) -> Result<Acted, ReconcileError> {
        // Forges compare nothing with what was seen.
        self.still_held(work).await?;
        let key = &work.key;
        match step {
            PullStep::Open { head, title, body, draft, decoration, .. } => {
                let (head, base) = (head.clone(), key.branch.clone());
                let body = self.shortened(key, body).await?;
                let new = NewPullRequest { head, base, title: title.clone(), body, draft: *draft };
                open(key, forge, &new, decoration).await
            }
            PullStep::Edit { number, title, body, draft } => {
                let body = match body {
                    Some(body) => Some(self.shortened(key, body).await?),
                    None => None,
                };
                let edit = PullRequestEdit { title: title.clone(), body, open: None, draft: *draft };
                forge.edit_pull_request(*number, &edit).await?;
                Ok(Acted::Quiet)
            }
            PullStep::Close { number, title, body, delete } => {
                let seen = delete.as_ref().map(|(_, stands)| stands);
                self.close(key, forge, *number, (title, body), seen).await
            }
            PullStep::Comment { number, mark, body } => {
                forge.comment(*number, mark, body).await?;
                Ok(Acted::Quiet)
            }
            PullStep::Status { commit, status } => {
                forge.set_status(commit, status).await?;
                Ok(Acted::Quiet)
            }
            PullStep::AutoMerge { number, head, method, wanted } => {
                let merge = Merge { head: head.clone(), method: *method, message: String::new() };
                match forge.set_auto_merge(*number, &merge, *wanted).await? {
                    AutoMerge::Set => Ok(Acted::Quiet),
                    AutoMerge::MergeNow | AutoMerge::Unavailable(_) if *wanted && is_green(pulls, *number) => {
                        match self.checks_begin_by(key, pulls, *number).await? {
                            Some(at) => Ok(Acted::Later(at)),
                            None => merge_now(forge, *number, head, *method, String::new()).await,
                        }
                    }
                    AutoMerge::MergeNow | AutoMerge::Unavailable(_) => Ok(Acted::Quiet),
                }
            }
            PullStep::Merge { number, head, method, message } => {
                merge_now(forge, *number, head, *method, message.clone()).await
            }
            PullStep::Permit { ids, .. } => {
                let by = tagboat_model::Person::tagboat();
                unless_taken_over(self.ports.store.release_holds(work, ids, &by, self.now()).await?)?;
                Ok(Acted::Quiet)
            }
            // Branches and holds are done by now.
            PullStep::Rebuild { .. } | PullStep::DeleteBranch { .. } | PullStep::Refuse { .. } => Ok(Acted::Quiet),
        }
    }

    /// By when checks of others appear, if none has and there may be some: what was pushed a moment ago has none yet.
    async fn checks_begin_by(
        &self,
        key: &BranchKey,
        pulls: &[KnownPull],
        number: u64,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        let Some(known) = pulls.iter().find(|known| known.pull.number == number) else { return Ok(None) };
        if known.checks.iter().any(|check| !is_own_check(&check.name)) {
            return Ok(None);
        }
        let pushed = self.pushed_at(key, &known.pull.head, &known.pull.head_commit).await?;
        Ok(pushed.map(|at| at.plus(UNTIL_CHECKS_APPEAR)).filter(|at| *at > self.now()))
    }
}

/// Whether no check of others says otherwise.
fn is_green(pulls: &[KnownPull], number: u64) -> bool {
    let known = pulls.iter().find(|known| known.pull.number == number);
    known.is_some_and(|known| {
        let others = known.checks.iter().filter(|check| !is_own_check(&check.name));
        others.into_iter().all(|check| check.state == CheckState::Success)
    })
}

/// Whether a check is one that Tagboat sets itself.
fn is_own_check(name: &str) -> bool {
    name == "tagboat" || name.starts_with("tagboat/")
}

/// Open a pull request with all that it carries. What it carries is given once: people may take it away again.
async fn open(
    key: &BranchKey,
    forge: &dyn Forge,
    new: &NewPullRequest,
    decoration: &Decoration,
) -> Result<Acted, ReconcileError> {
    let pull = forge.open_pull_request(new).await?;
    let (number, title) = (pull.number, &new.title);
    tracing::info!(branch = %key, number, %title, "opened a pull request");
    let words = match forge.decorate(number, decoration).await {
        Ok(unknown) if unknown.is_empty() => return Ok(Acted::Opened(pull.head, number, None)),
        Ok(unknown) => {
            let unknown: Vec<String> = unknown.iter().map(|name| shown(name)).collect();
            format!("#{number} was opened without what is not known at the forge: {}", unknown.join(", "))
        }
        Err(error) => format!("#{number} was opened without its labels and people: {}", chain(&error)),
    };
    tracing::warn!(branch = %key, number, "{words}");
    Ok(Acted::Opened(pull.head, number, Some(words)))
}
