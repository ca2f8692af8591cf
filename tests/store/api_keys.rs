//! Keys that callers show: kept by their hash, versioned, taken back once.

use std::time::Duration;

use posthaste::clock;
use posthaste::domain::Timestamp;
use posthaste::domain::access::{Preset, Scope};
use posthaste::domain::api_key::{ApiKey, IssuedKey};
use posthaste::domain::id::ApiKeyId;
use posthaste::store::{ApiKeyCreated, ApiKeyFilter, Moved, PageRequest, Store};

use crate::bed::Bed;
use crate::sample::at;

on_both_stores!(
    a_key_is_stored_once_and_read_back,
    so_many_keys_there_are_and_no_more,
    a_key_is_taken_back_once,
    every_change_raises_the_version_and_no_use_does,
    keys_are_listed_newest_first,
    uses_only_go_forward,
    keys_that_ended_long_ago_are_forgotten,
    keys_made_at_once_are_all_seen,
);

fn key(name: &str, tenant: Option<&str>) -> ApiKey {
    let issued = IssuedKey::from_random(clock::random_bytes(), clock::random_bytes());
    ApiKey {
        id: ApiKeyId(clock::uuid()),
        name: name.into(),
        public: issued.public,
        hash: issued.hash(),
        scopes: Preset::Client.scopes(),
        tenant: tenant.map(Into::into),
        created_at: at(1),
        expires_at: Some(at(100)),
        revoked_at: None,
        last_used_at: None,
        version: 0,
    }
}

async fn create(store: &dyn Store, key: &ApiKey) -> ApiKeyCreated {
    store.create_api_key(key, 100).await.unwrap()
}

async fn read(store: &dyn Store, key: &ApiKey) -> ApiKey {
    store.api_key(key.id).await.unwrap().unwrap()
}

async fn a_key_is_stored_once_and_read_back(bed: Bed) {
    let store = &*bed.store;
    let mut whole = key("é 'n' \"ame\"", Some("acme"));
    let mut bare = key("bare", None);
    bare.expires_at = None;
    bare.scopes = [Scope::Admin].into_iter().collect();
    for key in [&mut whole, &mut bare] {
        assert_eq!(create(store, key).await, ApiKeyCreated::Done);
        key.version = store.keyring_version().await.unwrap();
        assert_eq!(create(store, key).await, ApiKeyCreated::Done, "it stands");
        assert_eq!(read(store, key).await, *key);
    }
    assert_eq!(store.keyring_version().await.unwrap(), 2);
    let other = ApiKey {
        id: ApiKeyId(clock::uuid()),
        ..whole
    };
    assert_eq!(create(store, &other).await, ApiKeyCreated::Taken);
    assert_eq!(store.api_key(other.id).await.unwrap(), None);
    assert_eq!(store.keyring_version().await.unwrap(), 2, "nothing changed");
}

async fn so_many_keys_there_are_and_no_more(bed: Bed) {
    let store = &*bed.store;
    let create = async |key: &ApiKey| store.create_api_key(key, 2).await.unwrap();
    let keys = [1, 2, 3].map(|number| key(&number.to_string(), None));
    assert_eq!(create(&keys[0]).await, ApiKeyCreated::Done);
    assert_eq!(create(&keys[1]).await, ApiKeyCreated::Done);
    assert_eq!(create(&keys[2]).await, ApiKeyCreated::TooMany);
    assert_eq!(create(&keys[1]).await, ApiKeyCreated::Done, "it stands");
    assert_eq!(store.api_key(keys[2].id).await.unwrap(), None);
}

async fn a_key_is_taken_back_once(bed: Bed) {
    let store = &*bed.store;
    let (mine, other) = (key("a", None), key("b", None));
    create(store, &mine).await;
    create(store, &other).await;
    assert_eq!(
        store.revoke_api_key(mine.id, at(5)).await.unwrap(),
        Moved::Done
    );
    let again = store.revoke_api_key(mine.id, at(6)).await.unwrap();
    assert_eq!(again, Moved::Overtaken);
    let unknown = store.revoke_api_key(ApiKeyId(clock::uuid()), at(6)).await;
    assert_eq!(unknown.unwrap(), Moved::Overtaken);
    let revoked = read(store, &mine).await;
    assert_eq!((revoked.revoked_at, revoked.version), (Some(at(5)), 3));
    assert_eq!(read(store, &other).await.revoked_at, None);
    assert_eq!(store.keyring_version().await.unwrap(), 3);
}

