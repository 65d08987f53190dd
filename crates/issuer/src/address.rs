//! Which addresses may be asked.

use reqwest::Url;

/// An address to fetch from: https, or http to this machine; nothing in it but host, path and query.
pub(crate) fn fetchable(address: &str) -> Result<Url, String> {
    let shown = tagboat_model::shown(address);
    let url = Url::parse(address).map_err(|_| format!("`{shown}` is not an address as `https://ci.example.org`"))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_this_machine(&url)) {
        return Err(format!("`{shown}` does not begin with `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("`{shown}` has parts (user name, password or `#`) that do not belong there"));
    }
    Ok(url)
}

/// `localhost`, `127.0.0.1`, `[::1]`.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// An address of Amazon SNS: `https://sns.<region>.amazonaws.com/…`, in China with `.cn` behind it.
pub(crate) fn of_amazon(address: &str) -> Result<Url, String> {
    let url = fetchable(address)?;
    let region = url.host_str().and_then(|host| {
        let name = host.strip_prefix("sns.")?;
        name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn"))
    });
    let is_region = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if url.scheme() == "https" && url.port().is_none() && region.is_some_and(is_region) {
        Ok(url)
    } else {
        Err("it is not an address of Amazon SNS".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_this_machine() {
        for good in [
            "https://ci.example",
            "https://ci.example:8443/a?b=c",
            "http://127.0.0.1:1/x",
            "http://[::1]",
            "http://localhost",
        ] {
            assert!(fetchable(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ci.example",
            "http://ci.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "ftp://ci.example",
            "file:///etc/passwd",
            "https://user@ci.example",
            "https://user:pw@ci.example",
            "https://ci.example/#a",
        ] {
            assert!(fetchable(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amazon_is_known_by_its_host_alone() {
        for good in [
            "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0f.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/x.pem",
            "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=1",
        ] {
            assert!(of_amazon(good).is_ok(), "{good}");
        }
        for bad in [
            "http://sns.eu-central-1.amazonaws.com/x.pem",
            "https://sns.eu-central-1.amazonaws.com:8443/x.pem",
            "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem",
            "https://sns.eu-central-1.evil.amazonaws.com/x.pem",
            "https://sns..amazonaws.com/x.pem",
            "https://sns.amazonaws.com/x.pem",
            "https://evil.example/sns.eu-central-1.amazonaws.com/x.pem",
            "https://evil.example#sns.eu-central-1.amazonaws.com",
            "https://sns.eu-central-1.amazonaws.com@evil.example/x.pem",
            "https://s3.eu-central-1.amazonaws.com/x.pem",
            "http://127.0.0.1/x.pem",
        ] {
            assert!(of_amazon(bad).is_err(), "{bad}");
        }
    }
}
