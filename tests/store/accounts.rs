//! Users, the links that can be used once, and sessions.

use std::time::Duration;

use posthaste::clock;
use posthaste::domain::Timestamp;
use posthaste::domain::api_key::KeyHash;
use posthaste::domain::id::{ApiKeyId, SessionId, UserId};
use posthaste::domain::session::{AdminKeyProof, Session, SessionOwner, SessionUser};
use posthaste::domain::user::{PasswordHash, Role, User};
use posthaste::store::{FirstUser, Link, Moved, PageRequest, Store, UserChanged, UserCreated};

use crate::bed::Bed;
use crate::sample::at;

on_both_stores!(
    a_user_is_stored_once_and_read_back,
    the_first_user_is_made_once_and_by_a_link,
    setup_links_replace_each_other_and_end,
    users_are_listed_newest_first,
    the_last_who_administers_stays,
    a_change_is_guarded_and_told_by_the_sessions,
    an_invitation_is_taken_once,
    a_new_password_ends_links_and_other_sessions,
    a_session_is_stored_and_read_back_whoever_opened_it,
    whoever_may_not_sign_in_gets_no_session,
    so_many_sessions_and_no_more,
    uses_of_sessions_only_go_forward_and_are_told,
    sessions_that_ended_are_forgotten,
    changes_made_at_once_are_all_seen,
);

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

fn user(email: &str, role: Role) -> User {
    User {
        id: UserId(clock::uuid()),
        email: email.into(),
        name: format!("é {email}").into(),
        role,
        disabled_at: None,
        password: Some(hash("a hash")),
        places: vec!["10.0.0.1".parse().unwrap(), "2001:db8::".parse().unwrap()],
        signed_in_at: None,
        created_at: at(1),
        updated_at: at(1),
        version: 0,
    }
}

fn link(text: &str, expires_at: Timestamp) -> Link {
    Link {
        hash: KeyHash::of(text.as_bytes()),
        created_at: at(1),
        expires_at,
    }
}

fn owned(user: &User) -> SessionOwner {
    SessionOwner::User(SessionUser {
        id: user.id,
        email: user.email.clone(),
        name: user.name.clone(),
        role: user.role,
    })
}

fn session(owner: SessionOwner) -> Session {
    let id = clock::uuid();
    Session {
        id: SessionId(id),
        hash: KeyHash::of(id.as_bytes()),
        owner,
        created_at: at(1),
        expires_at: at(1_000),
        last_used_at: at(1),
        address: "::1".to_owned(),
        user_agent: Some("é".to_owned()),
        version: 0,
    }
}

async fn make(store: &dyn Store, user: &User) -> User {
    let made = store.create_user(user, None, 100).await.unwrap();
    assert_eq!(made, UserCreated::Done);
    read(store, user).await
}

async fn read(store: &dyn Store, user: &User) -> User {
    store.user(user.id).await.unwrap().unwrap()
}

async fn open(store: &dyn Store, owner: SessionOwner) -> Session {
    let mut session = session(owner);
    let password = hash("a hash");
    let version = store.create_session(&session, Some(&password), 100).await;
    session.version = version.unwrap().unwrap();
    session
}

async fn opened(store: &dyn Store) -> Vec<SessionId> {
    let changes = store.sessions_since(0).await.unwrap();
    assert!(
        changes.ended.is_empty(),
        "nobody asks who knows nothing yet"
    );
    let mut ids: Vec<_> = changes.open.iter().map(|session| session.id).collect();
    ids.sort();
    ids
}

