//! `docker-credential-<name> get`: a program that knows a credential.
//!
//! Protocol: docker/docker-credential-helpers. The server's name is written to it; it answers with JSON, or fails
//! and says that it knows none. It is started without a shell and with bounds. Its environment is ours, because
//! helpers need what their vendor documents.

use std::{path::PathBuf, process::Stdio, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::Identity;
use crate::client::Fault;

/// Some helpers ask their cloud.
const TIMEOUT: Duration = Duration::from_secs(30);
const LARGEST_OUTPUT: u64 = 64 * 1024;
/// What every helper built with the library of the protocol prints when it knows nothing of a server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: SecretString,
}

/// Ask a helper about `server`; `None` when it knows no credential. `search` are the folders to find it in.
///
/// Neither its output nor its errors are passed on: both may hold the secret.
pub(super) async fn get(name: &str, server: &str, search: Option<&str>) -> Result<Option<Identity>, Fault> {
    let fault = |detail: &str| Fault::new(format!("the credential helper `docker-credential-{name}` {detail}"));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err(Fault::new(
            "the Docker configuration names a credential helper with other characters than letters, digits, `_` and `-`",
        ));
    }
    let Some(program) = find(&format!("docker-credential-{name}"), search) else {
        return Err(fault("is not in any folder of PATH; install it or take it out of the Docker configuration"));
    };
    let (success, output) = match tokio::time::timeout(TIMEOUT, run(program, server)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => return Err(fault("could not be run").because(error)),
        Err(_) => return Err(fault("did not answer in time")),
    };
    if output.len() as u64 > LARGEST_OUTPUT {
        return Err(fault("answered with more than 64 KiB"));
    }
    if !success {
        let unknown = String::from_utf8_lossy(&output).trim() == NOT_FOUND;
        let failed = || fault(&format!("failed; write `{server}` into `docker-credential-{name} get` to see why"));
        return if unknown { Ok(None) } else { Err(failed()) };
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| fault("answered something else than a credential"))?;
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Identity::Refresh(answer.secret),
        _ => Identity::Password { user: answer.username, password: answer.secret },
    }))
}

/// Only in folders with a full path: what lies in the working folder is not ours to run.
fn find(program: &str, search: Option<&str>) -> Option<PathBuf> {
    let folders = std::env::split_paths(search?).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

async fn run(program: PathBuf, server: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input still answers, or fails by itself.
        let _ = input.write_all(server.as_bytes()).await;
    }
    let mut bytes = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(LARGEST_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > LARGEST_OUTPUT {
        child.kill().await?;
    }
    Ok((child.wait().await?.success(), bytes))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    async fn ask(script: &str) -> Result<Option<Identity>, Fault> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-credential-test");
        // Written elsewhere and renamed, so that no other thread's child holds it open for writing when it starts.
        let draft = folder.path().join("draft");
        std::fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&draft, &path).unwrap();
        get("test", "r.example", folder.path().to_str()).await
    }

    #[tokio::test]
    async fn a_helper_is_asked_by_its_protocol() {
        let script = r#"[ "$1" = get ] && printf '{"ServerURL":"%s","Username":"bot","Secret":"s3cret"}' "$(cat)-x""#;
        let Ok(Some(Identity::Password { user, password })) = ask(script).await else { panic!() };
        assert_eq!((user.as_str(), password.expose_secret()), ("bot", "s3cret"));
        let token = ask(r#"echo '{"Username":"<token>","Secret":"t"}'"#).await.unwrap();
        assert!(matches!(token, Some(Identity::Refresh(_))));
        let script = r#"[ "$(cat)" = r.example ] && echo credentials not found in native keychain; exit 1"#;
        assert!(matches!(ask(script).await, Ok(None)));
    }

    #[tokio::test]
    async fn a_failing_helper_is_named_and_not_quoted() {
        for script in [
            "echo canary; exit 1",
            "echo canary",
            "echo '{\"Username\":\"canary\"}'",
            "yes canary",
            "echo canary >&2; kill $$",
        ] {
            let error = format!("{:?}", ask(script).await.unwrap_err());
            assert!(error.contains("docker-credential-test") && !error.contains("canary"), "{script}: {error}");
        }
        let error = format!("{:?}", get("missing", "r.example", Some("/nowhere:relative")).await.unwrap_err());
        assert!(error.contains("is not in any folder of PATH"), "{error}");
    }

    #[tokio::test]
    async fn only_plain_names_are_started() {
        for name in ["", "../../bin/sh", "a b", "a;b", "/bin/sh", "ä", "a.b"] {
            assert!(get(name, "r.example", Some("/bin:/usr/bin")).await.is_err(), "{name}");
        }
    }
}
