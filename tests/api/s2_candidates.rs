//! S2: the relay of jobs and candidates, with services that send and clients that receive.

use reqwest::Method;
use serde_json::json;

use crate::caller::{Caller, arrived, strangers};
use crate::support::receiver::status;
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    a_service_posts_events_and_lists_them,
    a_client_registers_a_webhook_and_switches_it_off,
    a_client_reads_the_log_and_sends_one_again,
    the_dashboard_asks_for_its_numbers,
    health_is_for_anyone,
    a_receiver_gets_the_body_and_headers_it_knows,
    every_event_type_of_the_system_is_taken,
);

const SERVICE: &str = "X-Service-Token";
const CLIENT: &str = "X-Api-Key";

const EVENT_TYPES: [&str; 11] = [
    "job.created",
    "job.updated",
    "job.deleted",
    "candidate.created",
    "candidate.updated",
    "candidate.status_changed",
    "interview.scheduled",
    "interview.completed",
    "interview.cancelled",
    "assessment.submitted",
    "assessment.graded",
];

struct System {
    relay: Relay,
    service: Caller,
    client: Caller,
}

async fn system(profile: Profile) -> System {
    let relay = Relay::start(profile).await;
    let service = Caller::with_key(&relay, "service", SERVICE).await;
    let client = Caller::with_key(&relay, "client", CLIENT).await;
    System {
        relay,
        service,
        client,
    }
}

fn john_doe() -> serde_json::Value {
    json!({
        "eventType": "candidate.created", "eventName": "Candidate John Doe Created",
        "payload": {"name": "John Doe"}, "source": "candidates-service",
    })
}

fn hrms(url: &str) -> serde_json::Value {
    json!({
        "name": "HRMS Integration", "url": url,
        "eventTypes": ["candidate.created", "candidate.updated"],
    })
}

async fn a_service_posts_events_and_lists_them(profile: Profile) {
    let system = system(profile).await;
    let sent = system.service.post(202, "/api/events", &john_doe()).await;
    let path = "/api/events?eventType=candidate.created&limit=50&offset=0";
    let listed = system.service.get(path).await;
    let event = &rows(&listed)[0];
    assert_eq!(event["eventId"], sent["eventId"]);
    for field in ["eventType", "eventName", "payload", "source"] {
        assert_eq!(event[field], john_doe()[field], "{field}");
    }
    // A client does not send.
    let refused = system
        .client
        .call(Method::POST, "/api/events", Some(&john_doe()))
        .await;
    assert_eq!(refused.status, 403, "{refused:?}");
}

async fn a_client_registers_a_webhook_and_switches_it_off(profile: Profile) {
    let System {
        relay,
        service,
        client,
    } = system(profile).await;
    let receiver = Receiver::ok().await;
    let made = client
        .post(201, "/api/webhooks", &hrms(&receiver.url()))
        .await;
    let listed = client.get("/api/webhooks").await;
    assert_eq!(rows(&listed)[0]["id"], made["id"]);
    let path = format!("/api/webhooks/{}", text(&made, "id"));
    let off = client.put(&path, &json!({"isActive": false})).await;
    assert_eq!(
        (&off["isActive"], &off["name"]),
        (&json!(false), &json!("HRMS Integration"))
    );
    let event = service.post(202, "/api/events", &john_doe()).await;
    let held = relay.api.delivery_of(text(&event, "eventId")).await;
    assert_eq!(held["status"], "pending");
    // What came while it was off is not lost.
    client.put(&path, &json!({"isActive": true})).await;
    assert_eq!(
        relay.final_delivery(text(&event, "eventId")).await["status"],
        "delivered"
    );
    // A service does not manage.
    let refused = service.call(Method::GET, "/api/webhooks", None).await;
    assert_eq!(refused.status, 403, "{refused:?}");
}

