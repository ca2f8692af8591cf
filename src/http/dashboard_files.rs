//! `/ui/`: the dashboard, which is built before this binary (`dashboard/README.md`) and is part of it.
//!
//! Its pages may run no script and no style but its own, load nothing from elsewhere, and stand in
//! no frame. What stands below `assets/` has its content's hash in its name and never changes; all
//! else is asked for anew each time. Every other path is a page of the dashboard itself, which finds
//! out in the browser what there is to show: they all answer `index.html`.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::Embed;

use super::HttpState;
use super::error::{ApiError, Problem, Result};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";
/// A name that holds the content's hash never stands for another content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// To be asked for each time, which costs a 304.
const EACH_TIME: &str = "no-cache";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Where files with a hash in their names are.
const HASHED: &str = "assets/";
const PAGE: &str = "index.html";

#[derive(Embed)]
#[folder = "dashboard/dist/"]
#[allow_missing = true]
struct Built;

/// Shown where the dashboard was not built before the binary.
const HOW_TO_BUILD: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Posthaste</title></head>
<body>
<h1>This binary holds no dashboard</h1>
<p>The relay works, and so does its <a href=\"/docs/\">API</a>. The dashboard is built with Node 20.19 or
later, before the relay:</p>
<pre>make run</pre>
<p>does both and starts it. By hand:</p>
<pre>cd dashboard &amp;&amp; npm ci &amp;&amp; npm run build &amp;&amp; cd .. &amp;&amp; cargo build</pre>
</body>
</html>
";

/// `GET /`: people who open the relay's address want to see something.
#[utoipa::path(
    get,
    path = "/",
    tag = "relay",
    operation_id = "root",
    summary = "The way to the dashboard",
    responses(
        (status = 308, description = "It is at `/ui/`.", headers(("Location" = String))),
        (status = 404, description = "There is none here (`dashboard.enabled`)."),
    )
)]
pub async fn from_root(State(app): State<HttpState>) -> Result<Response> {
    moved(&app)
}

/// `GET /ui`: its pages stand below it.
#[utoipa::path(
    get,
    path = "/ui",
    tag = "relay",
    operation_id = "ui",
    summary = "The dashboard's short address",
    responses(
        (status = 308, description = "It is at `/ui/`.", headers(("Location" = String))),
        (status = 404, description = "There is none here (`dashboard.enabled`)."),
    )
)]
pub async fn from_short(State(app): State<HttpState>) -> Result<Response> {
    moved(&app)
}

/// `GET /ui/`.
#[utoipa::path(
    get,
    path = "/ui/",
    tag = "relay",
    operation_id = "ui_page",
    summary = "The dashboard",
    responses(
        (status = 200, description = "Its page.", body = String, content_type = "text/html"),
        (status = 404, description = "There is none here (`dashboard.enabled`)."),
    )
)]
pub async fn page(State(app): State<HttpState>, headers: HeaderMap) -> Result<Response> {
    enabled(&app)?;
    answer(&built, PAGE, &headers)
}

/// `GET /ui/{path}`.
#[utoipa::path(
    get,
    path = "/ui/{path}",
    tag = "relay",
    operation_id = "ui_file",
    summary = "A page or a file of the dashboard",
    params(("path" = String, Path, description = "May hold slashes. What is no file is a page of the dashboard.")),
    responses(
        (status = 200, description = "The page or the file.", content(
            (String = "text/html"),
            (String = "text/javascript"),
            (String = "text/css"),
            (String = "image/svg+xml"),
            (String = "font/woff2"),
            (Vec<u8> = "application/octet-stream"),
        )),
        (status = 404, description = "There is no such file, or no dashboard (`dashboard.enabled`)."),
    )
)]
pub async fn file(
    State(app): State<HttpState>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    enabled(&app)?;
    answer(&built, &path, &headers)
}

fn enabled(app: &HttpState) -> Result<()> {
    match app.settings.dashboard {
        true => Ok(()),
        false => Err(ApiError::new(
            Problem::NoSuchRoute,
            "There is no such route; the dashboard is off (dashboard.enabled)",
        )),
    }
}

