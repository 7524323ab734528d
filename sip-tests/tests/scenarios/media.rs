//! RTP in the simulated world: NAT, latching against thieves, DTMF, loss, moves between workers, silence (RFC 4961, 4733, 6716, 3550).

use codecs::Codec;
use sip_tests::description::{Format, events, g722, opus, pcma, pcmu};
use sip_tests::script::EDGE;
use sip_tests::tone::write_rtp;
use sip_tests::{Answer, CallRef, Peer, World, ms, s};
use std::net::SocketAddr;

/// Alice and bob talk; alice is the caller.
fn talking(w: &mut World) -> (Peer, Peer, CallRef, CallRef) {
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    (alice, bob, a, b)
}

/// Our port that a call's peer sends to.
fn our_port(w: &World, call: CallRef) -> SocketAddr {
    w.at(call).remote_sdp.as_ref().map(|sdp| sdp.at).expect("it is up")
}

/// Loud noise from an address, 20 ms apart, so many packets.
fn noise(w: &mut World, from: &str, to: SocketAddr, ssrc: u32, count: u16) {
    for n in 0..count {
        let payload: Vec<u8> = (0..160).map(|at: u32| (at * 73 + u32::from(n) * 31) as u8).collect();
        let packet = write_rtp(8, n == 0, 5000 + n, u32::from(n) * 160, ssrc, &payload);
        w.send_udp(from.parse().expect("an address"), to, packet);
        w.run(ms(20));
    }
}

