//! What administrators send: keys, users, tenants and event types, as `key_input.rs`, `user_input.rs`,
//! `tenant_input.rs` and `event_types.rs` read them.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::Timestamp;
use crate::domain::access::{Preset, Scope};
use crate::domain::tenant::IngestRate;

/// A new key: `scopes` or `preset` say what its holder may do.
#[derive(ToSchema)]
#[schema(as = NewKey)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKeyBody {
    /// For people.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// What its holder may do.
    #[schema(value_type = Vec<Scope>, required = false, min_items = 1)]
    scopes: Option<Vec<Scope>>,
    /// The same in a word.
    #[schema(nullable = false)]
    preset: Option<Preset>,
    /// Whose things its holder sees; by default everybody's, or those of the key that asks.
    #[schema(min_length = 1, max_length = 255)]
    tenant: Option<String>,
    /// The same as `tenant`.
    #[schema(min_length = 1, max_length = 255)]
    client_id: Option<String>,
    /// From when on it lets nobody in; by default never.
    expires_at: Option<Timestamp>,
}

/// A tenant, or a change of one: what is given is merged in.
#[derive(ToSchema)]
#[schema(as = TenantChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantBody {
    /// What events and subscriptions carry as `tenant` or `clientId`; it never changes. By default
    /// one is made.
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    id: Option<String>,
    /// For people; by default the id.
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    status: Option<TenantStatusWord>,
    /// Null lifts all of them.
    limits: Option<TenantLimitsBody>,
}

/// Whether a tenant may call: an inactive one's keys and events are refused.
#[derive(ToSchema)]
#[schema(as = TenantStatus, rename_all = "lowercase")]
pub enum TenantStatusWord {
    Active,
    Inactive,
}

/// What a tenant may at most; null lifts a limit.
#[derive(ToSchema)]
#[schema(as = TenantLimitsChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantLimitsBody {
    /// Events that its own keys may post.
    ingest_rate: Option<IngestRate>,
    /// Subscriptions that are not deleted.
    #[schema(minimum = 0, maximum = 1_000_000)]
    max_subscriptions: Option<u32>,
    /// Pending deliveries of each of its subscriptions.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    max_backlog: Option<u64>,
}

/// An event type, or a change of one; null takes away.
#[derive(ToSchema)]
#[schema(as = EventTypeChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventTypeBody {
    /// Cannot be changed; may come back as it is.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?!posthaste(\.|$))[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        nullable = false,
        examples("order.created")
    )]
    name: Option<String>,
    /// For people.
    #[schema(max_length = 4_096, pattern = r"^[^\u0000]*$")]
    description: Option<String>,
    /// A payload as it may look: any JSON of at most 64 KiB.
    #[schema(value_type = Value, required = false)]
    example: Option<Value>,
    /// A JSON Schema that the payloads of new events have to fit.
    #[schema(schema_with = json_schema)]
    schema: Option<Value>,
    /// Out of use: refused where unknown types are (`events.unknown_types`).
    #[schema(nullable = false)]
    archived: Option<bool>,
}

fn json_schema() -> Schema {
    let types = SchemaType::from_iter([Type::Object, Type::Boolean, Type::Null]);
    ObjectBuilder::new()
        .schema_type(types)
        .description(Some(
            "A JSON Schema that the payloads of new events have to fit.",
        ))
        .into()
}

/// A new event type: a change, of which the name must be given.
pub struct NewEventTypeBody;

impl PartialSchema for NewEventTypeBody {
    fn schema() -> RefOr<Schema> {
        let mut schema = EventTypeBody::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.description = Some("A new event type.".into());
            object.required = vec!["name".to_owned()];
        }
        schema
    }
}

impl ToSchema for NewEventTypeBody {
    fn name() -> Cow<'static, str> {
        "NewEventType".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        EventTypeBody::schemas(schemas);
    }
}
