//! Signing in: who comes in, what they may, and when it ends.

use std::process::Stdio;
use std::sync::Arc;

use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::backend::Backend;
use crate::support::browser::{Answered, Browser, PASSWORD, ask};
use crate::support::looking::Looking;
use crate::support::process::command;
use crate::support::relay::{Api, KEY, rows, text};
use crate::support::{Process, Profile, Receiver, Relay, soon};

crate::stories!(
    the_relay_is_set_up_once,
    an_invitation_is_taken_once,
    what_a_user_does_is_noted_under_their_address,
    a_cookie_changes_nothing_for_other_sites,
    an_ended_session_is_ended_with_its_stream,
    a_session_may_what_its_user_may_now,
    a_keys_session_may_what_the_key_may_and_ends_with_it,
    the_last_who_administers_stays,
    who_tries_too_often_waits_and_keeps_nobody_out,
    nobody_learns_who_has_an_account,
    a_new_password_ends_the_other_sessions,
    everybody_sees_and_ends_their_own_sessions,
    sessions_survive_a_restart,
    a_tenants_administrator_has_no_users,
    a_cookie_by_https_is_for_https_alone,
    no_secret_is_anywhere_but_in_its_answer,
    the_setup_link_is_printed_where_there_is_no_user,
    the_command_line_makes_users_and_keeps_them_out,
);

const SESSION: &str = "/api/v1/session";
const USERS: &str = "/api/v1/users";

fn setup(token: &str) -> Value {
    json!({"token": token, "email": "Ada@Example.com", "name": "Ada", "password": PASSWORD})
}

async fn post(relay: &Relay, path: &str, body: &Value) -> Answered {
    ask(&relay.api.base, Method::POST, path, &[], Some(body)).await
}

async fn user(relay: &Relay, email: &str, role: &str) -> String {
    let body = json!({"email": email, "role": role, "password": PASSWORD});
    text(&relay.api.post(201, USERS, &body).await, "id").to_owned()
}

