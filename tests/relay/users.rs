//! Users: how they come in, what they may, and who keeps them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::{Answered, Browser, PASSWORD, ask};
use crate::support::relay::{KEY, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    the_relay_is_set_up_once,
    an_invitation_is_taken_once,
    what_a_user_does_is_noted_under_their_address,
    the_last_who_administers_stays,
    who_tries_too_often_waits_and_keeps_nobody_out,
    nobody_learns_who_has_an_account,
    a_new_password_ends_the_other_sessions,
    a_stolen_cookie_guesses_no_more_from_everywhere_than_from_one_place,
    a_tenants_administrator_has_no_users,
);

pub const SESSION: &str = "/api/v1/session";

pub const USERS: &str = "/api/v1/users";

pub fn setup(token: &str) -> Value {
    json!({"token": token, "email": "Ada@Example.com", "name": "Ada", "password": PASSWORD})
}

pub async fn post(relay: &Relay, path: &str, body: &Value) -> Answered {
    ask(&relay.api.base, Method::POST, path, &[], Some(body)).await
}

pub async fn user(relay: &Relay, email: &str, role: &str) -> String {
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

async fn a_stolen_cookie_guesses_no_more_from_everywhere_than_from_one_place(profile: Profile) {
    let more = [
        ("POSTHASTE_LIMITS__SIGN_IN_PER_ACCOUNT", "3/hour"),
        ("POSTHASTE_SERVER__TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let ada = Browser::of_role(&relay, "operator").await;
    let guess = json!({"current": "wrong horse battery", "password": "another horse battery"});
    let mut statuses = Vec::new();
    for number in 1..6 {
        let address = format!("10.0.0.{number}");
        let headers = [
            ("cookie", &*ada.cookie),
            ("x-csrf-token", &*ada.csrf),
            ("x-forwarded-for", &*address),
        ];
        let path = "/api/v1/session/password";
        let answered = ask(&ada.base, Method::POST, path, &headers, Some(&guess)).await;
        statuses.push(answered.status);
    }
    // Signing in was the first of three from elsewhere.
    assert_eq!(statuses, [400, 400, 429, 429, 429]);
    // Where she signs in from she is not kept from it.
    let right = json!({"current": PASSWORD, "password": "another horse battery"});
    let changed = ada.call(Method::POST, "/api/v1/session/password", Some(&right));
    assert_eq!(changed.await.status, 204);
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
