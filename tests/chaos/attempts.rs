//! Whether the attempt log of a delivery agrees with itself and with the delivery's state.

use serde_json::Value;

/// What the log of one delivery says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// Attempts that got an answer, stale ones too.
    pub answered: usize,
    /// Attempts that came too late to move the delivery.
    pub stale: usize,
}

/// Reads the log of a delivery as the API shows it. The first fault found is the error.
pub fn read(delivery: &Value) -> Result<LogFacts, String> {
    let attempts = delivery["attempts"].as_array().ok_or("no attempts")?;
    let (stale, moving): (Vec<&Value>, Vec<&Value>) = attempts
        .iter()
        .partition(|attempt| attempt["stale"] == true);
    let mut numbers: Vec<u64> = moving
        .iter()
        .map(|attempt| {
            attempt["number"]
                .as_u64()
                .ok_or("an attempt without number")
        })
        .collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    if numbers.iter().copied().ne(1..=moving.len() as u64) {
        return Err(format!("attempts numbered {numbers:?}"));
    }
    if delivery["attemptCount"] != moving.len() {
        let count = &delivery["attemptCount"];
        return Err(format!("attemptCount {count} of {}", moving.len()));
    }
    let last = moving
        .iter()
        .max_by_key(|attempt| attempt["number"].as_u64());
    let state = delivery["status"].as_str().unwrap_or_default();
    for attempt in &moving {
        let is_last = last.is_some_and(|last| last["number"] == attempt["number"]);
        let wanted = state == "delivered" && is_last;
        if succeeded(attempt) != wanted {
            return Err(format!("{state}, but attempt {attempt}"));
        }
    }
    match (state, last) {
        ("delivered" | "failed", None) => return Err(format!("{state} without an attempt")),
        ("delivered" | "failed" | "pending", _) => {}
        (other, _) => return Err(format!("state {other:?}")),
    }
    let final_state = state != "pending";
    if delivery["finishedAt"].is_null() == final_state {
        return Err(format!("{state}, finished at {}", delivery["finishedAt"]));
    }
    Ok(LogFacts {
        answered: attempts
            .iter()
            .filter(|attempt| !attempt["status"].is_null())
            .count(),
        stale: stale.len(),
    })
}

fn succeeded(attempt: &Value) -> bool {
    let status = attempt["status"].as_u64();
    status.is_some_and(|status| (200..300).contains(&status)) && attempt["errorKind"].is_null()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attempt(number: u32, status: Option<u16>, stale: bool) -> Value {
        let kind = (status != Some(200)).then_some("status");
        json!({"number": number, "status": status, "errorKind": kind, "stale": stale})
    }

    fn delivery(state: &str, count: u32, attempts: Vec<Value>) -> Value {
        let finished = (state != "pending").then_some("2026-01-01T00:00:00Z");
        json!({
            "status": state,
            "attemptCount": count,
            "finishedAt": finished,
            "attempts": attempts,
        })
    }

    #[test]
    fn logs_that_agree_are_read() {
        let bad = || attempt(1, None, false);
        let facts = |answered, stale| Ok(LogFacts { answered, stale });
        let good = attempt(2, Some(200), false);
        let late = attempt(2, Some(200), true);
        let delivered = delivery("delivered", 2, vec![bad(), late.clone(), good]);
        assert_eq!(read(&delivered), facts(2, 1));
        assert_eq!(read(&delivery("pending", 0, vec![])), facts(0, 0));
        assert_eq!(
            read(&delivery("pending", 1, vec![bad(), late])),
            facts(1, 1)
        );
        assert_eq!(read(&delivery("failed", 1, vec![bad()])), facts(0, 0));
    }

    #[test]
    fn logs_that_do_not_agree_are_refused() {
        let one = |status| attempt(1, status, false);
        let two = |status| attempt(2, status, false);
        let unfinished = {
            let mut delivery = delivery("delivered", 1, vec![one(Some(200))]);
            delivery["finishedAt"] = Value::Null;
            delivery
        };
        for bad in [
            delivery("delivered", 1, vec![two(Some(200))]),
            delivery("delivered", 2, vec![one(None), one(Some(200))]),
            delivery("delivered", 1, vec![one(None), two(Some(200))]),
            delivery("delivered", 2, vec![one(None), two(Some(500))]),
            delivery("delivered", 2, vec![one(Some(200)), two(Some(200))]),
            delivery("pending", 1, vec![one(Some(200))]),
            delivery("failed", 0, vec![]),
            delivery("delivered", 0, vec![attempt(1, Some(200), true)]),
            delivery("lost", 1, vec![one(None)]),
            unfinished,
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
