//! The bodies that are read by hand, as types that nobody makes: the schemas of what
//! `event_input.rs`, `subscription_input.rs` and `job_input.rs` take. `tests/relay/described.rs`
//! holds them to the readers.

#![expect(dead_code, reason = "only their schemas are used")]

mod administration;
mod signing_in;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use administration::{
    EventTypeBody, NewEventTypeBody, NewKeyBody, TenantBody, TenantStatusWord,
};
pub use signing_in::{
    InvitationBody, NewPasswordBody, NewUserBody, SetupBody, SignInBody, UserChangeBody,
    UserPasswordBody,
};

use crate::domain::Timestamp;
use crate::domain::breaker::BreakerSpec;
use crate::domain::deactivation::DeactivationSpec;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::EventId;
use crate::domain::ordering::{Ordering, OrderingFailure};
use crate::domain::own_signature::{Encoding, MOST_OWN, Mode, OwnSignature, OwnSignatures, Signed};
use crate::domain::payload_format::PayloadFormat;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::RetryPolicySpec;
use crate::domain::signature::Scheme;
use crate::domain::signing::SecretOwner;
use crate::http::own_headers::{MAX_HEADERS, MAX_NAME_BYTES, MAX_VALUE_BYTES};

/// An event as it is sent: `payload` or `data`, which mean the same, is required. Fields that are
/// not known are passed over.
#[derive(ToSchema)]
#[schema(as = NewEvent)]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    /// Segments of letters, digits, `_` and `-`, parted by dots; `posthaste` is kept as a first one.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?!posthaste(\.|$))[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        examples("order.created")
    )]
    event_type: String,
    /// Any JSON, nested at most 64 levels deep; receivers get these bytes.
    payload: Option<Value>,
    /// The same as `payload`.
    data: Option<Value>,
    /// For people.
    #[schema(min_length = 1, max_length = 255)]
    event_name: Option<String>,
    /// Who sent it.
    #[schema(min_length = 1, max_length = 255)]
    source: Option<String>,
    /// The same key with the same content again is answered with the first event's id.
    #[schema(min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
    /// What is delivered in order, where a subscription orders by key.
    #[schema(min_length = 1, max_length = 255)]
    ordering_key: Option<String>,
    /// Whose event it is.
    #[schema(min_length = 1, max_length = 255)]
    tenant: Option<String>,
    /// The same as `tenant`.
    #[schema(min_length = 1, max_length = 255)]
    client_id: Option<String>,
    /// When it happened, where that was earlier.
    occurred_at: Option<Timestamp>,
}

/// One event or a batch of them.
pub struct EventsBody;

impl PartialSchema for EventsBody {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(EventBody::name());
        let batch = ArrayBuilder::new()
            .items(one.clone())
            .min_items(Some(1))
            .description(Some("At most `events.max_batch` of them."));
        OneOfBuilder::new().item(one).item(batch).into()
    }
}

impl ToSchema for EventsBody {
    fn name() -> Cow<'static, str> {
        "NewEvents".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((EventBody::name().into(), EventBody::schema()));
        EventBody::schemas(schemas);
    }
}

/// A change of a subscription: what is given is merged in; a setting that is null returns to the
/// default.
#[derive(ToSchema)]
#[schema(as = SubscriptionChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionBody {
    /// For people.
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    /// Where deliveries go: https, or http where the relay allows it.
    #[schema(
        min_length = 8,
        max_length = 2048,
        format = "uri",
        nullable = false,
        examples("https://hrms.example.com/webhooks")
    )]
    url: Option<String>,
    #[schema(schema_with = patterns)]
    event_types: Option<Vec<String>>,
    #[schema(schema_with = own_headers)]
    headers: Option<BTreeMap<String, String>>,
    retry_policy: Option<RetryPolicySpec>,
    /// The total deadline of an attempt.
    #[schema(minimum = 100, maximum = 60_000)]
    timeout_ms: Option<u64>,
    /// Attempts in flight at most; the node's own bounds may be lower.
    #[schema(minimum = 1, maximum = 1_000)]
    max_in_flight: Option<u32>,
    rate_limit: Option<RateLimit>,
    breaker: Option<BreakerSpec>,
    ordering: Option<Ordering>,
    ordering_failure: Option<OrderingFailure>,
    deactivation: Option<DeactivationSpec>,
    /// False pauses, true resumes.
    #[schema(nullable = false)]
    is_active: Option<bool>,
    /// The body that receivers get.
    payload_format: Option<PayloadFormat>,
    #[schema(schema_with = signatures)]
    signature: Option<OwnSignatures>,
    /// Whose secrets sign: its own, or those of its tenant.
    secret_from: Option<SecretOwner>,
    /// May come back as it is and changes nothing.
    signing: Option<Scheme>,
    /// Whose it is: events of other tenants do not reach it.
    #[schema(min_length = 1, max_length = 255)]
    client_id: Option<String>,
    /// The same as `clientId`.
    #[schema(min_length = 1, max_length = 255)]
    tenant: Option<String>,
    /// May come back as it is and changes nothing.
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// A new subscription: a change, of which some must be given.
pub struct NewSubscriptionBody;

