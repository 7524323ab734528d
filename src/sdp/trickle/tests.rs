use super::*;
use crate::media::command::DtlsRole;
use proptest::prelude::*;

const NAMES: &str = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";

fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// An address of our media.
const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 200));

fn read(body: &str) -> Result<Option<Trickled>, SdpError> {
    Trickled::read(body.as_bytes(), Some(&["0", "1"]), OWN)
}

fn connect(ufrag: &str, lite: Option<Lite>) -> Connect {
    let credentials = |ufrag: &str| Credentials {
        ufrag: ufrag.into(),
        pwd: Secret::new("asd88fgpdd777uzjYhagZg"),
    };
    Connect {
        ours: credentials("ours"),
        theirs: credentials(ufrag),
        fingerprints: Vec::new(),
        role: DtlsRole::Server,
        lite,
    }
}

fn told(candidates: &[&str]) -> String {
    let lines: String = candidates
        .iter()
        .enumerate()
        .map(|(nth, at)| format!("a=candidate:{nth} 1 UDP 5 {at} typ host\r\n"))
        .collect();
    format!("{NAMES}m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{lines}")
}

/// The shape of figure 7 of RFC 8840, with what each line may be.
#[test]
fn a_fragment_is_read_as_the_rfc_writes_it() {
    let body = format!(
        "{NAMES}m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 UDP 2130706432 2001:db8::1 5000 typ host\r\n\
         a=candidate:1 2 UDP 2130706432 2001:db8::1 5001 typ host\r\na=Candidate:2 1 udp 1694498815 192.0.2.3 5010 typ srflx raddr 192.0.2.1 rport 8998\r\n\
         a=candidate:3 1 tcp 9 192.0.2.3 9 typ host tcptype active\r\na=candidate:4 1 udp 9 5d5d5f0c-3b5e.local 5 typ host\r\n\
         a=candidate:5 1 udp\r\na=candidate:1 1 UDP 2130706432 2001:db8::1 5000 typ host\r\na=later:x\r\na=end-of-candidates\r\n\
         m=audio 9 RTP/AVP 0\r\na=mid:2\r\na=candidate:1 1 UDP 9 192.0.2.9 5 typ host\r\n"
    );
    let one = read(&body).unwrap().unwrap();
    assert_eq!(&*one.of.ufrag, "8hhY");
    assert_eq!(one.lite.candidates, addrs(&["192.0.2.3:5010"]));
    assert!(!one.lite.trickles);
    // Names of the line come before those of all.
    let own = body.replace(
        "a=mid:0\r\n",
        "a=ICE-ufrag:other\r\na=ice-pwd:0123456789abcdefghijkl\r\na=mid:0\r\n",
    );
    assert_eq!(&*read(&own).unwrap().unwrap().of.ufrag, "other");
    // The end of all, and nothing more.
    let end = read(&format!("{NAMES}a=end-of-candidates\r\n")).unwrap().unwrap();
    assert!(!end.lite.trickles && end.lite.candidates.is_empty());
    // Candidates of lines that we do not have.
    assert_eq!(read(&body.replace("a=mid:0", "a=mid:7")), Ok(None));
    let any = Trickled::read(body.replace("a=mid:0", "a=mid:7").as_bytes(), None, OWN);
    assert!(any.unwrap().is_some_and(|told| told.lite.candidates.len() == 2));
    assert!(!format!("{one:?}").contains("asd88"), "{one:?}");
}

/// RFC 8840 4.4, RFC 8843 7.1.3: names stand in the line where the description has them, and the end may stand before all lines. A line of the same
/// bundle that has no names spoils nothing.
#[test]
fn names_stand_where_the_description_has_them() {
    let line = format!("m=audio 9 RTP/AVP 0\r\n{NAMES}a=mid:0\r\na=candidate:1 1 UDP 9 192.0.2.1 5000 typ host\r\n");
    let more = "m=video 9 RTP/AVP 0\r\na=mid:1\r\n";
    for (body, is_last) in [
        (format!("a=end-of-candidates\r\n{line}"), true),
        (
            format!("a=group:BUNDLE 0 1\r\n{line}{more}a=end-of-candidates\r\n"),
            false,
        ),
        (
            format!("{}a=end-of-candidates\r\n{line}", NAMES.replace("8hhY", "other")),
            true,
        ),
    ] {
        let told = read(&body).unwrap().unwrap();
        assert_eq!(
            (&*told.of.ufrag, told.lite.candidates, !told.lite.trickles),
            ("8hhY", addrs(&["192.0.2.1:5000"]), is_last),
            "{body}"
        );
    }
    assert_eq!(read(&format!("a=end-of-candidates\r\n{more}")), Err(UNNAMED));
}

