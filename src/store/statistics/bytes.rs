//! How deltas and figures lie in their columns: short, because the one is written with every group
//! and the other again with every fold.
//!
//! Whole numbers of seven bits a byte, the low ones first. Figures are pairs of a number's place and
//! the number, without those that are 0. The first byte says which form this is.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::id::SubscriptionId;
use crate::domain::statistics::{Delta, Figures, Histogram, MOST_TYPES, Types};
use crate::store::Result;
use crate::store::codec::damaged;

const FORM: u8 = 1;
/// Buckets of a histogram have smaller numbers.
const BUCKETS: u64 = 496;

/// A delta as bytes; nothing where it brings nothing.
pub(crate) fn delta_bytes(delta: &Delta) -> Vec<u8> {
    if delta.is_empty() {
        return Vec::new();
    }
    let mut bytes = Vec::with_capacity(64);
    bytes.push(FORM);
    number(&mut bytes, delta.events.len() as u64);
    for ((tenant, event_type), count) in &delta.events {
        bytes.push(u8::from(tenant.is_some()));
        if let Some(tenant) = tenant {
            text(&mut bytes, tenant);
        }
        text(&mut bytes, event_type);
        number(&mut bytes, *count);
    }
    for (subscription, figures) in &delta.subscriptions {
        bytes.extend(subscription.0.as_bytes());
        write_figures(&mut bytes, figures);
    }
    bytes
}

/// The delta behind [`delta_bytes`].
pub(super) fn delta(bytes: &[u8]) -> Result<Delta> {
    let mut delta = Delta::default();
    if bytes.is_empty() {
        return Ok(delta);
    }
    let mut rest = Rest::of(bytes)?;
    for _ in 0..rest.number()? {
        let tenant = match rest.byte()? {
            0 => None,
            _ => Some(rest.text()?),
        };
        let event_type = rest.text()?;
        delta.events.insert((tenant, event_type), rest.number()?);
    }
    while !rest.0.is_empty() {
        let id = Uuid::from_slice(rest.bytes(16)?).map_err(damaged)?;
        let figures = rest.figures()?;
        delta.subscriptions.insert(SubscriptionId(id), figures);
    }
    Ok(delta)
}

/// Figures as bytes.
pub(crate) fn figures_bytes(figures: &Figures) -> Vec<u8> {
    let mut bytes = vec![FORM];
    write_figures(&mut bytes, figures);
    bytes
}

/// The figures behind [`figures_bytes`].
pub(crate) fn figures(bytes: &[u8]) -> Result<Figures> {
    Rest::of(bytes)?.figures()
}

fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

fn write_figures(bytes: &mut Vec<u8>, figures: &Figures) {
    let plain = plain(figures);
    let given = || plain.iter().enumerate().filter(|(_, value)| ***value > 0);
    number(bytes, given().count() as u64);
    for (place, value) in given() {
        number(bytes, place as u64);
        number(bytes, **value);
    }
    for histogram in [&figures.latency, &figures.duration] {
        number(bytes, histogram.counts.len() as u64);
        for (bucket, count) in &histogram.counts {
            number(bytes, u64::from(*bucket));
            number(bytes, *count);
        }
        number(bytes, histogram.sum);
    }
    number(bytes, figures.types.known.len() as u64);
    for (event_type, count) in &figures.types.known {
        text(bytes, event_type);
        number(bytes, *count);
    }
    number(bytes, figures.types.others);
}

/// The numbers of figures that are nothing but numbers, in an order that stays. A new class of
/// outcomes goes to the end; anything else that is new, or another order, is another form.
const PLAIN: usize = 2 + 6 + 6 + 14;

fn plain(figures: &Figures) -> [&u64; PLAIN] {
    let mut all = [&figures.accepted, &figures.retries]
        .into_iter()
        .chain(&figures.entered)
        .chain(&figures.left)
        .chain(&figures.attempts);
    std::array::from_fn(|_| all.next().unwrap_or(&0))
}

