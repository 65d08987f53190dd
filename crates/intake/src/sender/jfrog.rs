//! The webhooks of JFrog Artifactory, of the domain `docker`.
//!
//! They carry no id and no time. The host in `jpd_origin` is empty until an administrator sets it and is not read.
//! Image names may mean the repository of the body, a virtual one that stands before it, or (where the host itself
//! stands for the repository) none: configuration says which. What a remote repository keeps for itself is no push.
//! Format: JFrog's documentation, "Webhook Event Types".

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Ignored,
    read::{Context, Push, Read, Unreadable, lenient_text},
};

#[derive(Deserialize)]
struct Delivery {
    domain: String,
    event_type: String,
    /// Of another shape in each domain.
    #[serde(default)]
    data: Value,
    #[serde(default, deserialize_with = "lenient_text")]
    source: Option<String>,
}

#[derive(Deserialize)]
struct File {
    repo_key: String,
    image_name: String,
    /// Within the repository: `acme/web/1.5.0/manifest.json`.
    #[serde(default, deserialize_with = "lenient_text")]
    path: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    tag: Option<String>,
    /// Of the manifest, so that it is the digest without its algorithm.
    #[serde(default, deserialize_with = "lenient_text")]
    sha256: Option<String>,
}

pub(crate) fn read(context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    let Delivery { domain, event_type, data, source } = serde_json::from_slice(body)?;
    if domain != "docker" {
        return Ok(Read::nothing(None, Ignored::NotUsed { event: format!("{domain} {event_type}") }));
    }
    // To promote is to give a repository a tag that another has.
    if !matches!(event_type.as_str(), "pushed" | "promoted") {
        return Ok(Read::nothing(None, Ignored::NotAPush { action: event_type }));
    }
    let file: File = serde_json::from_value(data)?;
    if let Some(reason) = reason_against(&file) {
        return Ok(Read::nothing(None, reason));
    }
    let repository = match context.repository.unwrap_or(&file.repo_key) {
        "" => file.image_name.clone(),
        parent => format!("{parent}/{}", file.image_name),
    };
    let sha256 = file.sha256.as_deref().filter(|sha256| !sha256.is_empty());
    let digest = sha256.map(|sha256| format!("sha256:{}", sha256.strip_prefix("sha256:").unwrap_or(sha256)));
    let mut read = Read::default();
    read.push(&Push {
        registry: context.registry(None),
        repository: &repository,
        // A manifest that was pushed by its digest lies in a folder of that name.
        tag: file.tag.as_deref().filter(|tag| !tag.starts_with("sha256__")),
        digest: digest.as_deref(),
        actor: source.as_deref(),
        ..Push::default()
    });
    Ok(read)
}

/// Why a file is not a manifest that somebody pushed. Which kind of manifest it is, its name does not say.
fn reason_against(file: &File) -> Option<Ignored> {
    let path = file.path.as_deref().unwrap_or_default();
    let name = file.name.as_deref().or_else(|| path.rsplit('/').next()).unwrap_or_default();
    if file.repo_key.ends_with("-cache") {
        Some(Ignored::NotUsed { event: format!("a copy in the remote cache {}", file.repo_key) })
    } else if path.split('/').any(|part| matches!(part, "_uploads" | ".jfrog")) {
        Some(Ignored::NotAPush { action: format!("a change of {path}") })
    } else if !matches!(name, "manifest.json" | "list.manifest.json" | "") {
        Some(Ignored::NotAManifest { media_type: name.to_owned() })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use tagboat_model::Event;

    use super::*;
    use crate::Headers;

    #[test]
    fn configuration_says_which_repository_image_names_mean() {
        let body = br#"{"domain": "docker", "event_type": "pushed",
            "data": {"repo_key": "docker-local", "image_name": "acme/web", "tag": "1.5.0"}}"#;
        for (configured, image) in [
            (None, "acme.jfrog.example/docker-local/acme/web"),
            (Some("docker"), "acme.jfrog.example/docker/acme/web"),
            (Some(""), "acme.jfrog.example/acme/web"),
        ] {
            let (headers, registry) = (Headers::default(), Some("acme.jfrog.example"));
            let context = Context { headers: &headers, registry, repository: configured, claims: None, is_app: false };
            let read = read(&context, body).unwrap();
            let [Event::ImagePushed(pushed)] = read.events.as_slice() else { panic!("{:?}", read.events) };
            assert_eq!(pushed.image.to_string(), image, "{configured:?}");
        }
    }
}