async fn the_relay_is_set_up_once(profile: Profile) {
    let relay = Relay::start(profile).await;
    let token = relay.engine().setup_token().unwrap().to_owned();
    let needed = async |relay: &Relay| {
        let answered = ask(&relay.api.base, Method::GET, "/api/v1/setup", &[], None).await;
        answered.body["needed"].as_bool().unwrap()
    };
    assert!(needed(&relay).await);
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    let newer = relay.engine().setup_token().unwrap().to_owned();
    assert_ne!(token, newer);
    // Several processes of the other profile may start at once, and each prints a link of its own.
    if profile == Profile::Embedded {
        let old = post(&relay, "/api/v1/setup", &setup(&token)).await;
        assert_eq!((old.status, old.code()), (403, "link-ended"));
    }
    for (field, value, named) in [
        ("password", "short", "12 to 256"),
        ("password", "ada@example.com", "more than"),
        ("email", "ada", "e-mail address"),
    ] {
        let mut body = setup(&newer);
        body[field] = json!(value);
        let refused = post(&relay, "/api/v1/setup", &body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(text(&refused.body, "error").contains(named), "{refused:?}");
    }
    let base = &relay.api.base;
    let ada = Browser::come_in(base, 201, "/api/v1/setup", &setup(&newer)).await;
    let shown = &ada.session;
    assert_eq!(shown["user"]["email"], "ada@example.com");
    assert_eq!(
        (&shown["user"]["role"], &shown["role"]),
        (&json!("admin"), &json!("admin"))
    );
    assert_eq!(
        (&shown["name"], &shown["key"]),
        (&json!("Ada"), &Value::Null)
    );
    assert_eq!(shown["tenant"], Value::Null);
    assert_eq!(shown["scopes"].as_array().unwrap().len(), 7);
    assert_eq!(ada.get(SESSION).await, *shown);
    assert!(!needed(&relay).await);
    let again = post(&relay, "/api/v1/setup", &setup(&newer)).await;
    assert_eq!((again.status, again.code()), (409, "conflict"));
    let relay = Relay::start_on(relay.stop().await, &[]).await;
    assert_eq!(relay.engine().setup_token(), None);
    let users = relay.api.get(USERS).await;
    assert_eq!(rows(&users).len(), 1);
    assert!(!users.to_string().contains("argon2"), "{users}");
}

async fn an_invitation_is_taken_once(profile: Profile) {
    let relay = Relay::start(profile).await;
    let body = json!({"email": "grace@example.com", "role": "operator"});
    let made = relay.api.post(201, USERS, &body).await;
    assert_eq!(
        (&made["state"], &made["name"]),
        (&json!("invited"), &json!("grace@example.com"))
    );
    let token = text(&made["invitation"], "token");
    let path = text(&made["invitation"], "path");
    assert_eq!(path, format!("/ui/invitation#token={token}"));
    let sign_in = json!({"email": "grace@example.com", "password": PASSWORD});
    let refused = post(&relay, SESSION, &sign_in).await;
    assert_eq!((refused.status, refused.code()), (401, "sign-in-refused"));
    // A setup is not what it is for.
    let refused = post(&relay, "/api/v1/setup", &setup(token)).await;
    assert_eq!(refused.status, 409, "there is a user");
    let take = json!({"token": token, "name": "Grace", "password": PASSWORD});
    let base = &relay.api.base;
    let grace = Browser::come_in(base, 200, "/api/v1/invitation", &take).await;
    assert_eq!(
        (&grace.session["name"], &grace.session["role"]),
        (&json!("Grace"), &json!("operator"))
    );
    let again = post(&relay, "/api/v1/invitation", &take).await;
    assert_eq!((again.status, again.code()), (403, "link-ended"));
    let id = text(&made, "id");
    let shown = relay.api.get(&format!("{USERS}/{id}")).await;
    assert_eq!(
        (&shown["state"], &shown["invitation"]),
        (&json!("active"), &Value::Null)
    );
    assert!(shown["lastSignInAt"].is_string());
    // Whoever lost the password gets another link; until it is taken, nothing changes.
    let other = relay
        .api
        .post(200, &format!("{USERS}/{id}/password"), &json!({}))
        .await;
    assert_eq!(grace.status(SESSION).await, 200);
    let token = text(&other["invitation"], "token");
    let take = json!({"token": token, "password": "another horse battery"});
    let again = Browser::come_in(base, 200, "/api/v1/invitation", &take).await;
    assert_eq!(again.session["name"], "Grace");
    assert_eq!(grace.status(SESSION).await, 401);
}

async fn what_a_user_does_is_noted_under_their_address(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let to = relay.api.subscribe(&receiver, json!({})).await;
    let operator = Browser::of_role(&relay, "operator").await;
    let viewer = Browser::of_role(&relay, "viewer").await;
    let pause = format!("{}/pause", to.path());
    let refused = viewer.call(Method::POST, &pause, None).await;
    assert_eq!((refused.status, refused.code()), (403, "missing-scope"));
    assert_eq!(viewer.get(&to.path()).await["state"], "active");
    assert_eq!(operator.call(Method::POST, &pause, None).await.status, 200);
    assert_eq!(viewer.get(&to.path()).await["state"], "paused");
    assert_eq!(operator.call(Method::GET, USERS, None).await.status, 403);
    let log = relay
        .api
        .get("/api/v1/audit?caller=operator@example.com")
        .await;
    let entry = |action: &str| {
        let found = rows(&log).iter().find(|entry| entry["action"] == action);
        found.unwrap_or_else(|| panic!("{action} is not in {log}"))
    };
    let paused = entry("subscription.pause");
    assert_eq!(paused["userId"], operator.session["user"]["id"]);
    assert_eq!(
        (&paused["keyId"], &paused["thingId"]),
        (&Value::Null, &json!(to.id))
    );
    assert_eq!(entry("session.create")["thingId"], operator.session["id"]);
    let made = relay.api.get("/api/v1/audit?action=user.create").await;
    let made = rows(&made);
    assert_eq!(made.len(), 2);
    assert_eq!(made[0]["changes"]["email"], "viewer@example.com");
    assert_eq!(made[0]["changes"]["password"], "***");
    assert_eq!(
        (&made[0]["userId"], &made[0]["caller"]),
        (&Value::Null, &json!("admin"))
    );
    assert!(made[0]["thingId"].is_string());
}

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

async fn the_last_who_administers_stays(profile: Profile) {
    let relay = Relay::start(profile).await;
    let ada = user(&relay, "ada@example.com", "admin").await;
    user(&relay, "bob@example.com", "operator").await;
    let path = format!("{USERS}/{ada}");
    for (method, body) in [
        (Method::DELETE, None),
        (Method::PATCH, Some(json!({"disabled": true}))),
        (Method::PATCH, Some(json!({"role": "operator"}))),
    ] {
        let refused = relay.api.expect(409, method, &path, body.as_ref()).await;
        assert!(
            text(&refused, "error").contains("last one who administers"),
            "{refused}"
        );
    }
    let grace = user(&relay, "grace@example.com", "admin").await;
    let body = json!({"role": "viewer"});
    relay
        .api
        .expect(200, Method::PATCH, &path, Some(&body))
        .await;
    let path = format!("{USERS}/{grace}");
    relay.api.expect(409, Method::DELETE, &path, None).await;
}

async fn who_tries_too_often_waits_and_keeps_nobody_out(profile: Profile) {
    let relay = Relay::start_with(
        profile,
        &[
            ("POSTHASTE_LIMITS__SIGN_IN_PER_ACCOUNT", "3/hour"),
            ("POSTHASTE_LIMITS__SIGN_IN_PER_ADDRESS", "6/hour"),
            ("POSTHASTE_SERVER__TRUSTED_PROXIES", "127.0.0.0/8"),
        ],
    )
    .await;
    user(&relay, "ada@example.com", "admin").await;
    let base = relay.api.base.clone();
    let from = async |address: &str, path: &str, body: Value| {
        let headers = [("x-forwarded-for", address)];
        ask(&base, Method::POST, path, &headers, Some(&body)).await
    };
    let sign_in = |email: &str, password: &str| json!({"email": email, "password": password});
    let right = sign_in("ada@example.com", PASSWORD);
    let wrong = sign_in("ADA@example.com", "wrong horse battery");
    // From here she signs in as always.
    assert_eq!(from("10.0.0.1", SESSION, right.clone()).await.status, 200);
    let mut statuses = Vec::new();
    for number in 2..6 {
        let address = format!("10.0.0.{number}");
        let answered = from(&address, SESSION, wrong.clone()).await;
        statuses.push((answered.status, answered.code().to_owned()));
        if answered.status == 429 {
            assert!(answered.retry_after.is_some());
        }
    }
    let refused = (401, "sign-in-refused".to_owned());
    let limited = (429, "too-many-sign-ins".to_owned());
    // Her own success was the first of three.
    assert_eq!(
        statuses,
        [refused.clone(), refused, limited.clone(), limited]
    );
    let kept_out = from("10.0.0.9", SESSION, right.clone()).await;
    assert_eq!(
        kept_out.status, 429,
        "else a right guess could be told from a wrong one"
    );
    let home = from("10.0.0.1", SESSION, right).await;
    assert_eq!(home.status, 200, "at home she is not kept out");
    let nobody = sign_in("nobody@example.com", PASSWORD);
    let mut statuses = Vec::new();
    for number in 20..24 {
        let address = format!("10.0.0.{number}");
        statuses.push(from(&address, SESSION, nobody.clone()).await.status);
    }
    assert_eq!(
        statuses,
        [401, 401, 401, 429],
        "whether there is one or not"
    );
    // One address is limited whatever it tries, links too.
    let link = json!({"token": "phl_x", "password": PASSWORD});
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(
            from("10.0.1.1", "/api/v1/invitation", link.clone())
                .await
                .status,
        );
    }
    assert_eq!(statuses, [403, 403, 403, 403, 403, 403, 429]);
    let limited = from("10.0.1.1", SESSION, json!({"key": KEY})).await;
    assert_eq!((limited.status, limited.code()), (429, "too-many-sign-ins"));
}

