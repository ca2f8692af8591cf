//! The secrets that sign deliveries: shown, replaced, and held by tenants.
//!
//! A secret is shown by the answer that made it and by its own routes, nowhere else. The private
//! half of a key pair is shown by none.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Asking;
use super::bare::NoQuery;
use super::belonging;
use super::body;
use super::error::{ApiError, Fault, Problem, Result};
use super::json_fields::Fields;
use super::openapi::bodies::{RotationBody, TenantRotationBody};
use super::path::{PathId, PathName};
use super::subscription_input::{OfTenant, SecretInput, checked_whole};
use super::subscriptions::update;
use super::to_the_end::to_the_end;
use super::{HttpState, ShowsSecret};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::id::SubscriptionId;
use crate::domain::signature::{Scheme, SigningSecret};
use crate::domain::signing::{LONGEST_OVERLAP, RotationRefused, SecretOwner, SigningSecrets};
use crate::domain::subscription::Subscription;
use crate::store::Kept;

const MAX_BODY_BYTES: usize = 16 * 1024;
/// How often a change reads again after somebody else's.
const MAX_REREADS: usize = 10;

/// The secrets that sign now, the newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Secrets)]
struct SecretsView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<SubscriptionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SecretOwner, required = false)]
    secret_from: Option<&'static str>,
    /// The newest; null where it is a key pair.
    secret: Option<&'a str>,
    #[schema(value_type = Scheme)]
    signing: &'static str,
    /// Of a key pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_key: Option<String>,
    secrets: Vec<LiveView<'a>>,
}

/// One secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LiveSecret)]
struct LiveView<'a> {
    secret: Option<&'a str>,
    #[schema(value_type = Scheme)]
    signing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_key: Option<String>,
    /// It signs until then; null for the newest.
    until: Option<Timestamp>,
}

impl<'a> SecretsView<'a> {
    fn new(secrets: &'a SigningSecrets, now: Timestamp) -> Self {
        let newest = secrets.newest();
        let live = secrets.live_at(now).map(|live| LiveView {
            secret: live.secret.handed_out(),
            signing: live.secret.scheme().as_str(),
            public_key: live.secret.public_key(),
            until: live.until,
        });
        Self {
            id: None,
            client_id: None,
            secret_from: None,
            secret: newest.handed_out(),
            signing: newest.scheme().as_str(),
            public_key: newest.public_key(),
            secrets: live.collect(),
        }
    }

    fn of_subscription(subscription: &'a Subscription) -> Self {
        Self {
            id: Some(subscription.id),
            secret_from: Some(subscription.signing.owner.as_str()),
            ..Self::new(subscription.signing.secrets(), clock::now())
        }
    }

    fn of_tenant(tenant: &'a str, secrets: &'a SigningSecrets) -> Self {
        Self {
            client_id: Some(tenant),
            ..Self::new(secrets, clock::now())
        }
    }

    fn answer(self, code: StatusCode) -> Response {
        (code, Extension(ShowsSecret), Json(self)).into_response()
    }
}

/// What a rotation asks for.
#[derive(Debug)]
struct Rotation {
    input: SecretInput,
    overlap: Option<Duration>,
}

impl Rotation {
    /// Reads a body, which may be absent.
    fn parse(body: &[u8]) -> std::result::Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body_or_none(body).map_err(|fault| vec![fault])?;
        let input = SecretInput::read(&mut fields);
        let longest = LONGEST_OVERLAP.as_secs();
        let overlap = fields.nullable("overlapSeconds", |fields, name| {
            fields.whole(name, 0..=longest).map(Duration::from_secs)
        });
        match fields.finish() {
            faults if faults.is_empty() => Ok(Self {
                input,
                overlap: overlap.flatten(),
            }),
            faults => Err(faults),
        }
    }
}

fn refused(refused: RotationRefused) -> ApiError {
    match refused {
        RotationRefused::InUse => ApiError::conflict(
            "This secret is in use already: give another, or none to have one made",
        ),
        RotationRefused::TooMany(end) => ApiError::conflict(format!(
            "As many secrets sign as may at the same time: wait until {end}, or set overlapSeconds \
             to 0, which ends all but the new one"
        )),
    }
}

