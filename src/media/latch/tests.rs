use super::*;
use crate::media::command::Xr;

const SDP: &str = "203.0.113.5:4000";
const SDP_OTHER_PORT: &str = "203.0.113.5:4002";
const SIGNALLING: &str = "198.51.100.7:5000";
const ATTACKER: &str = "192.0.2.66:6666";
const ATTACKER_2: &str = "192.0.2.67:6666";
const PRIVATE: &str = "192.168.1.20:4000";
const NAT_POOL: &str = "198.51.100.99:31000";

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn remote(rtp: &str) -> Remote {
    let rtp = addr(rtp);
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    Remote {
        rtp,
        rtcp,
        rtcp_mux: false,
        signalling: addr(SIGNALLING).ip(),
        xr: Xr::default(),
        forks: false,
    }
}

fn latch(rtp: &str) -> Latch {
    let mut latch = Latch::default();
    assert!(latch.negotiated(at(0), remote(rtp)));
    latch
}

fn sight(from: &str, ssrc: u32, sequence: u16) -> Sight {
    Sight {
        from: addr(from),
        ssrc: Some(ssrc),
        sequence,
        agreed: true,
        proven: false,
    }
}

fn proven(from: &str, ssrc: u32, sequence: u16) -> Sight {
    Sight {
        proven: true,
        ..sight(from, ssrc, sequence)
    }
}

#[test]
fn whoever_has_the_key_is_the_peer_wherever_he_is() {
    let mut latch = latch(SDP);
    assert_eq!(latch.rtp(at(60_000), proven(NAT_POOL, 1, 100)), Verdict::Latched(true));
    assert_eq!(latch.destination(), Some(addr(NAT_POOL)));
    // Too soon: it may be a copy.
    assert_eq!(latch.rtp(at(60_100), proven(ATTACKER, 1, 101)), Verdict::Stranger);
    assert_eq!(latch.rtp(at(60_200), proven(ATTACKER, 1, 102)), Verdict::Latched(false));
    assert_eq!(
        latch.destination(),
        Some(addr(ATTACKER)),
        "no attacker, since he has the key"
    );
    // What was held back on the way is behind what has come.
    for held_back in [102, 100, 60_000] {
        assert_eq!(latch.rtp(at(60_500), proven(NAT_POOL, 1, held_back)), Verdict::Stranger);
    }
    assert_eq!(latch.destination(), Some(addr(ATTACKER)));
    assert_eq!(
        latch.rtp(at(60_600), proven(NAT_POOL, 2, 7)),
        Verdict::Latched(false),
        "it began anew"
    );
}

/// The latch after `by` has sent one packet with SSRC 1 and sequence number 100 at 1 s.
fn latched(rtp: &str, by: &str) -> Latch {
    let mut latch = latch(rtp);
    assert_eq!(latch.rtp(at(1_000), sight(by, 1, 100)), Verdict::Latched(true));
    latch
}

/// Twenty-two packets of a source in its own time; the last verdict.
fn stream(latch: &mut Latch, from: &str, ssrc: u32, start_ms: u64) -> Verdict {
    let mut verdict = Verdict::Stranger;
    for n in 0..22u16 {
        verdict = latch.rtp(at(start_ms + u64::from(n) * 20), sight(from, ssrc, n));
    }
    verdict
}

#[test]
fn every_source_in_every_state() {
    use Verdict::{Accept, Latched, Stranger};
    // Source, SSRC, sequence; nothing latched; latched exactly, alive; exactly, silent; latched by a named host, alive.
    let rows = [
        (SDP, 1, 101, Latched(true), Accept, Accept, Latched(false)),
        (SDP, 9, 7, Latched(true), Accept, Accept, Latched(false)),
        (
            SDP_OTHER_PORT,
            1,
            101,
            Latched(true),
            Latched(false),
            Latched(false),
            Stranger,
        ),
        (SDP_OTHER_PORT, 1, 99, Latched(true), Stranger, Latched(false), Stranger),
        (
            SDP_OTHER_PORT,
            9,
            101,
            Latched(true),
            Stranger,
            Latched(false),
            Stranger,
        ),
        (SIGNALLING, 9, 101, Latched(true), Stranger, Latched(false), Accept),
        (ATTACKER, 1, 101, Stranger, Stranger, Stranger, Stranger),
        (ATTACKER, 9, 101, Stranger, Stranger, Stranger, Stranger),
    ];
    for (from, ssrc, sequence, fresh, exact, stale, named) in rows {
        let packet = sight(from, ssrc, sequence);
        assert_eq!(latch(SDP).rtp(at(1_000), packet), fresh, "{from} first");
        assert_eq!(
            latched(SDP, SDP).rtp(at(1_500), packet),
            exact,
            "{from} against the exact peer"
        );
        assert_eq!(
            latched(SDP, SDP).rtp(at(3_100), packet),
            stale,
            "{from} after the peer fell silent"
        );
        assert_eq!(
            latched(SDP, SIGNALLING).rtp(at(1_500), packet),
            named,
            "{from} against the signalling host"
        );
    }
}