async fn a_user_is_stored_once_and_read_back(bed: Bed) {
    let store = &*bed.store;
    assert!(!store.any_user().await.unwrap());
    let whole = User {
        disabled_at: Some(at(5)),
        signed_in_at: Some(at(6)),
        ..user("a@b.c", Role::Operator)
    };
    let bare = User {
        password: None,
        places: Vec::new(),
        ..user("d@e.f", Role::Viewer)
    };
    for (user, version) in [(&whole, 1), (&bare, 2)] {
        let made = store.create_user(user, None, 2).await.unwrap();
        assert_eq!(made, UserCreated::Done);
        let stored = read(store, user).await;
        let expected = User {
            version,
            ..user.clone()
        };
        assert_eq!(stored, expected);
        let found = store.user_by_email(&user.email).await.unwrap();
        assert_eq!(found, Some(expected));
    }
    assert!(store.any_user().await.unwrap());
    let (same, third) = (user("a@b.c", Role::Viewer), user("g@h.i", Role::Viewer));
    let taken = store.create_user(&same, None, 9).await.unwrap();
    assert_eq!(taken, UserCreated::EmailTaken);
    let many = store.create_user(&third, None, 2).await.unwrap();
    assert_eq!(many, UserCreated::TooMany);
    assert_eq!(store.user_by_email("g@h.i").await.unwrap(), None);
    let version = store.sessions_version().await.unwrap();
    assert_eq!(version, 2, "what was not done raised nothing");
    let seen = User {
        places: vec!["10.0.0.9".parse().unwrap()],
        signed_in_at: Some(at(9)),
        ..read(store, &bare).await
    };
    store.note_sign_in(&seen).await.unwrap();
    assert_eq!(read(store, &bare).await, seen);
    assert_eq!(store.sessions_version().await.unwrap(), 2);
}

async fn the_first_user_is_made_once_and_by_a_link(bed: Bed) {
    let store = &*bed.store;
    let good = link("good", at(100));
    assert!(store.keep_setup_link(&good, 1).await.unwrap());
    let first = user("a@b.c", Role::Admin);
    for wrong in ["wrong", ""] {
        let wrong = KeyHash::of(wrong.as_bytes());
        assert!(!store.setup_link(&wrong, at(1)).await.unwrap());
        let refused = store.create_first_user(&first, &wrong).await.unwrap();
        assert_eq!(refused, FirstUser::NoLink);
    }
    assert!(store.setup_link(&good.hash, at(99)).await.unwrap());
    assert!(!store.setup_link(&good.hash, at(100)).await.unwrap());
    let late = User {
        created_at: at(100),
        ..first.clone()
    };
    let late = store.create_first_user(&late, &good.hash).await.unwrap();
    assert_eq!(late, FirstUser::NoLink);
    let tries = (0..4).map(|number| {
        let (store, link) = (bed.store.clone(), good.hash);
        let user = user(&format!("{number}@b.c"), Role::Admin);
        tokio::spawn(async move { store.create_first_user(&user, &link).await.unwrap() })
    });
    let mut done = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        done.push(tried.await.unwrap());
    }
    done.sort_by_key(|one| *one != FirstUser::Done);
    let late = FirstUser::TooLate;
    assert_eq!(done, [FirstUser::Done, late, late, late]);
    assert!(
        !store
            .keep_setup_link(&link("more", at(100)), 1)
            .await
            .unwrap()
    );
    assert!(!store.setup_link(&good.hash, at(1)).await.unwrap());
}

async fn setup_links_replace_each_other_and_end(bed: Bed) {
    let store = &*bed.store;
    let made = |text: &str, created: i64| Link {
        created_at: at(created),
        ..link(text, at(100))
    };
    for (text, created, most) in [("a", 1, 1), ("b", 2, 1), ("c", 3, 2)] {
        assert!(
            store
                .keep_setup_link(&made(text, created), most)
                .await
                .unwrap()
        );
    }
    let good = async |text: &str| {
        let hash = KeyHash::of(text.as_bytes());
        store.setup_link(&hash, at(4)).await.unwrap()
    };
    assert!(!good("a").await && good("b").await && good("c").await);
}

