//! A hundred thousand subscriptions: what each costs idle, that matching does not slow down,
//! and what a live actor costs.

use serde_json::json;

use super::{relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::relay::Relay;
use crate::report::{Report, mebibytes};
use crate::sender::Load;
use crate::store::Copied;

const NAME: &str = "subscriptions";
/// Event types of the many: this and a number.
const MANY: &str = "many.type";
/// Subscriptions woken to see what an actor costs; of these, a tenth is then kept busy.
const LIVE: u64 = 10_000;
const BUSY: u64 = 1_000;

/// The rate with one subscription alone, with many that do not match, then of many at once.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let rows = number("ROWS", 100_000);
    let load = singles(number("EVENTS", 20_000), 256);
    let warm_up = singles(2_000, 256);
    for profile in Profile::chosen() {
        let word = profile.as_str();
        let (store, relay, ids) = relay(bench, profile, 1).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &warm_up).await;
        let alone = bench.measure(&target, &load).await;
        let (alone_rate, alone_memory) = (alone.rate, alone.memory.unwrap_or_default());
        report.row(alone.named(NAME, format!("alone {word}")));

        // One lane for all of the many: no event of theirs matches two.
        let template = relay
            .subscribe(
                &bench.receiver.hook(1),
                &format!("{MANY}.template"),
                json!({}),
            )
            .await;
        relay.process.stop();
        let number = match profile {
            Profile::Embedded => "printf('%d', n)",
            Profile::Distributed => "n::text",
        };
        let many = Copied {
            table: "subscriptions",
            row: format!("id = {}", store.id(&template)),
            differ: vec![
                ("id", store.clone_id(7, rows)),
                ("name", format!("'many ' || {number}")),
                ("event_types", format!("'[\"{MANY}' || {number} || '\"]'")),
            ],
        };
        store.clone_rows(rows, &[many]).await;
        store.rest().await;

        bench.receiver.reset().await;
        let relay = Relay::start(&store).await;
        let idle = relay.process.memory();
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &warm_up).await;
        let among = bench.measure(&target, &load).await;
        let (rate, memory) = (among.rate, among.memory.unwrap_or_default());
        report.row(among.named(NAME, format!("among {word}")));

        let (live, busy) = (LIVE.min(rows), BUSY.min(rows));
        let lane = Target {
            lanes: (1, 1),
            deliveries_per_event: 1,
            ..target
        };
        let before = relay.process.memory();
        let wake = Load {
            kind: MANY.to_owned(),
            kinds: live,
            ..singles(live, 64)
        };
        bench.warm_up(&lane, &wake).await;
        let per_actor = relay.process.memory().saturating_sub(before) as f64 / live as f64 / 1024.0;
        let load = Load {
            kind: MANY.to_owned(),
            kinds: busy,
            ..load.clone()
        };
        let row = bench.measure(&lane, &load).await;
        report.row(row.named(NAME, format!("busy {word}")));

        report.note(format!(
            "subscriptions, {word}: {rows} of them: ready after {:.2} s, {:.1} MiB resident ({:.2} KiB each); \
             {:.0} MiB at full load, {:.0} MiB without them",
            relay.start_up,
            mebibytes(idle),
            idle as f64 / 1024.0 / rows as f64,
            mebibytes(memory),
            mebibytes(alone_memory),
        ));
        report.at_least(
            format!("subscriptions, {word}: rate / rate alone"),
            rate / alone_rate,
            0.9,
        );
        report.at_most(
            format!("subscriptions, {word}: KiB per live actor"),
            per_actor,
            16.0,
        );
        report.at_most(
            format!("subscriptions, {word}: seconds from start to ready"),
            relay.start_up,
            3.0,
        );
    }
}
