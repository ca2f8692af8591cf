//! Senders at a steady pace, as source systems are: some with idempotency keys, who repeat a
//! request until it is answered 202; some without, who go on with the next event; one with
//! batches. What is sent and when is drawn from the seed.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::ledger::{Acknowledged, Ledger};
use crate::patience::in_time;
use crate::support::relay::KEY;

const SENDERS: usize = 4;
const TYPES: [&str; 4] = ["chaos.a", "chaos.b", "chaos.c", "chaos.d"];
/// Ordering keys of each sender.
const KEYS: u64 = 3;
const BATCH: usize = 3;
/// A sender's own deadline: past it the fate of what it sent is unknown to it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where senders find the relay; changes when it is started again.
#[derive(Debug, Default)]
pub struct Door(RwLock<String>);

impl Door {
    pub fn open_at(&self, base: &str) {
        base.clone_into(&mut self.0.write().unwrap());
    }

    fn base(&self) -> String {
        self.0.read().unwrap().clone()
    }
}

/// Senders at work.
pub struct Load {
    stop: watch::Sender<bool>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins. Each sender waits between two requests, `pause` on average.
    pub fn begin(door: &Arc<Door>, ledger: &Arc<Ledger>, seed: u64, pause: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let senders = (0..SENDERS)
            .map(|number| {
                let sender = Sender {
                    name: format!("s{number}"),
                    style: match number {
                        0 | 1 => Style::Keyed,
                        2 => Style::Plain,
                        _ => Style::Batches,
                    },
                    chance: Chance::of(seed, &format!("sender {number}")),
                    pause,
                    count: 0,
                    places: [0; KEYS as usize],
                    client: reqwest::Client::builder()
                        .timeout(DEADLINE)
                        .build()
                        .unwrap(),
                    door: Arc::clone(door),
                    ledger: Arc::clone(ledger),
                    stopped: stopped.clone(),
                };
                tokio::spawn(sender.work())
            })
            .collect();
        Self { stop, senders }
    }

    /// Ends it. Those who repeat go on until they are answered.
    pub async fn end(self) {
        self.stop.send_replace(true);
        for sender in self.senders {
            in_time("a sender to end", sender).await.unwrap();
        }
    }
}

#[derive(Clone, Copy)]
enum Style {
    /// With idempotency keys, repeated until answered 202.
    Keyed,
    /// Without, sent once.
    Plain,
    /// As a batch, sent once.
    Batches,
}

struct Sender {
    name: String,
    style: Style,
    chance: Chance,
    pause: Duration,
    count: usize,
    /// How many of each ordering key were acknowledged.
    places: [usize; KEYS as usize],
    client: reqwest::Client,
    door: Arc<Door>,
    ledger: Arc<Ledger>,
    stopped: watch::Receiver<bool>,
}

struct Drawn {
    event_type: &'static str,
    key: usize,
    body: Value,
}

impl Sender {
    async fn work(mut self) {
        while !*self.stopped.borrow() {
            let pause = self.chance.millis(0, 2 * self.pause.as_millis() as u64);
            // The pace of the load; nobody waits for this.
            tokio::time::sleep(pause).await;
            let count = match self.style {
                Style::Batches => BATCH,
                Style::Keyed | Style::Plain => 1,
            };
            let drawn: Vec<Drawn> = (0..count).map(|_| self.draw()).collect();
            self.ledger.note(|notes| notes.sent += count);
            self.send(&drawn).await;
        }
    }

    fn draw(&mut self) -> Drawn {
        self.count += 1;
        let name = format!("{}-{}", self.name, self.count);
        let event_type = self.chance.pick(&TYPES);
        let key = self.chance.below(KEYS) as usize;
        let mut body = json!({
            "eventType": event_type,
            "orderingKey": self.ordering_key(key),
            "payload": {"name": name},
        });
        if matches!(self.style, Style::Keyed) {
            body["idempotencyKey"] = json!(name);
        }
        Drawn {
            event_type,
            key,
            body,
        }
    }

    fn ordering_key(&self, key: usize) -> String {
        format!("{}-{key}", self.name)
    }

    async fn send(&mut self, drawn: &[Drawn]) {
        let sent_at = Instant::now();
        let body = match drawn {
            [one] if !matches!(self.style, Style::Batches) => one.body.clone(),
            many => many.iter().map(|drawn| drawn.body.clone()).collect(),
        };
        loop {
            if let Some(answer) = self.post(&body).await {
                return self.acknowledged(drawn, &answer, sent_at);
            }
            if !matches!(self.style, Style::Keyed) {
                return;
            }
            // As a well-behaved client does before it repeats a request.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The answer, if it is a 202.
    async fn post(&self, body: &Value) -> Option<Value> {
        let url = format!("{}/api/v1/events", self.door.base());
        let request = self.client.request(Method::POST, url).json(body);
        let answer = match request.header("X-API-Key", KEY).send().await {
            Ok(answer) => answer,
            Err(_) => {
                self.ledger.note(|notes| notes.unanswered += 1);
                return None;
            }
        };
        let status = answer.status().as_u16();
        match (status, answer.json().await) {
            (202, Ok(answer)) => Some(answer),
            // Cut off behind its status: what it acknowledged is not known.
            (202, Err(_)) => {
                self.ledger.note(|notes| notes.unanswered += 1);
                None
            }
            (429 | 503, _) => {
                self.ledger
                    .note(|notes| *notes.refused.entry(status).or_default() += 1);
                None
            }
            (_, answer) => {
                let complaint = format!("an event was answered {status}: {answer:?}");
                self.ledger.complain(complaint);
                None
            }
        }
    }

    fn acknowledged(&mut self, drawn: &[Drawn], answer: &Value, sent_at: Instant) {
        let ids: Vec<String> = match answer["results"].as_array() {
            Some(results) => results.iter().map(id_of).collect(),
            None => vec![id_of(answer)],
        };
        assert_eq!(ids.len(), drawn.len(), "{answer}");
        let known = answer["duplicate"] == true;
        for (id, drawn) in ids.into_iter().zip(drawn) {
            let acknowledged = Acknowledged {
                event_type: drawn.event_type,
                ordering_key: self.ordering_key(drawn.key),
                place: self.places[drawn.key],
                sent_at,
            };
            self.places[drawn.key] += 1;
            self.ledger.note(|notes| {
                notes.known_keys += usize::from(known);
                if notes
                    .acknowledged
                    .insert(id.clone(), acknowledged)
                    .is_some()
                {
                    notes
                        .complaints
                        .push(format!("{id} was acknowledged twice"));
                }
            });
        }
    }
}

fn id_of(answer: &Value) -> String {
    answer["eventId"].as_str().unwrap().to_owned()
}
