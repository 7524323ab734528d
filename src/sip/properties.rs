//! Property tests of the whole of `sip`: round trips, rsip as the oracle, and octets of any kind.

use super::auth::{challenges, credentials};
use super::frame::{self, Frame};
use super::write::Start;
use super::{Draft, Host, Message, Method, Name, NameAddr, Params, Uri, Via};
use crate::sip::uri::Scheme;
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HeadersExt;

const INVITE: &[u8] = include_bytes!("../../fixtures/sip/invite-900.sip");
const TOKEN: &str = "[A-Za-z0-9.!%*_+`'~-]{1,12}";

fn boxed(regex: &'static str) -> impl Strategy<Value = Box<str>> {
    regex.prop_map(String::into_boxed_str)
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        boxed("[a-z][a-z0-9_-]{0,8}(\\.[a-z0-9-]{1,8}){0,3}").prop_map(Host::Name),
        any::<[u8; 4]>().prop_map(|octets| Host::V4(octets.into())),
        any::<[u16; 8]>().prop_map(|words| Host::V6(words.into())),
    ]
}

/// RFC 3261 19.1.1: a name occurs once.
fn uri_params() -> impl Strategy<Value = Params> {
    let value = option::of(boxed("[a-zA-Z0-9%=+&$/:\\[\\].-]{0,8}"));
    vec((boxed("[a-zA-Z0-9%+&$/:.-]{1,8}"), value), 0..4).prop_map(|list| {
        let mut params = Params::default();
        for (name, value) in list {
            params.set(&name, value.as_deref());
        }
        params
    })
}

fn header_params() -> impl Strategy<Value = Params> {
    vec(
        (
            boxed(TOKEN),
            option::of(any::<String>().prop_map(String::into_boxed_str)),
        ),
        0..4,
    )
    .prop_map(Params)
}

fn sip_uri() -> impl Strategy<Value = Uri> {
    let user = boxed("([A-Za-z0-9_.!~*'()&=+$,;?/#-]|%[0-9A-Fa-f]{2}){1,12}");
    let password = option::of(boxed("([A-Za-z0-9&=+$,:]|%[0-9A-F]{2}){0,6}"));
    (
        prop_oneof![Just(Scheme::Sip), Just(Scheme::Sips)],
        option::of((user, password)),
        host(),
        option::of(any::<u16>()),
        uri_params(),
        option::of(boxed("[a-zA-Z0-9=&%;?.-]{0,16}")),
    )
        .prop_map(|(scheme, userinfo, host, port, params, headers)| {
            let (user, password) = userinfo.map_or((None, None), |(user, password)| (Some(user), password));
            Uri {
                scheme,
                user,
                password,
                host,
                port,
                params,
                headers,
            }
        })
}

fn any_uri() -> impl Strategy<Value = Uri> {
    let tel = ("\\+?[0-9.()-]{0,6}[0-9]{1,6}", uri_params()).prop_map(|(number, params)| {
        let read = Uri::parse(&format!("tel:{number}")).unwrap();
        Uri { params, ..read }
    });
    let other = "(urn|http|isbn|a+b-c\\.d):[a-zA-Z0-9/:?;@.]{0,16}".prop_map(|text| Uri::parse(&text).unwrap());
    prop_oneof![4 => sip_uri(), 1 => tel, 1 => other]
}

fn name_addr() -> impl Strategy<Value = NameAddr> {
    let display = option::of(any::<String>().prop_map(String::into_boxed_str));
    (display, any_uri(), header_params()).prop_map(|(display, uri, params)| NameAddr { display, uri, params })
}

fn via() -> impl Strategy<Value = Via> {
    (
        boxed("[A-Z]{2,4}(-[A-Z]{2,4})?"),
        host(),
        option::of(any::<u16>()),
        header_params(),
    )
        .prop_map(|(transport, host, port, params)| Via {
            transport,
            host,
            port,
            params,
        })
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Invite),
        Just(Method::Ack),
        TOKEN.prop_map(|name| Method::from(name.as_str()))
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let request = (method(), any_uri()).prop_map(|(method, uri)| Start::Request(method, uri));
    let response = (100u16..700, any::<String>()).prop_map(|(status, reason)| Start::Response(status, reason.into()));
    let fields = vec((TOKEN, any::<String>()), 0..40);
    (prop_oneof![request, response], fields, vec(any::<u8>(), 0..64)).prop_map(|(start, headers, body)| {
        let mut draft = Draft::new(start);
        for (name, value) in headers {
            draft.push_named(name, value);
        }
        draft.body = body.into();
        draft
    })
}

/// What `to_bytes` and the index make of a value: no line breaks, no blanks at the ends.
fn as_sent(value: &str) -> String {
    value
        .replace(['\r', '\n', '\0'], " ")
        .trim_matches([' ', '\t'])
        .to_owned()
}

