//! Signatures of an image: where they are looked for, and how many.
//!
//! Two places, as cosign uses them: the tag `sha256-….sig` beside the image (cosign 2), and the artifacts that name
//! the image as their `subject` (OCI distribution specification 1.1, "Listing Referrers"), which registries without
//! that API list under the tag `sha256-…`. What is found is judged by tagboat-signature; here nothing is believed.
//! Whoever may push can attach what they like, so everything is bounded, and more than the bound means unsigned. A
//! registry that cannot be asked is an error and never an unsigned image.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use reqwest::{Method, StatusCode, header};
use tagboat_model::{Digest, ImageName, SignatureRule, Timestamp};
use tagboat_ports::Verification;
use tagboat_signature::{Attached, Rejection, TrustRoot, Verifier, explain};

use crate::{
    client::{Answer, Ask, Client, Fault},
    list::next_query,
    manifest,
};

/// Artifacts of one image, and signatures in them, that are looked at: some 160 requests at most, with the lists.
const MOST_SIGNATURES: usize = 50;
/// Pages of the list of referrers that are read.
const MOST_PAGES: usize = 10;
/// Bytes of a payload or bundle. Bundles with provenance are the largest, at some 20 KiB.
const LARGEST_SIGNATURE: u64 = 1024 * 1024;
/// So many times as long as one exchange may take, all exchanges for one image may take: 120 s, where nothing else is
/// configured. Whoever may push can make the registry slow, too.
const MOST_TIMEOUTS: u32 = 4;
/// What registries without the API answer besides 404, by their authors' reading of HTTP.
const WITHOUT_API: [StatusCode; 4] =
    [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_ACCEPTABLE];
/// Images that are remembered as signed.
const MOST_REMEMBERED: usize = 1000;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Artifacts with payloads of simple signing in their layers.
const COSIGN_ARTIFACTS: [&str; 2] = ["application/vnd.dev.cosign.artifact.sig.v1+json", SIMPLE_SIGNING];
/// All versions of bundles: `….bundle+json;version=0.1`, `….bundle.v0.3+json`.
const BUNDLES: &str = "application/vnd.dev.sigstore.bundle";

/// What signatures are judged by, besides rules, and what was found signed.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    pub(crate) trust_root: Option<TrustRoot>,
    signed: Remembered,
}

/// Images that were found signed, with the rule. Only these: an image without a signature may get one.
#[derive(Debug, Default)]
struct Remembered(Mutex<VecDeque<(Digest, SignatureRule)>>);

impl Remembered {
    fn has(&self, digest: &Digest, rule: &SignatureRule) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(known, by)| known == digest && by == rule);
        // What was asked for last goes to the end, and what was not asked for longest is forgotten.
        let found = at.and_then(|at| known.remove(at));
        known.extend(found.clone());
        found.is_some()
    }

    fn add(&self, digest: &Digest, rule: &SignatureRule) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.pop_front();
        }
        known.push_back((digest.clone(), rule.clone()));
    }
}

impl Signatures {
    /// Whether the image carries a signature that satisfies the rule.
    pub(crate) async fn verify(
        &self,
        client: &Client,
        image: &ImageName,
        digest: &Digest,
        rule: &SignatureRule,
    ) -> Result<Verification, Fault> {
        if self.signed.has(digest, rule) {
            return Ok(Verification::Verified);
        }
        let verifier = match Verifier::new(digest, rule, self.trust_root.as_ref(), now()) {
            Ok(verifier) => verifier,
            Err(error) => return Ok(Verification::Unverified { detail: error.to_string() }),
        };
        let left = client.timeout(image).saturating_mul(MOST_TIMEOUTS);
        let mut search = Search { client, image, verifier, rejections: Vec::new(), is_cut: false, left };
        if search.under_tag(digest).await? || search.among_referrers(digest).await? {
            self.signed.add(digest, rule);
            return Ok(Verification::Verified);
        }
        let mut detail = explain(digest, &search.rejections);
        if search.is_cut {
            detail.push_str("; more are attached than are looked at");
        }
        Ok(Verification::Unverified { detail })
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// One look for a signature. Each step says whether it found one.
struct Search<'s> {
    client: &'s Client,
    image: &'s ImageName,
    verifier: Verifier<'s>,
    rejections: Vec<Rejection>,
    is_cut: bool,
    /// Of the time for exchanges.
    left: Duration,
}

impl Search<'_> {
    async fn send(&mut self, path: &str, accept: &str, ask: Ask<'_>) -> Result<Answer, Fault> {
        let answer = self.client.ask(Method::GET, self.image, path, accept, ask).await?;
        self.left = self.left.checked_sub(answer.spent).ok_or_else(|| {
            let limit = self.client.timeout(self.image).saturating_mul(MOST_TIMEOUTS);
            Fault::new(format!("the registry is too slow: not all signatures were read after {} s", limit.as_secs()))
        })?;
        Ok(answer)
    }

