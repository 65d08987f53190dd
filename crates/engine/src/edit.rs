//! Edit: decisions and the bytes of files become changed bytes. Pure.
//!
//! What cannot be edited safely is a reason on the decision, not an error: other decisions go on. Spans refer to
//! the files as they were read, so each file is always computed from its original bytes and all edits so far.

use std::collections::{BTreeMap, BTreeSet};

use tagboat_manifest::{Claim, NewVersion, apply, rewrite};
use tagboat_model::{Decision, Edit, Outcome, Reason, Version};
use tagboat_ports::NotEditable;
use tagboat_promotion::{Facts, FileChange, ImageFacts};

use crate::lanes::is_offered;

/// A file as it was read, with what image entries say of places in it.
pub(crate) struct SourceFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) claims: Vec<Claim>,
}

/// The files that are to be changed, by path; or why one is never written.
pub(crate) type Files = BTreeMap<String, Result<SourceFile, NotEditable>>;

/// A decision with the files that carry it out; none for a decision to do nothing.
pub(crate) struct EditedDecision {
    pub(crate) decision: Decision,
    pub(crate) files: Vec<FileChange>,
}

/// A decision with what it is about, and whether files are to be changed for it.
pub(crate) struct ToEdit<'f> {
    pub(crate) image: &'f ImageFacts,
    pub(crate) decision: Decision,
    pub(crate) wanted: bool,
}

/// The files that decisions may change, sorted.
pub(crate) fn to_change(facts: &Facts, decisions: &[Decision]) -> Vec<String> {
    let images = facts.environments.iter().flat_map(|environment| &environment.images);
    let updated = decisions.iter().zip(images).filter(|(decision, _)| is_offered(decision, true));
    let files: BTreeSet<&String> = updated.flat_map(|(_, image)| &image.references).map(|it| &it.file).collect();
    files.into_iter().cloned().collect()
}

/// Edit the files for every decision that wants it, in order. A file that several decisions change contains, for each, the
/// changes of those before it.
pub(crate) fn edit(files: &Files, decided: Vec<ToEdit<'_>>) -> Vec<EditedDecision> {
    let mut so_far: BTreeMap<String, Vec<Edit>> = BTreeMap::new();
    let mut edited = Vec::new();
    for ToEdit { image, mut decision, wanted } in decided {
        let mut changes = Vec::new();
        if let (true, Some(version)) = (wanted, decision.version.clone()) {
            match edit_image(image, &version, files, &so_far) {
                Ok((edits, files)) => (so_far, changes) = (edits, files),
                Err(reason) => {
                    decision.outcome = Outcome::Blocked;
                    decision.reasons.insert(0, reason);
                }
            }
        }
        edited.push(EditedDecision { decision, files: changes });
    }
    edited
}

type EditsByFile = BTreeMap<String, Vec<Edit>>;

/// All references of an image, or none of them.
fn edit_image(
    image: &ImageFacts,
    version: &Version,
    files: &Files,
    so_far: &EditsByFile,
) -> Result<(EditsByFile, Vec<FileChange>), Reason> {
    let mut edits = so_far.clone();
    let mut touched: BTreeMap<&str, usize> = BTreeMap::new();
    for reference in &image.references {
        let refused =
            |detail: String| Reason::CannotEdit { file: reference.file.clone(), line: reference.line, detail };
        let new =
            rewrite(reference, NewVersion::from(version), image.pin).map_err(|refusal| refused(refusal.to_string()))?;
        if !new.is_empty() {
            touched.entry(&reference.file).or_insert(reference.line);
            edits.entry(reference.file.clone()).or_default().extend(new);
        }
    }
    let change = |(file, line): (&str, usize)| {
        let refused = |detail: String| Reason::CannotEdit { file: file.to_owned(), line, detail };
        let source = files.get(file).ok_or_else(|| refused("it was not read".to_owned()))?;
        let source = source.as_ref().map_err(|why| refused(why.to_string()))?;
        let wanted = edits.get(file).map_or(&[][..], Vec::as_slice);
        let claims: Vec<&Claim> = source.claims.iter().collect();
        let bytes = apply(file, &source.bytes, wanted, &claims).map_err(|refusal| refused(refusal.to_string()))?;
        Ok(FileChange { path: file.to_owned(), bytes })
    };
    let changes = touched.into_iter().map(change).collect::<Result<Vec<_>, Reason>>()?;
    Ok((edits, changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::{BranchKey, Pin, Timestamp};
    use tagboat_policy::{Policy, Semver};
    use tagboat_promotion::{Candidate, CandidateState, EnvironmentFacts, decide};

    const FILE: &str = "web: {image: 'r.example/web:1.0.0'}\napi: {image: 'r.example/api:1.0.0'}\n";

    fn image(name: &str, text: &str) -> ImageFacts {
        let image: tagboat_model::ImageName = format!("r.example/{name}").parse().unwrap();
        let found = tagboat_manifest::find("a.yaml", text.as_bytes(), &[]).unwrap().references;
        ImageFacts {
            entry: name.parse().unwrap(),
            references: found.into_iter().filter(|reference| reference.image == image).collect(),
            image,
            selection: Policy::Semver(Semver { range: "^1".parse().unwrap() }).into(),
            pin: Pin::Keep,
            resolved: Vec::new(),
            unreadable: Vec::new(),
            uneditable: Vec::new(),
            claimed_by: None,
            candidates: vec![Candidate {
                tag: "1.1.0".parse().unwrap(),
                known: Default::default(),
                state: CandidateState::Confirmed { digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap() },
            }],
            further: 0,
            passed_over: Vec::new(),
            unread: 0,
            registry_unavailable: None,
            ran: Vec::new(),
            upstream: None,
            offered: None,
        }
    }

    fn run(text: &str) -> Vec<EditedDecision> {
        let key = BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        };
        let environments = vec![EnvironmentFacts {
            name: "dev".parse().unwrap(),
            images: vec![image("web", text), image("api", text)],
            promotion: None,
            gates: tagboat_promotion::Gates::default(),
            by_pull_request: false,
            holds: Vec::new(),
        }];
        let facts = Facts { key, head: "0".repeat(40).parse().unwrap(), now: Timestamp(0), environments };
        let source = SourceFile { bytes: text.as_bytes().to_vec(), claims: Vec::new() };
        let files = BTreeMap::from([("a.yaml".to_owned(), Ok(source))]);
        let images = facts.environments.iter().flat_map(|environment| &environment.images);
        let decided = decide(&facts).into_iter().zip(images);
        edit(&files, decided.map(|(decision, image)| ToEdit { image, decision, wanted: true }).collect())
    }

    #[test]
    fn a_later_decision_contains_the_changes_of_an_earlier_one_in_the_same_file() {
        let edited = run(FILE);
        let text = |index: usize| String::from_utf8(edited[index].files[0].bytes.clone()).unwrap();
        assert_eq!(text(0), FILE.replace("web:1.0.0", "web:1.1.0"));
        assert_eq!(text(1), FILE.replace("1.0.0", "1.1.0"));
    }

    #[test]
    fn what_cannot_be_edited_blocks_its_own_decision_only() {
        let edited = run(&format!(
            "{FILE}both: {{repository: r.example/web, tag: &a 1.0.0}}\nother: {{repository: x/y, tag: *a}}\n"
        ));
        assert_eq!((edited[0].decision.outcome, edited[0].files.len()), (Outcome::Blocked, 0));
        assert!(matches!(edited[0].decision.reasons[0], Reason::CannotEdit { line: 3, .. }));
        assert_eq!((edited[1].decision.outcome, edited[1].files.len()), (Outcome::Update, 1));
    }
}
