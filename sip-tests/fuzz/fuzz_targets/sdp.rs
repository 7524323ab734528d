//! Any octets as a session description: read, written, and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem::sdp::Session;

fuzz_target!(|octets: &[u8]| {
    if let Ok(session) = Session::parse(octets) {
        let text = session.to_string();
        Session::parse(text.as_bytes()).expect("what we write can be read");
    }
});
