//! Whether what is attached to an image is a signature of it, by whom a rule asks for.
//!
//! Bytes, a rule, a trust root and the time come in; out comes yes, or why not. Nothing is fetched here. Three
//! formats are known:
//!
//! - the payloads of "simple signing" with their signature beside them, as cosign 2 attaches under the tag
//!   `sha256-….sig` (`specs/SIGNATURE_SPEC.md` of sigstore/cosign);
//! - Sigstore's bundles 0.1 to 0.3 with an envelope about the image, as cosign 3 and GitHub attach
//!   (`sigstore_bundle.proto` of sigstore/protobuf-specs);
//! - the same bundles with a signature over the bytes of the image's manifest.
//!
//! Signatures by a key are checked here. Keyless ones are checked by sigstore-verify against the certificate
//! authorities and logs of a trust root: always with the certificate's chain, the proof that its issue was logged,
//! and the proof that the signature was. None of these can be switched off.

mod bundle;
#[cfg(feature = "sigstore")]
mod keyless;
#[cfg(not(feature = "sigstore"))]
#[path = "keyless_absent.rs"]
mod keyless;
mod keys;
mod reason;
mod rule;
mod simple_signing;

pub use keyless::TrustRoot;
pub use reason::{Rejection, RuleError, TrustRootError, explain};
use tagboat_model::{Digest, SignatureRule, Timestamp};

use crate::rule::Rule;

/// Something that was attached to an image and may be a signature of it.
#[derive(Debug, Clone, Copy)]
pub enum Attached<'a> {
    /// A payload of "simple signing" and what its layer's annotations say.
    SimpleSigning {
        /// The bytes of the layer.
        payload: &'a [u8],
        /// `dev.cosignproject.cosign/signature`: Base64.
        signature: &'a str,
        /// `dev.sigstore.cosign/certificate`: PEM. Only keyless signatures have one.
        certificate: Option<&'a str>,
        /// `dev.sigstore.cosign/bundle`: what the transparency log answered, JSON.
        log_entry: Option<&'a str>,
    },
    /// A Sigstore bundle, JSON.
    Bundle(&'a [u8]),
}

/// Decides about what is attached to one image. Made once per image and rule.
#[derive(Debug)]
pub struct Verifier<'r> {
    digest: &'r Digest,
    rule: Rule<'r>,
    now: Timestamp,
}

impl<'r> Verifier<'r> {
    /// Read a rule. `digest` is that of the manifest or index which must be signed; `trust_root` is needed for
    /// keyless rules alone; signatures from after `now` do not count.
    ///
    /// # Errors
    /// When nothing could ever satisfy the rule: no key in it, one that cannot be read, a pattern that is none, or
    /// no trust root for a keyless rule.
    pub fn new(
        digest: &'r Digest,
        rule: &'r SignatureRule,
        trust_root: Option<&'r TrustRoot>,
        now: Timestamp,
    ) -> Result<Self, RuleError> {
        Ok(Self { digest, rule: Rule::read(rule, trust_root)?, now })
    }

    /// Whether this is a signature of the image that satisfies the rule.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, attached: &Attached<'_>) -> Result<(), Rejection> {
        match (attached, &self.rule) {
            (Attached::SimpleSigning { payload, signature, .. }, Rule::Keys(keys)) => {
                simple_signing::check(payload, signature, keys, self.digest)
            }
            (Attached::Bundle(json), Rule::Keys(keys)) => bundle::check(json, keys, self.digest),
            (
                Attached::SimpleSigning { payload, signature, certificate, log_entry },
                Rule::Keyless(identity, trust_root),
            ) => {
                let (Some(certificate), Some(log_entry)) = (certificate, log_entry) else {
                    return Err(Rejection::WithoutIdentity);
                };
                let signed = keyless::OldFormat { payload, signature, certificate, log_entry };
                let signer = trust_root.check_old_format(&signed, self.now)?;
                identity.check(&signer)?;
                simple_signing::is_about(payload, self.digest)
            }
            (Attached::Bundle(json), Rule::Keyless(identity, trust_root)) => {
                let signer = trust_root.check_bundle(json, self.digest, self.now)?;
                identity.check(&signer)
            }
        }
    }
}
