//! What ends by its own bound: redirections (RFC 3261 16.5), and ACKs without a transaction (16.11).

use crate::tools::{by_hand, calling, settle, two};
use sip_tests::{Answer, Peer, ms, s};
use tandem::limits;

/// 16.5: whoever is redirected to redirects on: after so many the last redirection is the answer, and nobody more is asked.
#[test]
fn redirections_that_go_on_and_on() {
    let (mut w, alice, bob) = two(1);
    let most = usize::from(limits::PROXY_RECURSIONS);
    let hosts: Vec<Peer> = (0..most + 3)
        .map(|n| w.stranger(&format!("h{n}"), &format!("203.0.113.{}:5060", 20 + n)))
        .collect();
    let chain: Vec<Peer> = [bob].into_iter().chain(hosts.iter().copied()).collect();
    for (n, peer) in chain.iter().enumerate() {
        let lines = vec![format!("Contact: <sip:x@203.0.113.{}>", 20 + n)];
        w.policy(*peer).answer = Answer::Status(302, ms(10), lines);
    }
    let call = w.call(alice, "bob");
    w.expect_over(call, 302);
    let asked = hosts.iter().filter(|peer| !w.agents[peer.0].calls.is_empty()).count();
    assert_eq!(asked, most);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// 16.11: an ACK needs no transaction: it goes on long after the call's last one is over, if its Route is ours; any other is dropped,
/// and nobody is told anything.
#[test]
fn an_ack_without_a_transaction() {
    let (mut w, alice, bob) = two(2);
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(60));
    let acks = |w: &sip_tests::World| w.received(bob, |m| m.is("ACK")).len();
    let before = acks(&w);
    let mut ack = w.at(a).request("ACK", w.at(a).invite.cseq().0);
    ack.headers.insert(
        0,
        (
            "Via".into(),
            format!("SIP/2.0/UDP {};rport;branch=z9hG4bKlate", w.agents[alice.0].addr),
        ),
    );
    w.send_raw(alice, ack.write().to_vec());
    settle(&mut w);
    assert_eq!(acks(&w), before + 1, "it passes");
    let known = w.received(alice, |_| true).len();
    for route in [
        None,
        Some("<sip:192.0.2.1;lr>"),
        Some("<sip:tw-nn0123456789abcdef@192.0.2.1;lr>"),
    ] {
        ack.remove("Route");
        if let Some(route) = route {
            ack.push("Route", route);
        }
        w.send_raw(alice, ack.write().to_vec());
    }
    settle(&mut w);
    assert_eq!((acks(&w), w.received(alice, |_| true).len()), (before + 1, known));
    assert_eq!(w.census().transactions, 0);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// 22.3: what the ACK brought of credentials for us ends here, as with its INVITE; 18.2.1: it says where it came from.
#[test]
fn an_ack_leaves_its_credentials_here() {
    let (mut w, alice, bob) = two(3);
    by_hand(&mut w, bob);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.accept(b);
    w.up(a);
    settle(&mut w);
    let mut ack = w.at(a).request("ACK", w.at(a).invite.cseq().0);
    let credentials = w.at(a).invite.text("Proxy-Authorization").to_owned();
    assert!(credentials.contains("realm=\"example.com\""));
    ack.push("Proxy-Authorization", &credentials);
    ack.push("Proxy-Authorization", "Digest username=\"x\", realm=\"elsewhere\"");
    ack.headers.insert(
        0,
        (
            "Via".into(),
            "SIP/2.0/UDP phone.invalid:5060;branch=z9hG4bKcredentials".into(),
        ),
    );
    w.send_raw(alice, ack.write().to_vec());
    settle(&mut w);
    let got = w.last_received(bob, |m| m.is("ACK") && m.all("Via").len() == 2);
    let named = got.headers.iter().filter(|(name, _)| name == "Proxy-Authorization");
    let left: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    assert_eq!(left, ["Digest username=\"x\", realm=\"elsewhere\""]);
    let received = format!(";received={}", w.agents[alice.0].addr.ip());
    assert!(got.all("Via")[1].contains(&received), "{got:?}");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}