/// A message in which everything that rsip reads well is something else each time.
fn simple_message() -> impl Strategy<Value = Draft> {
    let methods = prop::sample::select(vec![
        Method::Invite,
        Method::Bye,
        Method::Options,
        Method::Register,
        Method::Refer,
    ]);
    let address = || ("[a-z]{1,8}", "[a-z]{1,8}\\.example", "[a-z0-9]{1,8}");
    (
        methods,
        address(),
        address(),
        "[a-z0-9]{4,12}",
        0u32..1 << 31,
        1u16..=u16::MAX,
    )
        .prop_map(|(method, (user, host, tag), (peer, domain, _), token, number, port)| {
            let mut draft = Draft::request(
                method.clone(),
                Uri::parse(&format!("sip:{peer}@{domain}:{port}")).unwrap(),
            );
            draft.push(
                Name::Via,
                format_args!("SIP/2.0/UDP {host}:{port};branch=z9hG4bK{token}"),
            );
            draft.push(Name::MaxForwards, 70);
            draft.push(Name::From, format_args!("\"{user}\" <sip:{user}@{host}>;tag={tag}"));
            draft.push(Name::To, format_args!("<sip:{peer}@{domain}>"));
            draft.push(Name::CallId, format_args!("{token}@{host}"));
            draft.push(Name::CSeq, format_args!("{number} {method}"));
            draft.push(Name::Contact, format_args!("<sip:{user}@{host}:{port}>"));
            draft.set_body("application/sdp", token);
            draft
        })
}

/// Asks a message for everything; nothing here may panic, whatever came.
fn ask_everything(message: &Message) {
    let _ = (
        message.check(),
        message.is_request(),
        message.method(),
        message.request_uri(),
        message.status(),
    );
    let _ = (
        message.reason().len(),
        message.from(),
        message.to(),
        message.call_id().len(),
        message.cseq(),
    );
    let _ = (
        message.top_via(),
        message.body(),
        message.content_type(),
        format!("{message:?}"),
    );
    for name in (b'a'..=b'z').filter_map(|letter| Name::from_bytes(&[letter])) {
        let _ = (
            message.get(name),
            message.all(name),
            message.addresses(name),
            message.number(name),
        );
        let _ = message.has_token(name, "100rel");
    }
    for (name, _) in message.fields() {
        assert!(!message.all_named(name).is_empty() || Name::from_bytes(name.as_bytes()).is_some_and(Name::is_list));
    }
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        let _ = (credentials(message, name, "example.com"), challenges(message));
    }
    if message.is_request() {
        let answer = Draft::response(message, 400, Some("tag"));
        let again = answer.to_message().expect("what we write can be read");
        assert_eq!(again.all(Name::Via).len(), message.all(Name::Via).len());
    }
}

/// A real message with a few octets changed, cut out or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let place = 0..INVITE.len();
    vec(
        (
            place,
            0usize..40,
            option::of(prop::sample::select(&b"\r\n\t \";,<>@:%\\\0\xff=/"[..])),
            any::<bool>(),
        ),
        1..6,
    )
    .prop_map(|changes| {
        let mut text = INVITE.to_vec();
        for (at, length, octet, is_double) in changes {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            let piece: Vec<u8> = match octet {
                Some(octet) => vec![octet; length.min(3)],
                None if is_double => text[at..end].repeat(2),
                None => Vec::new(),
            };
            text.splice(at..end, piece);
        }
        text
    })
}

