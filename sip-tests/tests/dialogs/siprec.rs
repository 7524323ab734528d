//! Calls that go to a recording server (RFC 7866), which is written apart from the node: who is heard on which stream, and that nothing which
//! the server does or leaves is heard in the call.

use crate::refer::CAROL;
use crate::tools::{direction, refer_to_replace, requests};
use sip_tests::agent::recorder::{Metadata, metadata};
use sip_tests::description::{events, opus, pcma, pcmu};
use sip_tests::script::EDGE;
use sip_tests::{Answer, CallRef, Change, Peer, State, World, ms, s};

const SRS: &str = "192.0.2.9:5060";

/// Bob's calls are recorded by a server, with these further keys.
fn yaml(record: &str, siprec: &str) -> String {
    let edge = EDGE.replace("password: builder,", &format!("password: builder, record: {record},"));
    let server = match siprec.contains("server:") {
        true => "",
        false => "server: \"sip:srs@192.0.2.9\",",
    };
    format!("{edge}recording: {{ siprec: {{ {server} {siprec} }} }}\n")
}

struct Scene {
    w: World,
    alice: Peer,
    bob: Peer,
    srs: Peer,
}

fn scene(seed: u64, yaml: &str) -> Scene {
    let mut w = World::builder(seed).config(yaml).media().build();
    let (alice, bob, srs) = (w.registered("alice"), w.registered("bob"), w.recorder(SRS));
    Scene { w, alice, bob, srs }
}

/// The first session of a server once it is up.
fn session(w: &mut World, srs: Peer) -> CallRef {
    nth_session(w, srs, 0)
}

fn nth_session(w: &mut World, srs: Peer, call: usize) -> CallRef {
    w.until("the recording server is called", |w| w.agents[srs.0].calls.len() > call);
    let call = CallRef { peer: srs, call };
    w.until("the recording session is up", |w| w.at(call).acked);
    call
}

/// What the server was told last.
fn told(w: &World, srs: Peer) -> Metadata {
    metadata(&w.last_received(srs, |msg| msg.is("INVITE"))).expect("each INVITE has it")
}

