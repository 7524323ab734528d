//! Any text as a URI, a name-addr and a Via: what is read survives its own text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem::sip::{NameAddr, Uri, Via};

fuzz_target!(|text: &str| {
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
});
