//! `tagboat serve`: the server, until SIGTERM or Ctrl-C.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tagboat_engine::{Engine, chain};
use tagboat_intake::{Receiver, Scheme};
use tagboat_model::{ReceiverName, Timestamp};
use tagboat_ports::{Forge, Progress};
use tagboat_server::{Door, Server};
use tagboat_settings::{LimitsFile, ServerFile};
use tagboat_store::Upkeep;
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
    telemetry::Telemetry,
    wiring::{self, Parts, github_app::AppWatch},
};

/// Reconciles at once. They wait for the network most of the time.
const WORKERS: usize = 4;
/// A reconcile under way may take this long to end; after it the lease of its branch runs out by itself.
const LONGEST_STOP: Duration = Duration::from_secs(25);
/// Requests are answered within milliseconds. What is still open after this is a connection on which a client has
/// never asked anything, and which it may keep open for as long as it likes.
const LONGEST_DRAIN: Duration = Duration::from_secs(3);

/// How long the start waits for GitHub.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// What is old is taken away this often.
const BETWEEN_CHECKS: tagboat_model::Duration = tagboat_model::Duration::from_seconds(24 * 3600);
const BETWEEN_PRUNINGS: tagboat_model::Duration = tagboat_model::Duration::from_seconds(300);

pub(crate) async fn run(arguments: Serve) -> Result<Code, Failure> {
    start_log(arguments.log);
    let file = server_file(&arguments.config)?;
    permit_many_files();
    let variable = |name: &str| std::env::var(name).ok();
    let (telemetry, progress) = Telemetry::start(&file, variable, Arc::new(LogProgress))?;
    let running = Running::start(&file, progress).await?;
    tracing::info!(address = %running.address, repositories = file.repositories.len(), receivers = file.receivers.len(), "listening");
    let base = file.public_url.clone().unwrap_or_else(|| format!("http://{}", running.address));
    for receiver in running.doors.values().map(|door| door.receiver()) {
        let address = format!("{}/hooks/{}", base.trim_end_matches('/'), receiver.name);
        tracing::info!(receiver = %receiver.name, %address, "{}", receives(receiver));
    }
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| Failure::failed("signals cannot be received", &error))?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted: stopping"),
    }
    running.stop().await;
    telemetry.stop().await;
    tracing::info!("stopped");
    Ok(Code::Ok)
}

/// That a receiver has an address. The secret part of one is in no log.
fn receives(receiver: &Receiver) -> &'static str {
    match receiver.credentials.iter().any(|credential| credential.scheme() == Scheme::Path) {
        true => "receives at this address with a secret part behind it, which `tagboat receivers` shows",
        false => "receives",
    }
}

/// A connection is an open file, of which a process has often 1,024 unless it asks for what it is permitted.
fn permit_many_files() {
    let limits = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }) {
        tracing::warn!(%error, "the number of open files stays as it was");
    }
}

