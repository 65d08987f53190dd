//! Texts of pull requests that are longer than forges take: the block of a large group is kept in the database, and only a
//! word on it stands in the text.
//!
//! What is kept bears its seal as it does in a text. With the database it is lost, and the text is written anew.

use sha2::{Digest as _, Sha256};
use tagboat_model::{BranchKey, PullRequest};
use tagboat_promotion::pull::block_in;

use crate::{Engine, ReconcileError};

/// In bytes: GitHub takes 65,536 characters.
const LONGEST_TEXT: usize = 65_000;
const OPENS: &str = "<!-- tagboat-state-kept ";
const CLOSES: &str = " -->";

impl Engine {
    /// A text as the forge takes it.
    pub(crate) async fn shortened(&self, key: &BranchKey, body: &str) -> Result<String, ReconcileError> {
        let Some(block) = block_in(body).filter(|_| body.len() > LONGEST_TEXT) else { return Ok(body.to_owned()) };
        let hash = Sha256::digest(block);
        let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.ports.store.keep(&key.tenant, &key.repository, &format!("block:{name}"), block).await?;
        Ok(body.replace(block, &format!("{OPENS}{name}{CLOSES}")))
    }

    /// A pull request with its text as it was before that.
    pub(crate) async fn lengthened(
        &self,
        key: &BranchKey,
        mut pull: PullRequest,
    ) -> Result<PullRequest, ReconcileError> {
        let Some((before, rest)) = pull.body.rsplit_once(OPENS) else { return Ok(pull) };
        let Some((name, after)) = rest.split_once(CLOSES) else { return Ok(pull) };
        let is_name = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_name
            && let Some(block) = self.ports.store.kept(&key.tenant, &key.repository, &format!("block:{name}")).await?
        {
            pull.body = format!("{before}{block}{after}");
        }
        Ok(pull)
    }
}
