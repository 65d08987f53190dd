//! What is found is remembered under the version of the finder. Whoever changes what is found raises it.

#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::{fs, path::Path};

use sha2::{Digest as _, Sha256};
use tagboat_manifest::{FINDER, find};

/// The version, and the hash of what it finds in the golden files.
const FOUND: (u32, &str) = (1, "263c5601618b6b61");

#[test]
fn whoever_changes_what_is_found_raises_the_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut hash = Sha256::new();
    for folder in folders {
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| !file.ends_with("expected.txt"));
        for file in files {
            let found = find(file.file_name().unwrap().to_str().unwrap(), &fs::read(&file).unwrap(), &[]);
            hash.update(format!("{found:?}"));
        }
    }
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (FINDER, hash.as_str()),
        FOUND,
        "something else is found in tests/golden. Unless only golden files were added, raise `FINDER` in src/lib.rs, so that \
         nothing is taken from what an earlier version remembered; then put both values here"
    );
}
