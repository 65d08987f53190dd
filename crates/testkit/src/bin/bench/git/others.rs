//! What people do without Tagboat: a CI script in a fresh folder, and the least that the git command can do.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::ways::{FILE, IMAGE};

/// The lines that pipelines have.
const SCRIPT: &str = r#"
git clone --quiet --depth 1 "$1" work
cd work
sed -i "s|$4:.*|$4:$2|" "$3"
git -c user.name=CI -c user.email=ci@example.org commit --quiet --all --message 'Update web'
git push --quiet
"#;

/// Without a work tree, and with no blob but the one that is edited.
const PLUMBING: &str = r#"
git clone --quiet --bare --filter=blob:none --depth 1 "$1" work.git
cd work.git
base=$(git rev-parse refs/heads/main)
git cat-file blob "$base:$3" > ../file
sed -i "s|$4:.*|$4:$2|" ../file
blob=$(git hash-object -w ../file)
export GIT_INDEX_FILE="$PWD/../index"
git read-tree "$base"
git update-index --cacheinfo "100644,$blob,$3"
tree=$(git write-tree --missing-ok)
commit=$(git -c user.name=CI -c user.email=ci@example.org commit-tree "$tree" -p "$base" -m 'Update web')
git push --quiet origin "$commit:refs/heads/main"
"#;

/// Clone, edit, commit, push.
pub(crate) fn script(url: &str, version: &str) -> Duration {
    run(SCRIPT, url, version)
}

/// The same by plumbing.
pub(crate) fn plumbing(url: &str, version: &str) -> Duration {
    run(PLUMBING, url, version)
}

fn run(script: &str, url: &str, version: &str) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh", url, version, FILE, IMAGE]).current_dir(folder.path());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let start = Instant::now();
    let status = command.status().unwrap();
    let time = start.elapsed();
    assert!(status.success());
    time
}
