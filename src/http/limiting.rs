//! What a caller is told of the limits: the fields `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-09, and 429 with `Retry-After` past a limit.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::error::ApiError;
use crate::limits::Verdict;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// The fields of an answer; none where no limit was looked at.
#[derive(Clone, Debug, Default)]
pub struct Told(Option<(HeaderValue, HeaderValue)>);

impl Told {
    /// What is told of a verdict. A policy has the name of its setting; `q` is what may come at
    /// once and `w` the seconds in which all of that comes back. `t` is the seconds until then,
    /// or, of a quota that is used up, until the next request is let in.
    pub fn of(verdict: &Verdict) -> Self {
        if verdict.0.is_empty() {
            return Self::default();
        }
        let (mut policies, mut standings) = (String::new(), String::new());
        for (name, quota, standing) in &verdict.0 {
            if !policies.is_empty() {
                policies.push_str(", ");
                standings.push_str(", ");
            }
            let window = quota.window().as_secs_f64().ceil();
            let wait = standing.wait.as_secs_f64().ceil();
            // Writing to a text does not fail.
            let _ = write!(policies, "\"{name}\";q={};w={window}", quota.burst());
            let _ = write!(standings, "\"{name}\";r={};t={wait}", standing.remaining);
        }
        let policies = HeaderValue::try_from(policies).ok();
        Self(policies.zip(HeaderValue::try_from(standings).ok()))
    }

    /// The answer with them.
    pub fn with(self, mut answer: Response) -> Response {
        if let Some((policies, standings)) = self.0 {
            let headers = answer.headers_mut();
            // A refusal may speak of another limit, beside which these stand.
            headers.append(POLICY, policies);
            headers.append(STANDING, standings);
        }
        answer
    }
}

/// The refusal, where there is one.
pub fn refusal(verdict: &Verdict) -> Option<ApiError> {
    let wait = verdict.refused_for()?;
    let refused = verdict
        .0
        .iter()
        .filter(|(_, _, standing)| !standing.admitted);
    let names: Vec<&str> = refused.map(|(name, _, _)| *name).collect();
    let message = format!(
        "Too many requests: limits.{} is used up; wait as Retry-After says",
        names.join(" and limits.")
    );
    Some(ApiError::too_many_requests(message, wait))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;

    use super::*;
    use crate::domain::quota::Quota;

    #[test]
    fn the_fields_have_the_form_of_the_draft() {
        let quota = Quota::parse("100/minute").unwrap().unwrap();
        let other = Quota::parse("50/second burst 70").unwrap().unwrap();
        let verdict = Verdict(vec![
            (
                "read_per_address",
                quota,
                quota.standing(Duration::from_secs(29)),
            ),
            (
                "read_per_key",
                other,
                other.standing(Duration::from_millis(1_390)),
            ),
        ]);
        let answer = Told::of(&verdict).with(Response::new(Body::empty()));
        assert_eq!(
            answer.headers()["ratelimit-policy"],
            r#""read_per_address";q=100;w=60, "read_per_key";q=70;w=2"#
        );
        assert_eq!(
            answer.headers()["ratelimit"],
            r#""read_per_address";r=50;t=30, "read_per_key";r=0;t=1"#
        );
        let refused = format!("{:?}", refusal(&verdict));
        assert!(
            refused.contains("limits.read_per_key is used up"),
            "{refused}"
        );
        let nothing = Told::of(&Verdict::default()).with(Response::new(Body::empty()));
        assert!(nothing.headers().is_empty());
    }
}
