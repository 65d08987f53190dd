//! A rule, read: keys parsed, patterns compiled.

use regex::{Regex, RegexBuilder};
use tagboat_model::{Identity, SignatureRule, shown};

use crate::{
    keyless::TrustRoot,
    keys::PublicKey,
    reason::{Rejection, RuleError},
};

/// Bytes of a compiled pattern. Matching takes linear time, so size is all that needs a bound.
const LARGEST_PATTERN: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) enum Rule<'r> {
    Keys(Vec<PublicKey>),
    Keyless(Wanted<'r>, &'r TrustRoot),
}

impl<'r> Rule<'r> {
    pub(crate) fn read(rule: &'r SignatureRule, trust_root: Option<&'r TrustRoot>) -> Result<Self, RuleError> {
        match rule {
            SignatureRule::Keys { pem } if pem.is_empty() => Err(RuleError::NoKeys),
            SignatureRule::Keys { pem } => {
                let keys = pem.iter().enumerate().map(|(index, pem)| {
                    PublicKey::from_pem(pem).map_err(|detail| RuleError::Key { number: index + 1, detail })
                });
                Ok(Self::Keys(keys.collect::<Result<_, _>>()?))
            }
            SignatureRule::Keyless { .. } if !TrustRoot::IS_BUILT => Err(RuleError::NotBuilt),
            SignatureRule::Keyless { issuer, identity } => {
                let trust_root = trust_root.ok_or(RuleError::NoTrustRoot)?;
                Ok(Self::Keyless(Wanted { issuer, identity: WantedIdentity::read(identity)? }, trust_root))
            }
        }
    }
}

/// Who signed, by a certificate that was found good.
#[derive(Debug)]
pub(crate) struct Signer {
    /// The OIDC issuer: extension 1.3.6.1.4.1.57264.1.8, or .1 in certificates from before it.
    pub(crate) issuer: Option<String>,
    /// The subject alternative name.
    pub(crate) identity: Option<String>,
}

/// Who must have signed.
#[derive(Debug)]
pub(crate) struct Wanted<'r> {
    issuer: &'r str,
    identity: WantedIdentity<'r>,
}

#[derive(Debug)]
enum WantedIdentity<'r> {
    Exact(&'r str),
    Pattern { text: &'r str, compiled: Regex },
}

impl<'r> WantedIdentity<'r> {
    fn read(identity: &'r Identity) -> Result<Self, RuleError> {
        let text = match identity {
            Identity::Exact(text) => return Ok(Self::Exact(text)),
            Identity::Pattern(text) => text,
        };
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        // Alone first: `a)|(b` is no pattern, but would become one between our anchors.
        build(text)
            .and_then(|_| build(&format!(r"\A(?:{text})\z")))
            .map(|compiled| Self::Pattern { text, compiled })
            .map_err(|error| RuleError::Pattern { pattern: text.clone(), detail: shown(&error.to_string()) })
    }

    fn is(&self, identity: &str) -> bool {
        match self {
            Self::Exact(text) => *text == identity,
            Self::Pattern { compiled, .. } => compiled.is_match(identity),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Exact(text) => (*text).to_owned(),
            Self::Pattern { text, .. } => format!("one that matches `{text}`"),
        }
    }
}

impl Wanted<'_> {
    /// Whole texts are compared, never beginnings.
    pub(crate) fn check(&self, signer: &Signer) -> Result<(), Rejection> {
        let found = |text: &Option<String>| text.as_deref().map_or_else(|| "nobody".to_owned(), shown);
        if signer.issuer.as_deref() != Some(self.issuer) {
            return Err(Rejection::OtherIssuer { found: found(&signer.issuer), wanted: self.issuer.to_owned() });
        }
        if !signer.identity.as_deref().is_some_and(|identity| self.identity.is(identity)) {
            return Err(Rejection::OtherIdentity { found: found(&signer.identity), wanted: self.identity.text() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(identity: &Identity, issuer: &str, name: &str) -> bool {
        let wanted = Wanted { issuer: "https://issuer.example", identity: WantedIdentity::read(identity).unwrap() };
        let signer = Signer { issuer: Some(issuer.to_owned()), identity: Some(name.to_owned()) };
        wanted.check(&signer).is_ok()
    }

    #[test]
    fn issuers_and_identities_are_compared_whole() {
        let exact = Identity::Exact("https://forge.example/acme/web".to_owned());
        let issuer = "https://issuer.example";
        assert!(admits(&exact, issuer, "https://forge.example/acme/web"));
        for name in
            ["", "https://forge.example/acme/web2", "https://forge.example/acme/we", "xhttps://forge.example/acme/web"]
        {
            assert!(!admits(&exact, issuer, name), "{name}");
        }
        for issuer in ["", "https://issuer.example/", "https://issuer.example.evil.example", "https://issuer.exampl"] {
            assert!(!admits(&exact, issuer, "https://forge.example/acme/web"), "{issuer}");
        }
        let nobody = Wanted { issuer: "", identity: WantedIdentity::Exact("") };
        assert!(nobody.check(&Signer { issuer: None, identity: None }).is_err());
    }

    #[test]
    fn a_pattern_has_to_match_all_of_an_identity() {
        let issuer = "https://issuer.example";
        for (pattern, good, bad) in [
            (
                r"https://forge\.example/acme/.*",
                "https://forge.example/acme/web",
                "https://evil.example/?https://forge.example/acme/web",
            ),
            ("a|ab", "ab", "abc"),
            ("a|b", "b", "bx"),
            (r"^a$", "a", "a\n"),
            ("(?m)^a$", "a", "b\na\nc"),
            ("(?s).*b", "a\nb", "a\nbc"),
        ] {
            let pattern = Identity::Pattern(pattern.to_owned());
            assert!(admits(&pattern, issuer, good), "{pattern:?}");
            assert!(!admits(&pattern, issuer, bad), "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["(", "a)|(b", "a{1000}{1000}{1000}", "(?x)a # and the rest"] {
            assert!(WantedIdentity::read(&Identity::Pattern(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