async fn a_client_reads_the_log_and_sends_one_again(profile: Profile) {
    let System {
        relay,
        service,
        client,
    } = system(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 500 } else { 200 })).await;
    let mut webhook = hrms(&receiver.url());
    webhook["retryPolicy"] = json!({"attempts": 1});
    let made = client.post(201, "/api/webhooks", &webhook).await;
    let event = service.post(202, "/api/events", &john_doe()).await;
    let event = text(&event, "eventId");
    assert_eq!(relay.final_delivery(event).await["status"], "failed");
    let webhook = text(&made, "id");
    let log = client
        .get(&format!("/api/webhooks/{webhook}/deliveries"))
        .await;
    assert_eq!(
        (&rows(&log)[0]["eventId"], &rows(&log)[0]["status"]),
        (&json!(event), &json!("failed"))
    );
    client
        .press(202, &format!("/api/webhooks/{webhook}/retry/{event}"))
        .await;
    relay
        .delivery_when(event, |delivery| delivery["status"] == "delivered")
        .await;
    // What there is nothing of is not found, whichever of the two it is.
    for path in [
        format!("/api/webhooks/{webhook}/retry/{webhook}"),
        format!("/api/webhooks/{event}/retry/{event}"),
    ] {
        client.press(404, &path).await;
    }
}

async fn the_dashboard_asks_for_its_numbers(profile: Profile) {
    let System {
        relay,
        service,
        client,
    } = system(profile).await;
    let receiver = Receiver::ok().await;
    client
        .post(201, "/api/webhooks", &hrms(&receiver.url()))
        .await;
    let event = service.post(202, "/api/events", &john_doe()).await;
    relay.final_delivery(text(&event, "eventId")).await;
    let recent = client
        .get("/api/dashboard/recent-deliveries?limit=100")
        .await;
    assert_eq!(rows(&recent)[0]["eventId"], event["eventId"]);
    for path in ["/api/dashboard/overview", "/api/dashboard/metrics"] {
        assert!(client.get(path).await.is_object(), "{path}");
        assert_eq!(
            strangers(&relay, Method::GET, path).await,
            [401, 401],
            "{path}"
        );
    }
}

async fn health_is_for_anyone(profile: Profile) {
    let relay = Relay::start(profile).await;
    for path in ["/api/dashboard/health", "/health"] {
        assert_eq!(
            strangers(&relay, Method::GET, path).await,
            [200, 200],
            "{path}"
        );
    }
}

async fn a_receiver_gets_the_body_and_headers_it_knows(profile: Profile) {
    let System {
        relay: _relay,
        service,
        client,
    } = system(profile).await;
    let receiver = Receiver::ok().await;
    client
        .post(201, "/api/webhooks", &hrms(&receiver.url()))
        .await;
    let event = service.post(202, "/api/events", &john_doe()).await;
    let arrived = arrived(&receiver, 1, &event).await;
    let body = arrived.json();
    let mut fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["data", "eventId", "eventName", "eventType", "timestamp"]
    );
    assert_eq!(body["eventId"], event["eventId"]);
    assert_eq!(body["data"], john_doe()["payload"]);
    assert_eq!(body["eventName"], john_doe()["eventName"]);
    let timestamp = text(&body, "timestamp");
    assert!(
        timestamp.len() == 24 && timestamp.ends_with('Z'),
        "{timestamp}"
    );
    assert_eq!(arrived.header("content-type"), "application/json");
    assert!(arrived.header("user-agent").starts_with("Posthaste/"));
}

async fn every_event_type_of_the_system_is_taken(profile: Profile) {
    let System {
        relay: _relay,
        service,
        client,
    } = system(profile).await;
    let receiver = Receiver::ok().await;
    let webhook = json!({"name": "all", "url": receiver.url(), "eventTypes": EVENT_TYPES});
    client.post(201, "/api/webhooks", &webhook).await;
    for event_type in EVENT_TYPES {
        let event = json!({"eventType": event_type, "payload": {}, "source": "s"});
        service.post(202, "/api/events", &event).await;
    }
    receiver.received_events(EVENT_TYPES.len()).await;
}