impl PartialSchema for NewSubscriptionBody {
    fn schema() -> RefOr<Schema> {
        let mut schema = SubscriptionBody::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.description = Some(
                "A new subscription; a setting that is null or not given follows the default."
                    .into(),
            );
            let own = "A secret made elsewhere: `whsec_` and base64 of 24 to 64 bytes, or any 8 to \
                       512 bytes of text. By default one is made, or the tenant's is taken.";
            let secret = nullable_text().min_length(Some(8)).max_length(Some(512));
            let secret = secret.description(Some(own));
            object.properties.insert("secret".into(), secret.into());
            if let Some(RefOr::T(Schema::OneOf(signing))) = object.properties.get_mut("signing") {
                signing.description = Some("How the secret that is made signs.".into());
            }
            object.required = ["name", "url", "eventTypes"].map(str::to_owned).to_vec();
        }
        schema
    }
}

impl ToSchema for NewSubscriptionBody {
    fn name() -> Cow<'static, str> {
        "NewSubscription".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        SubscriptionBody::schemas(schemas);
    }
}

/// A token as RFC 9110 has it.
const HEADER_NAME: &str = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
const PATTERN: &str = r"^([A-Za-z0-9_-]+|\*)(\.([A-Za-z0-9_-]+|\*))*$";

fn pattern() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some(PATTERN))
        .examples(["candidate.*"])
}

/// One pattern or several.
fn patterns() -> Schema {
    let several = ArrayBuilder::new()
        .items(pattern())
        .min_items(Some(1))
        .max_items(Some(100));
    let text = "Event types, or patterns: `*` stands for one segment, as the last one for one or \
                more; alone it matches all but Posthaste's own events.";
    OneOfBuilder::new()
        .item(several)
        .item(pattern())
        .description(Some(text))
        .into()
}

fn nullable_text() -> ObjectBuilder {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types)
}

/// Headers of a subscription's own.
fn own_headers() -> Schema {
    let names = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_NAME_BYTES))
        .pattern(Some(HEADER_NAME));
    let value = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_VALUE_BYTES))
        .pattern(Some(r"^[\t -~]*$"));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(Schema::from(names)))
        .additional_properties(Some(value))
        .max_properties(Some(MAX_HEADERS))
        .description(Some(
            "Sent with every delivery. Names ignore case, and cannot be those of the connection's \
             or of Posthaste's own headers. `********` keeps the stored value.",
        ))
        .into()
}

/// A known system, whose signature header it is then.
fn preset() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(OwnSignature::PRESETS.map(|(name, ..)| name)))
}

fn known_system() -> Schema {
    preset()
        .description(Some("A known system, whose header it is then."))
        .into()
}

/// A header, or the name of a known system's.
fn signature_or_preset() -> OneOfBuilder {
    OneOfBuilder::new()
        .item(preset())
        .item(Ref::from_schema_name(SignatureBody::name()))
}

/// What `signature` may be.
fn signatures() -> Schema {
    let several = |least| {
        ArrayBuilder::new()
            .items(signature_or_preset())
            .min_items(Some(least))
            .max_items(Some(MOST_OWN))
    };
    let with_mode = |mode: &[Option<Mode>], least| {
        let null = mode.contains(&None).then_some(Type::Null);
        let types = SchemaType::from_iter(null.into_iter().chain([Type::String]));
        let words = mode.iter().map(|mode| mode.map(Mode::as_str));
        let mode = ObjectBuilder::new()
            .schema_type(types)
            .enum_values(Some(words.map(Value::from).collect::<Vec<_>>()));
        ObjectBuilder::new()
            .property("mode", mode)
            .property("headers", several(least))
            .required("headers")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
    };
    let beside = with_mode(&[Some(Mode::Beside), None], 0);
    let instead = with_mode(&[Some(Mode::Instead)], 1).required("mode");
    let text = "Signature headers beside the standard ones, or instead of them (`mode`): one, \
                several, or names of known systems. Null for none.";
    OneOfBuilder::new()
        .item(preset())
        .item(Ref::from_schema_name(LoneSignatureBody::name()))
        .item(several(0))
        .item(beside)
        .item(instead)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some(text))
        .into()
}

/// A signature header; what is not given follows the preset.
#[derive(ToSchema)]
#[schema(as = NewSignatureHeader)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureBody {
    #[schema(schema_with = known_system)]
    preset: Option<String>,
    /// Its name; required where there is no preset.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        nullable = false,
        examples("x-hub-signature-256")
    )]
    header: Option<String>,
    /// How the signature is written.
    encoding: Option<Encoding>,
    /// What is signed.
    signs: Option<Signed>,
    /// What stands before it.
    #[schema(max_length = 64, pattern = "^[!-~]*$", examples("sha256="))]
    prefix: Option<String>,
    /// A header with the unix timestamp of the attempt.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
    )]
    timestamp_header: Option<String>,
}

