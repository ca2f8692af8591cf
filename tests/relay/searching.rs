//! Searches: what is found, and how they end.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::status;
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    deliveries_are_found_by_what_they_say,
    events_are_found_by_what_they_say,
    who_sees_no_events_finds_nothing_by_what_stands_in_them,
    a_list_can_leave_answers_out,
    a_search_ends_at_its_bounds_and_goes_on_without_gap_or_repeat,
    what_cannot_be_searched_for_is_said,
);

/// Follows a search to its end.
async fn search(relay: &Relay, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = relay.api.get(&format!("{path}{cursor}")).await;
        all.extend(rows(&page).iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn ids(rows: &[Value], field: &str) -> BTreeSet<String> {
    rows.iter().map(|row| text(row, field).to_owned()).collect()
}

async fn deliveries_are_found_by_what_they_say(profile: Profile) {
    let relay = Relay::start(profile).await;
    let good = Receiver::ok().await;
    let bad = Receiver::answering(|_, _| status(503)).await;
    let good_one = relay
        .api
        .subscribe(&good, json!({"eventTypes": ["job.*"]}))
        .await;
    let once =
        json!({"retryPolicy": {"delaysMs": []}, "clientId": "acme", "eventTypes": ["order.*"]});
    let bad_one = relay.api.subscribe(&bad, once).await;
    let gone = json!({"retryPolicy": {"delaysMs": []}, "eventTypes": ["lost.*"]});
    let gone = relay
        .api
        .subscribe_url("http://127.0.0.1:1/hook", gone)
        .await;
    let paused = json!({"isActive": false, "eventTypes": ["quiet"]});
    let paused = relay
        .api
        .subscribe_url("http://127.0.0.1:1/hook", paused)
        .await;
    let job = relay
        .api
        .send(
            "job.created",
            json!({"candidate": {"id": 123, "name": "John Doe"}}),
        )
        .await;
    let order = json!({"eventType": "order.paid", "source": "Shop", "payload": {"n": 1}});
    let order = relay.api.post(202, "/api/v1/events", &order).await;
    let order = text(&order, "eventId");
    let lost = relay.api.send("lost.one", json!({})).await;
    for event in [&job, order, &lost] {
        relay.final_delivery(event).await;
    }
    let quiet = relay.api.send("quiet", json!({})).await;
    let delivery = relay.api.delivery_of(&job).await;
    let found = async |query: &str| {
        let found = search(&relay, &format!("/api/v1/deliveries?limit=1&{query}")).await;
        ids(&found, "eventId")
    };
    let only = |event: &str| BTreeSet::from([event.to_owned()]);
    for (query, expected) in [
        (format!("q={}", text(&delivery, "id")), only(&job)),
        (format!("q={job}"), only(&job)),
        (format!("q={}", good_one.id), only(&job)),
        ("q=order.paid".into(), only(order)),
        ("q=shop".into(), only(order)),
        ("q=503".into(), only(order)),
        ("q=payload.candidate.id%3D123".into(), only(&job)),
        ("q=%22john+doe%22".into(), only(&job)),
        (format!("q=doe+{job}"), only(&job)),
        (format!("q=shop+{job}"), BTreeSet::new()),
        (
            format!("q={job}&subscriptionId={}", bad_one.id),
            BTreeSet::new(),
        ),
        ("statusClass=5xx".into(), only(order)),
        ("statusClass=2xx".into(), only(&job)),
        ("statusClass=connect".into(), only(&lost)),
        ("statusClass=none".into(), only(&quiet)),
        ("statusClass=5xx&status=delivered".into(), BTreeSet::new()),
        ("tenant=acme".into(), only(order)),
        ("clientId=nobody".into(), BTreeSet::new()),
        (
            format!("statusClass=connect&subscriptionId={}", gone.id),
            only(&lost),
        ),
        (
            format!("q=quiet&subscriptionId={}", paused.id),
            only(&quiet),
        ),
    ] {
        assert_eq!(found(&query).await, expected, "{query}");
    }
    let of_one = format!("{}/deliveries?q=john", good_one.path());
    assert_eq!(ids(&search(&relay, &of_one).await, "eventId"), only(&job));
    let future = "q=john&since=2100-01-01T00:00:00Z";
    assert_eq!(found(future).await, BTreeSet::new());
}

async fn who_sees_no_events_finds_nothing_by_what_stands_in_them(profile: Profile) {
    let relay = Relay::start(profile).await;
    let bad = Receiver::answering(|_, _| status(503)).await;
    let once = json!({"retryPolicy": {"delaysMs": []}});
    relay.api.subscribe(&bad, once).await;
    let event = json!({
        "eventType": "order.paid", "eventName": "Order of Ada", "source": "Shop",
        "payload": {"card": "4242"},
    });
    let event = relay.api.post(202, "/api/v1/events", &event).await;
    relay.final_delivery(text(&event, "eventId")).await;
    let key = json!({"name": "d", "scopes": ["deliveries:read"]});
    let key = relay.api.post(201, "/api/v1/keys", &key).await;
    let blind = relay.api.with_key(text(&key, "key"));
    let delivery = relay.api.delivery_of(text(&event, "eventId")).await;
    for (query, seen) in [
        ("q=4242", false),
        ("q=ada", false),
        ("q=shop", false),
        ("q=order.paid", true),
        ("q=503", true),
        (&*format!("q={}", text(&delivery, "id")), true),
        (&*format!("q=4242+{}", text(&delivery, "id")), false),
    ] {
        let path = format!("/api/v1/deliveries?{query}");
        let all = relay.api.get(&path).await;
        assert_eq!(rows(&all).len(), 1, "{query}");
        let page = blind.get(&path).await;
        assert_eq!(rows(&page).len(), usize::from(seen), "{query}: {page}");
    }
    let path = "/api/v1/deliveries?q=payload.card%3D4242";
    let refused = blind.expect(403, Method::GET, path, None).await;
    assert_eq!(refused["code"], "missing-scope");
    assert!(text(&refused, "error").contains("events:read"), "{refused}");
}

async fn a_list_can_leave_answers_out(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::answering(|_, _| status(200).map(|_| "an answer".into())).await;
    let to = relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("job.created", json!({})).await;
    relay.final_delivery(&event).await;
    let of_one = format!("{}/deliveries", to.path());
    for path in ["/api/v1/deliveries", &of_one] {
        for search in ["", "q=job.created&"] {
            let shown = async |answers: &str| {
                let page = relay.api.get(&format!("{path}?{search}{answers}")).await;
                rows(&page)[0].clone()
            };
            for whole in ["", "answers=true"] {
                assert_eq!(shown(whole).await["responseBody"], "an answer");
            }
            let short = shown("answers=false").await;
            assert_eq!(short["responseBody"], Value::Null);
            assert_eq!(short["responseHeaders"], Value::Null);
            assert_eq!(short["httpStatus"], 200);
        }
    }
}

async fn events_are_found_by_what_they_say(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let body = json!({
        "eventType": "candidate.created", "eventName": "John Doe Created", "source": "CRM",
        "tenant": "acme", "orderingKey": "line-7",
        "payload": {"tags": ["new", "hot"], "nested": [{"id": "x-1"}]},
    });
    let one = relay.api.post(202, "/api/v1/events", &body).await;
    let one = text(&one, "eventId").to_owned();
    let other = relay.api.send("job.created", json!({"tags": []})).await;
    let found = async |query: &str| {
        let found = search(&relay, &format!("/api/v1/events?{query}")).await;
        ids(&found, "id")
    };
    let only = |event: &str| BTreeSet::from([event.to_owned()]);
    for query in [
        format!("q={one}"),
        "q=crm".into(),
        "q=doe+created".into(),
        "q=line-7".into(),
        "q=payload.tags%3Dhot".into(),
        "q=data.nested.id%3Dx-1".into(),
        "q=x-1&tenant=acme&source=CRM".into(),
        "q=created&eventType=candidate.created".into(),
    ] {
        assert_eq!(found(&query).await, only(&one), "{query}");
    }
    let delivery = relay.api.delivery_of(&other).await;
    assert_eq!(
        found(&format!("q={}", text(&delivery, "id"))).await,
        only(&other)
    );
    for query in [
        "q=missing",
        "q=crm&tenant=other",
        "q=crm&eventType=job.created",
        "q=crm&source=x",
    ] {
        assert_eq!(found(query).await, BTreeSet::new(), "{query}");
    }
    assert_eq!(found("q=created").await.len(), 2);
}

async fn a_search_ends_at_its_bounds_and_goes_on_without_gap_or_repeat(profile: Profile) {
    let relay = Relay::start(profile).await;
    let batch = async |mark: &str, count: usize| {
        let event = |n| json!({"eventType": "many", "data": {"number": n, "mark": mark}});
        let batch: Value = (0..count).map(event).collect();
        let answer = relay.api.post(202, "/api/v1/events", &batch).await;
        ids(answer["results"].as_array().unwrap(), "eventId")
    };
    let old = batch("needle", 7).await;
    for _ in 0..102 {
        batch("hay", 100).await;
    }
    let path = "/api/v1/events?limit=3&q=needle";
    let first = relay.api.get(path).await;
    assert_eq!((rows(&first).len(), &first["partial"]), (0, &json!(true)));
    let mut cursor = first["nextCursor"].as_str().map(str::to_owned);
    let mut seen = Vec::new();
    while let Some(next) = cursor {
        // What comes meanwhile is newer than where the walk has come to.
        batch("needle", 3).await;
        let page = relay.api.get(&format!("{path}&cursor={next}")).await;
        assert!(rows(&page).len() <= 3);
        seen.extend(rows(&page).iter().map(|row| text(row, "id").to_owned()));
        cursor = page["nextCursor"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), old);
}

async fn what_cannot_be_searched_for_is_said(profile: Profile) {
    let relay = Relay::start(profile).await;
    for n in 0..3 {
        relay.api.send("job.created", json!({"n": n})).await;
    }
    let page = relay.api.get("/api/v1/events?q=job&limit=1").await;
    let cursor = text(&page, "nextCursor");
    let plain = relay.api.get("/api/v1/events?limit=1").await;
    let plain = text(&plain, "nextCursor");
    for (query, named) in [
        ("q=".to_owned(), "q must be 1 to 255 characters"),
        ("q=%22open".to_owned(), "quotation mark"),
        ("q=a&offset=5".to_owned(), "offset is not known to a search"),
        (
            format!("q=other&cursor={cursor}"),
            "cursor must be a nextCursor of this search",
        ),
        (
            format!("q=job&eventType=x&cursor={cursor}"),
            "cursor must be",
        ),
        (format!("q=job&cursor={plain}"), "cursor must be"),
        (format!("cursor={cursor}"), "cursor must be"),
        ("q=a&offest=5".to_owned(), "offest is not known here"),
    ] {
        let path = format!("/api/v1/events?{query}");
        let refused = relay.api.expect(400, Method::GET, &path, None).await;
        assert!(
            text(&refused, "error").contains(named),
            "{query}: {refused}"
        );
    }
    let refused = relay.api.expect(
        400,
        Method::GET,
        "/api/v1/deliveries?statusClass=teapot",
        None,
    );
    assert!(text(&refused.await, "error").contains("one of 1xx to 5xx, timeout"));
    // The limit may change on the way.
    let rest = relay
        .api
        .get(&format!("/api/v1/events?q=job&limit=9&cursor={cursor}"))
        .await;
    assert_eq!(rows(&rest).len(), 2);
}
