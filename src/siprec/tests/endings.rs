//! How a session ends, by whichever side and whatever happens.

use super::*;

fn lost(bench: &Bench) -> &str {
    match &bench.lost[..] {
        [one] => &one.why,
        all => panic!("{all:?}"),
    }
}

#[test]
fn a_refusal_is_told_once_and_leaves_nothing() {
    for (status, why) in [
        (420, "the recording server refused it with 420"),
        (401, "the recording server refused it with 401"),
        (503, "the recording server refused it with 503"),
    ] {
        let mut bench = Bench::new("");
        bench.record(&subject());
        let invite = bench.take("INVITE");
        bench.respond(&invite, status, "");
        bench.take("ACK");
        assert_eq!(lost(&bench), why);
        assert_eq!(bench.ended(), Some((0, Some(why.to_owned()))));
        bench.stop();
        bench.finish();
    }
}

#[test]
fn a_server_that_says_nothing_or_nonsense_is_given_up() {
    let mut bench = Bench::new("");
    bench.record(&subject());
    bench.pass(Duration::from_secs(33));
    bench.inbox.clear();
    assert_eq!(lost(&bench), "the recording server does not answer");
    bench.finish();

    for (body, why) in [
        (
            "",
            "the recording server gave no description of its media that can be read",
        ),
        (
            "nonsense",
            "the recording server gave no description of its media that can be read",
        ),
    ] {
        let mut bench = Bench::new("");
        bench.record(&subject());
        let invite = bench.take("INVITE");
        bench.respond(&invite, 200, body);
        bench.take("ACK");
        let bye = bench.take("BYE");
        assert_eq!(lost(&bench), why);
        bench.respond(&bye, 200, "");
        bench.finish();
    }
    let mut bench = Bench::new("server: \"sip:nobody.example\",");
    bench.record(&subject());
    assert_eq!(lost(&bench), "no address for the recording server came from the DNS");
    bench.finish();
}

/// A server that says that it works on it, and never comes to an end.
#[test]
fn a_server_that_only_rings_is_given_up() {
    let mut bench = Bench::new("server: \"sip:srs@rec.example\",");
    bench.record(&subject());
    for is_last in [false, true] {
        let invite = bench.take("INVITE");
        bench.respond(&invite, 180, "");
        bench.pass(Duration::from_secs(31));
        bench.nothing();
        bench.pass(Duration::from_secs(1));
        let cancel = bench.take("CANCEL");
        bench.respond(&cancel, 200, "");
        assert!(bench.lost.is_empty());
        bench.respond(&invite, 487, "");
        bench.take("ACK");
        assert_eq!(bench.lost.len(), usize::from(is_last));
    }
    assert_eq!(lost(&bench), "the recording server does not answer");
    bench.nothing();
    bench.finish();

    // The call ends after the CANCEL: there is one.
    let mut bench = Bench::new("");
    bench.record(&subject());
    let invite = bench.take("INVITE");
    bench.respond(&invite, 180, "");
    bench.pass(Duration::from_secs(32));
    let cancel = bench.take("CANCEL");
    bench.respond(&cancel, 200, "");
    bench.stop();
    bench.nothing();
    bench.respond(&invite, 487, "");
    bench.take("ACK");
    assert!(bench.lost.is_empty());
    bench.finish();
}

#[test]
fn the_end_of_a_call_ends_it_in_every_state() {
    // Before anything is answered: CANCEL waits for a provisional response.
    let mut bench = Bench::new("");
    bench.record(&subject());
    let invite = bench.take("INVITE");
    bench.stop();
    bench.nothing();
    bench.respond(&invite, 180, "");
    let cancel = bench.take("CANCEL");
    bench.respond(&cancel, 200, "");
    bench.respond(&invite, 487, "");
    bench.take("ACK");
    assert!(bench.lost.is_empty());
    bench.finish();

    // The answer crosses the CANCEL.
    let mut bench = Bench::new("");
    bench.record(&subject());
    let invite = bench.take("INVITE");
    bench.respond(&invite, 180, "");
    bench.stop();
    let cancel = bench.take("CANCEL");
    bench.respond(&invite, 200, &answer(40_000, &["recvonly", "recvonly"]));
    bench.take("ACK");
    let bye = bench.take("BYE");
    bench.respond(&cancel, 200, "");
    bench.respond(&bye, 200, "");
    assert!(bench.lost.is_empty());
    bench.finish();

    // A change is under way, whose answer is owed its ACK all the same.
    let mut bench = Bench::new("");
    let mut subject = subject();
    bench.up(&subject);
    subject.speakers[0].as_mut().unwrap().hears = false;
    bench.record(&subject);
    let change = bench.take("INVITE");
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&change, 200, &answer(40_000, &["recvonly", "recvonly"]));
    bench.take("ACK");
    bench.respond(&bye, 200, "");
    bench.finish();

    // Nobody answers the BYE.
    let mut bench = Bench::new("");
    bench.up(&super::subject());
    bench.stop();
    bench.take("BYE");
    bench.pass(Duration::from_secs(33));
    bench.inbox.clear();
    assert!(bench.lost.is_empty());
    bench.finish();
}

