//! The section on the recording server.

use super::{CERTIFICATES, Section, key};

/// `recording.siprec`.
pub static SIPREC: Section = Section {
    path: "recording.siprec",
    about: "A recording server (SIPREC: RFC 7866, with metadata by RFC 7865). For each recording the node calls it and sends what each side says as a \
            stream of its own, as it came, in the codec of that side: the server has to take what users and trunks may speak (`codecs`). Which \
            calls: `record` of users and trunks, as for files. The store's table `recording_sessions` says how each went. A fax by T.38 is not \
            sent, and keys are not. A call that is up stays as it began.",
    keys: &[
        key(
            "server",
            "a SIP URI, with a user or without; transport=udp, tcp or tls",
            "\"sip:recorder@192.0.2.9:5060;transport=tcp\"",
            "required",
            "Whom the node calls. A name is looked up as that of any peer (RFC 3263); the next server of it is tried where one does not answer, or \
             answers 503. A server that asks for a password is not answered. `listen` must have the transport that the URI says. By \
             tls, or sips:, it shows a certificate for that name.",
        ),
        key(
            "ca",
            CERTIFICATES,
            "/etc/ssl/recorder-ca.pem",
            "the public roots",
            "Who may have signed the server's certificate. It is shown ours (tls.certificate) where it wants to see one.",
        ),
        key(
            "srtp",
            "off, offered or required",
            "required",
            "off",
            "Whether the streams to it are encrypted. The keys stand in the description (RFC 4568), so only a `server` by tls keeps them secret; this is \
             not checked. With off they are not encrypted, even where the call is.",
        ),
        key(
            "files",
            "yes or no",
            "yes",
            "no",
            "Whether files are written as well. With no they are not, also where the server takes nothing.",
        ),
        key(
            "required",
            "yes or no",
            "yes",
            "no",
            "Whether a call ends that the server does not record, or no longer. With no it goes on: the log and the store say why it was not recorded.",
        ),
    ],
};