/// By an address of ours nothing comes to another family; and a loopback is our own host's, whoever writes it.
#[test]
fn what_is_out_of_our_reach_is_no_candidate() {
    let there = [
        "192.0.2.1 5000",
        "2001:db8::1 5001",
        "127.0.0.1 5002",
        "::1 5003",
        "::ffff:192.0.2.2 5004",
        "::ffff:127.0.0.9 5005",
    ];
    let description = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n{}",
        &told(&there)[NAMES.len()..]
    );
    for (own, want) in [
        ("192.0.2.200", &["192.0.2.1:5000", "192.0.2.2:5004"][..]),
        ("2001:db8::200", &["[2001:db8::1]:5001"]),
        (
            "127.0.0.2",
            &["192.0.2.1:5000", "127.0.0.1:5002", "192.0.2.2:5004", "127.0.0.9:5005"],
        ),
        ("::1", &["[2001:db8::1]:5001", "[::1]:5003"]),
    ] {
        let own: IpAddr = own.parse().unwrap();
        let trickled = Trickled::read(told(&there).as_bytes(), None, own).unwrap().unwrap();
        assert_eq!(trickled.lite.candidates, addrs(want), "trickled to {own}");
        let session = Session::parse(description.as_bytes()).unwrap();
        let lite = lite(&session, &session.media[0], own).unwrap();
        assert_eq!(lite.candidates, addrs(want), "described to {own}");
    }
}

#[test]
fn what_is_no_fragment_is_refused_with_its_reason() {
    let good = told(&["192.0.2.1 5000"]);
    assert!(read(&good).unwrap().is_some());
    for (from, to, why) in [
        (NAMES, "", UNNAMED),
        ("a=ice-pwd:asd88fgpdd777uzjYhagZg\r\n", "", UNNAMED),
        ("8hhY", "8hh", UNNAMED),
        ("8hhY", "8h-hY", UNNAMED),
        ("uzjYhagZg", "uzjYha", UNNAMED),
        ("a=mid:0\r\n", "", NO_LINE),
    ] {
        let body = good.replacen(from, to, 1);
        assert_ne!(body, good, "{from}");
        assert_eq!(read(&body), Err(why), "{from}");
    }
    let many = "m=audio 9 RTP/AVP 0\r\n".repeat(limits::SDP_MEDIA + 1);
    let long = format!("{NAMES}a={}\r\n", "x".repeat(limits::SDP_LINE_BYTES));
    for body in [
        "",
        "v=0\r\n",
        "hello",
        "a=\0",
        "m=audio\r\n",
        "c=IN IP4 192.0.2.1\r\n",
        &many,
        &long,
    ] {
        assert_eq!(read(body).unwrap_err().status(), 400, "{body:.40}");
    }
}

/// RFC 8840 4.4: of another generation nothing is taken; RFC 8838 14: nor after the end. However many come, few are kept.
#[test]
fn only_what_is_new_and_of_this_generation_is_added() {
    let lite = |candidates: &[&str], trickles| {
        Some(Lite {
            candidates: addrs(candidates),
            trickles,
        })
    };
    let more = read(&told(&["192.0.2.1 5000", "192.0.2.2 5000"])).unwrap().unwrap();
    let mut one = connect("8hhY", lite(&["192.0.2.1:5000"], true));
    assert!(more.join(&mut one) && !more.join(&mut one), "once");
    assert_eq!(one.lite, lite(&["192.0.2.1:5000", "192.0.2.2:5000"], true));
    for mut other in [
        connect("8hhZ", lite(&[], true)),
        connect("8hhY", None),
        connect("8hhY", lite(&[], false)),
    ] {
        let before = other.clone();
        assert!(!more.join(&mut other), "{other:?}");
        assert_eq!(other, before);
    }
    let end = read(&format!("{NAMES}a=end-of-candidates\r\n")).unwrap().unwrap();
    assert!(end.join(&mut one));
    assert!(!read(&told(&["192.0.2.3 5000"])).unwrap().unwrap().join(&mut one));
    let flood: Vec<String> = (0..400)
        .map(|n| format!("192.0.2.{} {}", n % 250 + 1, 5_000 + n))
        .collect();
    let flood: Vec<&str> = flood.iter().map(String::as_str).collect();
    let mut two = connect("8hhY", lite(&[], true));
    for part in flood.chunks(50) {
        read(&told(part)).unwrap().unwrap().join(&mut two);
    }
    assert_eq!(two.lite.map(|lite| lite.candidates.len()), Some(limits::RTC_ADDRESSES));
    // What is told before both sides have described themselves is kept in the same way.
    let all = flood.chunks(50).fold(more.clone(), |mut all, part| {
        all.add(&read(&told(part)).unwrap().unwrap());
        all
    });
    assert_eq!(all.lite.candidates.len(), limits::RTC_ADDRESSES);
    assert_eq!(all.lite.candidates[..2], more.lite.candidates[..]);
    let (mut all, late) = (all, read(&told(&["192.0.2.77 7"])).unwrap().unwrap());
    assert!(all.add(&end) && !all.add(&late));
    assert!(!all.lite.trickles && !all.lite.candidates.contains(&addrs(&["192.0.2.77:7"])[0]));
}

proptest! {
    #[test]
    fn any_fragment_is_read_or_refused(lines in proptest::collection::vec("(a=candidate:1 1 udp 5 192.0.2.[1-9] [0-9]{1,5})|(a=mid:[01])|(m=audio 9 RTP/AVP 0)|(a=ice-(ufrag|pwd):[a-z]{4,30})|[ -~]{0,20}", 0..30), odd in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Trickled::read(&odd, None, OWN);
        if let Ok(Some(told)) = Trickled::read(lines.join("\r\n").as_bytes(), None, OWN) {
            let mut one = connect(&told.of.ufrag, Some(Lite { candidates: Vec::new(), trickles: true }));
            one.theirs = told.of.clone();
            told.join(&mut one);
            prop_assert!(one.lite.is_some_and(|lite| lite.candidates.len() <= limits::RTC_ADDRESSES));
        }
    }
}
