//! Somebody who calls, with a key of their own in the header that their system uses.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::Received;
use crate::support::relay::text;
use crate::support::{Receiver, Relay};

/// A caller of one relay.
pub struct Caller {
    base: String,
    header: &'static str,
    key: String,
    client: reqwest::Client,
}

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub body: Value,
}

impl Caller {
    /// One with a new key of this preset, which goes into this header.
    pub async fn with_key(relay: &Relay, preset: &str, header: &'static str) -> Self {
        Self::with(relay, json!({"name": "caller", "preset": preset}), header).await
    }

    /// One with a new key made of this.
    pub async fn with(relay: &Relay, key: Value, header: &'static str) -> Self {
        let made = relay.api.post(201, "/api/v1/keys", &key).await;
        Self {
            base: relay.api.base.clone(),
            header,
            key: text(&made, "key").to_owned(),
            client: reqwest::Client::new(),
        }
    }

    /// Calls, and says what came back.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answered {
        let request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header(self.header, &self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap();
        Answered {
            status,
            body: serde_json::from_str(&body).unwrap_or(Value::Null),
        }
    }

    async fn expect(&self, status: u16, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answered = self.call(method.clone(), path, body).await;
        assert_eq!(answered.status, status, "{method} {path}: {answered:?}");
        answered.body
    }

    pub async fn get(&self, path: &str) -> Value {
        self.expect(200, Method::GET, path, None).await
    }

    pub async fn post(&self, status: u16, path: &str, body: &Value) -> Value {
        self.expect(status, Method::POST, path, Some(body)).await
    }

    /// Posts without any body.
    pub async fn press(&self, status: u16, path: &str) -> Value {
        self.expect(status, Method::POST, path, None).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.expect(200, Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, status: u16, path: &str) -> Value {
        self.expect(status, Method::DELETE, path, None).await
    }
}

/// What a path answers to who has no key, and to who has a wrong one.
pub async fn strangers(relay: &Relay, method: Method, path: &str) -> [u16; 2] {
    let client = reqwest::Client::new();
    let url = format!("{}{path}", relay.api.base);
    let without = client.request(method.clone(), &url).send().await.unwrap();
    let wrong = client.request(method, &url).header("X-API-Key", "wrong");
    let wrong = wrong.send().await.unwrap();
    [without.status().as_u16(), wrong.status().as_u16()]
}

/// What arrived of this event.
pub async fn arrived(receiver: &Receiver, count: usize, event: &Value) -> Received {
    let all = receiver.received(count).await;
    let id = text(event, "eventId");
    let found = all.into_iter().find(|one| one.event_id() == id);
    found.unwrap_or_else(|| panic!("{id} did not arrive"))
}