proptest! {
    #[test]
    fn a_uri_survives_its_text(uri in any_uri()) {
        let text = uri.to_string();
        prop_assert_eq!(Uri::parse(&text), Ok(uri.clone()), "{}", text);
        prop_assert!(uri.same_as(&uri));
    }

    #[test]
    fn a_name_addr_survives_its_text(address in name_addr()) {
        let text = address.to_string();
        prop_assert_eq!(NameAddr::parse(&text), Ok(address), "{}", text);
    }

    #[test]
    fn a_via_survives_its_text(via in via()) {
        let text = via.to_string();
        prop_assert_eq!(Via::parse(&text), Ok(via), "{}", text);
    }

    /// Also nothing that a list is made of cuts one of its values in two.
    #[test]
    fn addresses_in_a_list_survive_it(list in vec(name_addr(), 1..5)) {
        let text: Vec<String> = list.iter().map(|address| as_sent(&address.to_string())).collect();
        let mut draft = Draft::response(&Message::parse(Bytes::from_static(INVITE)).unwrap(), 200, None);
        draft.set(Name::Contact, text.join(","));
        let message = draft.to_message().unwrap();
        prop_assert_eq!(message.all(Name::Contact), text);
    }

    #[test]
    fn a_draft_comes_back_as_the_message_that_it_is(draft in draft()) {
        let message = draft.to_message().unwrap();
        match &draft.start {
            Start::Request(method, uri) => {
                prop_assert_eq!(&message.method(), method);
                if !matches!(&uri.scheme, Scheme::Other(scheme) if &**scheme != "urn") {
                    prop_assert_eq!(message.request_uri(), Ok(uri.clone()));
                }
            }
            Start::Response(status, reason) => {
                prop_assert_eq!(message.status(), *status);
                prop_assert_eq!(message.reason(), as_sent(reason));
            }
        }
        let is_length = |name: &str| Name::from_bytes(name.as_bytes()) == Some(Name::ContentLength);
        let sent: Vec<_> = draft.fields().filter(|(name, _)| !is_length(name)).map(|(name, value)| (name.to_string(), as_sent(value))).collect();
        let read: Vec<_> = message.fields().filter(|(name, _)| !is_length(name)).map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        prop_assert_eq!(read, sent);
        prop_assert_eq!(message.body(), draft.body.clone());
        let mut stream = BytesMut::from(&draft.to_bytes()[..]);
        prop_assert_eq!(frame::next(&mut stream), Ok(Some(Frame::Message(draft.to_bytes()))));
    }

    #[test]
    fn rsip_reads_what_we_write(draft in simple_message()) {
        let bytes = draft.to_bytes();
        let message = Message::parse(bytes.clone()).unwrap();
        prop_assert_eq!(message.check(), Ok(()));
        let oracle = rsip::Request::try_from(&bytes[..]).unwrap();
        prop_assert_eq!(oracle.method.to_string(), message.method().to_string());
        prop_assert_eq!(oracle.uri.to_string(), message.request_uri().unwrap().to_string());
        prop_assert_eq!(&oracle.body[..], &message.body()[..]);
        let lines: Vec<String> = oracle.headers.iter().map(ToString::to_string).collect();
        let ours: Vec<String> = message.fields().map(|(name, value)| format!("{name}: {value}")).collect();
        prop_assert_eq!(lines, ours);
        let from = oracle.from_header().unwrap().typed().unwrap();
        let read = message.from().unwrap();
        prop_assert_eq!(from.tag().map(|tag| tag.value().to_owned()), read.tag().map(str::to_owned));
        prop_assert_eq!(from.uri.to_string(), read.uri.to_string());
        let via = oracle.via_header().unwrap().typed().unwrap();
        let read = message.top_via().unwrap();
        prop_assert_eq!(via.branch().map(|branch| branch.value().to_owned()), read.branch().map(str::to_owned));
        prop_assert_eq!(via.uri.host_with_port.to_string(), format!("{}:{}", read.host, read.port.unwrap()));
        let cseq = oracle.cseq_header().unwrap().typed().unwrap();
        prop_assert_eq!(cseq.to_string(), message.cseq().unwrap().to_string());
    }

    /// A message that rsip builds: we read each of its values.
    #[test]
    fn we_read_what_rsip_writes(user in "[a-z]{1,8}", tag in "[a-z0-9]{1,8}", seq in 0u32..1 << 31, status in 100u16..700) {
        let headers = vec![
            rsip::headers::Via::new(format!("SIP/2.0/TCP {user}.example;branch=z9hG4bK{tag}")).into(),
            rsip::headers::From::new(format!("<sip:{user}@a.example>;tag={tag}")).into(),
            rsip::headers::To::new(format!("\"{user}\" <sips:{user}@b.example>")).into(),
            rsip::headers::CallId::new(format!("{tag}@{user}")).into(),
            rsip::headers::CSeq::new(format!("{seq} SUBSCRIBE")).into(),
            rsip::headers::ContentLength::new("0").into(),
        ];
        let response = rsip::Response { status_code: status.into(), headers: rsip::Headers::from(headers), ..Default::default() };
        let message = Message::parse(Bytes::from(response.to_string())).unwrap();
        prop_assert_eq!(message.check(), Ok(()));
        prop_assert_eq!((message.status(), message.method()), (status, Method::Subscribe));
        let (from, to) = (message.from().unwrap(), message.to().unwrap());
        prop_assert_eq!((from.tag(), to.display.as_deref()), (Some(tag.as_str()), Some(user.as_str())));
        prop_assert_eq!(message.call_id(), format!("{tag}@{user}"));
        prop_assert_eq!(message.cseq().unwrap().number, seq);
    }

    #[test]
    fn any_octets_are_refused_or_can_be_asked(octets in vec(any::<u8>(), 0..400)) {
        if let Ok(message) = Message::parse(Bytes::from(octets.clone())) {
            ask_everything(&message);
        }
        let _ = frame::datagram(&octets);
        let mut stream = BytesMut::from(&octets[..]);
        while let Ok(Some(_)) = frame::next(&mut stream) {}
    }

    #[test]
    fn a_broken_invite_is_refused_or_can_be_asked(octets in mutated()) {
        if let Ok(message) = Message::parse(Bytes::from(octets.clone())) {
            ask_everything(&message);
        }
        let mut stream = BytesMut::from(&octets[..]);
        while let Ok(Some(_)) = frame::next(&mut stream) {}
    }

    #[test]
    fn any_text_is_refused_or_written_as_it_was_read(text in "[ -~]{0,60}|sip:[ -~]{0,40}|<sip:[!-~]{0,20}>[ -~]{0,20}|SIP/2.0/UDP [ -~]{0,30}|\\PC{0,40}") {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
        }
        if let Ok(address) = NameAddr::parse(&text) {
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
        }
        if let Ok(via) = Via::parse(&text) {
            prop_assert_eq!(Via::parse(&via.to_string()), Ok(via));
        }
    }
}
