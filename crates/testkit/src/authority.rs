//! A Sigstore of our own: a certificate authority, a certificate transparency log and a transparency log with one
//! entry each, and people who sign with their certificates.
//!
//! Formats: RFC 6962 for the certificate's log, Rekor 1 for the signature's, `sigstore_trustroot.proto` of
//! sigstore/protobuf-specs for the trust root, `docs/oid-info.md` of sigstore/fulcio for the certificates.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType, SerialNumber, SigningKey as _, date_time_ymd,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::signing::{self, Layer, encode_before_signing, envelope};

/// The extension that names the OIDC issuer.
const ISSUER: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
/// The extension with proofs from certificate transparency logs.
const LOGGED: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Its issue was not logged.
    NotLogged,
    /// It was logged by a log that nobody knows.
    OtherLog,
    /// It had ended before it was used.
    Expired,
    /// It is for servers and not for signing.
    OtherUse,
}

/// Everything that a trust root names.
pub struct Authority {
    certificates: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    certificate_log: signing::SigningKey,
    log: signing::SigningKey,
}

/// Somebody with a certificate.
pub struct Signer<'a> {
    authority: &'a Authority,
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Default for Authority {
    fn default() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2060, 1, 1));
        let root = params.self_signed(&key).unwrap().der().to_vec();
        let (certificate_log, log) = (signing::SigningKey::p256(), signing::SigningKey::p256());
        Self { certificates: Issuer::new(params, key), root, certificate_log, log }
    }
}

impl Authority {
    /// The trust root, `trusted_root.json`.
    #[must_use]
    pub fn trust_root(&self) -> Value {
        let since = json!({ "start": "2020-01-01T00:00:00Z" });
        let log = |key: &signing::SigningKey| {
            let der = key.public_der();
            json!({ "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
                "publicKey": { "rawBytes": STANDARD.encode(&der), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since },
                "logId": { "keyId": STANDARD.encode(Sha256::digest(&der)) } })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log)],
            "certificateAuthorities": [{ "subject": { "organization": "tests", "commonName": "tests" },
                "uri": "https://authority.example", "validFor": since,
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(&self.root) }] } }],
            "ctlogs": [log(&self.certificate_log)],
            "timestampAuthorities": [],
        })
    }

    /// Give a certificate to `identity`, a URL or a mail address, whom `issuer` vouches for.
    #[must_use]
    pub fn certify(&self, issuer: &str, identity: &str, flaw: Flaw) -> Signer<'_> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&[7]));
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(if flaw == Flaw::Expired { 2021 } else { 2060 }, 1, 1));
        let name = identity.try_into().unwrap();
        params.subject_alt_names =
            vec![if identity.contains("://") { SanType::URI(name) } else { SanType::Rfc822Name(name) }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match flaw {
            Flaw::OtherUse => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::CodeSigning,
        }];
        let utf8 = [&[0x0c, u8::try_from(issuer.len()).unwrap()], issuer.as_bytes()].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(&ISSUER, utf8));
        let mut certificate = params.signed_by(&key, &self.certificates).unwrap().der().to_vec();
        if flaw != Flaw::NotLogged {
            let unknown = signing::SigningKey::p256();
            let log = if flaw == Flaw::OtherLog { &unknown } else { &self.certificate_log };
            let proof = self.proof_of_logging(log, &certificate);
            params.custom_extensions.push(CustomExtension::from_oid_content(&LOGGED, proof));
            certificate = params.signed_by(&key, &self.certificates).unwrap().der().to_vec();
        }
        Signer { authority: self, key, certificate }
    }

    /// A list with one signed certificate timestamp (RFC 6962 section 3.2 and 3.3).
    fn proof_of_logging(&self, log: &signing::SigningKey, certificate: &[u8]) -> Vec<u8> {
        // The body of a certificate begins behind the 4 bytes of the outer head and is as long as its own head says.
        let length = usize::from(u16::from_be_bytes([certificate[6], certificate[7]])) + 4;
        let body = &certificate[4..4 + length];
        let now = (seconds() * 1000).to_be_bytes();
        let issuer = Sha256::digest(self.certificates.key().subject_public_key_info());
        let body_length = &u32::try_from(body.len()).unwrap().to_be_bytes()[1..];
        let signed = [&[0, 0], now.as_slice(), &[0, 1], issuer.as_slice(), body_length, body, &[0, 0]].concat();
        let signature = log.sign(&signed);
        let id = Sha256::digest(log.public_der());
        let two = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let timestamp =
            [&[0], id.as_slice(), &now, &[0, 0, 4, 3], &two(signature.len()), signature.as_slice()].concat();
        let list = [two(timestamp.len()).as_slice(), &timestamp].concat();
        let list = [two(list.len()).as_slice(), &list].concat();
        // An ECDSA signature on P-256 keeps the list below 128 bytes, where DER wants one byte of length.
        assert!(list.len() < 128, "{}", list.len());
        [&[0x04, u8::try_from(list.len()).unwrap()], list.as_slice()].concat()
    }

    /// The log's promise about an entry, and the time in it.
    fn promise(&self, body: &str) -> (String, u64) {
        let time = seconds();
        let id: String = Sha256::digest(self.log.public_der()).iter().map(|byte| format!("{byte:02x}")).collect();
        // The order of the members is that of canonical JSON.
        let promised = json!({ "body": STANDARD.encode(body), "integratedTime": time, "logID": id, "logIndex": 0 });
        (STANDARD.encode(self.log.sign(promised.to_string().as_bytes())), time)
    }

    fn entry(&self, kind: &str, body: &str) -> Value {
        let (promise, time) = self.promise(body);
        let leaf = Sha256::digest([&[0], body.as_bytes()].concat());
        let root = STANDARD.encode(leaf);
        let id = Sha256::digest(self.log.public_der());
        let note = format!("log.example\n1\n{root}\n");
        let signature = [&id[..4], &self.log.sign(note.as_bytes())].concat();
        json!({
            "logIndex": "0", "logId": { "keyId": STANDARD.encode(id) },
            "kindVersion": { "kind": kind, "version": "0.0.1" }, "integratedTime": time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": promise },
            "inclusionProof": { "logIndex": "0", "rootHash": root, "treeSize": "1", "hashes": [],
                "checkpoint": { "envelope": format!("{note}\n— log.example {}\n", STANDARD.encode(signature)) } },
            "canonicalizedBody": STANDARD.encode(body),
        })
    }
}

