//! Keyless signatures: a short-lived certificate says who signed, and logs say that it was valid then.
//!
//! All of the cryptography is sigstore-verify's. It is asked for everything it can check: the chain to a certificate
//! authority of the trust root, the certificate's entry in a certificate transparency log, the signature's entry in a
//! transparency log, and the signature. It is not asked who signed; the rule compares that with what was proven.
//! sigstore-verify looks at the clock by itself, for entries of logs that are from the future.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use sigstore_verify::{
    Error, VerificationPolicy, VerificationResult,
    trust_root::TrustedRoot,
    types::{
        Artifact, ArtifactDigest, Bundle, DerCertificate, DigestBytes, HashAlgorithm, KindVersion, MediaType,
        SignatureBytes, SignatureContent,
        bundle::{
            InclusionPromise, LogId, MessageSignature, TransparencyLogEntry, VerificationMaterial,
            VerificationMaterialContent, X509Certificate,
        },
        encoding::{CanonicalizedBody, LogIndex, LogKeyId, SignedTimestamp},
    },
};
use tagboat_model::{Digest, Timestamp, shown};

use crate::{
    bundle::{self, Counts},
    reason::{Rejection, TrustRootError},
    rule::Signer,
};

/// Certificate authorities, logs and time-stamp authorities that an operator trusts: a `trusted_root.json` of
/// Sigstore (`sigstore_trustroot.proto` of sigstore/protobuf-specs).
pub struct TrustRoot(sigstore_verify::Verifier);

impl std::fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustRoot").finish_non_exhaustive()
    }
}

/// A keyless signature as cosign 2 attached it.
pub(crate) struct OldFormat<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a str,
    pub(crate) certificate: &'a str,
    pub(crate) log_entry: &'a str,
}

impl TrustRoot {
    pub(crate) const IS_BUILT: bool = true;

    /// The public Sigstore instance, as it was when sigstore-verify was published.
    ///
    /// # Errors
    /// When it cannot be read, which no input can cause.
    pub fn public_good() -> Result<Self, TrustRootError> {
        Self::parse(sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
    }

    /// Read a trust root from JSON.
    ///
    /// # Errors
    /// When it is none, when a key or certificate in it cannot be read, or when it names no certificate authority,
    /// no transparency log or no certificate transparency log: then no signature could ever be checked.
    pub fn parse(json: &[u8]) -> Result<Self, TrustRootError> {
        let fault = |detail: String| TrustRootError { detail, source: None };
        let root: TrustedRoot = serde_json::from_slice(json).map_err(|error| TrustRootError {
            detail: "it is not a `trusted_root.json` of Sigstore".to_owned(),
            source: Some(Box::new(error)),
        })?;
        if !root.media_type.starts_with("application/vnd.dev.sigstore.trustedroot") {
            return Err(fault(format!("its media type is `{}`", shown(&root.media_type))));
        }
        for (name, is_empty) in [
            ("certificateAuthorities", root.certificate_authorities.is_empty()),
            ("tlogs", root.tlogs.is_empty()),
            ("ctlogs", root.ctlogs.is_empty()),
        ] {
            if is_empty {
                return Err(fault(format!("`{name}` lists nothing")));
            }
        }
        sigstore_verify::Verifier::new(&root).map(Self).map_err(|error| TrustRootError {
            detail: "a key or certificate in it is not valid".to_owned(),
            source: Some(Box::new(error)),
        })
    }

    /// Who signed the image, by a bundle.
    pub(crate) fn check_bundle(&self, json: &[u8], digest: &Digest, now: Timestamp) -> Result<Signer, Rejection> {
        let bundle: Bundle = serde_json::from_slice(json).map_err(|error| Rejection::unreadable(error.to_string()))?;
        if bundle.signing_certificate().is_none() {
            return Err(Rejection::WithoutIdentity);
        }
        let signer = self.check(artifact(digest)?, &bundle, now)?;
        match &bundle.content {
            SignatureContent::DsseEnvelope(envelope) => {
                let payload = envelope.payload.as_bytes();
                bundle::is_about(&envelope.payload_type, payload, digest, Counts::SignaturesAndProvenance)?;
            }
            // The bytes of the manifest are what is signed.
            SignatureContent::MessageSignature(_) => {}
            _ => return Err(Rejection::unreadable("its content is of an unknown kind")),
        }
        Ok(signer)
    }

    /// Who signed a payload of the old format. What the payload says is not looked at.
    pub(crate) fn check_old_format(&self, signed: &OldFormat<'_>, now: Timestamp) -> Result<Signer, Rejection> {
        self.check(Artifact::Blob(signed.payload), &as_bundle(signed)?, now)
    }

    fn check(&self, artifact: Artifact<'_>, bundle: &Bundle, now: Timestamp) -> Result<Signer, Rejection> {
        let proven = self.0.verify(artifact, bundle, &VerificationPolicy::any_identity()).map_err(rejection)?;
        let complete = proven.certificate_verified() && proven.sct_verified() && proven.tlog_verified();
        let past = |time: &jiff::Timestamp| time.as_millisecond() <= now.0;
        if !complete || proven.verified_timestamps().is_empty() {
            return Err(Rejection::Unproven { detail: "a proof is missing".to_owned() });
        }
        if !proven.verified_timestamps().iter().all(past) {
            return Err(Rejection::Unproven { detail: "it is from the future".to_owned() });
        }
        Ok(signer(&proven))
    }
}

fn signer(proven: &VerificationResult) -> Signer {
    Signer {
        issuer: proven.issuer().map(ToOwned::to_owned),
        identity: proven.identity().map(|identity| identity.as_str().to_owned()),
    }
}

fn rejection(error: Error) -> Rejection {
    match error {
        Error::ArtifactMismatch(_) => Rejection::OtherImage { found: "something else".to_owned() },
        other => Rejection::Unproven { detail: shown(&other.to_string()) },
    }
}

fn artifact(digest: &Digest) -> Result<Artifact<'static>, Rejection> {
    let (algorithm, hex) = match digest.as_str().split_once(':') {
        Some(("sha256", hex)) => (HashAlgorithm::Sha2256, hex),
        Some(("sha512", hex)) => (HashAlgorithm::Sha2512, hex),
        _ => return Err(Rejection::unreadable("the image's digest is of an unknown kind")),
    };
    let bytes = DigestBytes::new(bundle::hex(hex).unwrap_or_default());
    let digest = ArtifactDigest::new(algorithm, bytes).map_err(|error| Rejection::unreadable(error.to_string()))?;
    Ok(Artifact::Digest(digest))
}

