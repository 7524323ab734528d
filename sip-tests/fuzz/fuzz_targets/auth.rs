//! Any text as a challenge and as credentials; what we answer to any challenge is read back and verified.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tandem::pii::Secret;
use tandem::sip::auth::{answer, challenges, credentials, verify};
use tandem::sip::write::Draft;
use tandem::sip::{Message, Method, Name, Uri};

fuzz_target!(|value: &str| {
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
});