async fn nobody_learns_who_has_an_account(profile: Profile) {
    let relay = Relay::start(profile).await;
    user(&relay, "ada@example.com", "viewer").await;
    let invited = json!({"email": "invited@example.com", "role": "viewer"});
    relay.api.post(201, USERS, &invited).await;
    let mut answers = Vec::new();
    for email in [
        "ada@example.com",
        "nobody@example.com",
        "invited@example.com",
        "no address",
    ] {
        let body = json!({"email": email, "password": "wrong horse battery"});
        let mut answered = post(&relay, SESSION, &body).await;
        assert!(answered.body["instance"].take().is_string());
        assert_eq!(answered.cookie, None);
        answers.push((answered.status, answered.body));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
}

async fn a_new_password_ends_the_other_sessions(profile: Profile) {
    let relay = Relay::start(profile).await;
    let one = Browser::of_role(&relay, "viewer").await;
    let other = Browser::sign_in(&relay.api.base, "viewer@example.com", PASSWORD).await;
    let path = "/api/v1/session/password";
    let next = "another horse battery";
    for (current, password, place) in [
        ("wrong horse battery", next, "current"),
        (PASSWORD, "short", "password"),
        (PASSWORD, "viewer@example.com", "password"),
    ] {
        let body = json!({"current": current, "password": password});
        let refused = one.call(Method::POST, path, Some(&body)).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(refused.body["faults"][0]["path"], place);
    }
    assert_eq!(other.status(SESSION).await, 200);
    let body = json!({"current": PASSWORD, "password": next});
    assert_eq!(one.call(Method::POST, path, Some(&body)).await.status, 204);
    assert_eq!(one.status(SESSION).await, 200);
    assert_eq!(other.status(SESSION).await, 401);
    let old = json!({"email": "viewer@example.com", "password": PASSWORD});
    assert_eq!(post(&relay, SESSION, &old).await.status, 401);
    Browser::sign_in(&relay.api.base, "viewer@example.com", next).await;
    let log = relay.api.get("/api/v1/audit?action=session.password").await;
    assert_eq!(rows(&log)[0]["caller"], "viewer@example.com");
    assert!(!log.to_string().contains("horse"), "{log}");
    // An administrator's ends them all.
    let id = text(&one.session["user"], "id");
    let set = json!({"password": "a third horse battery"});
    relay
        .api
        .post(200, &format!("{USERS}/{id}/password"), &set)
        .await;
    assert_eq!(one.status(SESSION).await, 401);
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

async fn a_tenants_administrator_has_no_users(profile: Profile) {
    let relay = Relay::start(profile).await;
    let viewer = user(&relay, "viewer@example.com", "viewer").await;
    let key = json!({"name": "t", "preset": "admin", "tenant": "t"});
    let key = relay.api.post(201, "/api/v1/keys", &key).await;
    let browser = Browser::with_key(&relay.api.base, text(&key, "key")).await;
    let one = format!("{USERS}/{viewer}");
    let new = json!({"email": "a@b.c", "role": "admin"});
    for (method, path, body) in [
        (Method::POST, USERS, Some(&new)),
        (Method::GET, USERS, None),
        (Method::GET, &one, None),
        (Method::PATCH, &one, Some(&new)),
        (Method::DELETE, &one, None),
        (Method::POST, &format!("{one}/password"), Some(&new)),
    ] {
        let refused = browser.call(method.clone(), path, body).await;
        assert_eq!(
            (refused.status, refused.code()),
            (403, "forbidden"),
            "{method} {path}"
        );
    }
    let own = browser.get("/api/v1/sessions").await;
    assert_eq!(rows(&own).len(), 1);
    let inactive = json!({"id": "t", "status": "inactive"});
    relay.api.post(201, "/api/v1/tenants", &inactive).await;
    assert_eq!(
        browser.call(Method::GET, SESSION, None).await.code(),
        "inactive-tenant"
    );
    let refused = post(&relay, SESSION, &json!({"key": key["key"]})).await;
    assert_eq!((refused.status, refused.code()), (403, "inactive-tenant"));
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

async fn no_secret_is_anywhere_but_in_its_answer(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let logs = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(&backend, &[("POSTHASTE_LOG__FILTER", "trace")]);
    command.stderr(Stdio::from(logs.reopen().unwrap()));
    let process = Process::serving(command).await;
    let base = process.api.base.clone();
    let new = json!({"email": "told-apart@example.com", "role": "operator"});
    let made = process.api.post(201, USERS, &new).await;
    let link = text(&made["invitation"], "token").to_owned();
    let take = json!({"token": link, "password": PASSWORD});
    let browser = Browser::come_in(&base, 200, "/api/v1/invitation", &take).await;
    let wrong = "a wrong horse battery";
    let refused = json!({"email": "told-apart@example.com", "password": wrong});
    let refused = ask(&base, Method::POST, SESSION, &[], Some(&refused)).await;
    assert_eq!(refused.status, 401);
    let event = json!({"eventType": "a.b", "payload": 1});
    let sent = browser
        .call(Method::POST, "/api/v1/events", Some(&event))
        .await;
    assert_eq!(sent.status, 202);
    let next = "another horse battery";
    let change = json!({"current": PASSWORD, "password": next});
    let path = "/api/v1/session/password";
    assert_eq!(
        browser.call(Method::POST, path, Some(&change)).await.status,
        204
    );
    let shown = [
        process.api.get_text(USERS).await,
        process.api.get_text("/api/v1/sessions").await,
        process.api.get_text("/api/v1/audit").await,
    ];
    assert_eq!(process.terminate().await, Some(0));
    let log = std::fs::read_to_string(logs.path()).unwrap();
    let session = text(&browser.session, "id");
    assert!(
        log.contains(session),
        "the log tells that a session was opened"
    );
    let stored = stored(&backend).await;
    assert!(
        stored.contains("told-apart@example.com"),
        "the tables were looked at"
    );
    assert!(stored.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(!log.contains("$argon2id") && !shown.concat().contains("$argon2id"));
    for secret in [
        &link,
        browser.token(),
        &*browser.csrf,
        PASSWORD,
        wrong,
        next,
    ] {
        let hex = secret.bytes().map(|byte| format!("{byte:02x}"));
        for form in [secret.to_owned(), hex.collect()] {
            for (place, text) in [("log", &log), ("tables", &stored)] {
                assert!(!text.contains(&form), "{secret} stands in the {place}");
            }
            assert!(!shown.concat().contains(&form), "{secret} is shown");
        }
    }
}

/// All that a stopped relay keeps, as text.
async fn stored(backend: &Backend) -> String {
    let Some(url) = backend.database_url() else {
        let file = std::fs::read(backend.data_dir().join("posthaste.db")).unwrap();
        let log = std::fs::read(backend.data_dir().join("posthaste.db-wal")).unwrap_or_default();
        return String::from_utf8_lossy(&[file, log].concat()).into_owned();
    };
    let mut database = PgConnection::connect(&url).await.unwrap();
    let mut all = String::new();
    for table in ["users", "user_links", "sessions", "audit_log"] {
        let sql = AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM \"{table}\" AS t"));
        for row in sqlx::query(sql).fetch_all(&mut database).await.unwrap() {
            all.push_str(row.get::<&str, _>(0));
        }
    }
    all
}

/// What a relay prints until it has said all, what it logs, and its API.
async fn printed(backend: &Arc<Backend>, more: &[(&str, &str)]) -> (String, Printing) {
    let logs = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(backend, more);
    command.stderr(Stdio::from(logs.reopen().unwrap()));
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    soon("the welcome", async {
        // Its last line is how to look at deliveries.
        while !said.contains("/deliveries -H") {
            said.push_str(&lines.next_line().await.unwrap().expect("it ended"));
            said.push('\n');
        }
    })
    .await;
    (said, Printing { child, logs })
}

struct Printing {
    child: tokio::process::Child,
    logs: tempfile::NamedTempFile,
}

impl Printing {
    /// What it logged, once it is gone.
    async fn end(mut self) -> String {
        self.child.kill().await.unwrap();
        std::fs::read_to_string(self.logs.path()).unwrap()
    }
}

async fn the_setup_link_is_printed_where_there_is_no_user(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let trace = ("POSTHASTE_LOG__FILTER", "trace");
    let (said, process) = printed(&backend, &[trace, ("POSTHASTE_LOG__FORMAT", "json")]).await;
    assert!(
        !said.contains("token=") && said.contains("posthaste users create"),
        "{said}"
    );
    let log = process.end().await;
    assert!(!log.contains("phl_"), "{log}");

    let (said, process) = printed(&backend, &[trace]).await;
    let at = said.find("http://127.0.0.1:").unwrap();
    let base: String = said[at..]
        .chars()
        .take_while(|c| !c.is_whitespace())
        .collect();
    let (_, token) = said.split_once("/ui/setup#token=").expect(&said);
    let token: String = token.chars().take_while(|c| !c.is_whitespace()).collect();
    assert_eq!(said.matches("phl_").count(), 1, "{said}");
    let ada = Browser::come_in(&base, 201, "/api/v1/setup", &setup(&token)).await;
    assert_eq!(ada.session["role"], "admin");
    let log = process.end().await;
    assert!(!log.contains("phl_") && !log.contains(&token));

    let (said, process) = printed(&backend, &[trace]).await;
    assert!(
        !said.contains("phl_") && !said.contains("first user"),
        "{said}"
    );
    process.end().await;
}

async fn the_command_line_makes_users_and_keeps_them_out(profile: Profile) {
    let relay = Relay::start(profile).await;
    let run = async |arguments: &[&str], input: &str| {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .args(["users", "--url", &relay.api.base])
            .args(arguments)
            .env_clear()
            .env("POSTHASTE_ADMIN_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let create = ["create", "--email", "ada@example.com", "--role", "admin"];
    let (code, said, problem) = run(
        &[&create[..], &["--stdin"]].concat(),
        "correct horse battery\n",
    )
    .await;
    assert_eq!(code, Some(0), "{problem}");
    assert!(
        said.contains("made ada@example.com") && !said.contains("horse"),
        "{said}"
    );
    let base = &relay.api.base;
    let ada = Browser::sign_in(base, "ada@example.com", PASSWORD).await;
    let create = [
        "create",
        "--email",
        "bob@example.com",
        "--name",
        "Bob",
        "--role",
        "viewer",
    ];
    let (_, said, _) = run(&create, "").await;
    let link = format!("{base}/ui/invitation#token=");
    let (_, token) = said.split_once(&link).expect(&said);
    let take = json!({"token": token.split_whitespace().next(), "password": PASSWORD});
    let bob = Browser::come_in(base, 200, "/api/v1/invitation", &take).await;
    let (_, said, _) = run(&["list"], "").await;
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.contains("Bob") && said.contains("viewer  active"),
        "{said}"
    );
    let (_, said, _) = run(&["list", "--json"], "").await;
    let listed: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(listed[1]["email"], "ada@example.com");
    let (code, _, _) = run(&["disable", "BOB@example.com"], "").await;
    assert_eq!((code, bob.status(SESSION).await), (Some(0), 401));
    let (code, said, _) = run(&["disable", "bob@example.com", "--undo"], "").await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said, _) = run(&["password", "bob@example.com"], "").await;
    assert_eq!(code, Some(0));
    assert!(said.contains(&link), "{said}");
    let next = ["password", "ada@example.com", "--stdin"];
    let (code, said, _) = run(&next, "another horse battery").await;
    assert_eq!((code, ada.status(SESSION).await), (Some(0), 401), "{said}");
    Browser::sign_in(base, "ada@example.com", "another horse battery").await;
    for (wrong, input, told) in [
        (
            ["disable", "ada@example.com"].as_slice(),
            "",
            "last one who administers",
        ),
        (&["disable", "nobody@example.com"], "", "there is no user"),
        (
            &["password", "bob@example.com", "--stdin"],
            "short",
            "12 to 256",
        ),
        (
            &["create", "--email", "x", "--role", "viewer"],
            "",
            "e-mail address",
        ),
        (
            &["create", "--email", "a@b.c", "--role", "root"],
            "",
            "operator",
        ),
    ] {
        let (code, _, problem) = run(wrong, input).await;
        assert_ne!(code, Some(0), "{wrong:?}");
        assert!(problem.contains(told), "{wrong:?}: {problem}");
    }
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