    /// `sha256-….sig`: one manifest with a layer per signature.
    async fn under_tag(&mut self, digest: &Digest) -> Result<bool, Fault> {
        // A tag has at most 128 characters, so cosign 2 cannot sign by SHA-512.
        let Some(hex) = digest.as_str().strip_prefix("sha256:") else { return Ok(false) };
        match self.manifest(&format!("sha256-{hex}.sig"), None).await? {
            Some(bytes) => self.artifact(&bytes).await,
            None => Ok(false),
        }
    }

    async fn among_referrers(&mut self, digest: &Digest) -> Result<bool, Fault> {
        let referrers = self.referrers(digest).await?;
        // Artifacts without a type may hold no signature at all, so they are counted here too.
        self.is_cut |= referrers.len() > MOST_SIGNATURES;
        for referrer in referrers.iter().take(MOST_SIGNATURES) {
            let Ok(digest) = referrer.digest().to_string().parse::<Digest>() else { continue };
            if self.is_full() {
                break;
            }
            // An artifact that is listed and gone is one that somebody deleted.
            let Some(bytes) = self.manifest(digest.as_str(), Some(&digest)).await? else { continue };
            if self.artifact(&bytes).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What names the image as its subject and may be a signature.
    async fn referrers(&mut self, digest: &Digest) -> Result<Vec<Descriptor>, Fault> {
        let mut path = format!("referrers/{digest}");
        let mut found = Vec::new();
        for page in 0..MOST_PAGES {
            // Once the registry has shown that it has the API, anything but a page is a fault of its.
            let answers: &[StatusCode] = if page == 0 { &WITHOUT_API } else { &[] };
            let answer = self.send(&path, INDEX, Ask { answers, ..Ask::default() }).await?;
            let is_index = answer.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
                kind.to_str().is_ok_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == INDEX))
            });
            // By the specification anything else means that the registry does not have this API.
            let is_page = answer.status.is_success() && is_index;
            if !is_page && page == 0 {
                return self.referrers_by_tag(digest).await;
            }
            if !is_page {
                return Err(Fault::new("the list of referrers ends in the middle").of_repository());
            }
            let next = next_query(&answer.headers, "the list of referrers")?;
            let next = next.map(|query| format!("referrers/{digest}?{query}"));
            let Some(listed) = signatures_of(&answer.body) else {
                let fault = Fault::new("the list of referrers is not what the specification says");
                return Err(fault.of_repository());
            };
            found.extend(listed);
            match next {
                Some(next) if next != path && found.len() <= MOST_SIGNATURES => path = next,
                Some(_) => break,
                None => return Ok(found),
            }
        }
        self.is_cut = true;
        Ok(found)
    }

    /// The same where the registry has no API for it. Who signs keeps this list, so what is wrong in it is no fault of
    /// the registry's.
    async fn referrers_by_tag(&mut self, digest: &Digest) -> Result<Vec<Descriptor>, Fault> {
        let Some(bytes) = self.manifest(&referrers_tag(digest), None).await? else { return Ok(Vec::new()) };
        let listed = signatures_of(&bytes);
        if listed.is_none() {
            self.rejections.push(Rejection::unreadable("the list under its tag does not follow the OCI specification"));
        }
        Ok(listed.unwrap_or_default())
    }

    /// Judge every layer of a manifest that may be a signature.
    async fn artifact(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        let Ok(manifest) = ImageManifest::from_reader(bytes) else {
            self.rejections.push(Rejection::unreadable("its manifest does not follow the OCI specification"));
            return Ok(false);
        };
        for layer in manifest.layers() {
            let media_type = layer.media_type().to_string();
            if media_type != SIMPLE_SIGNING && !media_type.starts_with(BUNDLES) {
                continue;
            }
            if self.is_full() {
                break;
            }
            let judged = match self.layer(layer).await? {
                Ok(bytes) => self.judge(layer, &bytes),
                Err(rejection) => Err(rejection),
            };
            match judged {
                Ok(()) => return Ok(true),
                Err(rejection) => self.rejections.push(rejection),
            }
        }
        Ok(false)
    }

    fn judge(&self, layer: &Descriptor, bytes: &[u8]) -> Result<(), Rejection> {
        if layer.media_type().to_string() != SIMPLE_SIGNING {
            return self.verifier.check(&Attached::Bundle(bytes));
        }
        let annotation = |name: &str| layer.annotations().as_ref()?.get(name).map(String::as_str);
        let Some(signature) = annotation("dev.cosignproject.cosign/signature") else {
            return Err(Rejection::unreadable("its layer has no signature"));
        };
        self.verifier.check(&Attached::SimpleSigning {
            payload: bytes,
            signature,
            certificate: annotation("dev.sigstore.cosign/certificate"),
            log_entry: annotation("dev.sigstore.cosign/bundle"),
        })
    }

    /// The content of a layer, unless it cannot be that of a signature.
    async fn layer(&mut self, layer: &Descriptor) -> Result<Result<Vec<u8>, Rejection>, Fault> {
        let Ok(digest) = layer.digest().to_string().parse::<Digest>() else {
            return Ok(Err(Rejection::unreadable("its layer has no digest that is known")));
        };
        let too_large = || Ok(Err(Rejection::unreadable(format!("larger than {LARGEST_SIGNATURE} bytes"))));
        if layer.size() > LARGEST_SIGNATURE {
            return too_large();
        }
        let answer = self.send(&format!("blobs/{digest}"), "*/*", Ask::default()).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Err(Rejection::unreadable("its content is not in the registry")));
        }
        let bytes = answer.body;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_SIGNATURE) {
            return too_large();
        }
        if manifest::digest_of(&bytes, Some(&digest))? != digest {
            return Err(Fault::new(format!("the blob {digest} has other content than its digest says")).of_repository());
        }
        Ok(Ok(bytes))
    }

    /// The bytes of a manifest; `None` when there is none.
    async fn manifest(&mut self, reference: &str, expected: Option<&Digest>) -> Result<Option<Vec<u8>>, Fault> {
        let path = format!("manifests/{reference}");
        let answer = self.send(&path, &format!("{MANIFEST}, {INDEX}"), Ask::default()).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let bytes = answer.body;
        match expected {
            Some(expected) if manifest::digest_of(&bytes, Some(expected))? != *expected => {
                let detail = format!("the manifest {expected} has other content than its digest says");
                Err(Fault::new(detail).of_repository())
            }
            _ => Ok(Some(bytes)),
        }
    }

    fn is_full(&mut self) -> bool {
        let is_full = self.rejections.len() >= MOST_SIGNATURES;
        self.is_cut |= is_full;
        is_full
    }
}

