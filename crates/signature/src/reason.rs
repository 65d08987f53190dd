//! Every sentence about signatures that people read.

use tagboat_model::{Digest, shown};
use thiserror::Error;

/// Why a rule cannot be satisfied by anything.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// An empty list is not "everybody".
    #[error("the rule lists no public key, so no signature can satisfy it; add the key of who signs")]
    NoKeys,
    /// Not PEM, not a public key, or of a kind that is not known.
    #[error("public key {number} of the rule cannot be used: {detail}")]
    Key {
        /// From 1.
        number: usize,
        /// What is wrong.
        detail: String,
    },
    /// Not a regular expression.
    #[error("the identity pattern `{pattern}` cannot be used: {detail}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong.
        detail: String,
    },
    /// A keyless signature means nothing without somebody who is trusted to name people.
    #[error(
        "no trust root is configured, so keyless signatures cannot be checked; give the server a `trusted_root.json`"
    )]
    NoTrustRoot,
    /// The feature `sigstore` is off.
    #[error("this Tagboat was built without `sigstore`, so keyless signatures cannot be checked")]
    NotBuilt,
}

/// Why a trust root cannot be used.
#[derive(Debug, Error)]
#[error("the trust root cannot be used: {detail}")]
pub struct TrustRootError {
    /// What is wrong.
    pub detail: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why something that is attached to an image does not count. Reads as what is said about a signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// None of the rule's keys made it, or its bytes were changed.
    #[error("not made with a key of the rule")]
    OtherKey,
    /// It is about something else.
    #[error("made for {found} and not for this image")]
    OtherImage {
        /// What it is about.
        found: String,
    },
    /// Proven to be by somebody else.
    #[error("signed by {found} instead of {wanted}")]
    OtherIdentity {
        /// The subject alternative name of its certificate.
        found: String,
        /// What the rule asks for.
        wanted: String,
    },
    /// Proven to be by a name that somebody else gave.
    #[error("vouched for by {found} instead of {wanted}")]
    OtherIssuer {
        /// The issuer that its certificate names.
        found: String,
        /// What the rule asks for.
        wanted: String,
    },
    /// Signed by a key where the rule asks who signed.
    #[error("made with a key, without an identity")]
    WithoutIdentity,
    /// Scan results, lists of parts: whoever makes them does not release the image by that.
    #[error("a statement of type {predicate}, which tells something about the image and does not sign it")]
    NotASignature {
        /// The type of the predicate.
        predicate: String,
    },
    /// It does not have the form that its type promises.
    #[error("unreadable ({detail})")]
    Unreadable {
        /// What is wrong.
        detail: String,
    },
    /// The certificate, the logs or the signature do not hold.
    #[error("not proven ({detail})")]
    Unproven {
        /// What does not hold.
        detail: String,
    },
}

impl Rejection {
    /// It does not have the form that its type promises.
    #[must_use]
    pub fn unreadable(detail: impl AsRef<str>) -> Self {
        Self::Unreadable { detail: shown(detail.as_ref()) }
    }
}

/// Why an image counts as unsigned: one sentence about everything that was attached to it.
#[must_use]
pub fn explain(digest: &Digest, rejections: &[Rejection]) -> String {
    const MOST_REASONS: usize = 3;
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for rejection in rejections {
        let text = rejection.to_string();
        match reasons.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => reasons.push((text, 1)),
        }
    }
    let alone = reasons.len() == 1;
    let texts = reasons.iter().take(MOST_REASONS).map(|(text, count)| match count {
        _ if alone => text.clone(),
        count => format!("{count} {text}"),
    });
    let mut texts: Vec<String> = texts.collect();
    if reasons.len() > MOST_REASONS {
        texts.push("and others".to_owned());
    }
    let texts = texts.join("; ");
    match rejections.len() {
        0 => format!("no signature is attached to {digest}"),
        1 => format!("a signature is attached to {digest}, but it does not satisfy the rule: {texts}"),
        count => format!("{count} signatures are attached to {digest}, none of which satisfies the rule: {texts}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_tells_how_many_there_are_and_why_none_counts() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let tell = |rejections: &[Rejection]| explain(&digest, rejections).replace(digest.as_str(), "IMAGE");
        let other = || Rejection::OtherImage { found: "sha256:b".to_owned() };
        assert_eq!(tell(&[]), "no signature is attached to IMAGE");
        assert_eq!(
            tell(&[Rejection::OtherKey]),
            "a signature is attached to IMAGE, but it does not satisfy the rule: not made with a key of the rule"
        );
        assert_eq!(
            tell(&[Rejection::OtherKey, Rejection::OtherKey, Rejection::OtherKey]),
            "3 signatures are attached to IMAGE, none of which satisfies the rule: not made with a key of the rule"
        );
        assert_eq!(
            tell(&[Rejection::OtherKey, other(), Rejection::OtherKey]),
            "3 signatures are attached to IMAGE, none of which satisfies the rule: 2 not made with a key of the rule; \
             1 made for sha256:b and not for this image"
        );
        let many: Vec<Rejection> = (0..5).map(|number| Rejection::unreadable(number.to_string())).collect();
        assert!(tell(&many).ends_with("1 unreadable (2); and others"), "{}", tell(&many));
    }
}
