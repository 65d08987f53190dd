//! `defaults` of the repository file: what holds for every image entry that does not say otherwise.

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{Duration, Pin, Platform};
use tagboat_policy::{FilterTags, Jump, Pattern, Policy, Selection};
use tagboat_promotion::{ImageOverride, Verify};

use super::{images::check, wrong::Wrong};
use crate::VerifyFile;

/// What holds for every entry of `images`, also of included files. A key of the entry itself goes before; what means nothing
/// for the policy of an entry is left out for it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DefaultsFile {
    /// How versions are chosen. Default: each entry says it.
    pub policy: Option<Policy>,
    /// Only tags that a pattern matches, and what of them is compared. Default: all tags, compared as a whole.
    pub filter_tags: Option<FilterTags>,
    /// Regular expressions: tags that one of them matches are left out. Default: none.
    pub exclude: Option<Vec<Pattern>>,
    /// Regular expressions: only tags that one of them matches. Default: all.
    pub allow: Option<Vec<Pattern>>,
    /// How old a version has to be, since it appeared at the registry. Default: any age.
    pub minimum_age: Option<Duration>,
    /// The platforms that have to be there, all of them: `linux/amd64`. Default: any.
    pub platforms: Option<Vec<Platform>>,
    /// Whether a version below the current may be chosen. Default: false.
    pub allow_downgrade: Option<bool>,
    /// How far one step may go from the version that runs. Default: any distance.
    pub maximum_jump: Option<Jump>,
    /// Who must have signed the images. Default: nobody.
    pub verify: Option<VerifyFile>,
    /// What references carry after an edit. Default: what they carry now.
    pub pin: Option<Pin>,
}

impl DefaultsFile {
    /// The keys, or what is wrong with them.
    pub(super) fn read(&self) -> Result<ImageOverride, Wrong> {
        let verify = self.verify.as_ref().map(VerifyFile::read).transpose();
        let keys = ImageOverride {
            policy: self.policy.clone(),
            filter_tags: self.filter_tags.clone(),
            exclude: self.exclude.clone(),
            allow: self.allow.clone(),
            minimum_age: self.minimum_age,
            platforms: self.platforms.clone(),
            allow_downgrade: self.allow_downgrade,
            maximum_jump: self.maximum_jump,
            pin: self.pin,
            verify: verify.map_err(|message| Wrong::at(&["verify"], message))?,
            ..ImageOverride::default()
        };
        // With a policy they have to go together.
        if keys.policy.is_some() {
            choose(keys.clone(), &ImageOverride::default())?;
        }
        Ok(keys)
    }
}

/// What an entry says, put before what holds for all.
pub(super) fn choose(own: ImageOverride, defaults: &ImageOverride) -> Result<(Selection, Pin, Option<Verify>), Wrong> {
    let Some(policy) = own.policy.or_else(|| defaults.policy.clone()) else {
        return Err(Wrong::at(&[], "the key `policy` is missing; write it here, or for all entries under `defaults`"));
    };
    let follows = policy.followed().is_some();
    let inherited = Selection {
        policy,
        filter_tags: defaults.filter_tags.clone(),
        exclude: defaults.exclude.clone().filter(|_| !follows).unwrap_or_default(),
        allow: defaults.allow.clone().filter(|_| !follows).unwrap_or_default(),
        minimum_age: defaults.minimum_age,
        platforms: defaults.platforms.clone().unwrap_or_default(),
        allow_downgrade: defaults.allow_downgrade.unwrap_or_default(),
        maximum_jump: defaults.maximum_jump,
    }
    .without_what_means_nothing();
    let selection = Selection {
        policy: inherited.policy,
        filter_tags: own.filter_tags.or(inherited.filter_tags),
        exclude: own.exclude.unwrap_or(inherited.exclude),
        allow: own.allow.unwrap_or(inherited.allow),
        minimum_age: own.minimum_age.or(inherited.minimum_age),
        platforms: own.platforms.unwrap_or(inherited.platforms),
        allow_downgrade: own.allow_downgrade.unwrap_or(inherited.allow_downgrade),
        maximum_jump: own.maximum_jump.or(inherited.maximum_jump),
    };
    let inherited_pin = defaults.pin.filter(|pin| !(follows && *pin == Pin::Tag));
    let pin = own.pin.or(inherited_pin).unwrap_or_default();
    check(&selection, pin).map_err(|(key, message)| Wrong::at(&[key], message))?;
    Ok((selection, pin, own.verify.or_else(|| defaults.verify.clone())))
}
