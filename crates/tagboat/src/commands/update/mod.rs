//! `tagboat update`: write versions into a work tree, with no server and no configuration. What a pipeline would do with
//! `sed`, but it knows what it edits, and says what it does not.
//!
//! All files are looked at and everything is worked out before the first one is written.

mod show;

use std::collections::BTreeSet;

use tagboat_manifest::{LARGEST_FILE, NewImage, Request, Source, Unreadable, named_in_unreadable};
use tagboat_model::{CommitId, ImageName, Pin, Uneditable, WrittenImage};
use tagboat_promotion::{CommitStyle, CommitWords, commit_message, one_shot_id};
use tagboat_repository::{Content, WorkTree};
use tagboat_settings::REPOSITORY_FILE;

use crate::{
    cli::{self, Update},
    commands::work_tree::{self, Scope},
    exit::{Code, Failure},
};

/// What becomes of one file.
struct FileUpdate {
    file: String,
    before: Vec<u8>,
    update: tagboat_manifest::Update,
}

/// Read `REPOSITORY:TAG[@DIGEST]`.
pub(crate) fn image(text: &str) -> Result<NewImage, String> {
    let written = text.parse::<WrittenImage>().map_err(|error| error.to_string())?;
    NewImage::of(written)
        .ok_or_else(|| format!("`{text}` has no tag; write REPOSITORY:TAG, with @DIGEST after it if you like"))
}

/// Read `NAMESPACE:POLICY=REPOSITORY:TAG[@DIGEST]`.
pub(crate) fn marker(text: &str) -> Result<(String, NewImage), String> {
    let wrong = || format!("`{text}` is not NAMESPACE:POLICY=REPOSITORY:TAG[@DIGEST]");
    let (policy, written) = text.split_once('=').ok_or_else(wrong)?;
    let (namespace, name) = policy.split_once(':').ok_or_else(wrong)?;
    if namespace.is_empty() || name.is_empty() || name.contains(':') {
        return Err(wrong());
    }
    Ok((policy.to_owned(), image(written)?))
}

pub(crate) fn run(arguments: &Update) -> Result<Code, Failure> {
    let tree = work_tree::open(&arguments.path)?;
    let settings = if arguments.env.is_some() { work_tree::settings(&tree)? } else { None };
    let environment = match (&arguments.env, &settings) {
        (None, _) => None,
        (Some(name), Some(settings)) => Some(work_tree::environment(settings, name)?),
        (Some(name), None) => {
            let message = format!("`--env {name}` needs {REPOSITORY_FILE} at {}", arguments.path.display());
            return Err(Failure::invalid(message));
        }
    };
    if let Some(environment) = environment
        && let (Some(lives_on), Some(branch)) = (&environment.branch, tree.branch())
        && *lives_on != branch
    {
        let message = format!(
            "the environment `{}` lives on branch {lives_on}, and this work tree is on {branch}; check that out first",
            environment.name
        );
        return Err(Failure::invalid(message));
    }
    let entries = settings.as_ref().map(|settings| settings.images.as_slice()).unwrap_or_default();
    let scope = environment.map_or_else(Scope::default, |environment| Scope::of_environment(environment, entries));
    let mut request = request(arguments)?;
    if let Some(environment) = environment {
        for image in &mut request.images {
            let entry = entries.iter().find(|entry| entry.is_named(&image.name));
            if let Some(entry) = entry.map(|entry| entry.within(environment)) {
                image.aliases = entry.names().filter(|name| **name != image.name).cloned().collect();
                image.pin = arguments.pin.map_or(entry.pin, Pin::from);
            }
        }
    }
    let updates = look(&tree, &scope, &request, |_| true)?;
    let mut commits = Vec::new();
    if arguments.commit {
        commits = commit(&tree, &scope, &request, &updates)?;
    } else if !arguments.dry_run {
        write(&tree, &updates)?;
    }
    show::show(arguments, &request, &updates, &commits);
    Ok(code(arguments, &updates))
}

fn request(arguments: &Update) -> Result<Request, Failure> {
    let pin = arguments.pin.map_or(Pin::Keep, Pin::from);
    let images: Vec<NewImage> = arguments.image.iter().map(|image| NewImage { pin, ..image.clone() }).collect();
    let mut seen: BTreeSet<&ImageName> = BTreeSet::new();
    if let Some(twice) = images.iter().find(|image| !seen.insert(&image.name)) {
        return Err(Failure::invalid(format!("`--image` names {} twice; it can have one version", twice.name)));
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    if let Some((twice, _)) = arguments.marker.iter().find(|(policy, _)| !seen.insert(policy)) {
        return Err(Failure::invalid(format!("`--marker` names {twice} twice; it can have one image")));
    }
    Ok(Request { images, markers: arguments.marker.clone() })
}

/// What becomes of every file. `active` says whose changes are made.
fn look(
    tree: &WorkTree,
    scope: &Scope<'_>,
    request: &Request,
    active: impl Fn(Source) -> bool + Sync,
) -> Result<Vec<FileUpdate>, Failure> {
    let one = |path: &str, content: Content<'_>| {
        let (Content::Bytes(bytes) | Content::TooLarge(bytes)) = content;
        let claims = scope.claims(path);
        if !request.concerns(path, bytes) && claims.is_empty() {
            return None;
        }
        let update = match content {
            Content::TooLarge(_) => Err(Unreadable::TooLarge),
            // A file that does not belong to the environment has only the places that its entries name.
            Content::Bytes(_) => tagboat_manifest::update(path, bytes, &claims, request, !scope.owns(path), &active),
        };
        let update = update.unwrap_or_else(|why| unreadable(path, bytes, &why, request));
        let empty = update.changes.is_empty() && update.current == 0 && update.uneditable.is_empty();
        (!empty).then(|| FileUpdate { file: path.to_owned(), before: bytes.to_vec(), update })
    };
    tree.look(LARGEST_FILE, |path| scope.wants(path), one).map_err(|error| work_tree::failed(&error))
}

