//! Which receivers may be called: the defence against server-side request forgery.
//!
//! A subscription's URL comes from outside, and so does what its name resolves to. The relay
//! stands where private services are reachable, so only addresses of the public internet are
//! called unless an operator allows a network. [`AddressGuard::check`] judges the very address
//! that is connected to, at the moment of connecting: a name judged earlier may resolve
//! differently now. [`AddressGuard::check_url`] tells the creator of a subscription early.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use super::target::{Target, TargetError};
use crate::settings::AddressGuardSettings;

/// Judges addresses and URLs.
#[derive(Clone, Debug)]
pub struct AddressGuard {
    allow_networks: Vec<IpNet>,
    allow_http: bool,
}

/// The rule by which an address is refused. It names the range, never the address: what a
/// name resolves to inside is nobody's business outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 0.0.0.0/8 and `::`: "this host", which many systems take for loopback.
    Unspecified,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16.
    Private,
    /// 100.64.0.0/10.
    SharedAddressSpace,
    /// 169.254.0.0/16 and `fe80::/10`; cloud metadata services live here.
    LinkLocal,
    /// 224.0.0.0/4 and `ff00::/8`.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Addresses for documents and examples.
    Documentation,
    /// 198.18.0.0/15.
    Benchmarking,
    /// Set aside by IANA, not routed on the public internet.
    Reserved,
    /// `fc00::/7`.
    UniqueLocal,
    /// `fec0::/10`.
    SiteLocal,
    /// `100::/64`.
    Discard,
    /// `::ffff:0:0/96`, where the embedded address is not refused by itself.
    Ipv4Mapped,
    /// `::/96`, where the embedded address is not refused by itself.
    Ipv4Compatible,
    /// `64:ff9b::/96` and `64:ff9b:1::/48`.
    Nat64,
    /// `2002::/16`.
    SixToFour,
    /// `2001::/32`.
    Teredo,
    /// `2001:10::/28` and `2001:20::/28`.
    Orchid,
}

/// Why a URL is refused for a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlRefusal {
    /// Neither `https` nor an allowed `http`. Holds whether it was `http`.
    Scheme {
        /// The scheme as written.
        scheme: String,
    },
    /// No host.
    HostMissing,
    /// A user name or a password in the URL.
    Credentials,
    /// A fragment, which is never sent.
    Fragment,
    /// Port 0.
    Port,
    /// A literal address, or `localhost`, in a refused range.
    Address(Refusal),
    /// Nothing a request can be made of.
    Unusable(TargetError),
}

impl AddressGuard {
    /// A guard after these settings.
    pub fn new(settings: &AddressGuardSettings) -> Self {
        Self {
            allow_networks: settings.allow_networks.clone(),
            allow_http: settings.allow_http,
        }
    }

    /// Whether `http://` receivers may be called.
    pub fn allows_http(&self) -> bool {
        self.allow_http
    }

