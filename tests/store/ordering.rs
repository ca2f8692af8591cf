//! Lines: who stands where, what a page sees of them, and what blocks them.

use std::collections::BTreeMap;

use posthaste::domain::delivery::{DeliveryState, PendingDelivery};
use posthaste::domain::event::Event;
use posthaste::domain::id::{DeliveryId, SubscriptionId};
use posthaste::domain::ordering::{Line, Ordering, OrderingFailure, OrderingRule};
use posthaste::store::{AcceptGroup, Accepted, Moved, Recorded, Store};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::bed::Bed;
use crate::sample::{answered, at, event, group, recorded, subscription};

on_both_stores!(
    a_rule_of_order_is_kept_with_its_subscription,
    heads_are_walked_from_line_to_line,
    what_follows_a_head_comes_in_order,
    what_stands_in_no_line_has_a_page_of_its_own,
    without_an_order_nothing_is_lined_up,
    what_is_pending_can_be_lined_up_later,
    what_failed_for_good_blocks_its_line,
    a_blocked_line_is_released_once,
    a_retry_keeps_a_place_that_others_wait_for,
    a_page_reads_no_followers,
);

fn keyed(keys: &[Option<&str>]) -> Vec<Event> {
    let keyed = |key: &Option<&str>| Event {
        ordering_key: key.map(str::to_owned),
        ..event("1")
    };
    keys.iter().map(keyed).collect()
}

pub async fn subscribe(store: &dyn Store, ordering: Ordering) -> (SubscriptionId, OrderingRule) {
    let mut new = subscription("ordered");
    new.ordering = new.ordering.changed(Some(ordering), None, at(5));
    store.create_subscription(&new).await.unwrap();
    (new.id, new.ordering)
}

async fn lined(store: &dyn Store, to: SubscriptionId, keys: &[Option<&str>]) -> AcceptGroup {
    let mut group = group(store, keyed(keys), &[to]).await;
    group.ordered = BTreeMap::from([(to, Ordering::Key)]);
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    group
}

fn line(key: &str) -> Line {
    Ordering::Key.line(Some(key)).unwrap()
}

async fn heads(
    store: &dyn Store,
    to: SubscriptionId,
    rule: &OrderingRule,
) -> Vec<(Line, DeliveryId, bool)> {
    let rows = store.line_heads(to, rule.since, None, 100).await.unwrap();
    let head =
        |row: &posthaste::store::HeadRow| (row.line.clone(), row.row.delivery.id, row.blocked);
    rows.iter().map(head).collect()
}

/// Records that this delivery failed for good, and blocks its line by that rule.
pub async fn fails(bed: &Bed, delivery: PendingDelivery, rule: &OrderingRule) -> i64 {
    let mut record = answered(delivery, 500);
    record.verdict.settlement = posthaste::domain::delivery::Settlement::Failed;
    record.blocks = rule.blocks(record.verdict.settlement);
    let version = record.verdict.progress.version;
    assert_eq!(
        recorded(&*bed.store, bed.epoch, record).await,
        Recorded::Moved
    );
    version
}

async fn a_rule_of_order_is_kept_with_its_subscription(bed: Bed) {
    let store = &*bed.store;
    let (id, rule) = subscribe(store, Ordering::Key).await;
    let mut stored = store.subscription(id).await.unwrap().unwrap();
    assert_eq!(stored.ordering, rule);
    stored.ordering = rule.changed(Some(Ordering::All), Some(OrderingFailure::Skip), at(9));
    store.update_subscription(&stored, None).await.unwrap();
    let read = store.subscription(id).await.unwrap().unwrap();
    assert_eq!(read.ordering, stored.ordering);
    assert_eq!(store.runtime(id).await.unwrap().lined_up, None);
    for since in [5, 9] {
        store.note_lined_up(id, at(since)).await.unwrap();
        assert_eq!(store.runtime(id).await.unwrap().lined_up, Some(at(since)));
    }
}

