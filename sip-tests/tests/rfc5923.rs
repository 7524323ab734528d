//! RFC 5923: requests in both directions over one connection; RFC 5922: carriers that are known by their certificate. The machine alone,
//! with what the shell would tell it of certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tandem::config::{Config, Sources};
use tandem::effect::Output;
use tandem::id::{ConnectionId, Flow, Identity, ListenerId, Target, Ticket, Transport};
use tandem::node::{Input, Node};
use tandem::time::{Clock, Instant, Wall};

const CONFIG: &str = "listen: [ \"udp://192.0.2.1:5060\", \"tcp://192.0.2.1:5060\", \"tls://192.0.2.1:5061\" ]
domains: [ example.com ]
OWN
users: [ { name: alice, password: secret-alice, number: \"101\" } ]
trunks:
  - { name: acme, accept_from: [], options: never, peers: [ \"sips:acme.example\" ], tls: { ca: acme.pem, accept: [ sbc.acme.example, acme.example ] } }
  - { name: bcme, accept_from: [], options: never, peers: [ \"sips:bcme.example\" ], tls: { ca: bcme.pem, name: sbc.bcme.example } }
  - { name: public, accept_from: [], options: never, peers: [ \"sip:192.0.2.99\" ], tls: { accept: [ public.example ] } }
";

struct Bench {
    node: Node,
    at: Clock,
}

impl Bench {
    fn new() -> Bench {
        Bench::with("")
    }

    fn with(own: &str) -> Bench {
        let read = |_: &Path| Ok(String::new());
        let sources = Sources {
            read: &read,
            ..Sources::NONE
        };
        let config: Config = tandem::config::parse("test", &CONFIG.replace("OWN", own), &sources)
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let at = Clock {
            now: Instant::ZERO,
            wall: Wall(0),
        };
        let mut bench = Bench {
            node: Node::new(Arc::new(config), [7; 32], at),
            at,
        };
        bench.outputs();
        bench
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.node.poll_output()).collect()
    }

    fn feed(&mut self, input: Input) -> Vec<Output> {
        self.node.handle(self.at, input);
        self.outputs()
    }

    /// Somebody comes with a certificate for these names, for which these vouch.
    fn comes(&mut self, flow: Flow, names: &[&str], by: &[Option<&str>]) -> Vec<Output> {
        let identity = Identity {
            names: names.iter().map(|name| (*name).into()).collect(),
            by: by.iter().map(|by| by.map(Into::into)).collect(),
        };
        self.feed(Input::Identified(flow, identity))
    }

    /// Where requests may go by this connection after one that came with this Via.
    fn aliases(&mut self, flow: Flow, via: &str) -> Vec<String> {
        let outputs = self.feed(Input::Sip(flow, request("OPTIONS", "sip:example.com", via)));
        let aliases = outputs.iter().filter_map(|output| match output {
            Output::Alias(of, Target { transport, addr, name }) => {
                assert_eq!((*of, *transport), (flow, Transport::Tls));
                Some(format!("{} at {addr}", name.as_deref().expect("a name")))
            }
            _ => None,
        });
        aliases.collect()
    }

    /// The status of the answer to an INVITE for alice; none where there is no answer. A trunk's is rung through to nobody: 480.
    fn invites(&mut self, flow: Flow, via: &str) -> Option<u16> {
        let outputs = self.feed(Input::Sip(flow, request("INVITE", "sip:101@example.com", via)));
        outputs.iter().find_map(|output| match output {
            Output::Send(_, bytes) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                text.split(' ').nth(1)?.parse().ok()
            }
            _ => None,
        })
    }
}

fn flow(connection: u64, transport: Transport) -> Flow {
    Flow {
        transport,
        listener: ListenerId(2),
        connection: ConnectionId(connection),
        local: "192.0.2.1:5061".parse().expect("an address"),
        peer: "192.0.2.9:40000".parse().expect("an address"),
    }
}

fn request(method: &str, uri: &str, via: &str) -> bytes::Bytes {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {via};branch=z9hG4bK{method}{}\r\nMax-Forwards: 70\r\nFrom: <sip:49123@192.0.2.9>;tag=f\r\n\
         To: <{uri}>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContact: <sip:192.0.2.9>\r\nContent-Length: 0\r\n\r\n",
        via.len()
    )
    .into()
}

const TLS: Transport = Transport::Tls;

/// 8.2: the address is that of the connection, the port that of the Via, and the names are those of the certificate.
#[test]
fn a_peer_with_a_certificate_is_reached_by_the_connection_that_it_opened() {
    for (via, at) in [
        ("sbc.acme.example;alias", "192.0.2.9:5061"),
        ("sbc.acme.example:5071;alias", "192.0.2.9:5071"),
    ] {
        let mut bench = Bench::new();
        bench.comes(flow(1, TLS), &["acme.example"], &[Some("acme.pem")]);
        assert_eq!(bench.aliases(flow(1, TLS), via), [format!("acme.example at {at}")]);
        // It is heard once: nobody can claim one port after another.
        assert!(bench.aliases(flow(1, TLS), "sbc.acme.example:9;alias").is_empty());
    }
}

/// 9.2, 9.3: not without a certificate, not where it is not asked for, not for a domain whose carrier another CA stands for, not on TCP.
#[test]
fn nobody_takes_what_is_not_his() {
    let names = ["acme.example", "sbc.bcme.example", "other.example"];
    let (acme, bcme) = (Some("acme.pem"), Some("bcme.pem"));
    for (by, found) in [
        (vec![acme], vec!["acme.example at 192.0.2.9:5061"]),
        // The certificate of this one has another name than its URI: what counts is whom we would have connected to.
        (vec![bcme], vec!["bcme.example at 192.0.2.9:5061"]),
        // The public CAs stand for everybody but those who have their own.
        (
            vec![None],
            vec!["other.example at 192.0.2.9:5061", "sbc.bcme.example at 192.0.2.9:5061"],
        ),
        (vec![Some("client_ca.pem")], vec![]),
    ] {
        let mut bench = Bench::new();
        bench.comes(flow(1, TLS), &names, &by);
        assert_eq!(bench.aliases(flow(1, TLS), "a.example;alias"), found, "{by:?}");
    }
    let mut bench = Bench::new();
    assert!(
        bench.aliases(flow(1, TLS), "a.example;alias").is_empty(),
        "no certificate"
    );
    bench.comes(flow(1, TLS), &names, &[acme]);
    assert!(bench.aliases(flow(1, TLS), "a.example").is_empty(), "not asked for");
    assert!(bench.aliases(flow(2, TLS), "a.example;alias").is_empty(), "another's");
    assert!(bench.aliases(flow(1, Transport::Tcp), "a.example;alias").is_empty());
    bench.feed(Input::FlowClosed(flow(1, TLS)));
    assert!(
        bench.aliases(flow(1, TLS), "b.example;alias").is_empty(),
        "it is closed"
    );
}

/// RFC 5922 7.4: who has a certificate for a name of the trunk, signed by the trunk's CA, is that carrier, at any address.
#[test]
fn a_carrier_is_known_by_its_certificate() {
    for (names, by, is_known) in [
        (vec!["sbc.acme.example"], vec![Some("acme.pem")], true),
        (vec!["x.example", "acme.example"], vec![None, Some("acme.pem")], true),
        (vec!["sbc.acme.example"], vec![None], false),
        (vec!["sbc.acme.example"], vec![Some("bcme.pem")], false),
        // RFC 5922 7.2: neither suffixes nor wildcards.
        (vec!["a.sbc.acme.example"], vec![Some("acme.pem")], false),
        (vec!["*.acme.example"], vec![Some("acme.pem")], false),
        // This trunk accepts none by certificate.
        (vec!["sbc.bcme.example"], vec![Some("bcme.pem")], false),
        (vec!["public.example"], vec![None], true),
        (vec![], vec![Some("acme.pem")], false),
    ] {
        let mut bench = Bench::new();
        let come = bench.comes(flow(1, TLS), &names, &by);
        let is_kept = come.iter().any(|output| matches!(output, Output::Known(_)));
        assert_eq!(
            is_kept, is_known,
            "{names:?} by {by:?} is worth keeping before it calls"
        );
        let answer = bench.invites(flow(1, TLS), "192.0.2.9");
        assert_eq!(answer.is_some(), is_known, "{names:?} by {by:?}: {answer:?}");
        // The same address without that certificate is nobody.
        assert_eq!(bench.invites(flow(2, TLS), "other.example"), None);
    }
}

/// 8.1: where we went to somebody, and have something to show, our Via says that this connection is good for both ways.
#[test]
fn our_via_asks_for_it_where_we_have_a_certificate() {
    for (own, connects, asks) in [
        ("tls: { certificate: own.pem, key: own.key }", true, true),
        ("", true, false),
    ] {
        let mut bench = Bench::with(own);
        let reload = CONFIG.replace("OWN", own).replace("options: never", "options: 1s");
        let read = |_: &Path| Ok(String::new());
        let sources = Sources {
            read: &read,
            ..Sources::NONE
        };
        let config = tandem::config::parse("test", &reload, &sources).unwrap_or_else(|problems| panic!("{problems:?}"));
        bench.feed(Input::Config(Arc::new(config)));
        bench.at.now += Duration::from_millis(1);
        let outputs = bench.feed(Input::Time);
        let asked = outputs.iter().find_map(|output| match output {
            Output::Query(ticket, question) => Some((*ticket, question.clone())),
            _ => None,
        });
        let sent = via_of_options(&mut bench, asked.expect("the name of a peer").0, connects);
        assert_eq!(sent.contains(";alias"), asks, "{sent}");
    }
}

/// Answers every question with nothing but an address, and opens what is asked for.
fn via_of_options(bench: &mut Bench, first: Ticket, connects: bool) -> String {
    use tandem::effect::{Answer, Kind, Record};
    let mut waiting = vec![Input::Answered(first, Answer::default())];
    while let Some(input) = waiting.pop() {
        for output in bench.feed(input) {
            match output {
                Output::Query(ticket, question) => {
                    let address = Record::Address([192, 0, 2, 9].into());
                    let records = if question.kind == Kind::A {
                        vec![address]
                    } else {
                        Vec::new()
                    };
                    let ttl = Duration::from_secs(1);
                    waiting.push(Input::Answered(ticket, Answer { records, ttl }));
                }
                Output::Connect(ticket, target) if target.transport == TLS && connects => {
                    waiting.push(Input::FlowOpened(ticket, flow(5, TLS)));
                }
                Output::Send(to, bytes) if to.transport == TLS => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    return text.lines().nth(1).expect("a Via").to_owned();
                }
                _ => {}
            }
        }
    }
    panic!("nothing was sent")
}
