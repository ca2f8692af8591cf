//! Event types and the patterns that subscriptions match them with.

use std::fmt;
use std::sync::Arc;

/// Characters of an event type at most.
pub const MAX_LENGTH: usize = 255;

/// The first segment of Posthaste's own events. Senders cannot use it, and `*` does not match
/// it, so that nobody receives operational events who did not ask for them by name.
pub const OWN_SEGMENT: &str = "posthaste";

/// A checked event type: segments of letters, digits, `_` and `-`, parted by dots, 1 to 255
/// characters, for example `candidate.status_changed`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Arc<str>);

/// Why a text is no event type or no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventType {
    /// Empty, or longer than [`MAX_LENGTH`].
    #[error("must be 1 to {MAX_LENGTH} characters long, not {0}")]
    Length(usize),
    /// A segment is empty or holds another character.
    #[error(
        "must be segments of letters, digits, '_' and '-' parted by dots; segment {number} ({segment:?}) is not"
    )]
    Segment {
        /// Which segment, from 1.
        number: usize,
        /// The segment.
        segment: String,
    },
    /// The reserved first segment.
    #[error(
        "must not begin with '{OWN_SEGMENT}.': that is kept for events that Posthaste itself raises"
    )]
    Reserved,
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn check(text: &str, wildcards: bool) -> Result<(), InvalidEventType> {
    let length = match text.is_ascii() {
        true => text.len(),
        false => text.chars().count(),
    };
    if length == 0 || length > MAX_LENGTH {
        return Err(InvalidEventType::Length(length));
    }
    for (index, segment) in text.split('.').enumerate() {
        if !(is_segment(segment) || (wildcards && segment == "*")) {
            let segment = segment.chars().take(40).collect();
            return Err(InvalidEventType::Segment {
                number: index + 1,
                segment,
            });
        }
    }
    Ok(())
}

