//! Signatures: found in Debian's docker-registry, which has no referrers API, and in a registry that has it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tagboat_model::{Digest, Identity, ImageName, SignatureRule};
use tagboat_ports::{Registry as _, RegistryError, Verification};
use tagboat_registry::{OciRegistries, RegistrySettings, TransportSettings, TrustRoot};
use tagboat_testkit::{
    Authority, DockerRegistry, Flaw, HttpFake, response,
    signing::{COSIGN_SIGNATURE, Layer, SigningKey, payload, statement},
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const ISSUER: &str = "https://token.forge.example";
const WORKFLOW: &str = "https://forge.example/acme/web/.forge/release.yml@refs/heads/main";

fn client(host: &str) -> OciRegistries {
    OciRegistries::new(BTreeMap::from([(host.to_owned(), RegistrySettings::default())])).unwrap()
}

fn rule(keys: &[&SigningKey]) -> SignatureRule {
    SignatureRule::Keys { pem: keys.iter().map(|key| key.public_pem()).collect() }
}

async fn verify(
    client: &OciRegistries,
    host: &str,
    digest: &str,
    rule: &SignatureRule,
) -> Result<Verification, RegistryError> {
    let image: ImageName = format!("{host}/acme/web").parse().unwrap();
    client.verify(&image, &digest.parse::<Digest>().unwrap(), rule).await
}

/// `verified`, or why not.
async fn told(host: &str, digest: &str, rule: &SignatureRule) -> String {
    match verify(&client(host), host, digest, rule).await.unwrap() {
        Verification::Verified => "verified".to_owned(),
        Verification::Unverified { detail } => detail.replace(digest, "IMAGE"),
    }
}

#[tokio::test]
async fn an_image_in_a_real_registry_is_signed_by_the_right_key_or_not() {
    let registry = DockerRegistry::start(None);
    let (host, key, other) = (registry.host(), SigningKey::p256(), SigningKey::p256());
    let image = registry.push_image("acme/web", "1.4.0", "a").await;
    registry.push_chart("acme/web", "chart").await;
    assert_eq!(told(&host, &image, &rule(&[&key])).await, "no signature is attached to IMAGE");

    registry.attach_under_tag("acme/web", &image, &[other.layer(&payload(&image))]).await;
    let foreign = "a signature is attached to IMAGE, but it does not satisfy the rule: not made with a key of the rule";
    assert_eq!(told(&host, &image, &rule(&[&key])).await, foreign);
    assert_eq!(told(&host, &image, &rule(&[&other])).await, "verified");
    assert!(told(&host, &image, &rule(&[])).await.contains("lists no public key"));

    let layers = [other.layer(&payload(&image)), key.layer(&payload(&image))];
    registry.attach_under_tag("acme/web", &image, &layers).await;
    assert_eq!(told(&host, &image, &rule(&[&key])).await, "verified");
}

#[tokio::test]
async fn a_signature_copied_from_another_image_does_not_count() {
    let registry = DockerRegistry::start(None);
    let (host, key) = (registry.host(), SigningKey::p256());
    let old = registry.push_image("acme/web", "1.4.0", "a").await;
    let new = registry.push_image("acme/web", "1.5.0", "b").await;
    registry.attach_under_tag("acme/web", &new, &[key.layer(&payload(&old))]).await;
    let bundle = Layer::bundle(&key.bundle(&statement(&old, COSIGN_SIGNATURE)));
    registry.attach_as_referrers("acme/web", &new, &[bundle]).await;
    let expected = format!(
        "2 signatures are attached to IMAGE, none of which satisfies the rule: made for {old} and not for this image"
    );
    assert_eq!(told(&host, &new, &rule(&[&key])).await, expected);
}

#[tokio::test]
async fn an_index_is_signed_as_itself_and_not_by_its_images() {
    let registry = DockerRegistry::start(None);
    let (host, key) = (registry.host(), SigningKey::p256());
    let index = registry.push_index("acme/web", "1.5.0", "b").await;
    let child = registry.push_image("acme/web", "amd64", "b").await;
    registry.attach_under_tag("acme/web", &index, &[key.layer(&payload(&index))]).await;
    assert_eq!(told(&host, &index, &rule(&[&key])).await, "verified");
    assert_eq!(told(&host, &child, &rule(&[&key])).await, "no signature is attached to IMAGE");
    registry.attach_under_tag("acme/web", &index, &[key.layer(&payload(&child))]).await;
    assert!(told(&host, &index, &rule(&[&key])).await.contains(&child));
}

#[tokio::test]
async fn bundles_are_found_beside_attestations_without_a_referrers_api() {
    let registry = DockerRegistry::start(None);
    let (host, key) = (registry.host(), SigningKey::p256());
    let image = registry.push_image("acme/web", "1.4.0", "a").await;
    let parts = Layer::bundle(&key.bundle(&statement(&image, "https://spdx.dev/Document/v2.3")));
    registry.attach_as_referrers("acme/web", &image, std::slice::from_ref(&parts)).await;
    let told_alone = told(&host, &image, &rule(&[&key])).await;
    assert!(told_alone.contains("https://spdx.dev/Document/v2.3, which tells something"), "{told_alone}");

    let signature = Layer::bundle(&key.bundle(&statement(&image, COSIGN_SIGNATURE)));
    registry.attach_as_referrers("acme/web", &image, &[parts, signature]).await;
    assert_eq!(told(&host, &image, &rule(&[&key])).await, "verified");
    registry.attach_as_referrers("acme/web", &image, &[key.layer(&payload(&image))]).await;
    assert_eq!(told(&host, &image, &rule(&[&key])).await, "verified", "a payload as a referrer");
}

#[tokio::test]
async fn keyless_signatures_in_both_formats_need_the_trust_root_and_the_identity() {
    let registry = DockerRegistry::start(None);
    let (host, authority) = (registry.host(), Authority::default());
    let rule = |identity: &str| SignatureRule::Keyless {
        issuer: ISSUER.to_owned(),
        identity: Identity::Exact(identity.to_owned()),
    };
    let trusting =
        || client(&host).with_trust_root(TrustRoot::parse(authority.trust_root().to_string().as_bytes()).unwrap());
    let (signer, other) = ("https://forge.example/evil/x", WORKFLOW);
    let image = registry.push_image("acme/web", "1.4.0", "a").await;
    let evil = authority.certify(ISSUER, signer, Flaw::None);
    registry.attach_under_tag("acme/web", &image, &[evil.layer(&payload(&image))]).await;
    assert!(told(&host, &image, &rule(other)).await.starts_with("no trust root is configured"));
    let Verification::Unverified { detail } = verify(&trusting(), &host, &image, &rule(other)).await.unwrap() else {
        panic!("signed by somebody else");
    };
    assert!(detail.ends_with(&format!("signed by {signer} instead of {WORKFLOW}")), "{detail}");
    assert_eq!(verify(&trusting(), &host, &image, &rule(signer)).await.unwrap(), Verification::Verified);

    let good = authority.certify(ISSUER, WORKFLOW, Flaw::None);
    let bundle = Layer::bundle(&good.bundle(&statement(&image, COSIGN_SIGNATURE)));
    registry.attach_as_referrers("acme/web", &image, &[bundle]).await;
    assert_eq!(verify(&trusting(), &host, &image, &rule(WORKFLOW)).await.unwrap(), Verification::Verified);
}

#[tokio::test]
async fn a_verified_image_is_remembered_and_an_unsigned_one_is_looked_at_again() {
    let mut registry = DockerRegistry::start(None);
    let (host, key) = (registry.host(), SigningKey::p256());
    let client = client(&host);
    let (image, rule) = (registry.push_image("acme/web", "1.4.0", "a").await, rule(&[&key]));
    for _ in 0..2 {
        let unsigned = verify(&client, &host, &image, &rule).await.unwrap();
        assert!(matches!(unsigned, Verification::Unverified { .. }));
    }
    registry.attach_under_tag("acme/web", &image, &[key.layer(&payload(&image))]).await;
    assert_eq!(verify(&client, &host, &image, &rule).await.unwrap(), Verification::Verified);
    registry.stop();
    assert_eq!(verify(&client, &host, &image, &rule).await.unwrap(), Verification::Verified);
    let error = verify(&client, &host, &image, &self::rule(&[&SigningKey::p256()])).await.unwrap_err();
    assert!(error.to_string().starts_with("check the signatures of sha256:"), "{error}");
}

/// Answers by path; everything else is not there.
type Answers = BTreeMap<String, (u16, Vec<(String, String)>, String)>;

#[derive(Default)]
struct Fake {
    answers: Answers,
    /// Before each answer.
    delay: Duration,
}

impl Fake {
    fn put(&mut self, path: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.answers.insert(format!("/v2/acme/web/{path}"), (status, headers, body.to_owned()));
    }

    /// Put a blob and an artifact with it; what a list of referrers says about it.
    fn attach(&mut self, layer: &Layer) -> Value {
        let blob = String::from_utf8(layer.bytes.clone()).unwrap();
        let blob_digest = digest_of(&blob);
        let descriptor = json!({ "mediaType": layer.media_type, "digest": blob_digest, "size": blob.len(),
            "annotations": layer.annotations });
        let config = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of("{}"), "size": 2 });
        let manifest = json!({ "schemaVersion": 2, "artifactType": layer.media_type, "config": config,
            "layers": [descriptor] })
        .to_string();
        let digest = digest_of(&manifest);
        self.put(&format!("blobs/{blob_digest}"), 200, &[], &blob);
        self.put(&format!("manifests/{digest}"), 200, &[], &manifest);
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": manifest.len(),
            "artifactType": layer.media_type })
    }

    fn list(&mut self, path: &str, link: Option<&str>, referrers: &[Value]) {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": referrers }).to_string();
        let link = link.map(|link| ("link", link));
        let first = [("content-type", INDEX), ("link", "</x>; rel=\"first\"")];
        let headers: Vec<_> = first.into_iter().chain(link).collect();
        self.put(path, 200, &headers, &index);
    }

    async fn start(fill: impl FnOnce(&mut Self)) -> HttpFake {
        let mut fake = Self::default();
        fill(&mut fake);
        HttpFake::start(move |asked, _| {
            std::thread::sleep(fake.delay);
            let Some((status, headers, body)) = fake.answers.get(&asked.path) else { return response(404, &[], "") };
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            response(*status, &headers, body)
        })
        .await
    }
}

