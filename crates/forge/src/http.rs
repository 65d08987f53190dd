//! What every forge needs of HTTP: a client, times, addresses, and when a request is sent again.
//!
//! `Retry-After`: RFC 9110 section 10.2.3, both forms. Nothing is sent here.

use std::time;

use http::{HeaderMap, header};
use reqwest::{Client, Url};
use tagboat_connection::{authorities, identity, proxy, set_up};
use tagboat_model::{Duration, Timestamp};

use crate::{TransportSettings, error::Failure};

/// One request is sent so often.
pub(crate) const MOST_TRIES: u32 = 3;
/// Whatever a forge asks for: a mistyped number must not silence it for years.
const LONGEST_PAUSE: Duration = Duration::from_seconds(3600);
const FIRST_WAIT: time::Duration = time::Duration::from_millis(300);
const CONNECT_TIMEOUT: time::Duration = time::Duration::from_secs(10);
const TIMEOUT: time::Duration = time::Duration::from_secs(30);

/// The client for a forge at this address. Redirects and retries are for whoever asks.
pub(crate) fn client(settings: &TransportSettings, url: &Url) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .tls_certs_merge(authorities(&settings.certificate_authorities)?);
    if let Some(certificate) = &settings.client_certificate {
        builder = builder.identity(identity(certificate)?);
    }
    builder = match &settings.proxy {
        Some(settings) => builder.proxy(proxy(settings)?),
        None if is_this_machine(url) => builder.no_proxy(),
        None => builder,
    };
    Ok(set_up(builder)?)
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|it| it.is_loopback())
}

/// How long to wait after try number `tries` (from 1). `jitter` is from 0 to 1: without it, all who failed together
/// come again together.
pub(crate) fn back_off(tries: u32, jitter: f64) -> time::Duration {
    let middle = FIRST_WAIT * 3_u32.saturating_pow(tries.saturating_sub(1));
    middle.mul_f64(0.5 + jitter.clamp(0.0, 1.0))
}

/// For how long an answer asks us to stay away.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        Duration::from_seconds(text.parse().unwrap_or(u64::MAX))
    } else {
        let sent = headers.get(header::DATE).and_then(|date| moment(date.to_str().ok()?));
        moment(text)?.since(sent.unwrap_or(now))
    };
    Some(asked.min(LONGEST_PAUSE))
}

/// HTTP's date is that of mails with a fixed form.
fn moment(text: &str) -> Option<Timestamp> {
    let point = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(Timestamp(point.as_millisecond()))
}

/// A point in time of an answer.
pub(crate) fn time_of(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|error| Failure::permanent(format!("the answer cannot be read: {error}")))
}

/// One part of a path, or a value of a query, with everything escaped that is not safe in both.
pub(crate) fn encoded(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// A path of several parts, which stay parts.
pub(crate) fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// What went wrong on the way, without the address: secrets may be in it.
pub(crate) fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut words = "it could not be reached".to_owned();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}

/// Text in one line and not too long, for messages.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        retry_after(&headers, now).map(|wait| wait.milliseconds() / 1000)
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(asked("7", None), Some(7));
        assert_eq!(asked("Sat, 21 Nov 2026 08:00:30 GMT", None), Some(30));
        assert_eq!(asked("Sat, 21 Nov 2026 09:30:05 GMT", Some("Sat, 21 Nov 2026 09:30:00 GMT")), Some(5));
        assert_eq!(asked("Sat, 21 Nov 2026 07:00:00 GMT", None), Some(0), "in the past");
        assert_eq!(asked("99999999999999999999999", None), Some(3600));
        for nonsense in ["", "-5", "soon", "7s"] {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn waits_grow_and_vary() {
        let wait = |tries, jitter| back_off(tries, jitter).as_millis();
        assert_eq!([wait(1, 0.0), wait(1, 1.0), wait(2, 0.0), wait(2, 1.0)], [150, 450, 450, 1350]);
    }

    #[test]
    fn names_stay_one_part_of_an_address() {
        assert_eq!(encoded("a b/c?d=ä"), "a%20b%2Fc%3Fd%3D%C3%A4");
        assert_eq!(encoded("tagboat[bot]"), "tagboat%5Bbot%5D");
        assert_eq!(encoded_path("a b/c#1.yaml"), "a%20b/c%231.yaml");
    }

    #[test]
    fn texts_of_others_are_shown_in_one_line() {
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
        assert_eq!(one_line(&"ä".repeat(400)).chars().count(), 301);
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        let local = |url: &str| is_this_machine(&Url::parse(url).unwrap());
        assert!(local("http://127.0.0.1:80") && local("http://localhost") && local("http://[::1]:8"));
        assert!(!local("https://github.com") && !local("http://127.0.0.1.example"));
    }
}
