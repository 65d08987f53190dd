//! From the server file to running parts: the only place where ports meet their implementations.

mod forges;
pub(crate) mod github_app;
mod http;
mod issuers;
mod metered;
pub(crate) mod receivers;
mod refusals;
pub(crate) mod registries;
mod repositories;

use std::{net::SocketAddr, path::Path, sync::Arc};

use secrecy::ExposeSecret as _;
use tagboat_engine::{Behaviour, Engine, Ports};
use tagboat_model::Duration;
use tagboat_ports::{Clock as _, Forge, Progress, Settle, Store};
use tagboat_server::{
    Access, ConfigRepositoryAddress, Counting, Counts, Metrics, Pressure, Repositories, Room, Server,
};
use tagboat_settings::{ConfigRepositoryFile, SecretSource, ServerFile, is_loopback};
use tagboat_store::Upkeep;

use github_app::{AppWatch, Watched};
use metered::MeteredRegistry;
pub(crate) use refusals::refusals;

use crate::{
    exit::Failure,
    secrets,
    system::{RandomIds, SystemClock},
};

/// An announcement by CI has a few hundred bytes.
const LARGEST_ANNOUNCEMENT: usize = 16 * 1024;
/// Bytes of them that are held at once.
const ANNOUNCED_BYTES_AT_ONCE: usize = 16 * 1024 * 1024;
/// How long a worker holds a branch without renewing it; a stopped process is replaced after it.
const LEASE: Duration = Duration::from_seconds(30);

/// What is said of a database that cannot be read.
const DAMAGED: &str = "\nmove it away and start again, or restore it: what runs, what is offered and what is held is found again in Git, \
                       at the forge and in the registries; what is lost is which events waited, and the history of deliveries, events \
                       and decisions";

/// The parts of a server, wired and not yet started.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) server: Server,
    /// The database as an operator has to do with it.
    pub(crate) upkeep: Arc<dyn Upkeep>,
    /// What watches over the GitHub App, where there is one.
    pub(crate) app: Option<AppWatch>,
    /// The forges of the server file: they are asked who we are there.
    pub(crate) forges: Vec<Arc<dyn Forge>>,
}

/// The database's URL.
pub(crate) fn database_url(file: &ServerFile) -> String {
    let default = || format!("sqlite:{}", file.data_directory.join("tagboat.db").display());
    file.database.clone().unwrap_or_else(default)
}

/// Open the database of a server file.
pub(crate) async fn open_store(file: &ServerFile) -> Result<Arc<dyn Upkeep>, Failure> {
    let url = database_url(file);
    let password = file.database_password().map(|source| secrets::read("the database", &source)).transpose()?;
    let store = tagboat_store::open(&url, password.as_ref().map(|password| password.expose_secret())).await;
    store.map_err(|error| {
        let mut failure = Failure::failed(&format!("the database {} cannot be used", shown_database(&url)), &error);
        if tagboat_store::is_damaged(&error) {
            failure.message.push_str(DAMAGED);
        }
        failure
    })
}

/// Open the database of a server file if there is one: a file that is not there is not made by looking.
pub(crate) async fn open_existing_store(file: &ServerFile) -> Result<Arc<dyn Upkeep>, Failure> {
    let url = database_url(file);
    if url.strip_prefix("sqlite:").is_some_and(|path| !Path::new(path).is_file()) {
        let place = shown_database(&url);
        let message = format!("there is no database at {place}; has the server run with this server file?");
        return Err(Failure::invalid(message));
    }
    open_store(file).await
}

/// A database's URL for people. Where it is relative they see what that comes to from where they are.
fn shown_database(url: &str) -> String {
    let relative = url.strip_prefix("sqlite:").map(Path::new).filter(|path| path.is_relative());
    match relative.and_then(|path| std::path::absolute(path).ok()) {
        Some(absolute) => format!("{} ({url}, which is relative to the working directory)", absolute.display()),
        None => url.to_owned(),
    }
}

