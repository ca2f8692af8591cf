//! A browser with a page of the relay's own: it keeps the session's cookie, and sends its second token.

use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use super::Relay;
use super::relay::text;

/// Long enough for everybody.
pub const PASSWORD: &str = "correct horse battery";

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub body: Value,
    /// The cookie that was set, as it was set.
    pub cookie: Option<String>,
    pub retry_after: Option<String>,
}

impl Answered {
    /// The code of the problem; empty where there is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Browser {
    pub base: String,
    /// `name=token`.
    pub cookie: String,
    pub csrf: String,
    pub session: Value,
}

/// Asks with these headers and nothing else.
pub async fn ask(
    base: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answered {
    let mut request = reqwest::Client::new().request(method, format!("{base}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (cookie, retry_after) = (header(SET_COOKIE.as_str()), header("retry-after"));
    let status = answer.status().as_u16();
    let is_stream = answer
        .headers()
        .get("content-type")
        .is_some_and(|media| media == "text/event-stream");
    // A stream would never end.
    let text = match is_stream {
        true => String::new(),
        false => answer.text().await.unwrap(),
    };
    Answered {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
        cookie,
        retry_after,
    }
}

impl Browser {
    /// Signs in by one of the ways there are; the answer has to have this status.
    pub async fn come_in(base: &str, status: u16, path: &str, body: &Value) -> Self {
        let answered = ask(base, Method::POST, path, &[], Some(body)).await;
        assert_eq!(answered.status, status, "{answered:?}");
        let cookie = answered.cookie.expect("a cookie");
        let (pair, _) = cookie.split_once(';').unwrap();
        Self {
            base: base.to_owned(),
            cookie: pair.to_owned(),
            csrf: text(&answered.body, "csrfToken").to_owned(),
            session: answered.body,
        }
    }

    pub async fn sign_in(base: &str, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        Self::come_in(base, 200, "/api/v1/session", &body).await
    }

    pub async fn with_key(base: &str, key: &str) -> Self {
        Self::come_in(base, 200, "/api/v1/session", &json!({"key": key})).await
    }

    /// A new user with that role, signed in.
    pub async fn of_role(relay: &Relay, role: &str) -> Self {
        let email = format!("{role}@example.com");
        let user = json!({"email": email, "name": role, "role": role, "password": PASSWORD});
        relay.api.post(201, "/api/v1/users", &user).await;
        Self::sign_in(&relay.api.base, &email, PASSWORD).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answered {
        let headers = [("cookie", &*self.cookie), ("x-csrf-token", &*self.csrf)];
        ask(&self.base, method, path, &headers, body).await
    }

    /// Asks with the cookie and further headers, and without the second token.
    pub async fn bare(&self, method: Method, path: &str, more: &[(&str, &str)]) -> Answered {
        let cookie = [(COOKIE.as_str(), &*self.cookie)];
        ask(&self.base, method, path, &[&cookie, more].concat(), None).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let answered = self.call(Method::GET, path, None).await;
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        answered.body
    }

    pub async fn status(&self, path: &str) -> u16 {
        self.call(Method::GET, path, None).await.status
    }

    /// The token in the cookie.
    pub fn token(&self) -> &str {
        self.cookie.split_once('=').unwrap().1
    }
}
