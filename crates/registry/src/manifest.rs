//! What a manifest describes. Only its content decides: charts, signatures and attestations share the media
//! type of images. Types: OCI image specification 1.1 and Docker's image manifest version 2.

use oci_spec::image::{Arch, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};
use tagboat_model::Digest;
use tagboat_ports::ManifestKind;

use crate::client::Fault;

/// The four types that may be an image.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const REVISION_LABEL: &str = "org.opencontainers.image.revision";

pub(crate) struct ReadManifest {
    pub(crate) digest: Digest,
    pub(crate) kind: ManifestKind,
    /// Where the labels are, for a single image.
    pub(crate) config: Option<Digest>,
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
}

/// Read a manifest. `claimed` is the digest in the header; other bytes than it says are refused.
pub(crate) fn read(bytes: &[u8], claimed: Option<&Digest>) -> Result<ReadManifest, Fault> {
    let digest = digest_of(bytes, claimed)?;
    if let Some(claimed) = claimed.filter(|claimed| **claimed != digest) {
        return Err(Fault::new(format!("the manifest has other content than its digest {} says", claimed.short())));
    }
    let outline: Outline =
        serde_json::from_slice(bytes).map_err(|error| Fault::new("the manifest is not JSON").because(error))?;
    let (kind, config) = match (&outline.manifests, &outline.config) {
        (Some(_), Some(_)) => (other("a document that is both an index and a manifest"), None),
        _ if outline.subject.is_some() => (other("an artifact about another image (it has a `subject`)"), None),
        (Some(_), None) => (index(bytes), None),
        (None, Some(_)) => single(bytes, outline.artifact_type),
        (None, None) => (other("a manifest of schema 1, or none at all"), None),
    };
    Ok(ReadManifest { digest, kind, config })
}

fn other(detail: impl Into<String>) -> ManifestKind {
    ManifestKind::Other { detail: detail.into() }
}

fn single(bytes: &[u8], artifact_type: Option<String>) -> (ManifestKind, Option<Digest>) {
    if let Some(artifact_type) = artifact_type {
        return (other(format!("an artifact of type `{artifact_type}`")), None);
    }
    let Ok(manifest) = ImageManifest::from_reader(bytes) else {
        return (other("a manifest that does not follow the OCI specification"), None);
    };
    let config = manifest.config();
    let media_type = config.media_type().to_string();
    if !IMAGE_CONFIGS.contains(&media_type.as_str()) {
        return (other(format!("an artifact with a configuration of type `{media_type}`")), None);
    }
    (ManifestKind::Image, config.digest().to_string().parse().ok())
}

fn index(bytes: &[u8]) -> ManifestKind {
    let Ok(index) = ImageIndex::from_reader(bytes) else {
        return other("an index that does not follow the OCI specification");
    };
    if let Some(artifact_type) = index.artifact_type() {
        return other(format!("an artifact of type `{artifact_type}`"));
    }
    // Attestations stand in an index as children for the platform `unknown/unknown`.
    let unknown = |os: &Os, arch: &Arch| os.to_string() == "unknown" && arch.to_string() == "unknown";
    let has_image = index.manifests().iter().any(|child| {
        let manifest = matches!(child.media_type(), MediaType::ImageManifest | MediaType::Other(_));
        manifest
            && child.artifact_type().is_none()
            && !child.platform().as_ref().is_some_and(|p| unknown(p.os(), p.architecture()))
    });
    if has_image { ManifestKind::Image } else { other("an index without any image") }
}

/// The commit that an image says it was built from.
pub(crate) fn revision(config: &[u8]) -> Option<String> {
    let configuration = ImageConfiguration::from_reader(config).ok()?;
    configuration.config().as_ref()?.labels().as_ref()?.get(REVISION_LABEL).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn kind(json: &str) -> String {
        match read(json.as_bytes(), None).map(|read| read.kind) {
            Ok(ManifestKind::Image) => "image".to_owned(),
            Ok(ManifestKind::Other { detail }) => detail,
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
    fn the_revision_label_is_read() {
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Labels":{"org.opencontainers.image.revision":"abc"}}}"#;
        assert_eq!(revision(config).as_deref(), Some("abc"));
        assert_eq!(revision(b"{}"), None);
    }
}
