//! Tables over every range, and over the spellings by which people get around guards.

use super::*;

fn guard(networks: &[&str], allow_http: bool) -> AddressGuard {
    AddressGuard {
        allow_networks: networks
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        allow_http,
    }
}

fn check(guard: &AddressGuard, address: &str) -> Result<(), Refusal> {
    guard.check(address.parse().unwrap())
}

#[test]
fn every_range_is_refused_from_its_first_to_its_last_address() {
    let table: &[(&str, &str, Refusal)] = &[
        ("0.0.0.0", "0.255.255.255", Refusal::Unspecified),
        ("10.0.0.0", "10.255.255.255", Refusal::Private),
        ("100.64.0.0", "100.127.255.255", Refusal::SharedAddressSpace),
        ("127.0.0.0", "127.255.255.255", Refusal::Loopback),
        ("169.254.0.0", "169.254.255.255", Refusal::LinkLocal),
        ("169.254.169.254", "169.254.169.254", Refusal::LinkLocal),
        ("172.16.0.0", "172.31.255.255", Refusal::Private),
        ("192.0.0.0", "192.0.0.255", Refusal::Reserved),
        ("192.0.2.0", "192.0.2.255", Refusal::Documentation),
        ("192.88.99.0", "192.88.99.255", Refusal::Reserved),
        ("192.168.0.0", "192.168.255.255", Refusal::Private),
        ("198.18.0.0", "198.19.255.255", Refusal::Benchmarking),
        ("198.51.100.0", "198.51.100.255", Refusal::Documentation),
        ("203.0.113.0", "203.0.113.255", Refusal::Documentation),
        ("224.0.0.0", "239.255.255.255", Refusal::Multicast),
        ("240.0.0.0", "255.255.255.254", Refusal::Reserved),
        ("255.255.255.255", "255.255.255.255", Refusal::Broadcast),
        ("::", "::", Refusal::Unspecified),
        ("::1", "::1", Refusal::Loopback),
        ("::8.8.8.8", "::1.1.1.1", Refusal::Ipv4Compatible),
        ("::10.0.0.1", "::10.0.0.2", Refusal::Private),
        ("::ffff:8.8.8.8", "::ffff:1.1.1.1", Refusal::Ipv4Mapped),
        ("::ffff:127.0.0.1", "::ffff:7f00:1", Refusal::Loopback),
        (
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            Refusal::LinkLocal,
        ),
        ("64:ff9b::8.8.8.8", "64:ff9b::1.1.1.1", Refusal::Nat64),
        (
            "64:ff9b::10.0.0.0",
            "64:ff9b::10.255.255.255",
            Refusal::Private,
        ),
        (
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            Refusal::Nat64,
        ),
        ("100::", "100::ffff:ffff:ffff:ffff", Refusal::Discard),
        (
            "2001::",
            "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Teredo,
        ),
        (
            "2001:2::",
            "2001:2:0:ffff:ffff:ffff:ffff:ffff",
            Refusal::Reserved,
        ),
        (
            "2001:10::",
            "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Orchid,
        ),
        (
            "2001:1ff::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Reserved,
        ),
        (
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Documentation,
        ),
        (
            "2002:808:808::",
            "2002:101:101:ffff:ffff:ffff:ffff:ffff",
            Refusal::SixToFour,
        ),
        ("2002:7f00:1::", "2002:7fff:ffff::1", Refusal::Loopback),
        (
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Documentation,
        ),
        (
            "4000::",
            "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Reserved,
        ),
        (
            "fc00::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::UniqueLocal,
        ),
        (
            "fe80::",
            "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::LinkLocal,
        ),
        (
            "fec0::",
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::SiteLocal,
        ),
        (
            "ff00::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Refusal::Multicast,
        ),
    ];
    let guard = guard(&[], false);
    for (first, last, refusal) in table {
        assert_eq!(check(&guard, first), Err(*refusal), "{first}");
        assert_eq!(check(&guard, last), Err(*refusal), "{last}");
    }
}

#[test]
fn the_neighbours_of_the_ranges_pass() {
    let guard = guard(&[], false);
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700:4700::1111",
        "3ffe::1",
        "3fff:1000::1",
    ] {
        assert_eq!(check(&guard, address), Ok(()), "{address}");
    }
}

