//! GitHub's `package` and `registry_package`: a version of a package was published, or got another tag.
//!
//! One push of an image for several platforms brings one event for each manifest, all but one without a tag. The tag
//! stands in `container_metadata.tag.name` and nowhere else: the version's name is its digest. The types come in any case,
//! as `CONTAINER` mostly; the times are often those of the year 1; `container_metadata` may be null. A `manifest` is an
//! object, in 2019 was a text with JSON in it, and often is an empty text. GitHub's own examples of containers are made
//! up: an npm package by type, without a tag, with the id of a commit for a digest.

use serde::Deserialize;
use tagboat_model::{Digest, Timestamp};

use super::super::git_host::{User, missing, object, object_or_json, path_of, text};
use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, time},
};

/// The registry of github.com. A GitHub of one's own has another, which configuration names.
const REGISTRY: &str = "ghcr.io";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "text")]
    action: Option<String>,
    #[serde(deserialize_with = "object")]
    package: Option<Package>,
    #[serde(deserialize_with = "object")]
    registry_package: Option<Package>,
    #[serde(deserialize_with = "object")]
    sender: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    #[serde(deserialize_with = "text")]
    ecosystem: Option<String>,
    #[serde(deserialize_with = "text")]
    package_type: Option<String>,
    #[serde(deserialize_with = "object")]
    owner: Option<User>,
    #[serde(deserialize_with = "object")]
    package_version: Option<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    #[serde(deserialize_with = "text")]
    version: Option<String>,
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    #[serde(deserialize_with = "text")]
    package_url: Option<String>,
    #[serde(deserialize_with = "text")]
    created_at: Option<String>,
    #[serde(deserialize_with = "text")]
    updated_at: Option<String>,
    #[serde(deserialize_with = "object")]
    author: Option<User>,
    #[serde(deserialize_with = "object_or_json")]
    manifest: Option<Manifest>,
    #[serde(deserialize_with = "object")]
    container_metadata: Option<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    #[serde(deserialize_with = "object")]
    tag: Option<Tag>,
    #[serde(deserialize_with = "object_or_json")]
    manifest: Option<Manifest>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tag {
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    #[serde(deserialize_with = "text")]
    digest: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifest {
    #[serde(deserialize_with = "text")]
    digest: Option<String>,
    #[serde(deserialize_with = "text")]
    media_type: Option<String>,
    /// As the manifest itself writes it, where its text stands here.
    #[serde(rename = "mediaType", deserialize_with = "text")]
    own_media_type: Option<String>,
}

pub(crate) fn take(context: &Context<'_>, body: &[u8], read: &mut Read) -> Result<(), Unreadable> {
    let Body { action, package, registry_package, sender } = serde_json::from_slice(body)?;
    let action = action.unwrap_or_default();
    // A tag that is added to a version that was there may come as `updated`.
    if !matches!(action.as_str(), "published" | "updated") {
        read.ignored.push(Ignored::NotAPush { action });
        return Ok(());
    }
    let package = registry_package.or(package).ok_or_else(|| missing("package"))?;
    if !package.is_container() {
        let package_type = package.package_type.or(package.ecosystem).unwrap_or_default();
        read.ignored.push(Ignored::NotAContainer { package_type });
        return Ok(());
    }
    let repository = package.repository().ok_or_else(|| missing("package.name"))?;
    let version = package.package_version.unwrap_or_default();
    let actor = sender.as_ref().and_then(User::name).or(version.author.as_ref().and_then(User::name));
    read.push(&Push {
        registry: context.registry(Some(REGISTRY)),
        repository: &repository,
        tag: version.tag().and_then(|tag| tag.name.as_deref()),
        digest: version.digest(),
        media_type: version.manifests().find_map(Manifest::media_type),
        actor: actor.as_deref(),
        pushed_at: version.time(),
        source: None,
    });
    Ok(())
}

impl Package {
    fn is_container(&self) -> bool {
        let types = [&self.ecosystem, &self.package_type];
        let is_one = |name: &String| name.eq_ignore_ascii_case("container") || name.eq_ignore_ascii_case("docker");
        types.into_iter().flatten().any(is_one)
    }

    /// In lower case, as registries have it: owners and packages may be written otherwise.
    fn repository(&self) -> Option<String> {
        let owner = self.owner.as_ref().and_then(|owner| owner.login.as_deref());
        let named = owner.zip(self.name.as_deref()).map(|(owner, name)| format!("{owner}/{name}"));
        let address = self.package_version.as_ref().and_then(|version| version.package_url.as_deref());
        named.or_else(|| address.and_then(image_of)).map(|repository| repository.to_ascii_lowercase())
    }
}

/// The image in the address of a version, `ghcr.io/acme/web:1.5.0`, without host and tag.
fn image_of(address: &str) -> Option<String> {
    let image = path_of(address)?.split([':', '@']).next()?;
    Some(image.to_owned()).filter(|image| !image.is_empty())
}

impl Version {
    fn tag(&self) -> Option<&Tag> {
        self.container_metadata.as_ref()?.tag.as_ref()
    }

    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        let of_container = self.container_metadata.as_ref().and_then(|container| container.manifest.as_ref());
        of_container.into_iter().chain(&self.manifest)
    }

    /// The first digest that is one; else the one of the tag, whatever it is.
    fn digest(&self) -> Option<&str> {
        let of_tag = self.tag().and_then(|tag| tag.digest.as_deref());
        let of_manifests = self.manifests().filter_map(|manifest| manifest.digest.as_deref());
        let of_version = [&self.version, &self.name].into_iter().filter_map(|name| name.as_deref());
        let mut all = of_tag.into_iter().chain(of_manifests).chain(of_version);
        all.find(|digest| digest.parse::<Digest>().is_ok()).or(of_tag)
    }

    fn time(&self) -> Option<Timestamp> {
        let mut times = [&self.updated_at, &self.created_at].into_iter().filter_map(|time| time.as_deref());
        times.find(|time| !time.starts_with("0001-")).and_then(time)
    }
}

impl Manifest {
    fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref().or(self.own_media_type.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_version_names_its_image() {
        for (address, image) in [
            ("ghcr.io/Acme/web:1.5.0", Some("Acme/web")),
            ("ghcr.io/acme/team/web:", Some("acme/team/web")),
            ("https://containers.git.example:8443/acme/web:1.5.0", Some("acme/web")),
            ("ghcr.io/acme/web@sha256:00", Some("acme/web")),
            ("ghcr.io", None),
            ("ghcr.io/:1", None),
            ("", None),
        ] {
            assert_eq!(image_of(address).as_deref(), image, "{address}");
        }
    }
}
