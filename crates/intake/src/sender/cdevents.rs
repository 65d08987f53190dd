//! CDEvents: `dev.cdevents.artifact.published` of any version, whose subject is a package URL (purl) of an image.
//!
//! It comes as a CloudEvent in any mode, or as it is. Subject: `pkg:oci/web@sha256%3A…?repository_url=ghcr.io/acme/web
//! &tag=1.5.0`, where `repository_url` may leave out the name at its end; or `pkg:docker/acme/web@1.5.0
//! ?repository_url=ghcr.io`, where the version may be a tag and Docker Hub is meant without a `repository_url`. Of the
//! content, `user` is who did it and `change.id` the commit, if it is one. All other types are passed over: what is
//! packaged is not at a registry yet.
//! Sources: CDEvents' specification with its conformance files; the types `oci` and `docker` of the purl specification.

use serde::Deserialize;
use serde_json::Value;

use super::{
    cloudevents::{self, percent_decoded, source_and_id},
    generic::{self, AnnouncedSource},
};
use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text, time},
};

/// What all types of CDEvents begin with.
pub(super) const TYPES: &str = "dev.cdevents.";
/// What stands before the version. No other type of event tells of an image at a registry.
const PUBLISHED: &str = "dev.cdevents.artifact.published.";

#[derive(Deserialize)]
struct CdEvent {
    context: EventContext,
    #[serde(default)]
    subject: Value,
}

#[derive(Deserialize)]
struct EventContext {
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    source: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient_text")]
    timestamp: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Some(events) = cloudevents::events(context, body)? else {
        let event: CdEvent = serde_json::from_slice(body)?;
        let id = source_and_id(event.context.source.as_deref(), event.context.id.as_deref());
        let mut read = Read::of(id.as_deref());
        event.announce(context, &mut read);
        return Ok(read);
    };
    Ok(cloudevents::read_each(events, |mut event, read| {
        let kind = event.kind()?;
        if kind.starts_with(TYPES) {
            return take(context, event.take_data()?, read);
        }
        read.ignored.push(Ignored::NotUsed { event: kind });
        Ok(())
    }))
}

/// Take a CDEvent from wherever it stood.
pub(super) fn take(context: &Context<'_>, data: Value, read: &mut Read) -> Result<(), Unreadable> {
    let event: CdEvent = serde_json::from_value(data)?;
    event.announce(context, read);
    Ok(())
}

