//! A proxied INVITE is a call: RFC 3261 16.1, RFC 4028 8.3, and the rules of the house on records and limits.

use crate::tools::{OFFICE, calling, requests, settle, statuses, two, with};
use sip_tests::{Answer, Msg, Peer, State, World, ms, s};
use tandem::limits;

/// RFC 3261 16.12.1.1: INVITE, 180, 200, ACK, BYE in one dialog from phone to phone, all through us; one record.
#[test]
fn a_call_from_phone_to_phone() {
    let (mut w, alice, bob) = two(1);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    w.accept(b);
    w.up(a);
    settle(&mut w);
    assert_eq!(w.at(b).invite.call_id(), w.at(a).invite.call_id(), "one dialog");
    assert_eq!(w.at(b).invite.body, w.at(a).invite.body, "media goes directly");
    assert!(w.at(b).acked);
    assert_eq!(statuses(&w, alice, "INVITE"), [180, 200]);
    w.run(ms(5000));
    w.hang_up(a);
    w.expect_over(b, 200);
    settle(&mut w);
    assert_eq!(requests(&w, bob, "BYE").len(), 1);
    w.finish();
    let cdr = w.records.last().unwrap();
    assert_eq!(
        (
            w.records.by_call.len(),
            cdr.caller.as_str(),
            cdr.called.as_str(),
            cdr.to.as_str()
        ),
        (1, "alice", "bob", "user/bob")
    );
    assert!(cdr.ringing.is_some() && cdr.answered.is_some());
    assert_eq!(cdr.ended.as_ref().unwrap().1.status, 200);
    assert_eq!(w.state(a), State::Ended(200));
}

/// 488 (or 606): the call is tried once more as a bridge, in the same record; the caller sees one answer.
#[test]
fn a_488_becomes_a_bridge() {
    for (seed, status) in [(2, 488), (3, 606)] {
        let (mut w, alice, bob) = two(seed);
        let (a, b) = calling(&mut w, alice, bob, "bob");
        w.respond(b, status);
        settle(&mut w);
        let second = w.incoming(bob);
        let (first, again) = (w.at(b).invite.clone(), w.at(second).invite.clone());
        assert_ne!(first.call_id(), again.call_id(), "a dialog of our own");
        assert!(
            again.body.contains("192.0.2.1") && !again.body.contains("203.0.0."),
            "our media"
        );
        w.accept(second);
        w.up(a);
        w.run(ms(200));
        w.hang_up(a);
        w.expect_over(second, 200);
        w.finish();
        assert_eq!(
            (statuses(&w, alice, "INVITE").last(), w.records.by_call.len()),
            (Some(&200), 1),
            "{status}"
        );
        let cdr = w.records.last().unwrap();
        assert!(
            cdr.answered.is_some() && cdr.changes.iter().any(|what| what.contains("bridged")),
            "{cdr:?}"
        );
    }
}

/// The bridge is tried once: refused again, the call fails, in one record.
#[test]
fn a_488_of_the_bridge_is_the_end() {
    let (mut w, alice, bob) = two(4);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 488);
    settle(&mut w);
    let second = w.incoming(bob);
    w.respond(second, 488);
    w.expect_over(a, 488);
    w.finish();
    assert_eq!((requests(&w, bob, "INVITE").len(), w.records.by_call.len()), (2, 1));
}

/// The dial plan's `do: bridge` and `do: proxy` win over the domain's.
#[test]
fn a_route_says_the_way() {
    let (mut w, _, bob) = two(5);
    let carol = w.registered("carol");
    let (b, c) = calling(&mut w, bob, carol, "carol");
    assert_ne!(
        w.at(b).invite.call_id(),
        w.at(c).invite.call_id(),
        "bridged by the route"
    );
    w.hang_up(b);
    w.expect_over(b, 487);
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (x, b) = calling(&mut w, acme, bob, "+14155550102");
    assert_eq!(
        w.at(x).invite.call_id(),
        w.at(b).invite.call_id(),
        "proxied by the route"
    );
    w.accept(b);
    w.up(x);
    w.hang_up(x);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.records.last().unwrap().to, "user/bob");
}

