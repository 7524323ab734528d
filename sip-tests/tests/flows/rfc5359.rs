//! RFC 5359: services. Where the RFC shows the proxy, the node is it; where it leaves the proxy out, the node stands between the
//! participants. All of it is SIPS over TLS.

use crate::scene::What::{Ends, Field, Skip, Text};
use crate::scene::Wire::Tls;
use crate::scene::{At, Phone, Scene, Slip, at, phone};

const FILE: &str = "domains:
  - { name: biloxi.example.com, do: proxy }
  - { name: atlanta.example.com, do: proxy }
  - { name: chicago.example.com, do: proxy }
  - { name: server.example.com, do: proxy }
  - ss1.example.com
users:
  - { name: bob, PASSWORD, calls: 10 }
  - { name: alice, PASSWORD, domain: atlanta.example.com, calls: 10 }
  - { name: a8342043f, PASSWORD, domain: atlanta.example.com, calls: 10 }
  - { name: carol, PASSWORD, domain: chicago.example.com, calls: 10 }
  - { name: 39itp34klkd, PASSWORD, domain: chicago.example.com, calls: 10 }
  - { name: music, PASSWORD, domain: server.example.com, calls: 10 }
  - { name: park, PASSWORD, domain: server.example.com, calls: 10 }
trunks: [ { name: people, peers: [ \"sip:192.0.2.0\" ], accept_from: [ 192.0.2.0/24 ], options: never } ]
routes: [ { to: \"*\", from: trunk/people, do: proxy } ]
";

const ALICE: At = at("Alice", "192.0.2.103", Tls);
const BOB: At = at("Bob", "192.0.2.105", Tls);
const CAROL: At = at("Carol", "192.0.2.123", Tls);
const ALICE_AT: Phone = phone(
    "sips:alice@atlanta.example.com",
    "Alice",
    "<sips:alice@client.atlanta.example.com>",
);
const BOB_AT: Phone = phone(
    "sips:bob@biloxi.example.com",
    "Bob",
    "<sips:bob@client.biloxi.example.com>",
);
const CAROL_AT: Phone = phone(
    "sips:carol@chicago.example.com",
    "Carol",
    "<sips:carol@client.chicago.example.com>",
);
/// The GRUUs of the RFC are addresses of record of their own here: their registrar is not ours.
const ALICE_GRUU: Phone = phone(
    "sips:a8342043f@atlanta.example.com",
    "Alice",
    "<sips:a8342043f@atlanta.example.com;gr>",
);
const CAROL_GRUU: Phone = phone(
    "sips:39itp34klkd@chicago.example.com",
    "Carol",
    "<sips:39itp34klkd@chicago.example.com;gr>",
);

const fn shown(
    section: &'static str,
    peers: &'static [At],
    phones: &'static [Phone],
    calls: usize,
    slips: &'static [Slip],
) -> Scene {
    Scene {
        rfc: "rfc5359",
        section,
        us: &["Proxy 1", "Proxy"],
        through: false,
        hosts: &["ss1.example.com"],
        ip: "192.0.2.54",
        realm: "example.com",
        file: FILE,
        peers,
        phones,
        names: &[],
        calls,
        slips,
    }
}

/// The proxy is not shown.
const fn hidden(
    section: &'static str,
    peers: &'static [At],
    phones: &'static [Phone],
    calls: usize,
    slips: &'static [Slip],
) -> Scene {
    Scene {
        us: &[],
        through: true,
        ..shown(section, peers, phones, calls, slips)
    }
}

const GATEWAY: &[At] = &[ALICE, at("Gateway", "192.0.2.107", Tls)];
const DEVICES: &[At] = &[
    ALICE,
    at("B1", "192.0.2.131", Tls),
    at("B2", "192.0.2.132", Tls),
    at("B3", "192.0.2.133", Tls),
    at("B4", "192.0.2.134", Tls),
];
const TWO: &[Phone] = &[
    phone(
        "sips:bob@biloxi.example.com",
        "B1",
        "<sips:bob@client.biloxi.example.com>;q=0.9",
    ),
    phone(
        "sips:bob@biloxi.example.com",
        "B2",
        "<sips:bob@client2.biloxi.example.com>;q=0.8",
    ),
];
const FOUR: &[Phone] = &[
    phone(
        "sips:bob@biloxi.example.com",
        "B1",
        "<sips:bob@client.biloxi.example.com>;q=0.9",
    ),
    phone(
        "sips:bob@biloxi.example.com",
        "B2",
        "<sips:bob@client2.biloxi.example.com>;q=0.8",
    ),
    phone(
        "sips:bob@biloxi.example.com",
        "B3",
        "<sips:bob@client3.biloxi.example.com>;q=0.7",
    ),
    phone(
        "sips:bob@biloxi.example.com",
        "B4",
        "<sips:bob@client4.biloxi.example.com>;q=0.6",
    ),
];

const fn optional(label: &'static str) -> Slip {
    Slip(
        label,
        Skip,
        "RFC 5359 1.2: what stands in parentheses is optional, and RFC 3261 16.2 lets a proxy make no provisional response but 100",
    )
}
const MUSIC: At = at("Music Server", "192.0.2.110", Tls);
const PARK: At = at("Park Server", "192.0.2.110", Tls);

/// Who may call whom is asked here: alice is a user, and bob is not for her.
const AS_IT_CAME: [Slip; 2] = [
    Slip(
        "*",
        Field("Allow"),
        "RFC 3261 16.6 step 1: the request leaves as it came (the RFC shows Allow on one side only)",
    ),
    Slip(
        "*",
        Field("Supported"),
        "RFC 3261 16.6 step 1: the request leaves as it came (the RFC shows Supported on one side only)",
    ),
];
const LITERAL: Slip = Slip(
    "*",
    Text("c=IN IP4 client.atlanta.example.com", "c=IN IP4 192.0.2.103"),
    "what the dial plan refuses, a user agent server refuses, which reads the offer: one with a name in c= is 488 (RFC 3261 13.3.1)",
);
const REASON: Slip = Slip("*", Field("Reason"), "RFC 3326 2: any response may say why");
const SCREENED: &str =
    "domains: [ { name: biloxi.example.com, do: proxy }, { name: atlanta.example.com, do: proxy }, ss1.example.com ]
users: [ { name: bob, PASSWORD }, { name: alice, PASSWORD, domain: atlanta.example.com } ]
routes: [ { to: bob, from: user/alice, do: reject/403 } ]
";
const ASKED: Slip = Slip(
    "*",
    Field("Proxy-Authenticate"),
    "RFC 3261 22.1: the realm is that of the domain whose user is asked, which is alice's",
);
const ERROR_INFO: Slip = Slip("*", Field("Error-Info"), "RFC 3261 20.18: optional");

pub const SCENES: &[Scene] = &[
    shown("2.1", &[ALICE, BOB], &[BOB_AT], 1, &[]),
    shown(
        "2.2",
        &[ALICE, BOB, CAROL],
        &[BOB_AT, CAROL_AT],
        2,
        &[
            Slip(
                "F19",
                Text("9876543210@atlanta", "9876543210@biloxi"),
                "RFC 3261 8.2.6.2: Call-ID is that of the request",
            ),
            AS_IT_CAME[0],
            AS_IT_CAME[1],
        ],
    ),
    hidden(
        "2.3",
        &[ALICE, BOB, MUSIC],
        &[
            BOB_AT,
            ALICE_GRUU,
            phone(
                "sips:music@server.example.com",
                "Music Server",
                "<sips:music@server.example.com>",
            ),
        ],
        3,
        &[],
    ),
    hidden("2.4", &[ALICE, BOB, CAROL], &[ALICE_AT, BOB_AT, CAROL_AT], 2, &[]),
    hidden(
        "2.5",
        &[ALICE, BOB, CAROL],
        &[ALICE_AT, BOB_AT, CAROL_AT, CAROL_GRUU],
        3,
        &[],
    ),
    hidden("2.6", &[ALICE, BOB, CAROL], &[BOB_AT, CAROL_AT, ALICE_GRUU], 2, &[]),
    shown(
        "2.7",
        GATEWAY,
        &[phone(
            "sips:bob@biloxi.example.com",
            "Gateway",
            "<sips:+19727293660@gw1.example.com;user=phone>",
        )],
        1,
        &[optional("F3")],
    ),
    shown("2.8", DEVICES, TWO, 1, &[optional("F6")]),
    shown("2.9", DEVICES, TWO, 1, &[optional("F10")]),
    hidden(
        "2.10",
        &[ALICE, BOB, CAROL],
        &[BOB_AT, CAROL_AT],
        2,
        &[Slip(
            "F9",
            Text("SIP/2.0 200 OK", "SIP/2.0 180 Ringing"),
            "the label says what is meant",
        )],
    ),
    hidden("2.11", &[ALICE, BOB, CAROL], &[BOB_AT], 2, &[]),
    shown("2.12", DEVICES, FOUR, 1, &[]),
    Scene {
        file: SCREENED,
        ..shown(
            "2.13",
            &[ALICE],
            &[],
            1,
            &[
                ASKED,
                ERROR_INFO,
                LITERAL,
                REASON,
                Slip(
                    "F10",
                    Skip,
                    "the announcement server is not registered with the proxy, and its INVITE is not shown",
                ),
            ],
        )
    },
    Scene {
        file: SCREENED,
        ..shown("2.14", &[ALICE], &[], 1, &[ASKED, ERROR_INFO, LITERAL, REASON])
    },
    hidden(
        "2.15",
        &[ALICE, BOB, CAROL, PARK],
        &[
            ALICE_AT,
            BOB_AT,
            ALICE_GRUU,
            phone(
                "sips:park@server.example.com",
                "Park Server",
                "<sips:park@server.example.com>",
            ),
        ],
        3,
        &[Slip(
            "F16",
            Text("SUBSCRIBE sips:bob@biloxi", "SUBSCRIBE sips:park@server"),
            "the RFC does not say how the request for bob's calls comes to the server",
        )],
    ),
    hidden(
        "2.16",
        &[ALICE, BOB, at("Bill", "192.0.2.114", Tls)],
        &[BOB_AT, ALICE_GRUU],
        2,
        &[],
    ),
    hidden(
        "2.17",
        &[ALICE, BOB],
        &[ALICE_AT, BOB_AT],
        2,
        &[Slip("F2", Ends("Bob -> Alice"), "the label names nobody")],
    ),
    hidden(
        "2.18",
        &[at("PC", "192.0.2.114", Tls), BOB, CAROL],
        &[BOB_AT, CAROL_AT],
        1,
        &[],
    ),
];
