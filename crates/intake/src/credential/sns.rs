//! Amazon SNS's signature: RSA over the fields of a message, under a certificate that the message names.
//!
//! Source: "Verifying the signatures of Amazon SNS messages" of its developer guide. The certificate's address is
//! compared with the one form that Amazon uses, in the region of a topic that configuration names; whoever fetches it
//! does so over HTTPS and so knows that it is Amazon's. Its chain is not looked at beyond that. A message that went
//! through raw delivery carries no signature and does not pass.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tagboat_model::{KeySource, Timestamp};
use x509_cert::{Certificate, der::Decode as _, time::Time};

use super::document;
use crate::{Denied, Keys, Refused, subscription::topic_host};

/// Amazon SNS repeats a message for up to an hour and keeps its time; five minutes beside that are for the clocks.
const OLDEST_SECONDS: u64 = 65 * 60;
/// A clock that is ahead of ours.
const AHEAD_SECONDS: u64 = 5 * 60;
/// Amazon's certificates are named by 32 digits.
const LONGEST_CERTIFICATE_NAME: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    subject: Option<String>,
    timestamp: String,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
}

/// Verify a message: the topic, the time, the certificate's address, then the signature.
pub(super) fn verify(topics: &[String], body: &[u8], now: Timestamp, keys: &Keys) -> Result<(), Denied> {
    let message: Message = serde_json::from_slice(body).map_err(|error| {
        // The error's own text may repeat the body.
        Refused::Sns(format!("line {} is not JSON with the fields of a signed message", error.line()))
    })?;
    if !topics.contains(&message.topic_arn) {
        return Err(refused("`TopicArn` is none of the receiver's `topics`").into());
    }
    check_time(&message.timestamp, now)?;
    check_address(&message)?;
    let algorithm = algorithm(&message.signature_version)?;
    let signature = STANDARD.decode(&message.signature).map_err(|_| refused("`Signature` is not base64"))?;
    let signed = message.signed_text()?;
    let certificate = document(keys, &KeySource::SnsCertificate(message.signing_cert_url.clone()))?;
    let key = public_key(certificate, now)?;
    UnparsedPublicKey::new(algorithm, &key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| refused("the signature does not match").into())
}

fn refused(why: &str) -> Refused {
    Refused::Sns(why.to_owned())
}

fn check_time(written: &str, now: Timestamp) -> Result<(), Refused> {
    let signed: Timestamp = written.parse().map_err(|_| refused("`Timestamp` is not a point in time"))?;
    let allowed = if signed > now { AHEAD_SECONDS } else { OLDEST_SECONDS };
    let seconds = now.0.abs_diff(signed.0) / 1000;
    if seconds > allowed { Err(Refused::Time { seconds, allowed }) } else { Ok(()) }
}