/// For the next second this tone, or none, is on the stream that metadata names for this address.
fn hears(w: &mut World, session: CallRef, aor: &str, hz: Option<f32>) {
    let (label, _) = told(w, session.peer).streams[aor].clone();
    let at: usize = label
        .expect("he is on a stream")
        .parse::<usize>()
        .expect("ours are numbers")
        - 1;
    w.run(ms(300));
    w.agent(session.peer).calls[session.call].recorded[at].forget();
    w.run(s(1));
    let heard = w.agent(session.peer).calls[session.call].recorded[at].hears();
    let is_right = match (hz, heard) {
        (Some(hz), Some(heard)) => heard.is(hz, 12.0),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(is_right, "{aor} on label {}: {hz:?} Hz wanted, {heard:?}", at + 1);
}

/// How the one session of the last call went.
fn outcome(w: &World) -> (u64, Option<String>) {
    match &w.cdr().sessions[..] {
        [(_, Some(end))] => end.clone(),
        all => panic!("{all:?}"),
    }
}

fn tone(w: &mut World, peer: Peer) -> Option<f32> {
    w.agent(peer).tone
}

const ALICE: &str = "sip:alice@example.com";
const BOB: &str = "sip:bob@example.com";

#[test]
fn a_carrier_s_call_has_each_side_on_a_stream_of_its_own() {
    let mut w = World::builder(1).config(&yaml("yes", "")).media().build();
    let (acme, bob, srs) = (
        w.carrier("acme", "198.51.100.1:5060"),
        w.registered("bob"),
        w.recorder(SRS),
    );
    let (a, b) = w.talk(acme, bob, "+14155550102");
    let session = session(&mut w, srs);
    let (carrier, of_bob) = (tone(&mut w, acme), tone(&mut w, bob));
    let number = "sip:+14155559999@192.0.2.1";
    assert_eq!(told(&w, srs).streams.keys().collect::<Vec<_>>(), [number, BOB]);
    hears(&mut w, session, number, carrier);
    hears(&mut w, session, BOB, of_bob);
    w.expect_tones(a, b);
    // A key is pressed, which the server does not hear of.
    w.voice(a).dial("42");
    w.run(s(2));
    assert_eq!(w.voice(b).digits, "42");
    for voice in &w.at(session).recorded {
        assert!(voice.packets.iter().all(|packet| packet.pt == 8) && voice.received > 100);
    }
    w.hang_up(a);
    w.expect_over(b, 200);
    w.expect_over(session, 200);
    w.finish();
    let (millis, fault) = outcome(&w);
    assert!(millis > 5_000 && fault.is_none(), "{millis} {fault:?}");
    assert!(w.cdr().recordings.is_empty(), "there are no files");
    assert_eq!(requests(&w, srs, "BYE").len(), 1);
}

/// With files as well, both are made; by TCP; each side in its codec.
#[test]
fn files_and_a_server_have_the_same_call() {
    let yaml = yaml("yes", "server: \"sip:srs@192.0.2.9;transport=tcp\", files: yes");
    let mut w = World::builder(2).config(&yaml).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let srs = w.tcp_carrier("recorder", SRS);
    w.agent(srs).tone = None;
    (w.policy(srs).ring, w.policy(srs).formats) = (None, vec![opus(), pcma(), pcmu()]);
    w.policy(alice).formats = vec![opus(), events()];
    let (a, b) = w.talk(alice, bob, "bob");
    let session = session(&mut w, srs);
    let tones = (tone(&mut w, alice), tone(&mut w, bob));
    hears(&mut w, session, ALICE, tones.0);
    hears(&mut w, session, BOB, tones.1);
    let formats: Vec<&str> = w
        .at(session)
        .recorded
        .iter()
        .map(|voice| &*voice.format().name)
        .collect();
    assert_eq!(formats, ["opus/48000/2", "PCMA/8000"]);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
    assert_eq!((w.cdr().recordings.len(), outcome(&w).1), (1, None));
    let recording = w.cdr().recordings[0];
    assert!(w.media.tapes.channels(&recording).iter().all(|pcm| pcm.len() > 16_000));
}

#[test]
fn hold_and_transfer_are_told_and_the_streams_follow() {
    let Scene { mut w, alice, bob, srs } = scene(3, &yaml("yes", ""));
    let carol = w.registered("carol");
    let (a, b) = w.talk(alice, bob, "bob");
    let session = session(&mut w, srs);
    let tones = [alice, bob, carol].map(|peer| w.agent(peer).tone);
    let label = |text: &str| Some(text.to_owned());
    assert_eq!(told(&w, srs).streams[ALICE], (label("1"), label("2")));
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(1));
    let held = told(&w, srs);
    assert_eq!(
        (&held.streams[ALICE].1, &held.streams[BOB].0),
        (&None, &None),
        "bob says nothing to alice"
    );
    hears(&mut w, session, ALICE, tones[0]);
    assert_eq!(w.request(a, "REFER", &[CAROL], None), 202);
    w.expect_over(a, 200);
    let c = w.incoming(carol);
    w.expect_tones(b, c);
    let now = told(&w, srs);
    assert_eq!(now.streams.keys().collect::<Vec<_>>(), [BOB, "sip:carol@example.com"]);
    assert_eq!(now.left, [ALICE]);
    hears(&mut w, session, "sip:carol@example.com", tones[2]);
    hears(&mut w, session, BOB, tones[1]);
    assert_eq!(w.hold(b, "inactive"), 200);
    w.run(s(1));
    assert_eq!(w.resume(b), 200);
    w.expect_tones(b, c);
    hears(&mut w, session, BOB, tones[1]);
    w.hang_up(c);
    w.expect_over(b, 200);
    w.expect_over(session, 200);
    w.finish();
    assert_eq!(outcome(&w).1, None);
}