fn moved(app: &HttpState) -> Result<Response> {
    enabled(app)?;
    let place = HeaderValue::from_static("/ui/");
    Ok((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response())
}

/// One of the files that were built.
struct File {
    bytes: Cow<'static, [u8]>,
    /// Of its content.
    hash: [u8; 32],
}

fn built(path: &str) -> Option<File> {
    Built::get(path).map(|file| File {
        hash: file.metadata.sha256_hash(),
        bytes: file.data,
    })
}

/// What is answered to a path below `/ui/`, of the files that there are.
fn answer(
    files: &impl Fn(&str) -> Option<File>,
    path: &str,
    request: &HeaderMap,
) -> Result<Response> {
    let hashed = path.starts_with(HASHED);
    // What was made to be sent instead of a file is no file that anyone asks for.
    let named = files(path).filter(|_| encoding_of(path).is_none());
    let (name, plain) = match (named, hashed) {
        (Some(file), _) => (path, file),
        (None, true) => {
            return Err(ApiError::new(Problem::NotFound, "There is no such file"));
        }
        (None, false) => match files(PAGE) {
            Some(file) => (PAGE, file),
            None => return Ok(protected(Html(HOW_TO_BUILD).into_response())),
        },
    };
    let tag = etag(&plain);
    if !hashed
        && request
            .get(header::IF_NONE_MATCH)
            .is_some_and(|known| has(known, &tag))
    {
        let headers = [
            (header::ETAG, tag),
            (header::CACHE_CONTROL, fixed(EACH_TIME)),
        ];
        return Ok(protected(
            (StatusCode::NOT_MODIFIED, headers).into_response(),
        ));
    }
    let (encoding, bytes) = encoded(files, name, request).unwrap_or((None, plain.bytes));
    let headers = [
        (header::CONTENT_TYPE, fixed(media_type(name))),
        (
            header::CACHE_CONTROL,
            fixed(if hashed { FOR_EVER } else { EACH_TIME }),
        ),
        (header::VARY, fixed("accept-encoding")),
        (header::ETAG, tag),
    ];
    let mut response = (headers, body(bytes)).into_response();
    if let Some(encoding) = encoding {
        let encoding = HeaderValue::from_static(encoding);
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, encoding);
    }
    Ok(protected(response))
}

fn fixed(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(OPENER, fixed("same-origin"));
    response
}

fn body(bytes: Cow<'static, [u8]>) -> Body {
    match bytes {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    }
}

/// The endings under which the build leaves compressed files, the smallest first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

fn encoding_of(name: &str) -> Option<&'static str> {
    let mut all = ENCODINGS.iter();
    all.find_map(|(encoding, ending)| name.ends_with(ending).then_some(*encoding))
}

type Encoded = (Option<&'static str>, Cow<'static, [u8]>);

/// The smallest form of a file that the caller reads.
fn encoded(
    files: &impl Fn(&str) -> Option<File>,
    name: &str,
    request: &HeaderMap,
) -> Option<Encoded> {
    let accepted = request.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    ENCODINGS.iter().find_map(|(encoding, ending)| {
        let file = accepts(accepted, encoding).then(|| files(&format!("{name}{ending}")))??;
        Some((Some(*encoding), file.bytes))
    })
}

/// Whether it is named, and not with `q=0`. Browsers name what they read; `*` is for others.
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").map(str::parse::<f32>);
            matches!(weight, Some(Ok(0.0)))
        });
        is_named && !refused
    })
}

/// Weak: it is the same for all encodings.
fn etag(file: &File) -> HeaderValue {
    let hash = hex::encode(&file.hash[..16]);
    HeaderValue::from_str(&format!("W/\"{hash}\"")).unwrap_or(fixed("\"\""))
}

fn has(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else {
        return false;
    };
    known.split(',').any(|one| strong(one) == strong(tag))
}

