//! The sections on who calls and where calls go.

use super::sounds::{MUSIC_EXAMPLE, SOUNDS};
use super::{CERTIFICATES, CODECS, DIGEST, DURATION, DURATION_OR_NEVER, KEY, Key, PASSWORD, Section, key};

const GAIN: &str = "a whole number of dB from -20 to 20";
const GAIN_IN: Key = key(
    "gain_in",
    GAIN,
    "3",
    "0",
    "How much louder what it says is made for the others. What gets too loud is bent, not cut off.",
);
const GAIN_OUT: Key = key(
    "gain_out",
    GAIN,
    "-3",
    "0",
    "How much louder what it hears is made. Opus on both sides of a call is passed on as it is, without gain.",
);
const COMFORT_NOISE: Key = key(
    "comfort_noise",
    "yes or no",
    "yes",
    "no",
    "Whether comfort noise (RFC 3389, payload type 13) is offered and taken beside G.711: in a pause nothing is sent but how \
     loud it is. Where the other side of a call does not do so, audio is made anew, so that it hears the pause.",
);
const WEBRTC_ABOUT: &str = "Whether this user's phones may be browsers, whose media is by ICE and DTLS-SRTP on the port of the call, always encrypted. auto: as a \
                            call of theirs says, and where a WebSocket leads to them. yes: they are offered nothing else, however they are reached. no: \
                            never, and a browser gets 488.";
const SRTP: &str = "off, offered or required";
const SRTP_ABOUT: &str = "Whether media is encrypted on this side of a call, by keys in SIP (SDES, RFC 4568), which only TLS keeps secret. offered: \
                          where the other end can too (RFC 8643). required: else there is no call; so it must be where a phone insists on it.";
const T38_ABOUT: &str = "Whether a call may become a fax by T.38 (UDPTL over UDP, RFC 3362) on this side, or begin as one; the other side must \
                         let it too. no: it is refused with 488, and the call goes on in audio. So it is where srtp is required, since such a fax is \
                         not encrypted.";

const DTMF: &str = "auto, rfc4733, info or inband";
const DTMF_ABOUT: &str = "How digits go to this side of a call and come from it. auto: as telephone events (RFC 4733) where they are agreed, else as \
                          tones in G.711 and G.722. rfc4733: as events or not at all. info: as SIP INFO (application/dtmf-relay). inband: as tones.";

/// `users[]`.
pub static USER: Section = Section {
    path: "users[]",
    about: "A user: one address of record, any number of phones.",
    keys: &[
        key(
            "name",
            "a name of letters, digits and -_.!~'&=+$ (at most 64)",
            "alice",
            "required",
            "The user part of the address of record and the digest user name, unique over all domains.",
        ),
        key(
            "password",
            "a password in quotes, or { env: NAME }, { file: PATH } or { generate: PATH }",
            "{ env: ALICE_PASSWORD }",
            "required",
            "The digest password.",
        ),
        key(
            "number",
            "a telephone number or an extension",
            "\"+14155550101\"",
            "none",
            "The number that reaches this user and that others see when the user calls.",
        ),
        key(
            "numbers",
            "a telephone number or an extension",
            "[ \"+14155550101\", \"101\" ]",
            "none",
            "In place of number: several of them, the first being the one that others see.",
        ),
        key(
            "domain",
            "one of domains",
            "example.com",
            "the first of domains",
            "The domain of this user, whose other users may pick its calls up (INVITE with Replaces), but take no place in a room.",
        ),
        key(
            "digest",
            DIGEST,
            "[ sha-256, md5 ]",
            "that of the domain",
            "The challenges that this user's phones get. Other ones than the domain's tell everybody that the user exists.",
        ),
        key(
            "display_name",
            "a name of at most 64 characters, without control characters",
            "\"Alice Smith\"",
            "none",
            "The name that others see beside the number.",
        ),
        key(
            "codecs",
            CODECS,
            "[ opus, pcma ]",
            "[ opus, g722, pcma, pcmu ]",
            "What this user's phones may speak, the preferred first; what the other side of a call speaks goes before.",
        ),
        key("webrtc", "auto, yes or no", "yes", "auto", WEBRTC_ABOUT),
        key("srtp", SRTP, "required", "off", SRTP_ABOUT),
        key("dtmf", DTMF, "info", "auto", DTMF_ABOUT),
        GAIN_IN,
        GAIN_OUT,
        COMFORT_NOISE,
        key("t38", "yes or no", "no", "yes", T38_ABOUT),
        key(
            "record",
            "yes, no or on_request",
            "yes",
            "no",
            "Whether calls are recorded: it is enough that one side says so. on_request: while the user's phone wants it, which it says by \
             INFO with a header field Record: on or off. Such calls are bridged, whatever domains and routes say, except those \
             of a user of a proxied domain to other domains.",
        ),
        key(
            "calls",
            "a whole number from 1 to 100",
            "1",
            "2",
            "Calls at once before the user is busy: 1 turns call waiting off. The user may place ten more.",
        ),
        key(
            "ring",
            DURATION,
            "45s",
            "60s",
            "How long the phones ring before there is no answer; at most 1h.",
        ),
        key(
            "ringback",
            "yes or no",
            "yes",
            "no",
            "Whether this user's phones make no ringback tone themselves: where the called side only says that it rings (180), they hear ours.",
        ),
        key(
            "music_on_hold",
            SOUNDS,
            MUSIC_EXAMPLE,
            "music_on_hold of the whole file",
            "What those hear whom this user puts on hold. With an empty list ([]) the hold is passed on, and what the user's phone sends is heard.",
        ),
        key(
            "announcements",
            "a section",
            "{ busy: /etc/tandem/busy.wav }",
            "announcements of the whole file",
            "What this user hears, in place of all those of the whole file, before a call of his is refused; {} is nothing.",
        ),
        key(
            "on_busy",
            "a number or a user",
            "bob",
            "none",
            "Where a call goes when the user is busy, routed anew; without it the call is refused.",
        ),
        key(
            "on_no_answer",
            "a number or a user",
            "bob",
            "none",
            "Likewise when nobody answers.",
        ),
        key(
            "on_offline",
            "a number or a user",
            "bob",
            "none",
            "Likewise when no phone is registered.",
        ),
    ],
};

