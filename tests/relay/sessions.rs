//! Sessions: what they may, whose requests their cookie counts for, and when they end.

use std::sync::Arc;

use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::browser::{Browser, PASSWORD, ask};
use crate::support::looking::Looking;
use crate::support::relay::{Api, KEY, rows, text};
use crate::support::{Profile, Receiver, Relay, soon};
use crate::users::{SESSION, USERS, post};

crate::stories!(
    a_cookie_changes_nothing_for_other_sites,
    an_ended_session_is_ended_with_its_stream,
    a_session_may_what_its_user_may_now,
    a_keys_session_may_what_the_key_may_and_ends_with_it,
    everybody_sees_and_ends_their_own_sessions,
    sessions_survive_a_restart,
    a_cookie_by_https_is_for_https_alone,
);

async fn a_cookie_changes_nothing_for_other_sites(profile: Profile) {
    let origins = [("POSTHASTE_SERVER__CORS_ORIGINS", "https://ops.example.com")];
    let relay = Relay::start_with(profile, &origins).await;
    let operator = Browser::of_role(&relay, "operator").await;
    let event = json!({"eventType": "a.b", "payload": 1});
    let own = relay.api.base.clone();
    let other = Browser::of_role(&relay, "admin").await;
    for path in ["/api/v1/events", "/events", "/api/v1/subscriptions"] {
        for (csrf, origin, site, refused) in [
            (None, None, None, true),
            (Some(""), None, None, true),
            (Some(&*other.csrf), None, None, true),
            (Some(operator.token()), None, None, true),
            (
                Some(&*operator.csrf),
                Some("https://ops.example.com"),
                None,
                true,
            ),
            (Some(&*operator.csrf), Some("null"), None, true),
            (Some(&*operator.csrf), None, Some("cross-site"), true),
            (Some(&*operator.csrf), None, Some("same-site"), true),
            (
                Some(&*operator.csrf),
                Some(&*own),
                Some("same-origin"),
                false,
            ),
            (Some(&*operator.csrf), None, None, false),
        ] {
            let mut headers = vec![("cookie", &*operator.cookie)];
            headers.extend(csrf.map(|csrf| ("x-csrf-token", csrf)));
            headers.extend(origin.map(|origin| ("origin", origin)));
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            let answered = ask(&own, Method::POST, path, &headers, Some(&event)).await;
            let is_refused = (answered.status, answered.code()) == (403, "cross-site");
            assert_eq!(is_refused, refused, "{path} {headers:?}: {answered:?}");
        }
    }
    for foreign in [
        ("origin", "https://ops.example.com"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let looked = operator
            .bare(Method::GET, "/api/v1/events", &[foreign])
            .await;
        assert_eq!(
            (looked.status, looked.code()),
            (401, "key-required"),
            "{foreign:?}"
        );
    }
    let looked = operator.bare(Method::GET, "/api/v1/events", &[]).await;
    assert_eq!(looked.status, 200, "to look takes the cookie alone");
    // A key that is shown is all that counts, whether it is good or not.
    for (key, status) in [(KEY, 202), ("wrong", 401), ("", 401)] {
        let headers = [("cookie", &*operator.cookie), ("x-api-key", key)];
        let answered = ask(&own, Method::POST, "/api/v1/events", &headers, Some(&event)).await;
        assert_eq!(answered.status, status, "{key:?}");
    }
    // Nor can a page of another site sign anybody in, as whomever.
    let sign_in = json!({"key": KEY});
    let foreign = [("origin", "https://ops.example.com")];
    let refused = ask(&own, Method::POST, SESSION, &foreign, Some(&sign_in)).await;
    assert_eq!((refused.status, refused.code()), (403, "cross-site"));
    let request = reqwest::Client::new()
        .get(format!("{own}/api/v1/events"))
        .header("origin", "https://ops.example.com")
        .header("x-api-key", KEY);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers().get("access-control-allow-credentials"),
        None
    );
}

