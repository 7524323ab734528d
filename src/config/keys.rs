//! Every key of the file, once: what it takes, its default, what it means. The reader knows no other keys, the error
//! messages quote this table, and `config/reference.md` is written from it.

/// One key of a section.
#[derive(Debug)]
pub struct Key {
    /// As in the file.
    pub name: &'static str,
    /// What it takes, so that "is not ..." can stand before it.
    pub form: &'static str,
    /// A value that is right.
    pub example: &'static str,
    /// What holds when the key is absent; `required` when there is no default.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub meaning: &'static str,
}

/// A map in the file.
#[derive(Debug)]
pub struct Section {
    /// Its path, `[]` standing for each entry of a list; empty for the whole file.
    pub path: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

const fn key(
    name: &'static str,
    form: &'static str,
    example: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        form,
        example,
        default,
        meaning,
    }
}

impl Section {
    /// The key of this name, which the caller took from this table.
    pub fn key(&self, name: &str) -> &'static Key {
        let found = self.keys.iter().find(|key| key.name == name);
        found.expect("each key that is read is in the table of its section: the tests load every section")
    }

    /// The key of this name, which somebody wrote.
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// What a duration may look like.
const DURATION: &str = "a duration: seconds, or a number with s, m or h";
/// The same where it can be switched off.
const DURATION_OR_NEVER: &str = "a duration (seconds, or a number with s, m or h) or never";
/// What a codec list may hold.
const CODECS: &str = "a codec: pcmu, pcma or opus";
/// What a digest list may hold.
const DIGEST: &str = "a digest algorithm: md5 or sha-256";
/// What a password may look like.
const PASSWORD: &str = "a password in quotes, or { env: NAME }, or { file: PATH }";

/// The whole file.
pub static ROOT: Section = Section {
    path: "",
    about: "The whole file.",
    keys: &[
        key("node", "a section", "{ name: edge-1 }", "see below", "This node."),
        key(
            "listen",
            "an address as udp://IP:PORT or tcp://IP:PORT",
            "[ \"udp://0.0.0.0:5060\", \"tcp://0.0.0.0:5060\" ]",
            "required",
            "Where SIP is taken. 0.0.0.0 and [::] stand for every address; the port is 5060 if none is written.",
        ),
        key(
            "advertise",
            "an IP address that others can reach",
            "203.0.113.10",
            "the address of the socket",
            "Our address as others see it, in Via, Contact and SDP. Omit it when there is no NAT before this node.",
        ),
        key(
            "media",
            "a section",
            "{ ports: 20000-29999 }",
            "see below",
            "RTP and codecs.",
        ),
        key(
            "domains",
            "a domain name or an address, or { name: ..., digest: ... }",
            "[ example.com ]",
            "advertise, else the first listener's own address, else node.name",
            "The domains whose users are ours. Every IP address of this node stands for the first one.",
        ),
        key(
            "users",
            "a list of users",
            "[ { name: alice, password: \"...\" } ]",
            "none",
            "Who may register.",
        ),
        key(
            "trunks",
            "a list of trunks",
            "[ { name: acme, peers: [ \"sip:192.0.2.1\" ] } ]",
            "none",
            "Carriers.",
        ),
        key(
            "routes",
            "a list of routes",
            "[ { to: \"600\", do: echo } ]",
            "none",
            "The dial plan: the first route that matches, decides. A call to a user's own name or number goes to that \
             user without a route, and leaves by a trunk only where a route names exactly it.",
        ),
        key(
            "numbers",
            "a section",
            "{ country: US }",
            "see below",
            "How numbers that users dial are read.",
        ),
        key(
            "store",
            "a section",
            "{ path: data/tandem.db }",
            "see below",
            "The database of registrations and calls.",
        ),
        key(
            "registrar",
            "a section",
            "{ max_expires: 1h }",
            "see below",
            "How long registrations hold.",
        ),
        key(
            "calls",
            "a section",
            "{ max_duration: 4h }",
            "see below",
            "What holds for every call.",
        ),
        key(
            "log",
            "a section",
            "{ level: info }",
            "see below",
            "What the log shows.",
        ),
    ],
};

/// `node`.
pub static NODE: Section = Section {
    path: "node",
    about: "This node. A new name needs a restart.",
    keys: &[key(
        "name",
        "a name of letters, digits, dots and dashes",
        "edge-1",
        "tandem",
        "The name of this node in logs and records.",
    )],
};

/// `media`.
pub static MEDIA: Section = Section {
    path: "media",
    about: "RTP and codecs.",
    keys: &[
        key(
            "ports",
            "a range of ports as FIRST-LAST, with an even first port from 1024 on and at least two pairs",
            "20000-29999",
            "20000-29999",
            "UDP ports for RTP and RTCP, two per leg, so a call takes four.",
        ),
        key(
            "address",
            "an IP address of this machine",
            "192.0.2.10",
            "the listeners' address if all have the same, else every address",
            "Where RTP is received.",
        ),
        key(
            "workers",
            "a whole number from 1 to 256",
            "4",
            "one per core",
            "Media threads.",
        ),
        key(
            "silence",
            DURATION_OR_NEVER,
            "5m",
            "5m",
            "A leg from which no RTP has come for this long ends its call.",
        ),
        key(
            "opus_bitrate",
            "a whole number from 6000 to 128000",
            "24000",
            "24000",
            "Bits per second of the Opus that we encode.",
        ),
        key(
            "opus_complexity",
            "a whole number from 0 to 10",
            "5",
            "5",
            "How hard the Opus encoder works: 0 takes a quarter of the CPU time of 10.",
        ),
    ],
};