async fn every_change_raises_the_version_and_no_use_does(bed: Bed) {
    let store = &*bed.store;
    assert_eq!(store.keyring_version().await.unwrap(), 0);
    let since = async |version| {
        let changes = store.keyring_since(version).await.unwrap();
        let mut ids: Vec<_> = changes.keys.iter().map(|key| key.id).collect();
        ids.sort();
        (changes.version, ids)
    };
    assert_eq!(since(0).await, (0, vec![]));
    let (first, second) = (key("a", None), key("b", Some("t")));
    create(store, &first).await;
    create(store, &second).await;
    assert_eq!(since(0).await, (2, vec![first.id, second.id]));
    assert_eq!(since(1).await, (2, vec![second.id]));
    store.revoke_api_key(first.id, at(5)).await.unwrap();
    assert_eq!(
        since(2).await,
        (3, vec![first.id]),
        "a revoked key is told of"
    );
    store.note_key_uses(&[(second.id, at(7))]).await.unwrap();
    assert_eq!(since(3).await, (3, vec![]));
    let changes = store.keyring_since(0).await.unwrap();
    for changed in changes.keys {
        assert_eq!(changed, read(store, &changed).await);
    }
}

async fn keys_are_listed_newest_first(bed: Bed) {
    let store = &*bed.store;
    let keys = [None, Some("t"), Some("u"), Some("t")].map(|tenant| key("k", tenant));
    for key in &keys {
        create(store, key).await;
    }
    store.revoke_api_key(keys[3].id, at(5)).await.unwrap();
    let list = async |tenant: Option<&str>, limit, after| {
        let filter = ApiKeyFilter {
            tenant: tenant.map(str::to_owned),
        };
        let request = PageRequest {
            limit,
            after,
            offset: 0,
        };
        let page = store.list_api_keys(&filter, &request).await.unwrap();
        let places: Vec<_> = page
            .rows
            .iter()
            .map(|row| keys.iter().position(|key| key.id == row.id).unwrap())
            .collect();
        (places, page.next)
    };
    assert_eq!(list(None, 100, None).await, (vec![3, 2, 1, 0], None));
    let (places, next) = list(None, 3, None).await;
    assert_eq!(places, [3, 2, 1]);
    assert_eq!(list(None, 3, next).await, (vec![0], None));
    assert_eq!(list(Some("t"), 100, None).await, (vec![3, 1], None));
    assert_eq!(list(Some("v"), 100, None).await, (vec![], None));
}

async fn uses_only_go_forward(bed: Bed) {
    let store = &*bed.store;
    let (one, other) = (key("a", None), key("b", None));
    create(store, &one).await;
    create(store, &other).await;
    let gone = ApiKeyId(clock::uuid());
    let uses = [(other.id, at(9)), (gone, at(9)), (one.id, at(7))];
    store.note_key_uses(&uses).await.unwrap();
    store
        .note_key_uses(&[(one.id, at(8)), (other.id, at(8))])
        .await
        .unwrap();
    assert_eq!(read(store, &one).await.last_used_at, Some(at(8)));
    assert_eq!(read(store, &other).await.last_used_at, Some(at(9)));
}

async fn keys_that_ended_long_ago_are_forgotten(bed: Bed) {
    let store = &*bed.store;
    let forever = ApiKey {
        expires_at: None,
        ..key("forever", None)
    };
    let expired = key("expired at 100", None);
    let revoked = ApiKey {
        expires_at: None,
        ..key("revoked at 50", None)
    };
    let both = key("revoked at 50 and expired at 100", None);
    for key in [&forever, &expired, &revoked, &both] {
        create(store, key).await;
    }
    for key in [&revoked, &both] {
        store.revoke_api_key(key.id, at(50)).await.unwrap();
    }
    let forget = async |before, limit| store.forget_api_keys(before, limit).await.unwrap();
    assert_eq!(forget(at(50), 10).await, 0);
    assert_eq!(forget(at(51), 1).await, 1);
    assert_eq!(forget(at(51), 10).await, 1);
    assert_eq!(
        store.api_key(expired.id).await.unwrap().map(|key| key.id),
        Some(expired.id)
    );
    assert_eq!(forget(at(101), 10).await, 1);
    assert_eq!(forget(Timestamp::MAX, 10).await, 0);
    assert_eq!(
        read(store, &forever).await.state(at(1_000)).as_str(),
        "active"
    );
}

/// Whoever sees a version has all changes up to it: else a node would miss one for ever.
async fn keys_made_at_once_are_all_seen(bed: Bed) {
    let makers: Vec<_> = (0..4)
        .map(|_| {
            let store = bed.store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let made = store.create_api_key(&key("k", None), 1_000).await.unwrap();
                    assert_eq!(made, ApiKeyCreated::Done);
                }
            })
        })
        .collect();
    let (mut known, mut version) = (0, 0);
    let deadline = clock::instant() + Duration::from_secs(30);
    while known < 40 {
        let changes = bed.store.keyring_since(version).await.unwrap();
        known += changes.keys.len();
        version = changes.version;
        assert_eq!(
            known,
            usize::try_from(version).unwrap(),
            "each version is one key"
        );
        assert!(clock::instant() < deadline);
    }
    for maker in makers {
        maker.await.unwrap();
    }
}
