//! A way to a backend that can be cut, mended, and made to lose an answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::soon;

pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: String,
    cut: watch::Sender<Cut>,
    held: watch::Sender<bool>,
    /// The connection on which these bytes pass is lost before its next answer.
    snare: Mutex<Option<Vec<u8>>>,
    lost_answers: watch::Sender<usize>,
}

#[derive(Default)]
struct Cut {
    /// New connections are refused.
    refusing: bool,
    /// How often all connections were broken.
    breaks: usize,
}

impl Proxy {
    /// In front of the server that `url` leads to.
    pub async fn before(url: &str) -> Self {
        let mut url = url::Url::parse(url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        url.set_ip_host(address.ip()).unwrap();
        url.set_port(Some(address.port())).unwrap();
        let shared = Arc::new(Shared {
            target,
            cut: watch::Sender::default(),
            held: watch::Sender::new(false),
            snare: Mutex::new(None),
            lost_answers: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&serving).serve(client));
            }
        });
        Self {
            url: url.to_string(),
            shared,
            task,
        }
    }

    /// The server's URL by way of this proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|cut| cut.refusing = true);
        self.break_all();
    }

    /// Breaks every connection; new ones are let through.
    pub fn break_all(&self) {
        self.shared.cut.send_modify(|cut| cut.breaks += 1);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.shared.cut.send_modify(|cut| cut.refusing = false);
    }

    /// Holds back whatever comes, and breaks nothing.
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Passes on what was held back.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// The next request that contains these bytes is passed on whole, and its connection breaks
    /// the moment the server answers.
    pub fn lose_answer_to(&self, marker: &str) {
        *self.shared.snare.lock().unwrap() = Some(marker.as_bytes().to_vec());
    }

    /// Waits until this many answers were lost.
    pub async fn lost_answers(&self, count: usize) {
        let mut lost = self.shared.lost_answers.subscribe();
        soon("an answer to be lost", lost.wait_for(|lost| *lost >= count))
            .await
            .unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, client: TcpStream) {
        let mut cut = self.cut.subscribe();
        let breaks = match &*cut.borrow() {
            Cut { refusing: true, .. } => return,
            Cut { breaks, .. } => *breaks,
        };
        let server = TcpStream::connect(&self.target).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let snared = AtomicBool::new(false);
        tokio::select! {
            () = self.requests(from_client, to_server, &snared) => {}
            () = self.answers(from_server, to_client, &snared) => {}
            _ = cut.wait_for(|cut| cut.breaks > breaks) => {}
        }
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, snared: &AtomicBool) {
        let mut buffer = vec![0; 64 * 1024];
        // A marker may be parted by two reads.
        let mut seen: Vec<u8> = Vec::new();
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..length]);
            if self.springs(&seen) {
                snared.store(true, Ordering::Release);
            }
            seen.drain(..seen.len().saturating_sub(256));
            self.passing().await;
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn answers(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, snared: &AtomicBool) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if snared.load(Ordering::Acquire) {
                self.lost_answers.send_modify(|lost| *lost += 1);
                return;
            }
            self.passing().await;
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn passing(&self) {
        // The sender lives as long as this.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    fn springs(&self, seen: &[u8]) -> bool {
        let mut snare = self.snare.lock().unwrap();
        let found = snare
            .as_ref()
            .is_some_and(|marker| seen.windows(marker.len()).any(|part| part == marker));
        if found {
            *snare = None;
        }
        found
    }
}
