//! Commits without a work tree: trees edited along the touched paths, all in memory.

use std::collections::BTreeMap;

use gix::{
    ObjectId,
    bstr::{BStr, BString},
    objs::{Kind, Write as _, WriteTo as _},
};
use tagboat_model::Timestamp;

use tagboat_ports::{NewCommit, PROPOSED_FILE};

use crate::{
    Failure, Inner, mirror,
    mirror::damaged,
    settings::{CommitSettings, Identity},
    signing,
};

/// Objects that the server cannot have yet: what goes into the pack.
pub(crate) type NewObjects = Vec<(ObjectId, Kind, Vec<u8>)>;

/// Make commits, each on top of the one before, the first on `base`. Nothing is written to the mirror.
///
/// Equal input makes equal commits, as far as the signature is the same each time.
pub(crate) fn build(
    inner: &Inner,
    base: ObjectId,
    commits: &[NewCommit],
) -> Result<(Vec<ObjectId>, NewObjects), Failure> {
    let repository = inner.mirror.repository()?.with_object_memory();
    let mut workshop = Workshop { repository, made: BTreeMap::new() };
    let (mut ids, mut parent) = (Vec::new(), base);
    for commit in commits {
        parent = workshop.commit(&inner.commits, parent, commit)?;
        ids.push(parent);
    }
    Ok((ids, workshop.objects()))
}

/// Make one commit of a tree that holds one file and nothing else, on top of `parent` or of nothing.
pub(crate) fn build_alone(
    inner: &Inner,
    parent: Option<ObjectId>,
    (file, bytes): (&str, &[u8]),
    message: &str,
    time: Timestamp,
) -> Result<(ObjectId, NewObjects), Failure> {
    let repository = inner.mirror.repository()?.with_object_memory();
    let mut workshop = Workshop { repository, made: BTreeMap::new() };
    let blob = workshop.write(&gix::objs::BlobRef { data: bytes })?;
    let mode = gix::objs::tree::EntryKind::Blob.into();
    let entry = gix::objs::tree::Entry { mode, filename: BString::from(file), oid: blob };
    let tree = workshop.write(&gix::objs::Tree { entries: vec![entry] })?;
    let id = workshop.seal(&inner.commits, unsigned(&inner.commits, tree, parent, (message, time)), time)?;
    Ok((id, workshop.objects()))
}

/// Where objects are made.
struct Workshop {
    /// With a memory of its own, so that the next commit finds what this one made.
    repository: gix::Repository,
    /// All that was made, also what the mirror has already: it may hold what the server never took.
    made: BTreeMap<ObjectId, (Kind, Vec<u8>)>,
}

impl Workshop {
    fn write(&mut self, object: &dyn gix::objs::WriteTo) -> Result<ObjectId, Failure> {
        let mut data = Vec::new();
        object.write_to(&mut data).map_err(damaged)?;
        let id = self.repository.write_buf(object.kind(), &data).map_err(damaged)?;
        self.made.insert(id, (object.kind(), data));
        Ok(id)
    }

    fn commit(&mut self, settings: &CommitSettings, parent: ObjectId, commit: &NewCommit) -> Result<ObjectId, Failure> {
        let repository = self.repository.clone();
        let root = repository.find_commit(parent).map_err(damaged)?.tree_id().map_err(damaged)?.detach();
        // The plumbing editor: the porcelain one wants every neighbour of an edited file to be there.
        let mut editor = repository.edit_tree(root).map_err(damaged)?.detach();
        for file in &commit.files {
            // Whoever decided has asked before; this holds it.
            let kind = match mirror::editable(&repository, root, &file.path)? {
                Ok((mode, _)) => mode.kind(),
                Err(_) if file.path == PROPOSED_FILE && mirror::is_free(&repository, root, &file.path)? => {
                    gix::objs::tree::EntryKind::Blob
                }
                Err(why) => return Err(Failure::permanent(format!("{} is not written: {why}", file.path))),
            };
            let blob = self.write(&gix::objs::BlobRef { data: &file.bytes })?;
            editor.upsert(file.path.split('/').map(BStr::new), kind, blob).map_err(damaged)?;
        }
        let failed = |failure: Failure| gix::Error::from_error(std::io::Error::other(failure.to_string()));
        let tree = editor.write(|tree| self.write(tree).map_err(failed)).map_err(damaged)?;
        self.seal(settings, unsigned(settings, tree, Some(parent), (commit.message.as_str(), commit.time)), commit.time)
    }

    /// Sign a commit if commits are signed, and write it.
    fn seal(
        &mut self,
        settings: &CommitSettings,
        unsigned: gix::objs::Commit,
        time: Timestamp,
    ) -> Result<ObjectId, Failure> {
        let Some(signing) = &settings.signing else { return self.write(&unsigned) };
        let mut text = Vec::new();
        unsigned.write_to(&mut text).map_err(damaged)?;
        let signature = signing::sign(signing, &text, Some(time))?;
        self.write(&gix::objs::Commit { extra_headers: vec![("gpgsig".into(), signature.into())], ..unsigned })
    }

    fn objects(self) -> NewObjects {
        self.made.into_iter().map(|(id, (kind, data))| (id, kind, data)).collect()
    }
}

fn unsigned(
    settings: &CommitSettings,
    tree: ObjectId,
    parent: Option<ObjectId>,
    (message, time): (&str, Timestamp),
) -> gix::objs::Commit {
    let by = |identity: &Identity| gix::actor::Signature {
        name: identity.name.as_str().into(),
        email: identity.email.as_str().into(),
        time: gix::date::Time::new(time.0.div_euclid(1000), 0),
    };
    gix::objs::Commit {
        tree,
        parents: parent.into_iter().collect(),
        author: by(&settings.author),
        committer: by(&settings.committer),
        encoding: None,
        message: BString::from(message),
        extra_headers: Vec::new(),
    }
}

/// Whether `new` stands on `base`, by following the first parents of commits among `objects` alone. What is pushed to a
/// branch of people must.
pub(crate) fn stands_on(new: ObjectId, base: ObjectId, objects: &NewObjects) -> bool {
    let mut at = new;
    for _ in 0..=objects.len() {
        if at == base {
            return true;
        }
        let commit = objects.iter().find(|(id, kind, _)| *id == at && *kind == Kind::Commit);
        let parent =
            commit.and_then(|(id, _, data)| gix::objs::CommitRefIter::from_bytes(data, id.kind()).parent_ids().next());
        let Some(parent) = parent else { return false };
        at = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(parent: ObjectId) -> (ObjectId, Kind, Vec<u8>) {
        let data = format!(
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent {parent}\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nx"
        );
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Commit, data.as_bytes()).unwrap();
        (id, Kind::Commit, data.into_bytes())
    }

    #[test]
    fn only_what_stands_on_the_base_may_be_pushed_to_a_branch_of_people() {
        let (base, stranger) = (ObjectId::null(gix::hash::Kind::Sha1), commit(ObjectId::null(gix::hash::Kind::Sha1)).0);
        let first = commit(base);
        let second = commit(first.0);
        let (first_id, second_id) = (first.0, second.0);
        let objects = vec![second, first];
        assert!(stands_on(second_id, base, &objects) && stands_on(first_id, base, &objects));
        assert!(stands_on(base, base, &objects), "nothing to push stands on it");
        assert!(!stands_on(second_id, stranger, &Vec::new()) && !stands_on(stranger, second_id, &objects));
    }
}