async fn users_are_listed_newest_first(bed: Bed) {
    let store = &*bed.store;
    let mut users = Vec::new();
    for number in 0..4 {
        users.push(make(store, &user(&format!("{number}@b.c"), Role::Viewer)).await);
    }
    users.reverse();
    let list = async |limit, after, offset| {
        let request = PageRequest {
            limit,
            after,
            offset,
        };
        store.list_users(&request).await.unwrap()
    };
    assert_eq!(list(100, None, 0).await.rows, users);
    let page = list(3, None, 0).await;
    assert_eq!(page.rows, users[..3]);
    let rest = list(3, page.next, 0).await;
    assert_eq!((rest.rows, rest.next), (users[3..].to_vec(), None));
    assert_eq!(list(3, None, 3).await.rows, users[3..]);
}

async fn the_last_who_administers_stays(bed: Bed) {
    let store = &*bed.store;
    let ada = make(store, &user("ada@b.c", Role::Admin)).await;
    let viewer = make(store, &user("viewer@b.c", Role::Viewer)).await;
    let invited = User {
        password: None,
        ..user("invited@b.c", Role::Admin)
    };
    make(store, &invited).await;
    let disabled = User {
        disabled_at: Some(at(5)),
        ..user("disabled@b.c", Role::Admin)
    };
    make(store, &disabled).await;
    let demoted = User {
        role: Role::Operator,
        ..ada.clone()
    };
    let kept_out = User {
        disabled_at: Some(at(7)),
        ..ada.clone()
    };
    for change in [&demoted, &kept_out] {
        let refused = store.update_user(change).await.unwrap();
        assert_eq!(refused, UserChanged::LastAdmin);
    }
    let refused = store.delete_user(ada.id, at(8)).await.unwrap();
    assert_eq!(refused, UserChanged::LastAdmin);
    assert_eq!(read(store, &ada).await, ada);
    let renamed = User {
        name: "renamed".into(),
        ..ada.clone()
    };
    let UserChanged::At(version) = store.update_user(&renamed).await.unwrap() else {
        panic!("the name may change");
    };
    // Somebody who was invited counts as soon as they have come.
    let done = store
        .set_password(invited.id, &hash("x"), None, at(9))
        .await;
    assert_eq!(done.unwrap(), Moved::Done);
    let demoted = User { version, ..demoted };
    let changed = store.update_user(&demoted).await.unwrap();
    assert!(matches!(changed, UserChanged::At(_)), "{changed:?}");
    for gone in [ada.id, viewer.id] {
        let removed = store.delete_user(gone, at(8)).await.unwrap();
        assert!(matches!(removed, UserChanged::At(_)), "{removed:?}");
        let again = store.delete_user(gone, at(8)).await.unwrap();
        assert_eq!(again, UserChanged::Overtaken);
    }
    let last = store.delete_user(invited.id, at(8)).await.unwrap();
    assert_eq!(last, UserChanged::LastAdmin);
    make(store, &user("ada@b.c", Role::Viewer)).await;
}

async fn a_change_is_guarded_and_told_by_the_sessions(bed: Bed) {
    let store = &*bed.store;
    make(store, &user("other@b.c", Role::Admin)).await;
    let ada = make(store, &user("ada@b.c", Role::Viewer)).await;
    let one = open(store, owned(&ada)).await;
    let known = store.sessions_version().await.unwrap();
    assert_eq!(known, one.version);
    let raised = User {
        role: Role::Operator,
        name: "Ada".into(),
        updated_at: at(4),
        ..ada.clone()
    };
    let UserChanged::At(version) = store.update_user(&raised).await.unwrap() else {
        panic!("nobody changed it before");
    };
    assert_eq!(
        store.update_user(&raised).await.unwrap(),
        UserChanged::Overtaken
    );
    let changes = store.sessions_since(known).await.unwrap();
    assert_eq!((changes.version, changes.ended.len()), (version, 0));
    let [told] = &*changes.open else {
        panic!("{changes:?}");
    };
    let raised = User { version, ..raised };
    assert_eq!(told.owner, owned(&raised));
    assert_eq!((told.id, told.version), (one.id, version));
    assert_eq!(read(store, &ada).await, raised);
    let disabled = User {
        disabled_at: Some(at(5)),
        ..raised.clone()
    };
    assert!(matches!(
        store.update_user(&disabled).await.unwrap(),
        UserChanged::At(_)
    ));
    let changes = store.sessions_since(version).await.unwrap();
    assert_eq!((changes.open.len(), changes.ended), (0, vec![one.id]));
    let gone = make(store, &user("gone@b.c", Role::Viewer)).await;
    let other = open(store, owned(&gone)).await;
    let known = store.sessions_version().await.unwrap();
    store.delete_user(gone.id, at(6)).await.unwrap();
    let changes = store.sessions_since(known).await.unwrap();
    assert_eq!((changes.open.len(), changes.ended), (0, vec![other.id]));
    assert!(opened(store).await.is_empty());
}

