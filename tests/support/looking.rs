//! Looks on at a live stream, as a browser's `EventSource` does.

use serde_json::Value;

use super::browser::Browser;
use super::relay::Api;
use super::soon;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub id: String,
    pub name: String,
    pub data: Value,
}

/// An open stream.
pub struct Looking {
    answer: reqwest::Response,
    unread: Vec<u8>,
    /// What it began with.
    pub hello: Value,
    /// The id of the last event, or sign of life.
    pub last: String,
    /// Signs of life so far.
    pub beats: usize,
}

impl Looking {
    /// Opens one, with a query, and behind an id where there is one.
    pub async fn begin(api: &Api, query: &str, last: Option<&str>) -> Self {
        Self::opened(Self::ask(api, query, last).await).await
    }

    /// Opens one with the cookie of somebody who is signed in.
    pub async fn begin_as(browser: &Browser) -> Self {
        let url = format!("{}/api/v1/stream", browser.base);
        let request = reqwest::Client::new().get(url);
        let request = request.header("cookie", &browser.cookie);
        let answer = soon("the stream's head", request.send()).await;
        Self::opened(answer.unwrap()).await
    }

    async fn opened(answer: reqwest::Response) -> Self {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut looking = Self {
            answer,
            unread: Vec::new(),
            hello: Value::Null,
            last: String::new(),
            beats: 0,
        };
        let hello = looking.next().await;
        assert_eq!(hello.name, "hello");
        looking.hello = hello.data;
        looking
    }

    /// The answer to asking for one, whatever it is.
    pub async fn ask(api: &Api, query: &str, last: Option<&str>) -> reqwest::Response {
        let path = format!("/api/v1/stream{query}");
        let mut request = api.request(reqwest::Method::GET, &path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        soon("the stream's head", request.send()).await.unwrap()
    }

    /// The next event, which has to come.
    pub async fn next(&mut self) -> Shown {
        let next = soon("the next event of a stream", self.next_or_end()).await;
        next.expect("the stream ended")
    }

    /// The next event; nothing where the stream ends.
    pub async fn next_or_end(&mut self) -> Option<Shown> {
        loop {
            while let Some(block) = self.block() {
                if let Some(shown) = self.read(&block) {
                    return Some(shown);
                }
            }
            let piece = self.answer.chunk().await.unwrap()?;
            self.unread.extend_from_slice(&piece);
        }
    }

    /// Waits until the stream has shown a sign of life.
    pub async fn beat(&mut self) {
        let beats = self.beats;
        soon("a heartbeat", async {
            while self.beats == beats {
                while let Some(block) = self.block() {
                    let shown = self.read(&block);
                    assert_eq!(shown, None, "nothing happens meanwhile");
                }
                let piece = self.answer.chunk().await.unwrap();
                self.unread
                    .extend_from_slice(&piece.expect("the stream ended"));
            }
        })
        .await;
    }

    fn block(&mut self) -> Option<String> {
        let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
        let block = self.unread.drain(..end + 2).collect();
        Some(String::from_utf8(block).unwrap())
    }

    fn read(&mut self, block: &str) -> Option<Shown> {
        let (mut name, mut data) = (String::new(), None);
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("", "heartbeat")) => self.beats += 1,
                Some(("id", id)) => id.clone_into(&mut self.last),
                Some(("event", event)) => event.clone_into(&mut name),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                _ => panic!("no line of a stream: {line:?}"),
            }
        }
        Some(Shown {
            id: self.last.clone(),
            name,
            data: data?,
        })
    }

    /// Everything up to the first that is wanted, that one included.
    pub async fn until(&mut self, wanted: impl Fn(&Shown) -> bool) -> Vec<Shown> {
        let mut all = Vec::new();
        loop {
            let next = self.next().await;
            let is_wanted = wanted(&next);
            all.push(next);
            if is_wanted {
                return all;
            }
        }
    }

    /// Waits until facts of so many other nodes are shown.
    pub async fn other_nodes(&mut self, count: usize) {
        let known = self.hello["nodes"].as_array().unwrap().len();
        for _ in known..count {
            self.until(|shown| shown.name == "node.heard").await;
        }
    }
}

impl Shown {
    /// Whether it is of this name and has this text in that field.
    pub fn is(&self, name: &str, field: &str, text: &str) -> bool {
        self.name == name && self.data[field] == text
    }
}
