use std::future::pending;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    entered: Arc<Notify>,
    go_on: Arc<Notify>,
}

/// `/wait` says that it was entered and answers when it may go on; `/hang` never answers.
async fn server(limits: ServerLimits) -> Server {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, may) = (entered.clone(), go_on.clone());
    let wait = async move || {
        seen.notify_one();
        may.notified().await;
        "done"
    };
    let seen = entered.clone();
    let hang = async move || -> String {
        seen.notify_one();
        pending().await
    };
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/wait", get(wait))
        .route("/hang", get(hang));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(serve(listener, Arc::new(router), limits, async {
        let _ = stopped.await;
    }));
    Server {
        address,
        stop,
        running,
        entered,
        go_on,
    }
}

fn limits() -> ServerLimits {
    ServerLimits {
        max_connections: 10,
        head_patience: LONG,
        write_patience: LONG,
        stop_patience: LONG,
    }
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until `text` has come or the connection ends.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    loop {
        let mut some = [0; 1_024];
        let count = stream.read(&mut some).await.unwrap_or(0);
        read.extend_from_slice(&some[..count]);
        let so_far = String::from_utf8_lossy(&read).into_owned();
        if count == 0 || so_far.contains(text) {
            return so_far;
        }
    }
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_accepts_nothing_more() {
    let server = server(limits()).await;
    let mut idle = ask(server.address, "/").await;
    assert!(read_until(&mut idle, "here").await.contains("200 OK"));
    let mut busy = ask(server.address, "/wait").await;
    server.entered.notified().await;
    server.stop.send(()).unwrap();
    // The idle connection is closed at once, which also shows that the stop has begun.
    assert_eq!(read_until(&mut idle, "never").await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.running.is_finished());
    server.go_on.notify_one();
    let answer = read_until(&mut busy, "done").await;
    assert!(
        answer.contains("200 OK") && answer.ends_with("done"),
        "{answer}"
    );
    server.running.await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = server(ServerLimits {
        stop_patience: SHORT,
        ..limits()
    })
    .await;
    let mut hanging = ask(server.address, "/hang").await;
    server.entered.notified().await;
    server.stop.send(()).unwrap();
    server.running.await.unwrap();
    assert_eq!(read_until(&mut hanging, "never").await, "");
}

#[tokio::test]
async fn further_connections_wait_for_a_free_slot() {
    let server = server(ServerLimits {
        max_connections: 1,
        ..limits()
    })
    .await;
    let mut first = ask(server.address, "/").await;
    assert!(read_until(&mut first, "here").await.contains("200 OK"));
    let mut second = ask(server.address, "/").await;
    let early = tokio::time::timeout(SHORT, second.peek(&mut [0])).await;
    assert!(
        early.is_err(),
        "the second connection was served beside the first"
    );
    drop(first);
    assert!(read_until(&mut second, "here").await.contains("200 OK"));
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let server = server(ServerLimits {
        head_patience: SHORT,
        ..limits()
    })
    .await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTT").await.unwrap();
    assert!(!read_until(&mut slow, "never").await.contains("200 OK"));
    let mut idle = ask(server.address, "/").await;
    assert!(read_until(&mut idle, "here").await.contains("200 OK"));
    assert_eq!(read_until(&mut idle, "never").await, "");
}