async fn an_invitation_is_taken_once(bed: Bed) {
    let store = &*bed.store;
    let invited = User {
        password: None,
        ..user("ada@b.c", Role::Viewer)
    };
    let first = link("first", at(100));
    let made = store.create_user(&invited, Some(&first), 9).await.unwrap();
    assert_eq!(made, UserCreated::Done);
    let who = async |link: &Link, now| store.invited(&link.hash, now).await.unwrap();
    assert_eq!(who(&first, at(99)).await.unwrap().id, invited.id);
    assert_eq!(who(&first, at(100)).await, None);
    assert!(!store.setup_link(&first.hash, at(1)).await.unwrap());
    let second = link("second", at(100));
    assert_eq!(
        store.invite(invited.id, &second).await.unwrap(),
        Moved::Done
    );
    assert_eq!(
        who(&first, at(1)).await,
        None,
        "the later one is in its place"
    );
    let nobody = store.invite(UserId(clock::uuid()), &first).await.unwrap();
    assert_eq!(nobody, Moved::Overtaken);
    let take = async |link: &Link, name, now| {
        let password = hash("new");
        let taken = store.take_invitation(&link.hash, name, &password, now);
        taken.await.unwrap()
    };
    assert_eq!(take(&first, None, at(1)).await, None);
    assert_eq!(take(&second, None, at(100)).await, None);
    let taken = take(&second, Some("Ada"), at(7)).await.unwrap();
    assert_eq!((&*taken.name, &taken.password), ("Ada", &Some(hash("new"))));
    assert_eq!(read(store, &invited).await, taken);
    assert_eq!(take(&second, None, at(8)).await, None);
    // Once more, with a session that ends by it; and the name stays.
    let other = open_with(store, &taken, "new").await;
    store.invite(invited.id, &first).await.unwrap();
    assert_eq!(opened(store).await, [other.id]);
    let again = take(&first, None, at(9)).await.unwrap();
    assert_eq!(&*again.name, "Ada");
    assert!(opened(store).await.is_empty());
    let third = link("third", at(100));
    store.invite(invited.id, &third).await.unwrap();
    let disabled = User {
        disabled_at: Some(at(9)),
        ..again
    };
    store.update_user(&disabled).await.unwrap();
    assert_eq!(who(&third, at(9)).await, None);
    let refused = store.invite(invited.id, &third).await.unwrap();
    assert_eq!(
        refused,
        Moved::Overtaken,
        "no link waits until they may again"
    );
}

async fn open_with(store: &dyn Store, user: &User, password: &str) -> Session {
    let session = session(owned(user));
    let password = hash(password);
    let made = store.create_session(&session, Some(&password), 100).await;
    assert!(made.unwrap().is_some());
    session
}

