//! Where a request comes from: the address of its connection, or what a trusted proxy says.
//!
//! Proxies append to the header what they saw, so it is read from its end: as long as the address
//! is a trusted proxy's, the one before it is believed. Whatever a caller wrote there himself
//! stands before that and is never reached.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use super::error::ApiError;
use crate::settings::{ForwardedHeader, ServerSettings};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection of a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Self>().copied();
        // Every request over a connection has one.
        Ok(peer.unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Who is believed where a request comes from.
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// As the settings have it.
    pub fn new(settings: &ServerSettings) -> Self {
        Self {
            networks: settings.trusted_proxies.clone(),
            header: settings.forwarded_header,
        }
    }

    /// Where a request with these headers, over a connection with this peer, comes from.
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut origin = peer.to_canonical();
        if !self.trust(origin) {
            return origin;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let lines: Vec<&str> = headers
            .get_all(name)
            .into_iter()
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        for hop in hops {
            let Some(address) = self.read(hop) else {
                // Something that is no address: nobody trusted says what was before it.
                break;
            };
            origin = address;
            if !self.trust(origin) {
                break;
            }
        }
        origin
    }

    /// Whether a trusted proxy says that the browser came to it by https.
    pub fn says_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        if !self.trust(peer.to_canonical()) {
            return false;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_PROTO,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let line = headers.get_all(name).into_iter().next_back();
        let line = line.and_then(|line| line.to_str().ok());
        let last = line.and_then(|line| line.rsplit(',').next());
        let proto = last.and_then(|hop| match self.header {
            ForwardedHeader::XForwardedFor => Some(hop.trim()),
            ForwardedHeader::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let is_proto = name.trim().eq_ignore_ascii_case("proto");
                is_proto.then(|| value.trim().trim_matches('"'))
            }),
        });
        proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    fn read(&self, hop: &str) -> Option<IpAddr> {
        match self.header {
            ForwardedHeader::XForwardedFor => node(hop.trim()),
            ForwardedHeader::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let is_for = name.trim().eq_ignore_ascii_case("for");
                is_for.then(|| node(value.trim().trim_matches('"')))?
            }),
        }
    }
}

/// An address, with a port or without: `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`.
fn node(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match text.split_once(':') {
            // One colon parts a port off; several are an address of IPv6.
            Some((address, port)) if !port.contains(':') => address,
            _ => text,
        },
    };
    let address: IpAddr = bare.parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(header: ForwardedHeader, peer: &str, lines: &[&str]) -> String {
        let proxies = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            header,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            for name in [X_FORWARDED_FOR, header::FORWARDED] {
                headers.append(name, line.parse().unwrap());
            }
        }
        proxies.origin(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_that_a_browser_came_by_https() {
        for (header, line, peer, https) in [
            (
                ForwardedHeader::XForwardedFor,
                ("x-forwarded-proto", "https"),
                "10.0.0.1",
                true,
            ),
            (
                ForwardedHeader::XForwardedFor,
                ("x-forwarded-proto", "https"),
                "1.1.1.1",
                false,
            ),
            (
                ForwardedHeader::XForwardedFor,
                ("x-forwarded-proto", "https, http"),
                "10.0.0.1",
                false,
            ),
            (
                ForwardedHeader::XForwardedFor,
                ("forwarded", "proto=https"),
                "10.0.0.1",
                false,
            ),
            (
                ForwardedHeader::Forwarded,
                ("forwarded", "for=1.2.3.4;Proto=\"HTTPS\""),
                "10.0.0.1",
                true,
            ),
            (
                ForwardedHeader::Forwarded,
                ("forwarded", "proto=https, for=1.2.3.4"),
                "10.0.0.1",
                false,
            ),
            (
                ForwardedHeader::Forwarded,
                ("x-forwarded-proto", "https"),
                "10.0.0.1",
                false,
            ),
        ] {
            let proxies = TrustedProxies {
                networks: vec!["10.0.0.0/8".parse().unwrap()],
                header,
            };
            let name: HeaderName = line.0.parse().unwrap();
            let headers = HeaderMap::from_iter([(name, line.1.parse().unwrap())]);
            let said = proxies.says_https(peer.parse().unwrap(), &headers);
            assert_eq!(said, https, "{line:?}");
        }
    }

    #[test]
    fn the_header_is_read_from_its_end_past_trusted_proxies() {
        let origin = |peer, lines: &[&str]| origin(ForwardedHeader::XForwardedFor, peer, lines);
        for (peer, lines, expected) in [
            ("1.1.1.1", [].as_slice(), "1.1.1.1"),
            ("1.1.1.1", &["2.2.2.2"], "1.1.1.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["2.2.2.2"], "2.2.2.2"),
            ("::ffff:10.0.0.1", &["2.2.2.2"], "2.2.2.2"),
            ("10.0.0.1", &["9.9.9.9, 2.2.2.2"], "2.2.2.2"),
            ("10.0.0.1", &["9.9.9.9, 2.2.2.2, 10.0.0.2"], "2.2.2.2"),
            ("10.0.0.1", &["9.9.9.9", "2.2.2.2, 10.0.0.2"], "2.2.2.2"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["2.2.2.2, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["2.2.2.2, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["2.2.2.2:80"], "2.2.2.2"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]:80"], "2001:db8::7"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(origin(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_the_same_way() {
        let origin = |lines: &[&str]| origin(ForwardedHeader::Forwarded, "10.0.0.1", lines);
        for (lines, expected) in [
            (["for=2.2.2.2"].as_slice(), "2.2.2.2"),
            (
                &["For=9.9.9.9, for=2.2.2.2;proto=https;by=10.0.0.9"],
                "2.2.2.2",
            ),
            (
                &[
                    "for=9.9.9.9",
                    "proto=http; FOR=\"[2001:db8::7]:4711\", for=10.0.0.2",
                ],
                "2001:db8::7",
            ),
            (&["for=2.2.2.2, for=_hidden"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
            (&["2.2.2.2"], "10.0.0.1"),
        ] {
            assert_eq!(origin(lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[ -~]{0,60}") {
            for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
                let _ = origin(header, "10.0.0.1", &[&text]);
            }
            let _ = node(&text);
        }
    }
}
