//! The reference page, and what browsers are told: it loads whole from the relay itself.

use reqwest::{Method, redirect};
use serde_json::json;

use crate::support::relay::KEY;
use crate::support::{Profile, Relay};

crate::stories!(
    the_page_loads_nothing_from_elsewhere,
    pages_of_allowed_origins_may_post_events,
    problems_are_answered_as_rfc_9457_has_them,
    the_dashboard_is_served_and_can_be_switched_off,
);

/// Addresses that a page's text loads.
fn loaded(html: &str) -> Vec<String> {
    ["src=\"", "href=\""]
        .iter()
        .flat_map(|mark| html.split(mark).skip(1))
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

async fn the_page_loads_nothing_from_elsewhere(profile: Profile) {
    let relay = Relay::start(profile).await;
    let base = &relay.api.base;
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    let short = client.get(format!("{base}/docs")).send().await.unwrap();
    assert_eq!(
        (
            short.status().as_u16(),
            &short.headers()["location"] == "/docs/"
        ),
        (308, true)
    );

    let page = reqwest::get(format!("{base}/docs/")).await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let html = page.text().await.unwrap();
    assert!(html.contains("swagger-ui"), "{html}");
    let files = loaded(&html);
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        assert!(!file.contains("//"), "{file} is elsewhere");
        let answer = reqwest::get(format!("{base}/docs/{}", file.trim_start_matches("./"))).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
        let media_type = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let expected = match file.rsplit('.').next().unwrap() {
            "css" => "text/css",
            "js" => "text/javascript",
            _ => "image/png",
        };
        assert!(media_type.starts_with(expected), "{file}: {media_type}");
        if expected == "text/css" {
            let css = answer.text().await.unwrap();
            let elsewhere = css
                .split("url(")
                .skip(1)
                .find(|url| !url.trim_start_matches('"').starts_with("data:"));
            assert!(
                elsewhere.is_none() && !css.contains("@import"),
                "{file} loads {elsewhere:?}"
            );
        }
    }
    let own = reqwest::get(format!("{base}/docs/swagger-initializer.js"))
        .await
        .unwrap();
    let own = own.text().await.unwrap();
    assert!(
        own.contains("\"/api/v1/openapi.json\"") && !own.contains("//petstore"),
        "{own}"
    );
    for path in ["/docs/nothing.js", "/docs/..%2fCargo.toml"] {
        let answer = reqwest::get(format!("{base}{path}")).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

/// What a binary holds depends on what was built before it; `make test` builds the dashboard, and says
/// so in the environment.
async fn the_dashboard_is_served_and_can_be_switched_off(profile: Profile) {
    let relay = Relay::start(profile).await;
    let base = &relay.api.base;
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    for path in ["/", "/ui"] {
        let moved = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(moved.status(), 308, "{path}");
        assert_eq!(moved.headers()["location"], "/ui/");
    }
    let mut pages = Vec::new();
    for path in ["/ui/", "/ui/events", "/ui/event-types/job.created"] {
        let page = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"));
        assert_eq!(page.headers()["x-frame-options"], "DENY");
        pages.push(page.text().await.unwrap());
    }
    assert!(pages.iter().all(|page| page == &pages[0]));
    let missing = client.get(format!("{base}/ui/assets/none.js")).send().await;
    assert_eq!(missing.unwrap().status(), 404);
    match std::env::var("POSTHASTE_TEST_DASHBOARD").is_ok() {
        false => assert!(pages[0].contains("make run") || pages[0].contains("id=\"root\"")),
        true => {
            assert!(
                pages[0].contains("id=\"root\""),
                "it is not built: {}",
                pages[0]
            );
            let files = loaded(&pages[0]);
            assert!(files.len() >= 4, "{files:?}");
            for file in files {
                assert!(file.starts_with("/ui/"), "{file} is elsewhere");
                let answer = client.get(format!("{base}{file}")).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{file}");
                let kept = answer.headers()["cache-control"].to_str().unwrap();
                assert_eq!(
                    kept.contains("immutable"),
                    file.contains("/assets/"),
                    "{file}"
                );
            }
        }
    }

    let off = Relay::start_with(profile, &[("POSTHASTE_DASHBOARD__ENABLED", "false")]).await;
    for path in ["/", "/ui", "/ui/", "/ui/events", "/ui/theme.js"] {
        let answer = client
            .get(format!("{}{path}", off.api.base))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

async fn pages_of_allowed_origins_may_post_events(profile: Profile) {
    let ours = "https://ops.example.com";
    let relay = Relay::start_with(profile, &[("POSTHASTE_SERVER__CORS_ORIGINS", ours)]).await;
    let url = format!("{}/api/v1/events", relay.api.base);
    let client = reqwest::Client::new();
    let preflight = client
        .request(Method::OPTIONS, &url)
        .header("origin", ours)
        .header("access-control-request-method", "POST")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], ours);
    for (origin, allowed) in [
        (Some(ours), true),
        (Some("https://evil.example.org"), false),
        (None, false),
    ] {
        let mut request = client.post(&url).header("x-api-key", KEY);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request
            .json(&json!({"eventType": "a", "data": 1}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
        let named = answer.headers().get("access-control-allow-origin");
        assert_eq!(named.is_some(), allowed, "{origin:?}");
        assert!(answer.headers().contains_key("x-request-id"));
    }
}

async fn problems_are_answered_as_rfc_9457_has_them(profile: Profile) {
    let relay = Relay::start(profile).await;
    for (method, path, body, status, code) in [
        (Method::POST, "/api/v1/events", "{}", 400, "invalid-body"),
        (Method::POST, "/api/events", "{", 400, "invalid-body"),
        (
            Method::POST,
            "/api/v1/events?x=1",
            "{}",
            400,
            "invalid-query",
        ),
        (
            Method::GET,
            "/api/v1/events?limit=0",
            "",
            400,
            "invalid-query",
        ),
        (Method::GET, "/api/v1/events/17", "", 404, "not-found"),
        (Method::GET, "/api/v1/nothing", "", 404, "no-such-route"),
        (
            Method::PATCH,
            "/api/v1/events",
            "",
            405,
            "method-not-allowed",
        ),
    ] {
        let request = relay
            .api
            .request(method, path)
            .header("x-request-id", "mine-1")
            .body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["x-request-id"], "mine-1");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{path}");
        assert_eq!(problem["type"], format!("urn:posthaste:problem:{code}"));
        assert_eq!(problem["instance"], "urn:posthaste:request:mine-1");
        assert_eq!(problem["error"], problem["detail"]);
        assert_eq!(
            problem["faults"].is_array(),
            code.starts_with("invalid"),
            "{path}"
        );
    }
}
