//! The sections on STUN and TURN.

use super::{DURATION, PASSWORD, Section, key};

/// `turn`.
pub static TURN: Section = Section {
    path: "turn",
    about: "STUN and TURN (RFC 8489, RFC 8656): browsers and phones behind NATs learn their outside address here, and have their media relayed \
            where nothing else gets through. Without this section there is neither.",
    keys: &[
        key(
            "listen",
            "an address of this machine as udp://IP:PORT, or the same with tcp or tls",
            "[ \"udp://192.0.2.1:3478\", \"tcp://192.0.2.1:3478\", \"tls://192.0.2.1:5349\" ]",
            "required",
            "Where clients come; a change needs a restart, as of the next three. Without a port it is 3478, of tls 5349. The certificate of tls is \
             that of the section tls.",
        ),
        key(
            "addresses",
            "an address of this machine",
            "[ 192.0.2.1, \"2001:db8::1\" ]",
            "of each family the first address of listen",
            "Where relayed ports are: one address of IPv4, one of IPv6, or both.",
        ),
        key(
            "external",
            "an IP address that others can reach",
            "[ 203.0.113.10 ]",
            "advertise, if it is of the family; else the same as addresses",
            "The same addresses as others see them, where this machine is behind NAT.",
        ),
        key(
            "ports",
            "a range of ports as FIRST-LAST, 1024 to 65535",
            "49152-65535",
            "49152-65535",
            "UDP ports of relayed addresses, one for each allocation; open them in the firewall.",
        ),
        key(
            "realm",
            "a domain name or an address",
            "example.com",
            "the first of domains",
            "In whose name passwords are asked for.",
        ),
        key(
            "secret",
            PASSWORD,
            "{ env: TURN_SECRET }",
            "none: only users may relay",
            "What passwords that hold for a time are made of, here and where they are handed out: the user name is the end in seconds since 1970, a \
             colon and a name; the password is the base64 of its HMAC-SHA1 under this secret. From the end on nothing new is relayed; what is \
             relayed already goes on for four hours at most, as long as a call may take. Where the HTTP API hands them out, api.turn has the same \
             secret.",
        ),
        key(
            "users",
            "a list of users",
            "[ { name: office, password: \"...\" } ]",
            "none",
            "Users with a password of their own, for clients that cannot be given one for a time.",
        ),
        key(
            "allocations",
            "a number of allocations, 1 to 60000",
            "1000",
            "10000",
            "Relayed addresses at once; further ones are refused with 508.",
        ),
        key(
            "per_user",
            "a number of allocations, 1 to 60000",
            "10",
            "20",
            "Of them those of one user (behind the colon of a name for a time); further ones are refused with 486.",
        ),
        key(
            "bandwidth",
            "a rate in kbit/s, 64 to 1000000, or never",
            "2000",
            "20000",
            "What one allocation relays in each direction; what is beyond it is dropped.",
        ),
        key(
            "lifetime",
            DURATION,
            "30m",
            "1h",
            "How long an allocation lasts at most when its client does not refresh it, 10m to 1h.",
        ),
        key(
            "tcp_peers",
            "yes or no",
            "yes",
            "no",
            "Whether a client on a stream may have TCP to its peers instead of UDP (RFC 6062). It then reaches whatever listens there: web servers, \
             mail servers. Open ports for TCP too.",
        ),
        key(
            "denied_peers",
            "an address or a range of addresses",
            "[ 203.0.113.0/24 ]",
            "none",
            "To whom nothing is relayed, besides loopback, private, link-local, multicast and other addresses that are nobody's on the internet, \
             and all addresses of this machine, of which only media.ports and these ports are reached, where they are.",
        ),
        key(
            "allowed_peers",
            "an address or a range of addresses",
            "[ 10.20.0.0/16 ]",
            "none",
            "To whom it is although the address is private. Neither denied_peers nor our own ports can be allowed by it; of an address that has \
             one of IPv4 in it (64:ff9b::/96, 2002::/16), that has to be good too.",
        ),
    ],
};

/// An entry of `turn.users`.
pub static TURN_USER: Section = Section {
    path: "turn.users[]",
    about: "Somebody who may relay.",
    keys: &[
        key(
            "name",
            "a user name: letters, digits and - _ . ! ~ ' & = + $, at most 64",
            "office",
            "required",
            "The user name.",
        ),
        key(
            "password",
            PASSWORD,
            "{ env: OFFICE_PASSWORD }",
            "required",
            "The password.",
        ),
    ],
};
