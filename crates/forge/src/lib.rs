//! Forges: pull requests, reviews, comments, checks and issues; and commits that a forge makes itself.
//!
//! Each forge has its own folder and implements `Forge` of `tagboat-ports`. What follows from what is read here is for
//! `tagboat-promotion` and the engine to say. How requests are tried again is the same for all and stands in `http.rs`.

mod checks;
mod comments;
mod error;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod http;
mod rest;

pub use rest::TokenSettings;
pub use tagboat_connection::{ClientCertificate, ProxySettings};

/// How a forge is reached. The default is what public ones need.
#[derive(Debug, Clone, Default)]
pub struct TransportSettings {
    /// Certificates of authorities that are trusted besides the system's, as PEM; each may hold several.
    pub certificate_authorities: Vec<Vec<u8>>,
    /// Who we are to a forge that asks for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy. `None`: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; never for this machine.
    pub proxy: Option<ProxySettings>,
}
