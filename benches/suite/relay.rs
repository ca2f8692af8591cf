//! The relay as its own process, spoken to as anybody would: by its REST API.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use crate::process::Process;
use crate::store::Store;
use crate::wire;

/// The key that the relay is started with.
pub const KEY: &str = "bench-admin-key-0123456789";

/// A running relay.
pub struct Relay {
    pub process: Process,
    pub address: SocketAddr,
    /// Seconds from its start until it was ready.
    pub start_up: f64,
    client: reqwest::Client,
}

impl Relay {
    /// Starts the binary on a store, and waits until it is ready.
    pub async fn start(store: &Store) -> Self {
        Self::start_with(store, &[]).await
    }

    /// As [`Relay::start`], with more settings.
    pub async fn start_with(store: &Store, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command
            .args(["serve", "--dev"])
            .env_clear()
            .envs(settings.iter().copied())
            .env("POSTHASTE_LISTEN", "127.0.0.1:0")
            .env("POSTHASTE_ADMIN_KEY", KEY)
            .env("POSTHASTE_LOG__FILTER", "error")
            .envs(tried_settings());
        match store {
            Store::Embedded(_) => command.env(
                "POSTHASTE_DATA_DIR",
                store.directory().expect("a directory"),
            ),
            Store::Distributed { database, redis } => command
                .env("DATABASE_URL", database.as_str())
                .env("REDIS_URL", redis.as_str()),
        };
        let began = wire::now();
        let (process, address) = Process::listening(&mut command);
        let client = reqwest::Client::new();
        let ready = format!("http://{address}/health/ready");
        while !client
            .get(&ready)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Self {
            process,
            address,
            start_up: wire::seconds(began, wire::now()),
            client,
        }
    }

    /// Makes a subscription; answers its id.
    pub async fn subscribe(&self, url: &str, pattern: &str, more: Value) -> String {
        let mut body = json!({"name": "bench", "url": url, "eventTypes": [pattern]});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let made = self.post("subscriptions", &body).await;
        // Other routes show a resource bare; this one may wrap it.
        let id = made["id"].as_str().or_else(|| made["data"]["id"].as_str());
        id.expect("an id").to_owned()
    }

    /// Posts one event; answers its id.
    pub async fn event(&self, kind: &str) -> String {
        let body = serde_json::from_str(&wire::event(kind, 0, wire::now())).expect("JSON");
        let answer = self.post("events", &body).await;
        answer["id"]
            .as_str()
            .or_else(|| answer["eventId"].as_str())
            .unwrap_or_else(|| panic!("an id in {answer}"))
            .to_owned()
    }

    /// Posts to a route under the API's base; panics where it is refused.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let request = self.client.post(url).header("X-API-Key", KEY).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Reads a route under the API's base.
    pub async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let request = self.client.get(url).header("X-API-Key", KEY);
        let answer = request.send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}

/// Settings to be tried: of the environment's own, those that name one in its section, such as
/// `POSTHASTE_DELIVERY__WINDOW`.
pub fn tried_settings() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("POSTHASTE_") && name.contains("__"))
}

/// The relay that was built together with this program.
fn binary() -> std::path::PathBuf {
    let here = std::env::current_exe().expect("this program");
    here.with_file_name("posthaste")
}
