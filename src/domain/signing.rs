//! Which secrets sign a subscription's deliveries, and for how long.
//!
//! A secret that was replaced signs on beside the new one until its overlap ends, so that a
//! receiver can take the new one up without missing a delivery. `webhook-signature` carries a
//! signature of each live secret. A header that takes one value carries that of the oldest: a
//! receiver that knows one secret goes on verifying until the overlap, which is its time to take
//! up the other, is over.

use std::sync::Arc;
use std::time::Duration;

use super::Timestamp;
use super::own_signature::OwnSignatures;
use super::signature::{Scheme, SigningSecret};

/// Secrets that may sign at the same time.
pub const MOST_LIVE: usize = 3;
/// The longest that a replaced secret goes on signing.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

/// A secret and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSecret {
    /// The secret.
    pub secret: SigningSecret,
    /// It does not sign from then on. Only the newest has no end.
    pub until: Option<Timestamp>,
}

/// The secrets of one owner: one that signs without end, and those it replaced. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningSecrets(Arc<[LiveSecret]>);

/// Why a secret is not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationRefused {
    /// The new one signs already.
    InUse,
    /// As many sign as may; the first of them ends then.
    TooMany(Timestamp),
}

impl SigningSecrets {
    /// This one alone.
    pub fn only(secret: SigningSecret) -> Self {
        let live = LiveSecret {
            secret,
            until: None,
        };
        Self(Arc::new([live]))
    }

    /// As they were stored: the newest first, without an end, and all others with one.
    pub fn from_stored(secrets: Vec<LiveSecret>) -> Option<Self> {
        let (newest, replaced) = secrets.split_first()?;
        let sound =
            newest.until.is_none() && replaced.iter().all(|replaced| replaced.until.is_some());
        (sound && secrets.len() <= MOST_LIVE).then(|| Self(secrets.into()))
    }

    /// All that are stored, whether they still sign or not, the newest first.
    pub fn stored(&self) -> &[LiveSecret] {
        &self.0
    }

    /// The one that signs without end.
    pub fn newest(&self) -> &SigningSecret {
        &self.0[0].secret
    }

    /// Those that sign at that time, the newest first.
    pub fn live_at(&self, now: Timestamp) -> impl Iterator<Item = &LiveSecret> {
        let lives = move |secret: &&LiveSecret| secret.until.is_none_or(|until| now < until);
        self.0.iter().filter(lives)
    }

    /// The one that signs where only one can: of those shared, the oldest that is live.
    pub fn steady_at(&self, now: Timestamp) -> Option<&SigningSecret> {
        let live = self.live_at(now).map(|live| &live.secret);
        live.filter(|secret| secret.scheme() == Scheme::Shared)
            .last()
    }

    /// The value of `webhook-signature`: one signature of each that is live.
    pub fn sign(&self, now: Timestamp, id: &str, body: &[u8]) -> String {
        let seconds = now.as_unix_seconds();
        let mut live = self.live_at(now);
        let newest = live.next().map_or(self.newest(), |live| &live.secret);
        let mut value = newest.sign(id, seconds, body);
        for replaced in live {
            value.push(' ');
            replaced.secret.sign_onto(&mut value, id, seconds, body);
        }
        value
    }

    /// With a new secret. What signed so far goes on for as long as it was to, the newest of it
    /// for `overlap`; without an overlap nothing but the new one signs from `now` on.
    pub fn rotated(
        &self,
        new: SigningSecret,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<Self, RotationRefused> {
        if self.live_at(now).any(|live| live.secret == new) {
            return Err(RotationRefused::InUse);
        }
        if overlap.is_zero() {
            return Ok(Self::only(new));
        }
        let end = now.plus(overlap);
        let replaced: Vec<LiveSecret> = self
            .live_at(now)
            .map(|live| LiveSecret {
                secret: live.secret.clone(),
                until: live.until.or(Some(end)),
            })
            .collect();
        if replaced.len() >= MOST_LIVE {
            let ends = replaced.iter().filter_map(|replaced| replaced.until);
            return Err(RotationRefused::TooMany(ends.min().unwrap_or(end)));
        }
        let newest = LiveSecret {
            secret: new,
            until: None,
        };
        Ok(Self(std::iter::once(newest).chain(replaced).collect()))
    }
}

/// Whose secrets sign a subscription's deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretOwner {
    /// Its own.
    #[default]
    Subscription,
    /// Those of its tenant, shared by all of its subscriptions that ask for it.
    Tenant,
}

