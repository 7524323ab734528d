//! Transfers that are refused or fail: RFC 3515 2.4, RFC 5589 6.1, interop item 52.

use crate::refer::{CAROL, Three, three};
use crate::tools::{edge_with, notified};
use sip_tests::{Answer, World, ms, s};

/// has the call.
#[test]
fn a_transfer_that_fails_gives_the_call_back() {
    for (answer, to, status) in [
        (Some(486), "carol", 486),
        (Some(603), "carol", 603),
        (None, "nobody", 404),
        (None, "dave", 480),
    ] {
        let Three { mut w, carol, a, b, .. } = three(3, true);
        if let Some(refusal) = answer {
            w.policy(carol).answer = Answer::Status(refusal, ms(300), Vec::new());
        }
        assert_eq!(
            w.request(a, "REFER", &[&format!("Refer-To: <sip:{to}@example.com>")], None),
            202
        );
        w.run(s(2));
        assert_eq!(notified(&w, a).last(), Some(&status), "{to}");
        let last = w.last_received(a.peer, |m| m.is("NOTIFY"));
        assert!(last.text("Subscription-State").starts_with("terminated"));
        w.expect_tones(a, b);
        w.hang_up(a);
        w.expect_over(b, 200);
        w.finish();
    }
}

/// RFC 5589, one transfer at a time: the second REFER while the first is under way is refused with 491.
#[test]
fn a_second_transfer_while_the_first_is_under_way() {
    let Three { mut w, carol, a, b, .. } = three(5, false);
    w.policy(carol).answer = Answer::Manual;
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 491);
    assert_eq!(w.request(b, "REFER", &["Refer-To: <sip:600@example.com>"], None), 491);
    let c = w.incoming(carol);
    w.accept(c);
    w.expect_over(a, 200);
    w.hang_up(c);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3515 2.4.1, 2.4.2: no or several Refer-To are 400, another method 501, another scheme 416; headers of the URI stay here.
#[test]
fn what_a_refer_may_ask_for() {
    let Three { mut w, carol, a, b, .. } = three(12, false);
    assert_eq!(w.request(a, "REFER", &[], None), 400);
    assert_eq!(w.request(a, "REFER", &[CAROL, CAROL], None), 400);
    assert_eq!(
        w.request(
            a,
            "REFER",
            &["Refer-To: <sip:carol@example.com;method=SUBSCRIBE>"],
            None
        ),
        501
    );
    assert_eq!(w.request(a, "REFER", &["Refer-To: <http://example.com/>"], None), 416);
    assert_eq!(w.at(b).requests, [""; 0]);
    assert_eq!(
        w.request(
            a,
            "REFER",
            &["Refer-To: <sip:carol@example.com?Subject=secret&X-Hop=1>"],
            None
        ),
        202
    );
    w.expect_over(a, 200);
    let c = w.incoming(carol);
    let invite = &w.at(c).invite;
    assert!(invite.get("Subject").is_none() && invite.get("X-Hop").is_none() && !invite.uri().contains('?'));
    w.hang_up(b);
    w.finish();
}

/// A name at another host is none of our users, whatever the name: 404, and nobody rings. Our own address is as good as the domain.
#[test]
fn a_refer_to_somebody_elsewhere() {
    let Three { mut w, carol, a, b, .. } = three(14, false);
    for host in ["elsewhere.example", "203.0.113.7"] {
        let line = format!("Refer-To: <sip:carol@{host}>");
        assert_eq!(w.request(a, "REFER", &[&line], None), 404, "{host}");
    }
    w.run(s(1));
    assert!(w.agents[carol.0].calls.is_empty());
    assert_eq!(w.request(a, "REFER", &["Refer-To: <sip:carol@192.0.2.1>"], None), 202);
    w.expect_over(a, 200);
    w.hang_up(b);
    w.finish();
}

/// Who may not: carriers (403, and their Allow does not list REFER), and everybody where the configuration says so.
#[test]
fn who_may_not_transfer() {
    let Three { mut w, alice, a, b, .. } = three(13, false);
    w.hang_up(a);
    w.expect_over(b, 200);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a, c) = w.talk(alice, acme, "+442079460000");
    assert!(!w.at(c).invite.text("Allow").contains("REFER"));
    assert_eq!(w.request(c, "REFER", &[CAROL], None), 403);
    w.hang_up(a);
    w.expect_over(c, 200);
    w.finish();
    let mut w = World::builder(13).config(&edge_with("calls: { transfer: no }")).build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    assert!(!w.at(b).invite.text("Allow").contains("REFER"));
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 403);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}
