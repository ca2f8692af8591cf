//! Sign and send: connections that are kept, each with one call at a time.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use posthaste::clock;
use posthaste::domain::signature::SigningSecret;
use tokio::net::TcpStream;

use super::{Floor, Job, Outcome};

/// Calls at once: a subscription's bound by the relay's default.
const CONNECTIONS: usize = 64;

/// Opens the connections and puts them to work.
pub(super) async fn start(floor: &Arc<Floor>, receiver: SocketAddr) {
    let secret = Arc::new(SigningSecret::from_random(clock::random_bytes()));
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(receiver).await.expect("the receiver");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (connection, driver) = handshake.expect("HTTP");
        tokio::spawn(driver);
        tokio::spawn(work(Arc::clone(floor), connection, Arc::clone(&secret)));
    }
}

async fn work(
    floor: Arc<Floor>,
    mut connection: SendRequest<Full<Bytes>>,
    secret: Arc<SigningSecret>,
) {
    loop {
        let job = floor.jobs.next().await;
        let began = clock::instant();
        let at = clock::now();
        let request = signed(&job, at.as_micros() / 1_000_000, &secret);
        let answer = connection.send_request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        answer
            .into_body()
            .collect()
            .await
            .expect("the end of an answer");
        let duration = clock::instant().duration_since(began).as_micros();
        floor.outcomes.add([Outcome {
            delivery: job.delivery,
            at: at.as_micros(),
            status: i16::try_from(status).expect("a status"),
            duration: i64::try_from(duration).expect("a duration"),
        }]);
    }
}

fn signed(job: &Job, seconds: i64, secret: &SigningSecret) -> Request<Full<Bytes>> {
    let id = job.event.to_string();
    let signature = secret.sign(&id, seconds, &job.body);
    Request::post(format!("/hook/{}", job.lane))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signature)
        .body(Full::new(job.body.clone()))
        .expect("a request")
}