#[test]
fn before_the_sdp_nobody_is_believed() {
    let mut latch = Latch::default();
    assert_eq!(latch.rtp(at(0), sight(SDP, 1, 1)), Verdict::Stranger);
    assert!(!latch.rtcp(addr(SDP)));
    assert_eq!((latch.destination(), latch.rtcp_destination()), (None, None));
}

#[test]
fn a_named_host_latches_at_any_time_but_not_with_a_type_that_was_not_agreed() {
    let mut latch = latch(SDP);
    assert_eq!(
        latch.rtp(
            at(1),
            Sight {
                agreed: false,
                ..sight(SDP, 1, 1)
            }
        ),
        Verdict::Stranger
    );
    assert_eq!(latch.destination(), Some(addr(SDP)));
    assert_eq!(latch.rtp(at(600_000), sight(SIGNALLING, 1, 1)), Verdict::Latched(true));
    assert_eq!(latch.destination(), Some(addr(SIGNALLING)));
}

#[test]
fn a_rebinding_nat_is_followed_port_by_port_and_back() {
    let mut latch = latched(SDP, SIGNALLING);
    for (n, port) in [5_001, 5_002, 5_000].into_iter().enumerate() {
        let from = format!("198.51.100.7:{port}");
        let sequence = 101 + n as u16 * 150;
        assert_eq!(latch.rtp(at(1_020), sight(&from, 1, sequence)), Verdict::Latched(false));
        assert_eq!(latch.destination(), Some(addr(&from)));
    }
    // Out of reach of what can have been lost meanwhile.
    assert_eq!(
        latch.rtp(at(1_030), sight("198.51.100.7:5009", 1, 9_000)),
        Verdict::Stranger
    );
}

#[test]
fn who_sends_first_gets_nothing_from_a_peer_that_is_not_behind_nat() {
    let mut latch = latch(SDP);
    assert_eq!(stream(&mut latch, ATTACKER, 6, 0), Verdict::Stranger);
    assert_eq!(latch.destination(), Some(addr(SDP)));
    assert_eq!(latch.rtp(at(900), sight(SDP, 1, 1)), Verdict::Latched(true));
    assert_eq!(stream(&mut latch, ATTACKER, 6, 1_000), Verdict::Stranger);
    assert_eq!(latch.destination(), Some(addr(SDP)));
}

#[test]
fn a_peer_behind_nat_is_learned_from_an_unnamed_address_in_the_window_only() {
    let mut inside = latch(PRIVATE);
    assert!(matches!(
        stream(&mut inside, NAT_POOL, 1, 500),
        Verdict::Latched(true) | Verdict::Accept
    ));
    assert_eq!(inside.destination(), Some(addr(NAT_POOL)));

    let mut outside = latch(PRIVATE);
    assert_eq!(
        stream(&mut outside, NAT_POOL, 1, WINDOW.as_millis() as u64 + 1),
        Verdict::Stranger
    );
    assert_eq!(outside.destination(), Some(addr(PRIVATE)));
    // The same address negotiated again opens the window again, since nothing was latched.
    assert!(!outside.negotiated(at(20_000), remote(PRIVATE)));
    assert!(matches!(
        stream(&mut outside, NAT_POOL, 1, 20_500),
        Verdict::Latched(true) | Verdict::Accept
    ));
}

#[test]
fn of_two_candidates_that_race_neither_wins() {
    let mut latch = latch(PRIVATE);
    for n in 0..400u16 {
        assert_eq!(
            latch.rtp(at(u64::from(n) * 20), sight(NAT_POOL, 1, n)),
            Verdict::Stranger
        );
        assert_eq!(
            latch.rtp(at(u64::from(n) * 20 + 5), sight(ATTACKER, 6, n)),
            Verdict::Stranger
        );
    }
    assert_eq!(latch.destination(), Some(addr(PRIVATE)));
}

#[test]
fn a_burst_in_no_time_does_not_make_a_candidate() {
    let mut latch = latch(PRIVATE);
    for n in 0..500 {
        assert_eq!(latch.rtp(at(1), sight(ATTACKER, 6, n)), Verdict::Stranger);
    }
}

