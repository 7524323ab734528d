//! A node whose media a proxy brings: commands by chance, and workers that are not always there.
//!
//! ```text
//!   0 length datagram       as it is, the length in two octets
//!   1 six choices           a command from templates
//!   2 seconds               time passes
//!   3 which                 a worker closes a leg, falls silent, or speaks again
//! ```

use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem::config::{self, Sources};
use tandem::effect::{Fact, Output};
use tandem::id::MediaLegId;
use tandem::media::command::{Command, Event, LegStats, Port};
use tandem::ng::bencode::{Value, parse};
use tandem::node::{Input, Node};
use tandem::time::{Clock, Instant, Wall};

const CONFIG: &str = "listen: [ \"udp://192.0.2.1:5060\", \"udp://[2001:db8::1]:5060\" ]\n\
                      ng: { listen: \"127.0.0.1:2223\", timeout: 20s }\n";
/// Longer than any call is kept that nobody ends.
const END: Duration = Duration::from_secs(3 * 3600);

const COMMANDS: [&str; 10] = [
    "offer",
    "answer",
    "delete",
    "query",
    "list",
    "ping",
    "block DTMF",
    "unblock DTMF",
    "play DTMF",
    "start recording",
];
const NAMES: [&str; 4] = ["a", "b", "c", ""];
const FLAGS: [&str; 12] = [
    "",
    "RTP/SAVP",
    "RTP/AVP transcode-opus ICE=remove",
    "codec-strip-all codec-offer-PCMA",
    "codec-mask-all transcode-PCMU SDES-off",
    "RTP/SAVP SDES-only-AEAD_AES_128_GCM OSRTP-accept",
    "address-family=IP6 rtcp-mux-reject",
    "received-from=198.51.100.1 SIP-source-address",
    "media-address=203.0.113.1 label=x directional",
    "fatal delete-delay=3 via-branch=z1",
    "UDP/TLS/RTP/SAVPF asymmetric",
    "direction=internal codec-set-opus/48000/2 to-tag",
];
const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn description(number: u8) -> String {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    let audio = match number % 9 {
        0 => "m=audio 4000 RTP/AVP 8 0\r\n".to_owned(),
        1 => "m=audio 4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n".to_owned(),
        2 => format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"),
        3 => format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:4 AES_CM_128_HMAC_SHA1_80 {KEY}\r\na=sendonly\r\n"),
        4 => "m=audio 0 RTP/AVP 8\r\n".to_owned(),
        5 => {
            "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=inactive\r\na=rtcp-mux\r\n".to_owned()
        }
        6 => "m=video 4000 RTP/AVP 96\r\nm=audio 4002 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\n".to_owned(),
        7 => "m=image 4000 udptl t38\r\n".to_owned(),
        _ => "m=audio 4000 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n".to_owned(),
    };
    format!("{head}{audio}")
}

struct Scene {
    node: Node,
    now: Instant,
    port: u16,
    legs: BTreeMap<MediaLegId, u64>,
    is_deaf: bool,
    cookies: u32,
    /// Commands that may still be answered, by cookie.
    asked: Vec<Vec<u8>>,
}

fn clock(now: Instant) -> Clock {
    Clock {
        now,
        wall: Wall(1_700_000_000_000 + now.as_millis()),
    }
}

fn proxy() -> SocketAddr {
    ([127, 0, 0, 1], 9000).into()
}

/// Octets as steps.
pub fn ng(octets: &[u8]) {
    let Ok(config) = config::parse("fuzz.yaml", CONFIG, &Sources::NONE) else {
        panic!("the configuration is good");
    };
    let mut scene = Scene {
        node: Node::new(Arc::new(config), [7; 32], clock(Instant::ZERO)),
        now: Instant::ZERO,
        port: 20_000,
        legs: BTreeMap::new(),
        is_deaf: false,
        cookies: 0,
        asked: Vec::new(),
    };
    scene.drain();
    let mut rest = octets;
    while let Some((step, behind)) = rest.split_first() {
        rest = scene.step(*step, behind);
    }
    scene.is_deaf = false;
    scene.wait(END);
    // What a worker was told while it heard nothing.
    for leg in scene.legs.keys().copied().collect::<Vec<_>>() {
        scene.close(leg);
    }
    let census = scene.node.census();
    assert_eq!((census.ng_calls, census.ng_legs), (0, 0), "nothing is left");
}

