//! Registries and forges that count what they are asked: the same doors, with a counter beside each.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use tagboat_model::{
    Account, Check, Comment, CommitId, Comparison, Decoration, Digest, ForgeKind, ForgeTraits, ImageName, Permission,
    PullRequest, Review, SignatureRule, Tag, Timestamp,
};
use tagboat_ports::{
    AutoMerge, Forge, ForgeError, ForgeErrorKind, Issue, ManifestDescription, Merge, Merged, NewPullRequest,
    PullRequestEdit, Registry, RegistryError, RegistryErrorKind, Report, Verification,
};
use tagboat_server::Metrics;

/// Registries that are counted.
pub(crate) struct MeteredRegistry {
    inner: Arc<dyn Registry>,
    metrics: Arc<Metrics>,
}

impl MeteredRegistry {
    pub(crate) fn new(inner: Arc<dyn Registry>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }

    fn count<T>(&self, reason: &str, begin: Instant, result: &Result<T, RegistryError>, is_there: impl Fn(&T) -> bool) {
        let outcome = match result {
            Ok(answer) if is_there(answer) => "answered",
            Ok(_) => "absent",
            Err(error) => match error.kind {
                RegistryErrorKind::Outage => "outage",
                RegistryErrorKind::Refusal => "refusal",
                RegistryErrorKind::Repository => "repository",
            },
        };
        self.metrics.registry_asked(reason, outcome, begin.elapsed());
    }
}

#[async_trait]
impl Registry for MeteredRegistry {
    async fn digest(&self, image: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let begin = Instant::now();
        let result = self.inner.digest(image, tag).await;
        self.count("confirm", begin, &result, Option::is_some);
        result
    }

    async fn describe(&self, image: &ImageName, tag: &Tag) -> Result<Option<ManifestDescription>, RegistryError> {
        let begin = Instant::now();
        let result = self.inner.describe(image, tag).await;
        self.count("manifest", begin, &result, Option::is_some);
        result
    }

    async fn tags(&self, image: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        let begin = Instant::now();
        let result = self.inner.tags(image).await;
        self.count("list", begin, &result, |_| true);
        result
    }

    async fn verify(
        &self,
        image: &ImageName,
        digest: &Digest,
        rule: &SignatureRule,
    ) -> Result<Verification, RegistryError> {
        let begin = Instant::now();
        let result = self.inner.verify(image, digest, rule).await;
        self.count("signature", begin, &result, |found| *found == Verification::Verified);
        result
    }
}

/// A forge that is counted.
pub(crate) fn forge(inner: Arc<dyn Forge>, metrics: &Arc<Metrics>) -> Arc<dyn Forge> {
    let kind = match inner.traits().kind {
        ForgeKind::Github => "github",
        ForgeKind::Gitlab => "gitlab",
        ForgeKind::Gitea => "gitea",
        ForgeKind::Forgejo => "forgejo",
    };
    Arc::new(MeteredForge { inner, metrics: Arc::clone(metrics), kind })
}

struct MeteredForge {
    inner: Arc<dyn Forge>,
    metrics: Arc<Metrics>,
    kind: &'static str,
}

impl MeteredForge {
    async fn counted<T>(
        &self,
        operation: &str,
        asked: impl Future<Output = Result<T, ForgeError>>,
    ) -> Result<T, ForgeError> {
        let begin = Instant::now();
        let result = asked.await;
        let outcome = match &result {
            Ok(_) => "answered",
            Err(error) => match error.kind {
                ForgeErrorKind::Temporary => "temporary",
                ForgeErrorKind::Permanent => "permanent",
                ForgeErrorKind::Unsupported => "unsupported",
            },
        };
        self.metrics.forge_asked(self.kind, operation, outcome, begin.elapsed());
        if let Some(left) = self.inner.requests_left() {
            self.metrics.forge_requests_left(self.kind, left);
        }
        result
    }
}

#[async_trait]
impl Forge for MeteredForge {
    fn traits(&self) -> ForgeTraits {
        self.inner.traits()
    }

    fn requests_left(&self) -> Option<u64> {
        self.inner.requests_left()
    }

    async fn bot(&self) -> Result<Account, ForgeError> {
        self.counted("bot", self.inner.bot()).await
    }

    async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        self.counted("pullRequests", self.inner.pull_requests()).await
    }

    async fn pull_request(&self, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        self.counted("pullRequest", self.inner.pull_request(number)).await
    }

    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.counted("openPullRequest", self.inner.open_pull_request(new)).await
    }

    async fn edit_pull_request(&self, number: u64, edit: &PullRequestEdit) -> Result<(), ForgeError> {
        self.counted("editPullRequest", self.inner.edit_pull_request(number, edit)).await
    }

    async fn decorate(&self, number: u64, decoration: &Decoration) -> Result<Vec<String>, ForgeError> {
        self.counted("decorate", self.inner.decorate(number, decoration)).await
    }

    async fn merge(&self, number: u64, merge: &Merge) -> Result<Merged, ForgeError> {
        self.counted("merge", self.inner.merge(number, merge)).await
    }

    async fn set_auto_merge(&self, number: u64, merge: &Merge, wanted: bool) -> Result<AutoMerge, ForgeError> {
        self.counted("autoMerge", self.inner.set_auto_merge(number, merge, wanted)).await
    }

    async fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError> {
        self.counted("reviews", self.inner.reviews(number)).await
    }

    async fn comments(&self, number: u64, since: Option<Timestamp>) -> Result<Vec<Comment>, ForgeError> {
        self.counted("comments", self.inner.comments(number, since)).await
    }

    async fn comment(&self, number: u64, mark: &str, body: &str) -> Result<(), ForgeError> {
        self.counted("comment", self.inner.comment(number, mark, body)).await
    }

    async fn permission(&self, account: &Account) -> Result<Permission, ForgeError> {
        self.counted("permission", self.inner.permission(account)).await
    }

    async fn is_member(&self, team: &str, account: &Account) -> Result<bool, ForgeError> {
        self.counted("isMember", self.inner.is_member(team, account)).await
    }

    async fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.counted("checks", self.inner.checks(commit)).await
    }

    async fn set_status(&self, commit: &CommitId, status: &Check) -> Result<(), ForgeError> {
        self.counted("setStatus", self.inner.set_status(commit, status)).await
    }

    async fn report(&self, commit: &CommitId, report: &Report) -> Result<(), ForgeError> {
        self.counted("report", self.inner.report(commit, report)).await
    }

    async fn issue(&self, mark: &str) -> Result<Option<Issue>, ForgeError> {
        self.counted("issue", self.inner.issue(mark)).await
    }

    async fn write_issue(
        &self,
        number: Option<u64>,
        title: &str,
        body: &str,
        labels: &[String],
    ) -> Result<Issue, ForgeError> {
        self.counted("writeIssue", self.inner.write_issue(number, title, body, labels)).await
    }

    async fn changed_paths(&self, number: u64) -> Result<Vec<String>, ForgeError> {
        self.counted("changedPaths", self.inner.changed_paths(number)).await
    }

    async fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        self.counted("fileAt", self.inner.file_at(commit, path)).await
    }

    async fn compare(&self, source: &str, from: &str, to: &str) -> Result<Option<Comparison>, ForgeError> {
        self.counted("compare", self.inner.compare(source, from, to)).await
    }
}
