//! How the node is, for load balancers and people. Needs no key.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::address::Peer;
use crate::actors::Health;

/// One part of the node.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Component)]
pub struct ComponentView {
    ok: bool,
    /// May name hosts and files: only for those who administer the relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

/// The whole node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    #[schema(value_type = HealthWord)]
    status: &'static str,
    role: &'static str,
    ready: bool,
    live: bool,
    #[schema(value_type = BTreeMap<String, ComponentView>)]
    components: BTreeMap<&'static str, ComponentView>,
}

impl HealthView {
    /// With what may name hosts and files, or without.
    pub fn new(health: &Health, with_details: bool) -> Self {
        let components = health.components.iter().map(|component| {
            let detail = with_details.then(|| component.detail.clone());
            let ok = component.ok;
            (component.name, ComponentView { ok, detail })
        });
        let all_ok = health.components.iter().all(|component| component.ok);
        Self {
            status: match (health.ready && health.live, all_ok) {
                (true, true) => "ok",
                (true, false) => "degraded",
                (false, _) => "unavailable",
            },
            role: health.role.as_str(),
            ready: health.ready,
            live: health.live,
            components: components.collect(),
        }
    }
}

/// How the whole is: `degraded` where a part is not well.
#[derive(ToSchema)]
#[schema(as = HealthStatus, rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum HealthWord {
    Ok,
    Degraded,
    Unavailable,
}

/// Yes or no.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum StatusWord {
    Ok,
    Unavailable,
}

/// One word.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusView {
    #[schema(value_type = StatusWord)]
    status: &'static str,
}

fn answer(good: bool) -> (StatusCode, Json<StatusView>) {
    let (code, status) = match good {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, Json(StatusView { status }))
}

/// `GET /health`: part by part.
#[utoipa::path(
    get,
    path = "/health",
    tag = "relay",
    operation_id = "health",
    summary = "How the node is, part by part",
    description = "With a key, each part says more.",
    responses(
        (status = 200, description = "It does its part.", body = HealthView),
        (status = 503, description = "It does not.", body = HealthView),
    )
)]
pub async fn overview(
    State(app): State<HttpState>,
    headers: HeaderMap,
    Peer(peer): Peer,
) -> (StatusCode, Json<HealthView>) {
    let health = app.relay.health().await;
    // A key that is none counts as tried here as everywhere.
    let caller = app.gate.let_in(&Method::GET, &headers, peer);
    let view = HealthView::new(&health, caller.is_ok_and(|caller| caller.administers_all()));
    let code = match health.ready && health.live {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(view))
}

/// `GET /dashboard/health`: the same, where older systems have it.
#[utoipa::path(
    get,
    path = "/api/v1/dashboard/health",
    tag = "dashboard",
    operation_id = "health",
    summary = "How the node is, part by part",
    description = "The same as `/health`. With a key, each part says more.",
    responses(
        (status = 200, description = "It does its part.", body = HealthView),
        (status = 503, description = "It does not.", body = HealthView),
    )
)]
pub async fn of_dashboard(
    app: State<HttpState>,
    headers: HeaderMap,
    peer: Peer,
) -> (StatusCode, Json<HealthView>) {
    overview(app, headers, peer).await
}

/// `GET /health/live`: whether the process can still heal itself.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "relay",
    summary = "Whether the process can still heal itself",
    responses(
        (status = 200, description = "It can.", body = StatusView),
        (status = 503, description = "It cannot: restart it.", body = StatusView),
    )
)]
pub async fn live(State(app): State<HttpState>) -> (StatusCode, Json<StatusView>) {
    answer(app.relay.is_live())
}

/// `GET /health/ready`: whether this process can do its part. Where its role is `deliver`, that
/// does not include events.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "relay",
    summary = "Whether the process can do its part",
    responses(
        (status = 200, description = "It can.", body = StatusView),
        (status = 503, description = "It cannot at the moment: send requests elsewhere.", body = StatusView),
    )
)]
pub async fn ready(State(app): State<HttpState>) -> (StatusCode, Json<StatusView>) {
    answer(app.relay.health().await.ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::Component;

    #[test]
    fn details_are_for_callers_with_the_key() {
        let health = Health {
            components: vec![Component {
                name: "store",
                ok: false,
                detail: "db-3 refuses".into(),
            }],
            ready: true,
            live: true,
            role: crate::settings::Role::All,
        };
        let shown =
            |with_details| serde_json::to_string(&HealthView::new(&health, with_details)).unwrap();
        assert_eq!(
            shown(false),
            r#"{"status":"degraded","role":"all","ready":true,"live":true,"components":{"store":{"ok":false}}}"#
        );
        assert!(shown(true).contains("db-3 refuses"));
    }
}
