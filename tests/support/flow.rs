//! Senders that pour events in, and looks at what became of all of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::relay::Api;
use super::soon;

/// Senders at work at once.
pub const SENDERS: usize = 8;

/// Posts this many events from several senders at once, each of which has to be accepted.
/// Returns their ids.
pub async fn pour(api: &Api, count: usize) -> HashSet<String> {
    let next = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (api, next) = (api.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return accepted;
                    }
                    accepted.push(api.send("flow.poured", json!({"number": number})).await);
                }
            })
        })
        .collect();
    let mut all = HashSet::new();
    for sender in senders {
        all.extend(sender.await.unwrap());
    }
    assert_eq!(all.len(), count, "every event has an id of its own");
    all
}

/// Senders that post for as long as they are let, and note each 202.
pub struct Pouring {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Vec<String>>>,
    noted: Arc<AtomicUsize>,
}

impl Pouring {
    /// Begins. What is answered otherwise, or not at all, ends that sender's work.
    pub fn begin(api: &Api) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let noted = Arc::new(AtomicUsize::new(0));
        let senders = (0..SENDERS)
            .map(|_| {
                let (api, stop, noted) = (api.clone(), Arc::clone(&stop), Arc::clone(&noted));
                tokio::spawn(async move {
                    let mut accepted = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let Some(id) = api.try_send().await else {
                            return accepted;
                        };
                        accepted.push(id);
                        noted.fetch_add(1, Ordering::Relaxed);
                    }
                    accepted
                })
            })
            .collect();
        Self {
            stop,
            senders,
            noted,
        }
    }

    /// Waits until this many were accepted.
    pub async fn accepted(&self, count: usize) {
        let enough = async {
            while self.noted.load(Ordering::Relaxed) < count {
                tokio::task::yield_now().await;
            }
        };
        soon(&format!("{count} accepted events"), enough).await;
    }

    /// Ends it, and returns what was accepted.
    pub async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for sender in self.senders {
            all.extend(sender.await.unwrap());
        }
        all
    }
}

impl Api {
    /// Posts an event; its id where it was accepted.
    pub async fn try_send(&self) -> Option<String> {
        let body = json!({"eventType": "flow.poured", "payload": {}});
        let request = self.request(Method::POST, "/api/v1/events").json(&body);
        let answer = request.send().await.ok()?;
        if answer.status() != 202 {
            return None;
        }
        let answer: Value = answer.json().await.ok()?;
        Some(answer["eventId"].as_str().unwrap().to_owned())
    }

    /// Waits until nothing of a subscription is pending.
    pub async fn settled(&self, subscription: &str) {
        let path =
            format!("/api/v1/subscriptions/{subscription}/deliveries?status=pending&limit=1");
        self.until_get(&path, "nothing to be pending", |page| {
            page["data"].as_array().unwrap().is_empty()
        })
        .await;
    }

    /// Asks until the answer is as wanted.
    pub async fn until_get(
        &self,
        path: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        soon(what, async {
            loop {
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// All deliveries of a subscription, by their events.
    pub async fn deliveries_of(&self, subscription: &str) -> BTreeMap<String, Value> {
        let base = format!("/api/v1/subscriptions/{subscription}/deliveries?limit=100");
        let mut all = BTreeMap::new();
        let mut path = base.clone();
        loop {
            let page = self.get(&path).await;
            for row in page["data"].as_array().unwrap() {
                let event = row["eventId"].as_str().unwrap().to_owned();
                let earlier = all.insert(event, row.clone());
                assert_eq!(earlier, None, "one delivery for each event");
            }
            match page["nextCursor"].as_str() {
                Some(cursor) => path = format!("{base}&cursor={cursor}"),
                None => return all,
            }
        }
    }

    /// All deliveries of a subscription with their attempts. Each is delivered, and its log
    /// says so: one success, which comes last, and before it nothing but what is not stale and
    /// failed inside, or is stale.
    pub async fn consistent_log(&self, subscription: &str) -> BTreeMap<String, Vec<Value>> {
        let mut log = BTreeMap::new();
        for (event, row) in self.deliveries_of(subscription).await {
            assert_eq!(row["status"], "delivered", "{row}");
            let id = row["id"].as_str().unwrap();
            let delivery = self.get(&format!("/api/v1/deliveries/{id}")).await;
            let attempts = delivery["attempts"].as_array().unwrap().clone();
            let moving: Vec<&Value> = attempts
                .iter()
                .filter(|attempt| attempt["stale"] == false)
                .collect();
            let (last, earlier) = moving.split_last().expect("a delivered one was attempted");
            assert_eq!(last["status"], 200, "{delivery}");
            for attempt in earlier {
                assert_eq!(attempt["errorKind"], "internal", "{delivery}");
            }
            for (index, attempt) in moving.iter().enumerate() {
                assert_eq!(attempt["number"], index + 1, "{delivery}");
            }
            assert_eq!(delivery["attemptCount"], moving.len(), "{delivery}");
            log.insert(event, attempts);
        }
        log
    }
}
