//! What a manifest describes. Only its content decides: charts, signatures and attestations share the media
//! type of images. Types: OCI image specification 1.1 and Docker's image manifest version 2.

use std::collections::BTreeMap;

use oci_spec::image::{Arch, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};
use tagboat_model::{Digest, Platform, Timestamp, shown};
use tagboat_ports::ManifestKind;

use crate::client::Fault;

/// The four types that may be an image.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const REVISION: &str = "org.opencontainers.image.revision";
const SOURCE: &str = "org.opencontainers.image.source";
/// Where the moment of the build is looked for, best first, as Kargo does.
const CREATED: [&str; 2] = ["org.opencontainers.image.created", "org.label-schema.build-date"];
/// Reproducible builds write 1970, 1980 or the year 1 into `created`: no moment at which anything was built.
const LATEST_PLACEHOLDER: Timestamp = Timestamp(315_619_200_000);

pub(crate) struct ReadManifest {
    pub(crate) digest: Digest,
    pub(crate) kind: ManifestKind,
    /// Where more is said: the configuration of a single image, the first image of an index.
    pub(crate) detail: Option<Detail>,
    /// The platforms of an index. Those of a single image stand in its configuration.
    pub(crate) platforms: Vec<Platform>,
    /// What annotations say.
    pub(crate) built: Built,
}

/// A further document about an image.
pub(crate) enum Detail {
    /// The blob with labels, platform and the moment of the build.
    Configuration(Digest),
    /// The manifest of one platform, in an index; the platform as the index says.
    Image { digest: Digest, platform: Option<Platform> },
}

/// From what and when an image was built, as far as a document says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) revision: Option<String>,
    /// The address of the source repository.
    pub(crate) source: Option<String>,
    pub(crate) created: Option<Timestamp>,
}

impl Built {
    fn from_labels<'l>(labels: impl Fn(&str) -> Option<&'l String>) -> Self {
        let created = CREATED.iter().find_map(|label| moment(labels(label)?));
        Self {
            revision: labels(REVISION).map(|revision| shown(revision)),
            source: labels(SOURCE).map(|source| shown(source)),
            created,
        }
    }

    /// What is missing here is taken from there.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            revision: self.revision.or(other.revision),
            source: self.source.or(other.source),
            created: self.created.or(other.created),
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.revision.is_some() && self.created.is_some()
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|moment| *moment > LATEST_PLACEHOLDER)
}

/// What a registry says the digest is.
pub(crate) fn header_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// The digest of bytes, by the algorithm of `like` or, without one, by SHA-256.
pub(crate) fn digest_of(bytes: &[u8], like: Option<&Digest>) -> Result<Digest, Fault> {
    let hex = |hash: &[u8]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = match like.is_some_and(|like| like.as_str().starts_with("sha512:")) {
        true => format!("sha512:{}", hex(&Sha512::digest(bytes))),
        false => format!("sha256:{}", hex(&Sha256::digest(bytes))),
    };
    text.parse().map_err(|error| Fault::new("the digest could not be computed").because(error))
}

/// The fields that tell the four types apart, whatever the headers say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    manifests: Option<serde_json::Value>,
    config: Option<serde_json::Value>,
    artifact_type: Option<String>,
    subject: Option<serde_json::Value>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Read a manifest. `claimed` is the digest in the header; other bytes than it says are refused.
pub(crate) fn read(bytes: &[u8], claimed: Option<&Digest>) -> Result<ReadManifest, Fault> {
    let digest = digest_of(bytes, claimed)?;
    if let Some(claimed) = claimed.filter(|claimed| **claimed != digest) {
        return Err(Fault::new(format!("the manifest has other content than its digest {} says", claimed.short())));
    }
    let outline: Outline =
        serde_json::from_slice(bytes).map_err(|error| Fault::new("the manifest is not JSON").because(error))?;
    let mut read = ReadManifest {
        digest,
        kind: ManifestKind::Image,
        detail: None,
        platforms: Vec::new(),
        built: Built::from_labels(|label| outline.annotations.get(label)),
    };
    match (&outline.manifests, &outline.config) {
        (Some(_), Some(_)) => read.kind = other("a document that is both an index and a manifest"),
        _ if outline.subject.is_some() => {
            read.kind = other("an artifact about another image (it has a `subject`)");
        }
        (Some(_), None) => index(bytes, &mut read),
        (None, Some(_)) => match single(bytes, outline.artifact_type) {
            Ok(config) => read.detail = config.map(Detail::Configuration),
            Err(detail) => read.kind = other(detail),
        },
        (None, None) => read.kind = other("a manifest of schema 1, or none at all"),
    }
    Ok(read)
}

