//! `WWW-Authenticate` of a registry, and which token servers are believed.
//!
//! Format: RFC 9110 section 11 and distribution's token specification. A realm that is neither the registry
//! itself nor a known token server of it gets nothing: registries have been made to send credentials away.

use reqwest::{
    Url,
    header::{self, HeaderMap},
};

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from `realm`.
    Bearer { realm: Url, service: Option<String> },
}

impl Challenge {
    /// What an answer asks for. Where a registry offers both, a token is better than a password in every request.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let offered: Vec<Self> = texts.filter_map(Self::parse).collect();
        let bearer = offered.iter().find(|challenge| matches!(challenge, Self::Bearer { .. })).cloned();
        bearer.or_else(|| offered.into_iter().next())
    }

    /// Read the header; `None` when it asks for something else.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let value = |name: &str| parameters(rest).into_iter().find(|(key, _)| key == name).map(|(_, value)| value);
        Some(Self::Bearer { realm: Url::parse(&value("realm")?).ok()?, service: value("service") })
    }
}

/// `key="value",key=value`
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.push((key.trim().to_ascii_lowercase(), value.to_owned()));
        rest = after.trim_start_matches([' ', ',']);
    }
    found
}

/// Token servers of public registries that are not at the registry's own host, as far as is known to us. Most issue
/// their tokens themselves (`ghcr.io`, `quay.io`, `gcr.io`, `*.pkg.dev`, `*.azurecr.io`, `public.ecr.aws`, `nvcr.io`,
/// `registry.redhat.io`). For any other, and for GitLab and Harbor of one's own, the operator names it.
const KNOWN: [(&str, &str); 3] = [
    ("docker.io", "auth.docker.io"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// Whether `realm` may be asked for tokens of `registry`. Hosts are compared whole and with their ports, after the
/// URL was parsed: what a parser makes of a strange spelling is what would be connected to.
pub(crate) fn is_trusted(realm: &Url, registry: &str, plain_http: bool, configured: &[String]) -> bool {
    let (scheme, default_port) = match realm.scheme() {
        "https" => (true, ":443"),
        "http" => (plain_http, ":80"),
        _ => (false, ""),
    };
    let Some(host) = realm.host_str().filter(|host| !host.is_empty()) else { return false };
    let with_port = realm.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let is = |name: &str| name.strip_suffix(default_port).unwrap_or(name).eq_ignore_ascii_case(&with_port);
    let trusted = is(registry)
        || KNOWN.iter().any(|(known, server)| *known == registry && *server == with_port)
        || configured.iter().any(|name| is(name));
    scheme && trusted && realm.username().is_empty() && realm.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer { realm, service }) = Challenge::parse(header) else { panic!() };
        assert_eq!((realm.as_str(), service.as_deref()), ("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
    }

    #[test]
    fn malformed_challenges_ask_for_nothing_or_for_what_can_be_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: Url::parse(realm).unwrap(), service: service.map(str::to_owned) })
        };
        for (header, read) in [
            ("", None),
            ("Negotiate", None),
            ("Negotiate Basic", None),
            ("Basically", None),
            ("Basic", Some(Challenge::Basic)),
            ("bAsIc nonsense", Some(Challenge::Basic)),
            ("Bearer", None),
            ("Bearer realm", None),
            ("Bearer realm=", None),
            ("Bearer realm=\"not a url\"", None),
            ("Bearer service=\"https://a.example/t\"", None),
            ("Bearer realm=\"https://a.example/t", bearer("https://a.example/t", None)),
            ("bearer  ,REALM=https://a.example/t,, service=b", bearer("https://a.example/t", Some("b"))),
            ("Bearer realm=\"https://a.example/t\"service=\"b\"", bearer("https://a.example/t", Some("b"))),
            ("Bearer realm=\"https://a.example/t\",realm=\"https://b.example/t\"", bearer("https://a.example/t", None)),
        ] {
            assert_eq!(Challenge::parse(header), read, "{header}");
        }
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let of = |texts: &[&str]| {
            let name = header::WWW_AUTHENTICATE;
            let pairs = texts.iter().map(|text| (name.clone(), text.parse().unwrap()));
            Challenge::of(&pairs.collect())
        };
        let bearer = "Bearer realm=\"https://a.example/t\"";
        assert!(matches!(of(&["Basic realm=\"x\"", bearer]), Some(Challenge::Bearer { .. })));
        assert_eq!(of(&["Negotiate", "Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate"]), None);
    }

    #[test]
    fn only_known_token_servers_are_believed() {
        let trusted = |realm: &str, registry: &str, plain: bool, configured: &[&str]| {
            let configured: Vec<String> = configured.iter().map(|host| (*host).to_owned()).collect();
            is_trusted(&Url::parse(realm).unwrap(), registry, plain, &configured)
        };
        assert!(trusted("https://ghcr.io/token", "ghcr.io", false, &[]));
        assert!(trusted("https://auth.docker.io/token", "docker.io", false, &[]));
        assert!(trusted("https://sso.example/token", "r.example", false, &["sso.example"]));
        assert!(trusted("https://sso.example/token", "r.example", false, &["SSO.example:443"]));
        assert!(trusted("https://GHCR.io:443/token", "ghcr.io", false, &[]));
        assert!(trusted("https://r.example/token", "r.example:443", false, &[]));
        assert!(trusted("https://docker-auth.elastic.co/auth", "docker.elastic.co", false, &[]));
        assert!(trusted("https://gitlab.com/jwt/auth", "registry.gitlab.com", false, &[]));
        assert!(trusted("http://127.0.0.1:5000/token", "127.0.0.1:5000", true, &[]));
        for (realm, registry) in [
            ("https://evil.example/token", "ghcr.io"),
            ("http://ghcr.io/token", "ghcr.io"),
            ("https://ghcr.io.evil.example/token", "ghcr.io"),
            ("https://ghcr.io:8443/token", "ghcr.io"),
            ("https://ghcr.io@evil.example/token", "ghcr.io"),
            ("https://user@ghcr.io/token", "ghcr.io"),
            ("https://169.254.169.254/token", "ghcr.io"),
            ("https://auth.docker.io/token", "ghcr.io"),
            ("https://docker.io/token", "registry.gitlab.com"),
            ("https://gitlab.com/jwt/auth", "gitlab.com:8443"),
            ("https://ghcr.io./token", "ghcr.io"),
            ("https://ghcr.io:80/token", "ghcr.io"),
            ("https://sub.ghcr.io/token", "ghcr.io"),
            ("https://ghcr.iо/token", "ghcr.io"),
            ("ftp://ghcr.io/token", "ghcr.io"),
            ("file:///etc/passwd", "ghcr.io"),
        ] {
            assert!(!trusted(realm, registry, false, &[]), "{realm} for {registry}");
        }
    }
}
