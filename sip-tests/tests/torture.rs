//! RFC 4475 and RFC 5118: what the parser makes of each torture message, judged by the oracles in fixtures/sip/torture.
//!
//! "The parser" is `Message::parse` and `Message::check` together: a message is accepted, or refused with a status. What
//! an element does with a message that was accepted (401, 420, 483, ...) is tested where it is decided.

use bytes::{Bytes, BytesMut};
use serde_yaml::Value;
use std::net::IpAddr;
use tandem::sip::frame::{self, Frame};
use tandem::sip::header::NameAddr;
use tandem::sip::uri::{Scheme, unescape};
use tandem::sip::{Draft, Host, Message, Method, Name, Via};

fn read(path: &str) -> Bytes {
    let path = format!("{}/../fixtures/sip/torture/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .into()
}

fn rfc4475(name: &str) -> Message {
    Message::parse(read(&format!("rfc4475/{name}.dat"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rfc5118(name: &str) -> Message {
    Message::parse(read(&format!("rfc5118-fixed/{name}.dat"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What the parser says: `None` accepts, else the status.
fn outcome(bytes: Bytes) -> Option<u16> {
    Message::parse(bytes)
        .and_then(|message| message.check())
        .err()
        .map(|error| error.status)
}

/// The statuses that a role's line in an oracle names, and whether it prefers one.
fn role<'a>(entry: &'a Value, name: &str) -> (Vec<u16>, Option<&'a Value>) {
    let role = &entry[name];
    let codes = role["codes"].as_sequence().into_iter().flatten();
    (
        codes.filter_map(|code| u16::try_from(code.as_u64()?).ok()).collect(),
        role.get("first"),
    )
}

/// Judges one message by its entry.
fn judge(entry: &Value, bytes: Bytes) -> Result<(), String> {
    let found = outcome(bytes);
    let parse = entry["parse"].as_str().expect("each entry says how it parses");
    let roles: &[&str] = if parse == "accept" {
        &["any", "udp"]
    } else {
        &["any", "udp", "registrar", "uas"]
    };
    let mut codes = Vec::new();
    let mut preferred = None;
    for name in roles {
        let (more, first) = role(entry, name);
        codes.extend(more);
        preferred = preferred.or(first);
    }
    let is_response = entry["kind"].as_str() == Some("response");
    let is_right = match (parse, found) {
        // Statuses that a parser can know of: syntax, scheme, version. The others are for an element.
        ("accept", None) => !preferred.is_some_and(|first| [400, 416].iter().any(|status| *first == *status)),
        ("reject", Some(_)) if is_response => true,
        ("accept" | "reject" | "either", Some(status)) => {
            codes.contains(&status) && preferred.is_none_or(|first| *first == status)
        }
        ("either", None) => preferred.is_none_or(|first| first == "normal"),
        ("reject", None) => false,
        (other, _) => return Err(format!("the oracle says `parse: {other}`")),
    };
    if is_right {
        Ok(())
    } else {
        Err(format!(
            "{}: {found:?}, oracle {entry:?}",
            entry["file"].as_str().unwrap_or("?")
        ))
    }
}

fn judge_all(oracle: &str, folder: &str, count: usize) {
    let oracle: Value = serde_yaml::from_slice(&read(oracle)).expect("the oracle is YAML");
    let entries = oracle["messages"].as_sequence().expect("the oracle has messages");
    let files = entries
        .iter()
        .map(|entry| entry["file"].as_str().expect("each entry names a file"));
    let verdicts = entries
        .iter()
        .zip(files)
        .map(|(entry, file)| judge(entry, read(&format!("{folder}/{file}"))));
    let wrong: Vec<String> = verdicts.filter_map(Result::err).collect();
    assert_eq!(entries.len(), count);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_message_of_rfc_4475_is_judged_as_the_rfc_says() {
    judge_all("torture.yaml", "rfc4475", 50);
}

#[test]
fn each_message_of_rfc_5118_is_judged_as_the_rfc_says() {
    judge_all("torture5118.yaml", "rfc5118-fixed", 12);
}

#[test]
fn the_repaired_baddn_is_refused_for_its_display_name() {
    let message = Message::parse(read("rfc4475-fixed/baddn.dat")).unwrap();
    assert_eq!(message.check(), message.from().map(|_| ()));
    assert_eq!(message.from().unwrap_err().status, 400);
}

/// Bare LF is read; the two without an empty line at the end, and those whose Content-Length is too large, are refused.
#[test]
fn rfc_5118_as_published_with_bare_line_feeds() {
    for (name, status) in [
        ("ipv6-good", None),
        ("ipv6-bad", Some(400)),
        ("port-ambiguous", None),
        ("port-unambiguous", None),
        ("via-received-param-with-delim", None),
        ("via-received-param-no-delim", None),
        ("ipv6-in-sdp", Some(400)),
        ("mult-ip-in-header", None),
        ("mult-ip-in-sdp", Some(400)),
        ("ipv4-mapped-ipv6", None),
        ("ipv6-bug-abnf-3-colons", Some(400)),
        ("ipv6-correct-abnf-2-colons", Some(400)),
    ] {
        assert_eq!(outcome(read(&format!("rfc5118/{name}"))), status, "{name}");
    }
}

#[test]
fn wsinv_3_1_1_1() {
    let message = rfc4475("wsinv");
    let vias: Vec<Via> = message
        .all(Name::Via)
        .iter()
        .map(|via| Via::parse(via).unwrap())
        .collect();
    let hosts: Vec<String> = vias.iter().map(|via| via.host.to_string()).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    assert_eq!(vias[0].branch(), Some("390skdjuw"));
    assert_eq!(vias[2].branch(), Some("z9hG4bK30239"));
    assert_eq!(message.number(Name::MaxForwards), Some(Ok(68)));
    assert_eq!(message.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!(message.to().unwrap().tag(), Some("1918181833n"));
    let from = message.from().unwrap();
    assert_eq!(from.display.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(from.tag(), Some("98asjd8"));
    assert_eq!(message.all_named("Subject"), [""]);
    assert_eq!(
        message.all_named("newfangledheader"),
        ["newfangled value continued newfangled value"]
    );
    assert_eq!(message.all_named("UnknownHeaderWithUnusualValue"), [";;,,;;,;"]);
    let contact = &message.addresses(Name::Contact).unwrap()[0];
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.value("q"), Some("0.33"));
    assert_eq!(contact.params.value("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("secondparam"), Some(None));
    let route = &message.addresses(Name::Route).unwrap()[0].uri;
    assert!(route.is_loose());
    assert_eq!(route.params.value("unknownwith"), Some("value"));
    assert_eq!(route.params.get("unknown-no-value"), Some(None));
    assert_eq!(message.content_type().as_deref(), Some("application/sdp"));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn intmeth_3_1_1_2() {
    let message = rfc4475("intmeth");
    assert_eq!(
        message.method(),
        Method::Other("!interesting-Method0123456789_*+`.%indeed'~".into())
    );
    let uri = message.request_uri().unwrap();
    assert_eq!(
        uri.user.as_deref(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        uri.password.as_deref(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    assert_eq!(uri.host, Host::Name("example.com".into()));
    assert_eq!(
        message.to().unwrap().display.as_deref(),
        Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
    );
    let from = message.from().unwrap();
    assert_eq!(from.display.as_deref(), Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(from.params.value("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(message.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(message.all_named("extensionHeader-!.%*+_`'~"), ["\u{feff}大停電"]);
}

#[test]
fn esc01_3_1_1_3() {
    let message = rfc4475("esc01");
    let uri = message.request_uri().unwrap();
    assert_eq!(uri.user_decoded().as_deref(), Some("sips:user@example.com"));
    assert_eq!((uri.scheme, uri.host), (Scheme::Sip, Host::Name("example.net".into())));
    assert!(
        message
            .to()
            .unwrap()
            .uri
            .same_as(&NameAddr::parse("sip:user@example.com").unwrap().uri)
    );
    assert_eq!(
        message.from().unwrap().uri.user_decoded().as_deref(),
        Some("I have spaces")
    );
    let contact = &message.addresses(Name::Contact).unwrap()[0].uri;
    assert_eq!(contact.user_decoded().as_deref(), Some("caller"));
    assert!(contact.is_loose());
    assert_eq!(unescape(contact.params.value("name").unwrap()), "value%41");
}

#[test]
fn escnull_3_1_1_4() {
    let message = rfc4475("escnull");
    assert_eq!(
        message.to().unwrap().uri.user_decoded().as_deref(),
        Some("null-\0-null")
    );
    let contacts = message.addresses(Name::Contact).unwrap();
    let users: Vec<_> = contacts
        .iter()
        .filter_map(|contact| contact.uri.user_decoded())
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
    assert!(!contacts[0].uri.same_as(&contacts[1].uri));
    assert_eq!(contacts[0].uri.user.as_deref(), Some("%00"));
}

#[test]
fn esc02_3_1_1_5() {
    let message = rfc4475("esc02");
    assert_eq!(message.method(), Method::Other("RE%47IST%45R".into()));
    assert_eq!(message.to().unwrap().display.as_deref(), Some("%Z%45"));
    assert_eq!(message.addresses(Name::Contact).unwrap().len(), 2);
    assert_eq!(message.all_named("C%6Fntact").len(), 1);
}

#[test]
fn lwsdisp_3_1_1_6() {
    let from = rfc4475("lwsdisp").from().unwrap();
    assert_eq!(from.display.as_deref(), Some("caller"));
    assert_eq!(
        (from.uri.to_string().as_str(), from.tag()),
        ("sip:caller@example.com", Some("323"))
    );
}

#[test]
fn longreq_3_1_1_7() {
    let message = rfc4475("longreq");
    assert_eq!(message.bytes().len(), 3515);
    let vias: Vec<Via> = message
        .all(Name::Via)
        .iter()
        .map(|via| Via::parse(via).unwrap())
        .collect();
    assert_eq!(vias.len(), 34);
    assert_eq!(vias[0].host.to_string(), "sip33.example.com");
    assert!(vias[0].branch().is_none());
    assert_eq!(vias[33].received(), "192.0.2.5".parse::<IpAddr>().ok());
    let to = message.to().unwrap().uri;
    assert_eq!((to.port, to.params.0.len()), (Some(6000), 3));
}

/// RFC 4475 3.1.1.8: in a datagram the second request is no request; on a stream it is.
#[test]
fn dblreq_3_1_1_8() {
    let message = rfc4475("dblreq");
    assert_eq!(message.check(), Ok(()));
    assert!(message.body().is_empty());
    assert_eq!(message.method(), Method::Register);
    let mut stream = BytesMut::from(message.bytes().as_ref());
    let mut methods = Vec::new();
    // The second body is longer than it says, so what follows it is an error.
    while let Ok(Some(frame)) = frame::next(&mut stream) {
        match frame {
            Frame::Message(bytes) => methods.push(Message::parse(bytes).unwrap().method()),
            // The octets between the two requests, which a stream sees as a keep-alive.
            Frame::Ping | Frame::Pong => {}
        }
    }
    assert_eq!(methods, [Method::Register, Method::Invite]);
}

#[test]
fn semiuri_3_1_1_9_and_transports_3_1_1_10() {
    let message = rfc4475("semiuri");
    let uri = message.request_uri().unwrap();
    assert_eq!(uri.user_decoded().as_deref(), Some("user;par=u@example.net"));
    assert_eq!((uri.host.to_string().as_str(), uri.params.0.len()), ("example.com", 0));
    assert_eq!(message.all(Name::Accept).len(), 6);

    let message = rfc4475("transports");
    let vias = message.all(Name::Via);
    let named: Vec<_> = vias.iter().map(|via| Via::parse(via).unwrap().transport).collect();
    assert_eq!(named, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"].map(Box::from));
    let response = Draft::response(&message, 200, Some("x")).to_message().unwrap();
    assert_eq!(response.all(Name::Via), vias);
}

#[test]
fn mpart01_3_1_1_11() {
    let message = rfc4475("mpart01");
    assert_eq!(message.body().len(), 553);
    assert!(message.body().contains(&0));
    assert_eq!(message.top_via().unwrap().params.get("rport"), Some(None));
    assert!(!message.addresses(Name::Route).unwrap()[0].uri.is_loose());
    assert_eq!(message.content_type().as_deref(), Some("multipart/mixed"));
}

#[test]
fn reason_phrases_3_1_1_12_and_3_1_1_13() {
    let message = rfc4475("unreason");
    assert_eq!((message.status(), message.is_request()), (200, false));
    assert!(message.reason().starts_with("= 2**3 * 5**2 ") && message.reason().ends_with("простое"));
    assert_eq!((rfc4475("noreason").status(), rfc4475("noreason").reason()), (100, ""));
}

/// A status is answered in full even where the request is not understood: Via, From, To, Call-ID and CSeq are echoed.
#[test]
fn a_refused_request_can_be_answered() {
    for name in [
        "badvers",
        "lwsruri",
        "lwsstart",
        "trws",
        "ltgtruri",
        "escruri",
        "mismatch01",
        "multi01",
        "unkscm",
    ] {
        let message = rfc4475(name);
        let error = message.check().unwrap_err();
        let answer = Draft::response(&message, error.status, Some("tag"))
            .to_message()
            .unwrap();
        assert_eq!(answer.status(), error.status, "{name}");
        for field in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
            assert_eq!(answer.get(field), message.get(field), "{name}");
        }
        assert!(answer.to().unwrap().tag().is_some(), "{name}");
    }
}

#[test]
fn contacts_3_3_12_to_3_3_14() {
    let contact = |name| rfc4475(name).addresses(Name::Contact).unwrap().remove(0);
    let of_header = contact("cparam01");
    assert_eq!(of_header.uri.to_string(), "sip:+19725552222@gw1.example.net");
    assert_eq!(of_header.params.get("unknownparam"), Some(None));
    let of_uri = contact("cparam02");
    assert_eq!(of_uri.uri.to_string(), "sip:+19725552222@gw1.example.net;unknownparam");
    assert!(of_uri.params.0.is_empty());
    assert_eq!(
        contact("regescrt").uri.headers.as_deref(),
        Some("Route=%3Csip:sip.example.com%3E")
    );
}

#[test]
fn options_and_old_requests() {
    let message = rfc4475("bext01");
    assert_eq!(
        message.all(Name::Require),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(
        message.all(Name::ProxyRequire),
        ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]
    );
    assert_eq!(rfc4475("zeromf").number(Name::MaxForwards), Some(Ok(0)));
    assert!(!rfc4475("sdp01").has_token(Name::Accept, "application/sdp"));
    let message = rfc4475("inv2543");
    assert_eq!(message.body().len(), 105);
    assert!(message.from().unwrap().tag().is_none() && message.top_via().unwrap().branch().is_none());
}

/// What a stream makes of the messages with a wrong length: wait, or end the connection (RFC 3261 18.3).
#[test]
fn wrong_lengths_on_a_stream() {
    let frame = |name: &str| frame::next(&mut BytesMut::from(rfc4475(name).bytes().as_ref()));
    assert_eq!(frame("clerr"), Ok(None));
    assert_eq!(frame("ncl").unwrap_err().status, 400);
    assert_eq!(frame("mcl01").unwrap_err().status, 400);
}

#[test]
fn rfc_5118_addresses() {
    let host = |address: &str| Host::V6(address.parse().expect("an IPv6 address"));
    let uri = |name: &str| rfc5118(name).request_uri().unwrap();
    assert_eq!(
        (uri("ipv6-good").host, uri("ipv6-good").port),
        (host("2001:db8::10"), None)
    );
    assert_eq!(rfc5118("ipv6-good").top_via().unwrap().host, host("2001:db8::9:1"));
    assert_eq!(
        rfc5118("ipv6-good").addresses(Name::Contact).unwrap()[0].uri.host,
        host("2001:db8::1")
    );
    assert_eq!(
        (uri("port-ambiguous").host, uri("port-ambiguous").port),
        (host("2001:db8::10:5070"), None)
    );
    assert_eq!(
        (uri("port-unambiguous").host, uri("port-unambiguous").port),
        (host("2001:db8::10"), Some(5070))
    );
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        assert_eq!(
            rfc5118(name).top_via().unwrap().received(),
            "2001:db8::9:255".parse().ok(),
            "{name}"
        );
    }
    let vias: Vec<Via> = rfc5118("mult-ip-in-header")
        .all(Name::Via)
        .iter()
        .map(|via| Via::parse(via).unwrap())
        .collect();
    assert_eq!((vias[0].port, &*vias[2].transport), (Some(6050), "TCP"));
    assert_eq!(vias[2].received(), "192.0.2.200".parse().ok());
    let mapped = rfc5118("ipv4-mapped-ipv6");
    let via = mapped.top_via().unwrap();
    assert_eq!((via.host, via.port), (host("::ffff:192.0.2.10"), Some(19823)));
    for name in ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"] {
        assert_eq!(uri(name).host, host("2001:db8::192.0.2.1"), "{name}");
    }
}