/// Calls to trunks, to services and between users of different ways are bridged.
#[test]
fn what_stays_a_bridge() {
    let (mut w, alice, _) = two(6);
    let erin = w.registered("erin");
    let acme = w.carrier("acme", "198.51.100.1:5060");
    for (from, to, number) in [
        (alice, acme, "+442079460000"),
        (alice, erin, "erin"),
        (erin, alice, "alice"),
    ] {
        let (a, b) = calling(&mut w, from, to, number);
        assert_ne!(w.at(a).invite.call_id(), w.at(b).invite.call_id(), "{number}");
        w.hang_up(a);
        w.expect_over(a, 487);
        settle(&mut w);
    }
    let echo = w.call(alice, "600");
    w.up(echo);
    w.hang_up(echo);
    w.finish();
}

/// A proxied call counts: a user with `calls: 1` is busy in one, and `on_busy` takes the next; afterwards everything is free again.
#[test]
fn proxied_calls_count() {
    let (mut w, alice, bob) = two(7);
    let (dave, carol) = (w.registered("dave"), w.registered("carol"));
    let (a, d) = calling(&mut w, alice, dave, "dave");
    w.accept(d);
    w.up(a);
    let b = w.call(bob, "dave");
    w.up(b);
    assert_eq!(
        (requests(&w, dave, "INVITE").len(), requests(&w, carol, "INVITE").len()),
        (1, 1)
    );
    w.hang_up(b);
    w.hang_up(a);
    w.expect_over(d, 200);
    settle(&mut w);
    let again = w.call(bob, "dave");
    w.incoming(dave);
    w.hang_up(again);
    w.expect_over(again, 487);
    w.finish();
    assert_eq!(w.records.by_call.len(), 3);
}

/// `on_busy`, `on_no_answer` and `on_offline` work for proxied calls, too: the call goes on as a bridge, in the same record.
#[test]
fn a_user_who_does_not_take_the_call_sends_it_on() {
    for (seed, case) in [(8, "busy"), (9, "no answer"), (10, "offline")] {
        let (mut w, alice, _) = two(seed);
        let carol = w.registered("carol");
        let dave = w.phone("dave");
        if case != "offline" {
            w.register(dave);
        }
        crate::tools::by_hand(&mut w, dave);
        let a = w.call(alice, "dave");
        if case == "busy" {
            let d = w.incoming(dave);
            w.respond(d, 486);
        }
        w.up(a);
        let expected = usize::from(case != "offline");
        assert_eq!(
            requests(&w, carol, "INVITE").len(),
            expected,
            "{case}: offline goes to the echo"
        );
        w.hang_up(a);
        w.finish();
        assert_eq!(w.records.by_call.len(), 1, "{case}");
    }
}

/// RFC 4028 8.2, 8.3: a session whose refresh never comes is over in our books, without a BYE of ours.
#[test]
fn a_session_that_is_not_refreshed_ends() {
    let (mut w, alice, bob) = two(11);
    w.policy(bob).answer_lines = vec!["Session-Expires: 120;refresher=uas".into()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.policy(bob).deaf = true;
    w.run(s(115));
    assert_eq!(w.census().calls, 1);
    w.run(s(10));
    assert_eq!(w.census().calls, 0);
    w.policy(bob).deaf = false;
    let ended = w.records.last().unwrap().ended.as_ref().unwrap().1.status;
    assert_eq!((requests(&w, bob, "BYE").len(), ended), (0, 408));
    // The phones do not know: their BYE still passes.
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.records.by_call.len(), 1);
}

/// RFC 4028 4: a session lasts 90 seconds at least, whatever a phone writes.
#[test]
fn no_session_is_over_at_once() {
    let (mut w, alice, bob) = two(28);
    w.policy(bob).answer_lines = vec!["Session-Expires: 1;refresher=uas".into()];
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(85));
    assert_eq!(w.census().calls, 1);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.records.last().unwrap().ended.as_ref().unwrap().1.status, 200);
}

