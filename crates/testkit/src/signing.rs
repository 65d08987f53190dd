//! Somebody who signs images with a key, in the formats of cosign.
//!
//! Payloads and annotations follow `specs/SIGNATURE_SPEC.md` of sigstore/cosign, bundles `sigstore_bundle.proto` of
//! sigstore/protobuf-specs, envelopes `protocol.md` of secure-systems-lab/dsse.

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::DockerRegistry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The type of a bundle of version 0.3.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The type of a payload of simple signing.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The predicate with which cosign 3 signs.
pub const COSIGN_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// A private key.
pub enum SigningKey {
    /// ECDSA, with its algorithm.
    Elliptic(EcdsaKeyPair),
    /// Ed25519.
    Edwards(Ed25519KeyPair),
    /// RSA, with its padding.
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl SigningKey {
    /// ECDSA on P-256 with SHA-256: what `cosign generate-key-pair` makes.
    #[must_use]
    pub fn p256() -> Self {
        Self::elliptic(&ECDSA_P256_SHA256_ASN1_SIGNING)
    }

    /// One of every kind, with its name.
    #[must_use]
    pub fn all() -> Vec<(&'static str, Self)> {
        let rsa = |encoding| Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), encoding);
        vec![
            ("P-256", Self::p256()),
            ("P-384", Self::elliptic(&ECDSA_P384_SHA384_ASN1_SIGNING)),
            ("Ed25519", Self::Edwards(Ed25519KeyPair::generate().unwrap())),
            ("RSA, PKCS #1", rsa(&RSA_PKCS1_SHA256)),
            ("RSA, PSS", rsa(&RSA_PSS_SHA256)),
        ]
    }

    fn elliptic(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self::Elliptic(EcdsaKeyPair::generate(algorithm).unwrap())
    }

    /// The public half as `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Elliptic(key) => key.public_key().as_der().unwrap(),
            Self::Edwards(key) => key.public_key().as_der().unwrap(),
            Self::Rsa(key, _) => key.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    /// The public half as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_der())
    }

    /// Sign a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Elliptic(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A layer of simple signing over a payload.
    #[must_use]
    pub fn layer(&self, payload: &str) -> Layer {
        let signature = STANDARD.encode(self.sign(payload.as_bytes()));
        Layer::simple_signing(payload, &signature)
    }

    /// A bundle of version 0.3 over a statement, without an entry in any log.
    #[must_use]
    pub fn bundle(&self, statement: &str) -> Value {
        let signature = self.sign(&encode_before_signing(statement));
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "test" }, "tlogEntries": [] },
            "dsseEnvelope": envelope(statement, &signature),
        })
    }
}

/// PEM with this label.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A payload of simple signing about an image.
#[must_use]
pub fn payload(digest: &str) -> String {
    json!({ "critical": { "identity": { "docker-reference": "registry.example/acme/web" },
        "image": { "docker-manifest-digest": digest }, "type": "cosign container image signature" }, "optional": null })
    .to_string()
}

/// An in-toto statement about an image.
#[must_use]
pub fn statement(digest: &str, predicate_type: &str) -> String {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    json!({ "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { algorithm: hex } }],
        "predicateType": predicate_type, "predicate": {} })
    .to_string()
}

/// What is signed in an envelope.
pub(crate) fn encode_before_signing(statement: &str) -> Vec<u8> {
    const TYPE: &str = "application/vnd.in-toto+json";
    format!("DSSEv1 {} {TYPE} {} {statement}", TYPE.len(), statement.len()).into_bytes()
}

pub(crate) fn envelope(statement: &str, signature: &[u8]) -> Value {
    json!({ "payload": STANDARD.encode(statement), "payloadType": "application/vnd.in-toto+json",
        "signatures": [{ "sig": STANDARD.encode(signature) }] })
}

/// One layer of something attached.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its type.
    pub media_type: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its annotations, an object.
    pub annotations: Value,
}

impl Layer {
    /// A payload of simple signing with its signature in Base64.
    #[must_use]
    pub fn simple_signing(payload: &str, signature: &str) -> Self {
        let annotations = json!({ "dev.cosignproject.cosign/signature": signature });
        Self { media_type: SIMPLE_SIGNING, bytes: payload.as_bytes().to_vec(), annotations }
    }

    /// A bundle.
    #[must_use]
    pub fn bundle(bundle: &Value) -> Self {
        Self { media_type: BUNDLE, bytes: bundle.to_string().into_bytes(), annotations: json!({}) }
    }
}

/// `sha256:…` as tags can hold it.
#[must_use]
pub fn as_tag(digest: &str) -> String {
    digest.replace(':', "-")
}

impl DockerRegistry {
    /// Attach signatures as cosign 2 does: under the tag `sha256-….sig`, all in one manifest.
    pub async fn attach_under_tag(&self, repository: &str, digest: &str, layers: &[Layer]) {
        let config_type = "application/vnd.oci.image.config.v1+json";
        let manifest = self.artifact(repository, config_type, layers).await;
        self.push_manifest(repository, &format!("{}.sig", as_tag(digest)), MANIFEST, &manifest).await;
    }

    /// Attach artifacts with a `subject`, one per layer, and list them under the tag that stands in for the referrers
    /// API where there is none (OCI distribution specification 1.1, "Referrers Tag Schema").
    pub async fn attach_as_referrers(&self, repository: &str, digest: &str, layers: &[Layer]) {
        let mut listed = Vec::new();
        for layer in layers {
            let empty = "application/vnd.oci.empty.v1+json";
            let mut manifest = self.artifact(repository, empty, std::slice::from_ref(layer)).await;
            manifest["artifactType"] = json!(layer.media_type);
            manifest["subject"] = json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 });
            let size = manifest.to_string().len();
            let reference = crate::docker_registry::digest_of(manifest.to_string().as_bytes());
            let digest = self.push_manifest(repository, &reference, MANIFEST, &manifest).await;
            listed.push(
                json!({ "mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": layer.media_type }),
            );
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
        self.push_manifest(repository, &as_tag(digest), INDEX, &index).await;
    }

    async fn artifact(&self, repository: &str, config_type: &str, layers: &[Layer]) -> Value {
        let config = self.push_blob(repository, b"{}", config_type).await;
        let mut listed = Vec::new();
        for layer in layers {
            let mut descriptor = self.push_blob(repository, &layer.bytes, layer.media_type).await;
            descriptor["annotations"] = layer.annotations.clone();
            listed.push(descriptor);
        }
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": listed })
    }
}
