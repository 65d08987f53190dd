//! `tagboat check`: validate both configuration files, offline. What only this machine lacks for `serve` is a warning:
//! the file may be meant for another.

use std::path::{Path, PathBuf};

use serde_json::json;
use tagboat_settings::{Problem, REPOSITORY_FILE, ReadContext, read_repository_files, read_server_file};

use crate::{
    cli::{Check, Output},
    exit::{Code, Failure},
    output::{self, GREEN, RED, YELLOW, styled},
    wiring,
};

const SERVER_FILE: &str = "config/tagboat.yaml";

/// What became of one file.
struct Checked {
    file: String,
    result: Result<String, Problem>,
    warnings: Vec<String>,
}

pub(crate) fn run(arguments: &Check) -> Result<Code, Failure> {
    let mut checked = Vec::new();
    if let Some(path) = chosen(arguments.config.as_deref(), SERVER_FILE) {
        checked.push(check_server_file(&path)?);
    }
    let repository = arguments.repository.as_deref().map(|path| match path.is_dir() {
        true => path.join(REPOSITORY_FILE),
        false => path.to_owned(),
    });
    if let Some(path) = chosen(repository.as_deref(), REPOSITORY_FILE) {
        checked.push(check_repository_file(&path)?);
    }
    if checked.is_empty() {
        let message = format!(
            "there is neither {SERVER_FILE} nor {REPOSITORY_FILE} here; name a file with `--config` or `--repository`"
        );
        return Err(Failure::invalid(message));
    }
    show(&checked, arguments.output);
    Ok(if checked.iter().all(|checked| checked.result.is_ok()) { Code::Ok } else { Code::Invalid })
}

/// The file that was named, or the usual one if it is there.
fn chosen(named: Option<&Path>, usual: &str) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| Path::new(usual).is_file().then(|| PathBuf::from(usual)))
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    let file = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::invalid(format!("{file} cannot be read: {error}")))?;
    Ok((file, text))
}

fn check_server_file(path: &Path) -> Result<Checked, Failure> {
    let (file, text) = read(path)?;
    let read = match read_server_file(&file, &text, super::variables()) {
        Ok(read) => read,
        Err(problem) => return Ok(Checked { file, result: Err(problem), warnings: Vec::new() }),
    };
    let summary = format!(
        "{} config repositories, {} receivers, listens on {}",
        read.repositories.len(),
        read.receivers.len(),
        read.listen
    );
    let refused = wiring::refusals(&read);
    let warnings = refused.iter().map(|refusal| format!("here, `serve` would not start: {refusal}")).collect();
    Ok(Checked { file, result: Ok(summary), warnings })
}

fn check_repository_file(path: &Path) -> Result<Checked, Failure> {
    let (file, text) = read(path)?;
    // As a server reads it: there is no receiver yet to which an agent reports rollouts.
    let result = read_repository_files(&file, &text, &[], ReadContext { agents: false }).map(|read| {
        let environments: Vec<&str> = read.environments.iter().map(|environment| environment.name.as_str()).collect();
        format!("{} images, environments: {}", read.images.len(), environments.join(", "))
    });
    Ok(Checked { file, result, warnings: Vec::new() })
}

fn show(checked: &[Checked], format: Output) {
    if format == Output::Json {
        let files: Vec<_> = checked
            .iter()
            .map(|checked| match &checked.result {
                Ok(summary) => json!({ "file": checked.file, "valid": true, "summary": summary }),
                Err(problem) => json!({
                    "file": checked.file, "valid": false, "problem": problem.message, "source": problem.source,
                    "line": problem.place.map(|place| place.0), "column": problem.place.map(|place| place.1),
                }),
            })
            .collect();
        let warnings: Vec<&String> = checked.iter().flat_map(|checked| &checked.warnings).collect();
        output::line(json!({ "files": files, "warnings": warnings }).to_string());
        return;
    }
    for checked in checked {
        match &checked.result {
            Ok(summary) => output::line(format!("{} {}: {summary}", styled(GREEN, "ok"), checked.file)),
            Err(problem) => output::line(format!("{} {problem}", styled(RED, "invalid"))),
        }
        for warning in &checked.warnings {
            output::line(format!("{} {warning}", styled(YELLOW, "warning")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_no_server_can_pass_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(REPOSITORY_FILE);
        let check = |gates: &str| {
            let text = format!(
                "images:\n  - {{ name: web, image: ghcr.io/acme/web, policy: {{ newest: {{}} }} }}\nenvironments:\n  \
                 - {{ name: dev, paths: [apps/dev], deliver: commit }}\n  \
                 - {{ name: prod, paths: [apps/prod], deliver: commit, promoteFrom: dev, gates: {{ {gates} }} }}\n"
            );
            std::fs::write(&path, text).unwrap();
            check_repository_file(&path).unwrap().result.map_err(|problem| problem.message)
        };
        assert_eq!(check("soak: 1h").unwrap(), "1 images, environments: dev, prod");
        let message = check("rollout: healthy").unwrap_err();
        assert!(message.starts_with("no agent reports rollouts to this server"), "{message}");
    }
}
