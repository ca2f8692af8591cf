//! From buckets to answers: which buckets cover a time, and what they come to over time.

use std::time::Duration;

use super::{Bucket, Figures, Width};
use crate::domain::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// Buckets of one width that begin from `from` on and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How wide they are.
    pub width: Width,
    /// The first begins here.
    pub from: Timestamp,
    /// The last ends here.
    pub until: Timestamp,
}

impl Piece {
    /// All that ever was.
    pub const EVER: Self = Self {
        width: Width::Ever,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
    };

    /// Whether a bucket is one of these.
    pub fn holds(&self, width: Width, start: Timestamp) -> bool {
        width == self.width && start >= self.from && start < self.until
    }
}

/// The few pieces that cover a time exactly once, of buckets as wide as fit, but none narrower than
/// `finest`: where the time does not begin and end with those, it is widened to.
pub fn cover(since: Timestamp, until: Timestamp, finest: Width) -> Vec<Piece> {
    let since = finest.start_of(since);
    let end = finest.start_of(until);
    let until = if end < until { next(finest, end) } else { end };
    let mut pieces = Vec::new();
    lay(&mut pieces, Width::Day, finest, since, until);
    pieces
}

fn lay(pieces: &mut Vec<Piece>, width: Width, finest: Width, since: Timestamp, until: Timestamp) {
    if since >= until {
        return;
    }
    let narrower = match width {
        Width::Day => Width::Hour,
        _ => Width::Minute,
    };
    if width == finest || width == Width::Minute {
        let (from, width) = (since, finest);
        pieces.push(Piece { width, from, until });
        return;
    }
    let first = width.start_of(since);
    let first = if first < since {
        next(width, first)
    } else {
        first
    };
    let last = width.start_of(until);
    if first >= last {
        return lay(pieces, narrower, finest, since, until);
    }
    lay(pieces, narrower, finest, since, first);
    let (from, until_here) = (first, last);
    pieces.push(Piece {
        width,
        from,
        until: until_here,
    });
    lay(pieces, narrower, finest, last, until);
}

fn next(width: Width, start: Timestamp) -> Timestamp {
    Timestamp::from_micros(start.as_micros() + width.micros())
}

/// A time up to now that is shown as a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last hour, by the minute.
    Hour,
    /// The last day, by the quarter of an hour.
    Day,
    /// The last seven days, by two hours.
    Week,
    /// The last thirty days, by six hours.
    Month,
}

impl Window {
    /// Every window.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word used in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Its buckets, and how many of them make a point.
    fn grain(self) -> (Width, i64, Duration) {
        match self {
            Self::Hour => (Width::Minute, 1, Duration::from_secs(3_600)),
            Self::Day => (Width::Minute, 15, DAY),
            Self::Week => (Width::Hour, 2, DAY * 7),
            Self::Month => (Width::Hour, 6, DAY * 30),
        }
    }
}

/// How a time is cut into points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// What has to be read.
    pub piece: Piece,
    /// How long a point is.
    pub step: Duration,
}

impl Series {
    /// The points of a window that ends with the one that `now` lies in.
    pub fn of(window: Window, now: Timestamp) -> Self {
        let (width, buckets, length) = window.grain();
        Self::cut(width, buckets, length, now)
    }

    /// A day by the hour, for a small picture.
    pub fn sparkline(now: Timestamp) -> Self {
        Self::cut(Width::Hour, 1, DAY, now)
    }

    fn cut(width: Width, buckets: i64, length: Duration, now: Timestamp) -> Self {
        let step = width.micros() * buckets;
        let until = (now.as_micros().div_euclid(step) + 1) * step;
        let until = Timestamp::from_micros(until);
        Self {
            piece: Piece {
                width,
                from: until.minus(length),
                until,
            },
            step: Duration::from_micros(step.unsigned_abs()),
        }
    }

    /// The points, in order, those without any bucket too.
    pub fn points<'a>(
        &self,
        buckets: impl Iterator<Item = &'a Bucket>,
    ) -> Vec<(Timestamp, Figures)> {
        let step = i64::try_from(self.step.as_micros())
            .unwrap_or(i64::MAX)
            .max(1);
        let first = self.piece.from.as_micros();
        let count = (self.piece.until.as_micros() - first) / step;
        let mut points: Vec<_> = (0..count)
            .map(|place| {
                (
                    Timestamp::from_micros(first + place * step),
                    Figures::default(),
                )
            })
            .collect();
        for bucket in buckets.filter(|one| self.piece.holds(one.width, one.start)) {
            let place = (bucket.start.as_micros() - first) / step;
            let point = usize::try_from(place)
                .ok()
                .and_then(|place| points.get_mut(place));
            if let Some((_, figures)) = point {
                figures.add(&bucket.figures);
            }
        }
        points
    }
}
