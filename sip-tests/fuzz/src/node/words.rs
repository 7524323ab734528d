//! What messages are made of.

/// Three configurations: users that are proxied and bridged, a trunk; without bob and with another way; without the trunk.
pub const CONFIGS: [&str; 3] = [
    r#"
listen: [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060", "tls://192.0.2.1:5061", "ws://192.0.2.1:80" ]
domains: [ { name: example.com, do: proxy }, example.org ]
media: { workers: 1 }
calls: { max_duration: 5m }
users:
  - { name: alice, password: a, number: "+14155550101", calls: 4 }
  - { name: bob, password: b, number: "+14155550102", on_busy: carol, on_no_answer: "600", ring: 30s }
  - { name: carol, password: c, domain: example.org }
  - { name: dave, password: d, calls: 1, on_offline: bob }
trunks:
  - { name: acme, peers: [ "sip:198.51.100.1" ], accept_from: [ 198.51.100.0/24 ], options: never, numbers: { country: US } }
routes:
  - { to: "600", do: echo }
  - { to: "601", do: tone }
  - { to: "603", do: reject/603 }
  - { to: "+14155550102", from: trunk/acme, do: proxy }
  - { to: "+", from: user/*, do: trunk/acme }
"#,
    r#"
listen: [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060", "tls://192.0.2.1:5061", "ws://192.0.2.1:80" ]
domains: [ example.com, { name: example.org, do: proxy } ]
media: { workers: 1, ports: 40000-40999 }
calls: { max_duration: 5m }
users:
  - { name: alice, password: a, number: "+14155550101", calls: 1 }
  - { name: carol, password: c, domain: example.org }
trunks:
  - { name: acme, peers: [ "sip:acme.example" ], accept_from: [ 198.51.100.0/24 ], options: never, numbers: { country: US } }
routes: [ { to: "+", do: trunk/acme } ]
"#,
    r#"
listen: [ "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060", "tls://192.0.2.1:5061", "ws://192.0.2.1:80" ]
domains: [ { name: example.com, do: proxy } ]
media: { workers: 1 }
calls: { max_duration: 5m, transfer: no }
users:
  - { name: alice, password: x }
  - { name: bob, password: b }
"#,
];

pub const METHODS: [&str; 16] = [
    "INVITE",
    "INVITE",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "NOTIFY",
    "INFO",
    "PRACK",
    "UPDATE",
    "REFER",
    "X-Y.z!",
];

/// Whom a request is for, and what a Contact says.
pub const TARGETS: [&str; 16] = [
    "sip:bob@example.com",
    "sip:alice@example.com",
    "sip:carol@example.org",
    "sip:dave@example.com",
    "sip:600@example.com",
    "sip:+14155550102@example.com",
    "sip:+442079460000@example.com",
    "sips:bob@example.com",
    "sip:x@far.example",
    "sip:192.0.2.1",
    "sip:bob@192.0.2.1;maddr=192.0.2.1;transport=tcp",
    "tel:+14155550101",
    "sip:nobody@example.com?Subject=x",
    "sip:x@203.0.113.9;transport=tcp",
    "sip:603@example.com",
    "sip:%62ob@EXAMPLE.com;user=phone",
];

pub const STATUSES: [u16; 24] = [
    100, 180, 183, 199, 200, 200, 200, 202, 299, 302, 305, 401, 407, 408, 422, 480, 481, 486, 487, 488, 491, 500, 503,
    603,
];

pub const FIELDS: [&str; 40] = [
    "Via",
    "Route",
    "Record-Route",
    "Max-Forwards",
    "Max-Breadth",
    "Proxy-Require",
    "Require",
    "Supported",
    "Contact",
    "Expires",
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "RAck",
    "Replaces",
    "Refer-To",
    "Referred-By",
    "Event",
    "Subscription-State",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Proxy-Authorization",
    "Authorization",
    "Proxy-Authenticate",
    "WWW-Authenticate",
    "P-Asserted-Identity",
    "Privacy",
    "Diversion",
    "Reason",
    "Retry-After",
    "Warning",
    "Path",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Accept",
    "Date",
    "X-Odd",
];

pub const VALUES: [&str; 40] = [
    "",
    "0",
    "1",
    "70",
    "4294967296",
    "x",
    "100rel, timer, replaces",
    "outbound, path, gruu, 199",
    "<sip:192.0.2.1;lr>",
    "<sip:192.0.2.1;lr>, <sip:203.0.113.9:5060>, <sip:p.example;lr>",
    "<sip:tw-nn0123456789abcdef@192.0.2.1;lr>",
    "<sip:203.0.113.9>",
    "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0000000000000000.0000000000000000.0000000000000000",
    "SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.99;rport=1, SIP/2.0/UDP b;branch=1",
    "*",
    "<sip:bob@203.0.113.2>;q=0.3;expires=60",
    "<sip:bob@203.0.113.2>;q=7;reg-id=1;+sip.instance=\"<urn:uuid:1>\"",
    "<sips:bob@203.0.113.2>, <sip:bob@203.0.113.2>",
    "90;refresher=uas",
    "90;refresher=uac",
    "1;refresher=x",
    "1 1 INVITE",
    "c0;to-tag=a;from-tag=b",
    "c0;to-tag=a;from-tag=b;early-only",
    "<sip:carol@example.org>",
    "<sip:bob@example.com?Replaces=c0%3Bto-tag%3Da%3Bfrom-tag%3Db>",
    "<sip:600@example.com;method=BYE>",
    "presence;id=1",
    "active;expires=60",
    "terminated;reason=noresource",
    "application/sdp",
    "multipart/mixed;boundary=b",
    "Digest realm=\"example.com\", nonce=\"1\", algorithm=MD5, qop=\"auth\"",
    "Digest username=\"alice\", realm=\"example.com\", nonce=\"1\", uri=\"sip:a\", response=\"0\"",
    "\"A \\\" B\" <sip:+14155550101@example.com>;tag=odd",
    "<tel:+14155550101>;tag=t",
    "SIP;cause=200;text=\"Call completed elsewhere\", Q.850;cause=17",
    "id;critical",
    "99 INVITE",
    "a\u{fc},\"b,c\" ;d=\"",
];

/// What the peers offer and answer.
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
                       a=rtpmap:101 telephone-event/8000\r\n";
