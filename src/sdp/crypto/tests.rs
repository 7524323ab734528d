//! Lines as they come, and offers and answers with them.

use super::*;
use crate::sdp::{Agreed, Capabilities, Direction, Local, Session, acceptable, answer, complete, offer};
use codecs::Codec;
use std::net::IpAddr;

/// Of RFC 4568 6.1.
const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const KEY_2: &str = "YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2";

fn theirs() -> IpAddr {
    "192.0.2.20".parse().unwrap()
}

fn local(host: &str) -> Local {
    Local {
        addr: host.parse().unwrap(),
        port: 20_000,
        session_id: 7,
        version: 1,
        direction: Direction::SendRecv,
    }
}

/// Keys whose octets count up from here: nothing in a test is random.
fn can(srtp: Srtp, first: u8) -> Capabilities {
    let mut next = first;
    let security = Security::new(srtp, |octets| {
        octets.fill(next);
        next += 1;
    });
    Capabilities {
        codecs: [Codec::Pcma].into_iter().collect(),
        events: true,
        ptime_ms: 20,
        opus: Default::default(),
        gain: Default::default(),
        comfort_noise: false,
        security,
        webrtc: None,
    }
}

fn audio(proto: &str, lines: &[&str]) -> Session<'static> {
    let lines: String = lines.iter().map(|line| format!("a=crypto:{line}\n")).collect();
    let text =
        format!("v=0\no=- 1 1 IN IP4 192.0.2.20\ns=-\nc=IN IP4 192.0.2.20\nt=0 0\nm=audio 4000 {proto} 8\n{lines}");
    Session::parse(text.as_bytes()).unwrap().into_owned()
}

fn answered(srtp: Srtp, proto: &str, lines: &[&str]) -> Result<(Session<'static>, Agreed), SdpError> {
    let offer = audio(proto, lines);
    let judged = acceptable(&offer, &local("192.0.2.10"), &[Codec::Pcma], srtp, false);
    let done = answer(&offer, &local("192.0.2.10"), &can(srtp, 1), theirs());
    assert_eq!(
        judged.is_ok(),
        done.is_ok(),
        "what is judged before is what is answered then"
    );
    done.map(|(session, agreed)| (session.into_owned(), agreed))
}

#[test]
fn a_line_in_all_its_shapes() {
    let read = |rest: &str| Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{rest}"));
    let shape = |rest: &str| {
        let crypto = read(rest)?;
        let of = |key: &MasterKey| (key.lifetime(), key.mki().to_vec());
        Some(crypto.keys.iter().map(of).collect::<Vec<_>>())
    };
    let most = 1u64 << 48;
    for (rest, expected) in [
        (KEY.to_owned(), Some(vec![(most, vec![])])),
        (format!("{KEY}|2^31"), Some(vec![(1 << 31, vec![])])),
        (format!("{KEY}|1000"), Some(vec![(1000, vec![])])),
        (format!("{KEY}|2^20|1:4"), Some(vec![(1 << 20, vec![0, 0, 0, 1])])),
        (format!("{KEY}|1066:2"), Some(vec![(most, vec![4, 42])])),
        (
            format!("{KEY}|1:1;inline:{KEY_2}|2^9|2:1"),
            Some(vec![(most, vec![1]), (512, vec![2])]),
        ),
        (
            format!("{KEY} WSH=128 -X=y KDR=0 FEC_ORDER=SRTP_FEC"),
            Some(vec![(most, vec![])]),
        ),
        (format!("{KEY}|2^49"), None),
        (format!("{KEY}|2^64"), None),
        (format!("{KEY}|0"), None),
        (format!("{KEY}|+5"), None),
        (format!("{KEY}|300:1"), None),
        (format!("{KEY}|1:0"), None),
        (format!("{KEY}|1:9"), None),
        (format!("{KEY}|1:4|2^20"), None),
        (format!("{KEY}|2^20|1:4|x"), None),
        (format!("{KEY};inline:{KEY_2}"), None),
        (format!("{KEY}|1:1;inline:{KEY_2}|2:2"), None),
        (format!("{KEY} UNENCRYPTED_SRTP"), None),
        (format!("{KEY} UNAUTHENTICATED_SRTP"), None),
        (format!("{KEY} KDR=1"), None),
        (format!("{KEY} FEC_KEY=inline:{KEY_2}"), None),
        (format!("{KEY} NEW=1"), None),
        (KEY[4..].to_owned(), None),
        (format!("{KEY}AAAA"), None),
        ("not*base64".to_owned(), None),
        (String::new(), None),
    ] {
        assert_eq!(shape(&rest), expected, "{rest}");
    }
    for line in [
        "",
        "1",
        "x AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "1 F8_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "1 AES_CM_128_HMAC_SHA1_80 url:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "1234567890 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
    ] {
        assert_eq!(Crypto::parse(line), None, "{line}");
    }
    // Of 44 octets, with and without the padding that base64 has then.
    let padded = format!("7 AEAD_AES_256_GCM inline:{}=", "A".repeat(59));
    assert!(Crypto::parse(&padded).is_some() && Crypto::parse(padded.trim_end_matches('=')).is_some());
}

