//! Signature schemes. Everything is compared in constant time, over raw bytes, against every live secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};
use tagboat_model::Timestamp;

use crate::{Headers, Refused};

/// Standard Webhooks 1.0 and its libraries accept five minutes in both directions.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// Whether `given` is one of `expected`. Both are hashed under one key first, so that neither the length nor
/// the place of the first difference shows in the time it takes; no early exit between secrets.
pub(crate) fn matches_any(expected: &[SecretString], given: &str) -> bool {
    let hash = |text: &str| mac(b"tagboat: compare, never store", &[text.as_bytes()]);
    let given = hash(given);
    let mut found = Choice::from(0);
    for secret in expected {
        found |=
            hash(secret.expose_secret()).ct_eq(&given) & Choice::from(u8::from(!secret.expose_secret().is_empty()));
    }
    found.into()
}

/// The three headers that Standard Webhooks 1.0 signs with.
pub(crate) struct StandardWebhook<'h> {
    id: &'h str,
    time: &'h str,
    signature: &'h str,
}

/// The headers, when all are there and the time is fresh. The time is not proved before the signature is.
pub(crate) fn standard_webhook_headers(headers: &Headers, now: Timestamp) -> Result<StandardWebhook<'_>, Refused> {
    let header = |name| headers.get(name).filter(|value| !value.is_empty()).ok_or(Refused::Header(name));
    let (id, time, signature) = (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let signed: i64 = time.parse().map_err(|_| Refused::Header("webhook-timestamp"))?;
    let seconds = now.0.div_euclid(1000).abs_diff(signed);
    if seconds > TOLERANCE_SECONDS {
        return Err(Refused::Time { seconds, allowed: TOLERANCE_SECONDS });
    }
    Ok(StandardWebhook { id, time, signature })
}

/// Verify a request signed as Standard Webhooks 1.0 says and return its `webhook-id`.
/// Signed content: `id.timestamp.body`; header: space-separated `v1,<base64>`.
pub(crate) fn verify_standard_webhook(
    secrets: &[SecretString],
    headers: &Headers,
    body: &[u8],
    now: Timestamp,
) -> Result<String, Refused> {
    let StandardWebhook { id, time, signature } = standard_webhook_headers(headers, now)?;
    let mut found = Choice::from(0);
    for key in secrets.iter().filter_map(|secret| key(secret).ok()) {
        let expected = mac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
        for signature in signature.split(' ').filter_map(|part| part.strip_prefix("v1,")) {
            found |= STANDARD.decode(signature).unwrap_or_default().ct_eq(&expected);
        }
    }
    if bool::from(found) { Ok(id.to_owned()) } else { Err(Refused::Credential) }
}

/// Whether a text can be a signing secret, to be asked when it is configured.
///
/// # Errors
/// What is wrong with it, without the secret itself.
pub fn check_signing_secret(secret: &SecretString) -> Result<(), &'static str> {
    key(secret).map(|_| ())
}

/// The value of the `webhook-signature` header for a request that we send ourselves.
#[must_use]
pub fn sign_standard_webhook(secret: &SecretString, id: &str, seconds: i64, body: &[u8]) -> String {
    let time = seconds.to_string();
    let key = key(secret).unwrap_or_default();
    format!("v1,{}", STANDARD.encode(mac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body])))
}

/// `whsec_<base64>` is decoded; any other text is used as it is. An empty key would let everybody sign.
fn key(secret: &SecretString) -> Result<Vec<u8>, &'static str> {
    let text = secret.expose_secret();
    let key = match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` is not base64")?,
        None => text.as_bytes().to_vec(),
    };
    if key.is_empty() { Err("it is empty") } else { Ok(key) }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes a key of any length: one longer than a block is hashed first, as RFC 2104 says.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_614_265_330_000);
    /// The example of the Standard Webhooks specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn verify(
        secret: &str,
        id: &str,
        time: &str,
        signature: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, Refused> {
        let headers = [("Webhook-Id", id), ("Webhook-Timestamp", time), ("Webhook-Signature", signature)];
        verify_standard_webhook(&[secret.to_owned().into()], &headers.into_iter().collect(), body, now)
    }

    #[test]
    fn the_specifications_own_example_passes() {
        assert_eq!(verify(SECRET, ID, "1614265330", SIGNATURE, BODY, NOW), Ok(ID.to_owned()));
        assert_eq!(sign_standard_webhook(&SECRET.to_owned().into(), ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn one_wrong_field_is_enough_to_refuse() {
        let two = format!("v1,AAAA {SIGNATURE}");
        assert!(verify(SECRET, ID, "1614265330", &two, BODY, NOW).is_ok(), "any of several signatures may match");
        for (secret, id, time, signature, body) in [
            ("whsec_AAAA", ID, "1614265330", SIGNATURE, BODY),
            (SECRET, "msg_other", "1614265330", SIGNATURE, BODY),
            (SECRET, ID, "1614265331", SIGNATURE, BODY),
            (SECRET, ID, "1614265330", "v1,", BODY),
            (SECRET, ID, "1614265330", "v1", BODY),
            (SECRET, ID, "1614265330", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY),
            (SECRET, ID, "1614265330", SIGNATURE, b"{}"),
        ] {
            assert_eq!(
                verify(secret, id, time, signature, body, NOW),
                Err(Refused::Credential),
                "{id} {time} {signature}"
            );
        }
        assert_eq!(verify(SECRET, "", "1614265330", SIGNATURE, BODY, NOW), Err(Refused::Header("webhook-id")));
    }

    #[test]
    fn an_old_request_is_refused_and_so_is_one_from_the_future() {
        for now in [1_614_265_330 + 301, 1_614_265_330 - 301] {
            let refused = verify(SECRET, ID, "1614265330", SIGNATURE, BODY, Timestamp(now * 1000));
            assert_eq!(refused, Err(Refused::Time { seconds: 301, allowed: 300 }));
        }
    }

    #[test]
    fn an_empty_secret_matches_nothing() {
        for bad in ["", "whsec_", "whsec_?"] {
            let secret: SecretString = bad.to_owned().into();
            assert!(check_signing_secret(&secret).is_err(), "{bad}");
            let signature = sign_standard_webhook(&secret, ID, 1_614_265_330, BODY);
            assert_eq!(verify(bad, ID, "1614265330", &signature, BODY, NOW), Err(Refused::Credential), "{bad}");
        }
        assert!(!matches_any(&[String::new().into()], ""));
        assert!(!matches_any(&[], ""));
        assert!(matches_any(&["old".to_owned().into(), "new".to_owned().into()], "old"));
        assert!(!matches_any(&["secret".to_owned().into()], "secreT"));
    }
}