fn digest_of(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[tokio::test]
async fn the_referrers_api_is_read_to_its_last_page() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let parts = Layer::bundle(&key.bundle(&statement(&image, "https://spdx.dev/Document/v2.3")));
    let signature = Layer::bundle(&key.bundle(&statement(&image, COSIGN_SIGNATURE)));
    let fake = Fake::start(|fake| {
        let mut scan = fake.attach(&parts);
        scan["artifactType"] = json!("application/sarif+json");
        let (parts, signature) = (fake.attach(&parts), fake.attach(&signature));
        let first = format!("referrers/{image}");
        fake.list(&first, Some("<https://evil.example/?page=2>; rel=\"next\""), &[scan, parts]);
        fake.list(&format!("{first}?page=2"), None, &[signature]);
    })
    .await;
    assert_eq!(told(fake.host(), &image, &rule(&[&key])).await, "verified");
    let seen = fake.paths();
    // The old tag, two pages, and two artifacts with their content; the third is not of a type that signs.
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[tokio::test]
async fn what_is_attached_is_looked_at_within_bounds() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let fake = Fake::start(|fake| {
        let foreign = |number: usize| Layer::bundle(&json!({ "number": number }));
        let all: Vec<Value> = (0..200).map(|number| fake.attach(&foreign(number))).collect();
        let path = format!("referrers/{image}");
        fake.list(&path, Some(&format!("</v2/acme/web/{path}?page=2>; rel=\"next\"")), &all);
    })
    .await;
    let told_of_many = told(fake.host(), &image, &rule(&[&key])).await;
    assert!(told_of_many.starts_with("50 signatures are attached to IMAGE"), "{told_of_many}");
    assert!(told_of_many.ends_with("more are attached than are looked at"), "{told_of_many}");
    assert_eq!(fake.seen().len(), 102);

    let endless = Fake::start(|fake| {
        for page in 0..100 {
            let query = if page == 0 { String::new() } else { format!("?page={page}") };
            let link = format!("</x?page={}>; rel=\"next\"", page + 1);
            fake.list(&format!("referrers/{image}{query}"), Some(&link), &[]);
        }
    })
    .await;
    let told_of_endless = told(endless.host(), &image, &rule(&[&key])).await;
    assert_eq!(told_of_endless, "no signature is attached to IMAGE; more are attached than are looked at");
    assert_eq!(endless.seen().len(), 11);

    let large = Fake::start(|fake| {
        let mut layer = Layer::bundle(&json!({}));
        layer.bytes = vec![b' '; 2 * 1024 * 1024];
        let large = fake.attach(&layer);
        fake.list(&format!("referrers/{image}"), None, &[large]);
    })
    .await;
    assert!(told(large.host(), &image, &rule(&[&key])).await.contains("larger than 1048576 bytes"));
    assert_eq!(large.seen().len(), 3, "it is not fetched");

    let others = Fake::start(|fake| {
        let mut layer = Layer::bundle(&json!({}));
        layer.media_type = "text/plain";
        let one = fake.attach(&layer);
        let untyped = json!({ "mediaType": one["mediaType"], "digest": one["digest"], "size": one["size"] });
        fake.list(&format!("referrers/{image}"), None, &vec![untyped; 200]);
    })
    .await;
    let told_of_others = told(others.host(), &image, &rule(&[&key])).await;
    assert_eq!(told_of_others, "no signature is attached to IMAGE; more are attached than are looked at");
    assert_eq!(others.seen().len(), 52);
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_neither_signed_nor_unsigned() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let signature = Layer::bundle(&key.bundle(&statement(&image, COSIGN_SIGNATURE)));
    let tag = format!("manifests/{}.sig", image.replace(':', "-"));
    for broken in [tag.as_str(), &format!("referrers/{image}"), "manifest", "blob"] {
        let fake = Fake::start(|fake| {
            let referrer = fake.attach(&signature);
            let manifest = format!("manifests/{}", referrer["digest"].as_str().unwrap());
            let blob = fake.answers.keys().find(|path| path.contains("/blobs/")).unwrap().clone();
            fake.list(&format!("referrers/{image}"), None, &[referrer]);
            let path = match broken {
                "manifest" => manifest.as_str(),
                "blob" => blob.trim_start_matches("/v2/acme/web/"),
                path => path,
            };
            fake.put(path, 503, &[("retry-after", "7")], "");
        })
        .await;
        let error = verify(&client(fake.host()), fake.host(), &image, &rule(&[&key])).await.unwrap_err();
        assert_eq!(error.retry_after.unwrap().milliseconds(), 7000, "{broken}");
    }
}