impl SecretOwner {
    /// Every one, for parsers.
    pub const ALL: [Self; 2] = [Self::Subscription, Self::Tenant];

    /// The word used in tables, requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Tenant => "tenant",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|owner| owner.as_str() == word)
    }
}

/// All that decides how a subscription's deliveries are signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Signing {
    /// Its own secrets; it always has some, also while it signs with others.
    pub own: SigningSecrets,
    /// Whose sign.
    pub owner: SecretOwner,
    /// Its tenant's, where that has any.
    pub tenant: Option<SigningSecrets>,
    /// Own signature headers.
    pub headers: OwnSignatures,
}

impl Signing {
    /// With this secret, in the standard headers.
    pub fn with(secret: SigningSecret) -> Self {
        Self {
            own: SigningSecrets::only(secret),
            owner: SecretOwner::Subscription,
            tenant: None,
            headers: OwnSignatures::default(),
        }
    }

    /// What signs.
    pub fn secrets(&self) -> &SigningSecrets {
        match (self.owner, &self.tenant) {
            (SecretOwner::Tenant, Some(tenant)) => tenant,
            _ => &self.own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn secret(number: u8) -> SigningSecret {
        SigningSecret::from_random([number; 32])
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn both_sign_until_the_overlap_ends() {
        let rotated = SigningSecrets::only(secret(1))
            .rotated(secret(2), HOUR, at(0))
            .unwrap();
        let (old, new) = (secret(1), secret(2));
        for (now, expected, steady) in [(3_599, vec![&new, &old], &old), (3_600, vec![&new], &new)]
        {
            let live: Vec<_> = rotated.live_at(at(now)).map(|live| &live.secret).collect();
            assert_eq!(live, expected);
            assert_eq!(rotated.steady_at(at(now)), Some(steady));
            let signatures: Vec<_> = expected
                .iter()
                .map(|one| one.sign("id", now, b"b"))
                .collect();
            assert_eq!(rotated.sign(at(now), "id", b"b"), signatures.join(" "));
        }
    }

    #[test]
    fn without_an_overlap_the_new_one_stands_alone() {
        let three = SigningSecrets::only(secret(1))
            .rotated(secret(2), HOUR, at(0))
            .and_then(|two| two.rotated(secret(3), HOUR * 2, at(1)))
            .unwrap();
        assert_eq!(three.live_at(at(2)).count(), 3);
        let refused = three.rotated(secret(4), HOUR, at(2));
        assert_eq!(refused, Err(RotationRefused::TooMany(at(3_600))));
        let refused = three.rotated(secret(1), Duration::ZERO, at(2));
        assert_eq!(refused, Err(RotationRefused::InUse));
        let alone = three.rotated(secret(4), Duration::ZERO, at(2)).unwrap();
        assert_eq!(alone, SigningSecrets::only(secret(4)));
        // What has ended makes room, and may come back.
        let later = three.rotated(secret(1), HOUR, at(3_600)).unwrap();
        assert_eq!(later.live_at(at(3_600)).count(), 3);
    }

    #[test]
    fn one_value_is_never_that_of_a_key_pair() {
        let pair = SigningSecret::made(Scheme::Ed25519, [9; 32]);
        let moving = SigningSecrets::only(secret(1))
            .rotated(pair, HOUR, at(0))
            .unwrap();
        assert_eq!(moving.steady_at(at(1)), Some(&secret(1)));
        assert_eq!(moving.steady_at(at(3_600)), None);
        let value = moving.sign(at(1), "id", b"b");
        let (asymmetric, shared) = value.split_once(' ').unwrap();
        assert!(asymmetric.starts_with("v1a,") && shared.starts_with("v1,"));
    }

    #[test]
    fn what_was_stored_is_read_only_where_it_makes_sense() {
        let live = |number, until: Option<i64>| LiveSecret {
            secret: secret(number),
            until: until.map(at),
        };
        let good = vec![live(1, None), live(2, Some(5))];
        assert_eq!(
            SigningSecrets::from_stored(good.clone()).unwrap().stored(),
            good
        );
        for bad in [
            vec![],
            vec![live(1, Some(1))],
            vec![live(1, None), live(2, None)],
            vec![
                live(1, None),
                live(2, Some(1)),
                live(3, Some(1)),
                live(4, Some(1)),
            ],
        ] {
            assert_eq!(SigningSecrets::from_stored(bad), None);
        }
    }
}
