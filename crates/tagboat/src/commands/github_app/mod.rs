//! `tagboat github-app create`: a GitHub App with everything that a server needs, made by GitHub from a description.
//!
//! A page of this machine sends the browser to GitHub with the description; GitHub sends it back with a code, which is exchanged
//! for the App's key and secret. They are written to files that nobody else can read, and shown nowhere.
//! docs.github.com, "Registering a GitHub App from a manifest".

mod page;

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tagboat_forge::{
    TransportSettings,
    github::{CreatedApp, convert_manifest, manifest},
};
use tagboat_model::shown;
use tokio::net::TcpListener;

use self::page::Page;
use crate::{
    cli::{GithubAppCreate, Output},
    commands::notify::address,
    exit::{Code, Failure},
    output::{self, BOLD, DIM, GREEN, styled},
    system::SystemClock,
    wiring::receivers::GITHUB_APP,
};

const KEY_FILE: &str = "github-app.pem";
const SECRET_FILE: &str = "github-app-webhook-secret";
/// How long GitHub and whoever sits before the browser may take.
const LONGEST: Duration = Duration::from_secs(600);

pub(crate) async fn create(arguments: &GithubAppCreate) -> Result<Code, Failure> {
    let (key, secret) =
        (Reserved::at(&arguments.directory, KEY_FILE)?, Reserved::at(&arguments.directory, SECRET_FILE)?);
    let code = match &arguments.code {
        Some(code) => code.clone(),
        None => ask(arguments).await?,
    };
    let url = address(&arguments.url);
    let app = convert_manifest(&url, &TransportSettings::default(), &code, Arc::new(SystemClock)).await;
    let app = app.map_err(|error| Failure::failed("the GitHub App cannot be made", &error))?;
    let key = key.write(&app.pem)?;
    let secret = match &app.webhook_secret {
        Some(text) => Some(secret.write(text)?),
        None => None,
    };
    match arguments.output {
        Output::Json => output::line(in_json(&app, &key, secret.as_deref()).to_string()),
        Output::Text => in_words(arguments, &app, &key, secret.as_deref()).iter().for_each(output::line),
    }
    Ok(Code::Ok)
}

/// Serve the page, and wait until the browser comes back from GitHub with a code.
async fn ask(arguments: &GithubAppCreate) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::failed(&format!("cannot listen on {}", arguments.listen), &error);
    let listener = TcpListener::bind(arguments.listen).await.map_err(failed)?;
    let here = format!("http://{}", listener.local_addr().map_err(failed)?);
    let (public_url, url, organization) =
        (address(&arguments.public_url), address(&arguments.url), arguments.organization.as_deref());
    let hook = format!("/hooks/{GITHUB_APP}");
    let (action, mut manifest) = manifest(&arguments.name, &public_url, &hook, &url, organization);
    if let Some(fields) = manifest.as_object_mut() {
        fields.insert("redirect_url".to_owned(), json!(format!("{here}{}", page::BACK)));
    }
    let page = Page::new(&action, &manifest)?;
    let start = format!("{here}{}", page.start());
    output::progress(format!("open {} in your browser", styled(BOLD, &start)));
    if arguments.open {
        open(&start);
    }
    output::progress(styled(DIM, "waiting for GitHub, for at most 10 minutes"));
    match tokio::time::timeout(LONGEST, page.serve(listener)).await {
        Ok(code) => code,
        Err(_) => {
            let message = "GitHub did not come back within 10 minutes; nothing was made, start again";
            Err(Failure { code: Code::Failed, message: message.to_owned() })
        }
    }
}

/// Open the browser, if there is one.
fn open(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = tokio::process::Command::new(program);
    command.arg(address).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    if let Err(error) = command.stderr(std::process::Stdio::null()).spawn() {
        output::progress(format!("no browser can be opened ({program}: {error}); open the address yourself"));
    }
}

