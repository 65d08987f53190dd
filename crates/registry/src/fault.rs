//! What went wrong, before the operation and the image are named, and whether trying again can help.

use std::{error::Error, time::Duration};

use reqwest::{StatusCode, header::HeaderMap};
use tagboat_model::ImageName;
use tagboat_ports::{RegistryError, RegistryErrorKind};

use crate::{address::PrivateAddress, retry};

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    detail: String,
    kind: RegistryErrorKind,
    nature: Nature,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// Whether the same request may go better soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Not by itself: a refusal, a wrong answer, a host that is left alone.
    Lasting,
    /// The host is there and heard only a part of the request: status 408.
    Unheard,
    /// The host is there and asks to be left alone: status 429.
    Busy,
    /// Nobody answered, or the answer broke off, or the host is broken: statuses 500, 502, 503 and 504.
    Outage,
}

impl Fault {
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        let (detail, kind) = (detail.into(), RegistryErrorKind::Refusal);
        Self { detail, kind, nature: Nature::Lasting, retry_after: None, source: None }
    }

    /// The registry answered, about this repository.
    pub(crate) fn of_repository(mut self) -> Self {
        self.kind = RegistryErrorKind::Repository;
        self
    }

    pub(crate) fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// It is about the host: whatever else is asked of it meets the same.
    pub(crate) fn of_host(mut self) -> Self {
        self.kind = RegistryErrorKind::Outage;
        self
    }

    /// The same in other words.
    pub(crate) fn telling(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }

    /// Trying again soon can help.
    pub(crate) fn passing(mut self, nature: Nature) -> Self {
        self.nature = nature;
        self
    }

    /// Trying again does not help before this time is over.
    pub(crate) fn not_before(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same for another who waited for the same attempt; the cause stays with the first.
    pub(crate) fn again(&self) -> Self {
        let (detail, kind, nature) = (self.detail.clone(), self.kind, self.nature);
        Self { detail, kind, nature, retry_after: self.retry_after, source: None }
    }

    /// The text and the cause.
    pub(crate) fn into_parts(self) -> (String, Option<Box<dyn Error + Send + Sync>>) {
        (self.detail, self.source)
    }

    /// A connection that was not made, or broke off.
    pub(crate) fn unreachable(host: &str, error: reqwest::Error) -> Self {
        if let Some(private) = private_address(&error) {
            return Self::private(private);
        }
        let how = if error.is_timeout() {
            "did not answer in time"
        } else if error.is_body() || error.is_decode() {
            "broke off its answer"
        } else {
            "could not be reached"
        };
        // The URL is left out: a redirect's query may hold a signature.
        Self::new(format!("{host} {how}")).because(error.without_url()).passing(Nature::Outage).of_host()
    }

    /// A registry's own name, or a name it sent us to, is outside of its reach.
    pub(crate) fn private(address: &PrivateAddress) -> Self {
        Self::new(format!(
            "{address}; if that is meant, list the registry under `registries` with `privateNetwork: true`"
        ))
    }

    /// An answer whose status says that it is none; `who` begins the sentence. A status 5xx may be about one repository
    /// alone; together with `Retry-After` it is about the host, as 429 is.
    pub(crate) fn of_answer(who: &str, status: StatusCode, headers: &HeaderMap) -> Self {
        let fault = Self::new(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("{who} does not accept the credential for this repository (status {})", status.as_u16())
            }
            StatusCode::TOO_MANY_REQUESTS => format!("{who} asks us to wait (status 429)"),
            _ => format!("{who} answered with status {}", status.as_u16()),
        });
        let fault = fault.not_before(retry::retry_after(headers, jiff::Timestamp::now()));
        let is_asked = fault.retry_after.is_some();
        match status.as_u16() {
            408 => fault.passing(Nature::Unheard),
            429 => fault.passing(Nature::Busy).of_host(),
            500 | 502 | 503 | 504 if is_asked => fault.passing(Nature::Outage).of_host(),
            500 | 502 | 503 | 504 => fault.passing(Nature::Outage),
            _ => fault,
        }
    }

    pub(crate) fn nature(&self) -> Nature {
        self.nature
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn during(self, operation: String, image: &ImageName) -> RegistryError {
        // Rounded up: a moment too early is too early.
        let milliseconds = |wait: Duration| u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        RegistryError {
            operation,
            image: image.clone(),
            detail: self.detail,
            kind: self.kind,
            retry_after: self.retry_after.map(|wait| tagboat_model::Duration::from_milliseconds(milliseconds(wait))),
            source: self.source,
        }
    }
}

/// The guard's refusal, below the layers of the HTTP client.
fn private_address(error: &reqwest::Error) -> Option<&PrivateAddress> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(private) = error.downcast_ref() {
            return Some(private);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use reqwest::header;

    use super::*;

    #[test]
    fn only_what_is_about_the_host_stops_its_other_images() {
        use RegistryErrorKind::{Outage, Refusal};
        for (status, alone, asked) in [
            (400, Refusal, Refusal),
            (403, Refusal, Refusal),
            (404, Refusal, Refusal),
            (408, Refusal, Refusal),
            (429, Outage, Outage),
            (500, Refusal, Outage),
            (503, Refusal, Outage),
            (507, Refusal, Refusal),
        ] {
            let retry = HeaderMap::from_iter([(header::RETRY_AFTER, header::HeaderValue::from_static("7"))]);
            for (headers, kind) in [(HeaderMap::new(), alone), (retry, asked)] {
                let wait = headers.len() as u64 * 7;
                let fault = Fault::of_answer("r.example", StatusCode::from_u16(status).unwrap(), &headers);
                assert_eq!((fault.kind, fault.retry_after.unwrap_or_default().as_secs()), (kind, wait), "{status}");
            }
        }
    }
}
