//! RFC 3666, the SIP side: the proxy between phones and gateways. A gateway is a user who is registered, with the number that it
//! leads to; where it calls, it is known by address.

use crate::scene::What::{Ends, Field, Text};
use crate::scene::Wire::{Tcp, Tls, Udp};
use crate::scene::{At, Phone, Scene, Slip, at, phone};

const FILE: &str = "domains: [ { name: a.example.com, do: proxy }, ss1.a.example.com ]
users:
  - { name: alice, PASSWORD, number: \"+13145551111\" }
  - { name: gateway, PASSWORD, numbers: [ \"+19725552222\", \"+19185553333\", \"+441234\", \"4443333\" ] }
trunks: [ { name: pstn, peers: [ \"sip:192.0.2.103\" ], options: never } ]
routes: [ { to: \"*\", from: trunk/pstn, do: proxy } ]
";
/// Where the gateway calls, the number is bob's.
const CALLED: &str = "domains: [ { name: a.example.com, do: proxy }, ss1.a.example.com ]
users: [ { name: bob, PASSWORD, number: \"+19725552222\" } ]
trunks: [ { name: pstn, peers: [ \"sip:192.0.2.103\" ], options: never } ]
routes: [ { to: \"*\", from: trunk/pstn, do: proxy } ]
";
const NAMES: &[(&str, &str)] = &[
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

const fn inward(section: &'static str, peers: &'static [At], phones: &'static [Phone], slips: &'static [Slip]) -> Scene {
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
        &[phone("sips:gateway@a.example.com", "NGW 1", "<sips:4443333@gw1.a.example.com>")],
        &[],
    ),
    out("2.3", &[alice(Udp), ngw1(Udp), at("NGW 2", "192.0.2.104", Udp)], OVERFLOW, &[]),
    Scene {
        us: &["Proxy 3", "Proxy"],
        hosts: &["ss3.b.example.com"],
        ip: "192.0.2.233",
        file: PROXY3,
        phones: &[phone("sip:bob@b.example.com", "Bob", "<sip:+19725552222@client.b.example.com>")],
        ..out("2.4", &[alice(Udp), bob(Udp)], &[], &[])
    },
    out("2.5", &[alice(Udp), ngw1(Udp)], &[NGW1], &[]),
    out(
        "2.6",
        &[alice(Tcp), ngw1(Tcp)],
        &[phone("sip:gateway@a.example.com", "NGW 1", "<sip:+44-1234@ngw1.a.example.com;user=phone>")],
        &[],
    ),
    out("2.7", &[alice(Tcp), ngw1(Tcp)], &[NGW1], &[]),
    inward("3.1", &[ngw1(Udp), bob(Udp)], BOB, &[]),
    inward("3.2", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[]),
    inward("3.3", &[ngw1(Udp), bob(Udp)], BOB, &[]),
    inward("3.4", &[ngw1(Tcp)], &[], &[]),
    inward("3.5", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[]),
    inward("3.6", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[]),
    inward("3.7", &[ngw1(Udp), bob(Udp)], BOB_TCP, &[]),
    inward("3.9", &[ngw1(Tcp), bob(Tcp)], BOB_TCP, &[]),
    out(
        "4.1",
        &[ngw1(Tls), at("GW 2", "192.0.2.202", Tls)],
        &[phone("sips:gateway@a.example.com", "GW 2", "<sips:4443333@gw2.a.example.com>")],
        &[],
    ),
    out(
        "4.2",
        &[ngw1(Udp), at("GW 2", "192.0.2.202", Udp), at("GW 3", "192.0.2.203", Udp)],
        &[
            phone("sip:gateway@a.example.com", "GW 2", "<sip:4443333@gw2.a.example.com>;q=0.9"),
            phone("sip:gateway@a.example.com", "GW 3", "<sip:+19185553333@gw3.a.example.com;user=phone>;q=0.5"),
        ],
        &[],
    ),
];