async fn heads_are_walked_from_line_to_line(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::Key).await;
    let (other, _) = subscribe(store, Ordering::Key).await;
    lined(store, other, &[Some("a"), Some("q")]).await;
    let keys = [
        Some("b"),
        Some("a"),
        None,
        Some("b"),
        Some("ä"),
        Some("B"),
        Some("a"),
    ];
    let all = lined(store, to, &keys).await.deliveries;
    let found = heads(store, to, &rule).await;
    let expected: Vec<_> = [("B", 5), ("a", 1), ("b", 0), ("ä", 4)]
        .map(|(key, place)| (line(key), all[place].id, false))
        .into();
    assert_eq!(found, expected);
    // In pages, whatever ends them.
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .line_heads(to, rule.since, after.as_ref(), 3)
            .await
            .unwrap();
        walked.extend(page.iter().map(|row| row.line.clone()));
        let Some(last) = page.last().filter(|_| page.len() == 3) else {
            break;
        };
        after = Some(last.line.clone());
    }
    let names: Vec<Line> = expected.into_iter().map(|(line, ..)| line).collect();
    assert_eq!(walked, names);
    // A head that is final is none.
    recorded(store, bed.epoch, answered(all[1], 200)).await;
    assert_eq!(heads(store, to, &rule).await[1].1, all[6].id);
    recorded(store, bed.epoch, answered(all[6], 200)).await;
    assert_eq!(heads(store, to, &rule).await.len(), 3);
    // One that waits for its retry still is.
    recorded(store, bed.epoch, answered(all[0], 500)).await;
    let rows = store
        .line_heads(to, rule.since, Some(&line("a")), 1)
        .await
        .unwrap();
    assert_eq!(rows[0].row.delivery.id, all[0].id);
    assert!(rows[0].row.delivery.due_at > at(0));
}

async fn what_follows_a_head_comes_in_order(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::Key).await;
    let keys = [
        Some("a"),
        Some("b"),
        Some("a"),
        Some("a"),
        Some("b"),
        Some("c"),
    ];
    let all = lined(store, to, &keys).await.deliveries;
    let rows = store.line_heads(to, rule.since, None, 9).await.unwrap();
    let places: Vec<_> = rows.iter().map(|row| (row.line.clone(), row.seq)).collect();
    let after = async |limit| {
        let found = store.lines_after(to, &places, limit).await.unwrap();
        let ids = found.into_iter().map(|(line, row)| (line, row.delivery.id));
        ids.collect::<Vec<_>>()
    };
    let of = |key, place: usize| (line(key), all[place].id);
    assert_eq!(after(1).await, [of("a", 2), of("b", 4)]);
    assert_eq!(after(5).await, [of("a", 2), of("a", 3), of("b", 4)]);
    assert_eq!(store.lines_after(to, &[], 5).await.unwrap(), []);
}

async fn what_stands_in_no_line_has_a_page_of_its_own(bed: Bed) {
    let store = &*bed.store;
    let (to, _) = subscribe(store, Ordering::Key).await;
    let mut group = group(store, keyed(&[Some("a"), None, None, None]), &[to]).await;
    group.ordered = BTreeMap::from([(to, Ordering::Key)]);
    for (delivery, second) in group.deliveries.iter_mut().zip([0, 20, 10, 60]) {
        delivery.due_at = at(second);
    }
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let page = store.free_page(to, at(30), 10).await.unwrap();
    let ids: Vec<_> = page.due.iter().map(|row| row.delivery.id).collect();
    assert_eq!(ids, [group.deliveries[2].id, group.deliveries[1].id]);
    assert_eq!(page.next_due, Some(at(60)));
    assert_eq!(store.free_page(to, at(30), 1).await.unwrap().due.len(), 1);
}

async fn without_an_order_nothing_is_lined_up(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::None).await;
    let group = group(store, keyed(&[Some("a"), None]), &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(heads(store, to, &rule).await, []);
    assert_eq!(store.free_page(to, at(30), 10).await.unwrap().due, []);
    assert_eq!(store.due_page(to, at(30), 10).await.unwrap().due.len(), 2);
    // Retried by hand, it is found whatever order comes.
    let first = group.deliveries[0];
    recorded(store, bed.epoch, answered(first, 200)).await;
    assert_eq!(
        store.retry_delivery(first.id, 1, at(3)).await.unwrap(),
        Moved::Done
    );
    let free = store.free_page(to, at(30), 10).await.unwrap().due;
    assert_eq!(free[0].delivery.id, first.id);
    assert_eq!(store.due_page(to, at(30), 10).await.unwrap().due.len(), 2);
}

