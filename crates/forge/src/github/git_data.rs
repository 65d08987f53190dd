//! Commits out of single objects, as the Git Data API takes them: blobs, trees with their modes, commits that GitHub
//! signs because no author is given. No branch is moved here, and nobody sees what is made until one is.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use lru::LruCache;
use serde::Deserialize;
use serde_json::{Value, json};
use tagboat_model::CommitId;
use tagboat_ports::{NewCommit, NewFile, PROPOSED_FILE};

use super::{GithubForge, client::Repeat, wire::commit};
use crate::error::Failure;

/// Trees that are remembered: what is below an id never changes.
const MOST_TREES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);
/// Above that a file goes as a blob of its own, in bytes.
const LARGEST_INLINE: usize = 1 << 20;
/// A regular file without special rights.
pub(super) const REGULAR: &str = "100644";
const EXECUTABLE: &str = "100755";

/// What a folder holds, by name.
type Tree = BTreeMap<String, Entry>;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Entry {
    path: String,
    mode: String,
    sha: String,
}

#[derive(Deserialize)]
struct WireTree {
    tree: Vec<Entry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

#[derive(Deserialize)]
struct WireCommit {
    tree: Object,
}

/// Trees that were read.
pub(super) struct Trees(Mutex<LruCache<String, Arc<Tree>>>);

impl Trees {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MOST_TREES)))
    }

    fn get(&self, id: &str) -> Option<Arc<Tree>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn put(&self, id: &str, tree: &Arc<Tree>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(id.to_owned(), Arc::clone(tree));
    }
}

impl GithubForge {
    /// The id of a commit's tree; nothing when GitHub does not have the commit.
    pub(super) async fn tree_of(&self, commit: &CommitId) -> Result<Option<String>, Failure> {
        let answer = self.client.get(&self.path(&format!("/git/commits/{commit}"))).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(answer.success()?.json::<WireCommit>()?.tree.sha))
    }

    async fn tree(&self, trees: &Trees, id: &str) -> Result<Arc<Tree>, Failure> {
        if let Some(tree) = trees.get(id) {
            return Ok(tree);
        }
        let answer = self.client.get(&self.path(&format!("/git/trees/{id}"))).await?.success()?;
        let read: WireTree = answer.json()?;
        if read.truncated {
            return Err(Failure::unsupported("a folder has more entries than GitHub shows; push with Git instead"));
        }
        let tree: Tree = read.tree.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        let tree = Arc::new(tree);
        trees.put(id, &tree);
        Ok(tree)
    }

    /// The mode of a file, which stays what it is.
    pub(super) async fn mode(&self, trees: &Trees, root: &str, path: &str) -> Result<String, Failure> {
        let mut id = root.to_owned();
        let mut mode = None;
        for part in path.split('/') {
            let tree = self.tree(trees, &id).await?;
            if path == PROPOSED_FILE && !tree.contains_key(part) {
                return Ok(REGULAR.to_owned());
            }
            let entry = tree.get(part).ok_or_else(|| Failure::permanent(format!("there is no file `{path}`")))?;
            id.clone_from(&entry.sha);
            mode = Some(entry.mode.clone());
        }
        match mode {
            Some(mode) if mode == REGULAR || mode == EXECUTABLE => Ok(mode),
            _ => Err(Failure::permanent(format!("`{path}` is no regular file, and is never written"))),
        }
    }

    /// Make commits, each on top of the one before; nothing when GitHub does not have the base.
    pub(super) async fn make_commits(
        &self,
        trees: &Trees,
        base: &CommitId,
        commits: &[NewCommit],
    ) -> Result<Option<Vec<CommitId>>, Failure> {
        let Some(mut tree) = self.tree_of(base).await? else { return Ok(None) };
        let root = tree.clone();
        let (mut parent, mut made) = (base.clone(), Vec::new());
        for new in commits {
            // Modes never change, so those of the base are those of all.
            tree = self.make_tree(trees, &root, &tree, &new.files).await?;
            let body = json!({ "message": new.message, "tree": tree, "parents": [parent.as_str()] });
            parent = commit(&self.make("/git/commits", &body).await?)?;
            made.push(parent.clone());
        }
        Ok(Some(made))
    }

    async fn make_tree(&self, trees: &Trees, root: &str, base: &str, files: &[NewFile]) -> Result<String, Failure> {
        let mut entries = Vec::new();
        for file in files {
            let mode = self.mode(trees, root, &file.path).await?;
            let mut entry = json!({ "path": file.path, "mode": mode, "type": "blob" });
            match std::str::from_utf8(&file.bytes) {
                Ok(text) if text.len() <= LARGEST_INLINE => entry["content"] = json!(text),
                _ => {
                    let blob = json!({ "content": STANDARD.encode(&file.bytes), "encoding": "base64" });
                    entry["sha"] = json!(self.make("/git/blobs", &blob).await?);
                }
            }
            entries.push(entry);
        }
        self.make("/git/trees", &json!({ "base_tree": base, "tree": entries })).await
    }

    /// Objects are known by what they hold, and one too many is seen by nobody: making them again is harmless.
    async fn make(&self, what: &str, body: &Value) -> Result<String, Failure> {
        let answer = self.client.write(Method::POST, &self.path(what), Some(body), Repeat::Harmless).await?;
        Ok(answer.success()?.json::<Object>()?.sha)
    }
}
