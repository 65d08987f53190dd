//! Commits without a work tree, and the push that puts them on a branch.

use gix::{ObjectId, bstr::BStr, objs::Kind, protocol::transport::Service};
use tagboat_model::CommitId;
use tagboat_ports::{NewCommit, Push, PushOutcome};

use crate::{
    Failure, Inner,
    link::{Link, one_line},
    mirror::{self, commit_id, is_ancestor, object_id},
    mirror_failed,
    send_pack::{self, RefUpdate},
};

/// Objects that the server cannot have yet: what goes into the pack.
pub(crate) type NewObjects = Vec<(ObjectId, Kind, Vec<u8>)>;

/// Make the commits, send them, and find out what became of them.
pub(crate) fn push(inner: &Inner, push: &Push) -> Result<PushOutcome, Failure> {
    let base = object_id(&push.base)?;
    let (commits, objects) = build(inner, base, &push.commits)?;
    let Some(new) = commits.last().copied() else { return Ok(PushOutcome::Landed(Vec::new())) };
    let ids = commits.into_iter().map(commit_id).collect::<Result<Vec<CommitId>, _>>()?;
    let name = format!("refs/heads/{}", push.branch);

    let mut link = Link::open(&inner.address, Service::ReceivePack)?;
    let advertised = send_pack::advertised(&mut *link.transport).map_err(|failure| link.explain(failure))?;
    let at = advertised.refs.get(&name).copied();
    // The advertisement says whether a push is worth sending at all.
    if at != Some(base) {
        return if at == Some(new) { Ok(PushOutcome::Landed(ids)) } else { after_a_move(inner, push, new, ids) };
    }
    let update = RefUpdate { name: &name, old: base, new };
    let sent = send_pack::send(&mut *link.transport, &advertised, &update, &objects);
    if let Ok(report) = &sent
        && report.refusal.is_none()
    {
        return Ok(PushOutcome::Landed(ids));
    }
    // Anything else is decided by where the branch is now, never by what an error says.
    match mirror::head(inner, &push.branch)? {
        Some(now) if now == push.base => match sent {
            Ok(report) => Ok(PushOutcome::Refused(one_line(&report.refusal.unwrap_or_default()))),
            Err(failure) => Err(link.explain(failure)),
        },
        _ => after_a_move(inner, push, new, ids),
    }
}

/// The branch is not where it was: with our commits below its head they landed, else somebody was faster.
fn after_a_move(inner: &Inner, push: &Push, new: ObjectId, ids: Vec<CommitId>) -> Result<PushOutcome, Failure> {
    let Some(head) = mirror::head(inner, &push.branch)? else { return Ok(PushOutcome::Moved) };
    let repository = mirror::open(inner)?;
    let ours = is_ancestor(&repository, new, object_id(&head)?, object_id(&push.base)?);
    Ok(if ours { PushOutcome::Landed(ids) } else { PushOutcome::Moved })
}

/// All objects of the commits, in memory: nothing is written to the mirror until it is fetched back.
fn build(inner: &Inner, base: ObjectId, commits: &[NewCommit]) -> Result<(Vec<ObjectId>, NewObjects), Failure> {
    let mut repository = mirror::open(inner)?.with_object_memory();
    let mut ids = Vec::new();
    let mut parent = base;
    for commit in commits {
        parent = build_one(inner, &repository, parent, commit)?;
        ids.push(parent);
    }
    let memory = repository.objects.take_object_memory().unwrap_or_default();
    let mut objects: NewObjects = memory.iter().map(|(id, (kind, data))| (*id, *kind, data.clone())).collect();
    // Commits first, then trees, then blobs: the order that Git's own packs have.
    objects.sort_by_key(|(id, kind, _)| {
        let rank = match kind {
            Kind::Commit => 0,
            Kind::Tag => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
        };
        (rank, *id)
    });
    Ok((ids, objects))
}

fn build_one(
    inner: &Inner,
    repository: &gix::Repository,
    parent: ObjectId,
    commit: &NewCommit,
) -> Result<ObjectId, Failure> {
    let tree = repository.find_commit(parent).map_err(mirror_failed)?.tree().map_err(mirror_failed)?;
    // The porcelain editor wants every neighbour of an edited file to be there; the plumbing one does not.
    let mut editor = repository.edit_tree(tree.id).map_err(mirror_failed)?.detach();
    for file in &commit.files {
        if tagboat_model::is_reserved_path(&file.path) {
            return Err(Failure::permanent(format!("{} is a path that is never written", file.path)));
        }
        let entry = tree.lookup_entry_by_path(&file.path).map_err(mirror_failed)?;
        let mode = entry.map(|entry| entry.mode()).filter(|mode| mode.is_blob());
        let mode = mode.ok_or_else(|| Failure::permanent(format!("{} is not a regular file", file.path)))?;
        let blob = repository.write_blob(&file.bytes).map_err(mirror_failed)?.detach();
        editor.upsert(file.path.split('/').map(BStr::new), mode.kind(), blob).map_err(mirror_failed)?;
    }
    let tree = editor.write(|tree| repository.write_object(tree).map(gix::Id::detach)).map_err(mirror_failed)?;
    let signature = gix::actor::Signature {
        name: inner.author.name.as_str().into(),
        email: inner.author.email.as_str().into(),
        time: gix::date::Time::new(commit.time.0.div_euclid(1000), 0),
    };
    let mut buffer = gix::date::parse::TimeBuf::default();
    let signature = signature.to_ref(&mut buffer);
    let id = repository.new_commit_as(signature, signature, &commit.message, tree, [parent]).map_err(mirror_failed)?.id;
    Ok(id)
}