    /// Judges one address.
    ///
    /// An IPv6 address that embeds an IPv4 address passes only where both its own range and
    /// the embedded address do: allowing a NAT64 prefix does not open 10.0.0.0/8 behind it.
    /// An IPv4-mapped address *is* its IPv4 address to the kernel, so an allowed IPv4 network
    /// allows it.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        match address {
            IpAddr::V4(v4) => self.check_v4(v4),
            IpAddr::V6(v6) => self.check_v6(v6),
        }
    }

    /// Judges the URL of a subscription that is about to be stored. Names are judged when they
    /// are connected to.
    pub fn check_url(&self, url: &Url) -> Result<(), UrlRefusal> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            scheme => {
                return Err(UrlRefusal::Scheme {
                    scheme: scheme.to_owned(),
                });
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::Credentials);
        }
        if url.fragment().is_some() {
            return Err(UrlRefusal::Fragment);
        }
        if url.port() == Some(0) {
            return Err(UrlRefusal::Port);
        }
        // The url crate has already turned `0x7f.1` and `2130706433` into addresses.
        let literal = match url.host() {
            None => return Err(UrlRefusal::HostMissing),
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(name)) if is_localhost(name) => Some(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Domain(_)) => None,
        };
        if let Some(address) = literal {
            self.check(address).map_err(UrlRefusal::Address)?;
        }
        Target::parse(url).map_err(UrlRefusal::Unusable)?;
        Ok(())
    }

    fn check_v4(&self, address: Ipv4Addr) -> Result<(), Refusal> {
        match refused_v4(address) {
            Some(_) if self.allowed(address.into()) => Ok(()),
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn check_v6(&self, address: Ipv6Addr) -> Result<(), Refusal> {
        let Some(refusal) = refused_v6(address) else {
            return Ok(());
        };
        if refusal == Refusal::Ipv4Mapped {
            let v4 = embedded_v4(address).unwrap_or(Ipv4Addr::UNSPECIFIED);
            if self.allowed(v4.into()) {
                return Ok(());
            }
        }
        if let Some(v4) = embedded_v4(address) {
            self.check_v4(v4)?;
        }
        if self.allowed(address.into()) {
            Ok(())
        } else {
            Err(refusal)
        }
    }

    fn allowed(&self, address: IpAddr) -> bool {
        self.allow_networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// `localhost` and everything under it is loopback by definition (RFC 6761, 6.3), whatever a
/// name server says.
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

fn refused_v4(address: Ipv4Addr) -> Option<Refusal> {
    let refusal = match address.octets() {
        [0, ..] => Refusal::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Refusal::Private,
        [100, 64..=127, ..] => Refusal::SharedAddressSpace,
        [127, ..] => Refusal::Loopback,
        [169, 254, ..] => Refusal::LinkLocal,
        [192, 0, 0, _] | [192, 88, 99, _] => Refusal::Reserved,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Refusal::Documentation,
        [198, 18..=19, ..] => Refusal::Benchmarking,
        [224..=239, ..] => Refusal::Multicast,
        [255, 255, 255, 255] => Refusal::Broadcast,
        [240..=255, ..] => Refusal::Reserved,
        _ => return None,
    };
    Some(refusal)
}

fn refused_v6(address: Ipv6Addr) -> Option<Refusal> {
    let refusal = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Refusal::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Refusal::Loopback,
        [0, 0, 0, 0, 0, 0xffff, ..] => Refusal::Ipv4Mapped,
        [0, 0, 0, 0, 0, 0, ..] => Refusal::Ipv4Compatible,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Refusal::Nat64,
        [0x100, 0, 0, 0, ..] => Refusal::Discard,
        [0x2001, 0, ..] => Refusal::Teredo,
        [0x2001, 0x10..=0x2f, ..] => Refusal::Orchid,
        [0x2001, 0..=0x1ff, ..] => Refusal::Reserved,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Refusal::Documentation,
        [0x2002, ..] => Refusal::SixToFour,
        [0xfc00..=0xfdff, ..] => Refusal::UniqueLocal,
        [0xfe80..=0xfebf, ..] => Refusal::LinkLocal,
        [0xfec0..=0xfeff, ..] => Refusal::SiteLocal,
        [0xff00..=0xffff, ..] => Refusal::Multicast,
        // 2000::/3 is all the unicast space that was ever given out.
        [0x2000..=0x3fff, ..] => return None,
        _ => Refusal::Reserved,
    };
    Some(refusal)
}

/// The IPv4 address that an IPv6 address leads to, where its form says which.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match (refused_v6(address)?, address.segments()) {
        (Refusal::Ipv4Mapped | Refusal::Ipv4Compatible, [.., high, low]) => (high, low),
        (Refusal::Nat64, [_, _, 0, .., high, low]) => (high, low),
        (Refusal::SixToFour, [_, high, low, ..]) => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

impl Refusal {
    /// A stable word for answers of the API.
    pub fn code(self) -> &'static str {
        self.parts().0
    }

    /// The range by its name, for example `private network (RFC 1918)`.
    pub fn rule(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Unspecified => ("unspecified", "unspecified address (RFC 1122)"),
            Self::Loopback => ("loopback", "loopback (RFC 1122, RFC 4291)"),
            Self::Private => ("private", "private network (RFC 1918)"),
            Self::SharedAddressSpace => ("cgnat", "carrier-grade NAT (RFC 6598)"),
            Self::LinkLocal => (
                "link_local",
                "link-local, metadata services (RFC 3927, RFC 4291)",
            ),
            Self::Multicast => ("multicast", "multicast (RFC 5771, RFC 4291)"),
            Self::Broadcast => ("broadcast", "broadcast (RFC 919)"),
            Self::Documentation => (
                "documentation",
                "documentation (RFC 5737, RFC 3849, RFC 9637)",
            ),
            Self::Benchmarking => ("benchmarking", "benchmarking (RFC 2544)"),
            Self::Reserved => ("reserved", "reserved (RFC 6890)"),
            Self::UniqueLocal => ("unique_local", "unique local network (RFC 4193)"),
            Self::SiteLocal => ("site_local", "site-local network (RFC 3879)"),
            Self::Discard => ("discard", "discard-only (RFC 6666)"),
            Self::Ipv4Mapped => ("ipv4_mapped", "IPv4-mapped (RFC 4291)"),
            Self::Ipv4Compatible => ("ipv4_compatible", "IPv4-compatible (RFC 4291)"),
            Self::Nat64 => ("nat64", "NAT64 (RFC 6052, RFC 8215)"),
            Self::SixToFour => ("6to4", "6to4 (RFC 3056)"),
            Self::Teredo => ("teredo", "Teredo (RFC 4380)"),
            Self::Orchid => ("orchid", "ORCHID (RFC 4843, RFC 7343)"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the receiver's address lies in a refused range: {}; allow the network with \
             POSTHASTE_ALLOW_NETWORKS, or start with --dev",
            self.rule()
        )
    }
}

impl std::error::Error for Refusal {}

impl UrlRefusal {
    /// A stable word for answers of the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scheme { .. } => "url_scheme",
            Self::HostMissing => "url_host_missing",
            Self::Credentials => "url_credentials",
            Self::Fragment => "url_fragment",
            Self::Port => "url_port",
            Self::Address(_) => "url_address_refused",
            Self::Unusable(_) => "url_unusable",
        }
    }
}

impl fmt::Display for UrlRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme { scheme } if scheme == "http" => f.write_str(
                "http:// receivers are refused, because anyone on the way can read and change \
                 what is sent; use https://, or set POSTHASTE_ADDRESS_GUARD__ALLOW_HTTP=true, \
                 or start with --dev",
            ),
            Self::Scheme { scheme } => {
                write!(f, "the scheme {scheme:?} is not supported; use https://")
            }
            Self::HostMissing => f.write_str("the URL names no host"),
            Self::Credentials => f.write_str(
                "the URL holds a user name or password, which would leak into logs; send an \
                 Authorization header with the subscription's headers instead",
            ),
            Self::Fragment => f.write_str("the URL has a fragment (#…), which is never sent"),
            Self::Port => f.write_str("port 0 cannot be connected to"),
            Self::Address(refusal) => refusal.fmt(f),
            Self::Unusable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UrlRefusal {}

#[cfg(test)]
#[path = "address_guard_tests.rs"]
mod tests;
