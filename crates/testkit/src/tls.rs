//! Servers with TLS and their clients, under an authority that nobody trusts unless told.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio_rustls::{TlsAcceptor, rustls};

/// An authority for servers on 127.0.0.1 and for clients.
pub struct TlsAuthority(CertifiedIssuer<'static, KeyPair>);

impl Default for TlsAuthority {
    fn default() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap())
    }
}

impl TlsAuthority {
    /// Its own certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// The certificate and the key of a client, as PEM.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn client(&self) -> (Vec<u8>, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["tagboat.example".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.0).unwrap().pem().into_bytes(), key.serialize_pem())
    }

    /// The server's side of TLS. It asks its clients for a certificate of this authority, and may insist on it.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn server(&self, insists: bool) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let clients = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots));
        let clients = if insists { clients } else { clients.allow_unauthenticated() }.build().unwrap();
        let config = rustls::ServerConfig::builder().with_client_cert_verifier(clients);
        let config = config.with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }
}
