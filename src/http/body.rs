//! Reading a request's body, bounded.

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::audit::Note;
use super::body_budget::BodyAccount;
use super::error::{ApiError, Fault, Problem, Result};

/// A refused body is read on up to this many times its limit, so that the sender, still busy
/// writing, gets the answer instead of a reset connection.
const DISCARD_FACTOR: usize = 4;

/// The body's bytes, at most `limit` of them. Not copied where they came in one piece. What is noted of
/// the request learns what it asks for.
pub async fn read(request: Request, limit: usize) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    let account = parts.extensions.get::<BodyAccount>();
    let body = read_parts(&parts.headers, body, account, limit).await?;
    if let Some(note) = parts.extensions.get::<Note>() {
        note.body(&body);
    }
    Ok(body)
}

/// The same of a request that is in parts.
pub async fn read_parts<B>(
    headers: &HeaderMap,
    mut body: B,
    account: Option<&BodyAccount>,
    limit: usize,
) -> Result<Bytes>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    check_encoding(headers)?;
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        discard(body, limit.saturating_mul(DISCARD_FACTOR)).await;
        return Err(too_large(limit));
    }
    let cover = |bytes: usize| {
        let covered = account.is_none_or(|account| account.cover(bytes));
        covered.then_some(()).ok_or_else(no_memory)
    };
    // Announced, it is refused before it has begun to arrive; the limit holds it within usize.
    cover(announced.map_or(0, |length| length as usize))?;
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| ApiError::new(Problem::IncompleteBody, "The body did not arrive whole"))?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        let length = first.len() + joined.len() + data.len();
        if length > limit {
            discard(body, limit.saturating_mul(DISCARD_FACTOR)).await;
            return Err(too_large(limit));
        }
        cover(length)?;
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    if let Some(account) = account {
        account.set_whole();
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
                Problem::UnsupportedMediaType,
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

fn no_memory() -> ApiError {
    let message = "The relay holds as many bytes of requests as it may; try again";
    ApiError::new(Problem::Overloaded, message)
}

async fn discard(mut body: impl HttpBody<Data = Bytes> + Unpin, at_most: usize) {
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
    use axum::body::Body;
    use axum::http::StatusCode;
    use futures_util::stream;

    use super::*;
    use crate::http::body_budget::BodyBudget;

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
    async fn bodies_past_the_budget_are_refused_before_they_have_come() {
        let budget = BodyBudget::new(5);
        let request = |announced: Option<usize>| {
            let mut request = chunked(&["ab", "cd"]);
            request.extensions_mut().insert(budget.open_account());
            if let Some(length) = announced {
                let headers = request.headers_mut();
                headers.insert(header::CONTENT_LENGTH, length.into());
            }
            request
        };
        let other = budget.open_account();
        assert!(other.cover(2));
        for announced in [None, Some(4)] {
            let error = read(request(announced), 9).await.unwrap_err();
            assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        drop(other);
        for announced in [None, Some(4)] {
            assert_eq!(read(request(announced), 9).await.unwrap(), "abcd");
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