impl Scene {
    fn step<'o>(&mut self, step: u8, rest: &'o [u8]) -> &'o [u8] {
        match step % 4 {
            0 => {
                let Some((length, behind)) = rest.split_first_chunk::<2>() else {
                    return &[];
                };
                let length = usize::from(u16::from_be_bytes(*length));
                let (datagram, behind) = behind.split_at(length.min(behind.len()));
                self.datagram(datagram);
                behind
            }
            1 => {
                let Some((choices, behind)) = rest.split_first_chunk::<6>() else {
                    return &[];
                };
                self.command(*choices);
                behind
            }
            2 => {
                let Some((seconds, behind)) = rest.split_first() else {
                    return &[];
                };
                self.wait(Duration::from_secs(u64::from(*seconds)));
                behind
            }
            _ => {
                let Some((which, behind)) = rest.split_first() else {
                    return &[];
                };
                match which % 4 {
                    0 => self.is_deaf = true,
                    1 => self.is_deaf = false,
                    2 => self.legs.values_mut().for_each(|received| *received += 10),
                    _ => {
                        let leg = self.legs.keys().nth(usize::from(which / 4)).copied();
                        leg.into_iter().for_each(|leg| self.close(leg));
                    }
                }
                behind
            }
        }
    }

    fn command(&mut self, [command, call, from, to, flags, sdp]: [u8; 6]) {
        self.cookies += 1;
        let pick = |list: &[&'static str], at: u8| list[usize::from(at) % list.len()];
        let mut octets = format!("{}_1 d", self.cookies).into_bytes();
        let body = description(sdp);
        let branch = pick(&["", "z1", "z2"], sdp / 16);
        for (key, value) in [
            ("command", pick(&COMMANDS, command)),
            ("call-id", pick(&["c", "d"], call)),
            ("from-tag", pick(&NAMES, from)),
            ("to-tag", pick(&NAMES, to)),
            ("via-branch", branch),
            ("rtpp-flags", pick(&FLAGS, flags)),
            ("code", pick(&["5", "12", "#", "x"], sdp)),
            ("sdp", &body),
        ] {
            octets.extend(format!("{}:{key}{}:{value}", key.len(), value.len()).as_bytes());
        }
        octets.push(b'e');
        self.datagram(&octets);
    }

    fn datagram(&mut self, datagram: &[u8]) {
        if let Some(space) = datagram.iter().position(|octet| *octet == b' ') {
            self.asked.push(datagram[..=space].to_vec());
        }
        self.feed(Input::Ng(proxy(), Bytes::copy_from_slice(datagram)));
    }

    fn feed(&mut self, input: Input) {
        self.node.handle(clock(self.now), input);
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some((at, who)) = self.node.poll_timeout().filter(|(at, _)| *at <= end) {
            wakes = if at > self.now { 0 } else { wakes + 1 };
            assert!(wakes < 1_000, "{who} wants to be woken again and again");
            self.now = self.now.max(at);
            self.feed(Input::Time);
        }
        self.now = end;
    }

    fn close(&mut self, leg: MediaLegId) {
        if let Some(received) = self.legs.remove(&leg) {
            let stats = LegStats {
                received,
                ..LegStats::default()
            };
            self.feed(Input::Media(Event::Closed(leg, stats)));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Ng(peer, answer) => self.answered(peer, &answer),
                Output::Media(_, command) => self.media(command),
                Output::Ports(count) => {
                    let ports = (0..count).map(|nth| {
                        self.port = if self.port > 60_000 { 20_000 } else { self.port + 2 };
                        Port {
                            rtp: self.port,
                            v6: nth % 2 == 1,
                        }
                    });
                    let ports = ports.collect();
                    self.node.handle(clock(self.now), Input::Ports(ports));
                }
                Output::Record(Fact::Warning(text)) => panic!("an error in the node was caught: {text}"),
                Output::Record(_) => {}
                other => panic!("NG asks for nothing of SIP: {other:?}"),
            }
        }
    }

    fn answered(&self, peer: SocketAddr, answer: &[u8]) {
        assert_eq!(peer, proxy());
        let asked = self.asked.iter().find(|cookie| answer.starts_with(cookie));
        let body = &answer[asked.expect("a cookie of ours").len()..];
        let Ok(Value::Dict(dict)) = parse(body) else {
            panic!("an answer that is no dictionary");
        };
        assert!(
            matches!(dict.get(&b"result"[..]), Some(Value::Text(_))),
            "an answer without a result"
        );
    }

    fn media(&mut self, command: Command) {
        let leg = command.leg().expect("a command of NG is about a leg");
        match command {
            Command::Open(_) => assert!(self.legs.insert(leg, 0).is_none(), "a leg twice"),
            Command::Close(_) if !self.is_deaf => self.close(leg),
            Command::ReadStats(_) if !self.is_deaf => {
                let received = self.legs.get(&leg).copied().unwrap_or(0);
                let stats = LegStats {
                    received,
                    ..LegStats::default()
                };
                self.feed(Input::Media(Event::Stats(leg, stats)));
            }
            Command::Negotiated { .. }
            | Command::Protect { .. }
            | Command::Connect { .. }
            | Command::Video { .. }
            | Command::Function { .. }
            | Command::Play { .. }
            | Command::SendDigits { .. }
            | Command::Watch { .. }
            | Command::Record { .. }
            | Command::Seat { .. }
            | Command::OpenRoom(_)
            | Command::CloseRoom(_)
            | Command::LinkRoom { .. }
            | Command::PlayRoom { .. }
            | Command::RecordRoom { .. }
            | Command::Move { .. }
            | Command::ReadStats(_)
            | Command::Close(_) => {}
        }
    }
}