async fn an_ended_session_is_ended_with_its_stream(profile: Profile) {
    let relay = Relay::start(profile).await;
    let viewer = Browser::of_role(&relay, "viewer").await;
    let mut stream = Looking::begin_as(&viewer).await;
    let event = relay.api.send("a.b", json!(1)).await;
    let shown = stream.next().await;
    assert_eq!(
        (&*shown.name, &shown.data["eventId"]),
        ("event.accepted", &json!(event))
    );
    let path = format!("/api/v1/sessions/{}", text(&viewer.session, "id"));
    relay.api.expect(204, Method::DELETE, &path, None).await;
    let after = viewer.call(Method::GET, SESSION, None).await;
    assert_eq!((after.status, after.code()), (401, "session-ended"));
    let closed = stream.until(|shown| shown.name == "closed").await;
    assert_eq!(closed.last().unwrap().data["reason"], "session_ended");
    relay.api.expect(404, Method::DELETE, &path, None).await;

    let again = Browser::sign_in(&relay.api.base, "viewer@example.com", PASSWORD).await;
    let mut stream = Looking::begin_as(&again).await;
    let signed_out = again.call(Method::DELETE, SESSION, None).await;
    assert_eq!(signed_out.status, 204);
    let cleared = signed_out.cookie.unwrap();
    assert!(cleared.starts_with("posthaste_session=;"), "{cleared}");
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    let closed = stream.until(|shown| shown.name == "closed").await;
    assert_eq!(closed.last().unwrap().data["reason"], "session_ended");
    assert_eq!(again.status(SESSION).await, 401);
}

async fn a_session_may_what_its_user_may_now(profile: Profile) {
    let relay = Relay::start(profile).await;
    let viewer = Browser::of_role(&relay, "viewer").await;
    let path = format!("{USERS}/{}", text(&viewer.session["user"], "id"));
    let change = async |body: Value| {
        relay
            .api
            .expect(200, Method::PATCH, &path, Some(&body))
            .await
    };
    let event = json!({"eventType": "a.b", "payload": 1});
    let send = async || {
        let sent = viewer
            .call(Method::POST, "/api/v1/events", Some(&event))
            .await;
        sent.status
    };
    assert_eq!(send().await, 403);
    change(json!({"role": "operator", "name": "Other"})).await;
    assert_eq!(send().await, 202);
    assert_eq!(viewer.get(SESSION).await["name"], "Other");
    change(json!({"role": "viewer"})).await;
    assert_eq!(send().await, 403);
    let shown = change(json!({"disabled": true})).await;
    assert_eq!(
        (&shown["state"], &shown["disabled"]),
        (&json!("disabled"), &json!(true))
    );
    assert_eq!(viewer.status(SESSION).await, 401);
    let sign_in = json!({"email": "viewer@example.com", "password": PASSWORD});
    assert_eq!(
        post(&relay, SESSION, &sign_in).await.code(),
        "sign-in-refused"
    );
    let link = relay
        .api
        .post(409, &format!("{path}/password"), &json!({}))
        .await;
    assert!(text(&link, "error").contains("disabled"), "{link}");
    change(json!({"disabled": false})).await;
    assert_eq!(viewer.status(SESSION).await, 401, "what ended has ended");
    let again = Browser::sign_in(&relay.api.base, "viewer@example.com", PASSWORD).await;
    relay.api.expect(204, Method::DELETE, &path, None).await;
    assert_eq!(again.status(SESSION).await, 401);
    relay.api.expect(404, Method::GET, &path, None).await;
}

async fn a_keys_session_may_what_the_key_may_and_ends_with_it(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let own = relay
        .api
        .subscribe(&receiver, json!({"clientId": "acme"}))
        .await;
    let others = relay
        .api
        .subscribe(&receiver, json!({"clientId": "other"}))
        .await;
    let key = json!({"name": "acme's", "preset": "client", "tenant": "acme"});
    let key = relay.api.post(201, "/api/v1/keys", &key).await;
    let browser = Browser::with_key(&relay.api.base, text(&key, "key")).await;
    let shown = &browser.session;
    assert_eq!(shown["key"], json!({"id": key["id"], "name": "acme's"}));
    assert_eq!(
        (&shown["user"], &shown["role"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&shown["name"], &shown["tenant"]),
        (&json!("acme's"), &json!("acme"))
    );
    assert_eq!(shown["scopes"], key["scopes"]);
    assert_eq!(browser.status(&own.path()).await, 200);
    assert_eq!(browser.status(&others.path()).await, 404);
    assert_eq!(browser.status(USERS).await, 403);
    let pause = format!("{}/pause", own.path());
    assert_eq!(browser.call(Method::POST, &pause, None).await.status, 200);
    let log = relay
        .api
        .get("/api/v1/audit?action=subscription.pause")
        .await;
    assert_eq!(rows(&log)[0]["keyId"], key["id"]);
    assert_eq!(rows(&log)[0]["caller"], "acme's");
    let change = json!({"current": PASSWORD, "password": PASSWORD});
    let path = "/api/v1/session/password";
    let refused = browser.call(Method::POST, path, Some(&change)).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));

    let admin = Browser::with_key(&relay.api.base, KEY).await;
    assert_eq!(
        (&admin.session["key"], &admin.session["name"]),
        (&Value::Null, &json!("admin"))
    );
    assert_eq!(admin.session["scopes"], json!(["admin"]));
    assert_eq!(admin.status(USERS).await, 200);

    let mut stream = Looking::begin_as(&browser).await;
    let path = format!("/api/v1/keys/{}", text(&key, "id"));
    relay.api.expect(204, Method::DELETE, &path, None).await;
    let ended = browser.call(Method::GET, SESSION, None).await;
    assert_eq!((ended.status, ended.code()), (401, "key-ended"));
    let closed = stream.until(|shown| shown.name == "closed").await;
    assert_eq!(closed.last().unwrap().data["reason"], "session_ended");
    let sessions = admin.get("/api/v1/sessions").await;
    assert_eq!(rows(&sessions).len(), 1, "{sessions}");
    for (key, code) in [("wrong", "key-required"), (text(&key, "key"), "key-ended")] {
        let refused = post(&relay, SESSION, &json!({"key": key})).await;
        assert_eq!((refused.status, refused.code()), (401, code));
    }
}

