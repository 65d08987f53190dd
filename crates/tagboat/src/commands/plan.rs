//! `tagboat plan`: what the server would change in a config repository, worked out on a work tree.
//!
//! It runs the server's own reconcile up to the point where something would be written. What only the server's memory
//! knows is not known here: when tags appeared, and what CI announced.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tagboat_engine::{Behaviour, ConfigRepository, Engine, Plan, Ports, ReconcileError};
use tagboat_model::{
    BranchKey, BranchName, CommitId, Decision, DecisionId, Duration, Outcome, RepositoryName, TenantName,
};
use tagboat_ports::{
    BlobId, Clock as _, FileEntry, Push, PushOutcome, Repository, RepositoryError, RepositoryErrorKind, Settle,
    Store as _,
};
use tagboat_repository::{WorkTree, WorkTreeError};
use tagboat_settings::{REPOSITORY_FILE, RepositorySettings};
use tagboat_store::SqliteStore;

use crate::{
    cli::{self, Output},
    commands::{
        words,
        work_tree::{self, uneditable_in_json, uneditable_in_words},
    },
    exit::{Code, Failure},
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, styled, unified_diff},
    system::SystemClock,
    wiring,
};

pub(crate) async fn run(arguments: &cli::Plan) -> Result<Code, Failure> {
    let tree = work_tree::open(&arguments.path)?;
    let settings = work_tree::settings(&tree)?
        .ok_or_else(|| Failure::invalid(format!("there is no {REPOSITORY_FILE} at {}", arguments.path.display())))?;
    if let Some(name) = &arguments.env {
        work_tree::environment(&settings, name)?;
    }
    let branch = tree.branch().unwrap_or_else(BranchName::main);
    let images = settings.images.iter().map(|entry| &entry.image);
    let registries = wiring::registries::of_person(images, arguments.config.as_deref())?;
    let plan = plan(tree, &branch, registries, arguments).await?;
    let elsewhere = elsewhere(&settings, &branch);
    match arguments.output {
        Output::Json => output::line(in_json(&plan, &elsewhere).to_string()),
        Output::Text => in_words(&plan, &elsewhere).iter().for_each(output::line),
    }
    Ok(code(&plan))
}

/// Run the engine over the work tree, with a database that is gone afterwards.
async fn plan(
    tree: WorkTree,
    branch: &BranchName,
    registries: tagboat_registry::OciRegistries,
    arguments: &cli::Plan,
) -> Result<Plan, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::failed("the plan cannot be worked out", error);
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let url = format!("sqlite:{}", folder.path().join("plan.db").display());
    let store = Arc::new(SqliteStore::open(&url).await.map_err(|error| failed(&error))?);
    let (tenant, repository) = (TenantName::default(), "work-tree".parse::<RepositoryName>());
    let repository = repository.map_err(|error| failed(&error))?;
    let key = BranchKey { tenant: tenant.clone(), repository: repository.clone(), branch: branch.clone() };
    let head = tree.head().map_or_else(|| "0".repeat(40).parse(), Ok).map_err(|error| failed(&error))?;
    let port = Arc::new(Checkout { tree, head, paths: Mutex::default() });
    // A plan makes no commits.
    let config = ConfigRepository::new(port, branch.clone(), String::new());
    let repositories = BTreeMap::from([((tenant, repository), config)]);
    let settle = Settle { quiet: Duration::from_seconds(0), at_most: Duration::from_seconds(0) };
    let minute = Duration::from_seconds(60);
    let behaviour = Behaviour { settle, sweep: minute, lease: minute };
    let ports = Ports {
        clock: Arc::new(SystemClock),
        store: Arc::<SqliteStore>::clone(&store),
        registry: Arc::new(registries),
        progress: Arc::new(()),
    };
    let now = SystemClock.now();
    store.know_branches(std::slice::from_ref(&key), now).await.map_err(|error| failed(&error))?;
    let work = store.lease("plan", settle, minute, now).await.map_err(|error| failed(&error))?;
    let work =
        work.map_err(|_| Failure { code: Code::Failed, message: "the plan's own database is busy".to_owned() })?;
    let engine = Engine::new(ports, repositories, behaviour);
    engine.plan(&work, arguments.env.as_ref()).await.map_err(|error| match error {
        ReconcileError::Configuration(_) | ReconcileError::Overlap(_) | ReconcileError::NoKeyFile { .. } => {
            Failure::invalid(error.to_string())
        }
        error => failed(&error),
    })
}

/// A work tree as the engine reads a config repository: one commit, whose blobs are the files as they lie there.
struct Checkout {
    tree: WorkTree,
    head: CommitId,
    /// Of the files that were listed, by their ids.
    paths: Mutex<BTreeMap<BlobId, String>>,
}

/// Made of the path, so that no file is read to be listed. What is remembered by it is gone with the plan's database.
fn blob_id(path: &str) -> BlobId {
    let mut id = [0; 20];
    for (to, from) in id.iter_mut().zip(Sha256::digest(path.as_bytes()).iter()) {
        *to = *from;
    }
    BlobId(id)
}

#[async_trait]
impl Repository for Checkout {
    async fn head(&self, _: &BranchName) -> Result<Option<CommitId>, RepositoryError> {
        Ok(Some(self.head.clone()))
    }

    async fn files(&self, _: &CommitId) -> Result<Vec<FileEntry>, RepositoryError> {
        let files = self.tree.files().map_err(|error| unreadable("list", error))?;
        let files: Vec<FileEntry> = files.into_iter().map(|path| FileEntry { blob: blob_id(&path), path }).collect();
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.extend(files.iter().map(|file| (file.blob, file.path.clone())));
        Ok(files)
    }

