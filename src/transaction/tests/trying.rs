//! Who is slow has a 100 sent for him (RFC 3261 17.2.1, RFC 4320 4.1).

use super::*;

#[test]
fn an_invite_has_a_100_unless_something_is_said_within_200_ms() {
    let invite = request("INVITE", ";branch=z9hG4bK1", ";tag=ours").replace("CSeq", "Timestamp: 54.5\nCSeq");
    let mut slow = Bench::new();
    let (tx, _) = slow.accept(flow(Transport::Udp), &invite);
    assert!(slow.sent().is_empty(), "not yet");
    slow.advance(Duration::from_millis(200));
    let (to, trying) = slow.sent().pop().unwrap();
    assert_eq!((to.peer, trying.status()), ("127.0.0.2:5062".parse().unwrap(), 100));
    assert_eq!(trying.to().unwrap().tag(), Some("ours"), "RFC 3261 8.2.6.2");
    assert_eq!(
        trying.all_named("Timestamp"),
        ["54.5 0.120"],
        "8.2.6.1: it is as late as that"
    );
    slow.receive(flow(Transport::Udp), &invite);
    assert_eq!(slow.statuses(), [100], "a copy of what was said last");
    slow.advance(Duration::from_secs(60));
    assert_eq!(slow.statuses(), [100], "still alive");
    slow.receive(flow(Transport::Udp), &invite.replace("INVITE", "CANCEL"));
    assert!(matches!(slow.events().as_slice(), [Event::Cancelled { tx: cancelled, .. }] if *cancelled == tx));

    for status in [180, 200, 407] {
        let mut quick = Bench::new();
        let (tx, request) = quick.accept(flow(Transport::Udp), &invite);
        quick.respond(tx, &request, status);
        assert_eq!(quick.statuses(), [status]);
        quick.advance(Duration::from_millis(200));
        assert!(quick.sent().is_empty(), "after {status} nobody wants a 100");
    }
}

#[test]
fn an_invite_without_a_response_can_be_cancelled() {
    let invite = request("INVITE", ";branch=z9hG4bK1", ";tag=ours");
    let mut gone = Bench::new();
    let (tx, _) = gone.accept(flow(Transport::Udp), &invite);
    gone.receive(flow(Transport::Udp), &invite.replace("INVITE", "CANCEL"));
    assert_eq!(gone.statuses(), [200], "9.2: whatever was said before");
    assert!(matches!(gone.events().as_slice(), [Event::Cancelled { tx: cancelled, .. }] if *cancelled == tx));
}

#[test]
fn a_slow_user_has_100_sent_for_him_and_a_late_answer_is_not_sent() {
    let mut bench = Bench::new();
    let (tx, options) = bench.accept(flow(Transport::Udp), &request("OPTIONS", ";branch=z9hG4bK1", ""));
    bench.respond(tx, &options, 180);
    bench.advance(T1 * 7 - Duration::from_millis(1));
    assert_eq!(
        bench.statuses(),
        Vec::<u16>::new(),
        "RFC 4320 4.1: neither 180 nor an early 100"
    );
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.statuses(), [100]);
    bench.receive(flow(Transport::Udp), &request("OPTIONS", ";branch=z9hG4bK1", ""));
    assert_eq!(bench.statuses(), [100]);
    bench.advance(T1_64);
    bench.respond(tx, &options, 200);
    assert_eq!((bench.statuses(), bench.layer.len()), (vec![], 0), "RFC 4320 4.2");
}

/// RFC 3261 18.2.2 has a connection opened for a response whose own has closed: not for a 100, since the next one would.
#[test]
fn a_100_opens_no_connection() {
    let mut bench = Bench::new();
    let (tx, invite) = bench.accept(flow(Transport::Tcp), &request("INVITE", ";branch=z9hG4bK1", ""));
    bench.with(|layer, cx| layer.on_flow_closed(cx, flow(Transport::Tcp)));
    bench.advance(Duration::from_millis(200));
    assert!(bench.out.is_empty(), "{:?}", bench.out);
    bench.respond(tx, &invite, 180);
    assert!(
        matches!(bench.out.make_contiguous(), [Output::Connect(..)]),
        "{:?}",
        bench.out
    );
}