async fn everybody_sees_and_ends_their_own_sessions(profile: Profile) {
    let relay = Relay::start(profile).await;
    let viewer = Browser::of_role(&relay, "viewer").await;
    let again = Browser::sign_in(&relay.api.base, "viewer@example.com", PASSWORD).await;
    let admin = Browser::of_role(&relay, "admin").await;
    let ids =
        |page: &Value| -> Vec<Value> { rows(page).iter().map(|row| row["id"].clone()).collect() };
    let id = |browser: &Browser| browser.session["id"].clone();
    let own = viewer.get("/api/v1/sessions").await;
    assert_eq!(ids(&own), [id(&again), id(&viewer)]);
    let current = rows(&own).iter().map(|row| row["current"] == true);
    assert_eq!(current.collect::<Vec<_>>(), [false, true]);
    assert_eq!(rows(&own)[0]["user"]["email"], "viewer@example.com");
    assert!(rows(&own)[0]["address"].is_string());
    let all = admin.get("/api/v1/sessions").await;
    assert_eq!(ids(&all), [id(&admin), id(&again), id(&viewer)]);
    let of_user = text(&viewer.session["user"], "id");
    let shown = admin.get(&format!("/api/v1/sessions?user={of_user}")).await;
    assert_eq!(ids(&shown), [id(&again), id(&viewer)]);
    let page = admin.get("/api/v1/sessions?limit=2").await;
    let next = text(&page, "nextCursor");
    let rest = admin
        .get(&format!("/api/v1/sessions?limit=2&cursor={next}"))
        .await;
    assert_eq!((ids(&page).len(), ids(&rest)), (2, vec![id(&viewer)]));
    assert_eq!(rest["nextCursor"], Value::Null);
    let path = |browser: &Browser| format!("/api/v1/sessions/{}", text(&browser.session, "id"));
    let anothers = viewer.call(Method::DELETE, &path(&admin), None).await;
    assert_eq!(anothers.status, 404, "another's is not there");
    let ended = viewer.call(Method::DELETE, &path(&again), None).await;
    assert_eq!(ended.status, 204);
    assert_eq!(again.status(SESSION).await, 401);
    let ended = admin.call(Method::DELETE, &path(&viewer), None).await;
    assert_eq!(ended.status, 204);
    assert_eq!(viewer.status(SESSION).await, 401);
}

async fn sessions_survive_a_restart(profile: Profile) {
    let relay = Relay::start(profile).await;
    let key = json!({"name": "n", "preset": "client"});
    let key = relay.api.post(201, "/api/v1/keys", &key).await;
    let mut browsers = vec![
        Browser::of_role(&relay, "viewer").await,
        Browser::with_key(&relay.api.base, text(&key, "key")).await,
        Browser::with_key(&relay.api.base, KEY).await,
    ];
    let ended = Browser::of_role(&relay, "operator").await;
    assert_eq!(ended.call(Method::DELETE, SESSION, None).await.status, 204);
    let relay = Relay::start_on(relay.stop().await, &[]).await;
    for browser in &mut browsers {
        browser.base.clone_from(&relay.api.base);
        assert_eq!(browser.get(SESSION).await, browser.session);
        // The second token is still the same, too.
        let none = json!({"current": "", "password": ""});
        let path = "/api/v1/session/password";
        let answered = browser.call(Method::POST, path, Some(&none)).await;
        assert_ne!(answered.code(), "cross-site");
    }
    let ended = Browser {
        base: relay.api.base.clone(),
        ..ended
    };
    assert_eq!(ended.status(SESSION).await, 401);
}

