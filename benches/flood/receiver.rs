//! The receiver's own process: answers 200, counts requests and different events.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[derive(Default)]
struct Seen {
    count: usize,
    events: HashSet<String>,
}

/// Serves until the process is ended; says on the terminal where.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let seen = Arc::new(Mutex::new(Seen::default()));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&seen), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/seen" {
        let seen = seen.lock().expect("the tally");
        return Ok(Response::new(Full::from(format!(
            "{} {}",
            seen.count,
            seen.events.len()
        ))));
    }
    let id = request
        .headers()
        .get("webhook-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let _ = request.into_body().collect().await;
    let mut seen = seen.lock().expect("the tally");
    seen.count += 1;
    seen.events.extend(id);
    Ok(Response::new(Full::default()))
}
