//! Talk over Redis: publish and subscribe, a channel of each kind for each installation.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};
use tokio::sync::mpsc;

use super::talk::{Channel, Heard, Talk};

/// How long Redis may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// How often a connection that only listens is tried: one that broke in silence says nothing.
const TRIED_EVERY: Duration = Duration::from_secs(5);

/// See the module's documentation.
pub struct RedisTalk {
    client: Client,
    /// For what is said; it connects when something is, and again by itself.
    saying: ConnectionManager,
    /// Before the channels' names, so that installations do not hear each other.
    prefix: String,
}

impl RedisTalk {
    /// Prepares it. Redis may be away at any time, also now.
    pub fn new(url: &str, installation: &str) -> Result<Self, String> {
        let client = Client::open(url).map_err(|error| describe(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(ANSWER_TIME))
            .set_response_timeout(Some(ANSWER_TIME));
        let saying = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(|error| describe(&error))?;
        Ok(Self {
            client,
            saying,
            prefix: format!("posthaste:{installation}:talk:"),
        })
    }

    fn name(&self, channel: Channel) -> String {
        let word = match channel {
            Channel::Wanted => "wanted",
            Channel::Facts => "facts",
        };
        format!("{}{word}", self.prefix)
    }

    async fn hear(&self, channel: Channel, heard: &mpsc::Sender<Heard>) -> Result<(), String> {
        let name = self.name(channel);
        let subscribing = async {
            let mut talk = self.client.get_async_pubsub().await?;
            talk.subscribe(&name).await?;
            Ok(talk)
        };
        let (mut line, mut said) = in_time(subscribing).await?.split();
        if heard.send(Heard::Listening).await.is_err() {
            return Ok(());
        }
        loop {
            tokio::select! {
                message = said.next() => {
                    let Some(message) = message else {
                        return Err("Redis: the connection ended".to_owned());
                    };
                    let said = Heard::Said(message.get_payload_bytes().to_vec());
                    if heard.send(said).await.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(TRIED_EVERY) => {
                    in_time(line.ping::<redis::Value>()).await?;
                }
            }
        }
    }
}

#[async_trait]
impl Talk for RedisTalk {
    fn reaches_others(&self) -> bool {
        true
    }

    async fn say(&self, channel: Channel, message: Vec<u8>) -> Result<(), String> {
        let mut saying = self.saying.clone();
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.name(channel)).arg(message);
        in_time(command.query_async::<()>(&mut saying)).await
    }

    async fn listen(&self, channel: Channel, heard: mpsc::Sender<Heard>) -> String {
        match self.hear(channel, &heard).await {
            Ok(()) => "nobody listens any more".to_owned(),
            Err(reason) => reason,
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_TIME, asked).await {
        Ok(answer) => answer.map_err(|error| describe(&error)),
        Err(_) => Err("Redis did not answer in time".to_owned()),
    }
}

/// Errors of the client may quote the address with its password.
fn describe(error: &RedisError) -> String {
    format!("Redis: {}", error.category())
}
