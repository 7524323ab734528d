//! Any octets as one message: the index, every accessor, the check, and the answer to it.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tandem::sip::multipart::session_description;
use tandem::sip::{Draft, Message, Name};

fuzz_target!(|octets: &[u8]| {
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
        message.content_type(),
        session_description(&message),
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
});