async fn a_cookie_by_https_is_for_https_alone(profile: Profile) {
    let proxies = [("POSTHASTE_SERVER__TRUSTED_PROXIES", "127.0.0.0/8")];
    let relay = Relay::start_with(profile, &proxies).await;
    let sign_in = json!({"key": KEY});
    let base = &relay.api.base;
    let set = async |headers: &[(&str, &str)]| {
        let answered = ask(base, Method::POST, SESSION, headers, Some(&sign_in)).await;
        answered.cookie.unwrap()
    };
    let plain = set(&[]).await;
    assert!(plain.starts_with("posthaste_session=phs_"), "{plain}");
    assert!(
        plain.contains("; Path=/; HttpOnly; SameSite=Strict; Max-Age="),
        "{plain}"
    );
    assert!(
        !plain.contains("Secure") && !plain.contains("Domain"),
        "{plain}"
    );
    let by_https = [("x-forwarded-proto", "https")];
    let secure = set(&by_https).await;
    assert!(
        secure.starts_with("__Host-posthaste_session=phs_"),
        "{secure}"
    );
    assert!(
        secure.contains("; Path=/; HttpOnly; SameSite=Strict; Secure;"),
        "{secure}"
    );
    let cookie = |set: &str| set.split_once(';').unwrap().0.to_owned();
    for (cookie, headers, counts) in [
        (cookie(&plain), &[][..], true),
        (cookie(&plain), &by_https[..], false),
        (cookie(&secure), &by_https[..], true),
        (cookie(&secure), &[][..], false),
    ] {
        let headers = [headers, &[("cookie", &*cookie)]].concat();
        let answered = ask(base, Method::GET, SESSION, &headers, None).await;
        assert_eq!(answered.status, 200, "{cookie} {headers:?}");
        assert_eq!(answered.body.is_object(), counts, "{cookie} {headers:?}");
    }
    let always = [("POSTHASTE_SESSIONS__SECURE_COOKIES", "true")];
    let relay = Relay::start_with(profile, &always).await;
    let answered = post(&relay, SESSION, &sign_in).await;
    assert!(
        answered
            .cookie
            .unwrap()
            .starts_with("__Host-posthaste_session=")
    );
}

/// Waits until that relay has heard of a change.
async fn heard(facts: &mut tokio::sync::broadcast::Receiver<EngineEvent>) {
    let changed = |fact: &EngineEvent| matches!(fact, EngineEvent::SessionsChanged { .. });
    soon("a change of the sessions", async {
        while !changed(&facts.recv().await.unwrap()) {}
    })
    .await;
}

/// Somebody who signs in at one relay is let in at the other, until the session is ended at the first.
async fn comes_and_goes(first: &Relay, second: &Relay) {
    let mut facts = second.engine().events().follow();
    let here = Browser::with_key(&first.api.base, KEY).await;
    let there = Browser {
        base: second.api.base.clone(),
        ..here.clone()
    };
    heard(&mut facts).await;
    assert_eq!(there.get(SESSION).await, here.session);
    assert_eq!(here.call(Method::DELETE, SESSION, None).await.status, 204);
    heard(&mut facts).await;
    assert_eq!(there.status(SESSION).await, 401);
}

async fn pair(more: &[(&str, &str)]) -> (Relay, Relay) {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let first = Relay::start_on(Arc::clone(&backend), more).await;
    (first, Relay::start_on(backend, more).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tells_the_other_nodes_of_sessions() {
    // Were they found by looking only, so many would take longer than the story may.
    let (first, second) = pair(&[("POSTHASTE_AUTH__KEYS_REFRESH_MS", "10000")]).await;
    for relay in [&first, &second] {
        let hears = |health: &Value| health["components"]["feed"]["ok"] == true;
        let api: &Api = &relay.api;
        api.until_get("/health", "the feed", hears).await;
    }
    soon("five sessions to come and go", async {
        for _ in 0..5 {
            comes_and_goes(&first, &second).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nodes_look_for_changed_sessions() {
    let more = [
        ("REDIS_URL", ""),
        ("POSTHASTE_AUTH__KEYS_REFRESH_MS", "100"),
    ];
    let (first, second) = pair(&more).await;
    soon("a session to come and go", comes_and_goes(&first, &second)).await;
}