/// `GET /subscriptions/{id}/secret`.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/secret",
    tag = "subscriptions",
    operation_id = "secret",
    summary = "Show a subscription's secrets",
    description = "Every secret that signs its deliveries now, the newest first. That it was shown is noted in the audit log.",
    responses((status = 200, description = "The secrets.", body = SecretsView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
) -> Result<Response> {
    let found = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    Ok(SecretsView::of_subscription(&found).answer(StatusCode::OK))
}

/// `POST /subscriptions/{id}/rotate-secret`.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/rotate-secret",
    tag = "subscriptions",
    operation_id = "rotate_secret",
    summary = "Replace a subscription's secret",
    description = "Until the overlap has passed, deliveries are signed with the old secret too.",
    request_body(content = Option<RotationBody>, example = json!({"overlapSeconds": 3600})),
    responses(
        (status = 200, description = "The secrets that sign now, the newest first.", body = SecretsView),
        (status = 409, description = "It signs with the secret of its tenant, this secret is in use already, or as many sign as may at the same time."),
    )
)]
pub async fn rotate(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let rotation = Rotation::parse(&body).map_err(ApiError::invalid_body)?;
    let overlap = rotation.overlap.unwrap_or(app.settings.secrets.overlap);
    let random = clock::random_bytes();
    let rotated = move |stored: &Subscription| {
        if stored.signing.owner == SecretOwner::Tenant {
            return Err(ApiError::conflict(
                "This subscription signs with the secret of its tenant: replace that (POST \
                 /tenants/{id}/secret), or set secretFrom to subscription first",
            ));
        }
        let own = &stored.signing.own;
        let secret = rotation.input.secret(own.newest().scheme(), random);
        let mut next = stored.clone();
        next.signing.own = own
            .rotated(secret, overlap, clock::now())
            .map_err(refused)?;
        next.updated_at = clock::now();
        checked_whole(next).map_err(ApiError::invalid_body)
    };
    let task = app.clone();
    let stored =
        to_the_end(async move { update(&task, &caller, SubscriptionId(id), rotated).await })
            .await?;
    Ok(SecretsView::of_subscription(&stored).answer(StatusCode::OK))
}

/// The secrets of that tenant, where this caller may know of them and there are any.
pub(super) async fn of_tenant(
    app: &HttpState,
    caller: &Caller,
    tenant: Option<&Arc<str>>,
) -> Result<Option<OfTenant>> {
    let Some(tenant) = tenant.filter(|tenant| caller.sees(Some(tenant))) else {
        return Ok(None);
    };
    let stored = app.store.tenant_secrets(tenant).await?;
    Ok(stored.map(|stored| (Arc::clone(tenant), stored.secrets)))
}

/// A tenant's name in a path, where this caller may know of it.
fn tenant_seen(caller: &Caller, tenant: String) -> Result<String> {
    match caller.sees(Some(&tenant)) {
        true => Ok(tenant),
        false => Err(ApiError::not_found("tenant")),
    }
}

/// `GET /tenants/{id}/secret`.
#[utoipa::path(
    get,
    path = "/tenants/{id}/secret",
    tag = "tenants",
    operation_id = "secret",
    summary = "Show a tenant's secrets",
    description = "Those that subscriptions of it sign with whose `secretFrom` is `tenant`. The tenant need not be registered.",
    params(("id" = String, Path, description = "The tenant's id, as events carry it.", min_length = 1, max_length = 255)),
    responses((status = 200, description = "The secrets that sign now, the newest first.", body = SecretsView))
)]
pub async fn show_of_tenant(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathName(tenant): PathName,
) -> Result<Response> {
    let tenant = tenant_seen(&caller, tenant)?;
    let stored = app.store.tenant_secrets(&tenant).await?;
    let stored = stored.ok_or_else(|| {
        ApiError::new(
            Problem::NotFound,
            "This tenant holds no secret: POST gives it one",
        )
    })?;
    Ok(SecretsView::of_tenant(&tenant, &stored.secrets).answer(StatusCode::OK))
}

/// `POST /tenants/{id}/secret`: the first one, or one that replaces it.
#[utoipa::path(
    post,
    path = "/tenants/{id}/secret",
    tag = "tenants",
    operation_id = "rotate_secret",
    summary = "Give a tenant a secret, or replace it",
    description = "Until the overlap has passed, deliveries are signed with the old secret too. A tenant's secret is never a key pair.",
    params(("id" = String, Path, description = "The tenant's id, as events carry it.", min_length = 1, max_length = 255)),
    request_body(content = Option<TenantRotationBody>, example = json!({"overlapSeconds": 3600})),
    responses(
        (status = 200, description = "The secrets that sign now, the newest first.", body = SecretsView),
        (status = 201, description = "The tenant's first secret.", body = SecretsView),
        (status = 409, description = "This secret is in use already, or as many sign as may at the same time."),
    )
)]
pub async fn rotate_of_tenant(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathName(tenant): PathName,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let tenant = tenant_seen(&caller, tenant)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let rotation = Rotation::parse(&body).map_err(ApiError::invalid_body)?;
    if rotation.input.scheme == Some(Scheme::Ed25519) {
        let problem = "must be hmac-sha256: subscriptions of a tenant may have signature headers of \
                       their own, which need a shared secret";
        return Err(ApiError::invalid_body(vec![Fault::new("signing", problem)]));
    }
    let overlap = rotation.overlap.unwrap_or(app.settings.secrets.overlap);
    let secret = rotation.input.secret(Scheme::Shared, clock::random_bytes());
    let task = app.clone();
    let name = tenant.clone();
    let (code, secrets) =
        to_the_end(async move { replace(&task, &name, secret, overlap).await }).await?;
    Ok(SecretsView::of_tenant(&tenant, &secrets).answer(code))
}