/// RFC 4961: a phone behind NAT writes a private address; media finds it by where its packets come from.
#[test]
fn a_phone_behind_nat_hears_and_is_heard() {
    let mut w = World::builder(1).media().build();
    let (alice, bob) = (w.registered("alice"), w.phone("bob"));
    w.nat(bob, "203.0.113.200");
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 4787 REQ-5: the router forgets its mapping in the middle of the call: the media follows, signalling too.
#[test]
fn a_nat_that_rebinds_during_the_call() {
    let mut w = World::builder(2).media().build();
    let (alice, bob) = (w.registered("alice"), w.phone("bob"));
    w.nat(bob, "203.0.113.200");
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    w.net.rebind("203.0.113.200".parse().expect("an address"));
    w.run(s(3));
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RTPbleed: a third party sends to our port before the peer does: it is not latched, it hears nothing, nobody hears it.
#[test]
fn a_thief_before_the_first_packet() {
    let mut w = World::builder(3).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let thief = w.stranger("thief", "203.0.113.66:5060");
    w.agent(alice).tone = None;
    let (a, b) = w.talk(alice, bob, "bob");
    let port = our_port(&w, a);
    let before = w.net.lost;
    noise(&mut w, "203.0.113.66:4444", port, 77, 100);
    w.expect_hears(b, None);
    assert!(w.agents[thief.0].calls.is_empty());
    // What bob says goes to alice's SDP address and nowhere else: nothing is addressed to the thief.
    assert_eq!(w.net.lost, before);
    w.agent(alice).tone = Some(400.0);
    w.hang_up(a);
    w.finish();
    let strangers: u64 = w.cdr().legs.iter().map(|leg| leg.stats.strangers).sum();
    assert_eq!(strangers, 100, "each of the thief's packets is counted");
}

/// RTPbleed in the middle of a call: the same SSRC guessed wrong or right from another host does not take the call over.
#[test]
fn a_thief_in_the_middle_of_the_call() {
    let mut w = World::builder(4).media().build();
    let (_, _, a, b) = talking(&mut w);
    w.stranger("thief", "203.0.113.66:5060");
    w.run(s(1));
    let port = our_port(&w, a);
    let ssrc = w.voice(b).packets.last().map(|packet| packet.ssrc).expect("packets");
    for ssrc in [1234, ssrc] {
        noise(&mut w, "203.0.113.66:4444", port, ssrc, 50);
        w.expect_tones(a, b);
    }
    w.hang_up(a);
    w.finish();
}

/// A thief waits until the phone has fallen silent (held, lost): even then a host that nobody named gets nothing.
#[test]
fn a_thief_while_the_phone_is_silent() {
    let mut w = World::builder(5).media().build();
    let (alice, _, a, b) = talking(&mut w);
    w.stranger("thief", "203.0.113.66:5060");
    w.run(s(1));
    let ip = w.agents[alice.0].addr.ip();
    w.net.link(ip).cut = true;
    w.run(s(4));
    let port = our_port(&w, a);
    noise(&mut w, "203.0.113.66:4444", port, 99, 100);
    w.expect_hears(b, None);
    w.net.link(ip).cut = false;
    w.run(s(1));
    w.expect_tones(a, b);
    w.hang_up(b);
    w.finish();
}

/// RFC 4961, 3264 8: a phone's stream moves to another port of the same host and goes on: it is followed.
#[test]
fn a_phone_moves_its_port_without_a_word() {
    let mut w = World::builder(6).media().build();
    let (_, _, a, b) = talking(&mut w);
    w.run(s(1));
    w.voice(a).port += 200;
    w.run(s(1));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// RFC 3550 8.2: a new SSRC with other numbers in the middle of the call (a gateway that moves): the listener hears no break.
#[test]
fn a_new_source_in_the_middle_of_the_call() {
    for formats in [vec![pcma(), events()], vec![opus(), events()]] {
        let mut w = World::builder(7).media().build();
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(alice).formats = formats;
        let (a, b) = w.talk(alice, bob, "bob");
        w.expect_tones(a, b);
        let ours: Vec<u32> = w.voice(b).packets.iter().map(|packet| packet.ssrc).collect();
        w.voice(a).restart();
        w.run(ms(500));
        w.expect_tones(a, b);
        let after = w.voice(b).packets.last().map(|packet| packet.ssrc);
        assert_eq!(after, ours.last().copied(), "RFC 3550: our own source stays one");
        w.hang_up(b);
        w.finish();
    }
}

/// RFC 4733: digits reach the other side once each, relayed and through a transcoder, with losses on the way.
#[test]
fn digits_reach_the_other_side_once() {
    for (formats, loss) in [
        (vec![pcma(), events()], 0.0),
        (vec![opus(), events()], 0.0),
        (vec![pcma(), events()], 0.1),
        (vec![opus(), events()], 0.1),
    ] {
        let mut w = World::builder(8).media().build();
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(alice).formats = formats;
        w.policy(bob).formats = vec![pcma(), events()];
        let (a, b) = w.talk(alice, bob, "bob");
        w.run(s(1));
        let ip = w.agents[alice.0].addr.ip();
        w.net.link(ip).loss = loss;
        for digits in ["1234", "*0#", "99"] {
            w.voice(a).dial(digits);
            w.run(s(2));
        }
        assert_eq!(w.voice(b).digits, "1234*0#99", "loss {loss}");
        w.net.link(ip).loss = 0.0;
        w.expect_tones(a, b);
        w.hang_up(a);
        w.finish();
    }
}

/// G.722 is spoken where both sides have it, or one of them nothing else; between G.711 and G.711 nobody pays for it.
#[test]
fn g722_is_spoken_where_it_is_of_use() {
    for (alices, bobs, codecs) in [
        (vec![g722(), pcma()], vec![g722(), pcma()], [Codec::G722, Codec::G722]),
        (vec![pcma(), g722()], vec![g722(), pcma()], [Codec::Pcma, Codec::Pcma]),
        (vec![g722(), pcma()], vec![pcmu()], [Codec::Pcma, Codec::Pcmu]),
        (vec![pcma(), g722()], vec![opus()], [Codec::G722, Codec::Opus]),
        (vec![opus()], vec![pcma(), g722()], [Codec::Opus, Codec::G722]),
        (vec![g722()], vec![pcma()], [Codec::G722, Codec::Pcma]),
    ] {
        let mut w = World::builder(8).media().build();
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(alice).formats = alices.into_iter().chain([events()]).collect();
        w.policy(bob).formats = bobs.into_iter().chain([events()]).collect();
        let (a, b) = w.talk(alice, bob, "bob");
        w.expect_tones(a, b);
        w.voice(a).dial("12");
        w.run(s(1));
        assert_eq!(w.voice(b).digits, "12");
        w.hang_up(a);
        w.finish();
        let mut legs: Vec<(bool, Option<Codec>)> =
            w.cdr().legs.iter().map(|leg| (leg.caller, leg.stats.codec)).collect();
        legs.sort();
        assert_eq!(legs, [(false, Some(codecs[1])), (true, Some(codecs[0]))]);
    }
}

/// RFC 6716 2.1.7, G.711 Appendix I: with a tenth of the packets lost the tone is still the tone, and what was lost is counted.
#[test]
fn a_tenth_of_the_packets_is_lost() {
    for formats in [vec![opus(), events()], vec![pcma(), events()], vec![g722(), events()]] {
        let mut w = World::builder(9).media().build();
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        w.policy(alice).formats = formats;
        w.policy(bob).formats = vec![pcmu(), events()];
        let (a, b) = w.talk(alice, bob, "bob");
        w.voice(a).skip_every = 10;
        w.run(s(5));
        let hz = w.agents[alice.0].tone.expect("a tone");
        let heard = w.voice(b).hears().expect("something is heard");
        // Concealment bends the tone a little.
        assert!((heard.hz - hz).abs() < 20.0 && heard.over_rest_db > 6.0, "{heard:?}");
        w.voice(a).skip_every = 0;
        w.hang_up(a);
        w.finish();
        let lost: u64 = w
            .cdr()
            .legs
            .iter()
            .filter(|leg| leg.caller)
            .map(|leg| leg.stats.lost)
            .sum();
        assert!((15..=40).contains(&lost), "of 300 packets: {lost}");
        assert!(
            w.cdr()
                .legs
                .iter()
                .any(|leg| leg.stats.mos.is_some_and(|mos| mos < 4.0)),
            "the quality shows it"
        );
    }
}

/// Jitter and reordering within what a network does: nothing is lost, and both hear each other.
#[test]
fn jitter_and_reordering() {
    let mut w = World::builder(10).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).formats = vec![opus(), events()];
    w.policy(bob).formats = vec![pcma(), events()];
    let ip = w.agents[alice.0].addr.ip();
    w.net.link(ip).jitter = ms(15);
    w.net.link(ip).duplicate = 0.1;
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(3));
    w.expect_hears(b, Some(a));
    w.hang_up(b);
    w.finish();
}

/// Garbage on the RTP port: nothing of it is heard, nothing breaks.
#[test]
fn garbage_on_the_rtp_port() {
    let mut w = World::builder(11).media().build();
    let (alice, _, a, b) = talking(&mut w);
    w.run(s(1));
    let (from, port) = (SocketAddr::new(w.agents[alice.0].addr.ip(), 20_000), our_port(&w, a));
    for n in 0..300u64 {
        let len = w.rng.below(200) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| w.rng.number() as u8).collect();
        if n % 3 == 0 && len > 1 {
            bytes[0] = 0x80 | bytes[0] & 0x3f;
        }
        w.send_udp(from, port, bytes.into());
        w.run(ms(1));
    }
    w.run(s(1));
    w.expect_tones(a, b);
    w.hang_up(a);
    w.finish();
}