/// The only signature header, which says itself whether the standard ones are sent too.
pub struct LoneSignatureBody;

impl PartialSchema for LoneSignatureBody {
    fn schema() -> RefOr<Schema> {
        let mut schema = SignatureBody::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let text = "The only signature header of a subscription.";
            object.description = Some(text.into());
            let words = Mode::ALL.map(|mode| Value::from(mode.as_str()));
            let mode = ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .enum_values(Some(words.into_iter().chain([Value::Null])))
                .description(Some("Whether the standard headers are sent too."));
            object.properties.insert("mode".into(), mode.into());
        }
        schema
    }
}

impl ToSchema for LoneSignatureBody {
    fn name() -> Cow<'static, str> {
        "LoneSignatureHeader".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        SignatureBody::schemas(schemas);
    }
}

/// A secret that replaces the one that is there; all of it may be left out.
#[derive(ToSchema)]
#[schema(as = Rotation)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotationBody {
    /// A secret made elsewhere: `whsec_` and base64 of 24 to 64 bytes, or any 8 to 512 bytes of
    /// text. By default one is made.
    #[schema(min_length = 8, max_length = 512)]
    secret: Option<String>,
    /// How the secret that is made signs; by default as the one before.
    signing: Option<Scheme>,
    /// How long the old one signs too, in seconds; by default `secrets.overlap_ms` says.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<u64>,
}

/// A tenant's secret, or one that replaces it; all of it may be left out. It is never a key pair:
/// subscriptions of a tenant may have signature headers of their own.
#[derive(ToSchema)]
#[schema(as = TenantRotation)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantRotationBody {
    /// A secret made elsewhere: `whsec_` and base64 of 24 to 64 bytes, or any 8 to 512 bytes of
    /// text. By default one is made.
    #[schema(min_length = 8, max_length = 512)]
    secret: Option<String>,
    /// `hmac-sha256` and nothing else.
    #[schema(schema_with = shared_scheme)]
    signing: Option<Scheme>,
    /// How long the old one signs too, in seconds; by default `secrets.overlap_ms` says.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<u64>,
}

fn shared_scheme() -> Schema {
    nullable_text()
        .enum_values(Some([Scheme::Shared.as_str().into(), Value::Null]))
        .description(Some("`hmac-sha256` and nothing else."))
        .into()
}

/// What becomes of what was held.
#[derive(ToSchema)]
#[schema(as = Reactivation)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReactivationBody {
    /// `send` (the default) or `skip`.
    #[schema(value_type = HeldWord, required = false)]
    held: Option<String>,
}

/// What becomes of what was held.
#[derive(ToSchema)]
#[schema(as = Held, rename_all = "lowercase")]
pub enum HeldWord {
    Send,
    Skip,
}

/// Which deliveries are to be sent again.
#[derive(ToSchema)]
#[schema(as = RetryFailed)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryFailedBody {
    /// Made at that moment or later; in the past.
    since: Timestamp,
    /// Made before that moment; by default now.
    #[schema(nullable = false)]
    until: Option<Timestamp>,
    /// By default failed and expired ones.
    #[schema(value_type = Vec<Retriable>, required = false, min_items = 1, max_items = 4)]
    states: Option<Vec<DeliveryState>>,
    /// Deliveries a second at most; the relay's own bound (`jobs.max_rate`) may be lower.
    #[schema(minimum = 1, maximum = 100_000, nullable = false)]
    rate: Option<u32>,
    /// Only say what would be done.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

/// What can be sent again in bulk.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Retriable {
    Failed,
    Expired,
    Skipped,
    Cancelled,
}

/// Which events are to be replayed: those named, or those of a stretch of time.
#[derive(ToSchema)]
#[schema(as = Replay)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayBody {
    /// These and no others; nothing but `rate` and `dryRun` can stand beside them.
    #[schema(value_type = Vec<EventId>, required = false, min_items = 1, max_items = 1_000)]
    event_ids: Option<Vec<EventId>>,
    /// By default the subscription's own.
    #[schema(schema_with = patterns)]
    event_types: Option<Vec<String>>,
    /// Received at that moment or later; required where there are no `eventIds`.
    #[schema(nullable = false)]
    since: Option<Timestamp>,
    /// Received before that moment; by default now.
    #[schema(nullable = false)]
    until: Option<Timestamp>,
    /// Deliveries a second at most; the relay's own bound (`jobs.max_rate`) may be lower.
    #[schema(minimum = 1, maximum = 100_000, nullable = false)]
    rate: Option<u32>,
    /// Only say what would be done.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

/// What a test sends; an absent body sends a sample.
#[derive(ToSchema)]
#[schema(as = NewTestSend)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestSendBody {
    /// As in an event; without it, the first type that the subscription names.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^(?!posthaste(\.|$))[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        examples("job.created")
    )]
    event_type: Option<String>,
    /// Any JSON, nested at most 64 levels deep.
    payload: Option<Value>,
    /// The same as `payload`; one of the two.
    data: Option<Value>,
}
