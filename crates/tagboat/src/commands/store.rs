//! `tagboat store`: the database, for the operator. It works on the database itself, whether a server runs on it or not.

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, stdin, stdout},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde_json::json;
use tagboat_model::Timestamp;
use tagboat_ports::{BranchState, Clock as _, StoreError};
use tagboat_settings::ServerFile;
use tagboat_store::{TableSize, TransferError, Upkeep, export, import, is_postgres};

use crate::{
    cli::{Output, Store, StoreAction},
    commands::{server_file, words::safe},
    exit::{Code, Failure},
    output::{self, BOLD, DIM, RED, styled},
    system::SystemClock,
    wiring,
};

pub(crate) async fn run(arguments: &Store) -> Result<Code, Failure> {
    let file = server_file(&arguments.config)?;
    let output = arguments.output;
    match &arguments.action {
        StoreAction::Stats => stats(&*existing(&file).await?, output).await,
        StoreAction::Check if file.database.as_deref().is_some_and(is_postgres) => Err(Failure::invalid(
            "`database` is PostgreSQL, whose files only its own server can read through: see `pg_amcheck` there",
        )),
        StoreAction::Check => check(&*existing(&file).await?, output).await,
        StoreAction::Retry(retry) => {
            let is_meant = |state: &BranchState| retry.repository.as_ref().is_none_or(|it| state.key.repository == *it);
            try_again(&*existing(&file).await?, is_meant, output).await
        }
        StoreAction::Prune(prune) => {
            let kept = prune.older_than.unwrap_or(file.limits.keep_history);
            let before = Timestamp(SystemClock.now().0.saturating_sub_unsigned(kept.milliseconds()));
            take_away(&*existing(&file).await?, before, output).await
        }
        StoreAction::Export(to) => write(&*existing(&file).await?, &to.file, output).await,
        StoreAction::Import(from) => read(&*wiring::open_store(&file).await?, &from.file, output).await,
    }
}

async fn existing(file: &ServerFile) -> Result<std::sync::Arc<dyn Upkeep>, Failure> {
    wiring::open_existing_store(file).await
}

fn unusable(error: &StoreError) -> Failure {
    Failure::failed("the database cannot be used", error)
}

async fn stats(store: &dyn Upkeep, output: Output) -> Result<Code, Failure> {
    let sizes = store.sizes().await.map_err(|error| unusable(&error))?;
    let branches = store.branches().await.map_err(|error| unusable(&error))?;
    let waiting: Vec<&BranchState> = branches.iter().filter(|state| state.dirty).collect();
    let parked: Vec<&BranchState> = waiting.iter().copied().filter(|state| state.parked_at.is_some()).collect();
    match output {
        Output::Json => output::line(json!({ "tables": sizes, "waiting": waiting, "parked": parked }).to_string()),
        Output::Text => show(&sizes, &waiting),
    }
    Ok(if parked.is_empty() { Code::Ok } else { Code::Pending })
}

/// Whether the work that waits came to nothing so far.
fn fails(state: &BranchState) -> bool {
    state.dirty && state.attempts > 0
}

fn show(sizes: &[TableSize], waiting: &[&BranchState]) {
    output::line(styled(BOLD, format!("{:<16}{:>12}{:>14}", "table", "rows", "bytes")));
    for TableSize { table, rows, bytes } in sizes {
        output::line(format!("{table:<16}{rows:>12}{bytes:>14}"));
    }
    output::line(format!("{:<16}{:>12}  config branches with work that waits", "waiting", waiting.len()));
    for state in waiting.iter().filter(|state| fails(state)) {
        let problem = safe(state.problem.as_deref().unwrap_or("it was interrupted"));
        let how = match (state.parked_at, state.again_at) {
            (Some(since), _) => format!("is parked since {since}"),
            (None, Some(at)) if at > SystemClock.now() => format!("waits until {at}"),
            (None, _) => "is tried again now".to_owned(),
        };
        let words = format!("{} {how}, after {} attempts: {problem}", state.key, state.attempts);
        output::line(styled(if state.parked_at.is_some() { RED } else { DIM }, &words));
        output::line(format!("  try it again: tagboat store retry {}", state.key.repository));
    }
}

