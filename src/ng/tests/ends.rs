//! How calls end, and what is told of them.

use super::bench::{Answer, Bench, command_octets, sdp};
use crate::effect::Fact;
use crate::limits;
use crate::media::command::{Event, LegStats};
use std::time::Duration;

const C: [(&str, &str); 2] = [("call-id", "c"), ("from-tag", "a")];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn counters_are_told_while_it_is_up_and_at_its_end() {
    let mut bench = Bench::new();
    let (to_b, _) = bench.call("8", "label=caller", "8");
    bench.talk();
    let told = bench.ask("query", &[("call-id", "c")]);
    for (path, expected) in [
        ("result", "ok"),
        ("created", "1700000000"),
        ("tags/a/label", "caller"),
        ("tags/a/in dialogue with", "b"),
        ("tags/b/in dialogue with", "a"),
        ("tags/b/medias/0/type", "audio"),
        ("tags/b/medias/0/protocol", "RTP/AVP"),
        ("tags/b/medias/0/streams/0/advertised endpoint/port", "5000"),
        ("tags/b/medias/0/streams/0/stats/packets", "50"),
        ("tags/b/medias/0/streams/0/MOS", "43"),
        ("totals/RTP/packets", "100"),
    ] {
        assert_eq!(told.get(path), expected, "{path}");
    }
    assert_eq!(
        told.get("tags/b/medias/0/streams/0/local port"),
        bench.leg_of(&to_b).port.to_string()
    );
    let listed = bench.ask("list", &[]);
    assert_eq!(listed.get("calls/0"), "c");
    bench.talk();
    let deleted = bench.ask("delete", &C);
    assert_eq!(
        (deleted.get("result"), deleted.get("totals/RTP/packets")),
        ("ok".into(), "200".into())
    );
    bench.is_clean();
    assert!(bench.ask("list", &[]).find("calls/0").is_none());
    assert_eq!(bench.ask("query", &C).why(), "Unknown call-id");
}

#[test]
fn what_is_not_there_is_deleted_with_a_warning_or_an_error() {
    let mut bench = Bench::new();
    let told = bench.ask("delete", &C);
    assert_eq!(
        (told.get("result"), told.get("warning")),
        ("ok".into(), "Unknown call-id".into())
    );
    let fatal = [&C[..], &[("rtpp-flags", "fatal")]].concat();
    assert_eq!(bench.ask("delete", &fatal).why(), "Unknown call-id");
}

#[test]
fn a_delayed_end_is_one_that_comes() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    let delayed = [&C[..], &[("delete delay", "5")]].concat();
    assert_eq!(bench.ask("delete", &delayed).get("result"), "ok");
    bench.wait(seconds(4));
    assert_eq!(bench.legs.len(), 2);
    bench.wait(seconds(2));
    bench.is_clean();
    assert_eq!(bench.ended(), ["the proxy has deleted it a while ago"]);
}

/// A call that fails is often ended a while later, and meanwhile the next one is tried under the same name.
#[test]
fn a_delayed_end_is_taken_back_by_a_new_offer_or_answer() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    let delayed = [&C[..], &[("delete delay", "5")]].concat();
    for goes_on in [true, false] {
        assert_eq!(bench.ask("delete", &delayed).get("result"), "ok");
        if goes_on {
            bench.call("8", "", "8");
        }
        bench.talk();
        bench.wait(seconds(6));
        assert_eq!(bench.legs.len(), if goes_on { 2 } else { 0 });
    }
    bench.is_clean();
}

/// Who knows only the Call-ID, and invents tags, ends nothing.
#[test]
fn a_call_is_ended_by_who_names_one_of_its_sides() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    let stranger = [("call-id", "c"), ("from-tag", "x"), ("to-tag", "y")];
    let told = bench.ask("delete", &stranger);
    assert_eq!(told.get("warning"), "The call has no side with these tags.");
    assert_eq!(bench.legs.len(), 2);
    bench.ask("delete", &[("call-id", "c"), ("from-tag", "b"), ("to-tag", "a")]);
    bench.is_clean();
}

/// A worker that says nothing keeps nobody waiting for longer than a proxy waits.
#[test]
fn a_worker_that_is_late_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    bench.is_deaf = true;
    let before = bench.said.len();
    let query = bench.send("query", &[("call-id", "c")]);
    assert_eq!(bench.said.len(), before);
    bench.wait(limits::NG_STATISTICS);
    assert_eq!(Answer::read(&query, &bench.said[before].1).get("result"), "ok");
    let delete = bench.send("delete", &C);
    // Sent once more meanwhile: its answer is on its way.
    bench.datagram(&command_octets(&delete, "delete", &C));
    assert_eq!(bench.said.len(), before + 1);
    bench.wait(limits::NG_STATISTICS);
    assert_eq!(bench.said.len(), before + 2);
    assert_eq!(Answer::read(&delete, &bench.said[before + 1].1).get("result"), "ok");
    assert_eq!(bench.ended().len(), 1);
    // The ports are back when the worker says so.
    assert_eq!((bench.ng.legs(), bench.ng.up()), (2, 0));
    for leg in bench.legs.keys().copied().collect::<Vec<_>>() {
        bench.close(leg);
    }
    bench.is_clean();
    // The same name is another call.
    bench.is_deaf = false;
    bench.call("8", "", "8");
    bench.ask("delete", &C);
    bench.is_clean();
}

#[test]
fn more_queries_than_may_wait_are_told_what_is_known() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    bench.is_deaf = true;
    let before = bench.said.len();
    for _ in 0..limits::NG_WAITING {
        bench.send("query", &[("call-id", "c")]);
    }
    assert_eq!(bench.said.len(), before);
    bench.send("query", &[("call-id", "c")]);
    assert_eq!(bench.said.len(), before + limits::NG_WAITING + 1);
}

