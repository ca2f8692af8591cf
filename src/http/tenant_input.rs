//! Reading a tenant, or a change of one, from a request's body.

use std::sync::Arc;

use super::error::Fault;
use super::json_fields::Fields;
use crate::domain::Timestamp;
use crate::domain::tenant::{
    IngestRate, MOST_BACKLOG, MOST_SUBSCRIPTIONS, Tenant, TenantLimits, TenantStatus,
};
use uuid::Uuid;

/// Shown by our answers, set by nobody.
const READ_ONLY: [&str; 2] = ["createdAt", "updatedAt"];

/// A checked body; absent means "leave as it is".
#[derive(Clone, Debug, Default)]
pub struct TenantInput {
    id: Option<String>,
    name: Option<String>,
    status: Option<TenantStatus>,
    limits: Option<LimitsInput>,
}

/// New limits; `Some(None)` lifts one.
#[derive(Clone, Copy, Debug, Default)]
struct LimitsInput {
    ingest_rate: Option<Option<IngestRate>>,
    max_subscriptions: Option<Option<u32>>,
    max_backlog: Option<Option<u64>>,
}

impl LimitsInput {
    /// All of them lifted.
    const NONE: Self = Self {
        ingest_rate: Some(None),
        max_subscriptions: Some(None),
        max_backlog: Some(None),
    };

    fn merged_into(self, stored: TenantLimits) -> TenantLimits {
        TenantLimits {
            ingest_rate: self.ingest_rate.unwrap_or(stored.ingest_rate),
            max_subscriptions: self.max_subscriptions.unwrap_or(stored.max_subscriptions),
            max_backlog: self.max_backlog.unwrap_or(stored.max_backlog),
        }
    }
}