/// Of what a build of ours may hold; nothing else gets a name that a browser would run.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    const FILES: [(&str, &str); 6] = [
        ("index.html", "<html>"),
        ("index.html.br", "br of the page"),
        ("assets/a-1f.js", "run()"),
        ("assets/a-1f.js.br", "br"),
        ("assets/a-1f.js.gz", "gz"),
        ("theme.js", "theme()"),
    ];

    fn some(path: &str) -> Option<File> {
        let (_, text) = FILES.iter().find(|(name, _)| *name == path)?;
        Some(File {
            bytes: Cow::Borrowed(text.as_bytes()),
            hash: [text.len() as u8; 32],
        })
    }

    async fn get(path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.insert(name, value.parse().unwrap());
        }
        let answer = answer(&some, path, &request);
        let (parts, body) = answer.into_response().into_parts();
        let text = to_bytes(body, 9_999).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        (parts.status.as_u16(), parts.headers, text)
    }

    #[tokio::test]
    async fn what_is_no_file_is_a_page_and_an_unknown_asset_is_nothing() {
        for path in [
            "index.html",
            "events",
            "events/0190",
            "event-types/job.created",
            "a/../b",
        ] {
            let (status, headers, text) = get(path, &[]).await;
            assert_eq!((status, text.as_str()), (200, "<html>"), "{path}");
            assert_eq!(headers[header::CACHE_CONTROL], EACH_TIME);
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
        }
        for path in ["assets/b-2.js", "assets/", "assets/a-1f.js.br"] {
            assert_eq!(get(path, &[]).await.0, 404, "{path}");
        }
        assert_eq!(get("theme.js", &[]).await.2, "theme()");
        assert_eq!(get("index.html.br", &[]).await.2, "<html>");
    }

    #[test]
    fn the_policy_lets_no_inline_script_or_style_run() {
        assert!(!POLICY.contains("unsafe") && POLICY.starts_with("default-src 'none'"));
    }

    #[tokio::test]
    async fn assets_are_kept_for_ever_and_pages_are_asked_for() {
        let (_, headers, _) = get("assets/a-1f.js", &[]).await;
        assert_eq!(headers[header::CACHE_CONTROL], FOR_EVER);
        let (_, headers, _) = get("events", &[]).await;
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let strong = tag.trim_start_matches("W/").to_owned();
        for known in [tag.clone(), strong, format!("\"other\", {tag}")] {
            let (status, headers, text) = get("events", &[("if-none-match", &known)]).await;
            assert_eq!((status, text.as_str()), (304, ""), "{known}");
            assert_eq!(headers[header::ETAG].to_str().unwrap(), tag);
        }
        assert_eq!(get("theme.js", &[("if-none-match", &tag)]).await.0, 200);
    }

    #[tokio::test]
    async fn the_smallest_form_that_is_read_is_sent() {
        for (accepted, encoding, sent) in [
            ("gzip, deflate, br", Some("br"), "br"),
            ("gzip", Some("gzip"), "gz"),
            ("br;q=0, GZIP;q=0.5", Some("gzip"), "gz"),
            ("br;q=0.0", None, "run()"),
            ("brotli, identity", None, "run()"),
        ] {
            let (_, headers, text) = get("assets/a-1f.js", &[("accept-encoding", accepted)]).await;
            let told = headers.get(header::CONTENT_ENCODING);
            assert_eq!(
                told.map(|one| one.to_str().unwrap()),
                encoding,
                "{accepted}"
            );
            assert_eq!(text, sent, "{accepted}");
            assert_eq!(headers[header::VARY], "accept-encoding");
            assert_eq!(
                headers[header::CONTENT_TYPE],
                "text/javascript; charset=utf-8"
            );
        }
        let (_, headers, text) = get("theme.js", &[("accept-encoding", "br")]).await;
        assert!(!headers.contains_key(header::CONTENT_ENCODING), "{text}");
    }

    #[tokio::test]
    async fn a_binary_without_it_says_how_to_build_it() {
        let answer = answer(&|_: &str| None, "events", &HeaderMap::new()).unwrap();
        assert_eq!(answer.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        let text = to_bytes(answer.into_body(), 9_999).await.unwrap();
        assert!(std::str::from_utf8(&text).unwrap().contains("make run"));
    }
}