/// Wire everything that a server file names.
pub(crate) async fn assemble(file: &ServerFile, progress: Arc<dyn Progress>) -> Result<Parts, Failure> {
    let metrics = Arc::new(Metrics::new(SystemClock.now()));
    let progress: Arc<dyn Progress> = Arc::new(Counting::new(Arc::clone(&metrics), progress));
    // Every credential is read before anything is opened, so that what is wrong shows at once.
    let doors = receivers::doors(file)?;
    let keys = issuers::of_server(file)?;
    let repositories = repositories::of_server(file, &metrics).await?;
    let app = github_app::of_server(file)?;
    let watched = Arc::clone(&metrics);
    let watch = move |outcome: &'static str, took| watched.registry_asked("token", outcome, took);
    let registries = registries::of_server(file)?.with_token_watch(Box::new(watch));
    let access = access(file)?;
    let upkeep = open_store(file).await?;
    let store: Arc<dyn Store> = Arc::<dyn Upkeep>::clone(&upkeep);
    let ports = Ports {
        clock: Arc::new(SystemClock),
        store: Arc::clone(&store),
        registry: Arc::new(MeteredRegistry::new(Arc::new(registries), Arc::clone(&metrics))),
        progress: Arc::clone(&progress),
    };
    let behaviour = Behaviour {
        settle: Settle { quiet: file.settle.quiet, at_most: file.settle.at_most },
        sweep: file.sweep.interval,
        lease: LEASE,
    };
    let server = Server {
        store,
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        progress,
        keys: Arc::new(keys),
        doors: Arc::new(doors),
        repositories: Arc::new(Repositories::new(addresses(file))),
        // Who we are at a forge is asked of it, and then stands here.
        bots: Arc::default(),
        installations_changed: Arc::default(),
        counts: Arc::new(Counts::default()),
        metrics: Arc::clone(&metrics),
        pressure: Arc::new(Pressure::new(file.limits.pending_events)),
        access: Arc::new(access),
        room: Arc::new(Room::new(LARGEST_ANNOUNCEMENT, ANNOUNCED_BYTES_AT_ONCE)),
        proved_room: Arc::new(Room::new(LARGEST_ANNOUNCEMENT, ANNOUNCED_BYTES_AT_ONCE)),
    };
    let forges = repositories.values().filter_map(|config| config.forge.clone()).collect();
    let engine = Arc::new(Engine::new(ports, repositories, behaviour));
    let watched = || Watched {
        engine: Arc::clone(&engine),
        store: Arc::clone(&server.store),
        repositories: Arc::clone(&server.repositories),
        bots: Arc::clone(&server.bots),
        changed: Arc::clone(&server.installations_changed),
        metrics: Arc::clone(&metrics),
    };
    let app = app.and_then(|app| AppWatch::new(app, file, watched()));
    Ok(Parts { engine, server, upkeep, app, forges })
}

/// Where the config repositories are, as senders may name them.
pub(crate) fn addresses(file: &ServerFile) -> Vec<ConfigRepositoryAddress> {
    let address = |repository: &ConfigRepositoryFile| ConfigRepositoryAddress {
        tenant: repository.tenant.clone(),
        name: repository.name.clone(),
        address: repository.url.clone(),
    };
    file.repositories.iter().map(address).collect()
}

fn access(file: &ServerFile) -> Result<Access, Failure> {
    if let Some(source) = SecretSource::of(file.api.token_file.as_ref(), file.api.token_env.as_ref()) {
        return Ok(Access::Token(secrets::read("the API's token", &source)?));
    }
    // A public address means that something in front lets others reach a loopback port.
    let local = file.listen.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    let local = local && file.public_url.as_ref().is_none_or(|url| is_loopback_url(url));
    Ok(match (file.api.public, local) {
        (true, _) => Access::Everybody,
        (false, true) => Access::Local,
        (false, false) => Access::Nobody,
    })
}

fn is_loopback_url(url: &str) -> bool {
    is_loopback(url.split_once("://").map_or(url, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_database_is_shown_with_what_it_comes_to_here() {
        let here = std::env::current_dir().unwrap();
        let expect = format!(
            "{} (sqlite:data/tagboat.db, which is relative to the working directory)",
            here.join("data/tagboat.db").display()
        );
        assert_eq!(shown_database("sqlite:data/tagboat.db"), expect);
        assert_eq!(shown_database("sqlite:/var/lib/tagboat/tagboat.db"), "sqlite:/var/lib/tagboat/tagboat.db");
    }
}