impl Signer<'_> {
    /// A bundle of version 0.3 over a statement, with its entry in the log.
    #[must_use]
    pub fn bundle(&self, statement: &str) -> Value {
        let signature = self.key.sign(&encode_before_signing(statement)).unwrap();
        let hash: String = Sha256::digest(statement).iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": { "algorithm": "sha256", "value": hash },
            "payloadHash": { "algorithm": "sha256", "value": hash },
            "signatures": [{ "signature": STANDARD.encode(&signature), "verifier": STANDARD.encode(self.pem()) }] } });
        json!({
            "mediaType": signing::BUNDLE,
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&self.certificate) },
                "tlogEntries": [self.authority.entry("dsse", &body.to_string())] },
            "dsseEnvelope": envelope(statement, &signature),
        })
    }

    /// A layer of simple signing as cosign 2 attaches it.
    #[must_use]
    pub fn layer(&self, payload: &str) -> Layer {
        let signature = STANDARD.encode(self.key.sign(payload.as_bytes()).unwrap());
        let hash: String = Sha256::digest(payload).iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hash } },
            "signature": { "content": signature, "publicKey": { "content": STANDARD.encode(self.pem()) } } } });
        let body = body.to_string();
        let (promise, time) = self.authority.promise(&body);
        let id: String = Sha256::digest(self.authority.log.public_der()).iter().map(|b| format!("{b:02x}")).collect();
        let mut layer = Layer::simple_signing(payload, &signature);
        layer.annotations["dev.sigstore.cosign/certificate"] = json!(self.pem());
        let payload = json!({ "body": STANDARD.encode(&body), "integratedTime": time, "logIndex": 0, "logID": id });
        let bundle = json!({ "SignedEntryTimestamp": promise, "Payload": payload });
        layer.annotations["dev.sigstore.cosign/bundle"] = json!(bundle.to_string());
        layer
    }

    fn pem(&self) -> String {
        signing::pem("CERTIFICATE", &self.certificate)
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
