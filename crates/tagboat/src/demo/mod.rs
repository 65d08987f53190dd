//! `tagboat demo`: the main job, with everything it needs in one folder and one process.
//!
//! The server is the real one on embedded defaults, the config repository a real Git repository, the registry a
//! small one of the demo's own that speaks the real protocol, notifications included. Nothing is left outside
//! the folder, which is removed at the end.

mod config_repository;
mod narrator;
mod registry;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tagboat_model::Duration as Length;
use tagboat_settings::{ServerFile, read_server_file};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    cli::Demo,
    commands::serve::Running,
    demo::{narrator::Narrator, registry::DemoRegistry},
    exit::{Code, Failure},
    output::{self, BOLD, CYAN, DIM, styled},
};

/// The first commit must be there by then.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const REPOSITORY: &str = "acme/web";

/// The demo until it is over, or until somebody has seen enough. The folder goes in either case.
pub(crate) async fn run(arguments: Demo) -> Result<Code, Failure> {
    let received = |error: std::io::Error| Failure::failed("signals cannot be received", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(received)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(received)?;
    tokio::select! {
        result = show(arguments) => result,
        _ = tokio::signal::ctrl_c() => { output::line(""); Ok(Code::Ok) }
        _ = terminate.recv() => Ok(Code::Ok),
        _ = hang_up.recv() => Ok(Code::Ok),
    }
}

async fn show(arguments: Demo) -> Result<Code, Failure> {
    let folder = Folder::create(arguments.keep)?;
    let kept = if arguments.keep { "and stays there" } else { "and goes with it; --keep leaves it" };
    output::line(format!(
        "{}  everything is in {} {}",
        styled(BOLD, "Tagboat demo"),
        folder.path.display(),
        styled(DIM, kept)
    ));

    let (narrator, mut first_commit) = Narrator::new();
    let narrator = Arc::new(narrator);
    let secret = format!("Bearer {:016x}", getrandom::u64().unwrap_or_default());
    let registry_listener = bind().await?;
    let host = address_of(&registry_listener)?;
    let config = config_repository::create(&folder.path, &host)?;
    let settings = server_settings(&folder.path, &config, &host, &secret, arguments.settle)?;
    let running = Running::start(&settings, Arc::clone(&narrator) as _).await?;
    let server = format!("http://{}", running.address);
    let registry = DemoRegistry::start(registry_listener, &format!("{server}/hooks/registry"), &secret);
    registry.push(REPOSITORY, "1.4.0", &manifest(&registry, "first")).await;

    output::line(format!("  a config repository   {}", styled(CYAN, config.display())));
    output::line(format!("  a registry            {}", styled(CYAN, format!("http://{host}/v2/"))));
    output::line(format!("  the server            {}", styled(CYAN, &server)));
    narrator.wait_until_quiet().await;

    let newer = manifest(&registry, "second");
    write(&folder.path.join("manifest.json"), &newer.to_string())?;
    output::line(format!(
        "\n{} docker push {host}/{REPOSITORY}:1.5.0  {}",
        styled(BOLD, "$"),
        styled(DIM, "(done for you)")
    ));
    narrator.start_clock();
    registry.push(REPOSITORY, "1.5.0", &newer).await;

    let committed = tokio::time::timeout(LONGEST_WAIT, first_commit.recv()).await;
    let result = match committed {
        Ok(Some(())) => {
            narrator.wait_until_quiet().await;
            if !arguments.once {
                show_how_to_go_on(&folder.path, &host, &server, &config);
                std::future::pending::<()>().await;
            }
            Ok(Code::Ok)
        }
        _ => {
            Err(Failure { code: Code::Failed, message: format!("no commit came within {} s", LONGEST_WAIT.as_secs()) })
        }
    };
    running.stop().await;
    result
}

fn show_how_to_go_on(folder: &Path, host: &str, server: &str, config: &Path) {
    let put = |tag: &str| {
        format!(
            "curl -X PUT -H 'Content-Type: {}' --data-binary @{} http://{host}/v2/{REPOSITORY}/manifests/{tag}",
            registry::MANIFEST,
            folder.join("manifest.json").display()
        )
    };
    output::line(format!("\n{}", styled(BOLD, "Try it by hand")));
    for (tag, what) in [("1.6.0", "dev follows, prod does not"), ("1.4.1", "prod follows, dev does not go down")] {
        output::line(format!("  {}", styled(DIM, format!("# push {tag}: {what}"))));
        output::line(format!("  {}", put(tag)));
    }
    output::line(format!("  {}", styled(DIM, "# or with docker, any image of yours")));
    output::line(format!("  docker tag IMAGE {host}/{REPOSITORY}:1.7.0 && docker push {host}/{REPOSITORY}:1.7.0"));
    output::line(format!("  {}", styled(DIM, "# what happened")));
    output::line(format!("  git -C {} log -p main", config.display()));
    output::line(format!(
        "\n{} {}   {}",
        styled(BOLD, "Status page"),
        styled(CYAN, format!("{server}/")),
        styled(DIM, "Ctrl-C ends the demo")
    ));
}

/// An image of one layer; its content differs with the seed.
fn manifest(registry: &DemoRegistry, seed: &str) -> Value {
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] },
        "config": { "Labels": { "org.opencontainers.image.version": seed } },
    });
    let config = registry.put_blob(config.to_string().into_bytes(), "application/vnd.oci.image.config.v1+json");
    let layer = registry.put_blob(seed.as_bytes().to_vec(), "application/vnd.oci.image.layer.v1.tar");
    json!({ "schemaVersion": 2, "mediaType": registry::MANIFEST, "config": config, "layers": [layer] })
}

fn server_settings(
    folder: &Path,
    config: &Path,
    host: &str,
    secret: &str,
    settle: Length,
) -> Result<ServerFile, Failure> {
    let secret_file = folder.join("receiver-secret");
    write(&secret_file, secret)?;
    let text = format!(
        "listen: 127.0.0.1:0\ndataDirectory: {data}\nsettle: {{ quiet: {settle} }}\nrepositories:\n  - name: config\n    url: file://{config}\n\
         receivers:\n  - name: registry\n    kind: distribution\n    registry: {host}\n    images: [\"{host}/acme/*\"]\n    secretFiles: [{secret}]\n",
        data = folder.join("data").display(),
        config = config.display(),
        secret = secret_file.display(),
    );
    write(&folder.join("tagboat.yaml"), &text)?;
    // The demo is to behave the same whatever is set around it.
    read_server_file("tagboat.yaml", &text, Vec::new()).map_err(|problem| Failure::invalid(problem.to_string()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::failed(&format!("{} cannot be written", path.display()), &error))
}

async fn bind() -> Result<TcpListener, Failure> {
    TcpListener::bind("127.0.0.1:0").await.map_err(|error| Failure::failed("no port is free on 127.0.0.1", &error))
}

fn address_of(listener: &TcpListener) -> Result<String, Failure> {
    let address = listener.local_addr().map_err(|error| Failure::failed("no port is free on 127.0.0.1", &error))?;
    Ok(address.to_string())
}

/// The demo's folder, removed when dropped unless it is to stay.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn create(keep: bool) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("tagboat-demo-{:08x}", getrandom::u32().unwrap_or_default()));
        std::fs::create_dir(&path)
            .map_err(|error| Failure::failed(&format!("{} cannot be made", path.display()), &error))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // The system's own cleaning takes what cannot be removed now.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Told once, when the first commit is on the branch.
type FirstCommit = mpsc::UnboundedReceiver<()>;
