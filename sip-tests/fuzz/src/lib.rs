//! What each fuzz target does with its input: one function per parser, which panics when a promise is broken. Without libFuzzer,
//! so that stable Rust compiles it and `sip-tests/tests/fuzz.rs` runs it over the fixtures.

pub mod api;
pub mod call;
pub mod crypto;
pub mod media;
pub mod ng;
pub mod node;
pub mod relay;
pub mod srtp;
pub mod wire;

use bytes::{Bytes, BytesMut};
use tandem::config::number::normalise;
use tandem::config::{self, Country, Sources};
use tandem::pii::Secret;
use tandem::sdp::Session;
use tandem::sip::auth::{answer, challenges, credentials, verify};
use tandem::sip::frame::{Frame, datagram, next};
use tandem::sip::{Draft, Message, Method, Name, NameAddr, ParseError, Uri, Via};

/// Any octets as one message: the index, every accessor, the check, and the answer to it.
pub fn message(octets: &[u8]) {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(octets)) else {
        return;
    };
    let _ = (
        message.check(),
        message.method(),
        message.request_uri(),
        message.reason(),
    );
    let _ = (
        message.from(),
        message.to(),
        message.cseq(),
        message.top_via(),
        message.body(),
        tandem::sip::multipart::session_description(&message),
        message.content_type(),
    );
    let names: Vec<String> = message.fields().map(|(name, _)| name.to_owned()).collect();
    for written in names {
        let _ = message.all_named(&written);
        if let Some(name) = Name::from_bytes(written.as_bytes()) {
            let _ = (
                message.get(name),
                message.addresses(name),
                message.number(name),
                message.has_token(name, "100rel"),
            );
        }
    }
    if message.is_request() {
        let answer = Draft::response(&message, 400, Some("tag"));
        answer.to_message().expect("what we write can be read");
    }
}

/// Any text as a URI, a name-addr and a Via: what is read survives its own text.
pub fn uri(text: &str) {
    if let Ok(uri) = Uri::parse(text) {
        assert_eq!(Uri::parse(&uri.to_string()), Ok(uri.clone()));
        let _ = (uri.user_decoded(), uri.same_as(&uri), uri.transport());
    }
    if let Ok(address) = NameAddr::parse(text) {
        assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
    }
    if let Ok(via) = Via::parse(text) {
        assert_eq!(Via::parse(&via.to_string()), Ok(via));
    }
}

/// Takes all messages; keep-alives depend on where the stream is cut and do not count.
fn take(buffer: &mut BytesMut, messages: &mut Vec<Bytes>) -> Result<(), ParseError> {
    while let Some(frame) = next(buffer)? {
        match frame {
            Frame::Message(bytes) => messages.push(bytes),
            Frame::Ping | Frame::Pong => {}
        }
    }
    Ok(())
}

/// Any octets as a stream: whole and in two pieces, the same messages come out, and then the same error.
pub fn frame(input: (u16, &[u8])) {
    let (cut, octets) = input;
    let _ = datagram(octets);
    let mut whole = Vec::new();
    let verdict = take(&mut BytesMut::from(octets), &mut whole);

    let (first, second) = octets.split_at(usize::from(cut).min(octets.len()));
    let (mut buffer, mut pieces) = (BytesMut::from(first), Vec::new());
    let early = take(&mut buffer, &mut pieces);
    let late = early.and_then(|()| {
        buffer.extend_from_slice(second);
        take(&mut buffer, &mut pieces)
    });
    assert_eq!((whole, verdict.is_ok()), (pieces, late.is_ok()));
}

/// Any text as a challenge and as credentials; what we answer to any challenge is read back and verified.
pub fn auth(value: &str) {
    let uri = Uri::parse("sip:example.com").expect("a URI");
    let mut request = Draft::request(Method::Register, uri);
    request.push(Name::Authorization, value);
    let request = request.to_message().expect("what we write can be read");
    let _ = credentials(&request, Name::Authorization, "example.com");

    let text = format!(
        "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: {}\r\n\r\n",
        value.replace(['\r', '\n'], " ")
    );
    let response = Message::parse(Bytes::from(text)).expect("a status line");
    for (_, challenge) in challenges(&response) {
        let password = Secret::new("secret");
        let value = answer(
            &challenge,
            "alice",
            &password,
            &Method::Register,
            "sip:example.com",
            "c",
            1,
        );
        let mut request = Draft::request(Method::Register, Uri::parse("sip:example.com").expect("a URI"));
        request.push(Name::Authorization, value);
        let request = request.to_message().expect("what we write can be read");
        if challenge.realm.contains('\0') || challenge.nonce.contains('\0') {
            continue;
        }
        let read = credentials(&request, Name::Authorization, &challenge.realm).expect("ours are whole");
        assert!(verify(&read.expect("our realm"), &password, &Method::Register));
    }
}

/// Any octets as a session description: read, written, and read again.
pub fn sdp(octets: &[u8]) {
    if let Ok(session) = Session::parse(octets) {
        let text = session.to_string();
        Session::parse(text.as_bytes()).expect("what we write can be read");
    }
}

/// Any text as a configuration: it is taken, or every problem says where it is.
pub fn config(text: &str) {
    match config::parse("fuzz.yaml", text, &Sources::NONE) {
        Ok(config) => assert!(!config.listen.is_empty(), "a node that listens nowhere"),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                assert!(problem.to_string().starts_with("fuzz.yaml"), "{problem}");
            }
        }
    }
}

/// Any text as a number of any country: what is normal stays as it is.
pub fn number(input: (u8, bool, &str)) {
    let (country, plain, text) = input;
    let countries = ["US", "DE", "GB", "IT", "RU"].map(Country::find);
    let country = countries[usize::from(country) % countries.len()].as_ref();
    let once = normalise(text, country, plain);
    let twice = normalise(&once.number, country, plain);
    assert_eq!(twice.number, once.number, "from {text:?}");
}