#[tokio::test]
async fn what_somebody_pushed_under_the_tags_of_signatures_only_counts_as_no_signature() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let tag = format!("manifests/{}", image.replace(':', "-"));
    for path in [tag.clone(), format!("{tag}.sig")] {
        for body in ["", "{}", "null", r#"{"schemaVersion":2,"manifests":7,"layers":7}"#] {
            let fake = Fake::start(|fake| fake.put(&path, 200, &[], body)).await;
            let told = told(fake.host(), &image, &rule(&[&key])).await;
            assert!(told.contains("unreadable") && told.contains("OCI specification"), "{path} {body}: {told}");
        }
    }
    let gone = Fake::start(|fake| {
        let layer = key.layer(&payload(&image));
        let referrer = fake.attach(&layer);
        let blob = fake.answers.keys().find(|path| path.contains("/blobs/")).unwrap().clone();
        fake.answers.remove(&blob);
        fake.list(&format!("referrers/{image}"), None, &[referrer]);
    })
    .await;
    assert!(told(gone.host(), &image, &rule(&[&key])).await.contains("its content is not in the registry"));
}

#[tokio::test]
async fn other_bytes_than_a_digest_says_are_an_error() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let signature = Layer::bundle(&key.bundle(&statement(&image, COSIGN_SIGNATURE)));
    for kind in ["/manifests/", "/blobs/"] {
        let fake = Fake::start(|fake| {
            let referrer = fake.attach(&signature);
            fake.list(&format!("referrers/{image}"), None, &[referrer]);
            let (_, answer) = fake.answers.iter_mut().find(|(path, _)| path.contains(kind)).unwrap();
            answer.2.push(' ');
        })
        .await;
        let error = verify(&client(fake.host()), fake.host(), &image, &rule(&[&key])).await.unwrap_err();
        assert!(error.to_string().contains("other content than its digest says"), "{error}");
    }
}