fn set_plain(figures: &mut Figures, place: u64, value: u64) -> Option<()> {
    let mut all = [&mut figures.accepted, &mut figures.retries]
        .into_iter()
        .chain(&mut figures.entered)
        .chain(&mut figures.left)
        .chain(&mut figures.attempts);
    *all.nth(usize::try_from(place).ok()?)? = value;
    Some(())
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&FORM, rest)) => Ok(Self(rest)),
            _ => Err(damaged("statistics of another form")),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let split = self.0.split_at_checked(count);
        let (bytes, rest) = split.ok_or_else(|| damaged("statistics that end too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number without an end in statistics"))
    }

    fn text(&mut self) -> Result<Arc<str>> {
        let length = usize::try_from(self.number()?).map_err(damaged)?;
        let text = std::str::from_utf8(self.bytes(length)?).map_err(damaged)?;
        Ok(text.into())
    }

    fn histogram(&mut self) -> Result<Histogram> {
        let mut histogram = Histogram::default();
        for _ in 0..self.number()? {
            let (bucket, count) = (self.number()?, self.number()?);
            if bucket >= BUCKETS {
                return Err(damaged("a histogram with a bucket that there is not"));
            }
            histogram.counts.insert(bucket as u16, count);
        }
        histogram.sum = self.number()?;
        Ok(histogram)
    }

    fn figures(&mut self) -> Result<Figures> {
        let mut figures = Figures::default();
        for _ in 0..self.number()? {
            let (place, value) = (self.number()?, self.number()?);
            set_plain(&mut figures, place, value)
                .ok_or_else(|| damaged("a figure that there is not"))?;
        }
        figures.latency = self.histogram()?;
        figures.duration = self.histogram()?;
        let mut types = Types::default();
        for _ in 0..self.number()? {
            let event_type = self.text()?;
            let count = self.number()?;
            if types.known.len() < MOST_TYPES {
                types.known.insert(event_type, count);
            } else {
                types.others += count;
            }
        }
        types.others += self.number()?;
        figures.types = types;
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::DeliveryState;
    use crate::domain::statistics::Histogram;

    fn histogram() -> impl Strategy<Value = Histogram> {
        prop::collection::vec(any::<u64>(), 0..8).prop_map(|all| {
            let mut histogram = Histogram::default();
            for micros in all {
                histogram.note(Duration::from_micros(micros));
            }
            histogram
        })
    }

    fn some_figures() -> impl Strategy<Value = Figures> {
        let plain = (
            any::<u64>(),
            any::<u64>(),
            any::<[u64; 6]>(),
            any::<[u64; 6]>(),
        );
        (
            plain,
            any::<[u64; 14]>(),
            histogram(),
            histogram(),
            any::<Vec<(String, u64)>>(),
            any::<u64>(),
        )
            .prop_map(
                |(
                    (accepted, retries, entered, left),
                    attempts,
                    latency,
                    duration,
                    known,
                    others,
                )| {
                    let known = known
                        .into_iter()
                        .map(|(name, count)| (name.into(), count))
                        .collect();
                    Figures {
                        accepted,
                        retries,
                        entered,
                        left,
                        attempts,
                        latency,
                        duration,
                        types: Types { known, others },
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(figures in some_figures(), events in any::<Vec<((Option<String>, String), u64)>>(), id in any::<u128>()) {
            prop_assert_eq!(&super::figures(&figures_bytes(&figures)).unwrap(), &figures);
            let mut delta = Delta::default();
            delta.events.extend(events.into_iter().map(|((tenant, name), count)| {
                ((tenant.map(Into::into), name.into()), count)
            }));
            delta.subscriptions.insert(SubscriptionId(Uuid::from_u128(id)), figures);
            prop_assert_eq!(super::delta(&delta_bytes(&delta)).unwrap(), delta);
        }

        #[test]
        fn reading_never_panics(bytes in any::<Vec<u8>>(), cut in 0usize..200) {
            let _ = super::figures(&bytes);
            let _ = super::delta(&bytes);
            let mut delta = Delta::default();
            delta.note_move(SubscriptionId(Uuid::nil()), None, DeliveryState::Pending, 3);
            let written = delta_bytes(&delta);
            if cut > 2 && cut < written.len() {
                prop_assert!(super::delta(&written[..cut]).is_err());
            }
        }
    }

    #[test]
    fn what_one_event_brings_is_short() {
        let mut delta = Delta::default();
        delta.events.insert((None, "job.created".into()), 1);
        delta.note_move(SubscriptionId(Uuid::nil()), None, DeliveryState::Pending, 1);
        assert!(delta_bytes(&delta).len() < 48);
        assert!(delta_bytes(&Delta::default()).is_empty());
    }
}
