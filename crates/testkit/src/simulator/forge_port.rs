//! The forge as the engine meets it, with its faults.

use async_trait::async_trait;
use tagboat_model::{
    Account, Check, Comment, CommitId, Comparison, Decoration, Duration, ForgeKind, ForgeTraits, Permission,
    PullRequest, PullState, Review, Timestamp,
};
use tagboat_ports::{
    AutoMerge, Forge, ForgeError, ForgeErrorKind, Issue, Merge, Merged, NewPullRequest, PullRequestEdit, Report,
};

use super::{
    faults::{Bug, Fault},
    forge::{LONGEST_LAG, bot},
    git::By,
    ports::Door,
    world::ACME,
};

fn error(detail: &str, retry_after: Option<Duration>) -> ForgeError {
    let (operation, repository) = ("ask".to_owned(), "config".to_owned());
    ForgeError {
        operation,
        repository,
        detail: detail.to_owned(),
        kind: ForgeErrorKind::Temporary,
        retry_after,
        source: None,
    }
}

impl Door {
    async fn reach_forge(&self, place: &'static str) -> Result<(), ForgeError> {
        self.world.pause(self.replica, place, 2).await;
        if self.world.fault(Fault::ForgeFails, 60) {
            return Err(error("secondary limit", Some(Duration::from_seconds(10))));
        }
        match self.world.fault(Fault::ForgeFails, 40) {
            true => Err(error("the connection broke", None)),
            false => Ok(()),
        }
    }

    /// It is done; the answer may be lost.
    async fn forge_answers<T>(&self, place: &'static str, answer: T) -> Result<T, ForgeError> {
        self.world.pause(self.replica, place, 2).await;
        match self.world.fault(Fault::ForgeAnswerLost, 15) {
            true => Err(error("the answer was lost", None)),
            false => Ok(answer),
        }
    }
}

#[async_trait]
impl Forge for Door {
    fn traits(&self) -> ForgeTraits {
        ForgeTraits {
            kind: ForgeKind::Github,
            web: "https://forge.example/acme/config".to_owned(),
            drafts: true,
            sigil: '#',
        }
    }

    async fn bot(&self) -> Result<Account, ForgeError> {
        Ok(bot())
    }