#[test]
fn a_call_in_which_nothing_is_heard_ends() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    for _ in 0..10 {
        bench.talk();
        bench.wait(seconds(30));
    }
    assert_eq!(bench.legs.len(), 2, "somebody talks");
    // One side alone is enough.
    for _ in 0..10 {
        bench.legs.values_mut().next().unwrap().received += 1;
        bench.wait(seconds(30));
    }
    assert_eq!(bench.legs.len(), 2, "somebody talks");
    bench.wait(seconds(5));
    assert_eq!(bench.legs.len(), 2, "not for long enough");
    bench.wait(seconds(60));
    bench.is_clean();
    assert_eq!(
        bench.ended(),
        ["no media has come from any side for as long as ng.timeout says"]
    );
}

#[test]
fn who_is_on_hold_may_be_silent_and_who_is_not_answered_may_not() {
    let mut bench = Bench::new();
    bench.call("8\na=inactive", "", "8\na=inactive");
    bench.wait(seconds(3_500));
    assert_eq!(bench.legs.len(), 2);
    bench.wait(seconds(200));
    bench.is_clean();
    bench.offer(&sdp(4_000, "8"), "");
    bench.wait(seconds(250));
    assert_eq!(bench.legs.len(), 2);
    bench.wait(seconds(100));
    bench.is_clean();
    assert_eq!(
        bench.ended(),
        [
            "it was on hold on both sides for too long",
            "its offer was never answered"
        ]
    );
}

#[test]
fn a_leg_that_no_worker_could_open_ends_the_call() {
    let mut bench = Bench::new();
    bench.is_deaf = true;
    bench.offer(&sdp(4_000, "8"), "");
    bench.is_deaf = false;
    let first = *bench.legs.keys().next().unwrap();
    bench.close(first);
    bench.is_clean();
    assert_eq!(bench.answer(&sdp(5_000, "8"), "").why(), "Unknown call-id");
}

#[test]
fn calls_end_when_the_node_stops() {
    let mut bench = Bench::new();
    bench.call("8", "", "8");
    bench.with(|ng, cx, stock| ng.stop(cx, stock, seconds(5)));
    bench.wait(seconds(4));
    let body = sdp(4_000, "8");
    let other = [("call-id", "d"), ("from-tag", "a"), ("sdp", &*body)];
    assert_eq!(bench.ask("offer", &other).why(), "The node is being stopped");
    let with_limit = [&other[..], &[("supports", "load limit")]].concat();
    let told = bench.ask("offer", &with_limit);
    assert_eq!(
        (told.get("result"), told.get("message")),
        ("load limit".into(), "The node is being stopped".into())
    );
    // Those that are up go on for a while.
    assert!(bench.offer(&body, "").sdp().contains("m=audio"));
    bench.wait(seconds(2));
    bench.is_clean();
    assert_eq!(bench.ended(), ["the node is stopped"]);
}

#[test]
fn without_ports_there_is_no_call_and_those_that_are_up_keep_theirs() {
    let mut bench = Bench::new();
    let v4 = std::iter::from_fn(|| bench.stock.take(false));
    let spare: Vec<_> = v4.collect();
    bench.stock.add(vec![spare[0]]);
    assert_eq!(bench.offer(&sdp(4_000, "8"), "").why(), "Ran out of ports");
    bench.is_clean();
}

#[test]
fn digits_are_blocked_where_they_come_in_and_played_to_whoever_hears_the_side() {
    let mut bench = Bench::new();
    let events = "8 101\na=rtpmap:101 telephone-event/8000";
    let (to_b, to_a) = bench.call(events, "", events);
    let hears = |bench: &Bench, body: &str| bench.leg_of(body).stream.unwrap().events_rx.is_some();
    let directional = [&C[..], &[("rtpp-flags", "directional")]].concat();
    assert_eq!(bench.ask("block DTMF", &directional).get("result"), "ok");
    assert_eq!((hears(&bench, &to_a), hears(&bench, &to_b)), (false, true));
    // It stays so over a new offer.
    bench.call(events, "", events);
    assert!(!hears(&bench, &to_a));
    assert_eq!(bench.ask("unblock DTMF", &[("call-id", "c")]).get("result"), "ok");
    assert_eq!((hears(&bench, &to_a), hears(&bench, &to_b)), (true, true));
    assert_eq!(
        bench
            .ask("play DTMF", &[&C[..], &[("code", "7")]].concat())
            .get("result"),
        "ok"
    );
    assert_eq!(
        (bench.leg_of(&to_a).digits, bench.leg_of(&to_b).digits),
        (String::new(), "7".to_owned())
    );
    let stranger = [("call-id", "c"), ("from-tag", "x"), ("code", "7")];
    assert_eq!(
        bench.ask("play DTMF", &stranger).why(),
        "Nobody hears the side with this from-tag."
    );
    let stranger = [("call-id", "c"), ("from-tag", "x"), ("rtpp-flags", "directional")];
    assert_eq!(
        bench.ask("block DTMF", &stranger).why(),
        "The call has no side with this from-tag."
    );
}

#[test]
fn events_of_others_are_not_ours() {
    let mut bench = Bench::new();
    let event = Event::Closed(crate::id::MediaLegId(99), LegStats::default());
    assert!(!bench.with(|ng, cx, stock| ng.media(cx, stock, &event)));
    assert!(bench.facts.iter().all(|fact| !matches!(fact, Fact::Warning(_))));
}