/// RFC 3261 15: a BYE for an early dialog, or with a tag that nobody has, leaves the call to the INVITE's final response.
#[test]
fn a_bye_before_the_answer_ends_no_record() {
    let (mut w, alice, bob) = two(29);
    w.checks.complaints = false; // Nobody waits for the answer to what is sent by hand.
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    let ringing = w.last_received(alice, |m| m.status() == 180);
    let mut bye = Msg::request("BYE", "sip:bob@203.0.113.99");
    bye.push(
        "Via",
        &format!("SIP/2.0/UDP {};branch=z9hG4bKearly", w.agents[alice.0].addr),
    );
    for (name, value) in [("From", ringing.text("From")), ("Call-ID", ringing.text("Call-ID"))] {
        bye.push(name, value);
    }
    for (name, value) in [
        ("To", "<sip:bob@example.com>;tag=nobodys"),
        ("Route", ringing.text("Record-Route")),
        ("CSeq", "9 BYE"),
        ("Max-Forwards", "70"),
        ("Content-Length", "0"),
    ] {
        bye.push(name, value);
    }
    w.send_raw(alice, bye.write().to_vec());
    w.run(s(40));
    assert!(
        !w.received(alice, |m| m.answers("BYE", 408) || m.answers("BYE", 481))
            .is_empty()
    );
    assert_eq!(w.census().calls, 1, "it still rings");
    w.accept(b);
    w.up(a);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    let cdr = w.records.last().unwrap();
    assert!(cdr.answered.is_some());
    assert_eq!(
        (w.records.by_call.len(), cdr.ended.as_ref().unwrap().1.text.as_str()),
        (1, "hung up")
    );
}

/// RFC 4028 8.2: each 2xx to a refresh says anew how long the session lasts.
#[test]
fn a_session_that_is_refreshed_goes_on() {
    let (mut w, alice, bob) = two(16);
    for peer in [alice, bob] {
        w.policy(peer).session = Some("120;refresher=uac".into());
        w.policy(peer).supported = "timer".into();
    }
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(500));
    assert_eq!(w.census().calls, 1);
    assert!(
        w.at(b).requests.iter().filter(|method| *method != "ACK").count() > 3,
        "{:?}",
        w.at(b).requests
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.records.last().unwrap().ended.as_ref().unwrap().1.status, 200);
}

/// `calls.max_duration` ends what has no session timer.
#[test]
fn a_call_whose_bye_never_comes_ends() {
    let (mut w, alice, bob) = two(12);
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(3590));
    assert_eq!(w.census().calls, 1);
    w.run(s(20));
    assert_eq!(w.census().calls, 0);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
    assert_eq!(w.records.last().unwrap().ended.as_ref().unwrap().1.status, 200);
}

/// A BYE that its peer does not answer ends the call all the same.
#[test]
fn a_bye_to_a_dead_phone_ends_the_call() {
    let (mut w, alice, bob) = two(13);
    let (a, _) = w.talk(alice, bob, "bob");
    let ip = w.agents[bob.0].addr.ip();
    w.net.link(ip).cut = true;
    w.hang_up(a);
    w.run(s(40));
    assert_eq!(w.census().calls, 0);
    w.net.link(ip).cut = false;
    w.policy(bob).deaf = true;
    w.checks.complaints = false;
    w.finish();
}

