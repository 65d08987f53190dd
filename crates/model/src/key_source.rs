//! Where keys are published with which requests are verified.

/// Where the keys are published that prove a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeySource {
    /// An issuer of OIDC tokens, by its address: what its discovery document calls `jwks_uri`.
    Issuer(String),
    /// A certificate of Amazon SNS, by its address, which was compared with the pattern of such addresses.
    SnsCertificate(String),
}