    async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        self.reach_forge("forge: list").await?;
        let lag = if self.world.fault(Fault::ForgeLag, 2) { self.world.milliseconds(LONGEST_LAG) } else { 0 };
        let listed = self.world.forge().listed_at(self.world.time() - lag);
        // Those that are over and changed last; a hundred at most.
        let (open, mut over): (Vec<_>, Vec<_>) = listed.into_iter().partition(|pull| pull.state == PullState::Open);
        over.sort_by_key(|pull| std::cmp::Reverse((pull.updated_at, pull.number)));
        over.truncate(100);
        Ok([open, over].concat())
    }

    async fn pull_request(&self, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        self.reach_forge("forge: one").await?;
        if self.world.has_bug(Bug::ListingBelieved) {
            let listed = self.world.forge().listed_at(self.world.time() - LONGEST_LAG);
            return Ok(listed.into_iter().find(|pull| pull.number == number));
        }
        Ok(self.world.forge().pull(number).map(|pull| pull.now.clone()))
    }

    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.reach_forge("forge: open").await?;
        let number = self.world.open_pull(self.replica, new).map_err(|detail| error(&detail, None))?;
        let opened = self.world.forge().pull(number).map(|pull| pull.now.clone());
        self.forge_answers("forge: opened", opened.ok_or_else(|| error("it is gone", None))?).await
    }

    async fn edit_pull_request(&self, number: u64, edit: &PullRequestEdit) -> Result<(), ForgeError> {
        self.reach_forge("forge: edit").await?;
        self.world.note(|| format!("#{number} is edited by replica {}: {}", self.replica, words(edit)));
        self.world.check_edit(self.replica, number, edit);
        self.world.forge().change(number, self.world.times(), |pull| {
            let now = &mut pull.now;
            now.title = edit.title.clone().unwrap_or_else(|| now.title.clone());
            now.body = edit.body.clone().unwrap_or_else(|| now.body.clone());
            now.draft = edit.draft.unwrap_or(now.draft);
            match (edit.open, now.state) {
                (Some(false), PullState::Open) => now.state = PullState::Closed,
                (Some(true), PullState::Closed) => now.state = PullState::Open,
                _ => {}
            }
        });
        self.forge_answers("forge: edited", ()).await
    }

    async fn decorate(&self, _: u64, _: &Decoration) -> Result<Vec<String>, ForgeError> {
        self.reach_forge("forge: decorate").await?;
        Ok(Vec::new())
    }

    async fn merge(&self, number: u64, merge: &Merge) -> Result<Merged, ForgeError> {
        self.reach_forge("forge: merge").await?;
        let now = self.world.forge().pull(number).map(|pull| pull.now.clone());
        let Some(now) = now else { return Err(error("there is none", None)) };
        if now.state == PullState::Merged {
            return Ok(Merged::Done);
        }
        if now.head_commit != merge.head && !self.world.has_bug(Bug::MergeWithoutHead) {
            return Ok(Merged::HeadMoved);
        }
        let merged = match self.world.merge_pull(number, By::Tagboat) {
            Ok(()) => Merged::Done,
            Err(words) => Merged::NotNow(words),
        };
        self.forge_answers("forge: merged", merged).await
    }

    /// Now and then there is something to wait for.
    async fn set_auto_merge(&self, number: u64, merge: &Merge, wanted: bool) -> Result<AutoMerge, ForgeError> {
        self.reach_forge("forge: auto-merge").await?;
        let is_there =
            |pull: &super::forge::Pull| pull.now.state == PullState::Open && pull.now.head_commit == merge.head;
        if wanted && (!self.world.forge().pull(number).is_some_and(is_there) || self.world.chance(2)) {
            return Ok(AutoMerge::MergeNow);
        }
        self.world.forge().change(number, self.world.times(), |pull| {
            pull.armed = wanted;
            pull.now.merging = wanted;
        });
        self.forge_answers("forge: armed", AutoMerge::Set).await
    }

    async fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError> {
        self.reach_forge("forge: reviews").await?;
        Ok(self.world.forge().pull(number).map(|pull| pull.reviews.clone()).unwrap_or_default())
    }

    async fn comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, ForgeError> {
        self.reach_forge("forge: comments").await?;
        let comments = self.world.forge().pull(number).map(|pull| pull.comments.clone()).unwrap_or_default();
        Ok(comments.into_iter().filter(|comment| since.is_none_or(|since| comment.created_at >= since)).collect())
    }

    async fn comment(&self, number: u64, mark: &str, body: &str) -> Result<(), ForgeError> {
        self.reach_forge("forge: comment").await?;
        let mark = format!("<!-- tagboat:{mark} -->");
        let is_written = |pull: &super::forge::Pull| {
            pull.comments.iter().any(|comment| comment.by.id == bot().id && comment.body.contains(&mark))
        };
        let is_there = self.world.forge().pull(number).is_some_and(is_written);
        let is_lost = self.world.has_bug(Bug::CommentLost) && self.world.chance(3);
        if !is_lost && (!is_there || self.world.has_bug(Bug::CommentTwice)) {
            self.world.note(|| format!("replica {} comments on #{number}: {mark}", self.replica));
            self.world.forge().comment(number, bot(), format!("{body}\n\n{mark}"), self.world.times());
        }
        self.world.check_comments(number, &mark);
        self.forge_answers("forge: commented", ()).await
    }

    async fn permission(&self, account: &Account) -> Result<Permission, ForgeError> {
        self.reach_forge("forge: permission").await?;
        let may_write = account.id == super::forge::bob().id || self.world.has_bug(Bug::EverybodyMayWrite);
        Ok(if may_write { Permission::Write } else { Permission::Read })
    }

    async fn is_member(&self, _: &str, _: &Account) -> Result<bool, ForgeError> {
        self.reach_forge("forge: member").await?;
        Ok(false)
    }

    async fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.reach_forge("forge: checks").await?;
        Ok(self.world.forge().statuses.get(commit).cloned().unwrap_or_default())
    }

    async fn set_status(&self, commit: &CommitId, status: &Check) -> Result<(), ForgeError> {
        self.reach_forge("forge: status").await?;
        self.world.forge().put_status(commit, status);
        self.forge_answers("forge: status set", ()).await
    }

    async fn report(&self, commit: &CommitId, report: &Report) -> Result<(), ForgeError> {
        let Report { name, state, title, .. } = report.clone();
        self.set_status(commit, &Check { name, state, text: title, url: None }).await
    }

    async fn issue(&self, mark: &str) -> Result<Option<Issue>, ForgeError> {
        self.reach_forge("forge: issue").await?;
        Ok(self.world.forge().issues.iter().find(|issue| issue.body.contains(mark)).cloned())
    }

    async fn write_issue(
        &self,
        number: Option<u64>,
        title: &str,
        body: &str,
        _: &[String],
    ) -> Result<Issue, ForgeError> {
        self.reach_forge("forge: write issue").await?;
        let issue = self.world.forge().put_issue(number, (title, body), self.world.wall());
        self.forge_answers("forge: issue written", issue).await
    }

    async fn changed_paths(&self, number: u64) -> Result<Vec<String>, ForgeError> {
        self.reach_forge("forge: paths").await?;
        let head = self.world.forge().pull(number).map(|pull| pull.now.head_commit.clone());
        let git = self.world.git(ACME);
        let Some(commit) = head.and_then(|head| git.commits.get(&head)) else { return Ok(Vec::new()) };
        let before = commit.parents.first().map(|parent| &git.commits[parent].files);
        let changed =
            commit.files.iter().filter(|(path, bytes)| before.and_then(|files| files.get(*path)) != Some(*bytes));
        Ok(changed.map(|(path, _)| path.clone()).collect())
    }

    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        self.reach_forge("forge: file").await?;
        Ok(self.world.git(ACME).commits.get(commit).and_then(|commit| commit.files.get(path)).cloned())
    }

    async fn compare(&self, _: &str, _: &str, _: &str) -> Result<Option<Comparison>, ForgeError> {
        self.reach_forge("forge: compare").await?;
        Ok(None)
    }
}

fn words(edit: &PullRequestEdit) -> String {
    let PullRequestEdit { title, body, open, draft } = edit;
    let title = title.as_deref().unwrap_or("title stays");
    let body = if body.is_some() { "text" } else { "no text" };
    format!("{title}, {body}, open {open:?}, draft {draft:?}")
}