/// The far legs of two calls meet, and one of them moves to the worker of the other: its copy goes with it.
#[test]
fn a_leg_that_moves_to_another_worker_takes_its_copy_along() {
    let Scene { mut w, alice, bob, srs } = scene(
        4,
        &yaml("yes", "").replace("password: xmas,", "password: xmas, record: yes,"),
    );
    let carol = w.registered("carol");
    let (a1, b) = w.talk(alice, bob, "bob");
    let first = session(&mut w, srs);
    assert_eq!(w.hold(a1, "sendonly"), 200);
    let (a2, c) = w.talk(alice, carol, "carol");
    let second = nth_session(&mut w, srs, 1);
    let line = refer_to_replace(&w, "carol", a2);
    let before = w.media.moves;
    assert_eq!(w.request(a1, "REFER", &[&line], None), 202);
    w.expect_over(a1, 200);
    w.expect_over(a2, 200);
    w.expect_tones(b, c);
    assert!(w.media.moves > before);
    // One of the sessions goes on with both, the other has ended with its call.
    let live = [first, second].into_iter().filter(|call| w.at(*call).is_live());
    let [live] = live.collect::<Vec<_>>()[..] else {
        panic!("one session is left")
    };
    w.run(s(1));
    let tones = (tone(&mut w, bob), tone(&mut w, carol));
    hears(&mut w, live, BOB, tones.0);
    hears(&mut w, live, "sip:carol@example.com", tones.1);
    w.hang_up(b);
    w.expect_over(c, 200);
    w.finish();
}

/// A phone that changes its codec in the midst of a call.
#[test]
fn another_codec_is_agreed_with_the_server_too() {
    let Scene { mut w, alice, bob, srs } = scene(5, &yaml("yes", ""));
    let (a, b) = w.talk(alice, bob, "bob");
    let session = session(&mut w, srs);
    let hz = tone(&mut w, alice);
    let change = Change {
        formats: Some(vec![pcmu(), events()]),
        ..direction("sendrecv")
    };
    assert_eq!(w.reinvite(a, change), 200);
    w.run(s(1));
    assert_eq!(w.at(session).recorded[0].format().name, "PCMU/8000");
    hears(&mut w, session, ALICE, hz);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// Refused, silent, gone in the midst: they talk on, and the record says why.
#[test]
fn whatever_becomes_of_the_server_the_call_goes_on() {
    let talk_on = |mut w: World, a: CallRef, b: CallRef, why: &str| {
        w.expect_tones(a, b);
        w.hang_up(a);
        w.expect_over(b, 200);
        w.finish();
        assert_eq!(w.cause(), (200, 16));
        assert_eq!(outcome(&w).1.as_deref(), Some(why));
    };
    let Scene { mut w, alice, bob, srs } = scene(6, &yaml("yes", ""));
    w.policy(srs).answer = Answer::Status(603, ms(100), Vec::new());
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(2));
    talk_on(w, a, b, "the recording server refused it with 603");

    let Scene { mut w, alice, bob, srs } = scene(7, &yaml("yes", ""));
    w.policy(srs).deaf = true;
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(40));
    talk_on(w, a, b, "the recording server does not answer");

    let Scene { mut w, alice, bob, srs } = scene(8, &yaml("yes", ""));
    let (a, b) = w.talk(alice, bob, "bob");
    let by_it = session(&mut w, srs);
    w.run(s(2));
    w.hang_up(by_it);
    w.run(s(1));
    talk_on(w, a, b, "the recording server ended it");

    // It dies: the next change has no answer.
    let Scene { mut w, alice, bob, srs } = scene(9, &yaml("yes", ""));
    let (a, b) = w.talk(alice, bob, "bob");
    session(&mut w, srs);
    w.policy(srs).deaf = true;
    assert_eq!(w.hold(a, "sendonly"), 200);
    w.run(s(40));
    assert_eq!(w.resume(a), 200);
    talk_on(w, a, b, "the recording server does not answer");

    // There is none at this address.
    let mut w = World::builder(10).config(&yaml("yes", "")).media().build();
    let (alice, bob) = (w.registered("alice"), w.registered("bob"));
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(40));
    talk_on(w, a, b, "the recording server does not answer");
}