/// A node that stops takes no new call, and has none any more after its grace.
#[test]
fn a_node_that_stops() {
    let (mut w, alice, bob) = two(14);
    let (a, b) = w.talk(alice, bob, "bob");
    w.feed(tandem::node::Input::Stop(s(10)));
    let refused = w.call(bob, "alice");
    w.expect_over(refused, 503);
    assert_eq!(w.census().calls, 1);
    w.run(s(11));
    assert_eq!(w.census().calls, 0);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// The 2xx and its ACK are the phones' own: a copy of the 2xx passes, and its ACK too, each with the branch of the first (16.11).
#[test]
fn copies_of_the_2xx_and_its_ack_pass() {
    let (mut w, alice, bob) = two(15);
    w.policy(alice).drop_acks = 2;
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.accept(b);
    w.up(a);
    w.run(s(3));
    assert!(w.received(alice, |m| m.answers("INVITE", 200)).len() >= 3);
    assert!(w.at(b).acked);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// RFC 3262: reliable provisional responses and their PRACKs are the phones' own, and pass.
#[test]
fn a_reliable_response_and_its_prack_pass() {
    let (mut w, alice, bob) = two(17);
    for peer in [alice, bob] {
        w.policy(peer).supported = "100rel".into();
        w.policy(peer).reliable = true;
    }
    let (a, b) = w.talk(alice, bob, "bob");
    let reliable = w.received(alice, |m| m.status() == 180 && m.has_token("Require", "100rel"));
    assert!(!reliable.is_empty());
    assert_eq!(
        (requests(&w, bob, "PRACK").len(), statuses(&w, alice, "PRACK")),
        (1, vec![200])
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// A phone whose connection is gone is called at the place that its Contact names.
#[test]
fn a_phone_whose_connection_is_gone_is_called_anew() {
    let mut w = crate::tools::office(18);
    let alice = w.registered("alice");
    let bob = w.tcp_phone("bob");
    w.register(bob);
    w.cut_stream(0);
    settle(&mut w);
    let (a, b) = w.talk(alice, bob, "bob");
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
}

/// The media of a proxied call is between the phones: after a restart they hold it, and hang up, as before.
#[test]
fn a_restart_leaves_proxied_dialogs_alone() {
    let (mut w, alice, bob) = two(19);
    let (a, b) = w.talk(alice, bob, "bob");
    w.restart();
    assert_eq!(w.request(a, "INFO", &[], None), 200);
    assert_eq!(w.hold(b, "sendonly"), 200);
    assert_eq!(w.census().calls, 0);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.checks.complaints = false;
    w.finish();
}

/// The 2xx of the callee and the CANCEL of a stopped node cross: each call has one record whatever was faster.
#[test]
fn a_node_that_stops_while_a_phone_rings() {
    let (mut w, alice, bob) = two(20);
    let (a, b) = calling(&mut w, alice, bob, "bob");
    w.respond(b, 180);
    w.rings(a);
    w.feed(tandem::node::Input::Stop(std::time::Duration::ZERO));
    w.expect_over(b, 487);
    w.expect_over(a, 503);
    w.finish();
    assert_eq!(w.records.last().unwrap().ended.as_ref().unwrap().1.status, 503);
}

/// RFC 3891: a dialog between phones is replaced by them; the node knows nothing of it, and the field passes.
#[test]
fn a_replaces_passes() {
    let (mut w, alice, bob) = two(21);
    let a = w.call_with(alice, "bob", &["Replaces: other@phone;to-tag=1;from-tag=2"]);
    w.up(a);
    let got = w.last_received(bob, |m| m.is("INVITE"));
    assert_eq!(
        (got.call_id(), got.text("Replaces")),
        (w.at(a).call_id.as_str(), "other@phone;to-tag=1;from-tag=2")
    );
    w.hang_up(a);
    w.finish();
}

/// RFC 3515: a REFER within a proxied dialog is between the phones, and so is its NOTIFY.
#[test]
fn a_refer_passes() {
    let (mut w, alice, bob) = two(22);
    let (a, b) = w.talk(alice, bob, "bob");
    let status = w.request(a, "REFER", &["Refer-To: <sip:carol@example.com>"], None);
    let got = w.last_received(bob, |m| m.is("REFER"));
    assert_eq!(got.text("Refer-To"), "<sip:carol@example.com>");
    assert_eq!(statuses(&w, alice, "REFER"), [status], "the phone's own answer");
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 8840 11: candidates that come in INFO of a proxied dialog are between the phones, in an early dialog and in one that is up, as are the words that
/// make both take them.
#[test]
fn trickled_candidates_pass() {
    let (mut w, alice, bob) = two(27);
    w.policy(bob).answer = Answer::Manual;
    let lines = ["Supported: trickle-ice", "Recv-Info: trickle-ice"];
    let a = w.call_with(alice, "bob", &lines);
    let b = w.incoming(bob);
    w.rings(a);
    let invite = w.last_received(bob, |m| m.is("INVITE"));
    assert_eq!(
        (invite.text("Supported"), invite.text("Recv-Info")),
        ("trickle-ice", "trickle-ice")
    );
    let body = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\na=end-of-candidates\r\n";
    let lines = [
        "Info-Package: trickle-ice",
        "Content-Type: application/trickle-ice-sdpfrag",
        "Content-Disposition: Info-Package",
    ];
    for is_up in [false, true] {
        if is_up {
            w.accept(b);
            w.up(a);
        }
        for (from, to) in [(a, bob), (b, alice)] {
            assert_eq!(w.request(from, "INFO", &lines, Some(body)), 200, "up: {is_up}");
            let got = w.last_received(to, |m| m.is("INFO"));
            assert_eq!((got.text("Info-Package"), got.body.as_str()), ("trickle-ice", body));
        }
    }
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// RFC 3261 16.3, 16.7 step 10: who forks before us sends an INVITE for each branch, with one Call-ID and tag. Each is a call, and is
/// counted; requests within a dialog are those of the branch that has it.
#[test]
fn branches_of_a_fork_before_us() {
    let route = "  - { to: \"+14155550103\", from: trunk/acme, do: proxy }\n";
    let mut w = with(23, &OFFICE.replace("routes:\n", &format!("routes:\n{route}")));
    let (bob, carol) = (w.registered("bob"), w.registered("carol"));
    let acme = w.carrier("acme", "198.51.100.1:5060");
    w.policy(carol).answer = Answer::Status(486, ms(200), Vec::new());
    let (a, b) = calling(&mut w, acme, bob, "+14155550102");
    w.respond(b, 180);
    w.rings(a);
    let mut other = w.at(a).invite.clone();
    other.start = "INVITE sip:+14155550103@example.com SIP/2.0".into();
    for name in ["Via", "Content-Length"] {
        other.remove(name);
    }
    assert_eq!(w.ask(acme, other.clone()), 486);
    let got = w.last_received(carol, |m| m.is("INVITE"));
    assert_eq!(got.call_id(), w.at(a).call_id);
    w.accept(b);
    w.up(a);
    // One more, while the first is up: its end is not that of the other.
    assert_eq!(w.ask(acme, other), 486);
    w.run(ms(1000));
    w.hang_up(b);
    w.expect_over(a, 200);
    w.checks.complaints = false;
    w.finish();
    let ends = w.records.by_call.values();
    let ends: Vec<u16> = ends.map(|cdr| cdr.ended.as_ref().unwrap().1.status).collect();
    assert_eq!(ends, [200, 486, 486]);
}

/// The carrier calls bob, who may have so many calls, and sends the same INVITE so often again, each time as a branch of its own.
fn forked(seed: u64, calls: usize, others: usize) -> (World, Peer, Peer) {
    let calls = format!("password: builder, calls: {calls},");
    let mut w = with(seed, &OFFICE.replace("password: builder,", &calls));
    let (bob, acme) = (w.registered("bob"), w.carrier("acme", "198.51.100.1:5060"));
    let (a, _) = calling(&mut w, acme, bob, "+14155550102");
    let mut other = w.at(a).invite.clone();
    for nth in 1..=others {
        other.set("Via", &format!("SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKfork{nth}"));
        w.send_raw(acme, other.write());
        w.run(ms(50));
    }
    (w, bob, acme)
}

/// No more of them than a call may have dialogs.
#[test]
fn an_invite_sent_again_and_again_under_one_name() {
    let (mut w, bob, acme) = forked(24, 20, limits::PROXY_DIALOGS);
    assert_eq!(requests(&w, bob, "INVITE").len(), limits::PROXY_DIALOGS);
    assert_eq!(w.received(acme, |m| m.answers("INVITE", 482)).len(), 1);
    w.checks.complaints = false;
}

/// One name for many calls is no way around the limit of who is called.
#[test]
fn branches_of_a_fork_before_us_are_counted() {
    let (mut w, bob, acme) = forked(27, 3, 3);
    assert_eq!(requests(&w, bob, "INVITE").len(), 3);
    assert_eq!(w.received(acme, |m| m.answers("INVITE", 486)).len(), 1);
    w.checks.complaints = false;
}

/// A caller who is no longer in the configuration when the call is to be bridged: 480, in one record.
#[test]
fn a_bridge_for_a_caller_who_is_gone() {
    let lines = |left_out: &dyn Fn(&str) -> bool| {
        let kept = OFFICE.lines().filter(|line| !left_out(line));
        kept.collect::<Vec<_>>().join("\n")
    };
    let no_trunk = lines(&|line| line.contains("acme") || line.contains("198.51.100") || line.contains("trunks:"))
        .replace("    numbers: { country: US, send: e164 }\n    options: never\n", "");
    let no_alice = lines(&|line| line.contains("name: alice"));
    for (seed, from_trunk) in [(24, true), (25, false)] {
        let mut w = crate::tools::office(seed);
        let (alice, bob) = (w.registered("alice"), w.registered("bob"));
        let acme = w.carrier("acme", "198.51.100.1:5060");
        let (from, number) = if from_trunk {
            (acme, "+14155550102")
        } else {
            (alice, "bob")
        };
        let (a, b) = calling(&mut w, from, bob, number);
        w.respond(b, 180);
        w.rings(a);
        w.reload(if from_trunk { &no_trunk } else { &no_alice });
        w.respond(b, 488);
        w.expect_over(a, 480);
        w.finish();
        assert_eq!(w.records.by_call.len(), 1);
    }
}

/// A proxied call from a trunk holds one of the trunk's places: beyond them 503; each comes back, also when the trunk has left the
/// configuration meanwhile, and when the call goes on as a bridge.
#[test]
fn a_call_from_a_trunk_counts_there() {
    let one = OFFICE.replace(
        "options: never",
        "options: never\n    limits: { calls: 1, calls_per_second: 100 }",
    );
    let mut w = with(26, &one);
    let bob = w.registered("bob");
    let acme = w.carrier("acme", "198.51.100.1:5060");
    let (a, _) = w.talk(acme, bob, "+14155550102");
    assert_eq!(w.census().trunk_places, 1);
    let second = w.call(acme, "+14155550102");
    w.expect_over(second, 503);
    w.hang_up(a);
    settle(&mut w);
    assert_eq!(w.census().trunk_places, 0);
    let (third, b) = calling(&mut w, acme, bob, "+14155550102");
    w.respond(b, 488);
    let bridged = w.incoming(bob);
    assert_eq!(w.census().trunk_places, 1, "the same place");
    w.accept(bridged);
    w.up(third);
    w.hang_up(third);
    settle(&mut w);
    let (last, c) = calling(&mut w, acme, bob, "+14155550102");
    w.accept(c);
    w.up(last);
    let lines = one
        .lines()
        .filter(|line| !["acme", "198.51.100", "trunks:"].iter().any(|word| line.contains(word)));
    let gone = lines.collect::<Vec<_>>().join("\n").replace(
        "    numbers: { country: US, send: e164 }\n    options: never\n    limits: { calls: 1, calls_per_second: 100 }\n",
        "",
    );
    w.reload(&gone);
    assert_eq!(w.census().trunk_places, 1);
    w.hang_up(last);
    w.finish();
    assert_eq!((w.census().trunk_places, w.records.by_call.len()), (0, 3));
}

/// A user places no more proxied calls than bridged ones.
#[test]
fn a_user_places_so_many_calls() {
    let (mut w, alice, _) = two(27);
    let far = w.stranger("far", "203.0.113.9:5060");
    w.policy(far).answer = Answer::Manual;
    let most = 4 + limits::CALLS_PLACED;
    let calls: Vec<_> = (0..most).map(|_| w.call(alice, "sip:x@203.0.113.9")).collect();
    calls.iter().for_each(|call| w.rings(*call));
    let more = w.call(alice, "sip:x@203.0.113.9");
    w.expect_over(more, 403);
    calls.into_iter().for_each(|call| w.hang_up(call));
    w.finish();
    assert_eq!(w.records.by_call.len(), most as usize);
}
