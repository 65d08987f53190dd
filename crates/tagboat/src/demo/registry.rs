//! A registry in memory that speaks the OCI distribution protocol and distribution's notifications.
//!
//! Enough for `docker push` and for Tagboat: uploads, blobs, manifests, paged tags. No authentication, no
//! deletion, nothing on disk.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::mpsc};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LARGEST_BODY: usize = 1 << 30;

/// Type and bytes.
type Manifest = (String, Bytes);

#[derive(Default)]
struct Content {
    blobs: HashMap<String, Bytes>,
    uploads: HashMap<String, Vec<u8>>,
    /// By repository and digest.
    manifests: HashMap<(String, String), Manifest>,
    /// By repository: tag to digest.
    tags: BTreeMap<String, BTreeMap<String, String>>,
    next: u64,
}

/// A running registry.
#[derive(Clone)]
pub(super) struct DemoRegistry {
    content: Arc<Mutex<Content>>,
    notify: mpsc::UnboundedSender<Value>,
}

impl DemoRegistry {
    /// Serve on `listener`; notifications go to `url` with the header `Authorization: <authorization>`.
    pub(super) fn start(listener: TcpListener, url: &str, authorization: &str) -> Self {
        let (notify, queue) = mpsc::unbounded_channel();
        tokio::spawn(send_notifications(queue, url.to_owned(), authorization.to_owned()));
        let registry = Self { content: Arc::default(), notify };
        let router =
            axum::Router::new().fallback(serve).layer(DefaultBodyLimit::max(LARGEST_BODY)).with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        registry
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Store a blob and describe it as a manifest does.
    pub(super) fn put_blob(&self, bytes: Vec<u8>, media_type: &str) -> Value {
        let digest = digest_of(&bytes);
        let size = bytes.len();
        self.content().blobs.insert(digest.clone(), bytes.into());
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    /// What `docker push` ends with: the manifest under its tag.
    pub(super) async fn push(&self, repository: &str, tag: &str, manifest: &Value) {
        self.put_manifest(repository, tag, MANIFEST, manifest.to_string().into());
        // The notification is on its way; a registry answers its client without waiting for it.
        tokio::task::yield_now().await;
    }

    fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: Bytes) -> String {
        let digest = digest_of(&bytes);
        let (size, tagged) = (bytes.len(), !reference.contains(':'));
        let mut content = self.content();
        content.next += 1;
        let id = format!("demo-{}", content.next);
        content.manifests.insert((repository.to_owned(), digest.clone()), (media_type.to_owned(), bytes));
        let tags = content.tags.entry(repository.to_owned()).or_default();
        if tagged {
            tags.insert(reference.to_owned(), digest.clone());
        }
        let mut target = json!({ "mediaType": media_type, "size": size, "digest": digest, "repository": repository });
        if tagged {
            target["tag"] = json!(reference);
        }
        // Without a listener the queue is closed, and there is nobody to tell.
        let _ = self.notify.send(json!({ "events": [{ "id": id, "action": "push", "target": target }] }));
        digest
    }
}

/// In order, each until it is accepted, as distribution does.
async fn send_notifications(mut queue: mpsc::UnboundedReceiver<Value>, url: String, authorization: String) {
    // Nothing of the demo leaves this machine, whatever proxy is set.
    let Ok(http) = reqwest::Client::builder().no_proxy().build() else { return };
    while let Some(envelope) = queue.recv().await {
        let send = || {
            let request = http.post(&url).header(header::AUTHORIZATION.as_str(), &authorization);
            let request =
                request.header(header::CONTENT_TYPE.as_str(), "application/vnd.docker.distribution.events.v1+json");
            request.body(envelope.to_string()).send()
        };
        while !send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

async fn serve(State(registry): State<DemoRegistry>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path().trim_start_matches("/v2").trim_start_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default();
    if path.is_empty() {
        return axum::Json(json!({})).into_response();
    }
    if let Some((repository, reference)) = path.split_once("/manifests/") {
        return registry.manifest(&parts.method, repository, reference, &parts.headers, body);
    }
    if let Some((repository, upload)) = path.split_once("/blobs/uploads/") {
        return registry.upload(&parts.method, repository, upload, query, &body);
    }
    match (path.split_once("/blobs/"), path.strip_suffix("/tags/list")) {
        (Some((_, digest)), _) => registry.blob(digest),
        (_, Some(repository)) => registry.tags(repository, query),
        _ => not_found("NAME_UNKNOWN"),
    }
}

fn not_found(code: &str) -> Response {
    (StatusCode::NOT_FOUND, axum::Json(json!({ "errors": [{ "code": code }] }))).into_response()
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

impl DemoRegistry {
    /// GET, HEAD and PUT of a manifest. The server leaves the body out of an answer to HEAD.
    fn manifest(
        &self,
        method: &Method,
        repository: &str,
        reference: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        if method == Method::PUT {
            let media_type =
                headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or(MANIFEST);
            let digest = self.put_manifest(repository, reference, media_type, body);
            let location = format!("/v2/{repository}/manifests/{digest}");
            return (StatusCode::CREATED, [("location", location), ("docker-content-digest", digest)]).into_response();
        }
        let content = self.content();
        let tagged = content.tags.get(repository).and_then(|tags| tags.get(reference));
        let digest = tagged.map_or_else(|| reference.to_owned(), Clone::clone);
        match content.manifests.get(&(repository.to_owned(), digest.clone())) {
            Some((media_type, bytes)) => {
                let headers = [("content-type", media_type.clone()), ("docker-content-digest", digest)];
                (headers, bytes.clone()).into_response()
            }
            None => not_found("MANIFEST_UNKNOWN"),
        }
    }

    fn blob(&self, digest: &str) -> Response {
        match self.content().blobs.get(digest) {
            Some(bytes) => ([("docker-content-digest", digest.to_owned())], bytes.clone()).into_response(),
            None => not_found("BLOB_UNKNOWN"),
        }
    }

    /// POST begins an upload, PATCH adds to it, PUT ends it.
    fn upload(&self, method: &Method, repository: &str, upload: &str, query: &str, body: &Bytes) -> Response {
        let mut content = self.content();
        let id = if upload.is_empty() {
            content.next += 1;
            format!("upload-{}", content.next)
        } else {
            upload.to_owned()
        };
        let bytes = content.uploads.entry(id.clone()).or_default();
        bytes.extend_from_slice(body);
        let range = format!("0-{}", bytes.len().saturating_sub(1));
        let location = format!("/v2/{repository}/blobs/uploads/{id}");
        let digest = parameter(query, "digest").map(|digest| digest.replace("%3A", ":"));
        match (method, digest) {
            (&Method::PUT | &Method::POST, Some(digest)) => {
                let bytes = content.uploads.remove(&id).unwrap_or_default();
                if digest_of(&bytes) != digest {
                    return (StatusCode::BAD_REQUEST, axum::Json(json!({ "errors": [{ "code": "DIGEST_INVALID" }] })))
                        .into_response();
                }
                content.blobs.insert(digest.clone(), bytes.into());
                let location = format!("/v2/{repository}/blobs/{digest}");
                (StatusCode::CREATED, [("location", location), ("docker-content-digest", digest)]).into_response()
            }
            _ => (
                StatusCode::ACCEPTED,
                [("location", location), ("range", range), ("docker-upload-uuid", id)],
                Body::empty(),
            )
                .into_response(),
        }
    }

    fn tags(&self, repository: &str, query: &str) -> Response {
        let content = self.content();
        let Some(tags) = content.tags.get(repository) else { return not_found("NAME_UNKNOWN") };
        let most = parameter(query, "n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let after = parameter(query, "last").unwrap_or_default();
        let mut rest = tags.keys().filter(|tag| tag.as_str() > after);
        let page: Vec<&String> = rest.by_ref().take(most).collect();
        let list = axum::Json(json!({ "name": repository, "tags": page }));
        match (rest.next(), page.last()) {
            (Some(_), Some(last)) => {
                let link = format!("</v2/{repository}/tags/list?n={most}&last={last}>; rel=\"next\"");
                ([("link", link)], list).into_response()
            }
            _ => list.into_response(),
        }
    }
}
