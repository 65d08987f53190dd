//! Standard Webhooks 1.0: id, time and body are signed together; five minutes of tolerance.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};
use tagboat_model::Timestamp;

use super::{body_signature::mac_sha256, header};
use crate::{Headers, Refused};

/// Standard Webhooks 1.0 and its libraries accept five minutes in both directions.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// The three headers that Standard Webhooks 1.0 signs with.
pub(super) struct SignedHeaders<'h> {
    id: &'h str,
    time: &'h str,
    signature: &'h str,
}

/// The headers, when all are there and the time is fresh. The time is not proved before the signature is.
pub(super) fn signed_headers(headers: &Headers, now: Timestamp) -> Result<SignedHeaders<'_>, Refused> {
    let header = |name| header(headers, name);
    let (id, time, signature) = (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let signed: i64 = time.parse().map_err(|_| Refused::Malformed("webhook-timestamp"))?;
    let seconds = now.0.div_euclid(1000).abs_diff(signed);
    if seconds > TOLERANCE_SECONDS {
        return Err(Refused::Time { seconds, allowed: TOLERANCE_SECONDS });
    }
    Ok(SignedHeaders { id, time, signature })
}

/// Verify a request signed as Standard Webhooks 1.0 says and return its `webhook-id`.
/// Signed content: `id.timestamp.body`; header: space-separated `v1,<base64>`.
pub(super) fn verify(
    secrets: &[SecretString],
    headers: &Headers,
    body: &[u8],
    now: Timestamp,
) -> Result<String, Refused> {
    let SignedHeaders { id, time, signature } = signed_headers(headers, now)?;
    let mut found = Choice::from(0);
    for key in secrets.iter().flat_map(keys) {
        let expected = mac_sha256(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
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

/// The keys that a secret may stand for: itself, and what it is in base64, since the libraries of Standard Webhooks take
/// secrets without `whsec_` for base64 all the same.
fn keys(secret: &SecretString) -> Vec<Vec<u8>> {
    let own = key(secret).ok();
    let decoded = STANDARD.decode(secret.expose_secret()).ok().filter(|key| !key.is_empty());
    own.into_iter().chain(decoded).collect()
}

/// The value of the `webhook-signature` header for a request that we send ourselves.
#[must_use]
pub fn sign_standard_webhook(secret: &SecretString, id: &str, seconds: i64, body: &[u8]) -> String {
    let time = seconds.to_string();
    let key = key(secret).unwrap_or_default();
    format!("v1,{}", STANDARD.encode(mac_sha256(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body])))
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_614_265_330_000);
    /// The example of the Standard Webhooks specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn request(
        secret: &str,
        id: &str,
        time: &str,
        signature: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, Refused> {
        let headers = [("Webhook-Id", id), ("Webhook-Timestamp", time), ("Webhook-Signature", signature)];
        verify(&[secret.to_owned().into()], &headers.into_iter().collect(), body, now)
    }

    #[test]
    fn the_specifications_own_example_passes() {
        assert_eq!(request(SECRET, ID, "1614265330", SIGNATURE, BODY, NOW), Ok(ID.to_owned()));
        assert_eq!(sign_standard_webhook(&SECRET.to_owned().into(), ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn a_secret_in_base64_may_lack_its_beginning() {
        let bare = SECRET.trim_start_matches("whsec_");
        assert_eq!(request(bare, ID, "1614265330", SIGNATURE, BODY, NOW), Ok(ID.to_owned()));
    }

    #[test]
    fn one_wrong_field_is_enough_to_refuse() {
        let two = format!("v1,AAAA {SIGNATURE}");
        assert!(request(SECRET, ID, "1614265330", &two, BODY, NOW).is_ok(), "any of several signatures may match");
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
                request(secret, id, time, signature, body, NOW),
                Err(Refused::Credential),
                "{id} {time} {signature}"
            );
        }
        assert_eq!(request(SECRET, "", "1614265330", SIGNATURE, BODY, NOW), Err(Refused::Missing("webhook-id")));
    }

    #[test]
    fn an_old_request_is_refused_and_so_is_one_from_the_future() {
        for now in [1_614_265_330 + 301, 1_614_265_330 - 301] {
            let refused = request(SECRET, ID, "1614265330", SIGNATURE, BODY, Timestamp(now * 1000));
            assert_eq!(refused, Err(Refused::Time { seconds: 301, allowed: 300 }));
        }
    }

    #[test]
    fn an_empty_secret_matches_nothing() {
        for bad in ["", "whsec_", "whsec_?"] {
            let secret: SecretString = bad.to_owned().into();
            assert!(check_signing_secret(&secret).is_err(), "{bad}");
            let signature = sign_standard_webhook(&secret, ID, 1_614_265_330, BODY);
            assert_eq!(request(bad, ID, "1614265330", &signature, BODY, NOW), Err(Refused::Credential), "{bad}");
        }
    }
}
