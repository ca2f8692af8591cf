//! Reading what a bulk job is to do from a request's body.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::error::Fault;
use super::json_fields::Fields;
use super::subscription_input::read_patterns;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{EventId, JobId};
use crate::domain::job::{Job, JobState, RETRIABLE, Selection, Total};
use crate::domain::subscription::Subscription;
use crate::settings::JobSettings;

/// Events that one request may name.
const MAX_EVENT_IDS: usize = 1_000;

/// What a new job gets that no body decides.
#[derive(Clone, Copy, Debug)]
pub struct Seed<'a> {
    /// Its identity.
    pub id: JobId,
    /// To whom.
    pub subscription: &'a Subscription,
    /// When it is made.
    pub now: Timestamp,
    /// Its bounds.
    pub settings: &'a JobSettings,
}

/// A checked body.
#[derive(Clone, Debug)]
pub struct JobInput {
    /// The job, not counted yet.
    pub job: Job,
    /// Only what it would do is asked for.
    pub dry_run: bool,
}

/// Reads what is to be retried: everything of a subscription that failed since then.
pub fn parse_retry_failed(body: &[u8], seed: Seed<'_>) -> Result<JobInput, Vec<Fault>> {
    let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
    if fields.lacks("since") {
        fields.fault("since", "is required");
    }
    let states = match fields.lacks("states") {
        true => Some(vec![DeliveryState::Failed, DeliveryState::Expired]),
        false => read_states(&mut fields),
    };
    finish(fields, seed, states.map(Selection::States))
}

/// Reads what is to be replayed: events by their ids, or by a stretch of time and their types.
pub fn parse_replay(body: &[u8], seed: Seed<'_>) -> Result<JobInput, Vec<Fault>> {
    let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
    let selection = if fields.lacks("eventIds") {
        if fields.lacks("since") {
            fields.fault("since", "is required where there are no eventIds");
        }
        match fields.lacks("eventTypes") {
            true => Some(seed.subscription.event_types.clone()),
            false => read_patterns(&mut fields),
        }
        .map(Selection::EventTypes)
    } else {
        for name in ["eventTypes", "since", "until"] {
            if fields.take(name).is_some() {
                fields.fault(name, "cannot stand beside eventIds, which say it all");
            }
        }
        read_event_ids(&mut fields).map(Selection::EventIds)
    };
    finish(fields, seed, selection)
}

fn finish(
    mut fields: Fields,
    seed: Seed<'_>,
    selection: Option<Selection>,
) -> Result<JobInput, Vec<Fault>> {
    let now = seed.now;
    let since = fields.time("since");
    if since.is_some_and(|since| since >= now) {
        fields.fault("since", "must be in the past");
    }
    let until = fields.time("until");
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        fields.fault("until", "must be later than since");
    }
    let most = u64::from(seed.settings.max_rate);
    let rate: Option<u32> = fields.whole("rate", 1..=most);
    let dry_run = fields.flag("dryRun").unwrap_or(false);
    let faults = fields.finish();
    match selection {
        Some(selection) if faults.is_empty() => Ok(JobInput {
            job: Job {
                id: seed.id,
                subscription_id: seed.subscription.id,
                selection,
                since: since.unwrap_or_default(),
                // What comes later is no part of what was asked for: the walk has an end.
                until: until.map_or(now, |until| until.min(now)),
                rate: rate.unwrap_or(seed.settings.rate),
                state: JobState::Queued,
                error: None,
                total: Total::default(),
                done: 0,
                skipped: 0,
                cursor: None,
                created_at: now,
                started_at: None,
                finished_at: None,
                version: 0,
            },
            dry_run,
        }),
        _ => Err(faults),
    }
}

/// A list of `1..=most` texts, each read by `read`.
fn read_list<T: PartialEq>(
    fields: &mut Fields,
    name: &'static str,
    range: RangeInclusive<usize>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let (low, high) = (range.start(), range.end());
    let given = match fields.take(name)? {
        Value::Array(given) if range.contains(&given.len()) => given,
        _ => {
            fields.fault(name, format!("must be a list of {low} to {high} texts"));
            return None;
        }
    };
    let mut list = Vec::with_capacity(given.len());
    let mut is_fine = true;
    for (index, value) in given.iter().enumerate() {
        let read = value.as_str().map(&read);
        match read.unwrap_or_else(|| Err("must be a text".to_owned())) {
            Ok(one) => list.push(one),
            Err(problem) => {
                fields.fault(&format!("{name}[{index}]"), problem);
                is_fine = false;
            }
        }
    }
    is_fine.then_some(list)
}

fn read_states(fields: &mut Fields) -> Option<Vec<DeliveryState>> {
    let words = RETRIABLE.map(DeliveryState::as_str).join(", ");
    let mut states = read_list(fields, "states", 1..=RETRIABLE.len(), |word| {
        let state = RETRIABLE.into_iter().find(|state| state.as_str() == word);
        state.ok_or_else(|| format!("must be one of {words}"))
    })?;
    states.sort_unstable_by_key(|state| state.as_str());
    states.dedup();
    Some(states)
}

fn read_event_ids(fields: &mut Fields) -> Option<Vec<EventId>> {
    let mut ids = read_list(fields, "eventIds", 1..=MAX_EVENT_IDS, |text| {
        text.parse()
            .map_err(|_| "must be an id (a UUID)".to_owned())
    })?;
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

#[cfg(test)]
mod tests;
