//! Receivers, from the server file and the secrets that it names.

use std::{collections::BTreeMap, sync::Arc};

use tagboat_intake::{Configured, Receiver, credentials};
use tagboat_model::ReceiverName;
use tagboat_server::Door;
use tagboat_settings::{ReceiverFile, ServerFile};

use crate::{exit::Failure, secrets};

/// Authentic requests per second that a receiver takes on average, where the server file says nothing else.
const REQUESTS_PER_SECOND: u32 = 2000;
/// Bytes of bodies that are held at once, of all receivers together. Shared out, so that one cannot starve another.
const BYTES_AT_ONCE: usize = 64 * 1024 * 1024;

/// All receivers of a server file, with the bounds of each.
pub(crate) fn doors(file: &ServerFile) -> Result<BTreeMap<ReceiverName, Arc<Door>>, Failure> {
    let share = BYTES_AT_ONCE / file.receivers.len().max(1);
    let door = |receiver_file: &ReceiverFile| {
        let receiver = receiver(receiver_file, &file.address())?;
        let largest =
            receiver.kind.largest_body().map_or(file.limits.body_bytes, |most| most.max(file.limits.body_bytes));
        let pace = receiver_file.requests_per_second.map_or(REQUESTS_PER_SECOND, std::num::NonZeroU32::get);
        let door = Door::new(receiver, largest, share.max(2 * largest), pace);
        Ok((receiver_file.name.clone(), Arc::new(door)))
    };
    file.receivers.iter().map(door).collect()
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
    let images = images.collect::<Result<_, tagboat_intake::ImagePatternError>>();
    Ok(Receiver {
        name: file.name.clone(),
        tenant: file.tenant.clone(),
        kind,
        credentials,
        registry: file.registry.clone(),
        repository: file.repository.clone(),
        images: images.map_err(|error| invalid(&error.to_string()))?,
    })
}
