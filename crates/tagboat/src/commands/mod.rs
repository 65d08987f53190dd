//! One file per command.

pub(crate) mod acts;
pub(crate) mod check;
pub(crate) mod deliveries;
pub(crate) mod event_parse;
pub(crate) mod explain;
pub(crate) mod github_app;
pub(crate) mod notify;
pub(crate) mod plan;
pub(crate) mod policy_test;
pub(crate) mod receivers;
pub(crate) mod references;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod update;
pub(crate) mod words;
mod work_tree;

use std::path::Path;

use tagboat_model::ReceiverName;
use tagboat_settings::{ReceiverFile, ServerFile, read_server_file};

use crate::exit::Failure;

/// Read and check the server file, with the environment's overrides.
pub(crate) fn server_file(path: &Path) -> Result<ServerFile, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::invalid(format!("the server file {name} cannot be read: {error}; name another with `--config`"))
    })?;
    read_server_file(&name, &text, variables()).map_err(|problem| Failure::invalid(problem.to_string()))
}

/// A receiver of a server file, which is at `path`.
pub(crate) fn receiver_of<'f>(
    path: &Path,
    file: &'f ServerFile,
    name: &ReceiverName,
) -> Result<&'f ReceiverFile, Failure> {
    let found = file.receivers.iter().find(|receiver| receiver.name == *name);
    found.ok_or_else(|| {
        let names: Vec<&str> = file.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::invalid(format!("{} has no receiver `{name}` (there are: {names})", path.display()))
    })
}

/// The variables of the process. What is not UTF-8 is nothing of ours; the library would panic on it.
pub(crate) fn variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
