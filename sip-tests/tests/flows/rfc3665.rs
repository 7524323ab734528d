//! RFC 3665: registration (2), and sessions through one proxy and two (3).

use crate::scene::What::{Ends, Field, Text};
use crate::scene::Wire::{Tcp, Tls, Udp};
use crate::scene::{At, Phone, Scene, Slip, at, phone};

const REGISTRAR: &str = "domains: [ biloxi.example.com, ss2.biloxi.example.com ]
users: [ { name: bob, PASSWORD } ]
";
const BOB_TLS: &[At] = &[at("Bob", "192.0.2.201", Tls)];
const SIPS: Phone = phone(
    "sips:bob@biloxi.example.com",
    "Bob",
    "<sips:bob@client.biloxi.example.com>",
);

/// Atlanta's proxy: alice is its own, Biloxi is another domain.
const PROXY1: &str = "domains: [ { name: atlanta.example.com, do: proxy }, ss1.atlanta.example.com ]
users: [ { name: alice, PASSWORD } ]
";
/// Biloxi's proxy: bob is its own, and whoever sends from Atlanta is known by address.
const PROXY2: &str = "domains: [ { name: biloxi.example.com, do: proxy }, ss2.biloxi.example.com ]
users: [ { name: bob, PASSWORD } ]
trunks: [ { name: atlanta, peers: [ \"sip:192.0.2.111\" ], accept_from: [ 192.0.2.101, 192.0.2.111, 192.0.2.128 ], options: never } ]
routes: [ { to: \"*\", from: trunk/atlanta, do: proxy } ]
";
const BOB: &[Phone] = &[phone(
    "sip:bob@biloxi.example.com",
    "Bob",
    "<sip:bob@client.biloxi.example.com>",
)];
const NAMES1: &[(&str, &str)] = &[
    ("biloxi.example.com", "192.0.2.222"),
    ("ss2.biloxi.example.com", "192.0.2.222"),
    ("client.atlanta.example.com", "192.0.2.101"),
];
const NAMES2: &[(&str, &str)] = &[
    ("ss1.atlanta.example.com", "192.0.2.111"),
    ("client.atlanta.example.com", "192.0.2.101"),
    ("client.biloxi.example.com", "192.0.2.201"),
];

const fn registrar(section: &'static str, phones: &'static [Phone], slips: &'static [Slip]) -> Scene {
    Scene {
        rfc: "rfc3665",
        section,
        us: &["SIP Server"],
        through: false,
        hosts: &["ss2.biloxi.example.com"],
        ip: "192.0.2.222",
        realm: "atlanta.example.com",
        file: REGISTRAR,
        peers: BOB_TLS,
        phones,
        names: &[],
        calls: 0,
        slips,
    }
}

const fn proxy1(section: &'static str, peers: &'static [At], slips: &'static [Slip]) -> Scene {
    Scene {
        rfc: "rfc3665",
        section,
        us: &["Proxy 1"],
        through: false,
        hosts: &["ss1.atlanta.example.com"],
        ip: "192.0.2.111",
        realm: "atlanta.example.com",
        file: PROXY1,
        peers,
        phones: &[],
        names: NAMES1,
        calls: 1,
        slips,
    }
}

const fn proxy2(section: &'static str, peers: &'static [At], slips: &'static [Slip]) -> Scene {
    Scene {
        rfc: "rfc3665",
        section,
        us: &["Proxy 2"],
        through: false,
        hosts: &["ss2.biloxi.example.com"],
        ip: "192.0.2.222",
        realm: "biloxi.example.com",
        file: PROXY2,
        peers,
        phones: BOB,
        names: NAMES2,
        calls: 1,
        slips,
    }
}

const ALICE_TCP: At = at("Alice", "192.0.2.101", Tcp);
const ALICE_UDP: At = at("Alice", "192.0.2.101", Udp);
const PROXY2_TCP: At = at("Proxy 2", "192.0.2.222", Tcp);
const PROXY2_UDP: At = at("Proxy 2", "192.0.2.222", Udp);
const PROXY1_TCP: At = at("Proxy 1", "192.0.2.111", Tcp);
const PROXY1_UDP: At = at("Proxy 1", "192.0.2.111", Udp);
const BOB_TCP: At = at("Bob", "192.0.2.201", Tcp);
const BOB_UDP: At = at("Bob", "192.0.2.201", Udp);

const REALM: Slip = Slip(
    "*",
    Field("WWW-Authenticate"),
    "RFC 3261 22.1: the realm is that of the protection domain, which is ours (the RFC shows Atlanta's for Biloxi)",
);

/// The same where the RFC's proxy asks alice herself who she is: she is a user here, too.
const PROXY2_ASKS: &str = "domains: [ { name: biloxi.example.com, do: proxy }, { name: atlanta.example.com, do: proxy }, ss2.biloxi.example.com ]
users: [ { name: bob, PASSWORD }, { name: alice, domain: atlanta.example.com, PASSWORD } ]
";

const fn asks(scene: Scene) -> Scene {
    Scene {
        file: PROXY2_ASKS,
        ..scene
    }
}

/// The RFC's proxy does not stay on the way; ours does, and what the participants send each other goes through it.
const fn stays(scene: Scene) -> Scene {
    Scene { through: true, ..scene }
}

const STAYS: Slip = Slip(
    "*",
    Field("our Record-Route"),
    "RFC 3261 16.6 step 4: a proxy may insert Record-Route if it wishes to stay on the way of the dialog",
);
const EXPIRES: Slip = Slip(
    "F2",
    Field("Contact"),
    "RFC 3261 10.2.1.1: without Expires the registrar chooses how long, for a mailto contact too",
);

/// Chicago's proxy, the third of the RFC.
const PROXY3: &str = "domains: [ { name: chicago.example.com, do: proxy }, ss3.chicago.example.com ]
users: [ { name: bob, PASSWORD } ]
trunks: [ { name: atlanta, peers: [ \"sip:192.0.2.101\" ], options: never } ]
routes: [ { to: \"*\", from: trunk/atlanta, do: proxy } ]
";
const BOB_IN_CHICAGO: &[Phone] = &[phone(
    "sip:bob@chicago.example.com",
    "Bob",
    "<sip:bob@client.chicago.example.com>",
)];

pub const SCENES: &[Scene] = &[
    registrar("2.1", &[], &[REALM]),
    registrar("2.2", &[SIPS], &[EXPIRES]),
    registrar(
        "2.3",
        &[
            SIPS,
            phone("sips:bob@biloxi.example.com", "Bob", "mailto:bob@biloxi.example.com"),
        ],
        &[EXPIRES],
    ),
    registrar("2.4", &[SIPS], &[]),
    Scene {
        file: "domains: [ { name: biloxi.example.com, do: proxy }, ss2.biloxi.example.com ]
users: [ { name: bob, password: another } ]
",
        ..registrar(
            "2.5",
            &[],
            &[
                REALM,
                Slip(
                    "F4",
                    Text("SIP/2.0 401 Unauthorized", "SIP/2.0 403 Forbidden"),
                    "RFC 3261 21.4.4: to credentials that are wrong, authorization will not help, and the request is not to be repeated",
                ),
            ],
        )
    },
    // The proxy is not shown: it knows both by address, and rings bob's phone.
    Scene {
        us: &[],
        through: true,
        ..proxy2("3.1", &[ALICE_TCP, BOB_TCP], &[])
    },
    proxy1("3.2", &[ALICE_TCP, PROXY2_TCP], &[]),
    proxy2("3.2", &[PROXY1_TCP, BOB_TCP], &[]),
    Scene {
        // One that Biloxi's challenge ended, and the one with credentials for both.
        calls: 2,
        ..proxy1(
            "3.3",
            &[ALICE_UDP, PROXY2_UDP],
            &[Slip(
                "F20",
                Field("Contact"),
                "RFC 3261 16.6 step 1: nothing is added that the ACK came without",
            )],
        )
    },
    asks(proxy2("3.3", &[PROXY1_UDP, BOB_UDP], &[ASKED])),
    asks(proxy2("3.4", &[ALICE_UDP, BOB_UDP], &[ASKED])),
    stays(asks(proxy2(
        "3.5",
        &[at("SIP ALG", "192.0.2.128", Udp), BOB_UDP],
        &[STAYS],
    ))),
    Scene {
        us: &["Proxy 3"],
        hosts: &["ss3.chicago.example.com"],
        ip: "192.0.2.233",
        file: PROXY3,
        phones: BOB_IN_CHICAGO,
        ..proxy2(
            "3.6",
            &[ALICE_TCP, at("Bob", "192.0.2.100", Tcp)],
            &[Slip(
                "F10",
                Ends("Proxy 3 -> Alice"),
                "the proxy of this flow is the third",
            )],
        )
    },
    stays(proxy2("3.7", &[ALICE_UDP, BOB_UDP], &[STAYS])),
    proxy1(
        "3.8",
        &[ALICE_UDP, PROXY2_UDP],
        &[Slip(
            "F11",
            Field("Request-URI"),
            "RFC 3261 9.1: the Request-URI of a CANCEL is that of the request it cancels",
        )],
    ),
    proxy2("3.8", &[PROXY1_UDP, BOB_UDP], &[]),
    proxy1("3.9", &[ALICE_TCP, PROXY2_TCP], &[]),
    proxy2("3.9", &[PROXY1_TCP, BOB_TCP], &[]),
    proxy1("3.10", &[ALICE_UDP, PROXY2_UDP], &[]),
    proxy2(
        "3.10",
        &[PROXY1_UDP, BOB_UDP],
        &[
            Slip(
                "F4",
                Text("lr>,\r\n<sip:ss1", "lr>,\r\n <sip:ss1"),
                "RFC 3261 7.3.1: a folded line begins with a blank",
            ),
            Slip(
                "F12",
                Text("SIP/2.0 480 No Response", "SIP/2.0 408 Request Timeout"),
                "RFC 3261 16.8: a branch that said nothing counts as one that answered 408",
            ),
        ],
    ),
    proxy1("3.11", &[ALICE_UDP, PROXY2_UDP], &[]),
    proxy2("3.11", &[PROXY1_UDP, BOB_UDP], &[]),
];

const ASKED: Slip = Slip(
    "*",
    Field("Proxy-Authenticate"),
    "RFC 3261 22.1: the realm is that of the domain whose user is asked, which is alice's",
);
