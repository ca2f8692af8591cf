//! How long things are kept, and the spans of time that they lie in.
//!
//! An event is as old as its id says, and so are its deliveries and attempts: they lie in the
//! same span and go together. Spans begin and end at full hours, never overlap, and keep their
//! bounds when the settings change: the next one begins where the last one ends.

use std::time::Duration;

use super::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Spans that a retention is cut into: one more is kept than the retention asks for.
const SPANS: u32 = 6;
/// A longer span would keep too much too long, a shorter one make too many of a long retention.
const LONGEST_SPAN: Duration = Duration::from_secs(30 * 86_400);
/// Spans that stand ready beyond the present one. Only a process that delivers makes them; the
/// others go on accepting when it is away.
const AHEAD: u32 = 2;

/// What is kept how long. `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events, with their deliveries and attempts.
    pub events: Option<Duration>,
    /// What receivers answered: bodies and headers.
    pub answers: Option<Duration>,
}

impl Retention {
    /// In days, 0 for ever; answers with 0 as long as events.
    pub fn of_days(events: u32, answers: u32) -> Self {
        let duration = |days| (days > 0).then(|| DAY * days);
        Self {
            events: duration(events),
            answers: duration(answers),
        }
    }

    /// Whether something may be left alone that long: what is pending longer would outlive its
    /// event's time.
    pub fn allows_age(&self, age: Duration) -> bool {
        self.events.is_none_or(|limit| age <= limit)
    }

    /// Events before this moment may go.
    pub fn events_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.events.map(|kept| now.minus(kept))
    }

    /// Answers to attempts made before this moment may go, where that is sooner than their event.
    pub fn answers_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.answers.map(|kept| now.minus(kept))
    }

    /// How long a span is, in whole hours.
    pub fn span(&self) -> Duration {
        let wanted = self.events.map_or(LONGEST_SPAN, |kept| kept / SPANS);
        let hours = u32::try_from(wanted.as_secs() / HOUR.as_secs()).unwrap_or(u32::MAX);
        (HOUR * hours.max(1)).min(LONGEST_SPAN)
    }
}

/// A span of time: from its first moment up to the next one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Span {
    /// The spans that have to be added to these so that the present is covered and two more
    /// after it. What lies far ahead, made while a clock was odd, leaves nothing before it uncovered.
    pub fn missing(existing: &[Self], now: Timestamp, width: Duration) -> Vec<Self> {
        let mut from = hour_of(now);
        let mut missing = Vec::new();
        while from <= now.plus(width * AHEAD) {
            let around = |span: &&Self| span.from <= from && from < span.to;
            if let Some(covered) = existing.iter().find(around) {
                from = covered.to;
                continue;
            }
            let next = existing
                .iter()
                .map(|span| span.from)
                .filter(|next| *next > from);
            let to = next.fold(from.plus(width), Timestamp::min);
            missing.push(Self { from, to });
            from = to;
        }
        missing
    }

    /// Whether it is over by then.
    pub fn is_before(&self, moment: Timestamp) -> bool {
        self.to <= moment
    }

    /// What is left of this span around a moment in it that lies elsewhere already: what comes
    /// before its hour, and what comes after.
    pub fn without_hour_of(&self, taken: Timestamp) -> [Option<Self>; 2] {
        let hour = hour_of(taken);
        let part = |from: Timestamp, to: Timestamp| (from < to).then_some(Self { from, to });
        [
            part(self.from, hour.max(self.from)),
            part(hour.plus(HOUR).min(self.to), self.to),
        ]
    }
}

fn hour_of(moment: Timestamp) -> Timestamp {
    let hour = HOUR.as_micros() as i64;
    Timestamp::from_micros(moment.as_micros().div_euclid(hour) * hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many hours and minutes after some midnight.
    fn at(hours: i64, minutes: i64) -> Timestamp {
        Timestamp::from_micros(1_761_436_800_000_000 + (hours * 60 + minutes) * 60_000_000)
    }

    fn span(from: i64, to: i64) -> Span {
        let [from, to] = [from, to].map(|hours| at(hours, 0));
        Span { from, to }
    }

    #[test]
    fn a_retention_is_cut_into_few_spans_of_whole_hours() {
        let hours = |days| Retention::of_days(days, 0).span().as_secs() / 3_600;
        assert_eq!([1, 2, 30, 90].map(hours), [4, 8, 120, 360]);
        assert_eq!([365, 3_650, 0].map(hours), [720; 3]);
    }

    #[test]
    fn the_present_and_what_comes_is_covered_without_gap_or_overlap() {
        let width = HOUR * 4;
        let first = Span::missing(&[], at(1, 30), width);
        assert_eq!(first, [span(1, 5), span(5, 9), span(9, 13)]);
        assert_eq!(Span::missing(&first, at(4, 59), width), []);
        assert_eq!(Span::missing(&first, at(5, 0), width), [span(13, 17)]);
        // A longer retention: the old ones keep their bounds.
        let longer = Span::missing(&first, at(5, 0), HOUR * 24);
        assert_eq!(longer, [span(13, 37), span(37, 61)]);
        // Nobody made any for long.
        let late = Span::missing(&first, at(20, 10), width);
        assert_eq!(late, [span(20, 24), span(24, 28), span(28, 32)]);
        // A clock once ran ahead by days, and two hours were left out.
        let odd = [span(1, 5), span(7, 9), span(90, 94), span(94, 98)];
        assert_eq!(
            Span::missing(&odd, at(4, 59), width),
            [span(5, 7), span(9, 13)]
        );
        let gap = [span(1, 5), span(10, 14)];
        let filled = [span(5, 9), span(9, 10)];
        assert_eq!(Span::missing(&gap, at(4, 59), width), filled);
    }

    #[test]
    fn a_span_makes_way_for_what_lies_elsewhere() {
        let whole = span(4, 8);
        let parts = |hours, minutes| whole.without_hour_of(at(hours, minutes));
        assert_eq!(parts(5, 30), [Some(span(4, 5)), Some(span(6, 8))]);
        assert_eq!(parts(4, 0), [None, Some(span(5, 8))]);
        assert_eq!(parts(7, 59), [Some(span(4, 7)), None]);
    }

    #[test]
    fn nothing_is_old_where_all_is_kept() {
        let now = at(100, 0);
        let keeps = Retention::of_days(0, 0);
        assert_eq!(
            (keeps.events_before(now), keeps.answers_before(now)),
            (None, None)
        );
        assert!(keeps.allows_age(Duration::MAX));
        let days = Retention::of_days(2, 1);
        assert_eq!(days.events_before(now), Some(at(52, 0)));
        assert_eq!(days.answers_before(now), Some(at(76, 0)));
        assert!(days.allows_age(DAY * 2) && !days.allows_age(DAY * 2 + HOUR));
    }
}
