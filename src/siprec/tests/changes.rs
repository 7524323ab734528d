//! What changes in a call, and what the server hears of it.

use super::*;

fn answered(bench: &mut Bench, invite: &Message) {
    bench.respond(invite, 200, &answer(40_000, &["recvonly", "recvonly"]));
    bench.take("ACK");
}

fn end(mut bench: Bench) {
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    bench.finish();
}

#[test]
fn hold_is_told_with_the_same_description() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    let first = bench.up(&subject);
    for speaker in subject.speakers.iter_mut().flatten() {
        speaker.hears = false;
    }
    bench.record(&subject);
    let second = bench.take("INVITE");
    assert_eq!(
        (second.call_id(), second.get(Name::CSeq).unwrap().as_ref()),
        (first.call_id(), "2 INVITE")
    );
    assert_eq!(second.get(Name::Require).unwrap(), "siprec");
    assert!(second.get(Name::Contact).unwrap().ends_with(";+sip.src"));
    let ((before, _), (now, metadata)) = (body(&first), body(&second));
    assert_eq!(
        before, now,
        "what is described has not changed, and so its version has not"
    );
    assert!(
        metadata.contains("<send>") && !metadata.contains("<recv>"),
        "{metadata}"
    );
    answered(&mut bench, &second);
    // The same again is no news.
    bench.record(&subject);
    bench.nothing();
    end(bench);
}

#[test]
fn another_codec_is_offered_before_it_is_sent() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    let first = bench.up(&subject);
    subject.speakers[0].as_mut().unwrap().codec = Codec::Pcmu;
    bench.record(&subject);
    let second = bench.take("INVITE");
    let (before, now) = (body(&first).0, body(&second).0);
    assert_eq!([&now.media[0].formats[0], &now.media[1].formats[0]], ["0", "8"]);
    let version = |session: &Session<'_>| session.origin.version.parse::<u64>().unwrap();
    assert_eq!(version(&now), version(&before) + 1);
    let codec = |bench: &Bench| bench.legs.values().next().unwrap().stream.unwrap().codec;
    assert_eq!(codec(&bench), Codec::Pcma, "until it is agreed");
    answered(&mut bench, &second);
    assert_eq!(codec(&bench), Codec::Pcmu);
    // A server that does not take it keeps what it had, and the log says so.
    subject.speakers[0].as_mut().unwrap().codec = Codec::Opus;
    bench.record(&subject);
    let third = bench.take("INVITE");
    bench.respond(&third, 488, "");
    bench.take("ACK");
    bench.nothing();
    assert_eq!((codec(&bench), bench.lost.len()), (Codec::Pcmu, 0));
    let told =
        |fact: &Fact| matches!(fact, Fact::CallChanged { what, .. } if what.contains("refused a change with 488"));
    assert!(bench.facts.iter().any(told));
    end(bench);
}

#[test]
fn who_comes_in_place_of_another_is_copied_and_told() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    bench.up(&subject);
    subject.speakers[0] = None;
    bench.record(&subject);
    let alone = bench.take("INVITE");
    let (description, metadata) = body(&alone);
    assert_eq!(description.direction(&description.media[0]).as_str(), "inactive");
    assert_eq!(metadata.matches("<disassociate-time>").count(), 1);
    assert_eq!(
        bench.copies()[0],
        (None, true),
        "of nobody, until the server has agreed"
    );
    // Two changes while one is under way are told together.
    subject.speakers[0] = Some(speaker(5, "sip:carol@example.com"));
    bench.record(&subject);
    subject.speakers[1].as_mut().unwrap().sends = false;
    bench.record(&subject);
    bench.nothing();
    assert_eq!(bench.copies()[0].0, Some(MediaLegId(1_005)));
    bench.respond(&alone, 200, &answer(40_000, &["inactive", "recvonly"]));
    bench.take("ACK");
    let both = bench.take("INVITE");
    let (description, metadata) = body(&both);
    assert_eq!(description.direction(&description.media[0]).as_str(), "sendonly");
    assert_eq!(metadata.matches("<participant ").count(), 3);
    assert!(metadata.contains("sip:carol@example.com") && metadata.matches("<send>").count() == 1);
    answered(&mut bench, &both);
    bench.nothing();
    end(bench);
}

#[test]
fn a_stream_goes_where_its_source_goes() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    bench.up(&subject);
    let mut places = |bench: &mut Bench, place: Option<u16>| {
        let speaker = subject.speakers[1].as_mut().unwrap();
        speaker.media = place.map(|worker| (MediaLegId(1_001), WorkerId(worker)));
        bench.record(&subject);
        bench.nothing();
    };
    places(&mut bench, None);
    assert_eq!(bench.copies()[1].0, None, "on its way it is nowhere");
    bench.is_slow = true;
    places(&mut bench, Some(1));
    let second = *bench.legs.keys().nth(1).unwrap();
    assert_eq!((bench.legs[&second].worker, bench.copies()[1].0), (1, None));
    bench.arrive();
    assert_eq!(bench.copies()[1].0, Some(MediaLegId(1_001)));
    // It is closed only when it has come.
    places(&mut bench, Some(0));
    bench.stop();
    let bye = bench.take("BYE");
    bench.respond(&bye, 200, "");
    assert_eq!((bench.legs.len(), bench.siprec.len()), (1, 1));
    bench.arrive();
    bench.finish();
}

