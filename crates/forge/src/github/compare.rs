//! What lies between two revisions of a source repository; and single files of any commit.

use std::sync::{Arc, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{CommitId, Comparison};

use super::{GithubForge, Who, client::Client, token::Scope};
use crate::{
    error::Failure,
    http::{encoded, encoded_path},
};

/// Commits that are named.
const MOST_COMMITS: usize = 20;
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Compared {
    html_url: String,
    total_commits: usize,
    #[serde(default)]
    commits: Vec<WireCommit>,
}

#[derive(Deserialize)]
struct WireCommit {
    sha: String,
    commit: Message,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct Repository {
    private: bool,
    visibility: Option<String>,
}

/// Who may read a repository, from everybody to few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Secrecy {
    Public,
    /// Everybody of the enterprise.
    Internal,
    Private,
}

impl GithubForge {
    pub(super) async fn compare_revisions(
        &self,
        source: &str,
        from: &str,
        to: &str,
    ) -> Result<Option<Comparison>, Failure> {
        let Some(repository) = self.client.connection.address.repository_of(source) else { return Ok(None) };
        let (owner, name) = repository.split_once('/').unwrap_or_default();
        let range = format!("{}...{}", encoded(from), encoded(to));
        let repository = format!("/repos/{}/{}", encoded(owner), encoded(name));
        let client = self.client_for(owner, name);
        match self.compared_for_readers(&client, &repository, &range).await {
            // The App is not installed there; what is public shows all the same.
            Err(failure) if failure.retry_after.is_none() && !Arc::ptr_eq(&client, &self.client) => {
                self.compared_for_readers(&self.client, &repository, &range).await
            }
            outcome => outcome,
        }
    }

    /// Everybody who reads our pull requests reads these commits there: none are listed of a source that fewer people may
    /// read than the config repository.
    async fn compared_for_readers(
        &self,
        client: &Client,
        repository: &str,
        range: &str,
    ) -> Result<Option<Comparison>, Failure> {
        let Some(source) = secrecy(client, repository).await? else { return Ok(None) };
        // Where it is not known who reads our pull requests, it may be everybody.
        if source > Secrecy::Public && secrecy(&self.client, &self.path("")).await? < Some(source) {
            return Ok(None);
        }
        compared(client, &format!("{repository}/compare/{range}")).await
    }

    /// A token is for one repository: another one of the same owner needs its own.
    fn client_for(&self, owner: &str, name: &str) -> Arc<Client> {
        let Who::App { app, scope } = &self.who else { return Arc::clone(&self.client) };
        let installation = &scope.installation;
        let is_own = name.eq_ignore_ascii_case(&self.name);
        if is_own || !owner.eq_ignore_ascii_case(&self.owner) {
            return Arc::clone(&self.client);
        }
        let scope = Scope { installation: *installation, repository: Some(name.to_owned()), reads_only: true };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sources.get_or_insert(name.to_owned(), || Arc::new(app.client(scope))))
    }

    /// As bytes; what is a folder is no file.
    pub(super) async fn read_file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(&format!("/contents/{}?ref={commit}", encoded_path(path)));
        let answer = self.client.get_raw(&path).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = answer.success()?;
        let kind = answer.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json {
            return Ok(Some(answer.body.to_vec()));
        }
        // A folder, or a server that does not give files as they are.
        let found: Value = answer.json()?;
        let Some(content) = found.get("content").and_then(Value::as_str).filter(|_| found["encoding"] == "base64")
        else {
            return Ok(None);
        };
        let text: String = content.split_whitespace().collect();
        let bytes = STANDARD.decode(text);
        bytes.map(Some).map_err(|_| Failure::permanent("GitHub answered with what is no base64"))
    }
}

/// Nothing where the repository is not there, or not for us.
async fn secrecy(client: &Client, repository: &str) -> Result<Option<Secrecy>, Failure> {
    let answer = client.get(repository).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    let found: Repository = answer.success()?.json()?;
    Ok(Some(match (found.private, found.visibility.as_deref()) {
        (false, _) => Secrecy::Public,
        (true, Some("internal")) => Secrecy::Internal,
        (true, _) => Secrecy::Private,
    }))
}

/// The newest commits are on the last page.
async fn compared(client: &Client, path: &str) -> Result<Option<Comparison>, Failure> {
    let ask = |page: usize| {
        let path = format!("{path}?per_page={PAGE}&page={page}");
        async move {
            let answer = client.get(&path).await?;
            // 404: one of the revisions or the repository is not there, or not for us. 422: they have nothing in
            // common.
            if matches!(answer.status, 404 | 422) {
                return Ok(None);
            }
            answer.success()?.json::<Compared>().map(Some)
        }
    };
    let Some(first) = ask(1).await? else { return Ok(None) };
    let (url, total, mut commits) = (first.html_url, first.total_commits, first.commits);
    let last = total.div_ceil(PAGE);
    if last > 1 {
        commits = Vec::new();
        for page in [last - 1, last] {
            commits.extend(ask(page).await?.map(|page| page.commits).unwrap_or_default());
        }
    }
    let newest = commits.into_iter().rev().take(MOST_COMMITS).map(|commit| {
        let subject = commit.commit.message.lines().next().unwrap_or_default().to_owned();
        (commit.sha, subject)
    });
    Ok(Some(Comparison { url, total, commits: newest.collect() }))
}