    async fn read(&self, blobs: &[BlobId], largest: usize) -> Result<Vec<Option<Vec<u8>>>, RepositoryError> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |blob: &BlobId| {
            let Some(path) = paths.get(blob) else { return Ok(None) };
            let bytes = self.tree.read(path).map_err(|error| unreadable("read", error))?;
            Ok(bytes.filter(|bytes| bytes.len() <= largest))
        };
        blobs.iter().map(read).collect()
    }

    async fn push(&self, _: &Push) -> Result<PushOutcome, RepositoryError> {
        Ok(PushOutcome::Refused("a plan writes nothing".to_owned()))
    }

    async fn landed(
        &self,
        _: &CommitId,
        _: &CommitId,
        _: &[DecisionId],
    ) -> Result<Vec<(DecisionId, CommitId)>, RepositoryError> {
        Ok(Vec::new())
    }
}

fn unreadable(operation: &str, error: WorkTreeError) -> RepositoryError {
    RepositoryError {
        operation: operation.to_owned(),
        repository: "work tree".to_owned(),
        detail: error.to_string(),
        kind: RepositoryErrorKind::Permanent,
        source: Some(error.into()),
    }
}

/// Environments of other branches, which this work tree does not hold.
fn elsewhere(settings: &RepositorySettings, branch: &BranchName) -> Vec<(String, String)> {
    let others = settings.environments.iter().filter_map(|environment| {
        let other = environment.branch.as_ref().filter(|other| *other != branch)?;
        Some((environment.name.to_string(), other.to_string()))
    });
    others.collect()
}

fn code(plan: &Plan) -> Code {
    if plan.unavailable.is_some() {
        Code::Failed
    } else if !plan.files.is_empty() {
        Code::Pending
    } else if plan.decisions.iter().any(|decision| decision.outcome == Outcome::Blocked) {
        Code::Refused
    } else {
        Code::Ok
    }
}

fn in_json(plan: &Plan, elsewhere: &[(String, String)]) -> serde_json::Value {
    let reasons = |decision: &Decision| decision.reasons.iter().map(ToString::to_string).collect::<Vec<_>>();
    let decision = |decision: &Decision| {
        let mut value = serde_json::to_value(decision).unwrap_or_default();
        value["words"] = reasons(decision).into();
        value
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let files = plan.files.iter().map(|file| {
        let diff = unified_diff(&file.path, &text(&file.before), &text(&file.after));
        json!({ "file": file.path, "diff": anstream::adapter::strip_str(&diff).to_string() })
    });
    json!({
        "decisions": plan.decisions.iter().map(decision).collect::<Vec<_>>(),
        "changes": files.collect::<Vec<_>>(),
        "notEdited": plan.uneditable.iter().map(uneditable_in_json).collect::<Vec<_>>(),
        "registryUnavailable": plan.unavailable.as_ref().map(|error| tagboat_engine::chain(error)),
        "elsewhere": elsewhere.iter().map(|(name, branch)| json!({ "environment": name, "branch": branch })).collect::<Vec<_>>(),
    })
}

fn in_words(plan: &Plan, elsewhere: &[(String, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut environment = None;
    for decision in &plan.decisions {
        if environment != Some(&decision.environment) {
            environment = Some(&decision.environment);
            lines.push(styled(BOLD, &decision.environment));
        }
        lines.extend(about(decision));
    }
    for (name, branch) in elsewhere {
        lines.push(format!(
            "{} {}",
            styled(BOLD, name),
            styled(DIM, format!("lives on branch {branch}, not in this work tree"))
        ));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    lines.extend(plan.files.iter().map(|file| unified_diff(&file.path, &text(&file.before), &text(&file.after))));
    let not_edited = plan.uneditable.iter();
    lines.extend(not_edited.map(|place| format!("{} {}", styled(YELLOW, "not edited"), uneditable_in_words(place))));
    if let Some(error) = &plan.unavailable {
        lines.push(format!("{} {}", styled(RED, "failed"), tagboat_engine::chain(error)));
    }
    lines.push(summary(plan));
    lines
}

fn about(decision: &Decision) -> Vec<String> {
    let current = decision.current.join(", ");
    let version = decision.version.as_ref().map(|version| version.tag.to_string()).unwrap_or_default();
    let what = match decision.outcome {
        Outcome::Update => styled(GREEN, format!("{current} -> {version}")),
        Outcome::Nothing if current.is_empty() => "nothing to do".to_owned(),
        Outcome::Nothing => format!("stays at {current}"),
        Outcome::Offered => {
            styled(GREEN, format!("{current} -> {version}, by pull request{}", words::pull_request(decision)))
        }
        Outcome::Waiting => styled(YELLOW, format!("{current}, and {version} waits")),
        Outcome::Blocked => styled(RED, "blocked"),
    };
    let mut lines = vec![format!("  {}: {what}", decision.entry)];
    lines.extend(decision.reasons.iter().map(|reason| styled(DIM, format!("    {reason}"))));
    lines.extend(decision.gates.iter().map(|gate| styled(DIM, format!("    {}", words::gate(gate)))));
    lines
}

fn summary(plan: &Plan) -> String {
    let of = |outcome: Outcome| plan.decisions.iter().filter(|decision| decision.outcome == outcome).count();
    let (updates, blocked) = (of(Outcome::Update), of(Outcome::Blocked));
    let (offered, waiting) = (of(Outcome::Offered), of(Outcome::Waiting));
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if updates > 0 {
        parts.push(format!("{} to make in {}", count(updates, "update"), count(plan.files.len(), "file")));
    }
    if offered > 0 {
        parts.push(format!("{offered} offered"));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} waiting"));
    }
    if blocked > 0 {
        parts.push(format!("{blocked} blocked"));
    }
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
}
