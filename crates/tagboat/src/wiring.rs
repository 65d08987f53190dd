//! From the server file to running parts: the only place where ports meet their implementations.

mod http;
pub(crate) mod registries;
mod repositories;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use tagboat_engine::{Behaviour, Engine, Ports};
use tagboat_intake::{Receiver, Sender};
use tagboat_model::{Duration, ReceiverName};
use tagboat_ports::{Progress, Settle, Store};
use tagboat_server::{Access, Refusals, Server};
use tagboat_settings::{ReceiverFile, ReceiverKind, SecretSource, ServerFile, is_loopback};
use tagboat_store::SqliteStore;
use tokio::sync::Semaphore;

use crate::{
    exit::Failure,
    secrets,
    system::{RandomIds, SystemClock},
};

/// Bodies that are read at once; with their largest size it bounds the memory that strangers can take.
const BODIES_AT_ONCE: usize = 64;
/// How long a worker holds a branch without renewing it; a stopped process is replaced after it.
const LEASE: Duration = Duration::from_seconds(120);

/// The parts of a server, wired and not yet started.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) server: Server,
}

/// The database's URL.
pub(crate) fn database_url(file: &ServerFile) -> String {
    let default = || format!("sqlite:{}", file.data_directory.join("tagboat.db").display());
    file.database.clone().unwrap_or_else(default)
}

/// Open the database of a server file.
pub(crate) async fn open_store(file: &ServerFile) -> Result<Arc<dyn Store>, Failure> {
    let url = database_url(file);
    let store = SqliteStore::open(&url).await;
    let store = store.map_err(|error| Failure::failed(&format!("the database {url} cannot be used"), &error))?;
    Ok(Arc::new(store))
}

/// Wire everything that a server file names.
pub(crate) async fn assemble(file: &ServerFile, progress: Arc<dyn Progress>) -> Result<Parts, Failure> {
    // Every credential is read before anything is opened, so that what is wrong shows at once.
    let receivers = receivers(file)?;
    let repositories = repositories::of_server(file).await?;
    let registries = registries::of_server(file)?;
    let access = access(file)?;
    let store = open_store(file).await?;
    let ports = Ports {
        clock: Arc::new(SystemClock),
        store: Arc::clone(&store),
        registry: Arc::new(registries),
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
        receivers: Arc::new(receivers),
        refusals: Arc::new(Refusals::default()),
        access: Arc::new(access),
        largest_body: file.limits.body_bytes,
        reading: Arc::new(Semaphore::new(BODIES_AT_ONCE)),
    };
    Ok(Parts { engine: Arc::new(Engine::new(ports, repositories, behaviour)), server })
}

fn receivers(file: &ServerFile) -> Result<BTreeMap<ReceiverName, Receiver>, Failure> {
    file.receivers.iter().map(|file| Ok((file.name.clone(), receiver(file)?))).collect()
}

fn receiver(file: &ReceiverFile) -> Result<Receiver, Failure> {
    let whose = format!("receiver `{}`", file.name);
    let read = file.secrets().iter().map(|source| secrets::read(&whose, source)).collect::<Result<Vec<_>, _>>()?;
    let sender = match file.kind {
        ReceiverKind::Distribution => {
            let registry =
                file.registry.clone().ok_or_else(|| Failure::invalid(format!("{whose} needs `registry`")))?;
            Sender::Distribution { authorization: read, registry }
        }
        ReceiverKind::Generic => {
            for secret in &read {
                tagboat_intake::check_signing_secret(secret).map_err(|wrong| {
                    Failure::invalid(format!("{whose}: its signing secret cannot be used: {wrong}"))
                })?;
            }
            Sender::Generic { secrets: read }
        }
    };
    let images = file.images.iter().map(|pattern| pattern.parse());
    let images = images.collect::<Result<_, tagboat_intake::ImagePatternError>>();
    let images = images.map_err(|error| Failure::invalid(format!("{whose}: {error}")))?;
    Ok(Receiver { name: file.name.clone(), tenant: file.tenant.clone(), sender, images })
}

fn access(file: &ServerFile) -> Result<Access, Failure> {
    if let Some(source) = SecretSource::of(file.api.token_file.as_ref(), file.api.token_env.as_ref()) {
        return Ok(Access::Token(secrets::read("the API's token", &source)?));
    }
    // A public address means that something in front lets others reach a loopback port.
    let local = file.listen.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    let local = local && file.public_url.as_ref().is_none_or(|url| is_loopback_url(url));
    Ok(if file.api.public || local { Access::Everybody } else { Access::Nobody })
}

fn is_loopback_url(url: &str) -> bool {
    is_loopback(url.split_once("://").map_or(url, |(_, rest)| rest))
}
