//! Files as people write them, one folder for each format and hazard: what is found in them, and every byte that changes
//! when each image gets version 2.0.0. `UPDATE_GOLDEN=1` writes what is found as what is expected.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{fmt::Write as _, fs, path::Path};

mod second_parser;

use tagboat_manifest::{NewVersion, apply, find, may_name_images, mentions, rewrite};
use tagboat_model::{Edit, Pin, Version};

const NEW_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

#[test]
fn every_golden_file_is_read_and_edited_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 18, "the golden files are there");
    let mut wrong = Vec::new();
    for folder in folders {
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let file = files.into_iter().find(|file| !file.ends_with("expected.txt")).unwrap();
        let found = describe(file.file_name().unwrap().to_str().unwrap(), &fs::read(&file).unwrap());
        let expected = folder.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn describe(name: &str, bytes: &[u8]) -> String {
    let found = find(name, bytes, &[]).unwrap();
    let named = found.references.iter().all(|reference| mentions(name, bytes, &reference.image));
    assert!(named && may_name_images(name, bytes), "{name}: the cheap look hides nothing");
    let version = Version { tag: "2.0.0".parse().unwrap(), digest: NEW_DIGEST.parse().unwrap() };
    let mut text = String::new();
    let mut edits: Vec<Edit> = Vec::new();
    for reference in &found.references {
        let format = reference.format.as_str();
        let current = reference.current().replace(':', "");
        let _ = write!(
            text,
            "{}:{} {format} {} {} {current}",
            reference.line, reference.column, reference.location, reference.written_name
        );
        if !reference.followers.is_empty() {
            let _ = write!(text, ", repeated in lines {:?}", reference.followers);
        }
        match rewrite(reference, NewVersion::from(&version), Pin::Keep) {
            Ok(more) => edits.extend(more),
            Err(refusal) => {
                let _ = write!(text, ", refused: {refusal}");
            }
        }
        text.push('\n');
    }
    for place in &found.uneditable {
        let image = place.image.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{} not edited: {image}: {}", place.line, place.detail);
    }
    let after = apply(name, bytes, &edits, &[]).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    let (before, after) = (String::from_utf8(bytes.to_vec()).unwrap(), String::from_utf8(after).unwrap());
    // Templates and Dockerfiles are no YAML; libyaml takes neither a mark of the byte order before a directive nor `--- text`.
    if !name.ends_with("ockerfile") && !before.contains("{{-") && !before.contains("%YAML") {
        let mut changed = Vec::new();
        let (old, new) = (second_parser::read(&before), second_parser::read(&after));
        assert_eq!(old.len(), new.len());
        old.iter().zip(&new).for_each(|(old, new)| second_parser::differences(old, new, &mut changed));
        assert_eq!(changed.is_empty(), edits.is_empty(), "{name}");
        for (old, new) in changed {
            let (version, now) = (new.contains("2.0.0") || new.contains(&"2".repeat(64)), new.len());
            assert!(version && now > 0, "{name}: {old} became {new}");
        }
    }
    let lines = before.split_inclusive('\n').zip(after.split_inclusive('\n'));
    for (old, new) in lines.filter(|(old, new)| old != new) {
        let _ = write!(text, "- {}\n+ {}\n", old.escape_debug(), new.escape_debug());
    }
    text.replace(NEW_DIGEST, "sha256:NEW").replace(&"1".repeat(64), "OLD").replace(&"2".repeat(64), "NEW")
}
