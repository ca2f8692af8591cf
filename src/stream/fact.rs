//! What is shown of each thing that the engine tells: ids, and what it takes to bring a picture up
//! to date without asking. No payload, no header, no answer's body.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::kind::Kind;
use crate::directory::Directory;
use crate::domain::delivery::{DeliveryState, Settlement};
use crate::domain::id::SubscriptionId;
use crate::events::EngineEvent;

/// Characters of a sentence on an error at most.
const MAX_SENTENCE: usize = 500;

/// Something that happened, as it is shown, and whom it may be shown to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub kind: Kind,
    /// Whose it is: the event's tenant, or the subscription's. Nobody's where that is not known,
    /// so that no tenant sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// About which subscription, if about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// What is shown.
    pub data: Box<RawValue>,
}

impl Fact {
    /// One that concerns the stream itself.
    pub fn of_stream(kind: Kind, data: &Value) -> Self {
        Self {
            kind,
            tenant: None,
            subscription: None,
            data: raw(data),
        }
    }

    /// Whether it can be written as one event of a stream: what another node said is not written
    /// as it came.
    pub fn is_one_line(&self) -> bool {
        !self.data.get().contains(['\n', '\r'])
    }
}

/// What is shown of something that the engine told: mostly one thing; nothing, where it concerns
/// the machinery alone.
pub fn facts_of(told: &EngineEvent, directory: &Directory) -> Vec<Fact> {
    let about = |kind, subscription: SubscriptionId, data: Value| {
        let known = directory.get(subscription);
        vec![Fact {
            kind,
            tenant: known.and_then(|known| known.tenant.clone()),
            subscription: Some(subscription),
            data: raw(&data),
        }]
    };
    let counted = |kind, subscription, count: u64| {
        let data = json!({"subscriptionId": subscription, "count": count});
        about(kind, subscription, data)
    };
    match told {
        EngineEvent::EventAccepted(event) => vec![Fact {
            kind: Kind::EventAccepted,
            tenant: event.tenant.clone(),
            subscription: None,
            data: raw(&json!({
                "eventId": event.id,
                "eventType": event.event_type.as_str(),
                "eventName": event.event_name,
                "source": event.source,
                "tenant": event.tenant,
                "receivedAt": event.received_at,
            })),
        }],
        EngineEvent::AttemptRecorded { subscription, .. } => {
            let mut facts = about(Kind::AttemptRecorded, *subscription, attempt(told));
            if let Some(settled) = settled(told) {
                facts.extend(about(Kind::DeliverySettled, *subscription, settled));
            }
            facts
        }
        EngineEvent::SubscriptionChanged {
            subscription,
            state,
            tenant,
        } => vec![Fact {
            kind: Kind::SubscriptionChanged,
            // A deleted one is in the directory no more.
            tenant: tenant.clone(),
            subscription: Some(*subscription),
            data: raw(&json!({"subscriptionId": subscription, "state": state.as_str()})),
        }],
        EngineEvent::SubscriptionHeld {
            subscription,
            until,
        } => {
            let data = json!({"subscriptionId": subscription, "until": until});
            about(Kind::SubscriptionHeld, *subscription, data)
        }
        EngineEvent::LineBlocked {
            subscription,
            delivery,
        } => {
            let data = json!({"subscriptionId": subscription, "deliveryId": delivery});
            about(Kind::LineBlocked, *subscription, data)
        }
        EngineEvent::BreakerChanged {
            subscription,
            from,
            to,
        } => {
            let (from, to) = (from.as_str(), to.as_str());
            let data = json!({"subscriptionId": subscription, "from": from, "to": to});
            about(Kind::BreakerChanged, *subscription, data)
        }
        EngineEvent::DeliveriesCancelled {
            subscription,
            count,
        } => counted(Kind::DeliveriesCancelled, *subscription, *count),
        EngineEvent::DeliveriesSkipped {
            subscription,
            count,
        } => counted(Kind::DeliveriesSkipped, *subscription, *count),
        EngineEvent::DeliveriesExpired {
            subscription,
            count,
        } => counted(Kind::DeliveriesExpired, *subscription, *count),
        EngineEvent::JobMoved {
            job,
            subscription,
            state,
            done,
            skipped,
        } => {
            let data = json!({
                "jobId": job,
                "subscriptionId": subscription,
                "state": state.as_str(),
                "done": done,
                "skipped": skipped,
            });
            about(Kind::JobMoved, *subscription, data)
        }
        // What concerns the machinery alone is shown to nobody.
        _ => Vec::new(),
    }
}

/// An attempt, and where its delivery stands after it: nowhere new, where it was overtaken.
fn attempt(told: &EngineEvent) -> Value {
    let EngineEvent::AttemptRecorded {
        delivery,
        event,
        subscription,
        number,
        settlement,
        stale,
        attempt,
    } = told
    else {
        return Value::Null;
    };
    let (state, next) = match settlement {
        Settlement::RetryAt(at) => (DeliveryState::Pending, Some(at)),
        settled => (settled.state_and_due(attempt.started_at).0, None),
    };
    let sentence = |text: &String| text.chars().take(MAX_SENTENCE).collect::<String>();
    json!({
        "attemptId": attempt.id,
        "deliveryId": delivery,
        "eventId": event,
        "subscriptionId": subscription,
        "number": number,
        "trigger": attempt.trigger.as_str(),
        "startedAt": attempt.started_at,
        "durationMs": attempt.duration.as_micros() as f64 / 1_000.0,
        "status": attempt.status,
        "errorKind": attempt.error_kind,
        "error": attempt.error.as_ref().map(sentence),
        "stale": stale,
        "deliveryStatus": (!stale).then_some(state.as_str()),
        "nextRetryAt": next.filter(|_| !stale),
    })
}

/// The end of a delivery, where the attempt is that.
fn settled(told: &EngineEvent) -> Option<Value> {
    let EngineEvent::AttemptRecorded {
        delivery,
        event,
        subscription,
        number,
        settlement,
        stale: false,
        attempt,
    } = told
    else {
        return None;
    };
    let (state, _) = settlement.state_and_due(attempt.started_at);
    state.is_final().then(|| {
        json!({
            "deliveryId": delivery,
            "eventId": event,
            "subscriptionId": subscription,
            "status": state.as_str(),
            "attempts": number,
        })
    })
}

fn raw(data: &Value) -> Box<RawValue> {
    // A value is always written.
    to_raw_value(data).unwrap_or_default()
}
