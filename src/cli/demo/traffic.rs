//! The demo's sender: registers what there is and posts events, as a service of the user's would,
//! over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::receivers::{Behaviour, Speed, TENANT, TENANT_NAME};
use super::samples::{self, Sample};
use crate::settings::Secret;

/// Events are posted in groups, so many times a second at most.
const TURNS_A_SECOND: u16 = 5;
/// Seconds from one import to the next, and its events.
const IMPORT_EVERY: u64 = 10;
const IMPORT: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Sender {
    client: Client,
    api: String,
    key: Secret,
}

impl Sender {
    pub(super) fn new(base: &str, key: Secret) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self {
            client,
            api: format!("{base}/api/v1"),
            key,
        })
    }

    /// Registers a receiver, unless a demo before this one did: then under its new address.
    pub(super) async fn subscribe(
        &self,
        behaviour: Behaviour,
        address: SocketAddr,
        speed: Speed,
    ) -> anyhow::Result<()> {
        let mut body = behaviour.wishes(speed);
        body["name"] = behaviour.name().into();
        body["url"] = format!("http://{address}/webhooks").into();
        let there = self.get("/subscriptions?limit=100").await?;
        let known = there["data"].as_array().into_iter().flatten();
        let known = known.into_iter().find(|one| one["name"] == body["name"]);
        match known.and_then(|one| one["id"].as_str()) {
            Some(id) => {
                let path = format!("{}/subscriptions/{id}", self.api);
                self.ask(self.client.patch(path).json(&body)).await?;
            }
            None => {
                if let Some(tenant) = behaviour.tenant() {
                    body["clientId"] = tenant.into();
                }
                let path = format!("{}/subscriptions", self.api);
                self.ask(self.client.post(path).json(&body)).await?;
            }
        }
        Ok(())
    }

    /// Describes the event types.
    pub(super) async fn catalogue(&self) -> anyhow::Result<()> {
        for sample in &samples::ALL {
            let body = json!({
                "name": sample.event_type,
                "description": sample.description,
                "example": sample.payload(1),
            });
            self.make("/event-types", &body).await?;
        }
        Ok(())
    }

    /// Registers the customer, and makes the key by which it sees what is its own.
    pub(super) async fn customer(&self) -> anyhow::Result<Secret> {
        let tenant = json!({
            "id": TENANT, "name": TENANT_NAME, "limits": {"maxSubscriptions": 5},
        });
        self.make("/tenants", &tenant).await?;
        // Those of demos before this one: nobody knows them any more.
        let keys = self
            .get(&format!("/keys?tenant={TENANT}&limit=100"))
            .await?;
        for key in keys["data"].as_array().into_iter().flatten() {
            if let (Some("active"), Some(id)) = (key["state"].as_str(), key["id"].as_str()) {
                let delete = self.client.delete(format!("{}/keys/{id}", self.api));
                successful(self.send(delete).await?).await?;
            }
        }
        let key =
            json!({"name": format!("{TENANT_NAME}: portal"), "preset": "client", "tenant": TENANT});
        let post = self.client.post(format!("{}/keys", self.api));
        let made = self.ask(post.json(&key)).await?;
        let key = made["key"]
            .as_str()
            .context("a key that was made is shown")?;
        Ok(Secret::new(key))
    }

    /// Makes something, unless a demo before this one did.
    async fn make(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let post = self.client.post(format!("{}{path}", self.api)).json(body);
        let answer = self.send(post).await?;
        if answer.status() != StatusCode::CONFLICT {
            successful(answer).await?;
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let get = self.client.get(format!("{}{path}", self.api));
        self.ask(get).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        Ok(successful(self.send(request).await?).await?.json().await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let answer = request.bearer_auth(self.key.expose()).send().await;
        answer.context("the demo's relay does not answer")
    }
}

async fn successful(answer: reqwest::Response) -> anyhow::Result<reqwest::Response> {
    let status = answer.status();
    if !status.is_success() {
        bail!(
            "the demo's relay answers {status}: {}",
            answer.text().await?
        );
    }
    Ok(answer)
}

/// Posts events until the process ends, and now and then many at once, as an import does. What the
/// relay refuses is tried again: it may be busy.
pub(super) async fn send(sender: Sender, rate: u16) {
    let turns = rate.min(TURNS_A_SECOND);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::from(turns));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut number, mut turn) = (0, 0);
    loop {
        ticks.tick().await;
        let due = due(turn + 1, rate, turns);
        let events: Vec<Value> = (number..due).map(event).collect();
        let post = sender.client.post(format!("{}/events", sender.api));
        match sender.ask(post.json(&events)).await {
            Ok(_) => (number, turn) = (due, turn + 1),
            Err(error) => tracing::warn!("events were not taken: {error:#}"),
        }
    }
}

/// How many events are to be sent with that turn and all before: `rate` within `turns`, whether or
/// not that divides, and the imports.
fn due(turn: u64, rate: u16, turns: u16) -> u64 {
    let imports = turn / (IMPORT_EVERY * u64::from(turns));
    turn * u64::from(rate) / u64::from(turns) + imports * IMPORT
}

fn event(number: u64) -> Value {
    let sample = Sample::nth(number);
    let mut event = json!({
        "eventType": sample.event_type,
        "eventName": sample.description,
        "source": sample.source,
        "payload": sample.payload(number),
    });
    if let Some(tenant) = sample.tenant() {
        event["tenant"] = tenant.into();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_due_within_a_second_and_an_import_comes_on_top() {
        for (rate, turns) in [(1, 1), (7, 5), (200, 5)] {
            let after = |seconds| due(seconds * u64::from(turns), rate, turns);
            assert_eq!(after(3), 3 * u64::from(rate));
            assert_eq!(after(IMPORT_EVERY), IMPORT_EVERY * u64::from(rate) + IMPORT);
        }
    }
}
