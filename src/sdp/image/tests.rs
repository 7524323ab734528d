use super::*;
use crate::media::command::OpusParams;
use crate::sdp::{OfferAnswer, capabilities, complete as complete_offer};
use proptest::prelude::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n";
const AUDIO: &str = "m=audio 0 RTP/AVP 8 0\r\n";
/// As in ITU-T T.38 D.2.3, with what vendors write, and what is none of the fax.
const FAX: &str = "m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval:0\r\n\
    a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:260\r\na=T38FaxMaxDatagram:316\r\na=t38FaxUdpEC:t38UDPRedundancy\r\n\
    a=T38VendorInfo:0 0 0\r\na=T38FaxTranscodingMMR\r\na=rtcp:4003\r\na=ice-ufrag:x\r\n";
const CARRIED: [&str; 9] = [
    "T38FaxVersion:0",
    "T38MaxBitRate:14400",
    "T38FaxFillBitRemoval:0",
    "T38FaxRateManagement:transferredTCF",
    "T38FaxMaxBuffer:260",
    "T38FaxMaxDatagram:316",
    "t38FaxUdpEC:t38UDPRedundancy",
    "T38VendorInfo:0 0 0",
    "T38FaxTranscodingMMR",
];

fn read(lines: &str) -> Session<'static> {
    Session::parse(format!("{HEAD}{lines}").as_bytes())
        .unwrap()
        .into_owned()
}

fn peer() -> IpAddr {
    "192.0.2.20".parse().unwrap()
}

fn leg() -> OfferAnswer {
    let can = capabilities(&[Codec::Pcma, Codec::Pcmu], OpusParams::default());
    OfferAnswer::new("192.0.2.1".parse().unwrap(), 20_000, 14, can)
}

fn words(lines: &str) -> Image {
    Image::of(&read(lines)).unwrap().unwrap()
}

/// The m-lines and the attributes of the one that is up.
fn lines(body: &[u8]) -> (Vec<String>, Vec<String>) {
    let text = std::str::from_utf8(body).unwrap();
    let heads = text.lines().filter_map(|line| line.strip_prefix("m="));
    let session = Session::parse(body).unwrap();
    let up = session.media.iter().find(|media| media.port != 0).unwrap();
    let attribute = |a: &Attribute<'_>| match &a.value {
        Some(value) => format!("{}:{value}", a.name),
        None => a.name.to_string(),
    };
    (
        heads.map(str::to_owned).collect(),
        up.attributes.iter().map(attribute).collect(),
    )
}

/// A leg whose audio is agreed.
fn talking() -> OfferAnswer {
    let mut oa = leg();
    oa.offer(Direction::SendRecv);
    oa.complete(&read("m=audio 4000 RTP/AVP 8\r\n"), peer()).unwrap();
    oa
}

