//! Receivers, from the server file and the secrets that it names.

use std::{collections::BTreeMap, sync::Arc};

use tagboat_intake::{Configured, ImagePatternError, Kind, Receiver, Tenancy, credentials};
use tagboat_model::{ReceiverName, TenantName};
use tagboat_server::Door;
use tagboat_settings::{GithubAppFile, ReceiverFile, ServerFile};

use crate::{exit::Failure, secrets};

/// Authentic requests per second that a receiver takes on average, where the server file says nothing else.
const REQUESTS_PER_SECOND: u32 = 2000;
/// Bytes of bodies that are held at once, of all receivers together. Shared out, so that one cannot starve another.
const BYTES_AT_ONCE: usize = 64 * 1024 * 1024;
/// The receiver of the GitHub App.
pub(crate) const GITHUB_APP: &str = "github-app";
/// Whose secrets are spoken of.
const OF_APP: &str = "GitHub App";

/// All receivers of a server file, with the bounds of each.
pub(crate) fn doors(file: &ServerFile) -> Result<BTreeMap<ReceiverName, Arc<Door>>, Failure> {
    let count = file.receivers.len() + usize::from(file.github_app.is_some());
    let share = BYTES_AT_ONCE / count.max(1);
    let door = |receiver: Receiver, pace: u32| {
        let largest =
            receiver.kind.largest_body().map_or(file.limits.body_bytes, |most| most.max(file.limits.body_bytes));
        let name = receiver.name.clone();
        (name, Arc::new(Door::new(receiver, largest, share.max(2 * largest), pace)))
    };
    let mut doors = BTreeMap::new();
    for receiver_file in &file.receivers {
        let pace = receiver_file.requests_per_second.map_or(REQUESTS_PER_SECOND, std::num::NonZeroU32::get);
        doors.extend([door(receiver(receiver_file, &file.address())?, pace)]);
    }
    if let Some(app) = &file.github_app {
        let (name, door) = door(of_app(app)?, REQUESTS_PER_SECOND);
        if doors.insert(name, door).is_some() {
            let message = format!("the receiver `{GITHUB_APP}` has the name of the GitHub App's own; give it another");
            return Err(Failure::invalid(message));
        }
    }
    Ok(doors)
}

/// The receiver of the GitHub App. It hears of packages as well, and may speak for every image of its tenant.
pub(crate) fn of_app(app: &GithubAppFile) -> Result<Receiver, Failure> {
    let invalid = |message: String| Failure::invalid(format!("{OF_APP}: {message}"));
    let source = app.webhook_secret().ok_or_else(|| invalid("say where the secret of the webhook is".to_owned()))?;
    let secrets = vec![secrets::read(OF_APP, &source)?];
    let name: ReceiverName =
        GITHUB_APP.parse().map_err(|error: tagboat_model::NameError| invalid(error.to_string()))?;
    let (tenant, tenancy) = match &app.tenant {
        Some(tenant) => (tenant.clone(), Tenancy::App),
        None => (TenantName::default(), Tenancy::PerOwner),
    };
    let configured = Configured { secrets, ..Configured::default() };
    let credentials = credentials(Kind::Github, &tenant, &name, configured).map_err(|error| invalid(error.message))?;
    let every = "**".parse().map_err(|error: ImagePatternError| invalid(error.to_string()))?;
    Ok(Receiver {
        name,
        tenant,
        kind: Kind::Github,
        credentials,
        registry: None,
        repository: None,
        tenancy,
        images: vec![every],
    })
}

/// One receiver, its secrets read. `address` is that of the server.
pub(crate) fn receiver(file: &ReceiverFile, address: &str) -> Result<Receiver, Failure> {
    let whose = format!("receiver `{}`", file.name);
    let invalid = |message: &str| Failure::invalid(format!("{whose}: {message}"));
    let secrets = file.secrets().iter().map(|source| secrets::read(&whose, source)).collect::<Result<Vec<_>, _>>()?;
    let configured = file.configured(address).map_err(|(_, message)| invalid(&message))?;
    let kind = file.kind.into();
    let credentials = credentials(kind, &file.tenant, &file.name, Configured { secrets, ..configured })
        .map_err(|error| invalid(&error.message))?;
    let images = file.images.iter().map(|pattern| pattern.parse());
    let images = images.collect::<Result<_, ImagePatternError>>();
    Ok(Receiver {
        name: file.name.clone(),
        tenant: file.tenant.clone(),
        kind,
        credentials,
        registry: file.registry.clone(),
        repository: file.repository.clone(),
        tenancy: Tenancy::Fixed,
        images: images.map_err(|error| invalid(&error.to_string()))?,
    })
}
