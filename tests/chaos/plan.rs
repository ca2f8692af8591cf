//! What a run does: read from the environment, drawn from the seed.

use std::time::Duration;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::world::Shape;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub length: Length,
    /// Of these faults only. Empty: of all.
    pub only: Vec<Fault>,
}

/// How long each shape of the relay is kept under fire.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// Each fault so many times.
    Rounds(u64),
    /// Rounds until so much time has passed.
    Time(Duration),
}

/// The seed where none is given: `make test` is to do the same each time.
const SEED: u64 = 1;

impl Length {
    /// Between two requests of each sender, on average: a load that two cores carry with
    /// everything on them, so that what is measured is recovery and not the drain of a backlog.
    /// Less in a long run: every delivery is read in the end.
    pub fn pause(self) -> Duration {
        match self {
            Self::Rounds(_) => Duration::from_millis(100),
            Self::Time(_) => Duration::from_millis(200),
        }
    }

    /// What the small disk holds: more than the run leaves on it.
    pub fn disk_mib(self) -> u32 {
        match self {
            Self::Rounds(_) => 64,
            Self::Time(_) => 512,
        }
    }
}

impl Plan {
    /// From `CHAOS_SEED`, `CHAOS_ROUNDS`, `CHAOS_MINUTES` and `CHAOS_FAULT` (names of faults,
    /// parted by commas), each of which may be missing or empty.
    pub fn from_environment() -> Self {
        let length = match (number("CHAOS_ROUNDS"), number("CHAOS_MINUTES")) {
            (Some(_), Some(_)) => panic!("CHAOS_ROUNDS or CHAOS_MINUTES, not both"),
            (rounds, None) => Length::Rounds(rounds.unwrap_or(1)),
            (None, Some(minutes)) => Length::Time(Duration::from_secs(minutes * 60)),
        };
        Self {
            seed: number("CHAOS_SEED").unwrap_or(SEED),
            length,
            only: given("CHAOS_FAULT").map_or_else(Vec::new, |names| {
                names
                    .split(',')
                    .map(|name| {
                        Fault::named(name.trim()).unwrap_or_else(|| {
                            let all = Fault::ALL.map(Fault::name).join(", ");
                            panic!("CHAOS_FAULT: {name:?} is none of {all}")
                        })
                    })
                    .collect()
            }),
        }
    }

    /// The faults that this shape meets in one round, in the order of that round. In the first
    /// one those that may repeat nothing come first, so that nothing hides what they repeat.
    pub fn round(&self, shape: Shape, number: u64) -> Vec<Fault> {
        let asked = |fault: &Fault| self.only.is_empty() || self.only.contains(fault);
        let mut faults: Vec<Fault> = Fault::ALL
            .into_iter()
            .filter(|fault| fault.befalls(shape) && asked(fault))
            .collect();
        Chance::of(self.seed, &format!("round {number} {shape:?}")).shuffle(&mut faults);
        if number == 0 {
            faults.sort_by_key(|fault| fault.may_repeat());
        }
        faults
    }
}

/// A whole number from the environment.
pub fn number(name: &str) -> Option<u64> {
    given(name).map(|text| match text.parse() {
        Ok(number) => number,
        Err(_) => panic!("{name}: {text:?} is no whole number"),
    })
}

fn given(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

#[test]
fn the_seed_decides_the_schedule() {
    let plan = |seed| Plan {
        seed,
        length: Length::Rounds(1),
        only: Vec::new(),
    };
    let rounds = |seed| -> Vec<_> {
        (0..4)
            .map(|round| plan(seed).round(Shape::Split, round))
            .collect()
    };
    assert_eq!(rounds(1), rounds(1));
    assert_ne!(rounds(1), rounds(2));
    for shape in Shape::ALL {
        assert!(!plan(1).round(shape, 0).is_empty(), "{shape:?}");
    }
    let met = |fault: &Fault| Shape::ALL.into_iter().any(|shape| fault.befalls(shape));
    assert!(Fault::ALL.iter().all(met), "every fault has its place");
}
