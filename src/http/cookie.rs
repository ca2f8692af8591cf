//! The cookie of whoever is signed in, and which pages' requests it counts for.
//!
//! A page of another site can make a browser send requests here. It never gets the cookie with them
//! (`SameSite=Strict`, and no origin may send credentials), and where a browser would send it all the
//! same, it counts for nothing: a browser says where a request comes from, and only what comes from
//! the relay's own pages counts.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Over http.
pub const NAME: &str = "posthaste_session";
/// Over https. Browsers take a cookie of such a name from this very host and over https alone, so
/// that no other host can plant one.
pub const SECURE_NAME: &str = "__Host-posthaste_session";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn name(secure: bool) -> &'static str {
    match secure {
        true => SECURE_NAME,
        false => NAME,
    }
}

/// What stands in the cookie.
pub fn token(headers: &HeaderMap, secure: bool) -> Option<&[u8]> {
    let name = name(secure).as_bytes();
    let lines = headers.get_all(header::COOKIE).into_iter();
    let cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    cookies
        .filter_map(|cookie| cookie.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
        .find(|token| !token.is_empty())
}

/// The cookie with that token, which a browser forgets after that time.
pub fn set(token: &str, secure: bool, lasts: Duration) -> Option<HeaderValue> {
    let lasts = lasts.as_secs();
    HeaderValue::try_from(format!(
        "{}={token}{}; Max-Age={lasts}",
        name(secure),
        attributes(secure)
    ))
    .ok()
}

/// Takes the cookie away.
pub fn clear(secure: bool) -> Option<HeaderValue> {
    HeaderValue::try_from(format!(
        "{}={}; Max-Age=0",
        name(secure),
        attributes(secure)
    ))
    .ok()
}

fn attributes(secure: bool) -> &'static str {
    match secure {
        true => "; Path=/; HttpOnly; SameSite=Strict; Secure",
        false => "; Path=/; HttpOnly; SameSite=Strict",
    }
}

/// Whether the browser says that the request comes from elsewhere than the relay's own pages. One
/// that only looks may also come from nowhere: somebody typed its address.
pub fn is_foreign(headers: &HeaderMap, secure: bool, only_looks: bool) -> bool {
    let is_site = |site: &HeaderValue| site == "same-origin" || (only_looks && site == "none");
    let sites = headers.get_all(FETCH_SITE);
    let origins = headers.get_all(header::ORIGIN);
    !sites.into_iter().all(is_site)
        || !origins
            .into_iter()
            .all(|origin| is_own(origin, headers, secure))
}

/// Whether an origin is the one that the request went to.
fn is_own(origin: &HeaderValue, headers: &HeaderMap, secure: bool) -> bool {
    let own = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let given = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let (Some(own), Some((scheme, host))) = (own, given) else {
        return false;
    };
    let port = match scheme {
        "https" => ":443",
        // Where the relay is reached by https, a page that came by http may be anybody's.
        "http" if !secure => ":80",
        _ => return false,
    };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    bare(own) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn the_token_is_found_among_other_cookies_under_its_own_name() {
        let given = headers(&[
            ("cookie", "a=b; xposthaste_session=no"),
            ("cookie", "posthaste_session=; posthaste_session=one;c"),
            ("cookie", "__Host-posthaste_session=two"),
        ]);
        assert_eq!(token(&given, false), Some(&b"one"[..]));
        assert_eq!(token(&given, true), Some(&b"two"[..]));
        assert_eq!(
            token(&headers(&[("cookie", "posthaste_session")]), false),
            None
        );
        // Over https another name's cookie may have been planted by whoever is in between.
        assert_eq!(
            token(&headers(&[("cookie", "posthaste_session=x")]), true),
            None
        );
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let plain = set("t", false, Duration::from_secs(60)).unwrap();
        assert_eq!(
            plain,
            "posthaste_session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        let secure = set("t", true, Duration::from_secs(60)).unwrap();
        assert_eq!(
            secure,
            "__Host-posthaste_session=t; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=60"
        );
        let gone = clear(false).unwrap();
        assert_eq!(
            gone,
            "posthaste_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
        );
    }

    #[test]
    fn only_the_relays_own_pages_count() {
        const HOST: (&str, &str) = ("host", "relay.example:8080");
        for (more, secure, looks, foreign) in [
            (vec![], false, false, false),
            (
                vec![("origin", "http://relay.example:8080")],
                false,
                false,
                false,
            ),
            (
                vec![("origin", "http://RELAY.example:8080")],
                false,
                false,
                false,
            ),
            (
                vec![("origin", "https://relay.example:8080")],
                true,
                false,
                false,
            ),
            (
                vec![("origin", "http://relay.example:8080")],
                true,
                false,
                true,
            ),
            (vec![("origin", "http://relay.example")], false, false, true),
            (
                vec![("origin", "http://evil.example:8080")],
                false,
                true,
                true,
            ),
            (vec![("origin", "null")], false, false, true),
            (
                vec![("origin", "file://relay.example:8080")],
                false,
                false,
                true,
            ),
            (vec![("sec-fetch-site", "same-origin")], false, false, false),
            (vec![("sec-fetch-site", "none")], false, true, false),
            (vec![("sec-fetch-site", "none")], false, false, true),
            (vec![("sec-fetch-site", "same-site")], false, true, true),
            (vec![("sec-fetch-site", "cross-site")], false, true, true),
            (
                vec![
                    ("origin", "http://relay.example:8080"),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
                false,
                true,
            ),
        ] {
            let given: Vec<_> = std::iter::once(HOST).chain(more).collect();
            assert_eq!(
                is_foreign(&headers(&given), secure, looks),
                foreign,
                "{given:?}"
            );
        }
        let port = headers(&[
            ("host", "relay.example:443"),
            ("origin", "https://relay.example"),
        ]);
        assert!(!is_foreign(&port, true, false));
        assert!(is_foreign(
            &headers(&[("origin", "http://relay.example")]),
            false,
            true
        ));
    }
}