#[test]
fn a_server_may_end_it() {
    let mut bench = Bench::new("");
    let invite = bench.up(&subject());
    bench.pass(Duration::from_secs(3));
    bench.ask(&invite, Method::Bye, None);
    bench.take("200");
    bench.nothing();
    assert_eq!(lost(&bench), "the recording server ended it");
    assert_eq!(
        bench.ended(),
        Some((3_000, Some("the recording server ended it".to_owned())))
    );
    assert!(bench.legs.is_empty());
    // Whoever is told of it gives it up; what is recorded later is another session.
    bench.stop();
    let mut second = subject();
    second.recording.number = 2;
    let another = bench.up(&second);
    assert_ne!(another.call_id(), invite.call_id());
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}

#[test]
fn a_server_that_dies_is_found_out_by_the_next_change() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    bench.up(&subject);
    subject.speakers[0].as_mut().unwrap().hears = false;
    bench.record(&subject);
    bench.take("INVITE");
    bench.pass(Duration::from_secs(33));
    assert_eq!(lost(&bench), "the recording server does not answer");
    bench.pass(Duration::from_secs(33));
    bench.inbox.clear();
    bench.finish();
}

/// A proxy before several servers: one is enough.
#[test]
fn a_second_server_that_answers_is_sent_away() {
    let mut bench = Bench::new("");
    let invite = bench.up(&subject());
    let other = answer(50_000, &["recvonly", "recvonly"]);
    bench.respond_as("192.0.2.10:5060", &invite, 200, &other, "other");
    bench.take("ACK");
    let stray = bench.take("BYE");
    assert!(stray.get(Name::To).unwrap().ends_with(";tag=other"));
    bench.respond(&stray, 200, "");
    // Its copy is acknowledged, and no more.
    bench.respond_as("192.0.2.10:5060", &invite, 200, &other, "other");
    bench.take("ACK");
    bench.nothing();
    assert_eq!(
        bench.copies(),
        [(Some(MediaLegId(1_000)), true), (Some(MediaLegId(1_001)), true)]
    );
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}

#[test]
fn requests_of_the_server_that_nobody_serves_are_refused() {
    let mut bench = Bench::new("");
    let invite = bench.up(&subject());
    bench.ask(&invite, Method::Info, None);
    assert!(bench.take("405").has_token(Name::Allow, "UPDATE"));
    bench.ask(&invite, Method::Options, None);
    bench.take("200");
    // It is not over by that.
    assert_eq!(bench.copies().len(), 2);
    bench.stop();
    let bye = bench.take("BYE");
    bench.ask(&invite, Method::Update, None);
    bench.take("481");
    bench.respond(&bye, 200, "");
    bench.finish();
}

/// No room for media, and media that a worker gives up: the call is not recorded, and that is all.
#[test]
fn without_media_there_is_no_session() {
    let mut bench = Bench::new("");
    bench.with(|_, _, _, stock| while stock.take(false).is_some() {});
    bench.record(&subject());
    bench.nothing();
    assert_eq!(lost(&bench), "there is no room for its media");
    bench.finish();

    let mut bench = Bench::new("");
    bench.up(&subject());
    let leg = *bench.legs.keys().next().unwrap();
    bench.legs.remove(&leg);
    bench.event_of(MediaEvent::Closed(leg, LegStats::default()));
    assert_eq!(lost(&bench), "its media could not be opened");
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}
