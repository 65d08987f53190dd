//! Plan: everything that a reconcile would do, without doing it.

use std::collections::BTreeMap;

use tagboat_model::{Decision, EnvironmentName, Uneditable};
use tagboat_ports::{RegistryError, Work};
use tagboat_promotion::decide;

use crate::{
    Engine, ReconcileError,
    edit::{ToEdit, edit},
    gather::{Answers, Certain},
    lanes::is_offered,
    reconcile::unknown,
};

/// What a reconcile of a branch would do.
#[derive(Debug)]
pub struct Plan {
    /// What was decided for every image of every environment of the branch.
    pub decisions: Vec<Decision>,
    /// The files that change, by path.
    pub files: Vec<PlannedFile>,
    /// Places that seem to name an image and are never edited.
    pub uneditable: Vec<Uneditable>,
    /// The first registry that could not be asked, if any.
    pub unavailable: Option<RegistryError>,
}

/// A file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its path.
    pub path: String,
    /// Its bytes now.
    pub before: Vec<u8>,
    /// Its bytes afterwards.
    pub after: Vec<u8>,
}

impl Engine {
    /// Work out what a reconcile would do, for one environment or all, having looked at every image.
    ///
    /// # Errors
    /// Why it could not be worked out.
    pub async fn plan(&self, work: &Work, only: Option<&EnvironmentName>) -> Result<Plan, ReconcileError> {
        let config = self.config_repository(work).ok_or_else(|| unknown(work))?;
        let config = config.as_ref();
        let no_branch = || ReconcileError::NoBranch { branch: work.key.branch.to_string() };
        let head = config.port.head(&work.key.branch).await?.ok_or_else(no_branch)?;
        let gathered = self.gather(work, config, &head, true, Certain::Yes, Answers::new()).await?;
        let Some(mut gathered) = gathered else { return Err(ReconcileError::TakenOver) };
        if let Some(only) = only {
            gathered.facts.environments.retain(|environment| environment.name == *only);
        }
        let mut after: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut decisions = Vec::new();
        let chosen = decide(&gathered.facts);
        let sources = self.sources(config, &head, &gathered, &chosen).await?;
        let images = gathered.facts.environments.iter().flat_map(|environment| &environment.images);
        let to_edit = |(decision, image)| ToEdit { wanted: is_offered(&decision, false), image, decision };
        for edited in edit(&sources, chosen.into_iter().zip(images).map(to_edit).collect()) {
            // A later version of a file has the changes of the earlier ones in it.
            after.extend(edited.files.into_iter().map(|file| (file.path, file.bytes)));
            decisions.push(edited.decision);
        }
        let before = |path: &str| match sources.get(path) {
            Some(Ok(source)) => source.bytes.clone(),
            _ => Vec::new(),
        };
        let files = after.into_iter().map(|(path, after)| PlannedFile { before: before(&path), path, after }).collect();
        let images = gathered.facts.environments.iter().flat_map(|environment| &environment.images);
        let mut uneditable: Vec<Uneditable> = images.flat_map(|image| image.uneditable.iter().cloned()).collect();
        uneditable.sort();
        uneditable.dedup();
        self.keep_files(config, &work.key, &head, gathered.files).await?;
        Ok(Plan { decisions, files, uneditable, unavailable: gathered.looked.unavailable })
    }
}