#[tokio::test]
async fn a_registry_without_the_referrers_api_may_say_so_in_many_ways() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let signature = Layer::bundle(&key.bundle(&statement(&image, COSIGN_SIGNATURE)));
    let list = format!("referrers/{image}");
    for (status, page) in [(400, ""), (404, ""), (404, "text/html"), (405, ""), (406, ""), (200, "text/html")] {
        let fake = Fake::start(|fake| {
            let referrer = fake.attach(&signature);
            fake.list(&format!("manifests/{}", image.replace(':', "-")), None, &[referrer]);
            fake.put(&list, status, &[("content-type", page)], "");
        })
        .await;
        assert_eq!(told(fake.host(), &image, &rule(&[&key])).await, "verified", "{status} {page}");
        // Not in the middle of a list: then it has the API.
        let fake = Fake::start(|fake| {
            let referrer = fake.attach(&signature);
            fake.list(&format!("manifests/{}", image.replace(':', "-")), None, &[referrer]);
            fake.list(&list, Some("</x?page=2>; rel=\"next\""), &[]);
            fake.put(&format!("{list}?page=2"), status, &[("content-type", page)], "");
        })
        .await;
        verify(&client(fake.host()), fake.host(), &image, &rule(&[&key])).await.unwrap_err();
    }
    let forbidden = Fake::start(|fake| fake.put(&list, 403, &[], "")).await;
    verify(&client(forbidden.host()), forbidden.host(), &image, &rule(&[&key])).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_registry_is_not_waited_for_signature_by_signature() {
    let (image, key) = (digest_of("image"), SigningKey::p256());
    let fake = Fake::start(|fake| {
        let all: Vec<Value> = (0..40).map(|n| fake.attach(&Layer::bundle(&json!({ "number": n })))).collect();
        fake.list(&format!("referrers/{image}"), None, &all);
        fake.delay = Duration::from_millis(100);
    })
    .await;
    let transport = TransportSettings { timeout: Duration::from_millis(500), ..TransportSettings::default() };
    let settings = RegistrySettings { transport, ..RegistrySettings::default() };
    let client = OciRegistries::new(BTreeMap::from([(fake.host().to_owned(), settings)])).unwrap();
    let error = verify(&client, fake.host(), &image, &rule(&[&key])).await.unwrap_err();
    assert!(error.to_string().contains("too slow: not all signatures were read after 2 s"), "{error}");
    let seen = fake.seen().len();
    assert!((5..=21).contains(&seen), "{seen} of 82");
}