#[test]
fn an_offer_is_answered_by_the_first_line_that_can_be_used() {
    let unknown = format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}");
    let short = format!("2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20|1:4");
    let long = format!("3 AES_CM_128_HMAC_SHA1_80 inline:{KEY_2}");
    for (srtp, proto) in [
        (Srtp::Required, "RTP/SAVP"),
        (Srtp::Offered, "RTP/SAVPF"),
        (Srtp::Offered, "RTP/AVP"),
        (Srtp::Required, "RTP/AVPF"),
    ] {
        let (session, agreed) = answered(srtp, proto, &[&unknown, &short, &long]).unwrap();
        let media = &session.media[0];
        assert_eq!((media.proto.as_str(), media.attributes("crypto").count()), (proto, 1));
        // Ours is the sixth suite: octets of 6.
        let ours = STANDARD.encode([6; 30]);
        let expected = format!("2 AES_CM_128_HMAC_SHA1_32 inline:{ours}");
        assert_eq!(media.attribute("crypto"), Some(expected.as_str()));
        let keys = agreed.keys.unwrap();
        assert_eq!((keys.seal().expose(), keys.seal().mki()), (&[6; 30][..], &[][..]));
        let theirs = &keys.open()[0];
        assert_eq!(STANDARD.encode(theirs.expose()), KEY);
        assert_eq!(
            (theirs.suite(), theirs.mki(), theirs.lifetime()),
            (Suite::AesCm128Sha1_32, &[0, 0, 0, 1][..], 1 << 20)
        );
    }
}

#[test]
fn what_must_be_encrypted_is_never_answered_in_the_clear() {
    let good = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    let bad = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP");
    let why = |srtp, proto, lines: &[&str]| answered(srtp, proto, lines).map(|(_, agreed)| agreed.keys.is_some());
    assert_eq!(why(Srtp::Required, "RTP/AVP", &[]), Err(NONE_OFFERED));
    assert_eq!(why(Srtp::Required, "RTP/AVP", &[&bad]), Err(NONE_OFFERED));
    assert_eq!(why(Srtp::Required, "RTP/SAVP", &[&bad]), Err(NONE_USABLE));
    assert_eq!(why(Srtp::Offered, "RTP/SAVP", &[]), Err(NONE_USABLE));
    assert_eq!(why(Srtp::Off, "RTP/SAVP", &[&good]), Err(NOT_ALLOWED));
    assert_eq!(why(Srtp::Offered, "UDP/TLS/RTP/SAVPF", &[&good]), Err(DTLS));
    assert_eq!(why(Srtp::Offered, "RTP/AVP", &[&bad]), Ok(false));
    assert_eq!(why(Srtp::Off, "RTP/AVP", &[&good]), Ok(false));
    // A stream that is ended for now has nothing to be encrypted (RFC 3264 8.2), if it was before.
    let mut ended = audio("RTP/AVP", &[]);
    ended.media[0].port = 0;
    let (here, mut we) = (local("192.0.2.10"), can(Srtp::Required, 1));
    assert_eq!(answer(&ended, &here, &we, theirs()).map(drop), Err(NONE_OFFERED));
    let (_, agreed) = answer(&audio("RTP/AVP", &[&good]), &here, &we, theirs()).unwrap();
    we.security.as_mut().unwrap().agreed(agreed.keys.as_deref());
    assert!(answer(&ended, &here, &we, theirs()).is_ok());
}

/// Both ends of a leg are ours, one after the other.
#[test]
fn an_offer_and_its_answer_agree_on_each_others_keys() {
    for (ours, peers, expected) in [
        (Srtp::Required, Srtp::Required, Some("RTP/SAVP")),
        (Srtp::Required, Srtp::Offered, Some("RTP/SAVP")),
        (Srtp::Offered, Srtp::Required, Some("RTP/AVP")),
        (Srtp::Offered, Srtp::Offered, Some("RTP/AVP")),
        (Srtp::Offered, Srtp::Off, None),
    ] {
        let (here, there) = (local("192.0.2.10"), local("192.0.2.20"));
        let (we, they) = (can(ours, 1), can(peers, 101));
        let first = offer(&here, &we, None);
        assert_eq!(
            first.media[0].attributes("crypto").count(),
            4,
            "those whose tags are not cut short"
        );
        let (reply, agreed_there) = answer(&first, &there, &they, here.addr).unwrap();
        let agreed = complete(&first, &reply, &here, &we, there.addr).unwrap();
        let Some(proto) = expected else {
            assert_eq!((agreed.keys, agreed_there.keys), (None, None));
            continue;
        };
        assert_eq!(reply.media[0].proto.as_str(), proto);
        let (mine, other) = (agreed.keys.unwrap(), agreed_there.keys.unwrap());
        assert_eq!((mine.seal(), other.seal()), (&other.open()[0], &mine.open()[0]));
        assert_eq!(mine.seal().suite(), Suite::AeadAes256Gcm);
        // Again, as a refresh or a hold does it: the same keys.
        let again = offer(&here, &we, Some(&first));
        let (reply, _) = answer(&again, &there, &they, here.addr).unwrap();
        let kept = complete(&again, &reply, &here, &we, there.addr).unwrap();
        assert_eq!((again.media[0].proto.as_str(), kept.keys), (proto, Some(mine)));
        // And when the other side offers.
        let theirs = offer(&there, &they, Some(&reply));
        let (_, agreed) = answer(&theirs, &here, &we, there.addr).unwrap();
        assert_eq!(agreed.keys.unwrap().seal().expose(), [1; 44]);
    }
}

