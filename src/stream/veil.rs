//! Numbers that say nothing of how many there are. A tenant is shown its own facts alone; were their ids
//! the numbers of the node's facts, it could read from them how busy everybody else is.
//!
//! A number is shuffled with its halves, four times over (a Feistel network), by a hash under a secret
//! that nobody but this process has: each has one other, and without the secret none tells of the next.

use std::hash::{DefaultHasher, Hasher as _};

/// See the module's documentation.
#[derive(Clone, Copy)]
pub struct Veil([u8; 16]);

const ROUNDS: [u8; 4] = [0, 1, 2, 3];

impl Veil {
    /// With a secret of random bytes.
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// What stands for a number.
    pub fn over(&self, number: u64) -> u64 {
        let step = |(left, right): (u32, u32), round| (right, left ^ self.mixed(round, right));
        joined(ROUNDS.into_iter().fold(halves(number), step))
    }

    /// The number that it stands for.
    pub fn under(&self, shown: u64) -> u64 {
        let step = |(left, right): (u32, u32), round| (right ^ self.mixed(round, left), left);
        joined(ROUNDS.into_iter().rev().fold(halves(shown), step))
    }

    fn mixed(&self, round: u8, half: u32) -> u32 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher.write_u8(round);
        hasher.write_u32(half);
        (hasher.finish() & u64::from(u32::MAX)) as u32
    }
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veil(********)")
    }
}

fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, (number & u64::from(u32::MAX)) as u32)
}

fn joined((left, right): (u32, u32)) -> u64 {
    (u64::from(left) << 32) | u64::from(right)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_number_has_one_other(number in any::<u64>(), secret in any::<[u8; 16]>()) {
            let veil = Veil::new(secret);
            prop_assert_eq!(veil.under(veil.over(number)), number);
            prop_assert_eq!(veil.over(veil.under(number)), number);
        }
    }

    #[test]
    fn numbers_in_a_row_do_not_show_it_and_another_secret_shows_others() {
        let (one, other) = (Veil::new([1; 16]), Veil::new([2; 16]));
        let shown: Vec<u64> = (0..1_000).map(|number| one.over(number)).collect();
        assert!(!shown.is_sorted());
        let steps: HashSet<u64> = shown
            .windows(2)
            .map(|pair| pair[1].wrapping_sub(pair[0]))
            .collect();
        assert_eq!(steps.len(), 999, "no step tells of another");
        assert!((0..1_000).all(|number| one.over(number) != other.over(number)));
        assert!(!format!("{one:?}").contains('1'));
    }
}