async fn a_new_password_ends_links_and_other_sessions(bed: Bed) {
    let store = &*bed.store;
    let ada = make(store, &user("ada@b.c", Role::Viewer)).await;
    let bob = make(store, &user("bob@b.c", Role::Viewer)).await;
    let (own, other) = (
        open(store, owned(&ada)).await,
        open(store, owned(&ada)).await,
    );
    let bobs = open(store, owned(&bob)).await;
    let invitation = link("link", at(100));
    store.invite(ada.id, &invitation).await.unwrap();
    let known = store.sessions_version().await.unwrap();
    let set = store
        .set_password(ada.id, &hash("new"), Some(own.id), at(5))
        .await;
    assert_eq!(set.unwrap(), Moved::Done);
    let changes = store.sessions_since(known).await.unwrap();
    assert_eq!((changes.open.len(), changes.ended), (0, vec![other.id]));
    assert_eq!(opened(store).await, [own.id, bobs.id]);
    assert_eq!(store.invited(&invitation.hash, at(1)).await.unwrap(), None);
    let stored = read(store, &ada).await;
    assert_eq!(
        (stored.password, stored.updated_at),
        (Some(hash("new")), at(5))
    );
    store
        .set_password(ada.id, &hash("x"), None, at(6))
        .await
        .unwrap();
    assert_eq!(opened(store).await, [bobs.id]);
    let nobody = UserId(clock::uuid());
    let nobody = store.set_password(nobody, &hash("x"), None, at(6)).await;
    assert_eq!(nobody.unwrap(), Moved::Overtaken);
}

async fn a_session_is_stored_and_read_back_whoever_opened_it(bed: Bed) {
    let store = &*bed.store;
    let ada = make(store, &user("ada@b.c", Role::Viewer)).await;
    let proof = AdminKeyProof::new(b"token", &KeyHash::of(b"key"));
    let mut all = Vec::new();
    for owner in [
        owned(&ada),
        SessionOwner::Key(ApiKeyId(clock::uuid())),
        SessionOwner::AdminKey(proof),
    ] {
        let known = store.sessions_version().await.unwrap();
        let made = open(store, owner).await;
        let changes = store.sessions_since(known).await.unwrap();
        assert_eq!(changes.open, std::slice::from_ref(&made));
        assert_eq!(changes.version, made.version);
        all.push(made);
    }
    assert_eq!(opened(store).await, [all[0].id, all[1].id, all[2].id]);
    let known = store.sessions_version().await.unwrap();
    assert_eq!(
        store.end_session(all[1].id, at(5)).await.unwrap(),
        Moved::Done
    );
    let again = store.end_session(all[1].id, at(5)).await.unwrap();
    assert_eq!(again, Moved::Overtaken);
    let changes = store.sessions_since(known).await.unwrap();
    assert_eq!(
        (changes.version, changes.ended),
        (known + 1, vec![all[1].id])
    );
    assert_eq!(opened(store).await, [all[0].id, all[2].id]);
}

async fn whoever_may_not_sign_in_gets_no_session(bed: Bed) {
    let store = &*bed.store;
    let disabled = User {
        disabled_at: Some(at(5)),
        ..user("disabled@b.c", Role::Viewer)
    };
    let invited = User {
        password: None,
        ..user("invited@b.c", Role::Viewer)
    };
    let other = User {
        password: Some(hash("another by now")),
        ..user("other@b.c", Role::Viewer)
    };
    let nobody = user("nobody@b.c", Role::Viewer);
    for one in [&disabled, &invited, &other] {
        make(store, one).await;
    }
    let known = store.sessions_version().await.unwrap();
    for one in [&disabled, &invited, &other, &nobody] {
        for password in [Some(hash("a hash")), None] {
            let session = session(owned(one));
            let made = store.create_session(&session, password.as_ref(), 9).await;
            assert_eq!(made.unwrap(), None, "{}", one.email);
        }
    }
    assert_eq!(store.sessions_version().await.unwrap(), known);
}

