//! A phone as there are most: RTP in the clear, G.711.

use crate::baresip::{self, Phone};
use crate::internet::{NODE, PHONE};
use crate::network::Network;
use crate::process::Process;
use std::path::Path;

/// Bob, who registers with the node and answers at once. He plays 440 Hz and writes down what he hears.
pub fn start(network: &Network, folder: &Path) -> Process {
    let folder = folder.join("baresip");
    let account = format!(
        "<sip:bob@example.com;transport=udp>;auth_user=bob;auth_pass=secret-bob;outbound=\"sip:{NODE}:5060\";\
         answermode=auto;audio_codecs=PCMA/8000/1;regint=600"
    );
    let phone = Phone {
        listen: (PHONE, 5070),
        tone: (440.0, 8_000),
        more: &format!("module g711.so\n{}", baresip::writes_down(&folder)),
        account: &account,
        commands: &[],
        ready: "} 200 OK (",
    };
    phone.start(network, &folder)
}

/// The tone of each call in the phone's ear: of what it has written down the half in the middle.
pub fn heard(folder: &Path) -> Vec<Option<f32>> {
    baresip::heard(&folder.join("baresip"), 1..3)
}