fn unreadable(path: &str, bytes: &[u8], why: &Unreadable, request: &Request) -> tagboat_manifest::Update {
    let wanted = |image: &ImageName| request.images.iter().any(|it| it.is_named(image));
    let mut uneditable = named_in_unreadable(path, bytes, why, wanted);
    let text = String::from_utf8_lossy(bytes);
    let named = |policy: &String| text.contains(policy);
    for (policy, image) in request.markers.iter().filter(|(policy, _)| named(policy)) {
        let detail = format!("a marker of {policy} may be in it, but the file cannot be read: {why}");
        let (file, image) = (path.to_owned(), Some(image.name.clone()));
        uneditable.push(Uneditable { file, line: why.line(), image, claimed: false, filled_in: false, detail });
    }
    tagboat_manifest::Update { uneditable, ..tagboat_manifest::Update::default() }
}

fn write(tree: &WorkTree, updates: &[FileUpdate]) -> Result<(), Failure> {
    for FileUpdate { file, before, update } in updates {
        if let Some(after) = &update.bytes {
            tree.replace(file, before, after).map_err(|error| work_tree::failed(&error))?;
        }
    }
    Ok(())
}

/// Put back what was before, where nobody wrote anything else since.
fn take_back(tree: &WorkTree, updates: &[FileUpdate]) {
    for FileUpdate { file, before, update } in updates {
        if let Some(after) = &update.bytes {
            // The reason why is told already; a file that cannot be put back shows in `git status`.
            let _ = tree.replace(file, after, before);
        }
    }
}

/// Write and commit image after image, so that `git revert` takes back one thing.
fn commit(
    tree: &WorkTree,
    scope: &Scope<'_>,
    request: &Request,
    updates: &[FileUpdate],
) -> Result<Vec<CommitId>, Failure> {
    let failed = |error| work_tree::failed(&error);
    let changed = |updates: &[FileUpdate]| -> Vec<String> {
        updates.iter().filter(|it| it.update.bytes.is_some()).map(|it| it.file.clone()).collect()
    };
    let paths = changed(updates);
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let dirty = tree.uncommitted(&paths).map_err(failed)?;
    if !dirty.is_empty() {
        let message = format!(
            "these files have changes that are not committed: {}; commit or stash them first, or leave out `--commit`",
            dirty.join(", ")
        );
        return Err(Failure { code: Code::Refused, message });
    }
    let images = (0..request.images.len()).map(Source::Image);
    let sources = images.chain((0..request.markers.len()).map(Source::Marker));
    let mut commits = Vec::new();
    for source in sources {
        let step = look(tree, scope, request, |other| other == source)?;
        let paths = changed(&step);
        let Some(image) = request.image(source).filter(|_| !paths.is_empty()) else { continue };
        write(tree, &step)?;
        let message = message(tree, scope, image, &step);
        let commit = tree.commit(&paths, &message);
        commits.push(commit.inspect_err(|_| take_back(tree, &step)).map_err(failed)?);
    }
    Ok(commits)
}

fn message(tree: &WorkTree, scope: &Scope<'_>, image: &NewImage, updates: &[FileUpdate]) -> String {
    let mut current: Vec<String> = Vec::new();
    for from in updates.iter().flat_map(|it| &it.update.changes).map(|change| &change.from) {
        // A marker's value may be a whole image; what it carries is what counts.
        let version = from.parse::<WrittenImage>().ok().and_then(|written| written.tag).map(|tag| tag.to_string());
        let from = version.filter(|_| from.contains('/')).unwrap_or_else(|| from.clone());
        if !current.contains(&from) {
            current.push(from);
        }
    }
    let repository = image.name.repository();
    let files: Vec<&str> = updates.iter().filter(|it| it.update.bytes.is_some()).map(|it| it.file.as_str()).collect();
    let words = CommitWords {
        entry: repository.rsplit('/').next().unwrap_or(repository),
        environment: scope.environment.map(|environment| &environment.name),
        image: &image.name,
        current: &current,
        files: &files,
        tag: &image.tag,
        digest: image.digest.as_ref(),
        because: None,
        decision: None,
    };
    let decision = one_shot_id(tree.head().as_ref(), &words);
    // The style of a repository file is for the server's commits: it knows who signs them off.
    commit_message(&CommitWords { decision: decision.as_ref(), ..words }, &CommitStyle::default())
}

/// Places that should change and do not.
fn refused(updates: &[FileUpdate]) -> impl Iterator<Item = &Uneditable> {
    updates.iter().flat_map(|it| &it.update.uneditable).filter(|place| !place.filled_in)
}

fn code(arguments: &Update, updates: &[FileUpdate]) -> Code {
    let changes = updates.iter().any(|it| !it.update.changes.is_empty());
    let current = updates.iter().any(|it| it.update.current > 0);
    if refused(updates).next().is_some() {
        Code::Refused
    } else if changes && arguments.dry_run {
        Code::Pending
    } else if changes || current {
        Code::Ok
    } else {
        Code::Nothing
    }
}

impl From<cli::Pin> for Pin {
    fn from(pin: cli::Pin) -> Self {
        match pin {
            cli::Pin::Keep => Self::Keep,
            cli::Pin::Tag => Self::Tag,
            cli::Pin::Digest => Self::Digest,
            cli::Pin::TagAndDigest => Self::TagAndDigest,
        }
    }
}