/// `dev.sigstore.cosign/bundle`: what version 1 of the transparency log answers when something is added to it.
#[derive(Deserialize)]
struct LogEntry {
    #[serde(rename = "SignedEntryTimestamp")]
    promise: String,
    #[serde(rename = "Payload")]
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogBody {
    api_version: String,
    kind: String,
}

/// The old format as a bundle of version 0.1, which holds the same parts: a certificate, the log's promise to include
/// the entry, and the signature of the payload.
fn as_bundle(signed: &OldFormat<'_>) -> Result<Bundle, Rejection> {
    let bad = |part: &str| Rejection::unreadable(format!("its {part} cannot be read"));
    let decode = |text: &str, part: &str| STANDARD.decode(text).map_err(|_| bad(part));
    let certificate = DerCertificate::from_pem(signed.certificate).map_err(|_| bad("certificate"))?;
    let entry: LogEntry = serde_json::from_str(signed.log_entry).map_err(|_| bad("log entry"))?;
    let body = decode(&entry.payload.body, "log entry")?;
    let kind: LogBody = serde_json::from_slice(&body).map_err(|_| bad("log entry"))?;
    if (kind.kind.as_str(), kind.api_version.as_str()) != ("hashedrekord", "0.0.1") {
        return Err(Rejection::unreadable(format!("its log entry is a `{}` {}", kind.kind, kind.api_version)));
    }
    let log_id = bundle::hex(&entry.payload.log_id).ok_or_else(|| bad("log entry"))?;
    let time = jiff::Timestamp::from_second(entry.payload.integrated_time).map_err(|_| bad("log entry"))?;
    let entry = TransparencyLogEntry::new(
        LogIndex::new(entry.payload.log_index).map_err(|_| bad("log entry"))?,
        LogId::new(LogKeyId::new(log_id)),
        KindVersion::HashedRekordV001,
        CanonicalizedBody::new(body),
    )
    .with_integrated_time(time)
    .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(decode(&entry.promise, "log entry")?)));
    // Intermediate certificates come from the trust root; those that are attached are not needed.
    let certificates = vec![X509Certificate::new(certificate)];
    let material = VerificationMaterial::new(VerificationMaterialContent::X509CertificateChain { certificates });
    let signature = SignatureBytes::new(decode(signed.signature, "signature")?);
    Ok(Bundle::new(
        MediaType::Bundle0_1,
        material.with_tlog_entries(vec![entry]),
        SignatureContent::MessageSignature(MessageSignature::new(signature)),
    ))
}