/// A leg moves to the worker of the other when two calls are joined by a transfer: both hear each other on one worker.
#[test]
fn legs_of_two_workers_are_joined() {
    let mut moved = 0;
    for seed in 0..6 {
        let mut w = World::builder(1200 + seed).media().build();
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| w.registered(name));
        let (a, b) = w.talk(alice, bob, "bob");
        let (a2, c) = w.talk(alice, carol, "carol");
        let replaced = w.at(a2);
        let replaces = format!(
            "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
            replaced.call_id, replaced.remote_tag, replaced.local_tag
        );
        let line = format!(
            "Refer-To: <sip:carol@example.com?Replaces={}>",
            replaces.replace('@', "%40")
        );
        let status = w.request(a, "REFER", &[&line], None);
        assert!((200..300).contains(&status), "{status}");
        w.run(s(3));
        w.expect_tones(b, c);
        moved += w.media.moves;
        w.hang_up(b);
        w.run(s(1));
        assert!(!w.at(c).is_live());
        w.finish();
    }
    assert!(moved > 0, "in one of six runs the two calls were on different workers");
}

/// `media.silence`: a leg from which nothing comes ends its call, with a cause, on both sides.
#[test]
fn a_silent_leg_ends_the_call() {
    let mut w = World::builder(13)
        .config(&EDGE.replace("silence: 5m", "silence: 20s"))
        .media()
        .build();
    let (_, bob, a, b) = talking(&mut w);
    w.run(s(30));
    assert!(w.at(a).is_live() && w.at(b).is_live());
    w.voice(b).sends = false;
    w.run(s(30));
    assert!(
        !w.at(a).is_live() && !w.at(b).is_live(),
        "{:?}",
        w.agents[bob.0].calls[0].state
    );
    w.finish();
    assert!(w.cdr().ended.is_some());
}