fn start_log(format: Output) {
    let filter = EnvFilter::try_from_env("TAGBOAT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // <https://no-color.org>
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // The parts of a reconcile are spans at the level `debug`; their ends tell where its time went.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr);
    match format {
        Output::Json => log.json().init(),
        Output::Text => log.init(),
    }
}

/// A server that runs in this process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    doors: Arc<BTreeMap<ReceiverName, Arc<Door>>>,
    stop: watch::Sender<bool>,
    http: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Open, listen and work.
    pub(crate) async fn start(file: &ServerFile, progress: Arc<dyn Progress>) -> Result<Self, Failure> {
        let Parts { engine, server, upkeep, app, forges } = wiring::assemble(file, progress).await?;
        let occupied = |error: std::io::Error| Failure::failed(&format!("cannot listen on {}", file.listen), &error);
        let listener = TcpListener::bind(&file.listen).await.map_err(occupied)?;
        let address = listener.local_addr().map_err(occupied)?;
        let database = |error| Failure::failed("the database cannot be written", &error);
        engine.start().await.map_err(database)?;
        let (stop, stopped) = watch::channel(false);
        learn_who_we_are(&server, forges);
        watch_app(app, stopped.clone()).await;
        let workers = (0..WORKERS).map(|index| spawn_worker(&engine, index, stopped.clone())).collect();
        spawn_checker(&server, Arc::clone(&upkeep), stopped.clone());
        spawn_pruner(&server, upkeep, &file.limits, stopped.clone());
        spawn_counter(&server, stopped.clone());
        let doors = Arc::clone(&server.doors);
        let (router, connections) = (server.router(), file.limits.connections);
        let http = tokio::spawn(async move {
            tagboat_server::serve(listener, router, connections, wait(stopped)).await;
        });
        Ok(Self { address, doors, stop, http, workers })
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

/// Ask forges who we are there, so that what we do is not taken for what people do. Who cannot be asked now is not known
/// until the next start, which costs a look at what we did ourselves.
fn learn_who_we_are(server: &Server, forges: Vec<Arc<dyn Forge>>) {
    let bots = Arc::clone(&server.bots);
    tokio::spawn(async move {
        for forge in forges {
            match forge.bot().await {
                Ok(bot) => drop(bots.write().unwrap_or_else(PoisonError::into_inner).insert(bot.login)),
                Err(error) => tracing::warn!(error = %chain(&error), "a forge does not say who we are there"),
            }
        }
    });
}

/// Look at the installations of the App once, then watch over them.
async fn watch_app(app: Option<AppWatch>, stopped: watch::Receiver<bool>) {
    let Some(mut app) = app else { return };
    if tokio::time::timeout(FIRST_LOOK, app.look()).await.is_err() {
        tracing::warn!("GitHub takes long to say where the App is installed; it is asked again");
    }
    tokio::spawn(async move {
        tokio::select! {
            () = app.run() => {}
            () = wait(stopped) => {}
        }
    });
}

fn spawn_worker(engine: &Arc<Engine>, index: usize, stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let engine = Arc::clone(engine);
    let owner = format!("{}-{index}", std::process::id());
    tokio::spawn(async move { engine.run(&owner, wait(stopped)).await })
}

/// Damage in what nothing reads shows late otherwise, when it is in every copy that was kept.
fn spawn_checker(server: &Server, upkeep: Arc<dyn Upkeep>, stopped: watch::Receiver<bool>) {
    let (clock, pressure) = (Arc::clone(&server.clock), Arc::clone(&server.pressure));
    tokio::spawn(async move {
        let checking = async {
            loop {
                if let Err(error) = upkeep.check().await {
                    tracing::error!(error = %chain(&error), "the database was looked through");
                    pressure.found_damage(&error);
                }
                clock.sleep_until(clock.now().plus(BETWEEN_CHECKS)).await;
            }
        };
        tokio::select! {
            () = checking => {}
            () = wait(stopped) => {}
        }
    });
}

/// Headers and bodies of deliveries go when they are old, or too many; in the end all goes that is done with.
fn spawn_pruner(server: &Server, upkeep: Arc<dyn Upkeep>, limits: &LimitsFile, stopped: watch::Receiver<bool>) {
    let clock = Arc::clone(&server.clock);
    let (bodies, most_bytes) = (limits.keep_deliveries.milliseconds(), limits.kept_bytes);
    let history = limits.keep_history.milliseconds();
    tokio::spawn(async move {
        let pruning = async {
            loop {
                let before = |kept: u64| Timestamp(clock.now().0.saturating_sub_unsigned(kept));
                let pruned = match upkeep.prune_deliveries(before(bodies), most_bytes).await {
                    Ok(0) => upkeep.prune_history(before(history)).await,
                    some => some,
                };
                match pruned {
                    // There may be more than is taken away at once.
                    Ok(1..) => continue,
                    Ok(0) => {}
                    Err(error) => tracing::warn!(error = %chain(&error), "what is old could not be taken away"),
                }
                clock.sleep_until(clock.now().plus(BETWEEN_PRUNINGS)).await;
            }
        };
        tokio::select! {
            () = pruning => {}
            () = wait(stopped) => {}
        }
    });
}

/// What waits is counted now and then, so that nothing more is taken when it is too much.
fn spawn_counter(server: &Server, stopped: watch::Receiver<bool>) {
    let (store, clock, pressure) = (Arc::clone(&server.store), Arc::clone(&server.clock), Arc::clone(&server.pressure));
    tokio::spawn(async move {
        tokio::select! {
            () = pressure.watch(&*store, &*clock) => {}
            () = wait(stopped) => {}
        }
    });
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_intake::{Configured, Kind, Tenancy, credentials};
    use tagboat_model::TenantName;

    #[test]
    fn a_secret_part_of_an_address_is_spoken_of_and_not_shown() {
        let said = |kind| {
            let (tenant, name) = (TenantName::default(), "hook".parse().unwrap());
            let secrets = vec!["a secret that nobody guesses".to_owned().into()];
            let configured = Configured { secrets, ..Configured::default() };
            let credentials = credentials(kind, &tenant, &name, configured).unwrap();
            receives(&Receiver {
                credentials,
                name,
                tenant,
                kind,
                registry: None,
                repository: None,
                tenancy: Tenancy::Fixed,
                images: Vec::new(),
            })
        };
        assert!(said(Kind::Dockerhub).contains("a secret part behind it, which `tagboat receivers` shows"));
        assert_eq!(said(Kind::Generic), "receives");
    }
}
