//! Events held against the catalogue before they are handed over.
//!
//! What is found is a fault like any other: of the item, or of the whole where it is all or nothing.

use std::sync::Arc;

use super::HttpState;
use super::error::{ApiError, Fault, Result};
use super::event_input::Input;
use crate::domain::catalogue::{Catalogue, Mismatch};

/// A request with more payload than this is checked on a thread of its own.
const MUCH_PAYLOAD: usize = 64 * 1024;

/// The input with the faults that the catalogue finds in it. Costs one look at a flag where there
/// is nothing to check.
pub async fn checked(app: &HttpState, input: Input) -> Result<Input> {
    let catalogue = app.relay.catalogue();
    if !catalogue.checks_any() {
        return Ok(input);
    }
    let catalogue = Arc::clone(&catalogue);
    let payloads = input
        .items
        .iter()
        .filter_map(|item| item.event.as_ref().ok());
    let bytes: usize = payloads.map(|new| new.event.payload.len()).sum();
    if bytes <= MUCH_PAYLOAD {
        return Ok(check(&catalogue, input));
    }
    let checking = tokio::task::spawn_blocking(move || check(&catalogue, input));
    checking.await.map_err(|error| {
        tracing::error!(%error, "events could not be checked");
        ApiError::internal()
    })
}

fn check(catalogue: &Catalogue, mut input: Input) -> Input {
    let is_batch = input.is_batch;
    for (index, item) in input.items.iter_mut().enumerate() {
        let Ok(new) = &item.event else { continue };
        if let Err(mismatch) = catalogue.check(&new.event) {
            let place = |field: &str| match is_batch {
                true => format!("[{index}].{field}"),
                false => field.to_owned(),
            };
            item.event = Err(faults(mismatch, place));
        }
    }
    input
}

fn faults(mismatch: Mismatch, place: impl Fn(&str) -> String) -> Vec<Fault> {
    match mismatch {
        Mismatch::Unknown => vec![Fault::new(
            place("eventType"),
            "is not in the catalogue of event types, and others are refused here \
             (events.unknown_types); have it added by POST /api/v1/event-types",
        )],
        Mismatch::Archived => vec![Fault::new(
            place("eventType"),
            "is archived in the catalogue of event types, and refused here (events.unknown_types)",
        )],
        Mismatch::Payload(found) => found
            .into_iter()
            .map(|(pointer, message)| {
                let message = format!("does not match its schema: {message}");
                Fault::new(format!("{}{pointer}", place("payload")), message)
            })
            .collect(),
    }
}