#[test]
fn allowed_networks_pass_and_nothing_beside_them() {
    let private = guard(&["10.1.0.0/16", "fd00::/8", "127.0.0.0/8"], false);
    assert_eq!(check(&private, "10.1.2.3"), Ok(()));
    assert_eq!(check(&private, "10.2.0.1"), Err(Refusal::Private));
    assert_eq!(check(&private, "fd12::1"), Ok(()));
    assert_eq!(check(&private, "fc12::1"), Err(Refusal::UniqueLocal));
    assert_eq!(check(&private, "::1"), Err(Refusal::Loopback));
    assert_eq!(
        check(&private, "::ffff:10.1.2.3"),
        Ok(()),
        "the kernel connects to 10.1.2.3"
    );
    assert_eq!(check(&private, "::ffff:10.2.0.1"), Err(Refusal::Private));
    assert_eq!(check(&private, "64:ff9b::10.1.2.3"), Err(Refusal::Nat64));
    assert_eq!(check(&private, "2002:a01:203::1"), Err(Refusal::SixToFour));
}

#[test]
fn an_allowed_translation_prefix_does_not_open_what_lies_behind_it() {
    let translated = guard(&["64:ff9b::/96", "::ffff:0:0/96"], false);
    assert_eq!(check(&translated, "64:ff9b::8.8.8.8"), Ok(()));
    assert_eq!(
        check(&translated, "64:ff9b::10.0.0.1"),
        Err(Refusal::Private)
    );
    assert_eq!(
        check(&translated, "64:ff9b::169.254.169.254"),
        Err(Refusal::LinkLocal)
    );
    assert_eq!(check(&translated, "::ffff:8.8.8.8"), Ok(()));
    assert_eq!(
        check(&translated, "::ffff:127.0.0.1"),
        Err(Refusal::Loopback)
    );
}

#[test]
fn urls_are_judged_in_every_spelling() {
    let address = |refusal| Err(UrlRefusal::Address(refusal));
    let table = [
        ("https://example.com/hook?a=1", Ok(())),
        ("https://8.8.8.8:8443/", Ok(())),
        ("https://user@example.com/", Err(UrlRefusal::Credentials)),
        ("https://:secret@example.com/", Err(UrlRefusal::Credentials)),
        ("https://example.com/#part", Err(UrlRefusal::Fragment)),
        ("https://example.com:0/", Err(UrlRefusal::Port)),
        (
            "http://example.com/",
            Err(UrlRefusal::Scheme {
                scheme: "http".into(),
            }),
        ),
        (
            "ftp://example.com/",
            Err(UrlRefusal::Scheme {
                scheme: "ftp".into(),
            }),
        ),
        (
            "mailto:a@example.com",
            Err(UrlRefusal::Scheme {
                scheme: "mailto".into(),
            }),
        ),
        ("https://127.0.0.1/", address(Refusal::Loopback)),
        ("https://127.0.0.1./", address(Refusal::Loopback)),
        ("https://0x7f.1/", address(Refusal::Loopback)),
        ("https://2130706433/", address(Refusal::Loopback)),
        ("https://017700000001/", address(Refusal::Loopback)),
        ("https://127.1/", address(Refusal::Loopback)),
        ("https://%31%32%37.0.0.1/", address(Refusal::Loopback)),
        ("https://①②⑦.0.0.1/", address(Refusal::Loopback)),
        ("https://0/", address(Refusal::Unspecified)),
        ("https://[::1]/", address(Refusal::Loopback)),
        ("https://[::ffff:10.0.0.1]/", address(Refusal::Private)),
        ("https://[fd00::1]/", address(Refusal::UniqueLocal)),
        (
            "https://169.254.169.254/latest/meta-data",
            address(Refusal::LinkLocal),
        ),
        ("https://localhost/", address(Refusal::Loopback)),
        ("https://LOCALHOST./", address(Refusal::Loopback)),
        ("https://a.b.localhost:8080/", address(Refusal::Loopback)),
        ("https://localhost.example.com/", Ok(())),
    ];
    let strict = guard(&[], false);
    for (text, expected) in table {
        let url = Url::parse(text).unwrap();
        assert_eq!(strict.check_url(&url), expected, "{text}");
    }
    let open = guard(&["127.0.0.0/8"], true);
    for text in [
        "http://localhost:3000/",
        "http://127.0.0.1/",
        "https://example.com/",
    ] {
        assert_eq!(open.check_url(&Url::parse(text).unwrap()), Ok(()), "{text}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let text = Refusal::Private.to_string();
    assert!(text.contains("private network (RFC 1918)"), "{text}");
    assert!(
        text.contains("POSTHASTE_ALLOW_NETWORKS") && text.contains("--dev"),
        "{text}"
    );
    let text = UrlRefusal::Scheme {
        scheme: "http".into(),
    }
    .to_string();
    assert!(text.contains("--dev"), "{text}");
}