async fn what_is_pending_can_be_lined_up_later(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::None).await;
    let keys = [Some("a"), None, Some("b"), Some("a"), Some("c")];
    let group = group(store, keyed(&keys), &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let all = group.deliveries;
    recorded(store, bed.epoch, answered(all[4], 200)).await;
    let line_up = async |ordering| {
        let (mut last, mut batches) = (0, 0);
        while let Some(place) = store.line_up(to, ordering, last, 2).await.unwrap() {
            assert!(place > last);
            last = place;
            batches += 1;
        }
        batches
    };
    assert_eq!(line_up(Ordering::Key).await, 2);
    let expected = [(line("a"), all[0].id, false), (line("b"), all[2].id, false)];
    assert_eq!(heads(store, to, &rule).await, expected);
    assert_eq!(store.free_page(to, at(9), 9).await.unwrap().due.len(), 1);
    assert_eq!(line_up(Ordering::All).await, 2);
    let one = Ordering::All.line(None).unwrap();
    assert_eq!(heads(store, to, &rule).await, [(one, all[0].id, false)]);
    assert_eq!(store.free_page(to, at(9), 9).await.unwrap().due, []);
}

async fn what_failed_for_good_blocks_its_line(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::Key).await;
    let all = lined(store, to, &[Some("a"), Some("b"), Some("a"), Some("c")])
        .await
        .deliveries;
    fails(&bed, all[0], &rule).await;
    fails(&bed, all[3], &rule).await;
    let blocked: Vec<_> = heads(store, to, &rule)
        .await
        .into_iter()
        .map(|head| head.2)
        .collect();
    assert_eq!(blocked, [true, false]);
    let of = async |after: Option<Line>, limit| {
        let rows = store
            .blocking(to, rule.since, after.as_ref(), limit)
            .await
            .unwrap();
        rows.into_iter()
            .map(|row| (row.line, row.delivery, row.state))
            .collect::<Vec<_>>()
    };
    let expected = [
        (line("a"), all[0].id, DeliveryState::Failed),
        (line("c"), all[3].id, DeliveryState::Failed),
    ];
    assert_eq!(of(None, 9).await, expected);
    assert_eq!(of(None, 1).await, expected[..1]);
    assert_eq!(of(Some(line("a")), 9).await, expected[1..]);
    let row = store.delivery(all[0].id).await.unwrap().unwrap();
    assert_eq!(row.blocks, rule.name());
    // Another rule knows nothing of it.
    let other = rule.changed(None, Some(OrderingFailure::Skip), at(9));
    assert!(heads(store, to, &other).await.iter().all(|head| !head.2));
    assert_eq!(store.blocking(to, other.since, None, 9).await.unwrap(), []);
}

async fn a_blocked_line_is_released_once(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::Key).await;
    let all = lined(store, to, &[Some("a"), Some("a")]).await.deliveries;
    let version = fails(&bed, all[0], &rule).await;
    let release = async |id, version| {
        store
            .release_line(id, version, DeliveryState::Skipped, at(9))
            .await
            .unwrap()
    };
    assert_eq!(release(all[0].id, version + 1).await, Moved::Overtaken);
    assert_eq!(release(all[1].id, 0).await, Moved::Overtaken, "pending");
    assert_eq!(release(all[0].id, version).await, Moved::Done);
    assert_eq!(release(all[0].id, version + 1).await, Moved::Overtaken);
    let row = store.delivery(all[0].id).await.unwrap().unwrap();
    assert_eq!((row.state, row.blocks), (DeliveryState::Skipped, None));
    assert_eq!(
        heads(store, to, &rule).await,
        [(line("a"), all[1].id, false)]
    );
}