#[test]
fn where_it_is_required_a_call_ends_that_is_not_recorded() {
    let Scene { mut w, alice, bob, srs } = scene(11, &yaml("yes", "required: yes"));
    w.policy(srs).answer = Answer::Status(480, ms(100), Vec::new());
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_over(a, 200);
    w.expect_over(b, 200);
    w.finish();
    assert_eq!(w.cause(), (503, 63));
    let (_, cause) = w.cdr().ended.clone().expect("it has ended");
    assert_eq!(
        cause.text,
        "a call that could not be recorded: the recording server refused it with 480"
    );
}

#[test]
fn a_call_that_is_over_soon_leaves_no_session() {
    // It was never answered.
    let Scene { mut w, alice, bob, srs } = scene(12, &yaml("yes", ""));
    w.policy(bob).answer = Answer::Manual;
    let a = w.call(alice, "bob");
    w.rings(a);
    w.hang_up(a);
    w.expect_over(a, 487);
    w.finish();
    assert!(w.received(srs, |msg| msg.is("INVITE")).is_empty() && w.cdr().sessions.is_empty());
    // It ends while the server thinks: CANCEL.
    w.policy(bob).answer = Answer::After(ms(200));
    w.policy(srs).answer = Answer::Manual;
    w.register(alice);
    w.register(bob);
    let (a, b) = w.talk(alice, bob, "bob");
    let recording = w.incoming(srs);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.until("the server is cancelled", |w| w.state(recording) == State::Ended(487));
    w.finish();
    assert_eq!(
        outcome(&w),
        (0, Some("the call ended before the server answered".to_owned()))
    );
}

/// INFO with `Record: on` and `off`: each time another session.
#[test]
fn a_phone_switches_it_on_and_off() {
    let Scene { mut w, alice, bob, srs } = scene(13, &yaml("on_request", ""));
    let (a, b) = w.talk(alice, bob, "bob");
    w.run(s(1));
    assert!(w.received(srs, |msg| msg.is("INVITE")).is_empty());
    for nth in 0..2 {
        assert_eq!(w.request(b, "INFO", &["Record: on"], None), 200);
        let session = nth_session(&mut w, srs, nth);
        let hz = tone(&mut w, bob);
        hears(&mut w, session, BOB, hz);
        assert_eq!(w.request(b, "INFO", &["Record: off"], None), 200);
        w.expect_over(session, 200);
    }
    w.expect_tones(a, b);
    w.hang_up(b);
    w.expect_over(a, 200);
    w.finish();
    let numbers: Vec<u16> = w.cdr().sessions.iter().map(|(recording, _)| recording.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(
        w.cdr()
            .sessions
            .iter()
            .all(|(_, end)| end.as_ref().is_some_and(|end| end.1.is_none()))
    );
}

/// The node is stopped: it waits for the server's answer to its BYE.
#[test]
fn a_stop_ends_sessions_in_order() {
    let Scene { mut w, alice, bob, srs } = scene(14, &yaml("yes", ""));
    let (a, b) = w.talk(alice, bob, "bob");
    let session = session(&mut w, srs);
    w.stop(s(0));
    assert!(!w.is_stopped());
    w.expect_over(a, 200);
    w.expect_over(b, 200);
    w.expect_over(session, 200);
    w.run(s(1));
    assert!(w.is_stopped());
    w.finish();
}

/// Encrypted on both legs of the call; the server gets it in the clear unless it is to have it encrypted too.
#[test]
fn what_is_encrypted_in_the_call_is_open_for_the_server() {
    let edge = yaml("yes, srtp: offered", "");
    let Scene { mut w, alice, bob, srs } = scene(15, &edge);
    w.policy(bob).srtp = true;
    let (a, b) = w.talk(alice, bob, "bob");
    assert!(w.voice(b).is_secure());
    let session = session(&mut w, srs);
    let tones = (tone(&mut w, alice), tone(&mut w, bob));
    hears(&mut w, session, BOB, tones.1);
    hears(&mut w, session, ALICE, tones.0);
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}
