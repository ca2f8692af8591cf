//! The demo's events: types of a recruitment platform, with payloads that look like its own.

use serde_json::{Value, json};

use super::receivers::TENANT;

/// A type, what it says, and an example.
pub(super) struct Sample {
    pub(super) event_type: &'static str,
    pub(super) description: &'static str,
    pub(super) source: &'static str,
    payload: fn(u64) -> Value,
}

const NAMES: [&str; 8] = [
    "Ada Lovelace",
    "Grace Hopper",
    "Katherine Johnson",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Alan Turing",
    "Radia Perlman",
    "Donald Knuth",
];
const TITLES: [&str; 5] = [
    "Platform engineer",
    "Data analyst",
    "Product designer",
    "Support lead",
    "Accountant",
];
const STAGES: [&str; 4] = ["screening", "interview", "offer", "hired"];

fn one_of<const N: usize>(words: [&'static str; N], number: u64) -> &'static str {
    words[usize::try_from(number).unwrap_or(0) % N]
}

fn candidate(number: u64) -> Value {
    json!({"candidateId": format!("cnd_{number:06}"), "name": one_of(NAMES, number)})
}

fn job(number: u64) -> Value {
    json!({"jobId": format!("job_{:04}", number % 40), "title": one_of(TITLES, number)})
}

fn interview(number: u64) -> Value {
    json!({
        "interviewId": format!("int_{number:06}"),
        "candidateId": format!("cnd_{number:06}"),
        "round": number % 3 + 1,
    })
}

fn assessment(number: u64) -> Value {
    json!({
        "assessmentId": format!("asm_{number:06}"),
        "candidateId": format!("cnd_{number:06}"),
        "score": number * 7 % 41 + 60,
    })
}

fn status_changed(number: u64) -> Value {
    let mut payload = candidate(number);
    payload["status"] = one_of(STAGES, number).into();
    payload
}

#[rustfmt::skip] // One type a line.
pub(super) const ALL: [Sample; 11] = [
    Sample { event_type: "job.created", description: "A job was opened.", source: "jobs-service", payload: job },
    Sample { event_type: "job.updated", description: "A job was changed.", source: "jobs-service", payload: job },
    Sample { event_type: "job.deleted", description: "A job was closed.", source: "jobs-service", payload: job },
    Sample { event_type: "candidate.created", description: "Somebody applied.", source: "candidates-service", payload: candidate },
    Sample { event_type: "candidate.updated", description: "An application was changed.", source: "candidates-service", payload: candidate },
    Sample { event_type: "candidate.status_changed", description: "An application went on, or ended.", source: "candidates-service", payload: status_changed },
    Sample { event_type: "interview.scheduled", description: "An interview has a date.", source: "interviews-service", payload: interview },
    Sample { event_type: "interview.completed", description: "An interview was held.", source: "interviews-service", payload: interview },
    Sample { event_type: "interview.cancelled", description: "An interview was called off.", source: "interviews-service", payload: interview },
    Sample { event_type: "assessment.submitted", description: "An assessment was handed in.", source: "assessments-service", payload: assessment },
    Sample { event_type: "assessment.graded", description: "An assessment has its score.", source: "assessments-service", payload: assessment },
];

impl Sample {
    /// The `number`th event of the demo: types in turn, but as often as in life.
    pub(super) fn nth(number: u64) -> &'static Self {
        // Applications come often, jobs are closed seldom.
        const TURNS: [usize; 16] = [3, 5, 4, 6, 0, 3, 9, 5, 7, 10, 4, 1, 3, 5, 8, 2];
        &ALL[TURNS[usize::try_from(number).unwrap_or(0) % TURNS.len()]]
    }

    /// Whose the event is: assessments are made for the customer alone. All others go to everybody.
    pub(super) fn tenant(&self) -> Option<&'static str> {
        self.event_type.starts_with("assessment.").then_some(TENANT)
    }

    pub(super) fn payload(&self, number: u64) -> Value {
        (self.payload)(number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_type_comes() {
        let sent: BTreeSet<_> = (0..16)
            .map(|number| Sample::nth(number).event_type)
            .collect();
        let there: BTreeSet<_> = ALL.iter().map(|one| one.event_type).collect();
        assert_eq!(sent, there);
    }
}