fn other(detail: impl Into<String>) -> ManifestKind {
    ManifestKind::Other { detail: detail.into() }
}

/// The digest of the configuration, or what it is instead of an image.
fn single(bytes: &[u8], artifact_type: Option<String>) -> Result<Option<Digest>, String> {
    if let Some(artifact_type) = artifact_type {
        return Err(format!("an artifact of type `{}`", shown(&artifact_type)));
    }
    let Ok(manifest) = ImageManifest::from_reader(bytes) else {
        return Err("a manifest that does not follow the OCI specification".to_owned());
    };
    let config = manifest.config();
    let media_type = config.media_type().to_string();
    if !IMAGE_CONFIGS.contains(&media_type.as_str()) {
        return Err(format!("an artifact with a configuration of type `{}`", shown(&media_type)));
    }
    Ok(config.digest().to_string().parse().ok())
}

fn index(bytes: &[u8], read: &mut ReadManifest) {
    let Ok(index) = ImageIndex::from_reader(bytes) else {
        read.kind = other("an index that does not follow the OCI specification");
        return;
    };
    if let Some(artifact_type) = index.artifact_type() {
        read.kind = other(format!("an artifact of type `{}`", shown(artifact_type.as_ref())));
        return;
    }
    // Attestations stand in an index as children for the platform `unknown/unknown`.
    let unknown = |os: &Os, arch: &Arch| os.to_string() == "unknown" && arch.to_string() == "unknown";
    let mut images = index.manifests().iter().filter(|child| {
        let manifest = matches!(child.media_type(), MediaType::ImageManifest | MediaType::Other(_));
        manifest
            && child.artifact_type().is_none()
            && !child.platform().as_ref().is_some_and(|p| unknown(p.os(), p.architecture()))
    });
    let platform = |p: &oci_spec::image::Platform| platform(p.os(), p.architecture(), p.variant().as_deref());
    read.platforms = images.clone().filter_map(|child| platform(child.platform().as_ref()?)).collect();
    match images.next() {
        Some(first) => {
            let named = first.platform().as_ref().and_then(platform);
            let image = |digest| Detail::Image { digest, platform: named };
            read.detail = first.digest().to_string().parse().ok().map(image);
        }
        None => read.kind = other("an index without any image"),
    }
}

/// An index that names an image which is not there.
pub(crate) fn incomplete(child: &Digest, platform: Option<&Platform>) -> ManifestKind {
    let whose = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
    ManifestKind::Incomplete { detail: format!("the index names {child}{whose}, which the registry does not have") }
}

fn platform(os: &Os, architecture: &Arch, variant: Option<&str>) -> Option<Platform> {
    let variant = variant.filter(|variant| !variant.is_empty()).map(|variant| format!("/{variant}"));
    format!("{os}/{architecture}{}", variant.unwrap_or_default()).parse().ok()
}

