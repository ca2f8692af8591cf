//! The ledger as tables in Markdown, as they stand in docs/reliability.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use crate::inflict::Inflicted;
use crate::verdict::Verdict;
use crate::world::World;

/// Prints past the capturing of a test's output: the tables are what a run is for.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Everything that a run has to tell.
pub fn tables(
    world: &World,
    seed: u64,
    under_fire: Duration,
    inflicted: &[Inflicted],
    verdict: &Verdict,
) -> String {
    let mut out = String::new();
    let disk = world.disk.as_ref();
    let _ = writeln!(
        out,
        "\n### {}{}: seed {seed}, {} s under fire\n",
        world.shape.name(),
        disk.map_or_else(String::new, |disk| format!(" ({})", disk.kind())),
        under_fire.as_secs()
    );
    let notes = world.ledger.notes();
    let refused: usize = notes.refused.values().sum();
    out.push_str(
        "| sent | acknowledged | refused | unanswered | repeated with a key that was known | stored unacknowledged | panics |\n|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let _ = writeln!(
        out,
        "| {} | {} | {refused} | {} | {} | {} | {} |\n",
        notes.sent,
        notes.acknowledged.len(),
        notes.unanswered,
        notes.known_keys,
        verdict.unacknowledged,
        world.panicked(),
    );
    out.push_str(
        "| receiver | due | delivered | lost | duplicates | bound | stale attempts | requests | answered not 2xx |\n|:--|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in &verdict.rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.receiver,
            row.due,
            row.delivered,
            row.lost,
            row.duplicates,
            row.bound,
            row.stale,
            row.receipts,
            row.asked_again
        );
    }
    out.push_str(
        "\n| fault | times | flowing again after, median | longest |\n|:--|--:|--:|--:|\n",
    );
    let mut by_fault: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
    for one in inflicted {
        by_fault.entry(one.fault).or_default().push(one.recovery);
    }
    for (fault, mut recoveries) in by_fault {
        recoveries.sort_unstable();
        let seconds = |which: usize| recoveries[which].as_secs_f64();
        let _ = writeln!(
            out,
            "| {} | {} | {:.2} s | {:.2} s |",
            fault.name(),
            recoveries.len(),
            seconds(recoveries.len() / 2),
            seconds(recoveries.len() - 1)
        );
    }
    out
}
