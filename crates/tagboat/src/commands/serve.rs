//! `tagboat serve`: the server, until SIGTERM or Ctrl-C.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tagboat_engine::Engine;
use tagboat_ports::Progress;
use tagboat_settings::ServerFile;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::{
    cli::{Output, Serve},
    commands::server_file,
    exit::{Code, Failure},
    progress::LogProgress,
    wiring::{self, Parts},
};

/// Reconciles at once. They wait for the network most of the time.
const WORKERS: usize = 4;
/// A reconcile under way may take this long to end; after it the lease of its branch runs out by itself.
const LONGEST_STOP: Duration = Duration::from_secs(25);
/// Requests are answered within milliseconds. What is still open after this is a connection on which a client has
/// never asked anything, and which it may keep open for as long as it likes.
const LONGEST_DRAIN: Duration = Duration::from_secs(3);

pub(crate) async fn run(arguments: Serve) -> Result<Code, Failure> {
    start_log(arguments.log);
    let file = server_file(&arguments.config)?;
    let running = Running::start(&file, Arc::new(LogProgress)).await?;
    tracing::info!(address = %running.address, repositories = file.repositories.len(), receivers = file.receivers.len(), "listening");
    let base = file.public_url.clone().unwrap_or_else(|| format!("http://{}", running.address));
    for receiver in &file.receivers {
        tracing::info!(receiver = %receiver.name, address = %format!("{}/hooks/{}", base.trim_end_matches('/'), receiver.name), "receives");
    }
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| Failure::failed("signals cannot be received", &error))?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted: stopping"),
    }
    running.stop().await;
    tracing::info!("stopped");
    Ok(Code::Ok)
}

fn start_log(format: Output) {
    let filter = EnvFilter::try_from_env("TAGBOAT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // The parts of a reconcile are spans at the level `debug`; their ends tell where its time went.
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::CLOSE).with_writer(std::io::stderr);
    match format {
        Output::Json => log.json().init(),
        Output::Text => log.init(),
    }
}

/// A server that runs in this process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    http: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Open, listen and work.
    pub(crate) async fn start(file: &ServerFile, progress: Arc<dyn Progress>) -> Result<Self, Failure> {
        let Parts { engine, server } = wiring::assemble(file, progress).await?;
        let occupied = |error: std::io::Error| Failure::failed(&format!("cannot listen on {}", file.listen), &error);
        let listener = TcpListener::bind(&file.listen).await.map_err(occupied)?;
        let address = listener.local_addr().map_err(occupied)?;
        let database = |error| Failure::failed("the database cannot be written", &error);
        engine.start().await.map_err(database)?;
        let (stop, stopped) = watch::channel(false);
        let workers = (0..WORKERS).map(|index| spawn_worker(&engine, index, stopped.clone())).collect();
        let router = server.router();
        let http = tokio::spawn(async move {
            let serving = axum::serve(listener, router).with_graceful_shutdown(wait(stopped));
            if let Err(error) = serving.await {
                tracing::error!(%error, "listening ended");
            }
        });
        Ok(Self { address, stop, http, workers })
    }

    /// Accept nothing more, finish what is under way.
    pub(crate) async fn stop(self) {
        // Nobody left to tell is as good as told.
        let _ = self.stop.send(true);
        let drained = tokio::time::timeout(LONGEST_DRAIN, self.http);
        let worked = tokio::time::timeout(LONGEST_STOP, async {
            for worker in self.workers {
                let _ = worker.await;
            }
        });
        if let (_, Err(_)) = tokio::join!(drained, worked) {
            tracing::warn!("work under way was left; it is taken up again after the next start");
        }
    }
}

fn spawn_worker(engine: &Arc<Engine>, index: usize, stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let engine = Arc::clone(engine);
    let owner = format!("{}-{index}", std::process::id());
    tokio::spawn(async move { engine.run(&owner, wait(stopped)).await })
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