async fn so_many_sessions_and_no_more(bed: Bed) {
    let store = &*bed.store;
    let ada = make(store, &user("ada@b.c", Role::Viewer)).await;
    let proof = AdminKeyProof::new(b"token", &KeyHash::of(b"key"));
    let owners = [
        owned(&ada),
        SessionOwner::Key(ApiKeyId(clock::uuid())),
        SessionOwner::AdminKey(proof),
    ];
    let password = hash("a hash");
    let mut kept = Vec::new();
    for owner in &owners {
        for number in 0..4 {
            let session = session(owner.clone());
            let made = store.create_session(&session, Some(&password), 2).await;
            assert!(made.unwrap().is_some());
            if number >= 2 {
                kept.push(session.id);
            }
        }
    }
    assert_eq!(opened(store).await, kept, "of each owner the latest");
}

async fn uses_of_sessions_only_go_forward_and_are_told(bed: Bed) {
    let store = &*bed.store;
    let ada = make(store, &user("ada@b.c", Role::Viewer)).await;
    let (one, other) = (
        open(store, owned(&ada)).await,
        open(store, owned(&ada)).await,
    );
    let known = store.sessions_version().await.unwrap();
    let gone = SessionId(clock::uuid());
    let uses = [(other.id, at(9)), (gone, at(9)), (one.id, at(7))];
    store.note_session_uses(&uses).await.unwrap();
    let changes = store.sessions_since(known).await.unwrap();
    assert_eq!((changes.version, changes.open.len()), (known + 1, 2));
    let later = [(one.id, at(8)), (other.id, at(8))];
    store.note_session_uses(&later).await.unwrap();
    let changes = store.sessions_since(known + 1).await.unwrap();
    let [told] = &*changes.open else {
        panic!("{changes:?}");
    };
    assert_eq!((told.id, told.last_used_at), (one.id, at(8)));
    store.note_session_uses(&later).await.unwrap();
    assert_eq!(store.sessions_version().await.unwrap(), known + 2);
}

async fn sessions_that_ended_are_forgotten(bed: Bed) {
    let store = &*bed.store;
    let ada = make(store, &user("ada@b.c", Role::Viewer)).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(open(store, owned(&ada)).await.id);
    }
    let [used, unused, revoked] = sessions[..] else {
        unreachable!("three were made");
    };
    store.end_session(revoked, at(50)).await.unwrap();
    store.note_session_uses(&[(used, at(80))]).await.unwrap();
    let invitation = link("link", at(50));
    store.invite(ada.id, &invitation).await.unwrap();
    let forget = async |ended, unused, limit| {
        let forgotten = store.forget_sessions(at(ended), at(unused), limit);
        forgotten.await.unwrap()
    };
    assert_eq!(forget(50, 1, 9).await, 0);
    assert!(
        store
            .invited(&invitation.hash, at(1))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(forget(51, 1, 9).await, 1);
    assert!(
        store
            .invited(&invitation.hash, at(1))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(opened(store).await, [used, unused]);
    assert_eq!(forget(51, 81, 1).await, 1);
    assert_eq!(forget(51, 80, 9).await + forget(51, 81, 9).await, 1);
    assert!(opened(store).await.is_empty());
}

/// Whoever sees a version has all changes up to it: else a node would let somebody in for ever.
async fn changes_made_at_once_are_all_seen(bed: Bed) {
    let ada = make(&*bed.store, &user("ada@b.c", Role::Viewer)).await;
    let start = bed.store.sessions_version().await.unwrap();
    let makers: Vec<_> = (0..4)
        .map(|_| {
            let (store, ada) = (bed.store.clone(), ada.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    open(&*store, owned(&ada)).await;
                }
            })
        })
        .collect();
    let (mut known, mut version) = (0, start);
    let deadline = clock::instant() + Duration::from_secs(30);
    while known < 40 {
        let changes = bed.store.sessions_since(version).await.unwrap();
        known += i64::try_from(changes.open.len()).unwrap();
        version = changes.version;
        assert_eq!(known, version - start, "each version is one session");
        assert!(clock::instant() < deadline);
    }
    for maker in makers {
        maker.await.unwrap();
    }
}
