//! Bare repositories through the plumbing of the git command. Nothing here knows GitHub.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// Who wrote a commit: name and e-mail address.
pub(super) type Author<'a> = (&'a str, &'a str);

/// Run git on a bare repository and return what it printed, or its words when it fails.
pub(super) fn run(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    fed(folder, arguments, &[], b"").map(|text| text.trim_end().to_owned())
}

/// The same with variables and an input, untrimmed.
fn fed(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Result<String, String> {
    let output = raw(folder, arguments, variables, input)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// The same as bytes.
fn raw(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(folder).env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").args(arguments);
    command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().unwrap();
    // Nothing that is fed here answers before it has read everything; who has heard enough closes its end.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    Err(String::from_utf8_lossy(&words).into_owned())
}

/// A new repository that may be pushed to, and whose protected branches are listed in a file of its own.
pub(super) fn create(folder: &Path, branch: &str) {
    std::fs::create_dir_all(folder).unwrap();
    run(folder, &["init", "--bare", "--quiet", &format!("--initial-branch={branch}")]).unwrap();
    run(folder, &["config", "http.receivepack", "true"]).unwrap();
    // As GitHub serves them: any commit that is there, and partial clones.
    run(folder, &["config", "uploadpack.allowAnySHA1InWant", "true"]).unwrap();
    run(folder, &["config", "uploadpack.allowFilter", "true"]).unwrap();
    protect(folder, &[]);
    let hook = "#!/bin/sh\nwhile read -r protected; do\n  if [ \"$1\" = \"$protected\" ]; then\n\
        \x20   echo \"error: GH006: Protected branch update failed for $1.\" >&2\n\
        \x20   echo \"error: Changes must be made through a pull request.\" >&2\n    exit 1\n  fi\n\
        done < \"$GIT_DIR/protected-refs\"\n";
    let path = folder.join("hooks").join("update");
    std::fs::create_dir_all(folder.join("hooks")).unwrap();
    std::fs::write(&path, hook).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// From now on pushes to these references are refused.
pub(super) fn protect(folder: &Path, references: &[String]) {
    let lines: String = references.iter().map(|name| format!("{name}\n")).collect();
    std::fs::write(folder.join("protected-refs"), lines).unwrap();
}

/// All references and what they point to.
pub(super) fn references(folder: &Path) -> BTreeMap<String, String> {
    let lines = run(folder, &["for-each-ref", "--format=%(refname) %(objectname)"]).unwrap();
    lines.lines().filter_map(|line| line.split_once(' ')).map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

/// The full id of what a name, an id or `commit:path` stands for, if that is there.
pub(super) fn resolve(folder: &Path, name: &str) -> Option<String> {
    let id = run(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", name]).ok()?;
    // A full id is taken for its word.
    run(folder, &["cat-file", "-e", &id]).ok().map(|_| id)
}

/// The id of the commit that a name or an id stands for.
pub(super) fn commit(folder: &Path, name: &str) -> Option<String> {
    run(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]).ok()
}

/// The tree of a commit.
pub(super) fn tree_of(folder: &Path, commit: &str) -> String {
    run(folder, &["rev-parse", &format!("{commit}^{{tree}}")]).unwrap()
}

/// Point a reference to an object, if it still points where it should (all zeros: nowhere).
pub(super) fn update(folder: &Path, name: &str, new: &str, old: Option<&str>) -> Result<(), String> {
    let mut arguments = vec!["update-ref", name, new];
    arguments.extend(old);
    run(folder, &arguments).map(|_| ())
}

/// Take a reference away.
pub(super) fn delete(folder: &Path, name: &str) -> Result<(), String> {
    run(folder, &["update-ref", "-d", name]).map(|_| ())
}

/// Store a file.
pub(super) fn blob(folder: &Path, content: &[u8]) -> String {
    fed(folder, &["hash-object", "-w", "--stdin"], &[], content).unwrap().trim_end().to_owned()
}

/// Store many files with few processes, each of which takes longer than what it writes.
pub(super) fn blobs(folder: &Path, contents: &[&[u8]]) -> Vec<String> {
    let mut ids = Vec::new();
    // What is answered while there is still something to say fits into the pipe.
    for some in contents.chunks(500) {
        let work = tempfile::tempdir().unwrap();
        let mut paths = String::new();
        for (index, content) in some.iter().enumerate() {
            let path = work.path().join(index.to_string());
            std::fs::write(&path, content).unwrap();
            paths.push_str(&format!("{}\n", path.display()));
        }
        let arguments = ["hash-object", "-w", "--no-filters", "--stdin-paths"];
        let printed = fed(folder, &arguments, &[], paths.as_bytes()).unwrap();
        ids.extend(printed.lines().map(str::to_owned));
    }
    ids
}

/// A file's content at a commit or in a tree.
pub(super) fn file(folder: &Path, at: &str, path: &str) -> Option<Vec<u8>> {
    raw(folder, &["cat-file", "blob", &format!("{at}:{path}")], &[], b"").ok()
}

/// One change of a tree: mode and blob, or nothing when the file goes.
pub(super) struct Change {
    /// The file.
    pub(super) path: String,
    /// `100644` and the blob's id.
    pub(super) entry: Option<(String, String)>,
}

/// A tree with changes laid over another.
pub(super) fn tree(folder: &Path, base: Option<&str>, changes: &[Change]) -> Result<String, String> {
    let work = tempfile::tempdir().unwrap();
    let index = work.path().join("index").display().to_string();
    let variables = [("GIT_INDEX_FILE", index.as_str())];
    fed(folder, &["read-tree", base.unwrap_or("--empty")], &variables, b"")?;
    let mut lines = String::new();
    for change in changes {
        match &change.entry {
            Some((mode, id)) => lines.push_str(&format!("{mode} {id}\t{}\n", change.path)),
            None => lines.push_str(&format!("0 {}\t{}\n", "0".repeat(40), change.path)),
        }
    }
    fed(folder, &["update-index", "--add", "--index-info"], &variables, lines.as_bytes())?;
    fed(folder, &["write-tree"], &variables, b"").map(|id| id.trim_end().to_owned())
}

/// A commit of a tree.
pub(super) fn commit_tree(
    folder: &Path,
    tree: &str,
    parents: &[String],
    message: &str,
    (name, email): Author<'_>,
) -> Result<String, String> {
    let mut arguments = vec!["commit-tree", tree];
    for parent in parents {
        arguments.extend(["-p", parent.as_str()]);
    }
    arguments.extend(["-F", "-"]);
    let variables = [
        ("GIT_AUTHOR_NAME", name),
        ("GIT_AUTHOR_EMAIL", email),
        ("GIT_COMMITTER_NAME", name),
        ("GIT_COMMITTER_EMAIL", email),
    ];
    fed(folder, &arguments, &variables, message.as_bytes()).map(|id| id.trim_end().to_owned())
}

/// The tree of both sides merged; nothing when they conflict.
pub(super) fn merged_tree(folder: &Path, ours: &str, theirs: &str) -> Option<String> {
    let printed = run(folder, &["merge-tree", "--write-tree", ours, theirs]).ok()?;
    printed.lines().next().map(str::to_owned)
}

/// Whether one commit is in the history of another, or the same.
pub(super) fn is_ancestor(folder: &Path, older: &str, newer: &str) -> bool {
    run(folder, &["merge-base", "--is-ancestor", older, newer]).is_ok()
}

/// The commits of `head` that `base` has not, oldest first.
pub(super) fn commits_between(folder: &Path, base: &str, head: &str) -> Vec<String> {
    let lines = run(folder, &["rev-list", "--reverse", &format!("{base}..{head}")]).unwrap_or_default();
    lines.lines().map(str::to_owned).collect()
}

/// What a commit says of itself.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) date: String,
    pub(super) message: String,
}

/// Look into a commit.
pub(super) fn describe(folder: &Path, commit: &str) -> Described {
    let format = "--format=%T%x00%P%x00%an%x00%ae%x00%aI%x00%B";
    let printed = run(folder, &["show", "--no-patch", format, commit]).unwrap();
    let mut parts = printed.splitn(6, '\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (tree, parents, name, email, date) = (next(), next(), next(), next(), next());
    let parents = parents.split_whitespace().map(str::to_owned).collect();
    Described { tree, parents, name, email, date, message: next().trim_end().to_owned() }
}

/// Paths that differ between two commits, each with git's letter for how (`A`, `M`, `D`).
pub(super) fn changed_paths(folder: &Path, before: &str, after: &str) -> Vec<(String, String)> {
    let printed = run(folder, &["diff-tree", "-r", "--no-renames", "--name-status", before, after]).unwrap_or_default();
    let lines = printed.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(how, path)| (how.to_owned(), path.to_owned())).collect()
}

/// Entries of a tree: mode, kind, id and path.
pub(super) fn entries(folder: &Path, tree: &str, recursive: bool) -> Result<Vec<[String; 4]>, String> {
    let mut arguments = vec!["ls-tree", "-z"];
    if recursive {
        arguments.extend(["-r", "-t"]);
    }
    arguments.push(tree);
    let printed = fed(folder, &arguments, &[], b"")?;
    let mut found = Vec::new();
    for line in printed.split('\0').filter(|line| !line.is_empty()) {
        let (head, path) = line.split_once('\t').unwrap_or((line, ""));
        let mut words = head.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        found.push([next(), next(), next(), path.to_owned()]);
    }
    Ok(found)
}