/// RFC 7866 9.2.
#[test]
fn a_server_that_has_lost_the_metadata_gets_it_again() {
    let mut bench = Bench::new("");
    let first = bench.up(&subject());
    let wish = "<requestsnapshot xmlns='urn:ietf:params:xml:ns:recording:1'/>";
    for kind in ["application/rs-metadata", "application/rs-metadata+xml"] {
        bench.ask(&first, Method::Update, Some((kind, wish)));
        bench.take("200");
        let again = bench.take("INVITE");
        assert_eq!(body(&again).1, body(&first).1);
        answered(&mut bench, &again);
    }
    bench.ask(&first, Method::Update, Some(("text/plain", "hello")));
    let refused = bench.take("415");
    assert!(refused.has_token(Name::Accept, "application/rs-metadata"));
    bench.ask(&first, Method::Update, None);
    assert!(bench.take("200").body().is_empty());
    end(bench);
}

#[test]
fn an_invite_without_offer_is_answered_with_ours() {
    let mut bench = Bench::new("");
    let first = bench.up(&subject());
    bench.ask(&first, Method::Invite, None);
    let ok = bench.take("200");
    let (description, metadata) = body(&ok);
    assert_eq!((description.media.len(), metadata), (2, body(&first).1));
    // Until its ACK nothing else is changed by either side.
    bench.ask(
        &first,
        Method::Update,
        Some(("application/sdp", &answer(40_000, &["recvonly", "recvonly"]))),
    );
    bench.take("500");
    let mut changed = subject();
    changed.speakers[0].as_mut().unwrap().hears = false;
    bench.record(&changed);
    bench.nothing();
    bench.pass(Duration::from_millis(500));
    bench.take("200");
    bench.acknowledge(&first, &answer(50_000, &["recvonly", "recvonly"]));
    let to: Vec<u16> = bench.legs.values().map(|leg| leg.to.unwrap().port()).collect();
    assert_eq!(to, [50_000, 50_002]);
    let told = bench.take("INVITE");
    answered(&mut bench, &told);
    end(bench);
}

/// RFC 3261 14.1 and 14.2.
#[test]
fn changes_of_both_sides_at_once_are_made_one_after_the_other() {
    let mut bench = Bench::new("");
    let mut subject = subject();
    let first = bench.up(&subject);
    subject.speakers[0].as_mut().unwrap().hears = false;
    bench.record(&subject);
    let ours = bench.take("INVITE");
    bench.ask(
        &first,
        Method::Invite,
        Some(("application/sdp", &answer(40_000, &["recvonly", "recvonly"]))),
    );
    bench.take("491");
    bench.respond(&ours, 491, "");
    bench.take("ACK");
    bench.pass(Duration::from_millis(2_050));
    bench.inbox.retain(|(_, message)| message.status() != 491);
    bench.nothing();
    bench.pass(Duration::from_secs(2));
    bench.inbox.retain(|(_, message)| message.status() != 491);
    let again = bench.take("INVITE");
    assert_eq!(body(&again).1.matches("<recv>").count(), 1);
    answered(&mut bench, &again);
    bench.pass(Duration::from_secs(64));
    bench.inbox.clear();
    end(bench);
}

/// RFC 4028: the session is refreshed, and one that a server has lost ends.
#[test]
fn the_session_is_refreshed_while_the_server_answers() {
    let mut bench = Bench::new("");
    bench.record(&subject());
    let first = bench.take("INVITE");
    assert_eq!(first.get(Name::SessionExpires).unwrap(), "1800");
    bench.respond(&first, 422, "");
    bench.take("ACK");
    let longer = bench.take("INVITE");
    assert_eq!(longer.get(Name::SessionExpires).unwrap(), "3600");
    assert_eq!(longer.get(Name::CSeq).unwrap(), "2 INVITE");
    answered(&mut bench, &longer);
    bench.pass(Duration::from_secs(1_801));
    let refresh = bench.take("INVITE");
    assert_eq!(body(&refresh).0, body(&longer).0);
    answered(&mut bench, &refresh);
    bench.pass(Duration::from_secs(1_801));
    let lost = bench.take("INVITE");
    bench.respond(&lost, 481, "");
    bench.take("ACK");
    let bye = bench.take("BYE");
    bench.respond(&bye, 481, "");
    assert_eq!(bench.lost[0].why, "the recording server has lost its session (481)");
    bench.finish();
}

/// One that wants it longer each time is refused the second time.
#[test]
fn a_session_is_made_longer_once() {
    let mut bench = Bench::new("");
    bench.record(&subject());
    let first = bench.take("INVITE");
    bench.respond(&first, 422, "");
    bench.take("ACK");
    let longer = bench.take("INVITE");
    let mut again = Draft::response(&longer, 422, Some("srs"));
    again.push(Name::MinSe, 7_200);
    bench.receive(SRS, &again);
    bench.take("ACK");
    bench.nothing();
    assert_eq!(bench.lost[0].why, "the recording server refused it with 422");
    bench.finish();
}

#[test]
fn an_offer_that_is_refused_for_one_stream_changes_neither() {
    let mut bench = Bench::new("");
    let first = bench.up(&subject());
    let to = |bench: &Bench| {
        bench
            .legs
            .values()
            .map(|leg| leg.to.unwrap().port())
            .collect::<Vec<_>>()
    };
    let (good, bad) = (
        answer(50_000, &["recvonly", "recvonly"]),
        "m=audio 50002 RTP/AVP 18\r\na=recvonly\r\na=label:2\r\n",
    );
    let half = good.split("m=audio 50002").next().unwrap().to_owned() + bad;
    bench.ask(&first, Method::Update, Some(("application/sdp", &half)));
    bench.take("488");
    assert_eq!(to(&bench), [40_000, 40_002]);
    bench.ask(&first, Method::Update, Some(("application/sdp", &good)));
    bench.take("200");
    assert_eq!(to(&bench), [50_000, 50_002]);
    end(bench);
}
