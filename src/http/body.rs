//! Reading a request's body, bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::error::{ApiError, Fault, Result};

/// Whether a request's body has come whole; tells a slow sender from a slow server when the
/// time is up. Put into the request's extensions by `frame.rs`.
#[derive(Clone, Debug, Default)]
pub struct Arrived(Arc<AtomicBool>);

impl Arrived {
    /// Whether it has.
    pub fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It has.
    pub fn set_whole(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A refused body is read on up to this many times its limit, so that the sender, still busy
/// writing, gets the answer instead of a reset connection.
const DISCARD_FACTOR: usize = 4;

/// The body's bytes, at most `limit` of them. Not copied where they came in one piece.
pub async fn read(request: Request, limit: usize) -> Result<Bytes> {
    check_encoding(request.headers())?;
    let arrived = request.extensions().get::<Arrived>().cloned();
    let announced = content_length(request.headers());
    let mut body = request.into_body();
    if announced.is_some_and(|length| length > limit as u64) {
        discard(body, limit.saturating_mul(DISCARD_FACTOR)).await;
        return Err(too_large(limit));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "The body did not arrive whole"))?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        if first.len() + joined.len() + data.len() > limit {
            discard(body, limit.saturating_mul(DISCARD_FACTOR)).await;
            return Err(too_large(limit));
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    if let Some(arrived) = arrived {
        arrived.set_whole();
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

fn check_encoding(headers: &HeaderMap) -> Result<()> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Compressed bodies are not read: send JSON without Content-Encoding",
            ))
        }
        _ => Ok(()),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("must have at most {limit} bytes");
    ApiError::invalid_body(vec![Fault::too_large("body", message)])
}

async fn discard(mut body: Body, at_most: usize) {
    let mut seen = 0usize;
    while let Some(Ok(frame)) = body.frame().await {
        seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if seen > at_most {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn chunked(chunks: &[&'static str]) -> Request {
        let chunks: Vec<std::result::Result<_, std::io::Error>> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))
            .collect();
        Request::new(Body::from_stream(stream::iter(chunks)))
    }

    #[tokio::test]
    async fn chunks_are_joined_within_the_limit() {
        for (chunks, expected) in [
            (vec![], Some("")),
            (vec!["ab"], Some("ab")),
            (vec!["ab", "", "cd", "e"], Some("abcde")),
            (vec!["", "abcde"], Some("abcde")),
            (vec!["abc", "def"], None),
            (vec!["abcdef"], None),
        ] {
            let read = read(chunked(&chunks), 5).await;
            match expected {
                Some(text) => assert_eq!(read.unwrap(), text, "{chunks:?}"),
                None => assert_eq!(read.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE),
            }
        }
    }

    #[tokio::test]
    async fn an_announced_excess_and_an_encoding_are_refused() {
        let mut request = chunked(&["abc"]);
        request
            .headers_mut()
            .insert("content-length", "6".parse().unwrap());
        let error = read(request, 5).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);

        let mut request = chunked(&["abc"]);
        request
            .headers_mut()
            .insert("content-encoding", "gzip".parse().unwrap());
        let error = read(request, 5).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