/// `https://sns.<region of the topic>.amazonaws.com/SimpleNotificationService-<hexadecimal>.pem` and nothing else: no
/// port, no user, no query, no other path.
fn check_address(message: &Message) -> Result<(), Refused> {
    let host = topic_host(&message.topic_arn).ok_or_else(|| refused("`TopicArn` is not the name of a topic"))?;
    let start = format!("https://{host}/SimpleNotificationService-");
    let name = message.signing_cert_url.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".pem"));
    let right = name.is_some_and(|name| {
        (1..=LONGEST_CERTIFICATE_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if right { Ok(()) } else { Err(refused("`SigningCertURL` is not an address of Amazon's in the topic's region")) }
}

fn algorithm(version: &str) -> Result<&'static dyn VerificationAlgorithm, Refused> {
    match version {
        // What topics sign with unless told otherwise: SHA-1 it is, and Amazon alone chooses what is hashed.
        "1" => Ok(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        "2" => Ok(&RSA_PKCS1_2048_8192_SHA256),
        _ => Err(refused("`SignatureVersion` is neither 1 nor 2")),
    }
}

impl Message {
    /// The fields that are signed, each as its name and its value on lines of their own, in the order of their names.
    fn signed_text(&self) -> Result<String, Refused> {
        let mut fields = vec![("Message", self.message.as_str()), ("MessageId", self.message_id.as_str())];
        let mut token = None;
        match self.kind.as_str() {
            "Notification" => fields.extend(self.subject.as_deref().map(|subject| ("Subject", subject))),
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                let address = self.subscribe_url.as_deref().ok_or_else(|| refused("`SubscribeURL` is missing"))?;
                fields.push(("SubscribeURL", address));
                token = Some(self.token.as_deref().ok_or_else(|| refused("`Token` is missing"))?);
            }
            _ => return Err(refused("`Type` is none that Amazon SNS sends")),
        }
        fields.push(("Timestamp", self.timestamp.as_str()));
        fields.extend(token.map(|token| ("Token", token)));
        fields.push(("TopicArn", self.topic_arn.as_str()));
        fields.push(("Type", self.kind.as_str()));
        Ok(fields.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect())
    }
}

/// The key in a certificate that is valid now: of an RSA key, the bytes of `RSAPublicKey` (RFC 8017).
fn public_key(document: &[u8], now: Timestamp) -> Result<Vec<u8>, Refused> {
    let certificate = certificate(document).ok_or_else(|| refused("the certificate cannot be read"))?;
    let signed = certificate.tbs_certificate;
    let seconds = |time: Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let valid = seconds(signed.validity.not_before)..=seconds(signed.validity.not_after);
    if !valid.contains(&now.0.div_euclid(1000)) {
        return Err(refused("the certificate is not valid at this time"));
    }
    Ok(signed.subject_public_key_info.subject_public_key.raw_bytes().to_vec())
}

/// The first certificate of a PEM document, whatever the length of its lines.
fn certificate(document: &[u8]) -> Option<Certificate> {
    let text = std::str::from_utf8(document).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (encoded, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let encoded: String = encoded.split_ascii_whitespace().collect();
    Certificate::from_der(&STANDARD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{RSA_PKCS1_SHA256, RsaKeyPair},
    };
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
    use serde_json::{Value, json};

    use super::*;

    /// 2026-11-26T03:00:00Z
    const NOW: Timestamp = Timestamp(1_795_662_000_000);
    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:ecr-pushes";
    const OTHER_TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:other";
    const STRANGERS_TOPIC: &str = "arn:aws:sns:us-east-1:210987654321:ecr-pushes";
    const UNREADABLE_TOPIC: &str = "arn:aws:sns:us-east-1.evil.example/:123456789012:ecr-pushes";
    const ADDRESS: &str =
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem";

    /// A certificate with `CN=sns.amazonaws.com` of the year 2026, and what `openssl dgst -sign` made of [`example`].
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIICsjCCAZqgAwIBAgICEmcwDQYJKoZIhvcNAQELBQAwHDEaMBgGA1UEAwwRc25z
LmFtYXpvbmF3cy5jb20wHhcNMjYwMTAxMDAwMDAwWhcNMjcwMTAxMTIwMDAwWjAc
MRowGAYDVQQDDBFzbnMuYW1hem9uYXdzLmNvbTCCASIwDQYJKoZIhvcNAQEBBQAD
ggEPADCCAQoCggEBAKJBURFvr5aE0lItsxP3KkUhI35FuxVJ7i25yv96E37ev9Oz
UhXgMxvIxveweT2Q0iXXJTbYHYb9ETaCzokzAAf0RKfnAUeuZgSc654DHhXFFaRX
ruwRjqh9g0ttp0AT4HDtafYp8Qk1BGJoOFoHUxzt5axFwKFhWnbGN/sEqwh/46Mb
Y4DI+oD/M3E/bw7aeD8v5sIsSZONc4kYPwZNLNL7ZMqPWio/P1dZoXM7QGfdDinn
GfVcStksFNYIWwNgq3LgbJnT5nVIk2BUqgukdgMRvKWUgiwnYdbB1Yb4TUWzTn87
GCT/5JWtSwiID8K2ytFbDL9RId6DvDEzNJv/KycCAwEAATANBgkqhkiG9w0BAQsF
AAOCAQEAOtLNwsX93WD3acwMe1Ge7ATuCKJpd2SAvXhL2nJK5JDmXEfxe2u8Nlly
l9Jp3P1IEw1cFASdyY+1bMxwcikiQo4ls3gEH5yUCEF6eJhlmkky8FNUxAK1S9rt
J3LZ+n7rAf01p9a+iGynVZ4YD4qmHLIacaCxU105pkrLnmtahQhe4UNX38rdxwio
xBZmmLnqFcOzLlRPoZvhEMIs7sCr6db6OQE+Onzalmj7TRwprj/dL8uYp5J2/w4t
23C948r3asxA3dBpYikMrLAGJxVMR1PThvOGYQMUziS8WUmmNHbbIhAGEzAopRaY
mhaQZn2OVTih1dSvZjfyWTSv5G3c8g==
-----END CERTIFICATE-----
";
    const SHA1: &str = "XHZ4xBWfHz7nadJUrn66BLGKdYnmWDlPBWV8ZGY2W7IwZ+IraQQupbyjCAn3e14KomQ+Lci466iTz9UndYrS9Ec6XQsVWvXyF88Az/m1xN6jNF+OFvAASw2TDFGWxfgRm8wBjrqr4fqJ36n5vFUf9u0l81L+3gF1N2KLlwJWudV97ffAV2eya11fimhtXeq8h/Yc+HQtJwhYvrLN17jShkSuNUqJOADaBCIJgVJMu4PpN3i+YTRHxsYhc1vdAtvq6fixTvALVH3RzlhtJ9MRJPba/H7rCCdFCgzgXgWXoXYVGYyzXMvXWBlGavVi/fJ1rPA3AyMZyq6Ofl7vQRmJ/Q==";
    const SHA256: &str = "cbCMAQMbFOo/oo06utk8SR8CwvsHjV3VSboJ5PFmopADH+OIeICcPXBLF+eQUpX2nJgmwzIGaD8QHpln9tTjFPkKKjOqfdea1bbPQt6j547EyJf++MgS5BWWIus+b1Z6+sa2La9k42iMzBpkoH1b9pHCnnx1bEuqIcEnS5fIb0ZqE7BMxkRghenHMYDBpP7kNNZCaBxN5Y9R45s11x8podsbRfnreCqfTj9lo0pZQ1Vyqtz5WbZXf9bmPfC3wGgNAf2iY03UFxOB0AeKmBO+21BFk19rkX/HZMJCW1s1fv7QGKGAOFgI6MTxJ4zTt2n48gpkMAUsupzyB9ccZNH0dA==";

    fn example(version: &str, signature: &str) -> Value {
        json!({
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Subject": "My First Message",
            "Message": "hello",
            "Timestamp": "2026-11-26T02:59:00.655Z",
            "SignatureVersion": version,
            "Signature": signature,
            "SigningCertURL": ADDRESS,
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=…",
        })
    }

    fn confirmation(kind: &str) -> Value {
        json!({
            "Type": kind,
            "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
            "Token": "2336412f37fb687f5d51e6e241d09c80",
            "TopicArn": TOPIC,
            "Message": "You have chosen to subscribe to the topic.\nTo confirm, visit the SubscribeURL.",
            "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f",
            "Timestamp": "2026-11-26T02:59:00.000Z",
            "SignatureVersion": "2",
            "SigningCertURL": ADDRESS,
        })
    }

    fn keys(document: &str) -> Keys {
        let mut keys = Keys::default();
        keys.insert(KeySource::SnsCertificate(ADDRESS.to_owned()), Arc::from(document.as_bytes()));
        keys
    }

    fn check(message: &Value, now: Timestamp, keys: &Keys) -> Result<(), Denied> {
        let topics = [TOPIC, OTHER_TOPIC, UNREADABLE_TOPIC].map(str::to_owned);
        verify(&topics, message.to_string().as_bytes(), now, keys)
    }

    fn sns(why: &str) -> Result<(), Denied> {
        Err(Denied::Refused(refused(why)))
    }

    fn with(message: &Value, field: &str, value: impl Into<Value>) -> Value {
        let mut message = message.clone();
        message[field] = value.into();
        message
    }

    fn without(message: &Value, field: &str) -> Value {
        let mut message = message.clone();
        message.as_object_mut().unwrap().remove(field);
        message
    }

    /// A stand-in for Amazon, with a key of its own.
    struct Amazon(KeyPair);

    impl Amazon {
        fn new() -> Self {
            Self(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
        }

        fn keys(&self) -> Keys {
            self.keys_valid((2026, 1, 1), (2027, 1, 1))
        }

        fn keys_valid(&self, from: (i32, u8, u8), until: (i32, u8, u8)) -> Keys {
            let mut params = CertificateParams::default();
            params.not_before = date_time_ymd(from.0, from.1, from.2);
            params.not_after = date_time_ymd(until.0, until.1, until.2);
            keys(&params.self_signed(&self.0).unwrap().pem())
        }

        fn sign(&self, message: &Value) -> Value {
            let names: &[&str] = if message["Type"] == "Notification" {
                &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
            } else {
                &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
            };
            let mut text = String::new();
            for name in names {
                if let Some(value) = message[*name].as_str() {
                    text += &format!("{name}\n{value}\n");
                }
            }
            let key = RsaKeyPair::from_pkcs8(&self.0.serialize_der()).unwrap();
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
            with(message, "Signature", STANDARD.encode(signature))
        }
    }

    #[test]
    fn what_openssl_signed_passes_in_both_versions() {
        let keys = keys(CERTIFICATE);
        assert_eq!(check(&example("1", SHA1), NOW, &keys), Ok(()));
        assert_eq!(check(&example("2", SHA256), NOW, &keys), Ok(()));
        let mismatch = sns("the signature does not match");
        assert_eq!(check(&example("1", SHA256), NOW, &keys), mismatch);
        assert_eq!(check(&example("2", SHA1), NOW, &keys), mismatch);
        for version in ["", "0", "3", "1 ", "SHA1"] {
            let refused = sns("`SignatureVersion` is neither 1 nor 2");
            assert_eq!(check(&example(version, SHA1), NOW, &keys), refused, "{version}");
        }
        let (mut accepted, whole) = (0, STANDARD.decode(SHA1).unwrap());
        for length in 0..whole.len() {
            let cut = STANDARD.encode(&whole[..length]);
            accepted += usize::from(check(&example("1", &cut), NOW, &keys).is_ok());
        }
        assert_eq!(accepted, 0);
    }

    #[test]
    fn every_type_of_message_passes_when_it_is_signed() {
        let amazon = Amazon::new();
        let keys = amazon.keys();
        for message in [
            example("2", ""),
            without(&example("2", ""), "Subject"),
            with(&example("2", ""), "Subject", Value::Null),
            with(&example("2", ""), "Message", "{\"detail-type\": \"ECR Image Action\"}\n\u{e9}\\n"),
            with(&example("2", ""), "TopicArn", OTHER_TOPIC),
            confirmation("SubscriptionConfirmation"),
            confirmation("UnsubscribeConfirmation"),
        ] {
            assert_eq!(check(&amazon.sign(&message), NOW, &keys), Ok(()), "{message}");
        }
    }

    /// Every case with the message that it makes of a right notification and a right confirmation.
    fn with_one_thing_wrong(amazon: &Amazon, note: &Value, ask: &Value) -> Vec<(&'static str, Value)> {
        let mut wrong = vec![
            ("another key", Amazon::new().sign(note)),
            ("another message's signature", with(note, "Signature", ask["Signature"].clone())),
            ("no base64", with(note, "Signature", "?")),
            ("no signature", with(note, "Signature", "")),
            ("a subject more", with(&amazon.sign(&without(note, "Subject")), "Subject", "added")),
            ("another type that needs the same fields", with(ask, "Type", "UnsubscribeConfirmation")),
            ("a type that does not exist", amazon.sign(&with(ask, "Type", "Confirmation"))),
            ("a topic that is not named", amazon.sign(&with(note, "TopicArn", STRANGERS_TOPIC))),
            ("no message", Value::Null),
            ("an array", json!([note])),
        ];
        for (field, value) in [
            ("Message", "hullo"),
            ("MessageId", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf325"),
            ("Subject", "My Second Message"),
            ("Timestamp", "2026-11-26T02:59:00.656Z"),
            ("Timestamp", "yesterday"),
            ("TopicArn", OTHER_TOPIC),
            ("TopicArn", STRANGERS_TOPIC),
            ("TopicArn", UNREADABLE_TOPIC),
            ("Type", "SubscriptionConfirmation"),
            ("Type", "notification"),
            ("SignatureVersion", "1"),
            ("SigningCertURL", "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem"),
        ] {
            wrong.push((field, with(note, field, value)));
            wrong.push((field, with(note, field, 7)));
            wrong.push((field, without(note, field)));
        }
        for (field, value) in [("SubscribeURL", "https://evil.example/"), ("Token", "2336"), ("Message", "Welcome")] {
            wrong.push((field, with(ask, field, value)));
            wrong.push((field, without(ask, field)));
        }
        wrong
    }

    #[test]
    fn one_wrong_field_is_enough_to_refuse() {
        let amazon = Amazon::new();
        let keys = amazon.keys();
        let (note, ask) = (amazon.sign(&example("2", "")), amazon.sign(&confirmation("SubscriptionConfirmation")));
        assert_eq!(check(&note, NOW, &keys), Ok(()));
        assert_eq!(check(&ask, NOW, &keys), Ok(()));
        let wrong = with_one_thing_wrong(&amazon, &note, &ask);
        let accepted: Vec<&str> =
            wrong.iter().filter(|(_, message)| check(message, NOW, &keys).is_ok()).map(|(what, _)| *what).collect();
        assert!(accepted.is_empty(), "{accepted:?}");
        let no_topics = verify(&[], note.to_string().as_bytes(), NOW, &keys);
        assert_eq!(no_topics, sns("`TopicArn` is none of the receiver's `topics`"));
    }

    #[test]
    fn only_amazons_addresses_in_the_topics_region_are_asked_for() {
        let message = example("2", SHA256);
        let path = "SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem";
        for start in [
            "http://sns.us-east-1.amazonaws.com/",
            "HTTPS://sns.us-east-1.amazonaws.com/",
            "https://sns.eu-west-1.amazonaws.com/",
            "https://sns.us-east-1.amazonaws.com.cn/",
            "https://sns.us-east-1.amazonaws.com.evil.example/",
            "https://sns.us-east-1.amazonaws.com:8443/",
            "https://sns.us-east-1.amazonaws.com./",
            "https://evil.example@sns.us-east-1.amazonaws.com/",
            "https://sns.us-east-1.amazonaws.com@evil.example/",
            "https://sns.us-east-1.amazonaws.com//",
            "https://sns.us-east-1.amazonaws.com/a/../",
            "https://sns.us-east-1.amazonaws.com/bucket/",
            "https://sns.us-east-1.amazonaws.com\\@evil.example/",
            "https://sns.s3-us-west-2.amazonaws.com/",
            "https://s3.amazonaws.com/",
            " https://sns.us-east-1.amazonaws.com/",
            "",
        ] {
            let message = with(&message, "SigningCertURL", format!("{start}{path}"));
            let refused = sns("`SigningCertURL` is not an address of Amazon's in the topic's region");
            assert_eq!(check(&message, NOW, &Keys::default()), refused, "{start}");
        }
        for end in ["", ".pem", "xyz.pem", "0a/0b.pem", "0a%2e.pem", "0a.pem?x=.pem", "0a.pem#", "0a.crt", "0a.PEM"] {
            let address = format!("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{end}");
            assert!(matches!(
                check(&with(&message, "SigningCertURL", address), NOW, &Keys::default()),
                Err(Denied::Refused(Refused::Sns(_)))
            ));
        }
        let needed = Err(Denied::Needs(KeySource::SnsCertificate(ADDRESS.to_owned())));
        assert_eq!(check(&message, NOW, &Keys::default()), needed);
    }

    #[test]
    fn a_certificate_counts_while_it_is_valid() {
        let amazon = Amazon::new();
        let message = amazon.sign(&example("2", ""));
        for (from, until, passes) in [
            ((2026, 11, 26), (2026, 11, 27), true),
            ((2026, 11, 27), (2027, 11, 27), false),
            ((2025, 11, 26), (2026, 11, 26), false),
            ((1999, 1, 1), (2051, 1, 1), true),
        ] {
            let expect = if passes { Ok(()) } else { sns("the certificate is not valid at this time") };
            assert_eq!(check(&message, NOW, &amazon.keys_valid(from, until)), expect, "{from:?} {until:?}");
        }
        let cut = CERTIFICATE.replace("MIICsjCC", "MIICsjCD");
        for document in ["", "<html>", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", cut.as_str()] {
            assert_eq!(check(&message, NOW, &keys(document)), sns("the certificate cannot be read"), "{document}");
        }
        let elliptic = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        assert_eq!(check(&message, NOW, &keys(&elliptic)), sns("the signature does not match"));
    }

    #[test]
    fn a_certificate_may_have_any_lines() {
        let one_line: String = CERTIFICATE.lines().filter(|line| !line.starts_with('-')).collect();
        let document = format!("subject=…\r\n-----BEGIN CERTIFICATE-----\r\n{one_line}\r\n-----END CERTIFICATE-----");
        assert_eq!(check(&example("2", SHA256), NOW, &keys(&document)), Ok(()));
    }

    #[test]
    fn a_message_may_be_as_old_as_amazon_repeats_it() {
        let keys = keys(CERTIFICATE);
        // The example's time is 655 ms after the minute.
        let signed = NOW.0 - 60_000 + 655;
        let at = |seconds: i64| check(&example("1", SHA1), Timestamp(signed + seconds * 1000), &keys);
        assert_eq!(at(3900), Ok(()));
        assert_eq!(at(3901), Err(Denied::Refused(Refused::Time { seconds: 3901, allowed: 3900 })));
        assert_eq!(at(-300), Ok(()));
        assert_eq!(at(-301), Err(Denied::Refused(Refused::Time { seconds: 301, allowed: 300 })));
    }
}
