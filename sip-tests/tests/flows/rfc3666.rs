//! RFC 3666, the SIP side: the proxy between phones and gateways. A gateway is a user who is registered, with the number that it
//! leads to; where it calls, it is known by address.

use crate::scene::What::{Also, Ends, Field, Text};
use crate::scene::Wire::{Tcp, Tls, Udp};
use crate::scene::{At, Phone, Scene, Slip, at, phone};

const FILE: &str = "domains: [ { name: a.example.com, do: proxy }, { name: ss1.a.example.com, do: proxy } ]
users:
  - { name: alice, PASSWORD, domain: ss1.a.example.com, number: \"+13145551111\" }
  - { name: gateway, PASSWORD, numbers: [ \"+19725552222\", \"+19185553333\", \"+441234\", \"4443333\" ] }
trunks: [ { name: pstn, peers: [ \"sip:192.0.2.103\" ], options: never } ]
routes: [ { to: \"*\", from: trunk/pstn, do: proxy } ]
";
/// Where the gateway calls, the number is bob's.
const CALLED: &str = "domains: [ { name: a.example.com, do: proxy }, { name: ss1.a.example.com, do: proxy } ]
users: [ { name: bob, PASSWORD, number: \"+19725552222\" } ]
trunks: [ { name: pstn, peers: [ \"sip:192.0.2.103\" ], options: never } ]
routes: [ { to: \"*\", from: trunk/pstn, do: proxy } ]
";
const NAMES: &[(&str, &str)] = &[
    ("gw1.a.example.com", "192.0.2.103"),
    ("client.a.example.com", "192.0.2.101"),
    ("ngw1.a.example.com", "192.0.2.103"),
    ("client.b.example.com", "192.0.2.200"),
];

const NGW1: Phone = phone(
    "sip:gateway@a.example.com",
    "NGW 1",
    "<sip:+19725552222@ngw1.a.example.com;user=phone>",
);
const OVERFLOW: &[Phone] = &[
    phone(
        "sip:gateway@a.example.com",
        "NGW 1",
        "<sip:+19725552222@ngw1.a.example.com;user=phone>;q=0.9",
    ),
    phone(
        "sip:gateway@a.example.com",
        "NGW 2",
        "<sip:+19725552222@ngw2.a.example.com;user=phone>;q=0.5",
    ),
];
const BOB: &[Phone] = &[phone("sip:bob@a.example.com", "Bob", "<sip:bob@client.b.example.com>")];
const BOB_TCP: &[Phone] = &[phone("sip:bob@a.example.com", "Bob", "<sip:bob@b.example.com>")];

const fn out(section: &'static str, peers: &'static [At], phones: &'static [Phone], slips: &'static [Slip]) -> Scene {
    Scene {
        rfc: "rfc3666",
        section,
        us: &["Proxy 1"],
        through: false,
        hosts: &["ss1.a.example.com"],
        ip: "192.0.2.111",
        realm: "a.example.com",
        file: FILE,
        peers,
        phones,
        names: NAMES,
        calls: 1,
        slips,
    }
}

const fn inward(
    section: &'static str,
    peers: &'static [At],
    phones: &'static [Phone],
    slips: &'static [Slip],
) -> Scene {
    Scene {
        file: CALLED,
        ..out(section, peers, phones, slips)
    }
}

const fn alice(wire: crate::scene::Wire) -> At {
    At {
        also: &["A"],
        ..at("Alice", "192.0.2.101", wire)
    }
}

const fn ngw1(wire: crate::scene::Wire) -> At {
    At {
        also: &["NGW1", "GW 1", "GW"],
        ..at("NGW 1", "192.0.2.103", wire)
    }
}

const fn bob(wire: crate::scene::Wire) -> At {
    At {
        also: &["B"],
        ..at("Bob", "192.0.2.200", wire)
    }
}

const FROM_GATEWAY: Slip = Slip(
    "F2",
    Ends("NGW 1 -> Proxy 1"),
    "alice calls by the gateway, which sends the INVITE",
);
const SCHEME: Slip = Slip(
    "*",
    Text("INVITE bob@b", "INVITE sip:bob@b"),
    "RFC 3261 25.1: a SIP URI has a scheme",
);
const SCHEME_ACK: Slip = Slip(
    "*",
    Text("ACK bob@", "ACK sip:bob@"),
    "RFC 3261 25.1: a SIP URI has a scheme",
);
const HOP: Slip = Slip(
    "*",
    Field("Request-URI"),
    "RFC 3261 9.1, 17.1.1.3: CANCEL and the ACK of a failure have the Request-URI of the INVITE that they are for",
);
const CONTACT: Slip = Slip(
    "*",
    Field("Contact"),
    "RFC 3261 16.7 step 9: the response leaves as it came (the RFC shows its parameter on one side only)",
);

/// Bob's proxy, the third of the RFC: alice has asked ENUM herself.
const PROXY3: &str = "domains: [ { name: b.example.com, do: proxy } ]
users: [ { name: bob, PASSWORD, number: \"+19725552222\" } ]
trunks: [ { name: alice, peers: [ \"sip:192.0.2.101\" ], options: never } ]
routes: [ { to: \"*\", from: trunk/alice, do: proxy } ]
";

pub const SCENES: &[Scene] = &[
    out("2.1", &[alice(Tcp), ngw1(Tcp)], &[NGW1], &[]),
    out(
        "2.2",
        &[alice(Tls), ngw1(Tls)],
        &[phone(
            "sips:gateway@a.example.com",
            "NGW 1",
            "<sips:4443333@gw1.a.example.com>",
        )],
        &[],
    ),
    out(
        "2.3",
        &[alice(Udp), ngw1(Udp), at("NGW 2", "192.0.2.104", Udp)],
        OVERFLOW,
        &[
            HOP,
            Slip(
                "F3",
                Field("Via"),
                "RFC 3261 8.2.6.2: Via is the request's (the RFC shows that of the proxy, too)",
            ),
            Slip(
                "F5",
                Field("To"),
                "RFC 3261 25.1: the RFC's own value has a bracket too many",
            ),
        ],
    ),
    Scene {
        us: &["Proxy 3", "Proxy"],
        hosts: &["ss3.b.example.com"],
        ip: "192.0.2.233",
        file: PROXY3,
        phones: &[phone(
            "sip:bob@b.example.com",
            "Bob",
            "<sip:+19725552222@client.b.example.com>",
        )],
        ..out(
            "2.4",
            &[alice(Udp), bob(Udp)],
            &[],
            &[
                CONTACT,
                Slip(
                    "F11",
                    Field("Content-Type"),
                    "RFC 3261 16.6 step 1: nothing is added that the ACK came without",
                ),
            ],
        )
    },
    out("2.5", &[alice(Udp), ngw1(Udp)], &[NGW1], &[HOP]),
    out(
        "2.6",
        &[alice(Tcp), ngw1(Tcp)],
        &[phone(
            "sip:gateway@a.example.com",
            "NGW 1",
            "<sip:+44-1234@ngw1.a.example.com;user=phone>",
        )],
        &[],
    ),
    out("2.7", &[alice(Tcp), ngw1(Tcp)], &[NGW1], &[HOP]),
    inward("3.1", &[ngw1(Udp), bob(Udp)], BOB, &[FROM_GATEWAY]),
    inward("3.2", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[SCHEME, SCHEME_ACK]),
    inward(
        "3.3",
        &[ngw1(Udp), bob(Udp)],
        BOB,
        &[
            Slip(
                "F4",
                Field("Via"),
                "RFC 3261 8.2.6.2: Via is the request's (the RFC shows another gateway's)",
            ),
            Slip(
                "*",
                Text("4Fde34wkd11wsGFDs3@ngw1", "4Fde34wkd11wsGFDs3@gw1"),
                "RFC 3261 8.1.1.4: Call-ID is the same in all messages of a dialog",
            ),
            Slip(
                "F12",
                Field("From"),
                "RFC 3261 8.1.1: From is in every request (the RFC leaves it out)",
            ),
            Slip(
                "F12",
                Field("From tag"),
                "RFC 3261 8.1.1: From is in every request (the RFC leaves it out)",
            ),
        ],
    ),
    inward(
        "3.4",
        &[ngw1(Tcp)],
        &[],
        &[
            FROM_GATEWAY,
            Slip(
                "F2",
                Text("Contact:\r\n<sip", "Contact: <sip"),
                "RFC 3261 7.3.1: a folded line begins with a blank",
            ),
            Slip(
                "F3",
                Text("SIP/2.0 604 Does Not Exist Anywhere", "SIP/2.0 404 Not Found"),
                "RFC 3261 21.4.5, 21.6.3: we know who is in our domain, not who exists anywhere",
            ),
            Slip("F3", Field("Error-Info"), "RFC 3261 20.18: optional"),
            Slip("F3", Field("Reason"), "RFC 3326 2: any response may say why"),
            Slip(
                "F2",
                Text("c=IN IP4 gw1.a.example.com", "c=IN IP4 192.0.2.103"),
                "what the dial plan refuses, a user agent server refuses, which reads the offer: one with a name in c= is 488 (RFC 3261 13.3.1)",
            ),
        ],
    ),
    inward(
        "3.5",
        &[ngw1(Tcp), bob(Tcp)],
        BOB_TCP,
        &[FROM_GATEWAY, SCHEME, SCHEME_ACK],
    ),
    inward("3.6", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[SCHEME, SCHEME_ACK]),
    inward(
        "3.7",
        &[ngw1(Udp), bob(Udp)],
        BOB_TCP,
        &[
            FROM_GATEWAY,
            Slip(
                "F13",
                Also("NGW 1", "SIP/2.0 487"),
                "RFC 3261 9.2, 16.10: the INVITE that was cancelled is answered",
            ),
        ],
    ),
    inward("3.9", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[FROM_GATEWAY, CONTACT]),
    out(
        "4.1",
        &[ngw1(Tls), at("GW 2", "192.0.2.202", Tls)],
        &[phone(
            "sips:gateway@a.example.com",
            "GW 2",
            "<sips:4443333@gw2.a.example.com>",
        )],
        &[
            Slip(
                "F3",
                Field("Via"),
                "RFC 3261 16.6 step 8: the Vias that came stay (the RFC shows another branch)",
            ),
            Slip(
                "F13",
                Text("2xTb9vxSit55XU7p8@gw1", "2xTb9vxSit55XU7p8@ngw1"),
                "RFC 3261 8.1.1.4: Call-ID is the same in all messages of a dialog",
            ),
        ],
    ),
    out(
        "4.2",
        &[
            ngw1(Udp),
            at("GW 2", "192.0.2.202", Udp),
            at("GW 3", "192.0.2.203", Udp),
        ],
        &[
            phone(
                "sip:gateway@a.example.com",
                "GW 2",
                "<sip:4443333@gw2.a.example.com>;q=0.9",
            ),
            phone(
                "sip:gateway@a.example.com",
                "GW 3",
                "<sip:+19185553333@gw3.a.example.com;user=phone>;q=0.5",
            ),
        ],
        &[
            HOP,
            Slip("F5", Field("Max-Forward"), "RFC 3261 20.22: the field is Max-Forwards"),
        ],
    ),
];
