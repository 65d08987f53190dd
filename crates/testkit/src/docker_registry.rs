//! Debian's `docker-registry`, with its own notifications, and somebody who pushes to it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use reqwest::{Client, RequestBuilder, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Process, TokenServer, free_port, wait_for_port};

/// The user of a registry with passwords.
pub const REGISTRY_USER: &str = "bot";
/// Its password, and the one that comes after it; canaries, so that they can be looked for where they must not be.
pub const REGISTRY_PASSWORDS: [&str; 2] = ["canary-registry-a41c", "canary-registry-b52d"];
/// What bcrypt makes of them, as cheaply as it can.
const PASSWORD_HASHES: [&str; 2] = [
    "$2y$04$tagboattesttagboattes.B5hCnheU8k8lEkYx1gwkiF6jmgtVc/S",
    "$2y$04$tagboattesttagboattes.gHqSX6iYkHSdKUDmOqe/iPBVfzWddwq",
];

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A running registry.
#[derive(Debug)]
pub struct DockerRegistry {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Process>,
    http: Client,
    pusher: Pusher,
}

/// As whom images are pushed.
#[derive(Debug)]
enum Pusher {
    Anybody,
    Password(AtomicUsize),
    Tokens(TokenServer),
}

impl DockerRegistry {
    /// Start it; notifications go to `url` with this `Authorization` header, when one is given.
    ///
    /// # Panics
    /// When `docker-registry` is not installed or does not start.
    #[must_use]
    pub fn start(notify: Option<(&str, &str)>) -> Self {
        let endpoints = notify.map_or_else(String::new, |(url, authorization)| {
            format!(
                "notifications:\n  endpoints:\n    - name: tagboat\n      url: {url}\n      headers:\n        \
                 Authorization: [\"{authorization}\"]\n      timeout: 2s\n      threshold: 5\n      backoff: 200ms\n      ignore: {{ actions: [pull] }}\n"
            )
        });
        Self::start_as(Pusher::Anybody, |_| endpoints)
    }

    /// Start it for [`REGISTRY_USER`] with the first of [`REGISTRY_PASSWORDS`] only.
    ///
    /// # Panics
    /// When `docker-registry` is not installed or does not start.
    #[must_use]
    pub fn start_with_password() -> Self {
        Self::start_as(Pusher::Password(AtomicUsize::new(0)), |folder| {
            let path = folder.join("htpasswd");
            std::fs::write(&path, password_file(0)).unwrap();
            format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", path.display())
        })
    }

    /// From now on only this one of [`REGISTRY_PASSWORDS`] opens it.
    ///
    /// # Panics
    /// When the registry was started without passwords.
    pub fn use_password(&self, which: usize) {
        let Pusher::Password(current) = &self.pusher else { panic!("a registry without passwords") };
        std::fs::write(self.folder.path().join("htpasswd"), password_file(which)).unwrap();
        current.store(which, Ordering::SeqCst);
    }

    /// Start it behind a token server.
    ///
    /// # Panics
    /// When `docker-registry` is not installed or does not start.
    #[must_use]
    pub fn start_with_tokens(server: &TokenServer) -> Self {
        Self::start_as(Pusher::Tokens(server.clone()), |folder| {
            let path = folder.join("certificate.pem");
            std::fs::write(&path, server.certificate()).unwrap();
            format!(
                "auth:\n  token:\n    realm: {}\n    service: {}\n    issuer: {}\n    rootcertbundle: {}\n",
                server.realm(),
                TokenServer::SERVICE,
                TokenServer::ISSUER,
                path.display()
            )
        })
    }

    fn start_as(pusher: Pusher, further: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let configuration = format!(
            "version: 0.1\nlog: {{ level: warn }}\nstorage:\n  filesystem:\n    rootdirectory: {storage}\n  delete:\n    \
             enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n{further}",
            storage = folder.path().join("storage").display(),
            further = further(folder.path()),
        );
        std::fs::write(folder.path().join("config.yml"), configuration).unwrap();
        let mut registry = Self { folder, port, process: None, http: Client::new(), pusher };
        registry.start_again();
        registry
    }

    /// Stop it, as an outage would.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Start it with what it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let log = self.log();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(self.folder.path().join("config.yml"));
        self.process = Some(Process::start(&mut command, Some(&log)));
        wait_for_port(self.port, Some(&log));
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Push an image for one platform; the seed makes its content. Returns its digest.
    pub async fn push_image(&self, repository: &str, tag: &str, seed: &str) -> String {
        let (manifest, _) = self.image(repository, seed, "amd64").await;
        self.push_manifest(repository, tag, MANIFEST, &manifest).await
    }

    /// Push an image for two platforms: two manifests by digest, then the index. Returns the index's digest.
    pub async fn push_index(&self, repository: &str, tag: &str, seed: &str) -> String {
        let mut children = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let (manifest, bytes) = self.image(repository, seed, architecture).await;
            let digest = self.push_manifest(repository, &digest_of(&bytes), MANIFEST, &manifest).await;
            children.push(json!({ "mediaType": MANIFEST, "digest": digest, "size": bytes.len(),
                "platform": { "os": "linux", "architecture": architecture } }));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
        self.push_manifest(repository, tag, INDEX, &index).await
    }