/// RFC 4566 6: an encoding's name comes in any case, and the `/1` of one channel is no difference.
#[test]
fn odd_spellings_of_formats() {
    let mut w = World::builder(8).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    w.policy(alice).formats = vec![Format::new(0, "pcmu/8000/1"), events()];
    w.policy(bob).formats = vec![pcmu(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(2));
    assert!(w.voice(a).received > 50 && w.voice(b).received > 50);
    w.hang_up(a);
    w.finish();
}

/// RFC 3550 6.1, 6.2: our reports come on time, with a CNAME, as another library reads them.
#[test]
fn reports_come_on_time() {
    let mut w = World::builder(9).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(15));
    for call in [a, b] {
        let reports = w.voice(call).reports.clone();
        assert!(!reports.is_empty(), "RFC 3550 6.2: a report in 5 s or so");
        let mut bytes = reports[0].1.clone();
        let packets = rtcp::packet::unmarshal(&mut bytes).expect("RTCP that another library reads");
        assert!(packets.len() >= 2, "a report and a CNAME (RFC 3550 6.1)");
    }
    w.hang_up(a);
    w.finish();
}

/// No worker takes another leg: a call without media is none. The caller's own leg, then a phone's: 503, and Q.850 34 (no circuit);
/// who is up is not touched, and there is room again afterwards.
#[test]
fn a_leg_that_no_worker_takes_ends_its_call() {
    for legs in [2, 3] {
        let config = EDGE.replace("workers: 2", "workers: 1");
        let mut w = World::builder(40 + legs as u64).config(&config).media_of(legs).build();
        let (_, bob, a, b) = talking(&mut w);
        let (carol, dave) = (w.registered("carol"), w.registered("dave"));
        let c = w.call(carol, "dave");
        w.expect_over(c, 503);
        w.run(s(1));
        assert!(w.agents[dave.0].calls.iter().all(|call| !call.is_live()), "{legs}");
        assert_eq!(w.cause(), (503, 34), "{legs}");
        w.expect_tones(a, b);
        w.hang_up(a);
        w.expect_over(b, 200);
        w.run(s(1));
        let (c, b) = w.talk(carol, bob, "bob");
        w.expect_tones(c, b);
        w.hang_up(c);
        w.finish();
    }
}

/// A leg that finds no room where it moves, in a call that is up: BYE to both, with the cause.
#[test]
fn a_leg_that_finds_no_room_where_it_moves() {
    // By this seed the two calls are not on one worker.
    let mut w = World::builder(45).media_of(2).build();
    let (alice, _, a1, b) = talking(&mut w);
    let carol = w.registered("carol");
    let (a2, c) = w.talk(alice, carol, "carol");
    // The transferor's leg keeps its place until it has answered the last NOTIFY.
    let dialog = w.at(a2);
    let replaces = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        dialog.call_id.replace('@', "%40"),
        dialog.remote_tag,
        dialog.local_tag
    );
    let line = format!("Refer-To: <sip:carol@example.com?Replaces={replaces}>");
    assert_eq!(w.request(a1, "REFER", &[&line], None), 202);
    for call in [b, c] {
        w.expect_over(call, 200);
        assert_eq!(w.at(call).reason.as_deref(), Some("Q.850;cause=34"));
    }
    w.finish();
}

/// RFC 3960 3.2: callers whose configuration says that they make no ringback tone hear ours with the first bare 180, then the one who
/// answers; the others make it themselves.
#[test]
fn a_caller_who_cannot_make_a_ringback_tone_is_given_one() {
    let config = EDGE
        .replace("name: alice,", "name: alice, ringback: yes,")
        .replace("name: acme\n", "name: acme\n    ringback: yes\n");
    let mut w = World::builder(40).config(&config).media().build();
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(bob).answer = Answer::Manual;
    for caller in [alice, acme] {
        let call = w.call(caller, "+14155550102");
        w.rings(call);
        let other = w.incoming(bob);
        assert!((0..30).any(|_| {
            w.run(ms(200));
            w.voice(call).hears().is_some_and(|heard| heard.is(425.0, 12.0))
        }));
        let statuses = w.at(call).statuses.clone();
        assert!(statuses.contains(&183) && !statuses.contains(&180), "{statuses:?}");
        w.respond(other, 180);
        w.run(ms(100));
        assert_eq!(w.at(call).statuses, statuses, "once is enough");
        w.accept(other);
        w.up(call);
        w.expect_tones(call, other);
        w.hang_up(call);
        w.expect_over(other, 200);
    }
    let call = w.call(carol, "bob");
    w.rings(call);
    assert!(w.at(call).statuses.contains(&180) && w.at(call).remote_sdp.is_none());
    w.hang_up(call);
    w.finish();
}