async fn a_retry_keeps_a_place_that_others_wait_for(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::Key).await;
    let all = lined(store, to, &[Some("a"), Some("a"), Some("b"), Some("b")])
        .await
        .deliveries;
    // What blocks.
    let version = fails(&bed, all[0], &rule).await;
    let retry = async |id, version| store.retry_delivery(id, version, at(4)).await.unwrap();
    assert_eq!(retry(all[0].id, version).await, Moved::Done);
    assert_eq!(
        heads(store, to, &rule).await[0],
        (line("a"), all[0].id, false)
    );
    // What is pending.
    assert_eq!(retry(all[2].id, 0).await, Moved::Done);
    assert_eq!(
        heads(store, to, &rule).await[1],
        (line("b"), all[2].id, false)
    );
    assert_eq!(store.free_page(to, at(9), 9).await.unwrap().due, []);
    // What is final, and nobody waits for.
    let row = store.oldest_pending(to, 9).await.unwrap()[2];
    recorded(store, bed.epoch, answered(row.delivery, 200)).await;
    let version = row.delivery.progress.version + 1;
    assert_eq!(retry(all[2].id, version).await, Moved::Done);
    assert_eq!(
        heads(store, to, &rule).await[1],
        (line("b"), all[3].id, false)
    );
    let free = store.free_page(to, at(9), 9).await.unwrap().due;
    assert_eq!(free[0].delivery.id, all[2].id);
}

/// Ten thousand behind one head, by the rows that the database says it read.
async fn a_page_reads_no_followers(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = subscribe(store, Ordering::Key).await;
    let mut keys = vec![Some("m"); 10_000];
    keys.extend([Some("a"), Some("z"), None]);
    let mut head = None;
    for keys in keys.chunks(2_000) {
        let group = lined(store, to, keys).await;
        head = head.or(Some(group.deliveries[0]));
    }
    fails(&bed, head.unwrap(), &rule).await;
    let found = heads(store, to, &rule).await;
    let blocked: Vec<_> = found.iter().map(|head| head.2).collect();
    assert_eq!(blocked, [false, true, false]);
    if bed.is_postgres() {
        let read = rows_read(&bed, to, &rule).await;
        assert!((6..20).contains(&read), "{read} rows read for three lines");
    } else {
        walks_by_index(&bed).await;
    }
}

/// What the statement's plan says it read, with the figures of a table that was never analysed.
async fn rows_read(bed: &Bed, to: SubscriptionId, rule: &OrderingRule) -> u64 {
    let url = bed.settings.database_url.as_ref().unwrap().expose();
    let mut database = PgConnection::connect(url).await.unwrap();
    let sql = format!(
        "EXPLAIN (ANALYZE, FORMAT JSON) {}",
        posthaste::store::postgres::LINE_HEADS
    );
    let plan: serde_json::Value = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(to.0)
        .bind(rule.since.to_datetime())
        .bind("")
        .bind(256i64)
        .fetch_one(&mut database)
        .await
        .unwrap();
    fn sum(node: &serde_json::Value) -> u64 {
        let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
        let scan = node["Node Type"]
            .as_str()
            .unwrap_or_default()
            .contains("Scan");
        let name = node["Relation Name"].as_str().unwrap_or_default();
        let real = scan && name.contains("deliveries");
        let own =
            number("Actual Loops") * (number("Actual Rows") + number("Rows Removed by Filter"));
        let below: u64 = node["Plans"]
            .as_array()
            .into_iter()
            .flatten()
            .map(sum)
            .sum();
        below + if real { own as u64 } else { 0 }
    }
    sum(&plan[0]["Plan"])
}

/// The statements name their indexes; that those are searched, and not walked, the plan says.
async fn walks_by_index(bed: &Bed) {
    let file = bed.settings.data_dir.join("posthaste.db");
    let url = format!("sqlite://{}", file.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    for sql in [
        posthaste::store::sqlite::LINE_HEADS,
        posthaste::store::sqlite::LINES_AFTER,
    ] {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut database)
            .await
            .unwrap();
        let touched: Vec<&String> = steps
            .iter()
            .map(|(.., step)| step)
            .filter(|step| {
                step.contains("deliveries") || step.contains("head") || step.contains(" run")
            })
            .collect();
        assert!(touched.len() >= 2, "{steps:?}");
        for step in touched {
            let virtual_table = step.contains("VIRTUAL TABLE");
            assert!(step.contains("SEARCH") || virtual_table, "{step}");
        }
    }
}