async fn check(store: &dyn Upkeep, output: Output) -> Result<Code, Failure> {
    store.check().await.map_err(|error| Failure::failed("the database cannot be trusted", &error))?;
    match output {
        Output::Json => output::line(json!({ "damaged": false }).to_string()),
        Output::Text => output::line("nothing is damaged"),
    }
    Ok(Code::Ok)
}

async fn try_again(
    store: &dyn Upkeep,
    is_meant: impl Fn(&BranchState) -> bool,
    output: Output,
) -> Result<Code, Failure> {
    let branches = store.branches().await.map_err(|error| unusable(&error))?;
    let failing = branches.into_iter().filter(|state| fails(state) && is_meant(state));
    let keys: Vec<_> = failing.map(|state| state.key).collect();
    store.retry(&keys, SystemClock.now()).await.map_err(|error| unusable(&error))?;
    match output {
        Output::Json => output::line(json!({ "retried": keys }).to_string()),
        Output::Text if keys.is_empty() => output::line(styled(DIM, "no work fails")),
        Output::Text => keys.iter().for_each(|key| output::line(format!("{key} is tried again"))),
    }
    Ok(if keys.is_empty() { Code::Nothing } else { Code::Ok })
}

async fn take_away(store: &dyn Upkeep, before: Timestamp, output: Output) -> Result<Code, Failure> {
    let mut rows = 0;
    loop {
        let pruned = store.prune_history(before).await.map_err(|error| unusable(&error))?;
        rows += pruned;
        if pruned == 0 {
            break;
        }
    }
    match output {
        Output::Json => output::line(json!({ "before": before, "rows": rows }).to_string()),
        Output::Text => output::line(format!("{rows} rows from before {before} are gone")),
    }
    Ok(if rows == 0 { Code::Nothing } else { Code::Ok })
}

async fn write(store: &dyn Upkeep, path: &Path, output: Output) -> Result<Code, Failure> {
    if path == Path::new("-") {
        export(store, &mut stdout()).await.map_err(|error| failure(&error))?;
        return Ok(Code::Ok);
    }
    // Written beside it first: what stands under the name that was given is whole.
    let partial = path.with_extension("part");
    let created = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let file = created.map_err(|error| Failure::failed(&format!("{} cannot be made", partial.display()), &error))?;
    let mut out = BufWriter::new(file);
    let rows = export(store, &mut out).await.map_err(|error| failure(&error))?;
    let unkept = |error: std::io::Error| Failure::failed(&format!("{} cannot be written", path.display()), &error);
    out.into_inner().map_err(|error| unkept(error.into_error()))?.sync_all().map_err(unkept)?;
    std::fs::rename(&partial, path).map_err(unkept)?;
    match output {
        Output::Json => output::line(json!({ "rows": rows, "file": path }).to_string()),
        Output::Text => output::line(format!("{rows} rows are in {}", path.display())),
    }
    Ok(Code::Ok)
}

async fn read(store: &dyn Upkeep, path: &Path, output: Output) -> Result<Code, Failure> {
    let rows = if path == Path::new("-") {
        import(store, &mut BufReader::new(stdin())).await
    } else {
        let opened = File::open(path);
        let file = opened.map_err(|error| Failure::failed(&format!("{} cannot be read", path.display()), &error))?;
        import(store, &mut BufReader::new(file)).await
    };
    let rows = rows.map_err(|error| failure(&error))?;
    match output {
        Output::Json => output::line(json!({ "rows": rows }).to_string()),
        Output::Text => output::line(format!("{rows} rows are in the database")),
    }
    Ok(Code::Ok)
}

fn failure(error: &TransferError) -> Failure {
    let code = match error {
        TransferError::Store(_) | TransferError::Read(_) | TransferError::Write(_) => Code::Failed,
        TransferError::Line { .. } | TransferError::Step { .. } | TransferError::CutOff => Code::Invalid,
        TransferError::NotEmpty { .. } => Code::Refused,
    };
    Failure { code, message: tagboat_engine::chain(error) }
}
