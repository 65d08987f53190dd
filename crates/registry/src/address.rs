//! Which addresses a registry may make us connect to.
//!
//! A registry names other hosts: its token server, the target of a redirect. Names of hosts come from people who
//! write config repositories, too. None of them may reach what only this machine's network reaches, unless
//! configuration says that this registry lives there. Addresses in URLs are checked before the request; names are
//! checked by what they resolve to at the moment of connecting, so that a name which changes its address between
//! the check and the connection gains nothing. Where a proxy is used, the proxy resolves names and is the one to
//! guard them; addresses in URLs are checked all the same.
//!
//! Ranges: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890), and one address of a cloud.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use thiserror::Error;

/// How far connections on behalf of a registry may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses.
    Public,
    /// Also this machine: a registry that is configured under a loopback address.
    Loopback,
    /// Everything: a registry of which configuration says so.
    Private,
}

/// Something is outside of a registry's reach.
#[derive(Debug, Clone, Error)]
#[error("`{host}` is an address of a private network")]
pub(crate) struct PrivateAddress {
    /// The host as it was written.
    pub(crate) host: String,
}

impl Reach {
    pub(crate) fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Loopback => is_public(address) || address.is_loopback(),
            Self::Private => true,
        }
    }

    /// Check the host of a URL as far as it can be before a name is resolved. Other spellings of addresses
    /// (`0x7f.1`, `2130706433`, `0177.0.0.1`) are addresses here already: parsing the URL has read them.
    pub(crate) fn check(self, url: &Url) -> Result<(), PrivateAddress> {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let permitted = match address {
            Ok(address) => self.permits(address),
            Err(_) => self != Self::Public || !is_local_name(host),
        };
        if permitted { Ok(()) } else { Err(PrivateAddress { host: host.to_owned() }) }
    }
}

/// RFC 6761: names below `localhost` are this machine, whatever a name server says.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

/// `localhost`, `127.0.0.1`, `[::1]`, with or without a port.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Network and length of its prefix.
const NOT_PUBLIC: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network; 0.0.0.0 connects to this machine
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier-grade NAT, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's WireServer, which is no special address to IANA
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; clouds answer with credentials there
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // relays of 6to4, given up
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, broadcast
];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, length): (Ipv4Addr, u32)| {
        let mask = u32::MAX << (32 - length);
        address.to_bits() & mask == network.to_bits()
    };
    !NOT_PUBLIC.into_iter().any(within)
}

/// Only global unicast (`2000::/3`) is public, without its special parts; and IPv4 addresses in the forms that lead
/// to public ones.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // Mapped (RFC 4291), translated (RFC 2765), through NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => v4(high, low),
        // Protocol assignments with Teredo, and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        _ => a & 0xe000 == 0x2000,
    }
}

/// Resolves names as the system does, and leaves out what is outside of a registry's reach.
pub(crate) struct Guard {
    pub(crate) reach: Reach,
    /// Names of proxies, which operators place where they like.
    pub(crate) proxies: Arc<[String]>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let reach = if self.proxies.contains(&host) { Reach::Private } else { self.reach };
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> =
                found.iter().copied().filter(|address| reach.permits(address.ip())).collect();
            if permitted.is_empty() && !found.is_empty() {
                return Err(PrivateAddress { host }.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str = "127.0.0.1 127.9.9.9 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 168.63.129.16 \
         100.64.0.1 100.127.255.255 192.0.0.8 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 \
         224.0.0.1 240.0.0.1 255.255.255.255 192.88.99.1 :: ::1 fe80::1 febf::1 fec0::1 fc00::1 fdff::1 \
         ff02::1 2001:db8::1 3fff::1 2001::1 100::1 5f00::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 \
         ::8.8.8.8 ::ffff:0:192.168.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 \
         2002:7f00:1::1 2002:a00:1::1";

    const PUBLIC: &str = "8.8.8.8 1.1.1.1 100.63.255.255 100.128.0.1 168.63.129.15 168.63.129.17 172.15.0.1 172.32.0.1 192.167.0.1 169.253.0.1 198.17.0.1 \
         198.20.0.1 223.255.255.255 126.0.0.1 128.0.0.1 2606:4700::1111 2001:200::1 2a00::1 ::ffff:8.8.8.8 \
         64:ff9b::8.8.8.8 2002:808:808::1";

    #[test]
    fn addresses_of_private_networks_are_known_in_every_form() {
        for private in PRIVATE.split_ascii_whitespace() {
            let address: IpAddr = private.parse().unwrap();
            assert!(!Reach::Public.permits(address), "{private}");
            assert!(Reach::Private.permits(address), "{private}");
        }
        for public in PUBLIC.split_ascii_whitespace() {
            assert!(Reach::Public.permits(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_in_a_url_is_seen_through() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "%31%32%37.0.0.1",
            "[::1]",
            "[::ffff:7f00:1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "１２７.0.0.1",
            "0",
            "169.254.169.254",
            "2852039166",
            "[fe80::1]",
            "user@10.0.0.1",
        ] {
            let url = Url::parse(&format!("https://{host}:5000/v2/")).unwrap();
            assert!(Reach::Public.check(&url).is_err(), "{host} as {url}");
            assert!(Reach::Private.check(&url).is_ok(), "{host} as {url}");
        }
        for host in ["registry.example.org", "8.8.8.8", "[2606:4700::1111]", "mylocalhost", "localhost.example.org"] {
            assert!(Reach::Public.check(&Url::parse(&format!("https://{host}/v2/")).unwrap()).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_registry_on_this_machine_reaches_no_other_private_address() {
        let permits = |text: &str| Reach::Loopback.permits(text.parse().unwrap());
        assert!(permits("127.0.0.1") && permits("::1") && permits("8.8.8.8"));
        assert!(!permits("10.0.0.1") && !permits("169.254.169.254") && !permits("0.0.0.0"));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let resolve = async |reach, proxies: &[&str]| {
            let proxies = proxies.iter().map(|name| (*name).to_owned()).collect();
            let addresses = Guard { reach, proxies }.resolve("localhost".parse().unwrap()).await;
            addresses.map(|addresses| addresses.count()).map_err(|error| error.to_string())
        };
        assert_eq!(resolve(Reach::Public, &[]).await.unwrap_err(), "`localhost` is an address of a private network");
        assert!(resolve(Reach::Loopback, &[]).await.unwrap() > 0);
        assert!(resolve(Reach::Public, &["localhost"]).await.unwrap() > 0, "a proxy may stand anywhere");
    }
}