#[test]
fn a_learned_peer_yields_to_a_named_one_and_to_nobody_else() {
    let mut latch = latch(PRIVATE);
    stream(&mut latch, ATTACKER, 6, 0);
    assert_eq!(latch.destination(), Some(addr(ATTACKER)));
    assert_eq!(stream(&mut latch, ATTACKER_2, 7, 500), Verdict::Stranger);
    assert_eq!(latch.rtp(at(1_000), sight(SIGNALLING, 1, 1)), Verdict::Latched(false));
    assert_eq!(stream(&mut latch, ATTACKER, 6, 1_020), Verdict::Stranger);
    assert_eq!(latch.destination(), Some(addr(SIGNALLING)));
}

#[test]
fn a_new_address_in_the_sdp_begins_a_new_latch_and_the_same_one_keeps_it() {
    let mut latch = latched(SDP, SIGNALLING);
    assert!(!latch.negotiated(at(2_000), remote(SDP)));
    assert_eq!(latch.destination(), Some(addr(SIGNALLING)));
    assert!(latch.negotiated(at(3_000), remote(SDP_OTHER_PORT)));
    assert_eq!(latch.destination(), Some(addr(SDP_OTHER_PORT)));
    assert_eq!(latch.rtp(at(3_001), sight(ATTACKER, 6, 1)), Verdict::Stranger);
    assert_eq!(
        latch.rtp(at(3_002), sight(SDP_OTHER_PORT, 1, 101)),
        Verdict::Latched(true)
    );
}

/// RFC 3261 13.2.2.4: of a carrier's ends one has a voice before the answer, and another answers, from the same host. The first goes on for a while.
#[test]
fn who_was_heard_before_does_not_get_what_is_for_another_port_of_its_host() {
    let mut latch = latch(SDP);
    assert_eq!(latch.rtp(at(1_000), sight(SDP, 1, 100)), Verdict::Latched(true));
    let answered = Remote {
        forks: true,
        ..remote(SDP_OTHER_PORT)
    };
    assert!(latch.negotiated(at(2_000), answered));
    assert_eq!(latch.rtp(at(2_020), sight(SDP, 1, 101)), Verdict::Stranger);
    assert_eq!(latch.destination(), Some(addr(SDP_OTHER_PORT)));
    let mut other = latch;
    assert_eq!(
        latch.rtp(at(2_040), sight(SDP_OTHER_PORT, 2, 7)),
        Verdict::Latched(true)
    );
    // Where nobody comes from there, it is the peer all the same.
    assert_eq!(other.rtp(at(2_480), sight(SDP, 1, 124)), Verdict::Stranger);
    assert_eq!(other.rtp(at(2_500), sight(SDP, 1, 125)), Verdict::Latched(true));
    assert_eq!(other.destination(), Some(addr(SDP)));
}

/// Behind a NAT that a phone has asked anew (STUN), or a gateway, the SDP names another port, and the packets come from where they came from.
#[test]
fn who_says_another_port_in_a_call_that_is_up_is_believed_where_he_was() {
    let mut latch = latch(SDP);
    assert_eq!(latch.rtp(at(1_000), sight(SDP, 1, 100)), Verdict::Latched(true));
    assert!(latch.negotiated(at(2_000), remote(SDP_OTHER_PORT)));
    assert_eq!(latch.rtp(at(2_020), sight(SDP, 1, 101)), Verdict::Latched(true));
    assert_eq!(latch.destination(), Some(addr(SDP)));
}

#[test]
fn where_rtcp_comes_from_and_goes() {
    let mut plain = latched(SDP, SDP);
    assert_eq!(plain.rtcp_destination(), Some(addr("203.0.113.5:4001")));
    assert!(!plain.rtcp(addr(ATTACKER)));
    assert!(plain.rtcp(addr("203.0.113.5:4777")));
    assert_eq!(plain.rtcp_destination(), Some(addr("203.0.113.5:4777")));

    let behind_nat = latched(PRIVATE, SIGNALLING);
    assert_eq!(behind_nat.rtcp_destination(), Some(addr("198.51.100.7:5001")));

    let mut mux = Latch::default();
    mux.negotiated(
        at(0),
        Remote {
            rtcp_mux: true,
            ..remote(SDP)
        },
    );
    assert_eq!(mux.rtcp_destination(), Some(addr(SDP)));
}

#[test]
fn nothing_is_sent_to_an_address_that_says_hold() {
    let mut latch = Latch::default();
    latch.negotiated(at(0), remote("0.0.0.0:4000"));
    assert_eq!((latch.destination(), latch.rtcp_destination()), (None, None));
}