/// RFC 3711 9.1: it would begin with a roll-over counter of 0 again.
#[test]
fn a_key_that_was_in_use_does_not_come_back() {
    let (here, mut we) = (local("192.0.2.10"), can(Srtp::Required, 1));
    let lines = |suites: &[Suite]| -> Vec<String> {
        let line = |suite: &Suite| {
            let key = STANDARD.encode(vec![9; suite.key_octets() + suite.salt_octets()]);
            format!("1 {} inline:{key}", suite.name())
        };
        suites.iter().map(line).collect()
    };
    let mut change = |suites: &[Suite]| {
        let lines = lines(suites);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let offer = audio("RTP/SAVP", &lines);
        let agreed = answer(&offer, &here, &we, theirs()).map(|(_, agreed)| agreed)?;
        we.security.as_mut().unwrap().agreed(agreed.keys.as_deref());
        Ok(agreed.keys.unwrap().seal().suite())
    };
    let (first, second) = (Suite::AesCm128Sha1_80, Suite::AeadAes128Gcm);
    assert_eq!(change(&[first]), Ok(first));
    assert_eq!(change(&[first, second]), Ok(first), "a refresh");
    assert_eq!(change(&[second]), Ok(second));
    assert_eq!(change(&[first]), Err(NONE_USABLE));
    assert_eq!(change(&[first, second]), Ok(second));
    let again = offer(&here, &we, None);
    assert!(!again.to_string().contains(first.name()) && again.to_string().contains(second.name()));
    // Neither does one that only an early answer led to.
    let (mut we, early) = (can(Srtp::Required, 1), can(Srtp::Required, 101));
    let (_, agreed) = answer(&offer(&here, &early, None), &here, &we, theirs()).unwrap();
    let security = we.security.as_mut().unwrap();
    security.used(agreed.keys.as_deref());
    assert_eq!(agreed.keys.unwrap().seal().suite(), Suite::AeadAes256Gcm);
    security.agreed(None);
    assert_eq!(security.own(Suite::AeadAes256Gcm), None);
    assert!(security.own(Suite::AeadAes128Gcm).is_some());
}

#[test]
fn an_answer_belongs_to_the_offer_or_is_none() {
    let we = can(Srtp::Offered, 1);
    let must = can(Srtp::Required, 1);
    let done = |we: &Capabilities, proto: &str, line: &str| {
        let here = local("192.0.2.10");
        let first = offer(&here, we, None);
        let agreed = complete(&first, &audio(proto, &[line]), &here, we, theirs())?;
        Ok(agreed.keys.map(|keys| keys.seal().suite()))
    };
    let good = format!("4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    assert_eq!(done(&must, "RTP/SAVP", &good), Ok(Some(Suite::AesCm128Sha1_80)));
    // Some answer to lines beside RTP/AVP with RTP/SAVP: what is meant is clear.
    assert_eq!(done(&we, "RTP/SAVP", &good), Ok(Some(Suite::AesCm128Sha1_80)));
    for other in [
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("5 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("0 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("6 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
        "4".to_owned(),
    ] {
        assert_eq!(done(&must, "RTP/SAVP", &other), Err(NONE_ANSWERED), "{other}");
        assert_eq!(done(&must, "RTP/AVP", &other), Err(NONE_ANSWERED), "{other}");
        assert_eq!(done(&we, "RTP/AVP", &other), Ok(None), "{other}");
        assert_eq!(done(&we, "RTP/SAVP", &other), Err(NONE_ANSWERED), "{other}");
    }
    assert_eq!(done(&can(Srtp::Off, 1), "RTP/SAVP", &good), Err(NOT_ALLOWED));
    assert_eq!(done(&can(Srtp::Off, 1), "RTP/AVP", &good), Ok(None));
}

#[test]
fn no_key_is_printed() {
    let session = offer(&local("192.0.2.10"), &can(Srtp::Required, 1), None);
    let key = STANDARD.encode([1; 44]);
    assert!(session.to_string().contains(&key));
    let shown = format!(
        "{session:?} {:?} {:?}",
        can(Srtp::Required, 1),
        Crypto::parse(&format!("1 AEAD_AES_256_GCM inline:{key}"))
    );
    assert!(
        !shown.contains(&key[..20]) && !shown.contains("[1, 1") && shown.contains("***"),
        "{shown}"
    );
}
