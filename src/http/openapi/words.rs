//! Schemas of what the domain has names for: ids, moments, and the words of states.
//!
//! The words are taken from the domain's own lists, so that the document cannot lack one.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::Timestamp;
use crate::domain::access::{Preset, Scope};
use crate::domain::api_key::KeyState;
use crate::domain::breaker::BreakerState;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{
    ApiKeyId, AttemptId, DeliveryId, EventId, JobId, SessionId, SubscriptionId, UserId,
};
use crate::domain::job::JobState;
use crate::domain::node::NodeState;
use crate::domain::ordering::{Ordering, OrderingFailure};
use crate::domain::outcome::FailureKind;
use crate::domain::payload_format::PayloadFormat;
use crate::domain::search::StatusClass;
use crate::domain::signature::Scheme;
use crate::domain::signing::SecretOwner;
use crate::domain::statistics::Window;
use crate::domain::subscription::{ChangedBy, SubscriptionState};
use crate::domain::user::{Role, UserState};
use crate::stream::Kind;

const AN_ID: &str = "0190b5a0-7a3c-7c1e-9d52-3f1b0c5d8e21";
const A_MOMENT: &str = "2025-10-26T10:00:00.000Z";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

macro_rules! ids {
    ($($id:ident: $meaning:literal;)*) => {$(
        impl PartialSchema for $id {
            fn schema() -> RefOr<Schema> {
                text()
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
                    .description(Some($meaning))
                    .examples([AN_ID])
                    .into()
            }
        }

        impl ToSchema for $id {
            fn name() -> Cow<'static, str> {
                stringify!($id).into()
            }
        }
    )*};
}

ids! {
    EventId: "An event's id, `webhook-id` at its receivers.";
    SubscriptionId: "A subscription's id.";
    DeliveryId: "A delivery's id, made of its event's and its subscription's.";
    ApiKeyId: "A key's id.";
    AttemptId: "An attempt's id.";
    JobId: "A job's id.";
    UserId: "A user's id.";
    SessionId: "A session's id.";
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        text()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A moment as RFC 3339 has it, in UTC."))
            .examples([A_MOMENT])
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        "Timestamp".into()
    }
}

impl PartialSchema for StatusClass {
    fn schema() -> RefOr<Schema> {
        let statuses = (1..=5).map(|hundred| format!("{hundred}xx"));
        let kinds = FailureKind::ALL.map(|kind| kind.as_str().to_owned());
        let none = std::iter::once("none".to_owned());
        text()
            .enum_values(Some(statuses.chain(kinds).chain(none)))
            .description(Some("How a delivery's last attempt ended."))
            .into()
    }
}

impl ToSchema for StatusClass {
    fn name() -> Cow<'static, str> {
        "StatusClass".into()
    }
}

/// What a stream can be asked to show.
pub struct StreamTypes;

impl PartialSchema for StreamTypes {
    fn schema() -> RefOr<Schema> {
        let words = Kind::ALL.map(|kind| kind.as_str().replace('.', r"\."));
        let word = format!(" *({}) *", words.join("|"));
        text()
            .pattern(Some(format!("^{word}(,{word})*$")))
            .description(Some("Types of what is shown, parted by commas."))
            .examples(["event.accepted,delivery.settled"])
            .into()
    }
}

impl ToSchema for StreamTypes {
    fn name() -> Cow<'static, str> {
        "StreamTypes".into()
    }
}

macro_rules! words {
    ($($word:ident: $meaning:literal;)*) => {$(
        impl PartialSchema for $word {
            fn schema() -> RefOr<Schema> {
                text()
                    .enum_values(Some($word::ALL.map($word::as_str)))
                    .description(Some($meaning))
                    .into()
            }
        }

        impl ToSchema for $word {
            fn name() -> Cow<'static, str> {
                stringify!($word).into()
            }
        }
    )*};
}

words! {
    Scope: "What a key may be allowed to do; `admin` contains all others.";
    Preset: "A set of scopes: to post events, to look after one's own subscriptions, or all.";
    KeyState: "What a key is good for.";
    Role: "What a user may do: everything, everything but administer, or look.";
    UserState: "Whether a user can sign in.";
    PayloadFormat: "The body that receivers get: Posthaste's own, that of Standard Webhooks, the payload alone, or CloudEvents 1.0.";
    Scheme: "How a secret signs: shared with the receiver, or as a key pair.";
    SecretOwner: "Whose secrets sign.";
    Window: "A stretch of time until now.";
    BreakerState: "Where a breaker is: flowing, cut, or probing.";
    DeliveryState: "Where a delivery is; all but `pending` are final.";
    JobState: "Where a job is.";
    NodeState: "What a process does: it owns the deliveries, would take them over, only accepts events, or was not heard of for too long.";
    Ordering: "Which deliveries of a subscription go one after the other.";
    OrderingFailure: "What a delivery that failed for good does to those behind it.";
    ChangedBy: "Who made a change.";
    SubscriptionState: "Where a subscription is.";
}