/// `password` when it is a map.
pub static PASSWORD_FROM: Section = Section {
    path: "password",
    about: "A password that is kept elsewhere: exactly one of these keys.",
    keys: &[
        key(
            "env",
            "the name of an environment variable",
            "ALICE_PASSWORD",
            "none",
            "It is in this variable.",
        ),
        key(
            "file",
            "the path of a file",
            "/run/secrets/alice",
            "none",
            "It is the only line of this file; a relative path begins at the working directory.",
        ),
        key(
            "generate",
            "the path of a file",
            "data/passwords",
            "none",
            "Users only: made at random at the first start, kept in this file, and printed at every start.",
        ),
    ],
};

/// `trunks[]`.
pub static TRUNK: Section = Section {
    path: "trunks[]",
    about: "A carrier.",
    keys: &[
        key(
            "name",
            "a name of letters, digits, dots and dashes",
            "acme",
            "required",
            "How routes and logs call it.",
        ),
        key(
            "peers",
            "a SIP URI as sip:HOST:PORT, with ;transport=tcp or ;transport=tls, or as sips:HOST",
            "[ \"sip:sbc1.acme.example:5060\" ]",
            "required",
            "Where calls are sent: the first that works. A peer given by address is also accepted as a source.",
        ),
        key(
            "host",
            "a domain name or an address",
            "sbc.example.com",
            "our address",
            "The name by which the carrier knows us, in place of our address: in Contact, and in From where we do not register. What \
             is sent to it is for us. Some carriers want it to be that of our certificate.",
        ),
        key(
            "accept_from",
            "a network as ADDRESS/LENGTH or one address",
            "[ 198.51.100.0/24 ]",
            "the peers that are addresses",
            "The sources that are this carrier. A source is claimed by one trunk only.",
        ),
        key(
            "register",
            "a section",
            "{ username: tandem, password: \"...\" }",
            "none",
            "How we register with the carrier; without it the carrier knows us by our address.",
        ),
        key(
            "codecs",
            CODECS,
            "[ pcma, pcmu ]",
            "[ pcma, pcmu ]",
            "What the carrier may speak, the preferred first.",
        ),
        key("srtp", SRTP, "required", "off", SRTP_ABOUT),
        key("dtmf", DTMF, "info", "auto", DTMF_ABOUT),
        GAIN_IN,
        GAIN_OUT,
        COMFORT_NOISE,
        key("t38", "yes or no", "no", "yes", T38_ABOUT),
        key(
            "record",
            "yes or no",
            "yes",
            "no",
            "Whether calls are recorded: it is enough that one side says so.",
        ),
        key(
            "limits",
            "a section",
            "{ calls: 100, calls_per_second: 10 }",
            "see below",
            "How much goes over this trunk.",
        ),
        key(
            "numbers",
            "a section",
            "{ country: US, send: e164 }",
            "see below",
            "How numbers look on this trunk.",
        ),
        key(
            "options",
            DURATION_OR_NEVER,
            "30s",
            "30s",
            "How often each peer is asked by OPTIONS whether it is alive.",
        ),
        key(
            "ring",
            DURATION,
            "2m",
            "2m",
            "How long a call may ring at the carrier; at most 1h.",
        ),
        key(
            "ringback",
            "yes or no",
            "yes",
            "no",
            "Whether the carrier's callers hear no ringback tone by themselves: where the called side only says that it rings (180), they hear ours.",
        ),
        key(
            "music_on_hold",
            SOUNDS,
            MUSIC_EXAMPLE,
            "music_on_hold of the whole file",
            "What our users hear when the carrier's side puts them on hold. With an empty list ([]) the hold is passed on, and what the carrier \
             sends is heard: its own music.",
        ),
        key(
            "announcements",
            "a section",
            "{ busy: /etc/tandem/busy.wav }",
            "announcements of the whole file",
            "What the carrier's callers hear, in place of all those of the whole file, before a call is refused; {} is nothing.",
        ),
        key(
            "connect",
            DURATION,
            "4s",
            "4s",
            "How long a peer may stay silent after INVITE before the next one is tried; at most 32s.",
        ),
        key(
            "pass_headers",
            "the name of a header field that this node does not write itself",
            "[ X-Account ]",
            "none",
            "Header fields that are carried between the trunk and the other leg. All others stay.",
        ),
        key(
            "tls",
            "a section",
            "{ ca: /etc/ssl/acme.pem }",
            "see below",
            "Whom we trust and who we are where a peer is reached by TLS, and who comes by it.",
        ),
    ],
};