impl CdEvent {
    fn announce(&self, context: &Context<'_>, read: &mut Read) {
        if !self.context.kind.starts_with(PUBLISHED) {
            read.ignored.push(Ignored::NotAPush { action: self.context.kind.clone() });
            return;
        }
        let text = |pointer: &str| self.subject.pointer(pointer).and_then(Value::as_str);
        let image = match Image::of(text("/id").unwrap_or_default()) {
            Ok(image) => image,
            Err(reason) => {
                read.ignored.push(reason);
                return;
            }
        };
        let revision = text("/content/change/id").filter(|change| is_commit(change)).map(str::to_owned);
        let said = AnnouncedSource { revision, ..AnnouncedSource::default() };
        read.push(&Push {
            registry: context.registry(Some(&image.registry)),
            repository: &image.repository,
            tag: image.tag.as_deref(),
            digest: image.digest.as_deref(),
            media_type: None,
            actor: context.claims.and_then(|claims| claims.actor.as_deref()).or(text("/content/user")),
            pushed_at: self.context.timestamp.as_deref().and_then(time),
            source: Some(generic::source(context, said)),
        });
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The image that a package URL names.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Image {
    fn of(text: &str) -> Result<Self, Ignored> {
        let malformed = |what: &str| Ignored::Malformed { detail: format!("`{text}` {what}") };
        let purl = Purl::of(text).ok_or_else(|| malformed("is not a package URL"))?;
        if !matches!(purl.kind.as_str(), "oci" | "docker") {
            return Err(Ignored::NotAContainer { package_type: purl.kind });
        }
        let location = purl.location().ok_or_else(|| malformed("does not say where the image is: `repository_url`"))?;
        let (registry, repository) = location
            .split_once('/')
            .filter(|(host, _)| is_host(host))
            .ok_or_else(|| malformed("has a `repository_url` that begins with no host"))?;
        // The version of an image is its digest; in the type `docker` it may be a tag.
        let version = Some(purl.version.as_str()).filter(|version| !version.is_empty());
        let (digest, tag) = match version {
            Some(version) if version.contains(':') => (Some(version), None),
            tag => (None, tag),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: purl.qualifier("tag").or(tag).map(str::to_owned),
            digest: digest.or(purl.qualifier("digest")).map(str::to_owned),
        })
    }
}

fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

/// `pkg:<kind>/<path>@<version>?<qualifiers>#<subpath>`, decoded; the subpath is nothing here.
struct Purl {
    kind: String,
    path: String,
    version: String,
    qualifiers: Vec<(String, String)>,
}

impl Purl {
    fn of(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("pkg:")?.trim_start_matches('/');
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, rest) = rest.split_once('/')?;
        let (path, version) = rest.rsplit_once('@').unwrap_or((rest, ""));
        let qualifier = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_ascii_lowercase(), percent_decoded(value)?))
        };
        let qualifiers = query.split('&').filter(|pair| !pair.is_empty()).map(qualifier).collect::<Option<_>>()?;
        let path = percent_decoded(path.trim_matches('/')).filter(|path| !path.is_empty())?;
        Some(Self { kind: kind.to_ascii_lowercase(), path, version: percent_decoded(version)?, qualifiers })
    }

    fn qualifier(&self, name: &str) -> Option<&str> {
        let found = self.qualifiers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Host and path of the image; none when nothing says at which registry it is.
    fn location(&self) -> Option<String> {
        let is_docker = self.kind == "docker";
        let name = if is_docker { self.path.as_str() } else { self.path.rsplit('/').next()? };
        let Some(address) = self.qualifier("repository_url") else {
            let names_host = self.path.split_once('/').is_some_and(|(first, _)| is_host(first));
            return is_docker.then(|| if names_host { self.path.clone() } else { format!("docker.io/{name}") });
        };
        let address = address.strip_prefix("https://").or(address.strip_prefix("http://")).unwrap_or(address);
        let address = match address.trim_end_matches('/') {
            "hub.docker.com" => "docker.io",
            other => other,
        };
        let is_whole = address.strip_suffix(name).is_some_and(|before| before.ends_with('/'));
        Some(if is_whole { address.to_owned() } else { format!("{address}/{name}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(purl: &str) -> String {
        match Image::of(purl) {
            Ok(Image { registry, repository, tag, digest }) => {
                let tag = tag.map(|tag| format!(" tag {tag}")).unwrap_or_default();
                let digest = digest.map(|digest| format!(" digest {digest}")).unwrap_or_default();
                format!("{registry} {repository}{tag}{digest}")
            }
            Err(reason) => format!("{}: {reason}", reason.code()),
        }
    }

    #[test]
    fn a_package_url_names_an_image() {
        for (purl, expect) in [
            (
                "pkg:oci/web@sha256%3Aab?repository_url=ghcr.io/acme/web&tag=1.5.0",
                "ghcr.io acme/web tag 1.5.0 digest sha256:ab",
            ),
            ("pkg:oci/web?tag=1&repository_url=ghcr.io%2Facme", "ghcr.io acme/web tag 1"),
            ("pkg:oci/web@sha256:ab?repository_url=https://ghcr.io/acme/web/", "ghcr.io acme/web digest sha256:ab"),
            ("pkg://OCI/web@1.5.0?Repository_URL=r.example:5000#sub/path", "r.example:5000 web tag 1.5.0"),
            ("pkg:oci/web?repository_url=ghcr.io/acme/my-web&tag=1", "ghcr.io acme/my-web/web tag 1"),
            ("pkg:oci/web?repository_url=localhost/web&tag=", "localhost web"),
            ("pkg:docker/cassandra@latest", "docker.io cassandra tag latest"),
            ("pkg:docker/smartentry/debian@dc437cc87d10", "docker.io smartentry/debian tag dc437cc87d10"),
            ("pkg:docker/acme/web@sha256%3Aab?repository_url=gcr.io&tag=1", "gcr.io acme/web tag 1 digest sha256:ab"),
            ("pkg:docker/acme/web@1?repository_url=gcr.io/acme/web", "gcr.io acme/web tag 1"),
            ("pkg:docker/acme/web@1?repository_url=https://hub.docker.com", "docker.io acme/web tag 1"),
            ("pkg:docker/ghcr.io/acme/web@1?digest=sha256:ab", "ghcr.io acme/web tag 1 digest sha256:ab"),
        ] {
            assert_eq!(shown(purl), expect, "{purl}");
        }
    }

    #[test]
    fn what_names_no_image_is_told() {
        for (purl, expect) in [
            ("", "malformed: `` is not a package URL"),
            ("ghcr.io/acme/web:1.5.0", "malformed: `ghcr.io/acme/web:1.5.0` is not a package URL"),
            ("pkg:oci", "malformed: `pkg:oci` is not a package URL"),
            ("pkg:oci/", "malformed: `pkg:oci/` is not a package URL"),
            ("pkg:oci/web@%zz", "malformed: `pkg:oci/web@%zz` is not a package URL"),
            ("pkg:oci/web?tag", "malformed: `pkg:oci/web?tag` is not a package URL"),
            ("pkg:oci/web?tag=1", "malformed: `pkg:oci/web?tag=1` does not say where the image is: `repository_url`"),
            (
                "pkg:oci/web?repository_url=acme/web",
                "malformed: `pkg:oci/web?repository_url=acme/web` has a `repository_url` that begins with no host",
            ),
            (
                "pkg:golang/mygit.com/myorg/myapp@234fd47e07d1004f0aed9c",
                "notAContainer: a package of the type `golang` is not an image",
            ),
        ] {
            assert_eq!(shown(purl), expect, "{purl}");
        }
    }
}
