//! Standard Webhooks, as its own libraries for Python and JavaScript have it: they verify what
//! really arrives, also while two secrets overlap.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::caller::{Caller, arrived};
use crate::support::receiver::Received;
use crate::support::relay::text;
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    libraries_of_others_verify_what_arrives,
    both_secrets_verify_while_they_overlap,
);

/// `make test` installs them (scripts/tools.sh).
pub fn tools() -> PathBuf {
    std::env::var_os("POSTHASTE_TEST_TOOLS")
        .expect("POSTHASTE_TEST_TOOLS is not set: run `make test`, which installs what it names")
        .into()
}

/// Whether each of the libraries takes this for signed with that secret.
async fn verdicts(secret: &str, got: &Received) -> [bool; 2] {
    let headers: serde_json::Map<String, Value> =
        ["webhook-id", "webhook-timestamp", "webhook-signature"]
            .into_iter()
            .map(|name| (name.to_owned(), got.header(name).into()))
            .collect();
    let body = String::from_utf8(got.body.to_vec()).unwrap();
    let given = json!({"secret": secret, "headers": headers, "body": body}).to_string();
    let python = tools().join("python/bin/python");
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let mut in_python = Command::new(python);
    in_python.arg(here.join("verify.py"));
    // Beside the libraries, because that is where they are looked for.
    let mut in_node = Command::new("node");
    in_node.arg(tools().join("verify.mjs"));
    [run(in_python, &given).await, run(in_node, &given).await]
}

/// Whether the program ends well; one that cannot verify at all says so otherwise.
async fn run(mut program: Command, given: &str) -> bool {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(given.as_bytes()).await.unwrap();
    drop(stdin);
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let refused = said.contains("WebhookVerificationError");
    assert!(ended.status.success() || refused, "{said}");
    ended.status.success()
}

async fn send(caller: &Caller) -> Value {
    let event = json!({"eventType": "job.created", "payload": {"name": "Zoë", "n": 1.0}});
    caller.post(202, "/api/v1/events", &event).await
}

async fn libraries_of_others_verify_what_arrives(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", "X-API-Key").await;
    let receiver = Receiver::ok().await;
    for format in ["relay", "standard", "raw", "cloudevents"] {
        let more = json!({"payloadFormat": format});
        relay.api.subscribe(&receiver, more).await;
    }
    send(&caller).await;
    let all = receiver.received(4).await;
    let made = relay.api.get("/api/v1/subscriptions").await;
    let mut verified = 0;
    for subscription in made["data"].as_array().unwrap() {
        let path = format!("/api/v1/subscriptions/{}/secret", text(subscription, "id"));
        let shown = relay.api.get(&path).await;
        let secret = text(&shown, "secret");
        for got in &all {
            let both = verdicts(secret, got).await;
            assert_eq!(both[0], both[1], "the libraries differ");
            verified += usize::from(both[0]);
        }
    }
    assert_eq!(verified, 4, "each by the secret of its subscription alone");
}

async fn both_secrets_verify_while_they_overlap(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", "X-API-Key").await;
    let receiver = Receiver::ok().await;
    let made = relay.api.subscribe(&receiver, json!({})).await;
    let rotate = format!("{}/rotate-secret", made.path());
    let rotated = caller
        .post(200, &rotate, &json!({"overlapSeconds": 3600}))
        .await;
    let got = arrived(&receiver, 1, &send(&caller).await).await;
    for secret in [&made.secret, text(&rotated, "secret")] {
        assert_eq!(verdicts(secret, &got).await, [true; 2]);
    }
    // Without an overlap the older ones end at once.
    let again = caller
        .post(200, &rotate, &json!({"overlapSeconds": 0}))
        .await;
    let got = arrived(&receiver, 2, &send(&caller).await).await;
    assert_eq!(verdicts(text(&again, "secret"), &got).await, [true; 2]);
    for secret in [&made.secret, text(&rotated, "secret")] {
        assert_eq!(verdicts(secret, &got).await, [false; 2]);
    }
}
