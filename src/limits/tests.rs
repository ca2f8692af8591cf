use super::*;

fn limits(per_key: &str, per_address: &str, failed: &str) -> Limits {
    let quota = |text| Quota::parse(text).unwrap();
    let none = CallerLimits::default();
    let settings = LimitSettings {
        events_write: none,
        read: CallerLimits {
            per_key: quota(per_key),
            per_address: quota(per_address),
        },
        write: none,
        failed_auth_per_address: quota(failed),
        sign_in_per_address: quota("2/hour"),
        sign_in_per_account: quota("2/hour"),
    };
    Limits::new(&settings, None)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key(number: u128) -> Option<ApiKeyId> {
    Some(ApiKeyId(uuid::Uuid::from_u128(number)))
}

async fn admitted(limits: &Limits, key: Option<ApiKeyId>, from: &str) -> bool {
    let verdict = limits.take(Group::Read, key, address(from)).await;
    verdict.refused_for().is_none()
}

#[tokio::test]
async fn each_key_and_each_address_has_a_quota_of_its_own() {
    let limits = limits("2/hour", "3/hour", "0");
    assert!(limits.apply_to(Group::Read) && !limits.apply_to(Group::Write));
    assert!(admitted(&limits, key(1), "10.0.0.1").await);
    assert!(admitted(&limits, key(1), "10.0.0.1").await);
    assert!(
        !admitted(&limits, key(1), "10.0.0.2").await,
        "the key's is used up"
    );
    assert!(admitted(&limits, key(2), "10.0.0.1").await);
    assert!(
        !admitted(&limits, key(3), "10.0.0.1").await,
        "the address's is used up"
    );
    assert!(admitted(&limits, None, "10.0.0.3").await);
}

#[tokio::test]
async fn a_verdict_says_how_each_quota_stands() {
    let limits = limits("2/hour", "3/hour", "0");
    let verdict = limits.take(Group::Read, None, address("::1")).await;
    let told: Vec<_> = verdict
        .0
        .iter()
        .map(|(name, _, standing)| (*name, standing.remaining))
        .collect();
    assert_eq!(told, [("read_per_address", 2), ("read_per_key", 1)]);
    let nothing = limits.take(Group::Write, None, address("::1")).await;
    assert_eq!(nothing, Verdict::default());
}

#[tokio::test]
async fn a_network_of_ipv6_counts_as_one_address() {
    let limits = limits("0", "1/hour", "0");
    assert!(admitted(&limits, None, "2001:db8::1").await);
    assert!(!admitted(&limits, None, "2001:db8::2:1").await);
    assert!(admitted(&limits, None, "2001:db8:0:1::1").await);
    assert!(admitted(&limits, None, "10.0.0.1").await);
    assert!(!admitted(&limits, None, "::ffff:10.0.0.1").await);
}

#[test]
fn who_tries_too_many_keys_has_to_wait() {
    let limits = limits("0", "0", "3/hour");
    let (bad, good) = (address("10.0.0.1"), address("10.0.0.2"));
    for _ in 0..3 {
        assert_eq!(limits.blocked_for(|| bad), None);
        limits.note_failure(bad);
    }
    assert!(
        limits
            .blocked_for(|| bad)
            .is_some_and(|wait| wait > Duration::from_secs(600))
    );
    assert_eq!(limits.blocked_for(|| good), None);
    limits.tidy();
    assert!(
        limits.blocked_for(|| bad).is_some(),
        "tidying lets nobody go early"
    );
}

#[test]
fn what_is_remembered_of_callers_is_bounded() {
    let limit = Limit::new("l", Quota::parse("1/hour").unwrap().unwrap());
    for number in 0..MOST_CALLERS as u128 + 3 * u128::from(TIDIED_AFTER) {
        limit.take(&Who::Key(key(number)));
    }
    let most = MOST_CALLERS + TIDIED_AFTER as usize + CROWDS as usize;
    assert!(limit.limiter.len() <= most, "{}", limit.limiter.len());
    let quick = Limit::new(
        "q",
        Quota::parse("1000000/second burst 1").unwrap().unwrap(),
    );
    (0..100).for_each(|number| _ = quick.take(&Who::Key(key(number))));
    std::thread::yield_now();
    quick.tidy();
    assert!(
        quick.limiter.len() < 100,
        "who has the whole quota again is forgotten"
    );
}

#[tokio::test]
async fn whoever_tries_an_account_does_not_keep_its_owner_out_of_a_known_place() {
    let limits = limits("0", "0", "0");
    let home = Some(address("10.0.0.1"));
    let tries = async |email: &str, known| {
        let verdict = limits.take_account(email, known).await;
        verdict.refused_for().is_none()
    };
    assert!(tries("a@b.c", None).await && tries("a@b.c", None).await);
    assert!(!tries("a@b.c", None).await, "from whichever other place");
    assert!(tries("d@e.f", None).await);
    assert!(tries("a@b.c", home).await && tries("a@b.c", home).await);
    assert!(!tries("a@b.c", home).await, "there are bounds at home too");
    let from = async |text| {
        let verdict = limits.take_sign_in(address(text)).await;
        verdict.refused_for().is_none()
    };
    assert!(from("2001:db8::1").await && from("2001:db8::2").await);
    assert!(!from("2001:db8::3").await && from("2001:db8:0:1::1").await);
    let text = Who::Account(account("a@b.c"), home).to_string();
    assert!(
        !text.contains("a@b") && text.ends_with("-10.0.0.1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_user_has_one_quota_in_all_sessions() {
    let limits = limits("2/hour", "0", "0");
    let user = |number: u128| Caller {
        user: Some(UserId(uuid::Uuid::from_u128(number))),
        ..Caller::admin()
    };
    let take = async |caller: &Caller| {
        let verdict = limits.take(Group::Read, caller, address("::1")).await;
        verdict.refused_for().is_none()
    };
    assert!(take(&user(1)).await && take(&user(1)).await && !take(&user(1)).await);
    assert!(take(&user(2)).await && take(&Caller::admin()).await);
}
