//! What the headers and bodies of token servers say besides the token: the time, an error code.
//!
//! Formats: RFC 9110 (`Date`), RFC 6749 section 5.2 (`error`), the distribution specification
//! (`errors`), AWS's JSON protocol (`__type`).

use std::time::Duration;

use reqwest::{
    RequestBuilder, StatusCode,
    header::{self, HeaderMap},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    client::{Fault, bounded_body},
    retry::retry_after,
};

/// A moment as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// The time at the server, by its `Date` header: what it says about moments is compared with its own clock.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<jiff::Timestamp> {
    http_date(headers.get(header::DATE)?.to_str().ok()?)
}

/// The code by which a server names its error. Anything that is no plain word is left out, so that no text of
/// others and no secret reaches an error of ours.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let code = [&body["error"], &body["__type"], &body["errors"][0]["code"]].into_iter().find_map(Value::as_str)?;
    let code = code.rsplit('#').next().unwrap_or(code);
    let plain = (1..=48).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    plain.then(|| code.to_owned())
}

/// Send a request to a vendor's endpoint and read the JSON of its answer. The second value is when the server says
/// that it answered.
pub(super) async fn json<T: DeserializeOwned>(
    what: &str,
    request: RequestBuilder,
) -> Result<(T, Option<jiff::Timestamp>), Fault> {
    let answer = request.send().await.map_err(|error| Fault::unreachable(what, error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = bounded_body(answer).await?;
    if !status.is_success() {
        let code = error_code(&body).map(|code| format!(", {code}")).unwrap_or_default();
        let fault = Fault::new(format!("{what} gives no credential (status {}{code})", status.as_u16()));
        let fault = fault.not_before(retry_after(&headers, jiff::Timestamp::now()));
        // Without a credential none of the registry's images can be asked for.
        return Err(if status == StatusCode::TOO_MANY_REQUESTS { fault.of_host() } else { fault });
    }
    // The cause is left out: it may quote the body.
    let value = serde_json::from_slice(&body)
        .map_err(|_| Fault::new(format!("{what} answered something else than its documentation says")))?;
    Ok((value, server_time(&headers)))
}

/// A number of seconds, which some servers write as text.
pub(crate) fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_taken_from_the_errors_of_others() {
        for (body, code) in [
            (r#"{"error":"invalid_grant","error_description":"secret"}"#, Some("invalid_grant")),
            (r#"{"errors":[{"code":"DENIED","message":"secret"}]}"#, Some("DENIED")),
            (r#"{"__type":"com.amazon.coral#UnrecognizedClientException"}"#, Some("UnrecognizedClientException")),
            (r#"{"error":"a secret with spaces"}"#, None),
            (r#"{"error":"a1b2c3d4"}"#, None),
            (r#"["#, None),
            (r#"7"#, None),
        ] {
            assert_eq!(error_code(body.as_bytes()).as_deref(), code, "{body}");
        }
    }
}