/// `trunks[].register`.
pub static REGISTER: Section = Section {
    path: "trunks[].register",
    about: "Our registration with the carrier.",
    keys: &[
        key(
            "username",
            "a name of letters, digits and -_.!~'&=+$ (at most 64)",
            "tandem",
            "required",
            "The digest user name and the user part of our address there.",
        ),
        key(
            "password",
            PASSWORD,
            "{ env: ACME_PASSWORD }",
            "required",
            "The digest password.",
        ),
        key(
            "realm",
            "a realm of visible characters",
            "acme.example",
            "any realm, and the host of the first peer",
            "The only realm that we give the password to, and the domain of our address there and of From in calls.",
        ),
        key(
            "expires",
            DURATION,
            "10m",
            "10m",
            "The expiry that we ask for: 30s to 24h.",
        ),
    ],
};

/// `trunks[].limits`.
pub static LIMITS: Section = Section {
    path: "trunks[].limits",
    about: "Calls beyond these are refused, in both directions.",
    keys: &[
        key(
            "calls",
            "a whole number from 1 to 20000",
            "100",
            "100",
            "Calls at once.",
        ),
        key(
            "calls_per_second",
            "a whole number from 1 to 10000",
            "10",
            "10",
            "New calls per second.",
        ),
    ],
};

/// `trunks[].numbers`.
pub static TRUNK_NUMBERS: Section = Section {
    path: "trunks[].numbers",
    about: "How numbers look on this trunk. Inside they are E.164 with a plus.",
    keys: &[
        key(
            "country",
            "a country that the number table knows, by two letters",
            "US",
            "numbers.country",
            "Whose national form incoming numbers may have.",
        ),
        key(
            "send",
            "a number format: e164 (+14155550101), plain (14155550101) or national (4155550101, 0301234567)",
            "e164",
            "e164",
            "How the carrier wants to see numbers.",
        ),
    ],
};

/// `trunks[].tls`.
pub static TRUNK_TLS: Section = Section {
    path: "trunks[].tls",
    about: "For peers that are reached by TLS, and that come by it.",
    keys: &[
        key(
            "ca",
            CERTIFICATES,
            "/etc/ssl/acme.pem",
            "the public roots",
            "Who may have signed the carrier's certificate.",
        ),
        key(
            "name",
            "a domain name or an address",
            "sbc.acme.example",
            "the host of the peer",
            "What the certificate must be for, and what we ask for when we connect (SNI).",
        ),
        key(
            "certificate",
            CERTIFICATES,
            "/etc/ssl/us-at-acme.pem",
            "tls.certificate, where that is given",
            "Who we are, where the carrier wants to see it.",
        ),
        key(
            "key",
            KEY,
            "/etc/ssl/private/us-at-acme.key",
            "tls.key",
            "The private key of the certificate.",
        ),
        key(
            "accept",
            "a domain name, as certificates have it",
            "[ sbc.acme.example ]",
            "none",
            "Who comes by tls with a certificate for one of these names (RFC 5922), signed by ca, is this carrier, whatever the \
             address. A name is accepted by one trunk only.",
        ),
    ],
};

/// `routes[]`.
pub static ROUTE: Section = Section {
    path: "routes[]",
    about: "One rule of the dial plan.",
    keys: &[
        key(
            "to",
            "a number, a name, + for every E.164 number, a beginning such as +49*, or *",
            "\"+14155550101\"",
            "required",
            "What is dialled, compared after it was brought to E.164.",
        ),
        key(
            "from",
            "user/NAME, user/*, trunk/NAME, trunk/* or *",
            "user/*",
            "*",
            "Who calls. A call from one trunk to another needs a route whose from names the trunk, or trunk/*.",
        ),
        key(
            "do",
            "user/NAME, trunk/NAME, room/NUMBER, room, echo, tone, proxy, bridge, or reject/STATUS with a status from 400 to 699",
            "user/alice",
            "required",
            "What happens: all phones of a user ring, a trunk is called, the caller joins a room (`room` alone: one that is made on demand and has the number \
             that was dialled), hears himself or a 1,004 Hz tone, \
             the call is refused, or (proxy, bridge) it goes where it would go without this route, but that way.",
        ),
    ],
};