fn is_own(text: &str) -> bool {
    text.strip_prefix(OWN_SEGMENT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl EventType {
    /// Checks a sender's event type.
    pub fn parse(text: &str) -> Result<Self, InvalidEventType> {
        check(text, false)?;
        if is_own(text) {
            return Err(InvalidEventType::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// Takes what was checked before it was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As text that it shares.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether Posthaste itself raises such events: no sender can.
    pub fn is_own(&self) -> bool {
        is_own(self.as_str())
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Which event types a subscription wants: an exact type, or segments some of which are `*`.
/// A `*` stands for one segment; as the last segment it stands for one or more. `*` alone
/// matches every event type of senders. Posthaste's own events are matched only by patterns that
/// begin with their first segment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventPattern(Arc<str>);

/// How a pattern is found quickly.
#[derive(Debug, PartialEq, Eq)]
pub enum PatternShape<'a> {
    /// No wildcard.
    Exact(&'a str),
    /// `prefix.*`: everything that begins with the prefix, its dot included.
    Prefix(&'a str),
    /// `*`.
    All,
    /// A wildcard elsewhere: only [`EventPattern::matches`] tells.
    Mixed,
}

impl EventPattern {
    /// Checks a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidEventType> {
        check(text, true)?;
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How to index this pattern.
    pub fn shape(&self) -> PatternShape<'_> {
        let text = self.as_str();
        match text.strip_suffix('*') {
            _ if text == "*" => PatternShape::All,
            None if !text.contains('*') => PatternShape::Exact(text),
            Some(prefix) if !prefix.contains('*') => PatternShape::Prefix(prefix),
            _ => PatternShape::Mixed,
        }
    }

    /// Whether this pattern wants that event type.
    pub fn matches(&self, event_type: &EventType) -> bool {
        let text = event_type.as_str();
        match self.shape() {
            PatternShape::Exact(exact) => exact == text,
            PatternShape::Prefix(prefix) => text.len() > prefix.len() && text.starts_with(prefix),
            PatternShape::All => !is_own(text),
            PatternShape::Mixed => {
                is_own(text) == self.names_own() && self.matches_by_segment(text)
            }
        }
    }

    /// Whether it begins with the first segment of Posthaste's own events.
    pub fn names_own(&self) -> bool {
        is_own(self.as_str())
    }

    fn matches_by_segment(&self, text: &str) -> bool {
        let open_end = self.as_str().ends_with(".*");
        let mut segments = text.split('.');
        for wanted in self.as_str().split('.') {
            match segments.next() {
                Some(segment) if wanted == "*" || wanted == segment => {}
                _ => return false,
            }
        }
        open_end || segments.next().is_none()
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, event_type: &str) -> bool {
        EventPattern::parse(pattern)
            .unwrap()
            .matches(&EventType::from_stored(event_type))
    }

    #[test]
    fn event_types_are_segments_parted_by_dots() {
        for good in [
            "a",
            "job.created",
            "candidate.status_changed",
            "a-b.c_d.1",
            &"x".repeat(255),
        ] {
            assert!(EventType::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a.*",
            "é",
            "a\0",
            &"x".repeat(256),
        ] {
            assert!(EventType::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            EventType::parse("posthaste.x"),
            Err(InvalidEventType::Reserved)
        );
        assert!(EventType::parse("posthaste_user.created").is_ok());
    }

    #[test]
    fn patterns_match_by_segments() {
        let cases = [
            ("job.created", "job.created", true),
            ("job.created", "job.created.v2", false),
            ("job.*", "job.created", true),
            ("job.*", "job.created.v2", true),
            ("job.*", "job", false),
            ("job.*", "jobs.created", false),
            ("*", "anything.at.all", true),
            ("*", "posthaste.subscription.deactivated", false),
            ("posthaste.*", "posthaste.subscription.deactivated", true),
            ("*.created", "job.created", true),
            ("*.created", "job.created.v2", false),
            ("*.created", "a.b.created", false),
            ("*.created.*", "job.created.v2", true),
            ("*.created.*", "job.created", false),
            ("*.breaker.opened", "posthaste.breaker.opened", false),
            ("*.*.*", "posthaste.breaker.opened", false),
            ("posthaste.*.opened", "posthaste.breaker.opened", true),
            ("posthaste.*.opened", "posthaste.breaker.closed", false),
            ("posthaste.*.opened", "other.breaker.opened", false),
            ("posthaste.breaker.*", "posthaste.breaker.opened", true),
            ("posthaste.breaker.*", "posthaste.delivery.failed", false),
        ];
        for (pattern, event_type, expected) in cases {
            assert_eq!(
                matches(pattern, event_type),
                expected,
                "{pattern} ~ {event_type}"
            );
        }
        for bad in ["", "a*", "a.*b", "**", "a..*"] {
            assert!(EventPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_type_matches_itself_and_every_prefix_of_it(
            segments in prop::collection::vec("[a-o][a-z0-9_-]{0,5}", 1..6), cut in 0usize..6,
        ) {
            let text = segments.join(".");
            prop_assert!(matches(&text, &text));
            prop_assert!(matches("*", &text));
            let cut = cut.min(segments.len() - 1);
            if cut > 0 {
                let pattern = format!("{}.*", segments[..cut].join("."));
                prop_assert!(matches(&pattern, &text));
            }
        }

        /// Said once more, without thinking of speed.
        #[test]
        fn patterns_match_what_they_say(
            pattern in prop::collection::vec("[ab*]|posthaste", 1..5),
            event_type in prop::collection::vec("[ab]|posthaste", 1..5),
        ) {
            let last = pattern.len() - 1;
            let own = |segments: &[String]| segments[0] == OWN_SEGMENT;
            let fits = pattern.iter().enumerate().all(|(place, wanted)| {
                event_type.get(place).is_some_and(|segment| wanted == "*" || wanted == segment)
            });
            let long = event_type.len() > pattern.len();
            let expected = fits
                && (!long || pattern[last] == "*")
                && own(&pattern) == own(&event_type);
            let (pattern, event_type) = (pattern.join("."), event_type.join("."));
            prop_assert_eq!(matches(&pattern, &event_type), expected, "{} {}", pattern, event_type);
            let read = EventPattern::parse(&pattern).unwrap();
            prop_assert_eq!(read.as_str(), pattern);
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = EventType::parse(&text);
            let _ = EventPattern::parse(&text);
        }
    }
}
