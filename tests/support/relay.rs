//! A relay in this process, reached as users reach it: over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use posthaste::engine::Engine;
use posthaste::events::EngineEvent;
use posthaste::settings::{Secret, Settings};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver as Following;

use super::backend::{Backend, Profile};
use super::{Receiver, soon};

pub const KEY: &str = "test-admin-key-0123456789";

/// Quick settings: retries after 100 ms, sweeps only where a story asks for them.
fn quick() -> BTreeMap<String, String> {
    [
        ("POSTHASTE_LISTEN", "127.0.0.1:0"),
        ("POSTHASTE_RETRY__BASE_MS", "100"),
        ("POSTHASTE_RETRY__CAP_MS", "200"),
        ("POSTHASTE_RETRY__JITTER", "0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

pub struct Relay {
    /// The one that delivers.
    pub engine: Option<Engine>,
    /// The one that accepts, where that is another.
    ingest: Option<Engine>,
    pub backend: Arc<Backend>,
    pub api: Api,
    events: Mutex<Following<EngineEvent>>,
}

/// A subscription just made.
#[derive(Clone, Debug)]
pub struct Subscribed {
    pub id: String,
    pub secret: String,
}

impl Subscribed {
    pub fn path(&self) -> String {
        format!("/api/v1/subscriptions/{}", self.id)
    }
}

/// The API of a relay, in this process or another.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    key: String,
    client: reqwest::Client,
}

impl Relay {
    pub async fn start(profile: Profile) -> Self {
        Self::start_with(profile, &[]).await
    }

    /// With further settings, by their names in the environment.
    pub async fn start_with(profile: Profile, more: &[(&str, &str)]) -> Self {
        let backend = Arc::new(Backend::new(profile).await);
        Self::start_on(backend, more).await
    }

    /// On a backend that another relay may have used or be using.
    pub async fn start_on(backend: Arc<Backend>, more: &[(&str, &str)]) -> Self {
        if backend.profile == Profile::Split {
            return Self::start_split(backend, more).await;
        }
        let engine = start(&backend, more).await;
        Self::of(backend, engine, None)
    }

    async fn start_split(backend: Arc<Backend>, more: &[(&str, &str)]) -> Self {
        let in_role = |role| [more, &[("POSTHASTE_ENGINE__ROLE", role)]].concat();
        let engine = start(&backend, &in_role("deliver")).await;
        let ingest = start(&backend, &in_role("ingest")).await;
        Self::of(backend, engine, Some(ingest))
    }

    fn of(backend: Arc<Backend>, engine: Engine, ingest: Option<Engine>) -> Self {
        let events = Mutex::new(engine.events().follow());
        let reached = ingest.as_ref().unwrap_or(&engine).listen_addr();
        let api = Api::new(&format!("http://{reached}"));
        Self {
            engine: Some(engine),
            ingest,
            backend,
            api,
            events,
        }
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Stops gracefully and leaves the backend.
    pub async fn stop(mut self) -> Arc<Backend> {
        if let Some(ingest) = self.ingest.take() {
            ingest.stop().await.unwrap();
        }
        self.engine.take().unwrap().stop().await.unwrap();
        Arc::clone(&self.backend)
    }

    /// Waits until the engine tells a fact of this kind. Facts told before the last one waited
    /// for are not looked at again.
    pub async fn until(&self, what: &str, wanted: impl Fn(&EngineEvent) -> bool) -> EngineEvent {
        let mut events = self.events.lock().await;
        soon(what, async {
            loop {
                let event = events.recv().await.unwrap();
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
    }

    /// Looks until there is something to see, anew after each fact that the engine tells. Takes
    /// nothing from [`Relay::until`].
    pub async fn look_until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let mut facts = self.engine().events().follow();
        soon(what, async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                let _ = facts.recv().await;
                // Whatever else was told meanwhile, the next look sees it.
                while facts.try_recv().is_ok() {}
            }
        })
        .await
    }

    /// The only delivery of an event once it is as wanted.
    pub async fn delivery_when(&self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let what = format!("the delivery of {event}");
        self.look_until(&what, async || {
            let delivery = self.api.delivery_of(event).await;
            wanted(&delivery).then_some(delivery)
        })
        .await
    }

    /// The only delivery of an event once nothing more happens to it by itself.
    pub async fn final_delivery(&self, event: &str) -> Value {
        self.delivery_when(event, |delivery| delivery["status"] != "pending")
            .await
    }

    /// Waits until nothing is pending any more.
    pub async fn nothing_pending(&self) {
        self.look_until("the last pending delivery to end", async || {
            let pending = self.api.get("/api/v1/deliveries?status=pending").await;
            rows(&pending).is_empty().then_some(())
        })
        .await;
    }

    /// Waits until the process that delivers hears the others.
    pub async fn owner_hears(&self) {
        let owner = Api::new(&format!("http://{}", self.engine().listen_addr()));
        let hears = |health: &Value| health["components"]["feed"]["ok"] == true;
        owner.until_get("/health", "the feed", hears).await;
    }

    /// Waits until this many attempts were recorded from here on.
    pub async fn recorded(&self, count: usize) {
        for number in 0..count {
            let what = format!("record {} of {count}", number + 1);
            self.until(&what, |event| {
                matches!(event, EngineEvent::AttemptRecorded { .. })
            })
            .await;
        }
    }
}

async fn start(backend: &Backend, more: &[(&str, &str)]) -> Engine {
    let settings = settings(backend, more);
    if !settings.is_distributed() {
        std::fs::create_dir_all(&settings.store.data_dir).unwrap();
    }
    Engine::start(Arc::new(settings), Secret::new(KEY))
        .await
        .unwrap()
}

/// The rows of a page.
pub fn rows(page: &Value) -> &Vec<Value> {
    page["data"].as_array().unwrap()
}

/// A text within an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no text {field} in {value}"))
}

/// Settings of a relay under test.
pub fn settings(backend: &Backend, more: &[(&str, &str)]) -> Settings {
    Settings::load(None, environment(backend, more), true).unwrap()
}

/// The same as environment variables, for a relay in another process.
pub fn environment(backend: &Backend, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut environment = quick();
    environment.extend(backend.environment());
    environment.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    environment
}

impl Api {
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            key: KEY.to_owned(),
            client: reqwest::Client::new(),
        }
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .header("X-API-Key", &self.key)
    }

    /// The same with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// Sends a request that has to be answered with this status.
    pub async fn expect(
        &self,
        status: u16,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Value {
        let mut request = self.request(method.clone(), path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let got = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!(got, status, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Posts these very bytes.
    pub async fn post_raw(&self, path: &str, body: impl Into<String>) -> (u16, Value) {
        let request = self.request(reqwest::Method::POST, path);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.into()).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The answer as it came.
    pub async fn get_text(&self, path: &str) -> String {
        let answer = self.request(reqwest::Method::GET, path).send().await;
        answer.unwrap().text().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        self.expect(200, reqwest::Method::GET, path, None).await
    }

    pub async fn post(&self, status: u16, path: &str, body: &Value) -> Value {
        self.expect(status, reqwest::Method::POST, path, Some(body))
            .await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.expect(200, reqwest::Method::PUT, path, Some(body))
            .await
    }

    /// Subscribes a receiver to everything, with further fields.
    pub async fn subscribe(&self, receiver: &Receiver, more: Value) -> Subscribed {
        self.subscribe_url(&receiver.url(), more).await
    }

    pub async fn subscribe_url(&self, url: &str, more: Value) -> Subscribed {
        let mut body = json!({"name": "story", "url": url, "eventTypes": ["*"]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        let made = self.post(201, "/api/v1/subscriptions", &body).await;
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Subscribed {
            id: text("id"),
            secret: text("secret"),
        }
    }

    /// Posts an event and returns its id.
    pub async fn send(&self, event_type: &str, payload: Value) -> String {
        let body = json!({"eventType": event_type, "payload": payload});
        let answer = self.post(202, "/api/v1/events", &body).await;
        answer["eventId"].as_str().unwrap().to_owned()
    }

    /// Asks for another attempt of a delivery, which has to be answered with this status.
    pub async fn retry(&self, status: u16, delivery: &Value) -> Value {
        let path = format!("/api/v1/deliveries/{}/retry", text(delivery, "id"));
        self.expect(status, reqwest::Method::POST, &path, None)
            .await
    }

    pub async fn subscription(&self, subscribed: &Subscribed) -> Value {
        self.get(&subscribed.path()).await
    }

    pub async fn delete(&self, subscribed: &Subscribed) {
        self.expect(204, reqwest::Method::DELETE, &subscribed.path(), None)
            .await;
    }

    /// The only delivery of an event, with its attempts.
    pub async fn delivery_of(&self, event: &str) -> Value {
        let list = self
            .get(&format!("/api/v1/deliveries?eventId={event}"))
            .await;
        let rows = list["data"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{list}");
        self.get(&format!(
            "/api/v1/deliveries/{}",
            rows[0]["id"].as_str().unwrap()
        ))
        .await
    }
}