async fn replace(
    app: &HttpState,
    tenant: &str,
    secret: SigningSecret,
    overlap: Duration,
) -> Result<(StatusCode, SigningSecrets)> {
    for _ in 0..=MAX_REREADS {
        let now = clock::now();
        let stored = app.store.tenant_secrets(tenant).await?;
        let (next, replaced) = match &stored {
            None => (SigningSecrets::only(secret.clone()), 0),
            Some(stored) => {
                let next = stored.secrets.rotated(secret.clone(), overlap, now);
                (next.map_err(refused)?, stored.version)
            }
        };
        let kept = app.store.keep_tenant_secrets(tenant, &next, replaced, now);
        if let Kept::By(subscriptions) = kept.await? {
            // Told of one, a node takes up all that changed.
            if let Some(id) = subscriptions.first() {
                app.relay.subscription_changed(*id).await;
            }
            let code = match stored {
                None => StatusCode::CREATED,
                Some(_) => StatusCode::OK,
            };
            return Ok((code, next));
        }
    }
    Err(ApiError::conflict(
        "The secret of this tenant keeps being replaced by others; try again",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn reading_a_rotation_never_panics_and_never_says_the_secret(
            bytes in any::<Vec<u8>>(), text in any::<String>(), hidden in "[a-z]{12,40}",
        ) {
            let _ = Rotation::parse(&bytes);
            let _ = parse(json!({"secret": text, "signing": text}));
            for given in [hidden.clone(), format!("whsec_{hidden}")] {
                let said = match parse(json!({"secret": given, "overlapSeconds": 1})) {
                    Ok(rotation) => format!("{rotation:?}"),
                    Err(faults) => faults,
                };
                prop_assert!(!said.contains(&hidden), "{}", said);
            }
        }
    }

    fn parse(body: serde_json::Value) -> std::result::Result<Rotation, String> {
        Rotation::parse(body.to_string().as_bytes())
            .map_err(|faults| super::super::error::in_one_line(&faults))
    }

    #[test]
    fn a_rotation_is_read_whole_and_its_secret_never_said() {
        assert!(Rotation::parse(b"").unwrap().overlap.is_none());
        let given = parse(json!({"secret": "a-very-secret-text", "overlapSeconds": 0})).unwrap();
        assert_eq!(given.overlap, Some(Duration::ZERO));
        assert!(!format!("{given:?}").contains("a-very"));
        let imported = given.input.secret(Scheme::Shared, [1; 32]);
        assert_eq!(imported.expose(), "a-very-secret-text");
        let made = parse(json!({"signing": "ed25519"})).unwrap();
        let made = made.input.secret(Scheme::Shared, [1; 32]);
        assert_eq!(made.scheme(), Scheme::Ed25519);
        for (bad, said) in [
            (
                json!({"secret": "short"}),
                "secret must be 8 to 512 bytes of text, not 5",
            ),
            (
                json!({"secret": "whsec_hush"}),
                "secret must hold 24 to 64 bytes, not 3",
            ),
            (
                json!({"secret": "whsec_hush!"}),
                "secret must be 'whsec_' followed by",
            ),
            (json!({"secret": 1}), "secret must be a text"),
            (
                json!({"overlapSeconds": 2_592_001}),
                "overlapSeconds must be a whole number from 0",
            ),
            (json!({"overlapSeconds": -1}), "overlapSeconds must be"),
            (
                json!({"signing": "rsa"}),
                "signing must be one of hmac-sha256, ed25519",
            ),
            (
                json!({"signing": "ed25519", "secret": "long enough"}),
                "secret cannot be given",
            ),
            (json!({"overlap": 1}), "overlap is not known here"),
            (json!([]), "body must be an object"),
        ] {
            let faults = parse(bad.clone()).unwrap_err();
            assert!(faults.starts_with(said), "{bad}: {faults}");
            assert!(
                !faults.contains("hush") && !faults.contains("long enough"),
                "{faults}"
            );
        }
    }
}
