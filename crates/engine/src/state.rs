//! The bot's own ref: holds stand there too, so that losing the database brings nothing back that people took back.
//!
//! Written after each change and read only when the database knows nothing of a config repository.

use tagboat_model::BranchKey;
use tagboat_ports::{PushOutcome, Work};
use tagboat_promotion::state::{decode, encode};

use crate::{ConfigRepository, Engine, ReconcileError, chain, worker::unless_taken_over};

/// What the database keeps of what stands in the ref.
const WRITTEN: &str = "state-written";

impl Engine {
    /// Take up what the ref says, when the database knows nothing of it.
    pub(crate) async fn restore_state(&self, work: &Work, config: &ConfigRepository) -> Result<(), ReconcileError> {
        let BranchKey { tenant, repository, .. } = &work.key;
        let store = &self.ports.store;
        if store.kept(tenant, repository, WRITTEN).await?.is_some() {
            return Ok(());
        }
        let found = config.port.read_state().await?;
        let Some((commit, bytes)) = found else {
            store.keep(tenant, repository, WRITTEN, "").await?;
            return Ok(());
        };
        match decode(&bytes, &config.seal) {
            Ok((holds, left_out)) => {
                tracing::info!(branch = %work.key, holds = holds.len(), left_out, %commit, "holds were taken up from the bot's own ref");
                unless_taken_over(store.place_holds(work, &holds, self.now()).await?)?;
                store.keep(tenant, repository, WRITTEN, &fingerprint(&bytes)).await?;
            }
            // Whoever cannot read what people wished must not act against it.
            Err(error) => return Err(ReconcileError::State { detail: chain(&error) }),
        }
        Ok(())
    }

    /// Write the holds down in the ref, if they are others than stand there.
    pub(crate) async fn mirror_state(&self, work: &Work, config: &ConfigRepository) -> Result<(), ReconcileError> {
        let BranchKey { tenant, repository, .. } = &work.key;
        let store = &self.ports.store;
        let bytes = encode(&store.holds(tenant, repository).await?, &config.seal);
        let mark = fingerprint(&bytes);
        let written = store.kept(tenant, repository, WRITTEN).await?.unwrap_or_default();
        let nothing_yet = written.is_empty() && bytes == encode(&[], &config.seal);
        if written == mark || nothing_yet {
            return Ok(());
        }
        let old = config.port.read_state().await?;
        if old.as_ref().is_some_and(|(_, old)| *old == bytes) {
            store.keep(tenant, repository, WRITTEN, &mark).await?;
            return Ok(());
        }
        let old = old.map(|(commit, _)| commit);
        let outcome = config.port.write_state(old.as_ref(), &bytes, "Holds changed\n", self.now()).await?;
        match outcome {
            PushOutcome::Landed(_) => store.keep(tenant, repository, WRITTEN, &mark).await?,
            // The next reconcile tries again; the database has them meanwhile.
            PushOutcome::Moved(_) => {}
            PushOutcome::Refused(detail) => {
                tracing::warn!(branch = %work.key, %detail, "holds could not be written to the bot's own ref");
            }
        }
        Ok(())
    }
}

/// Something short that differs when the bytes do.
fn fingerprint(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}-{}", hasher.finish(), bytes.len())
}