/// The tag that stands in for the referrers API: the algorithm's first 32 and the digest's first 64 characters.
fn referrers_tag(digest: &Digest) -> String {
    let (algorithm, hex) = digest.as_str().split_once(':').unwrap_or_default();
    format!("{algorithm}-{}", hex.get(..64).unwrap_or(hex))
}

/// The manifests of an index that may be signatures by their type, or do not say what they are. `None` when it is no
/// index.
fn signatures_of(index: &[u8]) -> Option<Vec<Descriptor>> {
    let index = ImageIndex::from_reader(index).ok()?;
    let may_be = |descriptor: &&Descriptor| match descriptor.artifact_type().as_ref().map(ToString::to_string) {
        Some(kind) => kind.starts_with(BUNDLES) || COSIGN_ARTIFACTS.contains(&kind.as_str()),
        None => true,
    };
    Some(index.manifests().iter().filter(may_be).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        format!("sha256:{number:064x}").parse().unwrap()
    }

    #[test]
    fn only_the_images_asked_for_last_are_remembered() {
        let (remembered, rule) = (Remembered::default(), SignatureRule::Keys { pem: vec!["a".to_owned()] });
        for number in 0..MOST_REMEMBERED {
            remembered.add(&digest(number), &rule);
        }
        assert!(remembered.has(&digest(0), &rule));
        remembered.add(&digest(MOST_REMEMBERED), &rule);
        assert!(remembered.has(&digest(0), &rule) && !remembered.has(&digest(1), &rule));
        assert!(!remembered.has(&digest(0), &SignatureRule::Keys { pem: vec!["b".to_owned()] }), "by another rule");
        assert_eq!(remembered.0.lock().unwrap().len(), MOST_REMEMBERED);
    }

    #[test]
    fn the_tag_of_referrers_fits_into_a_tag() {
        assert_eq!(referrers_tag(&digest(1)), format!("sha256-{:064x}", 1));
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(referrers_tag(&long), format!("sha512-{}", "a".repeat(64)));
    }
}
