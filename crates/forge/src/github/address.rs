//! Where a GitHub is: for people, for REST and for GraphQL.
//!
//! github.com and its tenants (`NAME.ghe.com`) have a host of their own for the API; an Enterprise server has it below
//! `/api/v3` and `/api/graphql`.

use reqwest::Url;

use crate::error::Failure;

/// The addresses of one GitHub, none with a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// For people.
    pub(crate) web: String,
    /// What stands before the path of every REST request.
    pub(crate) rest: String,
    /// The one address of GraphQL.
    pub(crate) graphql: String,
}

impl Address {
    /// Of the GitHub with this address for people.
    pub(crate) fn of(url: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::permanent(format!("`{url}` is not the address of a GitHub; write `https://github.com`"));
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        let host = parsed.host_str().unwrap_or_default();
        let is_plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none();
        if host.is_empty() || !matches!(parsed.scheme(), "https" | "http") || !is_plain {
            return Err(Failure::permanent(
                "the address of a GitHub is `https://` with a host, without user name, password and query",
            ));
        }
        let web = url.trim_end_matches('/').to_owned();
        if host == "github.com" || host == "api.github.com" || host.ends_with(".ghe.com") {
            let rest = format!("https://api.{}", host.trim_start_matches("api."));
            let web = format!("https://{}", host.trim_start_matches("api."));
            return Ok(Self { web, graphql: format!("{rest}/graphql"), rest });
        }
        Ok(Self { rest: format!("{web}/api/v3"), graphql: format!("{web}/api/graphql"), web })
    }

    /// The repository at a web or clone address, if it is at this GitHub: `owner/name`.
    pub(crate) fn repository_of(&self, address: &str) -> Option<String> {
        let web = Url::parse(&self.web).ok()?;
        let own = web.host_str()?;
        let path = match address.strip_prefix("git@") {
            Some(rest) => {
                let (their, path) = rest.split_once(':')?;
                their.eq_ignore_ascii_case(own).then(|| path.to_owned())?
            }
            None => {
                let full = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
                let url = Url::parse(&full).ok()?;
                url.host_str()?.eq_ignore_ascii_case(own).then(|| url.path().trim_matches('/').to_owned())?
            }
        };
        let mut parts = path.trim_end_matches('/').split('/');
        let (owner, name) = (parts.next()?, parts.next()?);
        let name = name.strip_suffix(".git").unwrap_or(name);
        (!owner.is_empty() && !name.is_empty()).then(|| format!("{owner}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> [String; 3] {
        let address = Address::of(url).unwrap();
        [address.web, address.rest, address.graphql]
    }

    #[test]
    fn the_api_of_github_com_and_of_a_server_of_ones_own_are_elsewhere() {
        let public = ["https://github.com", "https://api.github.com", "https://api.github.com/graphql"];
        assert_eq!(addresses("https://github.com"), public.map(str::to_owned));
        assert_eq!(addresses("https://github.com/"), public.map(str::to_owned));
        assert_eq!(addresses("https://acme.ghe.com")[1], "https://api.acme.ghe.com");
        let own =
            ["https://git.acme.example", "https://git.acme.example/api/v3", "https://git.acme.example/api/graphql"];
        assert_eq!(addresses("https://git.acme.example/"), own.map(str::to_owned));
        assert_eq!(addresses("http://127.0.0.1:81")[1], "http://127.0.0.1:81/api/v3");
    }

    #[test]
    fn an_address_has_no_secrets_in_it() {
        for bad in ["", "github.com", "ftp://github.com", "https://me:s3cret@github.com", "https://github.com?a=b"] {
            let error = Address::of(bad).unwrap_err();
            assert!(!error.detail.contains("s3cret"), "{}", error.detail);
        }
    }

    #[test]
    fn a_repository_is_known_by_any_of_its_addresses() {
        let github = Address::of("https://github.com").unwrap();
        for address in [
            "https://github.com/acme/shop",
            "https://github.com/acme/shop.git",
            "https://GitHub.com/acme/shop/tree/main",
            "github.com/acme/shop",
            "git@github.com:acme/shop.git",
            "ssh://git@github.com/acme/shop.git",
        ] {
            assert_eq!(github.repository_of(address).as_deref(), Some("acme/shop"), "{address}");
        }
        for other in ["https://gitlab.com/acme/shop", "https://github.com/acme", "", "git@gitlab.com:acme/shop"] {
            assert_eq!(github.repository_of(other), None, "{other}");
        }
    }
}
