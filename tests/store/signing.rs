//! Formats, signatures and secrets are kept; secrets lie encrypted where there is a master key.

use std::time::Duration;

use posthaste::domain::own_signature::{Encoding, Mode, OwnSignature, OwnSignatures, Signed};
use posthaste::domain::payload_format::PayloadFormat;
use posthaste::domain::signature::{Scheme, SigningSecret};
use posthaste::domain::signing::{SecretOwner, SigningSecrets};
use posthaste::domain::subscription::{Subscription, SubscriptionState};
use posthaste::settings::{MasterKey, StoreSettings};
use posthaste::store::{Kept, PostgresStore, Resealed, Result, SqliteStore, Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use zeroize::Zeroizing;

use crate::bed::Bed;
use crate::sample::{at, move_to, subscribe, subscription};

on_both_stores!(
    all_that_signs_is_kept,
    a_tenants_secrets_reach_those_that_sign_with_them,
    a_lost_update_of_a_tenants_secrets_is_refused,
    nothing_secret_lies_plain_under_a_master_key,
    a_row_is_read_with_its_own_key_and_in_its_own_place_alone,
    what_lay_plain_is_encrypted_and_a_key_replaced,
);

fn imported(text: &str) -> SigningSecret {
    SigningSecret::import(text).unwrap()
}

async fn all_that_signs_is_kept(bed: Bed) {
    let store = &*bed.store;
    let mut full = subscription("full");
    full.format = PayloadFormat::CloudEvents;
    full.signing.own = SigningSecrets::only(imported("eight \"bytes\" ü\0"))
        .rotated(
            SigningSecret::from_random([1; 32]),
            Duration::from_secs(9),
            at(0),
        )
        .and_then(|two| {
            let pair = SigningSecret::made(Scheme::Ed25519, [2; 32]);
            two.rotated(pair, Duration::from_secs(5), at(1))
        })
        .unwrap();
    full.signing.headers = OwnSignatures {
        mode: Mode::Instead,
        headers: vec![OwnSignature {
            header: "x-a".to_owned(),
            encoding: Encoding::Base64,
            prefix: "v1=".to_owned(),
            signs: Signed::TimestampAndBody,
            timestamp_header: Some("x-t".to_owned()),
        }],
    };
    full.version = store.create_subscription(&full).await.unwrap();
    let read = store.subscription(full.id).await.unwrap();
    assert_eq!(read, Some(full.clone()));
    let told = store.directory_since(0).await.unwrap().subscriptions;
    assert_eq!(told, [full]);
}

/// A stored subscription of that tenant that signs with the tenant's secrets.
async fn signing_with(store: &dyn Store, tenant: &str) -> Subscription {
    let mut made = subscription("of a tenant");
    made.tenant = Some(tenant.into());
    made.signing.owner = SecretOwner::Tenant;
    made.version = store.create_subscription(&made).await.unwrap();
    made
}

async fn a_tenants_secrets_reach_those_that_sign_with_them(bed: Bed) {
    let store = &*bed.store;
    assert_eq!(store.tenant_secrets("t").await.unwrap(), None);
    let with = signing_with(store, "t").await;
    let gone = signing_with(store, "t").await;
    let gone = move_to(store, &gone, SubscriptionState::Deleted).await;
    let other = signing_with(store, "u").await;
    let mut own = subscription("own");
    own.tenant = Some("t".into());
    own.version = store.create_subscription(&own).await.unwrap();
    let before = store.directory_version().await.unwrap();

    let secrets = SigningSecrets::only(imported("of the tenant"));
    let kept = store
        .keep_tenant_secrets("t", &secrets, 0, at(5))
        .await
        .unwrap();
    assert_eq!(kept, Kept::By(vec![with.id]));
    let stored = store.tenant_secrets("t").await.unwrap().unwrap();
    assert_eq!(
        (stored.secrets, stored.version),
        (secrets.clone(), before + 1)
    );
    let told = store.directory_since(before).await.unwrap();
    assert_eq!((told.version, told.subscriptions.len()), (before + 1, 1));
    assert_eq!(told.subscriptions[0].id, with.id);
    assert_eq!(*told.subscriptions[0].signing.secrets(), secrets);
    let gone_reads = store.subscription(gone.id).await.unwrap().unwrap();
    assert_eq!(gone_reads.version, gone.version);
    for untouched in [own, other] {
        let read = store.subscription(untouched.id).await.unwrap().unwrap();
        assert_eq!(read.version, untouched.version);
        assert_ne!(*read.signing.secrets(), secrets);
    }
    // One made later has them from the first.
    let later = signing_with(store, "t").await;
    let read = store.subscription(later.id).await.unwrap().unwrap();
    assert_eq!(*read.signing.secrets(), secrets);
    let page = posthaste::store::PageRequest {
        limit: 10,
        after: None,
        offset: 0,
    };
    let listed = store
        .list_subscriptions(Some("t"), &page)
        .await
        .unwrap()
        .rows;
    let signing = listed
        .iter()
        .filter(|row| *row.signing.secrets() == secrets);
    assert_eq!(signing.count(), 2);
}

async fn a_lost_update_of_a_tenants_secrets_is_refused(bed: Bed) {
    let store = &*bed.store;
    let secrets = |text: &str| SigningSecrets::only(imported(text));
    let (one, two) = (secrets("number one"), secrets("number two"));
    assert_eq!(
        store
            .keep_tenant_secrets("t", &one, 0, at(1))
            .await
            .unwrap(),
        Kept::By(Vec::new())
    );
    let version = store.tenant_secrets("t").await.unwrap().unwrap().version;
    for wrong in [0, version + 1] {
        let kept = store
            .keep_tenant_secrets("t", &two, wrong, at(2))
            .await
            .unwrap();
        assert_eq!(kept, Kept::Overtaken);
    }
    assert_eq!(store.directory_version().await.unwrap(), version);
    let kept = store
        .keep_tenant_secrets("t", &two, version, at(2))
        .await
        .unwrap();
    assert_eq!(kept, Kept::By(Vec::new()));
    assert_eq!(
        store.tenant_secrets("t").await.unwrap().unwrap().secrets,
        two
    );
}

/// The same store, opened with these master keys.
enum Opened {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Opened {
    async fn with(bed: &Bed, keys: &[(&str, u8)]) -> Self {
        let key = |(id, byte): &(&str, u8)| MasterKey {
            id: (*id).to_owned(),
            key: Zeroizing::new([*byte; 32]),
        };
        let settings = StoreSettings {
            master_keys: keys.iter().map(key).collect(),
            ..bed.settings.clone()
        };
        match bed.is_postgres() {
            true => Self::Postgres(PostgresStore::connect(&settings).await.unwrap()),
            false => Self::Sqlite(SqliteStore::open(&settings).await.unwrap()),
        }
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Sqlite(store) => store,
            Self::Postgres(store) => store,
        }
    }

    async fn reseal(&self) -> Result<Resealed> {
        match self {
            Self::Sqlite(store) => store.reseal_secrets().await,
            Self::Postgres(store) => store.reseal_secrets().await,
        }
    }
}

/// Runs a statement behind the store's back.
async fn behind(bed: &Bed, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    if let Some(url) = &bed.settings.database_url {
        let mut connection = PgConnection::connect(url.expose()).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    } else {
        let file = bed.settings.data_dir.join("posthaste.db");
        let url = format!("sqlite://{}", file.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
}

/// All that lies in the database about subscriptions and tenants.
async fn dump(bed: &Bed) -> String {
    let Some(url) = &bed.settings.database_url else {
        let mut all = Vec::new();
        for name in ["posthaste.db", "posthaste.db-wal"] {
            all.extend(std::fs::read(bed.settings.data_dir.join(name)).unwrap_or_default());
        }
        return String::from_utf8_lossy(&all).into_owned();
    };
    let mut connection = PgConnection::connect(url.expose()).await.unwrap();
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT subscriptions::text FROM subscriptions
         UNION ALL SELECT tenant_secrets::text FROM tenant_secrets",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    rows.concat()
}

/// A subscription and a tenant with secrets that are found in a dump.
async fn fill(store: &dyn Store) -> Subscription {
    let mut made = subscription("with secrets");
    made.headers = vec![("authorization".into(), "Bearer findme-1".into())];
    let secrets = SigningSecrets::only(imported("findme-2 as text"));
    made.signing.own = secrets
        .rotated(imported("findme-3 as text"), Duration::from_secs(60), at(0))
        .unwrap();
    made.version = store.create_subscription(&made).await.unwrap();
    let tenants = SigningSecrets::only(imported("findme-4 as text"));
    store
        .keep_tenant_secrets("t", &tenants, 0, at(0))
        .await
        .unwrap();
    made
}

async fn nothing_secret_lies_plain_under_a_master_key(bed: Bed) {
    let opened = Opened::with(&bed, &[("k1", 1)]).await;
    let made = fill(opened.store()).await;
    let dumped = dump(&bed).await;
    assert!(
        dumped.contains("sealed:1:k1:") && !dumped.contains("findme"),
        "{dumped}"
    );
    let read = opened.store().subscription(made.id).await.unwrap();
    assert_eq!(read, Some(made.clone()));
    let tenants = opened.store().tenant_secrets("t").await.unwrap().unwrap();
    assert_eq!(tenants.secrets.newest().expose(), "findme-4 as text");
    // A change keeps it so.
    move_to(opened.store(), &made, SubscriptionState::Paused).await;
    assert!(!dump(&bed).await.contains("findme"));
    opened.store().close().await;
}

fn broken(error: &StoreError, named: &str) {
    let message = error.to_string();
    assert!(matches!(error, StoreError::Broken(_)), "{message}");
    assert!(message.contains(named), "{message}");
    assert!(!message.contains("findme"), "{message}");
}

async fn a_row_is_read_with_its_own_key_and_in_its_own_place_alone(bed: Bed) {
    let opened = Opened::with(&bed, &[("k1", 1)]).await;
    let made = fill(opened.store()).await;
    let other = subscribe(opened.store(), "other").await;
    for (keys, named) in [
        (vec![], "\"k1\", which secrets.master_keys does not have"),
        (vec![("k2", 1)], "\"k1\""),
        (vec![("k1", 2)], "another key"),
    ] {
        let wrong = Opened::with(&bed, &keys).await;
        broken(
            &wrong.store().subscription(made.id).await.unwrap_err(),
            named,
        );
        broken(&wrong.store().directory_since(0).await.unwrap_err(), named);
        broken(&wrong.store().tenant_secrets("t").await.unwrap_err(), named);
        wrong.store().close().await;
    }
    // What was moved to another row does not open there.
    let moved = "UPDATE subscriptions SET secret = (SELECT s.secret FROM subscriptions s \
                 WHERE s.name = 'with secrets') WHERE name = 'other'";
    behind(&bed, moved).await;
    let error = opened.store().subscription(other.id).await.unwrap_err();
    broken(&error, "the row was changed");
    assert!(opened.store().subscription(made.id).await.is_ok());
    let tail =
        "UPDATE subscriptions SET headers = substr(headers, 1, length(headers) - 4) || 'AAAA'";
    behind(&bed, tail).await;
    let error = opened.store().subscription(made.id).await.unwrap_err();
    broken(&error, &made.id.to_string());
    opened.store().close().await;
}

async fn what_lay_plain_is_encrypted_and_a_key_replaced(bed: Bed) {
    let made = fill(&*bed.store).await;
    // As rows of an older version lie there.
    let old = subscribe(&*bed.store, "old").await;
    let text = old.signing.own.newest().expose();
    let sql = format!("UPDATE subscriptions SET secret = '{text}' WHERE name = 'old'");
    behind(&bed, &sql).await;
    assert!(dump(&bed).await.contains("findme"));
    let refused = Opened::with(&bed, &[]).await;
    let error = refused.reseal().await.unwrap_err().to_string();
    assert!(error.contains("secrets.master_keys"), "{error}");
    refused.store().close().await;

    let mut keys: Vec<(&str, u8)> = Vec::new();
    for next in [("k1", 1), ("k2", 2)] {
        keys.insert(0, next);
        let opened = Opened::with(&bed, &keys).await;
        // What it has lies readable before and after.
        for (sealed, current) in [(5, 0), (0, 5)] {
            let read = opened.store().subscription(made.id).await.unwrap();
            assert_eq!(read, Some(made.clone()));
            let done = opened.reseal().await.unwrap();
            assert_eq!((done.sealed, done.current), (sealed, current));
        }
        let dumped = dump(&bed).await;
        assert!(
            !dumped.contains("findme") && !dumped.contains(text),
            "{dumped}"
        );
        opened.store().close().await;
    }
    let opened = Opened::with(&bed, &[("k2", 2)]).await;
    let mut all = opened
        .store()
        .directory_since(0)
        .await
        .unwrap()
        .subscriptions;
    all.sort_by_key(|one| one.version);
    assert_eq!(all, [made, old]);
    opened.store().close().await;
}
