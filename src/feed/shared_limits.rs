//! Limits on callers that all nodes of an installation share, where there is a Redis.
//!
//! One script looks at all quotas of a request and takes of them only where each has room: one
//! round trip, by Redis's own clock. Nothing depends on it: where Redis is away or slow, a node
//! limits by itself, and asks again after a pause, so that no request waits for what is away.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::clock;
use crate::domain::quota::{Quota, Standing};

/// How long Redis may take to answer; the request waits for it.
const ANSWER_TIME: Duration = Duration::from_millis(250);
/// How long it is not asked after it failed to.
const PAUSE: Duration = Duration::from_secs(1);

/// For each quota its name, the microseconds in which one request comes back, and those in which
/// all do. Kept is the moment at which all will be back. Answers how much of each was used before
/// this request, never more than all of it, also where Redis's clock was set back. Numbers are
/// written in full: Lua would round them to 14 digits.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local used, admitted = {}, true
for i, key in ipairs(KEYS) do
    local back = tonumber(redis.call('GET', key) or '0')
    used[i] = math.min(math.max(back - now, 0), tonumber(ARGV[2 * i]))
    if used[i] + ARGV[2 * i - 1] > tonumber(ARGV[2 * i]) then admitted = false end
end
if admitted then
    for i, key in ipairs(KEYS) do
        local back = now + used[i] + ARGV[2 * i - 1]
        local rest = math.ceil((back - now) / 1000)
        redis.call('SET', key, string.format('%.0f', back), 'PX', string.format('%.0f', rest))
    end
end
return used";

/// Quotas that several processes take from.
#[async_trait]
pub trait SharedLimits: Send + Sync + 'static {
    /// What a request meets that takes one of each of these, by their names: of all or of none.
    /// Nothing where nobody can tell now.
    async fn take(&self, asked: &[(String, Quota)]) -> Option<Vec<Standing>>;
}

/// See the module's documentation.
pub struct RedisLimits {
    connection: ConnectionManager,
    /// Before the names, so that installations do not share.
    prefix: String,
    /// Until when it is not asked.
    away_until: Mutex<Option<Instant>>,
}

impl RedisLimits {
    /// Prepares it. The connection is made by the first request that needs it, and made again by
    /// itself: Redis may be away at any time.
    pub fn new(url: &str, installation: &str) -> Result<Self, String> {
        let describe = |error: redis::RedisError| format!("Redis: {}", error.category());
        let client = Client::open(url).map_err(describe)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(ANSWER_TIME))
            .set_response_timeout(Some(ANSWER_TIME));
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config)
                .map_err(describe)?,
            prefix: format!("posthaste:{installation}:limit:"),
            away_until: Mutex::default(),
        })
    }

    fn away_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.away_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, asked: &[(String, Quota)]) -> Result<Vec<i64>, String> {
        let mut command = redis::cmd("EVAL");
        command.arg(TAKE).arg(asked.len());
        for (name, _) in asked {
            command.arg(format!("{}{name}", self.prefix));
        }
        for (_, quota) in asked {
            let interval = micros(quota.interval());
            command
                .arg(interval)
                .arg(interval * i64::from(quota.burst()));
        }
        let mut connection = self.connection.clone();
        let answer = command.query_async::<Vec<i64>>(&mut connection);
        match tokio::time::timeout(ANSWER_TIME, answer).await {
            Ok(Ok(used)) if used.len() == asked.len() => Ok(used),
            Ok(Ok(_)) => Err("the script answered something else".to_owned()),
            // Errors of the client may quote the address with its password.
            Ok(Err(error)) => Err(format!("Redis: {}", error.category())),
            Err(_) => Err("Redis did not answer in time".to_owned()),
        }
    }
}

#[async_trait]
impl SharedLimits for RedisLimits {
    async fn take(&self, asked: &[(String, Quota)]) -> Option<Vec<Standing>> {
        let now = clock::instant();
        if self.away_until().is_some_and(|until| now < until) {
            return None;
        }
        let used = match self.ask(asked).await {
            Ok(used) => used,
            Err(reason) => {
                let before = self.away_until().replace(clock::instant() + PAUSE);
                if before.is_none() {
                    tracing::warn!(reason, "limits are not shared; each node limits by itself");
                }
                return None;
            }
        };
        if self.away_until().take().is_some() {
            tracing::info!("limits are shared again");
        }
        let standings = used.iter().zip(asked).map(|(used, (_, quota))| {
            let used = Duration::from_micros(u64::try_from(*used).unwrap_or(0));
            quota.standing(used)
        });
        Some(standings.collect())
    }
}

/// At least one, so that every request takes something.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros())
        .unwrap_or(i64::MAX)
        .max(1)
}
