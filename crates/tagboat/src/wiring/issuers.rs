//! Where published keys come from, from the server file: an issuer for each receiver that believes tokens.

use std::{collections::BTreeMap, sync::Arc};

use tagboat_issuer::{IssuerSettings, Issuers, KeysFrom, TransportSettings};
use tagboat_settings::{IdentityFile, ServerFile};

use super::http;
use crate::{exit::Failure, system::SystemClock};

/// All issuers that receivers name. Several may believe one: they say the same of it, or nothing.
pub(crate) fn of_server(file: &ServerFile) -> Result<Issuers, Failure> {
    let mut issuers: BTreeMap<String, (&IdentityFile, IssuerSettings)> = BTreeMap::new();
    for receiver in &file.receivers {
        let Some(identity) = &receiver.identity else { continue };
        let whose = format!("receiver `{}`", receiver.name);
        let configured = receiver
            .configured(&file.address())
            .map_err(|(_, message)| Failure::invalid(format!("{whose}: {message}")))?;
        let Some(rule) = configured.identity else { continue };
        if let Some((earlier, _)) = issuers.get(&rule.issuer)
            && (&earlier.keys_file, &earlier.certificate_authority_files)
                != (&identity.keys_file, &identity.certificate_authority_files)
        {
            return Err(Failure::invalid(format!(
                "{whose}: another receiver reaches the issuer {} in another way; write `keysFile` and \
                 `certificateAuthorityFiles` alike in both",
                rule.issuer
            )));
        }
        let keys = match &identity.keys_file {
            Some(path) => KeysFrom::Document(http::read(&whose, path)?),
            None => KeysFrom::Discovery,
        };
        let certificate_authorities = http::authorities(&whose, &identity.certificate_authority_files)?;
        let transport = TransportSettings { certificate_authorities, ..TransportSettings::default() };
        issuers.insert(rule.issuer, (identity, IssuerSettings { keys, transport }));
    }
    let issuers = issuers.into_iter().map(|(issuer, (_, settings))| (issuer, settings)).collect();
    Issuers::new(&issuers, &TransportSettings::default(), Arc::new(SystemClock))
        .map_err(|error| Failure::invalid(tagboat_engine::chain(&error)))
}