#[test]
fn a_fax_is_known_in_each_of_its_forms() {
    for (form, is_fax) in [
        (FAX.to_owned(), true),
        (format!("{AUDIO}{FAX}"), true),
        (format!("{FAX}{AUDIO}"), true),
        (format!("m=video 0 RTP/AVP 31\r\n{FAX}"), true),
        (FAX.replace("udptl", "UDPTL").replace(" t38", " T38"), true),
        (FAX.replace("m=image", "m=IMAGE"), true),
        // Audio is up: that is taken.
        (format!("m=audio 4000 RTP/AVP 8\r\n{FAX}"), false),
        (format!("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n{FAX}"), false),
        (FAX.replace("4002", "0"), false),
        (FAX.replace("udptl", "TCP"), false),
        (FAX.replace("udptl", "UDP/TLS/UDPTL"), false),
        (FAX.replace("udptl", "tcptl"), false),
        (FAX.replace("m=image 4002 udptl t38", "m=image 4002 udptl"), false),
        (FAX.replace("m=image 4002 udptl t38", "m=image 4002 udptl fax"), false),
        (FAX.replace("m=image", "m=audio"), false),
        (AUDIO.to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(Image::of(&read(&form)).unwrap().is_some(), is_fax, "{form}");
    }
}

#[test]
fn what_is_said_of_it_is_carried_as_it_came_and_where_it_is_is_ours() {
    let mut oa = talking();
    oa.turn_to(Some(words(FAX)));
    let offered = oa.offer(Direction::SendRecv);
    assert!(oa.is_turning() && !oa.is_fax());
    let (heads, said) = lines(&offered);
    assert_eq!(heads, ["image 20000 udptl t38"], "in the place of the audio");
    assert_eq!(said, CARRIED);
    let text = std::str::from_utf8(&offered).unwrap();
    assert!(
        text.contains("c=IN IP4 192.0.2.1\r\n") && !text.contains("192.0.2.20"),
        "{text}"
    );
    // The answer may say less, and elsewhere.
    let answer = read(
        "m=image 4008 UDPTL t38\r\nc=IN IP4 192.0.2.21\r\na=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n",
    );
    oa.complete(&answer, peer()).unwrap();
    assert!(oa.is_fax() && !oa.is_turning());
    let agreed = oa.agreed().unwrap();
    assert_eq!(agreed.remote.rtp, "192.0.2.21:4008".parse().unwrap());
    assert_eq!(
        (agreed.stream.udptl, agreed.stream.sends, agreed.stream.receives),
        (true, true, true)
    );
    assert_eq!(oa.image().unwrap().attributes.len(), 2);
}

#[test]
fn an_offer_is_answered_in_its_own_form() {
    let theirs = words("m=image 9 udptl t38\r\na=T38FaxVersion:0\r\n");
    for (form, heads) in [
        (FAX.to_owned(), vec!["image 20000 udptl t38"]),
        (
            format!("{AUDIO}{FAX}"),
            vec!["audio 0 RTP/AVP 8 0", "image 20000 udptl t38"],
        ),
        (
            format!("{FAX}{AUDIO}"),
            vec!["image 20000 udptl t38", "audio 0 RTP/AVP 8 0"],
        ),
        (FAX.replace("udptl", "UDPTL"), vec!["image 20000 UDPTL t38"]),
    ] {
        let mut oa = talking();
        assert_eq!(
            oa.answer(&read(&form), Direction::SendRecv, peer())
                .unwrap_err()
                .status(),
            488
        );
        oa.turn_to(Some(theirs.clone()));
        let answer = oa.answer(&read(&form), Direction::SendRecv, peer()).unwrap();
        let (answered, said) = lines(&answer);
        assert_eq!(
            (answered, said),
            (
                heads.iter().map(|head| (*head).to_owned()).collect(),
                vec!["T38FaxVersion:0".to_owned()]
            )
        );
        assert_eq!(oa.agreed().unwrap().remote.rtp, "192.0.2.20:4002".parse().unwrap());
        // A refresh of ours says the same, and a new offer too.
        assert_eq!(oa.repeat(), answer);
        oa.withdraw();
        assert!(oa.is_fax());
        assert_eq!(lines(&oa.offer(Direction::SendRecv)), lines(&answer));
    }
}

#[test]
fn the_audio_comes_back_in_its_place() {
    for (form, fax, audio) in [
        (FAX.to_owned(), 1, "audio 20000 RTP/AVP 8 0 101"),
        (format!("{AUDIO}{FAX}"), 2, "audio 20000 RTP/AVP 8 0 101"),
    ] {
        let mut oa = talking();
        oa.turn_to(Some(words(&form)));
        assert_eq!(lines(&oa.offer(Direction::SendRecv)).0.len(), fax);
        let answer = if fax == 1 {
            FAX.to_owned()
        } else {
            format!("{AUDIO}{FAX}")
        };
        oa.complete(&read(&answer), peer()).unwrap();
        oa.turn_to(None);
        let back = oa.offer(Direction::SendRecv);
        assert!(oa.is_turning());
        assert_eq!(lines(&back).0[0], audio);
        assert_eq!(lines(&back).0.len(), fax);
        let answer = if fax == 1 {
            "m=audio 4000 RTP/AVP 0\r\n"
        } else {
            "m=audio 4000 RTP/AVP 0\r\nm=image 0 udptl t38\r\n"
        };
        oa.complete(&read(answer), peer()).unwrap();
        assert_eq!((oa.is_fax(), oa.agreed().unwrap().stream.codec), (false, Codec::Pcmu));
        assert_eq!(oa.wish(), Direction::SendRecv);
        // And by the peer's own offer, in either form.
        let mut oa = talking();
        oa.turn_to(Some(words(&form)));
        oa.answer(&read(&form), Direction::SendRecv, peer()).unwrap();
        oa.answer(&read("m=audio 4000 RTP/AVP 8\r\n"), Direction::SendRecv, peer())
            .unwrap();
        assert!(!oa.is_fax());
        assert_eq!(
            oa.answer(&read(FAX), Direction::SendRecv, peer()).unwrap_err().status(),
            488
        );
    }
}

#[test]
fn a_refused_fax_leaves_the_audio_as_it_was() {
    let mut oa = talking();
    oa.turn_to(Some(words(FAX)));
    oa.offer(Direction::SendRecv);
    let before = oa.agreed().cloned();
    for (answer, status) in [
        ("m=image 0 udptl t38\r\n", 488),
        ("m=audio 4000 RTP/AVP 8\r\n", 488),
        ("m=image 4002 TCP t38\r\n", 488),
        ("", 400),
    ] {
        assert_eq!(
            oa.complete(&read(answer), peer()).unwrap_err().status(),
            status,
            "{answer}"
        );
    }
    oa.withdraw();
    assert_eq!(oa.agreed(), before.as_ref());
    assert_eq!(lines(&oa.offer(Direction::SendRecv)).0, ["audio 20000 RTP/AVP 8 0 101"]);
    // Taken by a 2xx that says nothing of use: the audio has to be offered anew, in the place that the image had.
    oa.withdraw();
    oa.turn_to(Some(words(FAX)));
    oa.offer(Direction::SendRecv);
    oa.spoil();
    assert_eq!(lines(&oa.offer(Direction::SendRecv)).0, ["audio 20000 RTP/AVP 8 0 101"]);
}

/// RFC 3264 8: the version goes up with each change, and only then.
#[test]
fn each_change_has_a_version_of_its_own() {
    let version = |body: &[u8]| Session::parse(body).unwrap().origin.version.parse::<u64>().unwrap();
    let mut oa = talking();
    oa.turn_to(Some(words(FAX)));
    let first = version(&oa.offer(Direction::SendRecv));
    oa.complete(&read(FAX), peer()).unwrap();
    assert_eq!(version(&oa.offer(Direction::SendRecv)), first);
    oa.complete(&read(FAX), peer()).unwrap();
    oa.turn_to(None);
    assert_eq!(version(&oa.offer(Direction::SendRecv)), first + 1);
}

#[test]
fn a_direction_is_answered_and_nothing_goes_to_no_address() {
    let held = FAX.to_owned() + "a=sendonly\r\n";
    let mut oa = talking();
    oa.turn_to(Some(words("m=image 9 udptl t38\r\na=recvonly\r\n")));
    let answer = oa.answer(&read(&held), Direction::SendRecv, peer()).unwrap();
    assert_eq!(lines(&answer).1, ["recvonly"]);
    let stream = oa.agreed().unwrap().stream;
    assert_eq!((stream.sends, stream.receives), (false, true));
    let nowhere = FAX.replace("t38\r\n", "t38\r\nc=IN IP4 0.0.0.0\r\n");
    oa.answer(&read(&nowhere), Direction::SendRecv, peer()).unwrap();
    assert!(!oa.agreed().unwrap().stream.sends);
}

#[test]
fn more_than_is_carried_is_refused() {
    let many = |count: usize| FAX.to_owned() + &"a=T38Vendor:1\r\n".repeat(count);
    let most = limits::SDP_T38 - CARRIED.len();
    assert!(Image::of(&read(&many(most))).is_ok());
    let error = Image::of(&read(&many(most + 1))).unwrap_err();
    assert_eq!(error.status(), 488);
    let long = format!("{FAX}a=T38VendorInfo:{}\r\n", "x".repeat(limits::SDP_T38_BYTES));
    assert_eq!(Image::of(&read(&long)).unwrap_err(), error);
    let mut oa = talking();
    oa.turn_to(Some(words(FAX)));
    assert_eq!(oa.answer(&read(&long), Direction::SendRecv, peer()).unwrap_err(), error);
    // What is not carried is not counted.
    let other = FAX.to_owned() + &"a=x:1\r\n".repeat(500);
    assert_eq!(words(&other), words(FAX));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let local = Local {
        addr: "192.0.2.1".parse().unwrap(),
        port: 20_000,
        session_id: 1,
        version: 1,
        direction: Direction::SendRecv,
    };
    assert_eq!(acceptable_fax(&read(FAX), &local), Ok(()));
    assert_eq!(acceptable_fax(&read(AUDIO), &local), Err(NO_FAX));
    for (line, status) in [
        ("c=IN IP4 fax.example.com", 488),
        ("c=IN IP4 224.2.1.1/127", 488),
        ("c=IN IP6 2001:db8::1", 488),
        ("c=ATM - -", 488),
    ] {
        let elsewhere = FAX.replace("t38\r\n", &format!("t38\r\n{line}\r\n"));
        assert_eq!(
            acceptable_fax(&read(&elsewhere), &local).unwrap_err().status(),
            status,
            "{line}"
        );
    }
    let nowhere = Session::parse(b"v=0\r\nm=image 4002 udptl t38\r\n")
        .unwrap()
        .into_owned();
    assert_eq!(acceptable_fax(&nowhere, &local).unwrap_err().status(), 400);
    let audio = crate::sdp::offer(&local, &capabilities(&[Codec::Pcma], OpusParams::default()), None);
    let can = capabilities(&[Codec::Pcma], OpusParams::default());
    assert!(
        complete_offer(&audio, &read(FAX), &local, &can, peer()).is_err(),
        "a fax is no answer to audio"
    );
}

proptest! {
    /// Whatever comes: what we write of it can be read, has nothing of the other side's address, and is a fax again with the same words.
    #[test]
    fn garbage_is_carried_or_refused(
        before in prop::sample::select(vec!["", AUDIO, "m=video 0 RTP/AVP 31\r\n", "m=image 0 udptl t38\r\n"]),
        port in any::<u16>(),
        proto in "(udptl|UDPTL|tcp|[!-~]{1,8})",
        attributes in proptest::collection::vec("(T38|t38|T3)[A-Za-z]{0,12}(:[ -~]{0,40})?", 0..30),
    ) {
        prop_assume!(port != 0);
        let rest: String = attributes.iter().map(|line| format!("a={line}\r\n")).collect();
        let session = read(&format!("{before}m=image {port} {proto} t38\r\n{rest}"));
        let mut oa = talking();
        match Image::of(&session) {
            Err(error) => prop_assert_eq!(error.status(), 488),
            Ok(None) => prop_assert_eq!(oa.answer(&session, Direction::SendRecv, peer()).unwrap_err().status(), 488),
            Ok(Some(words)) => {
                oa.turn_to(Some(words.clone()));
                let offered = oa.offer(Direction::SendRecv);
                let again = Image::of(&Session::parse(&offered).unwrap()).unwrap().unwrap();
                prop_assert!(again.says_what(&words));
                oa.withdraw();
                oa.turn_to(Some(words));
                prop_assert!(oa.answer(&session, Direction::SendRecv, peer()).is_ok());
            }
        }
    }
}
