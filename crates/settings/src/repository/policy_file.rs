//! The file of `tagboat policy test`: the keys of an image entry that choose its version.

use tagboat_policy::Selection;
use tagboat_promotion::Verify;

use super::environments::OverrideFile;
use crate::{
    VerifyFile,
    problem::{self, Problem},
};

/// Read the file of `tagboat policy test`: the keys of an image entry that choose its version.
///
/// # Errors
/// The first [`Problem`].
pub fn read_policy_file(source: &str, text: &str) -> Result<(Selection, Option<Verify>), Problem> {
    let file: OverrideFile = problem::read(source, text)?;
    let at = |key: &str, message: String| Problem::at(source, text, &[key], message);
    let missing = || Problem::at(source, text, &[], "the key `policy` is missing");
    let selection = Selection {
        policy: file.policy.ok_or_else(missing)?,
        filter_tags: file.filter_tags,
        exclude: file.exclude.unwrap_or_default(),
        allow: file.allow.unwrap_or_default(),
        minimum_age: file.minimum_age,
        platforms: file.platforms.unwrap_or_default(),
        allow_downgrade: file.allow_downgrade.unwrap_or_default(),
        maximum_jump: file.maximum_jump,
    };
    selection.check().map_err(|problem| at(problem.key, problem.message))?;
    let verify = file.verify.as_ref().map(VerifyFile::read).transpose().map_err(|message| at("verify", message))?;
    Ok((selection, verify))
}