/// Read an address to listen on, which only this machine reaches.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write address and port, as in `127.0.0.1:0`".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only this machine may reach the page: `127.0.0.1:0`".to_owned())
    }
}

/// A file that was not there, is empty, and is taken away unless something is written to it: so that what GitHub says once
/// finds its place.
struct Reserved {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl Reserved {
    fn at(directory: &Path, name: &str) -> Result<Self, Failure> {
        let path = directory.join(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file, is_kept: false }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::invalid(format!(
                "{} is there already and is not overwritten; move it, or choose another folder with `--directory`",
                path.display()
            ))),
            Err(error) => Err(Failure::invalid(format!("{} cannot be written: {error}", path.display()))),
        }
    }

    /// Write, and say where.
    fn write(mut self, secret: &SecretString) -> Result<PathBuf, Failure> {
        let written = self.file.write_all(secret.expose_secret().as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|error| Failure::failed(&format!("{} cannot be written", self.path.display()), &error))?;
        self.is_kept = true;
        Ok(std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left then is an empty file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where it is installed.
fn installation(app: &CreatedApp) -> String {
    format!("{}/installations/new", shown(app.html_url.trim_end_matches('/')))
}

fn in_json(app: &CreatedApp, key: &Path, secret: Option<&Path>) -> serde_json::Value {
    json!({
        "appId": app.id, "slug": app.slug, "clientId": app.client_id, "privateKeyFile": key,
        "webhookSecretFile": secret, "installationUrl": installation(app),
    })
}

fn in_words(arguments: &GithubAppCreate, app: &CreatedApp, key: &Path, secret: Option<&Path>) -> Vec<String> {
    let mut lines = vec![
        format!("{} GitHub App {} (number {})", styled(GREEN, "made"), styled(BOLD, shown(&app.slug)), app.id),
        String::new(),
        "Say so in the server file:".to_owned(),
        String::new(),
        format!("    publicUrl: {}", address(&arguments.public_url)),
        "    githubApp:".to_owned(),
        format!("      appId: {}", app.id),
        format!("      privateKeyFile: {}", key.display()),
    ];
    match secret {
        Some(secret) => lines.push(format!("      webhookSecretFile: {}", secret.display())),
        None => lines.push(format!(
            "      webhookSecretFile: …  # GitHub made none; set one on the App's page, and write it to {SECRET_FILE}"
        )),
    }
    let url = address(&arguments.url);
    if url != "https://github.com" {
        lines.push(format!("      url: {url}"));
    }
    lines.extend([String::new(), format!("Then start the server, and install the App: {}", installation(app))]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt as _;

    fn app() -> CreatedApp {
        CreatedApp {
            id: 7,
            slug: "acme-tagboat".to_owned(),
            pem: "canary".to_owned().into(),
            webhook_secret: Some("canary".to_owned().into()),
            client_id: "Iv1.1".to_owned(),
            html_url: "https://github.com/apps/acme-tagboat".to_owned(),
        }
    }

    #[test]
    fn a_file_is_for_its_owner_only_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        drop(Reserved::at(folder.path(), KEY_FILE).unwrap());
        assert!(!path.exists(), "nothing was written");
        let written = Reserved::at(folder.path(), KEY_FILE).unwrap().write(&app().pem).unwrap();
        assert_eq!(std::fs::read_to_string(&written).unwrap(), "canary");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Reserved::at(folder.path(), KEY_FILE).err().unwrap();
        assert!(again.code == Code::Invalid && again.message.contains("not overwritten"), "{}", again.message);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "canary");
    }

    #[test]
    fn only_this_machine_reaches_the_page() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:8080").is_ok());
        assert!(loopback("0.0.0.0:8080").is_err() && loopback("127.0.0.1").is_err());
    }

    #[test]
    fn what_is_told_has_no_secret_in_it() {
        let told = in_json(&app(), Path::new("/k"), Some(Path::new("/s"))).to_string();
        assert!(!told.contains("canary") && told.contains("/apps/acme-tagboat/installations/new"), "{told}");
    }
}
