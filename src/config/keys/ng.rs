//! The section on the protocol by which proxies bring media.

use super::{DURATION, Section, key};

/// `ng`.
pub static NG: Section = Section {
    path: "ng",
    about: "rtpengine's control protocol (NG, bencode over UDP): a proxy that keeps the dialogs, such as Kamailio with its module rtpengine, \
            has the media of its calls here. Without this section it is not taken.",
    keys: &[
        key(
            "listen",
            "an address of this machine with a port, as IP:PORT",
            "127.0.0.1:2223",
            "required",
            "Where commands are taken; a change needs a restart. The protocol has no passwords: keep it away from networks of others.",
        ),
        key(
            "allow",
            "an address or a range of addresses",
            "[ 192.0.2.5 ]",
            "this machine, where listen is a loopback address; else required",
            "Who may send commands. What others send is not answered; it is counted, and listed by tandem guard.",
        ),
        key(
            "timeout",
            DURATION,
            "60s",
            "60s",
            "A call from none of whose sides RTP has come for this long is over. One that is on hold on both sides is kept for an hour, \
             one that nobody answers for five minutes.",
        ),
    ],
};
