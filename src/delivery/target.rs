//! Where a request goes, parsed once per subscription instead of once per attempt.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Uri;
use hyper::header::HeaderValue;
use rustls::pki_types::ServerName;
use url::{Host, Url};

/// A receiver's URL, ready to be called. Cloning is cheap.
#[derive(Clone)]
pub struct Target(Arc<Parts>);

struct Parts {
    origin: Arc<Origin>,
    path: Uri,
    host: HeaderValue,
}

/// What one connection leads to: requests to equal origins may share it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// By TLS or in the clear.
    pub tls: bool,
    /// The name to resolve, or the address.
    pub host: OriginHost,
    /// The port, never 0.
    pub port: u16,
}

/// A host as the URL gave it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum OriginHost {
    /// A lower-case ASCII name without the final dot.
    Name(Box<str>),
    /// A literal address.
    Address(IpAddr),
}

/// Why no request can be made of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError(&'static str);

impl Target {
    /// Parses it. What the URL may lead to is the address guard's business, not this one's.
    pub fn parse(url: &Url) -> Result<Self, TargetError> {
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(TargetError("only https:// and http:// can be called")),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                if ServerName::try_from(name).is_err() {
                    return Err(TargetError("the host is not a valid DNS name"));
                }
                OriginHost::Name(name.into())
            }
            Some(Host::Ipv4(address)) => OriginHost::Address(address.into()),
            Some(Host::Ipv6(address)) => OriginHost::Address(address.into()),
            None => return Err(TargetError("the URL names no host")),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let port = port.ok_or(TargetError("the URL names no usable port"))?;
        // `path..query` leaves out the fragment; the url crate has escaped the rest.
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path = path
            .parse()
            .map_err(|_| TargetError("the path or query is not valid"))?;
        // The url crate has dropped a port that is the scheme's own, as the header should.
        let host_text = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let host_text =
            HeaderValue::from_str(host_text).map_err(|_| TargetError("the host is not valid"))?;
        let origin = Arc::new(Origin { tls, host, port });
        Ok(Self(Arc::new(Parts {
            origin,
            path,
            host: host_text,
        })))
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.0.origin
    }

    /// Path and query, as the request line has them.
    pub(super) fn path(&self) -> &Uri {
        &self.0.path
    }

    /// The value of the `host` header.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.0.host
    }
}

impl fmt::Debug for Target {
    /// Without path and query, which may hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.0.host).finish()
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        let table = [
            ("https://Example.com", true, 443, "/", "example.com"),
            ("https://example.com:443/a", true, 443, "/a", "example.com"),
            (
                "http://example.com.:8080/a?b=c%20d#e",
                false,
                8080,
                "/a?b=c%20d",
                "example.com.:8080",
            ),
            ("http://[::1]:81/x y|z", false, 81, "/x%20y|z", "[::1]:81"),
            (
                "https://bücher.example//x",
                true,
                443,
                "//x",
                "xn--bcher-kva.example",
            ),
        ];
        for (text, tls, port, path, host) in table {
            let target = Target::parse(&Url::parse(text).unwrap()).unwrap();
            assert_eq!(target.origin().tls, tls, "{text}");
            assert_eq!(target.origin().port, port, "{text}");
            assert_eq!(target.path().to_string(), path, "{text}");
            assert_eq!(target.host(), host, "{text}");
        }
        assert!(Target::parse(&Url::parse("ftp://example.com/").unwrap()).is_err());
    }

    #[test]
    fn equal_origins_share_connections() {
        let origin = |text| Arc::clone(Target::parse(&Url::parse(text).unwrap()).unwrap().origin());
        assert_eq!(
            origin("https://example.com/a"),
            origin("https://EXAMPLE.com.:443/b")
        );
        assert_ne!(
            origin("https://example.com/a"),
            origin("http://example.com:443/a")
        );
    }
}