/// `domains[]`.
pub static DOMAIN: Section = Section {
    path: "domains[]",
    about: "A domain with its own settings; a bare name has the defaults.",
    keys: &[
        key(
            "name",
            "a domain name or an address",
            "example.com",
            "required",
            "The domain.",
        ),
        key(
            "digest",
            DIGEST,
            "[ sha-256, md5 ]",
            "[ md5 ]",
            "The challenges that phones get, the preferred first. Many phones give up when they see SHA-256.",
        ),
    ],
};

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
            "The domain of this user.",
        ),
        key(
            "digest",
            DIGEST,
            "[ sha-256, md5 ]",
            "that of the domain",
            "The challenges that this user's phones get.",
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
            "[ opus, pcma, pcmu ]",
            "What this user's phones may speak, the preferred first.",
        ),
        key(
            "calls",
            "a whole number from 1 to 100",
            "1",
            "2",
            "Calls at once before the user is busy: 1 turns call waiting off.",
        ),
        key(
            "ring",
            DURATION,
            "45s",
            "60s",
            "How long the phones ring before there is no answer; at most 1h.",
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
            "a SIP URI as sip:HOST:PORT, with ;transport=tcp for TCP",
            "[ \"sip:sbc1.acme.example:5060\" ]",
            "required",
            "Where calls are sent: the first that works. A peer given by address is also accepted as a source.",
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
            "The only realm that we give the password to, and the domain of our address there.",
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

/// `numbers`.
pub static NUMBERS: Section = Section {
    path: "numbers",
    about: "How numbers that users dial are read.",
    keys: &[key(
        "country",
        "a country that the number table knows, by two letters",
        "US",
        "that of the trunks, if they all have the same",
        "Whose national form users may dial and this file may write.",
    )],
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
            "user/NAME, trunk/NAME, echo, tone, or reject/STATUS with a status from 400 to 699",
            "user/alice",
            "required",
            "What happens: all phones of a user ring, a trunk is called, the caller hears himself or a 1,004 Hz tone, \
             or the call is refused.",
        ),
    ],
};

/// `store`.
pub static STORE: Section = Section {
    path: "store",
    about: "The database. A new path needs a restart.",
    keys: &[key(
        "path",
        "the path of a file",
        "data/tandem.db",
        "data/tandem.db",
        "The SQLite file; a relative path begins at the working directory.",
    )],
};

/// `registrar`.
pub static REGISTRAR: Section = Section {
    path: "registrar",
    about: "How long registrations hold (RFC 3261 10.3).",
    keys: &[
        key(
            "min_expires",
            DURATION,
            "60s",
            "60s",
            "A phone that wishes less is answered 423 with this.",
        ),
        key(
            "max_expires",
            DURATION,
            "1h",
            "1h",
            "A phone that wishes more is given this; at most 24h.",
        ),
        key(
            "default_expires",
            DURATION,
            "1h",
            "1h, or max_expires if that is less",
            "For a phone that wishes nothing.",
        ),
    ],
};

/// `calls`.
pub static CALLS: Section = Section {
    path: "calls",
    about: "What holds for every call.",
    keys: &[
        key("max_duration", DURATION, "4h", "4h", "A longer call is ended."),
        key(
            "session_expires",
            DURATION,
            "30m",
            "30m",
            "The session interval that we ask for (RFC 4028).",
        ),
        key(
            "min_session_expires",
            DURATION,
            "90s",
            "90s",
            "The shortest that we accept; at least 90s (RFC 4028 5).",
        ),
        key(
            "stop_grace",
            DURATION,
            "30s",
            "30s",
            "How long calls may go on after the node is told to stop; 0 is allowed.",
        ),
        key(
            "transfer",
            "yes or no",
            "yes",
            "yes",
            "Whether phones may transfer calls (REFER).",
        ),
    ],
};

/// `log`.
pub static LOG: Section = Section {
    path: "log",
    about: "What the log shows. Passwords and DTMF digits are never in it.",
    keys: &[
        key(
            "format",
            "a log format: text or json",
            "json",
            "text",
            "For people or for programs.",
        ),
        key(
            "level",
            "a level: error, warn, info, debug or trace",
            "debug",
            "info",
            "The least that is written.",
        ),
    ],
};

/// All sections, in the order of the reference.
pub static SECTIONS: &[&Section] = &[
    &ROOT,
    &NODE,
    &MEDIA,
    &DOMAIN,
    &USER,
    &PASSWORD_FROM,
    &TRUNK,
    &REGISTER,
    &LIMITS,
    &TRUNK_NUMBERS,
    &NUMBERS,
    &ROUTE,
    &STORE,
    &REGISTRAR,
    &CALLS,
    &LOG,
];
