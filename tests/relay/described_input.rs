//! What the OpenAPI document says that requests take is what a real relay reads: every example is
//! accepted, and the readers know the fields and parameters that it names, and no others.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::support::relay::text;
use crate::support::{Profile, Relay};

crate::stories!(
    every_example_is_accepted,
    the_readers_know_what_the_document_names,
);

/// What stands under an id and a name in a path, so that a body is read: a subscription and a
/// tenant of the same id, and an event type.
async fn named_in_paths(relay: &Relay) -> impl Fn(&str) -> String + use<> {
    let subscribed = relay
        .api
        .subscribe_url("http://127.0.0.1:9/x", json!({"isActive": false}))
        .await;
    let tenant = json!({"id": subscribed.id});
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    let known = json!({"name": "known.type"});
    relay.api.post(201, "/api/v1/event-types", &known).await;
    let user = json!({"email": "named@example.com", "role": "viewer"});
    let user = relay.api.post(201, "/api/v1/users", &user).await;
    let user = text(&user, "id").to_owned();
    move |path| {
        let id = match path.starts_with("/api/v1/users/") {
            true => &user,
            false => &subscribed.id,
        };
        path.replace("{id}", id).replace("{name}", "known.type")
    }
}

/// The examples of an operation's body.
fn examples(operation: &Value) -> Vec<&Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let several = content["examples"].as_object();
    let several = several
        .into_iter()
        .flat_map(Map::values)
        .map(|one| &one["value"]);
    several.chain(content.get("example")).collect()
}

async fn every_example_is_accepted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let document = Document::of(&relay).await;
    let reached = named_in_paths(&relay).await;
    let mut seen = 0;
    for (method, path, operation) in document.operations() {
        // By these somebody comes in who has a token or a password of their own: `with_users`.
        let comes_in = ["/api/v1/setup", "/api/v1/invitation", "/api/v1/session"].contains(&path)
            || path == "/api/v1/session/password";
        if operation.get("requestBody").is_none() || comes_in {
            continue;
        }
        let examples = examples(operation);
        assert!(!examples.is_empty(), "{method} {path} has no example");
        for example in examples {
            let path = reached(path);
            let answer = relay
                .api
                .request(method.clone(), &path)
                .json(example)
                .send()
                .await;
            let answer = answer.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            // In no state for it is no fault of the body's.
            assert!(
                (200..300).contains(&status) || status == 409,
                "{method} {path}: {text}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 16, "{seen}");
}

/// The names that a message lists after "there are".
fn listed(message: &str) -> BTreeSet<String> {
    let names = message
        .split_once("not known here; there are ")
        .map(|(_, rest)| rest);
    let names = names.filter(|names| !names.starts_with("no "));
    names
        .into_iter()
        .flat_map(|names| names.split(", "))
        .map(str::to_owned)
        .collect()
}

fn message_of(answer: &Value, place: &str) -> Option<String> {
    let faults = answer["faults"].as_array()?;
    let fault = faults.iter().find(|fault| fault["path"] == place)?;
    fault["message"].as_str().map(str::to_owned)
}

async fn the_readers_know_what_the_document_names(profile: Profile) {
    let relay = Relay::start(profile).await;
    let document = Document::of(&relay).await;
    let in_path = named_in_paths(&relay).await;
    let (mut queries, mut bodies) = (0, 0);
    for (method, path, operation) in document.operations() {
        let reached = in_path(path);
        let parameters = operation["parameters"].as_array();
        let named: BTreeSet<String> = parameters
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "query")
            .map(|one| text(one, "name").to_owned())
            .collect();
        let request = relay
            .api
            .request(method.clone(), &format!("{reached}?strange=1"));
        let text = request.send().await.unwrap().text().await.unwrap();
        // Pages and metrics are no JSON, and take no parameters.
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let known = message_of(&answer, "strange").map(|message| listed(&message));
        assert_eq!(
            known.unwrap_or_default(),
            named,
            "{method} {path}: {answer}"
        );
        queries += usize::from(!named.is_empty());

        let content = &operation["requestBody"]["content"]["application/json"];
        let schema = &content["schema"];
        let several = schema["oneOf"].as_array().into_iter().flatten();
        let schema = several
            .chain([schema])
            .map(|one| document.resolved(one))
            .find(|one| one["additionalProperties"] == false);
        let Some(properties) = schema.and_then(|schema| schema["properties"].as_object()) else {
            continue;
        };
        bodies += 1;
        let mut body: Map<String, Value> = properties
            .keys()
            .map(|name| (name.clone(), json!({"odd": 1})))
            .collect();
        body.insert("strange".into(), json!(1));
        let answer = relay
            .api
            .expect(400, method.clone(), &reached, Some(&body.into()))
            .await;
        let message = message_of(&answer, "strange").unwrap();
        for name in listed(&message) {
            if properties.contains_key(&name) {
                continue;
            }
            // A field may be known only to say why it cannot be given.
            let given = json!({ name.as_str(): "x" });
            let answer = relay
                .api
                .expect(400, method.clone(), &reached, Some(&given))
                .await;
            let refused = message_of(&answer, &name);
            assert!(refused.is_some(), "{method} {path} does not name {name}");
        }
        for name in properties.keys() {
            let message = message_of(&answer, name).unwrap_or_default();
            assert!(
                !message.contains("not known"),
                "{method} {path} does not read {name}"
            );
        }
    }
    assert!(queries >= 16 && bodies >= 13, "{queries} {bodies}");
}
