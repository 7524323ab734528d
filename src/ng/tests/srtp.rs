//! SRTP on one side, RTP on the other (SDES, RFC 4568).

use super::bench::{Bench, sdp};
use crate::media::command::Suite;

/// A description in RTP/SAVP, with a key.
fn secure(port: u16, tag: u32) -> String {
    let key = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    sdp(port, &format!("8\na=crypto:{tag} AES_CM_128_HMAC_SHA1_80 {key}")).replace("RTP/AVP", "RTP/SAVP")
}

fn tag_of(body: &str, suite: &str) -> u32 {
    let line = body
        .lines()
        .find(|line| line.contains(suite))
        .expect("this suite is offered");
    line.strip_prefix("a=crypto:")
        .and_then(|line| line.split(' ').next())
        .and_then(|tag| tag.parse().ok())
        .expect("a tag")
}

#[test]
fn a_side_in_the_clear_meets_one_that_is_protected() {
    let mut bench = Bench::new();
    let to_b = bench.offer(&sdp(4_000, "8"), "RTP/SAVP").sdp();
    assert!(to_b.contains("m=audio") && to_b.contains(" RTP/SAVP 8"), "{to_b}");
    let tag = tag_of(&to_b, "AES_CM_128_HMAC_SHA1_80");
    let to_a = bench.answer(&secure(5_000, tag), "").sdp();
    assert!(to_a.contains(" RTP/AVP 8") && !to_a.contains("crypto"), "{to_a}");
    let (a, b) = (bench.leg_of(&to_a), bench.leg_of(&to_b));
    assert!(a.keys.is_none());
    assert_eq!(b.keys.unwrap().seal().suite(), Suite::AesCm128Sha1_80);
    let told = bench.ask("query", &[("call-id", "c")]);
    assert_eq!(
        told.get("tags/b/medias/0/streams/0/crypto suite"),
        "AES_CM_128_HMAC_SHA1_80"
    );
}

#[test]
fn a_side_that_is_protected_meets_one_in_the_clear() {
    let mut bench = Bench::new();
    let to_b = bench.offer(&secure(4_000, 7), "RTP/AVP").sdp();
    assert!(to_b.contains(" RTP/AVP 8") && !to_b.contains("crypto"), "{to_b}");
    let to_a = bench.answer(&sdp(5_000, "8"), "").sdp();
    assert!(
        to_a.contains(" RTP/SAVP 8") && to_a.contains("a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:"),
        "{to_a}"
    );
    assert!(bench.leg_of(&to_a).keys.is_some() && bench.leg_of(&to_b).keys.is_none());
    // A new offer of b keeps what each side has, though nothing says so.
    let body = sdp(5_000, "8\na=sendonly");
    let named = [("call-id", "c"), ("from-tag", "b"), ("to-tag", "a"), ("sdp", &*body)];
    let again = bench.ask("offer", &named).sdp();
    assert!(again.contains(" RTP/SAVP 8") && again.contains("a=crypto:"), "{again}");
}

#[test]
fn without_a_word_the_other_side_is_as_this_one_and_has_keys_of_its_own() {
    let mut bench = Bench::new();
    let to_b = bench
        .offer(&secure(4_000, 1), "SDES-only-AES_CM_128_HMAC_SHA1_80")
        .sdp();
    assert_eq!(to_b.matches("a=crypto").count(), 1, "{to_b}");
    let to_a = bench.answer(&secure(5_000, 1), "").sdp();
    let (a, b) = (bench.leg_of(&to_a).keys.unwrap(), bench.leg_of(&to_b).keys.unwrap());
    assert_ne!(a.seal(), b.seal());
    // Whose answer is not protected, has not answered.
    let mut bench = Bench::new();
    bench.offer(&secure(4_000, 1), "");
    let why = bench.answer(&sdp(5_000, "8"), "").why();
    assert!(why.contains("must be SRTP"), "{why}");
}

#[test]
fn keys_beside_rtp_in_the_clear_are_taken_and_offered_where_that_is_wanted() {
    let open = secure(4_000, 3).replace("RTP/SAVP", "RTP/AVP");
    for (flags, to_b_has, to_a_has) in [
        ("", false, false),
        ("OSRTP-accept", false, true),
        ("OSRTP-offer", true, false),
    ] {
        let mut bench = Bench::new();
        let to_b = bench.offer(&open, flags).sdp();
        let to_a = bench.answer(&sdp(5_000, "8"), "").sdp();
        assert_eq!(
            (to_b.contains("a=crypto"), to_a.contains("a=crypto:3 ")),
            (to_b_has, to_a_has),
            "{flags}"
        );
        assert!(to_b.contains(" RTP/AVP 8") && to_a.contains(" RTP/AVP 8"));
    }
}