/// What a configuration says: from what and when the image was built, and for which platform.
pub(crate) fn configuration(bytes: &[u8]) -> (Built, Option<Platform>) {
    let Ok(configuration) = ImageConfiguration::from_reader(bytes) else { return (Built::default(), None) };
    let labels = configuration.config().as_ref().and_then(|config| config.labels().as_ref());
    let built = Built::from_labels(|label| labels?.get(label));
    // A label may be inherited from the base image, which is older than what was built on it.
    let created = built.created.max(configuration.created().as_deref().and_then(moment));
    let platform = platform(configuration.os(), configuration.architecture(), configuration.variant().as_deref());
    (Built { created, ..built }, platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn kind(json: &str) -> String {
        match read(json.as_bytes(), None).map(|read| read.kind) {
            Ok(ManifestKind::Image) => "image".to_owned(),
            Ok(ManifestKind::Incomplete { detail } | ManifestKind::Other { detail }) => detail,
            Err(fault) => format!("{fault:?}"),
        }
    }

    fn child(os: &str, architecture: &str) -> String {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
        )
    }

    #[test]
    fn only_the_content_tells_an_image_from_other_things() {
        let image = format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[]}}"#);
        assert_eq!(kind(&image), "image");
        assert_eq!(
            kind(&image.replace("vnd.oci.image.config", "vnd.cncf.helm.config")),
            "an artifact with a configuration of type `application/vnd.cncf.helm.config.v1+json`"
        );
        assert_eq!(
            kind(&image.replace("\"layers\"", "\"artifactType\":\"x/y\",\"layers\"")),
            "an artifact of type `x/y`"
        );
        assert_eq!(
            kind(&image.replace("\"layers\"", "\"subject\":{},\"layers\"")),
            "an artifact about another image (it has a `subject`)"
        );
        assert_eq!(
            kind(&image.replace("\"layers\"", "\"manifests\":[],\"layers\"")),
            "a document that is both an index and a manifest"
        );
        assert_eq!(kind(r#"{"schemaVersion":1}"#), "a manifest of schema 1, or none at all");
        let index = |children: &[String]| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","));
        assert_eq!(kind(&index(&[child("linux", "amd64"), child("unknown", "unknown")])), "image");
        assert_eq!(kind(&index(&[child("unknown", "unknown")])), "an index without any image");
        assert_eq!(kind(&index(&[])), "an index without any image");
    }

    #[test]
    fn what_strangers_wrote_is_cut_and_cleaned() {
        let image = format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[]}}"#);
        let (stain, long) = ("x\\u202e\\n<", "y".repeat(500));
        for text in [stain, &long] {
            let artifact = image.replace("\"layers\"", &format!("\"artifactType\":\"{text}\",\"layers\""));
            let index = format!(r#"{{"schemaVersion":2,"artifactType":"{text}","manifests":[]}}"#);
            let config = image.replace("application/vnd.oci.image.config.v1+json", text);
            let revision =
                image.replace("\"layers\"", &format!("\"annotations\":{{\"{REVISION}\":\"{text}\"}},\"layers\""));
            let revision = read(revision.as_bytes(), None).unwrap().built.revision.unwrap();
            for told in [kind(&artifact), kind(&index), kind(&config), revision] {
                let clean = !told.contains(['\n', '\u{202e}']) && told.chars().count() < 260;
                assert!(clean && (told.contains("x  <") || told.contains("yyy…")), "{told:?}");
            }
        }
    }

    #[test]
    fn other_bytes_than_the_digest_says_are_refused() {
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        assert!(read(b"{}", Some(&digest)).is_err());
        let right = digest_of(b"{}", Some(&digest)).unwrap();
        assert!(read(b"{}", Some(&right)).is_ok());
        let longer: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        assert!(read(b"{}", Some(&longer)).is_err());
        assert!(read(b"{}", Some(&digest_of(b"{}", Some(&longer)).unwrap())).is_ok());
    }

    #[test]
    fn a_configuration_tells_from_what_when_and_for_which_platform() {
        let config = |created: &str, label: &str| {
            format!(
                r#"{{"created":"{created}","architecture":"arm64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"config":{{"Labels":{{"org.opencontainers.image.revision":"abc","org.opencontainers.image.created":"{label}"}}}}}}"#
            )
        };
        let read = |created: &str, label: &str| {
            let (built, platform) = configuration(config(created, label).as_bytes());
            assert_eq!(
                (built.revision.as_deref(), platform.unwrap().to_string()),
                (Some("abc"), "linux/arm64".to_owned())
            );
            built.created.map(|created| created.to_string())
        };
        let (old, new) = ("2024-01-02T03:04:05Z", "2025-01-02T03:04:05.123456789Z");
        assert_eq!(read(new, old).as_deref(), Some("2025-01-02T03:04:05Z"), "the label is the base image's");
        assert_eq!(read("1970-01-01T00:00:00Z", old).as_deref(), Some(old), "a reproducible build with a label");
        for placeholder in ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1980-01-01T00:00:01Z"] {
            assert_eq!(read(placeholder, ""), None, "{placeholder}");
        }
        assert_eq!(configuration(b"{}"), (Built::default(), None));
    }

    #[test]
    fn an_index_tells_its_platforms_and_an_image_to_read_on() {
        let children = [child("unknown", "unknown"), child("linux", "amd64"), child("linux", "arm64")].join(",");
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{children}],"annotations":{{"org.opencontainers.image.created":"2024-01-02T03:04:05Z"}}}}"#
        );
        let read = read(json.as_bytes(), None).unwrap();
        let platforms: Vec<String> = read.platforms.iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        assert!(matches!(read.detail, Some(Detail::Image { .. })) && !read.built.is_complete());
        assert_eq!(read.built.created.unwrap().to_string(), "2024-01-02T03:04:05Z");
    }
}
