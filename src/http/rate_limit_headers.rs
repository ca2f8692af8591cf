//! What a sender hears that went past its own rate: `Retry-After`, and the `RateLimit` headers of the
//! IETF's draft (draft-ietf-httpapi-ratelimit-headers).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A rate, and how far it is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateHeaders {
    /// What the policy is called: a word.
    pub policy: &'static str,
    /// So much may come at once …
    pub quota: u32,
    /// … and all of that comes back in this time.
    pub window: Duration,
    /// So much of it is left.
    pub remaining: u32,
    /// Until enough is there again.
    pub reset: Duration,
}

impl RateHeaders {
    /// Adds the headers, in whole seconds, rounded up: whoever waits as told is let through.
    pub fn write(&self, headers: &mut HeaderMap) {
        let reset = seconds(self.reset);
        let (policy, quota, remaining) = (self.policy, self.quota, self.remaining);
        let window = seconds(self.window);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(reset));
        for (name, text) in [
            (
                RATE_LIMIT_POLICY,
                format!("\"{policy}\";q={quota};w={window}"),
            ),
            (RATE_LIMIT, format!("\"{policy}\";r={remaining};t={reset}")),
        ] {
            // A word and numbers always make a header.
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

fn seconds(duration: Duration) -> u64 {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    millis.saturating_add(999).div_euclid(1_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_as_told_is_enough() {
        let rate = RateHeaders {
            policy: "tenant",
            quota: 90,
            window: Duration::from_secs(60),
            remaining: 0,
            reset: Duration::from_millis(1_001),
        };
        let mut headers = HeaderMap::new();
        rate.write(&mut headers);
        assert_eq!(headers["retry-after"], "2");
        assert_eq!(headers["ratelimit-policy"], "\"tenant\";q=90;w=60");
        assert_eq!(headers["ratelimit"], "\"tenant\";r=0;t=2");
        let soon = RateHeaders {
            reset: Duration::ZERO,
            ..rate
        };
        soon.write(&mut headers);
        assert_eq!(headers["retry-after"], "1");
    }
}