    /// Push an image for two platforms as BuildKit does: an attestation stands beside each. Eleven notifications.
    /// Returns the index's digest.
    pub async fn push_index_with_attestations(&self, repository: &str, tag: &str, seed: &str) -> String {
        let mut children = Vec::new();
        let config = self.push_blob(repository, format!("{{\"attestation\":\"{seed}\"}}").as_bytes(), CONFIG).await;
        let statement =
            self.push_blob(repository, format!("statement {seed}").as_bytes(), "application/vnd.in-toto+json").await;
        for architecture in ["amd64", "arm64"] {
            let (manifest, bytes) = self.image(repository, seed, architecture).await;
            let image = self.push_manifest(repository, &digest_of(&bytes), MANIFEST, &manifest).await;
            children.push(json!({ "mediaType": MANIFEST, "digest": image, "size": bytes.len(),
                "platform": { "os": "linux", "architecture": architecture } }));
            let attestation = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [statement],
                "annotations": { "about": image } });
            let bytes = attestation.to_string().into_bytes();
            let digest = self.push_manifest(repository, &digest_of(&bytes), MANIFEST, &attestation).await;
            children.push(json!({ "mediaType": MANIFEST, "digest": digest, "size": bytes.len(),
                "platform": { "os": "unknown", "architecture": "unknown" },
                "annotations": { "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image } }));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
        self.push_manifest(repository, tag, INDEX, &index).await
    }

    /// Push something that is no image: a Helm chart.
    pub async fn push_chart(&self, repository: &str, tag: &str) -> String {
        let config_type = "application/vnd.cncf.helm.config.v1+json";
        let config = self.push_blob(repository, b"{\"name\":\"chart\"}", config_type).await;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
        self.push_manifest(repository, tag, MANIFEST, &manifest).await
    }

    /// Give the image that `from` names further tags, as symbolic links in the registry's storage: thousands in no time,
    /// where a folder and a file for each take a busy disk half a minute. They follow `from` when it moves. No
    /// notification is sent.
    ///
    /// # Panics
    /// When `from` is no tag of the repository, or one of `tags` is one already.
    pub fn copy_tag(&self, repository: &str, from: &str, tags: impl IntoIterator<Item = String>) {
        let repositories = self.folder.path().join("storage/docker/registry/v2/repositories");
        let all = repositories.join(repository).join("_manifests/tags");
        assert!(all.join(from).is_dir(), "{from} is no tag of {repository}");
        for tag in tags {
            std::os::unix::fs::symlink(from, all.join(tag)).unwrap();
        }
    }

    /// Make further repositories with all that `from` holds, in the registry's storage: a push of each would take longer. No
    /// notification is sent.
    ///
    /// # Panics
    /// When `from` is no repository, or one of `names` is one already.
    pub fn copy_repository(&self, from: &str, names: impl IntoIterator<Item = String>) {
        let repositories = self.folder.path().join("storage/docker/registry/v2/repositories");
        for name in names {
            let to = repositories.join(name);
            assert!(!to.exists(), "{} is there already", to.display());
            copy_folder(&repositories.join(from), &to);
        }
    }

    /// How many requests clients made so far that call themselves `agent` and a version, as its access log has them. One is
    /// in the log once its answer was written.
    ///
    /// # Panics
    /// When there is no log.
    #[must_use]
    pub fn requests_of(&self, agent: &str) -> usize {
        let log = std::fs::read_to_string(self.log()).unwrap();
        let agent = format!("\"{agent}/");
        // Other lines have fields instead: `time="…" level=…`.
        log.lines().filter(|line| line.contains(" HTTP/1.1\" ") && line.contains(&agent)).count()
    }

    async fn image(&self, repository: &str, seed: &str, architecture: &str) -> (Value, Vec<u8>) {
        let layer = self
            .push_blob(
                repository,
                format!("layer {seed} {architecture}").as_bytes(),
                "application/vnd.oci.image.layer.v1.tar",
            )
            .await;
        let config = json!({ "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] },
            "config": { "Labels": { "org.opencontainers.image.revision": seed } } });
        let config = self.push_blob(repository, config.to_string().as_bytes(), CONFIG).await;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let bytes = manifest.to_string().into_bytes();
        (manifest, bytes)
    }

    fn authorized(&self, request: RequestBuilder, repository: &str) -> RequestBuilder {
        match &self.pusher {
            Pusher::Anybody => request,
            Pusher::Password(which) => {
                request.basic_auth(REGISTRY_USER, Some(REGISTRY_PASSWORDS[which.load(Ordering::SeqCst)]))
            }
            Pusher::Tokens(server) => request.bearer_auth(server.token_to_push(repository)),
        }
    }

    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8], media_type: &str) -> Value {
        let start = format!("http://{}/v2/{repository}/blobs/uploads/", self.host());
        let answer = self.authorized(self.http.post(start), repository).send().await.unwrap();
        let location = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let digest = digest_of(bytes);
        let separator = if location.contains('?') { '&' } else { '?' };
        let request = self.http.put(format!("{location}{separator}digest={digest}"));
        let answer = self
            .authorized(request, repository)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &Value,
    ) -> String {
        let url = format!("http://{}/v2/{repository}/manifests/{reference}", self.host());
        let answer = self
            .authorized(self.http.put(url), repository)
            .header(header::CONTENT_TYPE, media_type)
            .body(manifest.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.headers()["docker-content-digest"].to_str().unwrap().to_owned()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &copy),
            false => {
                std::fs::copy(entry.path(), copy).unwrap();
            }
        }
    }
}

fn password_file(which: usize) -> String {
    format!("{REGISTRY_USER}:{}\n", PASSWORD_HASHES[which])
}

pub(crate) fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