impl TenantInput {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        let input = Self {
            id: fields.text("id"),
            name: fields.text("name"),
            status: read_status(&mut fields),
            limits: fields
                .nullable("limits", read_limits)
                .map(|limits| limits.unwrap_or(LimitsInput::NONE)),
        };
        fields.pass_over(&READ_ONLY);
        match fields.finish() {
            faults if faults.is_empty() => Ok(input),
            faults => Err(faults),
        }
    }

    /// The tenant that it makes: with this place, and with a name and id of its own where it brings
    /// none.
    pub fn into_new(self, place: Uuid, now: Timestamp) -> Tenant {
        let id: Arc<str> = self.id.unwrap_or_else(|| place.to_string()).into();
        Tenant {
            place,
            name: self.name.unwrap_or_else(|| id.to_string()),
            id,
            status: self.status.unwrap_or(TenantStatus::Active),
            limits: self
                .limits
                .unwrap_or_default()
                .merged_into(TenantLimits::default()),
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    /// `stored` with this merged in.
    pub fn merged_into(&self, stored: &Tenant, now: Timestamp) -> Result<Tenant, Vec<Fault>> {
        if self.id.as_ref().is_some_and(|id| **id != *stored.id) {
            let problem = "cannot be changed: events and subscriptions carry it";
            return Err(vec![Fault::new("id", problem)]);
        }
        let next = Tenant {
            name: self.name.clone().unwrap_or_else(|| stored.name.clone()),
            status: self.status.unwrap_or(stored.status),
            limits: self.limits.unwrap_or_default().merged_into(stored.limits),
            ..stored.clone()
        };
        Ok(match next == *stored {
            true => next,
            false => Tenant {
                updated_at: now,
                ..next
            },
        })
    }
}

fn read_status(fields: &mut Fields) -> Option<TenantStatus> {
    let word = fields.any_text("status")?;
    let all = TenantStatus::SETTABLE;
    let status = all.into_iter().find(|status| status.as_str() == word);
    if status.is_none() {
        let words = all.map(TenantStatus::as_str).join(" or ");
        fields.fault("status", format!("must be {words}"));
    }
    status
}

fn read_limits(fields: &mut Fields, name: &'static str) -> Option<LimitsInput> {
    let mut given = fields.object(name)?;
    let limits = LimitsInput {
        ingest_rate: given.nullable("ingestRate", read_rate),
        max_subscriptions: given.nullable("maxSubscriptions", |given, name| {
            given.whole(name, 0..=MOST_SUBSCRIPTIONS.into())
        }),
        max_backlog: given.nullable("maxBacklog", |given, name| {
            given.whole(name, 1..=MOST_BACKLOG)
        }),
    };
    fields.adopt(given).then_some(limits)
}

fn read_rate(fields: &mut Fields, name: &'static str) -> Option<IngestRate> {
    let mut given = fields.object(name)?;
    let rate = IngestRate {
        per_second: given.nullable("perSecond", Fields::count).flatten(),
        per_minute: given.nullable("perMinute", Fields::count).flatten(),
        burst: given.nullable("burst", Fields::count).flatten(),
    };
    if let Err((field, problem)) = rate.check() {
        given.fault(field, problem);
    }
    fields.adopt(given).then_some(rate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::text;
    use super::*;

    proptest! {
        #[test]
        fn a_tenant_has_the_name_that_it_was_given_and_reading_never_panics(
            bytes in any::<Vec<u8>>(), id in any::<String>(), name in any::<String>(),
            number in any::<f64>(),
        ) {
            let _ = TenantInput::parse(&bytes);
            let odd = json!({"limits": {"maxBacklog": number, "ingestRate": {"burst": number}}});
            let _ = TenantInput::parse(odd.to_string().as_bytes());
            let body = json!({"id": id, "name": name}).to_string();
            let read = TenantInput::parse(body.as_bytes());
            let sound = text::check(&id).is_ok() && text::check(&name).is_ok();
            prop_assert_eq!(read.is_ok(), sound, "{}", body);
            if let Ok(input) = read {
                let made = input.into_new(Uuid::nil(), at(1));
                prop_assert_eq!((&*made.id, &made.name), (id.as_str(), &name));
            }
        }
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn new(body: &str) -> Tenant {
        let input = TenantInput::parse(body.as_bytes()).unwrap();
        input.into_new(Uuid::from_u128(7), at(1))
    }

    #[test]
    fn what_is_left_open_has_defaults() {
        let bare = new("{}");
        assert_eq!(&*bare.id, Uuid::from_u128(7).to_string());
        assert_eq!(bare.name, *bare.id);
        assert_eq!(bare.status, TenantStatus::Active);
        assert_eq!(bare.limits, TenantLimits::default());
        let full = new(
            r#"{"id":"acme","name":"Acme","status":"inactive","limits":{"ingestRate":
            {"perMinute":90,"burst":10},"maxSubscriptions":0,"maxBacklog":5}}"#,
        );
        assert_eq!((&*full.id, full.name.as_str()), ("acme", "Acme"));
        assert!(full.is_inactive());
        assert_eq!(full.limits.ingest_rate.unwrap().burst(), 10);
        assert_eq!(full.limits.max_subscriptions, Some(0));
        assert_eq!(full.limits.max_backlog, Some(5));
    }

    #[test]
    fn a_change_touches_what_it_names() {
        let stored = new(r#"{"id":"acme","limits":{"maxSubscriptions":3,"maxBacklog":5}}"#);
        let change = |body: &str| {
            let input = TenantInput::parse(body.as_bytes()).unwrap();
            input.merged_into(&stored, at(2))
        };
        assert_eq!(change("{}"), Ok(stored.clone()), "and nothing is no change");
        let next = change(r#"{"limits":{"maxBacklog":null}}"#).unwrap();
        assert_eq!(next.limits.max_subscriptions, Some(3));
        assert_eq!(next.limits.max_backlog, None);
        assert_eq!(next.updated_at, at(2));
        let next = change(r#"{"limits":null,"name":"Acme","id":"acme"}"#).unwrap();
        assert_eq!(next.limits, TenantLimits::default());
        assert_eq!(next.name, "Acme");
        assert_eq!(change(r#"{"id":"other"}"#).unwrap_err()[0].path, "id");
    }

    #[test]
    fn faults_are_named_with_their_places() {
        for (body, path) in [
            (r#"{"id":""}"#, "id"),
            (r#"{"status":"deleted"}"#, "status"),
            (r#"{"limits":{"maxBacklog":0}}"#, "limits.maxBacklog"),
            (r#"{"limits":{"rate":1}}"#, "limits.rate"),
            (r#"{"colour":1}"#, "colour"),
        ] {
            let faults = TenantInput::parse(body.as_bytes()).unwrap_err();
            assert_eq!(faults[0].path, path, "{body}");
        }
        let body = br#"{"limits":{"ingestRate":{}}}"#;
        let faults = TenantInput::parse(body).unwrap_err();
        assert!(faults[0].path.ends_with("perSecond"), "{faults:?}");
    }
}
