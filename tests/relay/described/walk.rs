//! A step of a walk through the API, held to the document.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::document::Document;
use crate::support::Relay;

/// A walk through the API, each answer of which is held to the document.
pub struct Walk<'a> {
    pub relay: &'a Relay,
    pub document: &'a Document,
    pub seen: BTreeSet<String>,
}

impl Walk<'_> {
    /// `path` as the document has it; `id` and `query` go into it. Two ids stand with a blank between.
    pub async fn go(
        &mut self,
        expected: u16,
        name: &str,
        id: &str,
        query: &str,
        body: Value,
    ) -> Value {
        let (method, path) = name.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let operation = self.document.operation(&method, path);
        let (one, other) = id.split_once(' ').unwrap_or((id, ""));
        let filled = path.replace("{id}", one).replace("{event}", other);
        let reached = format!("{}{query}", filled.replace("{name}", one));
        let mut request = self.relay.api.request(method, &reached);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let media = answer.headers().get("content-type").cloned();
        let text = answer.text().await.unwrap();
        assert_eq!(status, expected, "{name}: {text}");
        self.seen.insert(name.to_owned());
        let Some(media) = media else {
            let described = &operation["responses"][status.to_string()];
            assert!(
                described.is_object() && text.is_empty(),
                "{name} {status}: {text}"
            );
            return Value::Null;
        };
        let body: Value = serde_json::from_str(&text).unwrap();
        let differences =
            self.document
                .differences(operation, status, media.to_str().unwrap(), &body);
        assert!(
            differences.is_empty(),
            "{name} {status}: {differences:#?}\n{text}"
        );
        body
    }
}
