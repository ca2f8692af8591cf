//! A store that has seen ten million events: the rate must be that of an empty one.

use super::{relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::relay::Relay;
use crate::report::Report;
use crate::store::Copied;
use crate::wire;

const NAME: &str = "growth";
/// Bytes of disk for one event with its delivery, attempt and indexes, the log of the
/// database included, on the store that takes most.
const BYTES_PER_ROW: u64 = 3_000;

/// The rate on an empty store, then with ROWS delivered events in it.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let rows = number("ROWS", 10_000_000);
    let load = singles(number("EVENTS", 40_000), 256);
    for profile in Profile::chosen() {
        check_disk(rows);
        let word = profile.as_str();
        let (store, relay, ids) = relay(bench, profile, 1).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &singles(2_000, 256)).await;
        let empty = bench.measure(&target, &load).await;
        let empty_rate = empty.rate;
        report.row(empty.named(NAME, format!("empty {word}")));

        let delivered = relay.get("deliveries?status=delivered&limit=1").await;
        let delivered = &delivered["data"][0];
        let id = |field: &str| store.id(delivered[field].as_str().expect("an id"));
        let (delivery, event) = (id("id"), id("eventId"));
        relay.process.stop();
        let (delivery_id, event_id) = (store.clone_id(8, rows), store.clone_id(7, rows));
        let clone = |table, row: String, differ| Copied { table, row, differ };
        let began = wire::now();
        let clones = [
            clone(
                "events",
                format!("id = {event}"),
                vec![("id", event_id.clone())],
            ),
            clone(
                "final_deliveries",
                format!("id = {delivery}"),
                vec![("id", delivery_id.clone()), ("event_id", event_id)],
            ),
            clone(
                "attempts",
                format!("delivery_id = {delivery}"),
                vec![
                    ("id", store.clone_id(7, rows)),
                    ("delivery_id", delivery_id),
                ],
            ),
        ];
        store.clone_rows(rows, &clones).await;
        store.rest().await;
        report.note(format!(
            "growth, {word}: seeding {rows} took {:.0} s",
            wire::seconds(began, wire::now())
        ));

        bench.receiver.reset().await;
        let relay = Relay::start(&store).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &singles(2_000, 256)).await;
        let grown = bench.measure(&target, &load).await;
        let rate = grown.rate;
        report.row(grown.named(NAME, format!("grown {word}")));
        report.at_least(
            format!("growth, {word}: rate / rate of the empty store"),
            rate / empty_rate,
            0.9,
        );
    }
}

/// Ends the run where the disk would be filled.
fn check_disk(rows: u64) {
    let place = std::env::temp_dir();
    let output = std::process::Command::new("df")
        .arg("-Pk")
        .arg(&place)
        .output();
    let output = String::from_utf8(output.expect("df").stdout).expect("text");
    let fields = output.lines().nth(1).map(|line| line.split_whitespace());
    let kib = fields.and_then(|mut fields| fields.nth(3)?.parse::<u64>().ok());
    let (free, needed) = (kib.expect("the free space") * 1024, rows * BYTES_PER_ROW);
    let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    assert!(
        free > needed,
        "{} has {:.0} GiB free, and {rows} rows may need {:.0}; set ROWS lower",
        place.display(),
        gibibytes(free),
        gibibytes(needed),
    );
}
