//! The sections on the node itself.

use super::sounds::{MUSIC_EXAMPLE, SOUND, SOUNDS};
use super::{CERTIFICATES, DIGEST, DURATION, DURATION_OR_NEVER, KEY, PASSWORD, Section, key};

/// The whole file.
pub static ROOT: Section = Section {
    path: "",
    about: "The whole file.",
    keys: &[
        key("node", "a section", "{ name: edge-1 }", "see below", "This node."),
        key(
            "listen",
            "an address as udp://IP:PORT, or the same with tcp, tls, ws or wss",
            "[ \"udp://0.0.0.0:5060\", \"tcp://0.0.0.0:5060\" ]",
            "required",
            "Where SIP is taken: by datagrams, streams, TLS, and WebSockets without and with TLS (RFC 7118). 0.0.0.0 and [::] \
             stand for every address. Without a port it is 5060, of tls 5061, of ws 80, of wss 443.",
        ),
        key(
            "advertise",
            "an IP address that others can reach",
            "203.0.113.10",
            "the address of the socket",
            "Our address as others see it, in Via, Contact and SDP, on sockets of its own family (IPv4 or IPv6). Omit it when there is no NAT before this node.",
        ),
        key(
            "tls",
            "a section",
            "{ certificate: /etc/ssl/sip.pem, key: /etc/ssl/private/sip.key }",
            "see below",
            "Who we are to those who come by tls or wss.",
        ),
        key(
            "dns",
            "a section",
            "{ servers: [ 192.0.2.53 ] }",
            "see below",
            "Who is asked for names.",
        ),
        key(
            "media",
            "a section",
            "{ ports: 20000-29999 }",
            "see below",
            "RTP and codecs.",
        ),
        key(
            "recording",
            "a section",
            "{ directory: /var/lib/tandem/recordings, keep: 30d }",
            "see below",
            "Where recorded calls are written, and how long they are kept. Whose calls are recorded: `record` of users and trunks.",
        ),
        key(
            "music_on_hold",
            SOUNDS,
            MUSIC_EXAMPLE,
            "none: a hold is passed on to who is held, and what the holder sends is heard",
            "What those hear who are put on hold: one file, or several one after the other, again and again. A relative path begins at the working directory. Files are read at the start and \
             at each SIGHUP, brought to one level, and are 10 minutes long at most; all together take 64 MB at most, at 48,000 bytes for a second.",
        ),
        key(
            "announcements",
            "a section",
            "{ busy: /etc/tandem/busy.wav, not_found: /etc/tandem/not-found.wav }",
            "none",
            "What callers hear before a call is refused.",
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
            "rooms",
            "a list of rooms",
            "[ { number: \"3000\", name: standup, pin: \"4711\" } ]",
            "none",
            "Where several people hear one another.",
        ),
        key(
            "routes",
            "a list of routes",
            "[ { to: \"600\", do: echo } ]",
            "none",
            "The dial plan: the first route that matches, decides. A call to a user's own name or number goes to that \
             user without a route, one to the number of a room to that room, and the first leaves by a trunk only where a route names exactly it.",
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
            "control",
            "a section",
            "{ socket: /run/tandem/control.sock }",
            "see below",
            "Where operators reach the running node.",
        ),
        key(
            "registrar",
            "a section",
            "{ max_expires: 1h }",
            "see below",
            "How long registrations hold.",
        ),
        key(
            "push",
            "a section",
            "{ url: \"https://push.example.com/wake\" }",
            "phones are not woken",
            "Who wakes phones that sleep before they are called (RFC 8599).",
        ),
        key(
            "calls",
            "a section",
            "{ max_duration: 4h }",
            "see below",
            "What holds for every call.",
        ),
        key(
            "guard",
            "a section",
            "{ guesses: 10, ban: 10m }",
            "see below",
            "Whom the node listens to.",
        ),
        key(
            "ng",
            "a section",
            "{ listen: \"127.0.0.1:2223\" }",
            "NG is not taken",
            "By which a proxy has its media here, as at an rtpengine.",
        ),
        key(
            "turn",
            "a section",
            "{ listen: [ \"udp://192.0.2.1:3478\" ], secret: { env: TURN_SECRET } }",
            "neither STUN nor TURN, except keep-alives of SIP",
            "By which browsers and phones behind NATs reach others.",
        ),
        key(
            "api",
            "a section",
            "{ listen: \"0.0.0.0:8445\", keys: [ { tenant: acme, key: { env: ACME_API_KEY } } ] }",
            "it is not served",
            "The HTTP API for clients such as pages.",
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

/// `tls`.
pub static TLS: Section = Section {
    path: "tls",
    about: "Who we are to those who come by tls or wss. SIGHUP reads the files again; connections that are open stay.",
    keys: &[
        key(
            "certificate",
            CERTIFICATES,
            "/etc/ssl/sip.pem",
            "one that the node makes and signs itself at the first start, kept beside the store",
            "Our certificate, and behind it those that lead to the root.",
        ),
        key(
            "key",
            KEY,
            "/etc/ssl/private/sip.key",
            "that of the certificate which the node makes itself",
            "The private key of the certificate.",
        ),
        key(
            "client_ca",
            CERTIFICATES,
            "/etc/ssl/partners.pem",
            "the CAs of trunks that have tls.accept; where there is none, nobody is asked for a certificate",
            "Who may have signed the certificates of those who come by tls, besides the CAs of trunks that have tls.accept. Nobody \
             is asked on wss: a browser would ask its user.",
        ),
        key(
            "client_required",
            "yes or no",
            "yes",
            "no",
            "Who comes by tls must show a certificate that one of these CAs has signed. Without this, one that is not so signed \
             counts as none: phones show that of their maker to whoever asks.",
        ),
        key(
            "min_expiry_warning",
            DURATION,
            "720h",
            "336h",
            "A certificate of ours that ends within this time is warned of at the start, at each SIGHUP and once a day.",
        ),
    ],
};

/// `dns`.
pub static DNS: Section = Section {
    path: "dns",
    about: "Who is asked for names (RFC 3263). Answers are kept for as long as they say.",
    keys: &[key(
        "servers",
        "an IP address, or IP:PORT where the port is not 53",
        "[ 192.0.2.53 ]",
        "those of /etc/resolv.conf",
        "The servers, which all know the same.",
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
            "Media threads. Each has room for 8,192 legs, of which a call takes two.",
        ),
        key(
            "browser_ports",
            "own or shared",
            "shared",
            "own",
            "own: each browser's leg takes a pair of ports as others do, and has a buffer of the system for itself. shared: all browsers of one \
             worker come to one UDP port, which are the even ones from the first of `ports` on, one per worker, so that a firewall needs few \
             openings for them.",
        ),
        key(
            "browser_tcp",
            "a port from 1 to 65535",
            "443",
            "none",
            "Browsers that cannot send UDP connect there by TCP (RFC 6544), without a TURN server: the port stands in what they are told. One \
             for all workers.",
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
            "How hard the Opus encoder works: 0 takes a quarter of the CPU time of 10. It works less hard while a media thread is near the limit of its core.",
        ),
        key(
            "opus_dtx",
            "yes or no",
            "yes",
            "no",
            "Whether nothing is sent while nobody speaks, to peers that want it so (usedtx); we want it of them then, too.",
        ),
    ],
};

/// `recording`.
pub static RECORDING: Section = Section {
    path: "recording",
    about: "Recorded calls: stereo files, the caller's side left and the called side right, below a folder for each day. The \
            store's table `recordings` names the files of each call. A call that is up stays as it began.",
    keys: &[
        key(
            "directory",
            "the path of a folder",
            "/var/lib/tandem/recordings",
            "data/recordings",
            "The folder; a relative path begins at the working directory. Only the node's own user may look into what is made in it.",
        ),
        key(
            "format",
            "wav or opus",
            "opus",
            "wav",
            "The kind of files. Opus (.opus, which is Ogg) takes a seventh to a tenth of the room, and about a hundredth of a core for each call that is recorded.",
        ),
        key(
            "keep",
            "a duration (seconds, or a number with s, m, h or d) or never",
            "30d",
            "never",
            "A recording that is older is removed. With never, age removes none.",
        ),
        key(
            "max_size",
            "a size as a number with MB, GB or TB, or never",
            "10GB",
            "never",
            "When all recordings together are larger, the oldest are removed. With never, size removes none. It is looked after every ten minutes.",
        ),
        key(
            "tone",
            "once, a duration (seconds, or a number with s, m or h) or never",
            "15s",
            "never",
            "How both sides hear that they are recorded: 1,400 Hz for 0.2 s, in the place of what the other says then; when the recording \
             begins, and with a duration (5s to 10m) so long after each. It is not in the recording. All in a room hear it beside one another, and \
             it is in the recording of the mix.",
        ),
        key(
            "announcement",
            SOUND,
            "/etc/tandem/recorded.wav",
            "none",
            "What both sides hear when a recording begins, in the place of one another and of the first tone: that the call is recorded. At \
             most a minute; it is not in the recording. Who comes into the call later by a transfer does not hear it. In a room all hear it beside one \
             another, it is in the recording of the mix, and who comes later hears it before he is in the room.",
        ),
        key(
            "siprec",
            "a section",
            "{ server: \"sip:recorder@192.0.2.9;transport=tcp\" }",
            "none",
            "A recording server that gets what is recorded, in place of files.",
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
        key(
            "do",
            "bridge or proxy",
            "proxy",
            "bridge",
            "How its users call each other: bridged, with media through this node, or proxied, with media directly between \
             the phones. Only users of a domain that says proxy may send requests to other domains. Calls to trunks are always \
             bridged; calls from trunks are, unless a route says proxy.",
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

/// `store`.
pub static STORE: Section = Section {
    path: "store",
    about: "The database. What changes here needs a restart.",
    keys: &[
        key(
            "path",
            "the path of a file",
            "data/tandem.db",
            "data/tandem.db",
            "The SQLite file; a relative path begins at the working directory.",
        ),
        key(
            "records",
            "yes or no",
            "no",
            "yes",
            "Each call leaves a record. With no, calls are seen in the log only, and `tandem calls` has nothing to list.",
        ),
        key(
            "bindings",
            "yes or no",
            "no",
            "yes",
            "A registration is confirmed once it is in the file, and is still there after a restart; one that only lasts longer is \
             confirmed at once and written within a second, or not before the node stops where that adds less than a tenth \
             of the time that is left. With no, it is kept in memory only, \
             and those in the file are removed at the start. With no for both, there is no file.",
        ),
    ],
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
        key(
            "watchers",
            "a user's name",
            "[ reception ]",
            "none",
            "Users who may subscribe to everybody's registration (RFC 3680): an application that greets phones, for example. Everybody may \
             subscribe to his own.",
        ),
    ],
};

/// `push`.
pub static PUSH: Section = Section {
    path: "push",
    about: "Who wakes phones that sleep (RFC 8599). Before a call goes to a contact with the parameters of a push service, and before its \
            registration ends, a JSON object is posted to the URL: `reason` (`call` or `refresh`), `aor`, `pn-provider`, `pn-prid`, \
            `pn-param`, and of a call its `call-id`. Any 2xx means that the phone is being woken.",
    keys: &[
        key(
            "url",
            "a URL with http or https",
            "https://push.example.com/wake",
            "required",
            "Where it is posted.",
        ),
        key(
            "token",
            PASSWORD,
            "{ env: PUSH_TOKEN }",
            "none",
            "Sent as `Authorization: Bearer`.",
        ),
        key(
            "ca",
            CERTIFICATES,
            "/etc/tandem/push-ca.pem",
            "the public CAs",
            "Who may have signed the certificate of the URL's host.",
        ),
        key(
            "providers",
            "a push service as phones name it in pn-provider",
            "[ apns, fcm ]",
            "[ apns, fcm, webpush ]",
            "The services that can be reached by the URL. A phone of another one is answered 555.",
        ),
        key(
            "wait",
            DURATION,
            "10s",
            "10s",
            "How long a call waits for a phone that is being woken to register anew; 1s to 1m. Others ring meanwhile.",
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
