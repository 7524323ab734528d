//! Video in rooms, with browsers of another implementation of ICE, DTLS and SRTP than the node's: they offer a camera and places for others,
//! send frames when they are asked for a key frame, and read what comes with another reader of VP8 (RFC 7741, 8829, 8843, 4585, 4588).

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[allow(dead_code, missing_docs, reason = "another test uses the rest of it")]
#[path = "api_calls/client.rs"]
mod client;

use bytes::Bytes;
use client::{Client, OFFER, SHOP};
use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
use rtp::codecs::vp8::Vp8Packet;
use rtp::packetizer::Depacketizer;
use serde_json::{Value, json};
use sip_tests::browser::Manners;
use sip_tests::description::{events, opus, pcma};
use sip_tests::script::EDGE;
use sip_tests::tone::RtpSeen;
use sip_tests::{CallRef, Peer, World, ms, s};
use std::collections::BTreeMap;
use tandem::api::wire::Method;

/// Payload types of VP8 and its retransmissions.
const VP8: u8 = 96;
const RTX: u8 = 97;
/// Of the header extension that names a line.
const MID: u8 = 4;
/// Of the one that numbers the packets of a way, and its name.
const WAY: u8 = 5;
const WAY_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

fn world(seed: u64, room: &str) -> World {
    let rooms = format!(
        "rooms: [ {{ number: \"3000\", name: standup, agc: no, gate: no{room} }} ]\nroutes:\n  - {{ to: \"3*\", do: room }}\n"
    );
    World::builder(seed)
        .config(&EDGE.replace("routes:\n", &rooms))
        .media()
        .build()
}

/// A line of video: its name, and what it says besides.
fn section(mid: &str, direction: &str) -> String {
    format!(
        "m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}\r\na=mid:{mid}\r\na=rtcp-mux\r\na={direction}\r\n\
         a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:{WAY} {WAY_URI}\r\n\
         a=rtcp-fb:{VP8} transport-cc\r\na=rtpmap:{VP8} VP8/90000\r\na=rtcp-fb:{VP8} nack\r\n\
         a=rtcp-fb:{VP8} nack pli\r\na=rtcp-fb:{VP8} goog-remb\r\na=rtpmap:{RTX} rtx/90000\r\na=fmtp:{RTX} apt={VP8}\r\n"
    )
}

/// A peer at a browser with a camera that sees one other with it, and more in further places.
fn browser(w: &mut World, name: &str, more: usize) -> Peer {
    let peer = w.registered(name);
    let mids: Vec<String> = (1..=1 + more).map(|nth| format!("v{nth}")).collect();
    let policy = w.policy(peer);
    policy.browser = Some(Manners::default());
    policy.formats = vec![opus(), events()];
    policy.sections = vec![(true, format!("a=group:BUNDLE audio0 {}\r\n", mids.join(" ")))];
    for mid in &mids {
        let direction = if mid == "v1" { "sendrecv" } else { "recvonly" };
        policy.sections.push((false, section(mid, direction)));
    }
    peer
}

/// Somebody in a room with a camera.
struct Member {
    call: CallRef,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    frames: u32,
    wants_key: bool,
    reports: usize,
    /// What came, by the SSRC of its place.
    seen: BTreeMap<u32, Vec<RtpSeen>>,
    taken: usize,
    /// What it sent that has not left yet: packets by number.
    sent: BTreeMap<u16, Bytes>,
    keys: usize,
    /// Packets that it has sent again.
    again: u16,
    /// The part of each frame that gets lost at first.
    loses: Option<u8>,
    /// The number of the next packet on its way.
    on_way: u16,
    /// Whether the node says that they came.
    told: BTreeMap<u16, bool>,
}

impl Member {
    fn new(w: &mut World, peer: Peer, nth: u32) -> Member {
        let call = w.call(peer, "3000");
        w.up(call);
        Member::at(call, nth)
    }

    fn at(call: CallRef, nth: u32) -> Member {
        Member {
            call,
            ssrc: 0x5000 + nth,
            sequence: (60_000 + nth * 1_000) as u16,
            timestamp: nth.wrapping_mul(0x7fff_fff0),
            picture: 0x7ff0,
            frames: 0,
            wants_key: true,
            reports: 0,
            seen: BTreeMap::new(),
            taken: 0,
            sent: BTreeMap::new(),
            keys: 0,
            again: 0,
            loses: None,
            on_way: 0,
            told: BTreeMap::new(),
        }
    }

    /// The SSRCs of its places, as the node describes them; none where the line is refused.
    fn places(&self, w: &World) -> Vec<Option<u32>> {
        let answer = w.at(self.call).remote_sdp.as_ref().expect("it is up");
        let videos = answer.others.iter().filter(|(_, text)| text.starts_with("m=video"));
        let ssrc = |text: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix("a=ssrc:")?.split(' ').next()?.parse().ok())
        };
        videos.map(|(_, text)| ssrc(text)).collect()
    }

    fn write(&mut self, pt: u8, (ssrc, sequence): (u32, u16), marker: bool, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, pt | u8::from(marker) << 7];
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        let [high, low] = self.on_way.to_be_bytes();
        self.on_way += 1;
        packet.extend([
            0xbe,
            0xde,
            0,
            2,
            MID << 4 | 1,
            b'v',
            b'1',
            WAY << 4 | 1,
            high,
            low,
            0,
            0,
        ]);
        packet.extend(payload);
        packet
    }

    /// Sends a frame of three packets; each says whose it is, and which.
    fn shoot(&mut self, w: &mut World) {
        let is_key = std::mem::take(&mut self.wants_key);
        self.keys += usize::from(is_key);
        self.picture = (self.picture + 1) & 0x7fff;
        self.frames += 1;
        for part in 0..3u8 {
            let [high, low] = (0x8000 | self.picture).to_be_bytes();
            let start = u8::from(part == 0) << 4;
            let mut payload = vec![
                0x80 | start,
                0xe0,
                high,
                low,
                self.frames as u8,
                0x00,
                u8::from(!is_key),
            ];
            payload.extend(self.ssrc.to_be_bytes());
            payload.extend(self.frames.to_be_bytes());
            payload.push(part);
            payload.resize(300, 0xa5);
            let plain = self.write(VP8, (self.ssrc, self.sequence), part == 2, &payload);
            if self.loses != Some(part) {
                self.send(w, &plain);
            }
            self.sent.insert(self.sequence, payload.into());
            if self.sent.len() > 500 {
                self.sent.pop_first();
            }
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.timestamp = self.timestamp.wrapping_add(3_600);
    }

    fn send(&mut self, w: &mut World, plain: &[u8]) {
        let (from, to) = (w.at(self.call).sdp.at, w.at(self.call).remote_sdp.as_ref().unwrap().at);
        let sealed = w.voice(self.call).browser.as_mut().unwrap().seal(plain);
        if let Some(sealed) = sealed {
            w.send_udp(from, to, sealed);
        }
    }

    /// Takes what came: video, and what the node asks for.
    fn take(&mut self, w: &mut World) {
        let voice = w.voice(self.call);
        let new: Vec<Bytes> = voice.reports[self.reports..]
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect();
        self.reports = voice.reports.len();
        let packets = std::mem::take(&mut voice.packets);
        for packet in packets.into_iter().filter(|packet| [VP8, RTX].contains(&packet.pt)) {
            self.taken += 1;
            self.seen.entry(packet.ssrc).or_default().push(packet);
        }
        for report in new {
            self.asked(w, &report);
        }
    }

    fn asked(&mut self, w: &mut World, report: &[u8]) {
        let mut rest = report;
        while rest.len() >= 4 {
            let len = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let (packet, after) = rest.split_at(len);
            match (packet[1], packet[0] & 0x1f) {
                (205, 15) => self.told(report),
                (206, 1) if packet[8..12] == self.ssrc.to_be_bytes() => self.wants_key = true,
                (205, 1) if packet[8..12] == self.ssrc.to_be_bytes() => {
                    for entry in packet[12..].chunks(4) {
                        let first = u16::from_be_bytes([entry[0], entry[1]]);
                        let more = u16::from_be_bytes([entry[2], entry[3]]);
                        let all = (0..=16u16).filter(|bit| *bit == 0 || more >> (bit - 1) & 1 == 1);
                        all.for_each(|bit| self.again(w, first.wrapping_add(bit)));
                    }
                }
                _ => {}
            }
            rest = after;
        }
    }

    /// What the node says of when packets came, as another implementation reads it.
    fn told(&mut self, report: &[u8]) {
        let packets = rtcp::packet::unmarshal(&mut &report[..]).expect("RTCP");
        for packet in packets {
            let Some(feedback) = packet.as_any().downcast_ref::<TransportLayerCc>() else {
                continue;
            };
            let symbols = feedback.packet_chunks.iter().flat_map(|chunk| match chunk {
                PacketStatusChunk::RunLengthChunk(run) => vec![run.packet_status_symbol; run.run_length.into()],
                PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
            });
            for (n, symbol) in (0..feedback.packet_status_count).zip(symbols) {
                let came = symbol != SymbolTypeTcc::PacketNotReceived;
                self.told.insert(feedback.base_sequence_number.wrapping_add(n), came);
            }
        }
    }

    /// RFC 4588 4: in a stream of its own, with the number before the payload.
    fn again(&mut self, w: &mut World, sequence: u16) {
        let Some(payload) = self.sent.get(&sequence).cloned() else {
            return;
        };
        self.again += 1;
        let payload = [&sequence.to_be_bytes(), &payload[..]].concat();
        let plain = self.write(RTX, (self.ssrc + 0x100, self.again), false, &payload);
        self.send(w, &plain);
    }
}

/// All send a frame each 40 ms for so long.
fn film(w: &mut World, members: &mut [Member], steps: usize) {
    for _ in 0..steps {
        for member in members.iter_mut() {
            member.take(w);
            member.shoot(w);
        }
        w.run(ms(40));
    }
    for member in members.iter_mut() {
        member.take(w);
    }
}

/// What a decoder gets on a place: it begins with a key frame, no number is missing, pictures count up; whose frames they are, in order.
fn shown(member: &Member, place: u32) -> Vec<u32> {
    let empty = Vec::new();
    let packets = member.seen.get(&place).unwrap_or(&empty);
    let mut by_number: BTreeMap<u16, (u32, Bytes)> = BTreeMap::new();
    for packet in packets {
        by_number.insert(packet.sequence, (packet.timestamp, packet.payload.clone()));
    }
    let again = member.seen.get(&(place + 1)).into_iter().flatten();
    for packet in again {
        let number = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
        by_number
            .entry(number)
            .or_insert((packet.timestamp, packet.payload.slice(2..)));
    }
    let numbers: Vec<u16> = by_number.keys().copied().collect();
    assert!(
        numbers.windows(2).all(|two| two[1] == two[0] + 1),
        "a number is missing: {numbers:?}"
    );
    let (mut whose, mut last) = (Vec::new(), None);
    for (nth, (clock, payload)) in by_number.values().enumerate() {
        let mut vp8 = Vp8Packet::default();
        let body = vp8.depacketize(payload).expect("VP8");
        assert!(nth > 0 || (vp8.s == 1 && body[0] & 1 == 0), "the first is a key frame");
        let picture = vp8.picture_id;
        if let Some((before, then)) = last.filter(|(before, _)| *before != picture) {
            assert_eq!(picture, (before + 1) & 0x7fff, "pictures count up");
            assert!((clock.wrapping_sub(then) as i32) > 0, "the clock goes on");
        }
        last = Some((picture, *clock));
        whose.push(u32::from_be_bytes([body[1], body[2], body[3], body[4]]));
    }
    whose.dedup();
    whose
}

#[test]
fn two_browsers_and_a_phone_are_in_a_room() {
    let mut w = world(1, "");
    let (alice, carol) = (browser(&mut w, "alice", 1), browser(&mut w, "carol", 1));
    let bob = w.registered("bob");
    w.policy(bob).formats = vec![pcma(), events()];
    let mut members = [Member::new(&mut w, alice, 1), Member::new(&mut w, carol, 2)];
    film(&mut w, &mut members, 75);
    let places = members.each_ref().map(|member| member.places(&w));
    let firsts = [places[0][0].unwrap(), places[1][0].unwrap()];
    assert_eq!(shown(&members[0], firsts[0]), [members[1].ssrc]);
    assert_eq!(shown(&members[1], firsts[1]), [members[0].ssrc]);
    assert!(
        members.iter().all(|member| member.seen.len() == 1),
        "the other place is empty"
    );
    for member in &members {
        assert!(member.taken > 180, "{} packets", member.taken);
        assert!(member.keys <= 3, "{} key frames", member.keys);
        assert_eq!(w.voice(member.call).forged, 0);
    }
    // The phone hears and is heard, and has no part in this.
    let b = w.call(bob, "3000");
    w.up(b);
    w.hang_up(members[1].call);
    w.expect_over(members[1].call, 200);
    w.run(s(3));
    w.expect_tones(members[0].call, b);
    let [alice, _] = &mut members;
    let before = alice.taken;
    for _ in 0..25 {
        alice.shoot(&mut w);
        w.run(ms(40));
    }
    alice.take(&mut w);
    assert_eq!(alice.taken, before, "nobody is left to be seen");
    for call in [members[0].call, b] {
        w.hang_up(call);
        w.expect_over(call, 200);
    }
    w.finish();
}

#[test]
fn four_browsers_see_one_another_through_a_lossy_network() {
    for seed in 20..23 {
        let mut w = world(seed, "");
        let names = ["alice", "bob", "carol", "dave"];
        let peers = names.map(|name| browser(&mut w, name, 2));
        let mut members: Vec<Member> = (1..)
            .zip(peers)
            .map(|(nth, peer)| Member::new(&mut w, peer, nth))
            .collect();
        film(&mut w, &mut members, 25);
        for peer in peers {
            let ip = w.agents[peer.0].addr.ip();
            let link = w.net.link(ip);
            (link.loss, link.duplicate, link.reorder) = (0.02, 0.02, 0.02);
        }
        film(&mut w, &mut members, 250);
        for peer in peers {
            let ip = w.agents[peer.0].addr.ip();
            let link = w.net.link(ip);
            (link.loss, link.duplicate, link.reorder) = (0.0, 0.0, 0.0);
        }
        film(&mut w, &mut members, 50);
        for member in &members {
            let places: Vec<u32> = member.places(&w).into_iter().flatten().collect();
            assert_eq!(places.len(), 3);
            // What the network has lost on the way to it the simulated browser does not ask for: numbers may be missing, the order not.
            let mut others: Vec<u32> = Vec::new();
            for place in places {
                let last = member.seen[&place].last().unwrap();
                let body = &last.payload[6..];
                others.push(u32::from_be_bytes([body[1], body[2], body[3], body[4]]));
            }
            others.sort_unstable();
            let mut wanted: Vec<u32> = members
                .iter()
                .map(|other| other.ssrc)
                .filter(|ssrc| *ssrc != member.ssrc)
                .collect();
            wanted.sort_unstable();
            assert_eq!(others, wanted, "seed {seed}");
            // Each of 325 frames of three others, less what was lost on two ways of which one is mended.
            assert!(member.taken > 325 * 9 * 9 / 10, "seed {seed}: {}", member.taken);
            assert_eq!(w.voice(member.call).forged, 0);
        }
        for member in &members {
            w.hang_up(member.call);
            w.expect_over(member.call, 200);
        }
        w.finish();
    }
}

/// Whom the room calls is offered lines for his camera and for others, and takes them.
#[test]
fn who_is_called_at_a_browser_sees_and_is_seen() {
    let rooms = "rooms: [ { number: \"3000\", agc: no, gate: no, entry: none, outgoing: user/carol } ]\nroutes:\n";
    let config = EDGE.replace("routes:\n", rooms).replace(
        "password: \"wonder land\"",
        "password: \"wonder land\", webrtc: yes, codecs: [ opus ]",
    );
    let mut w = World::builder(6).config(&config).media().build();
    let (alice, carol) = (browser(&mut w, "alice", 0), browser(&mut w, "carol", 0));
    let mids: Vec<String> = (1..=6).map(|nth| format!("v{nth}")).collect();
    let policy = w.policy(alice);
    policy.sections = vec![(true, format!("a=group:BUNDLE 0 {}\r\n", mids.join(" ")))];
    for mid in &mids {
        let direction = if mid == "v1" { "sendrecv" } else { "recvonly" };
        policy.sections.push((false, section(mid, direction)));
    }
    let first = Member::new(&mut w, carol, 1);
    w.run(s(1));
    assert_eq!(w.control("room 3000 call alice"), Ok(Vec::new()));
    let called = w.incoming(alice);
    w.up(called);
    w.run(s(3));
    w.voice(called).dial("1");
    w.run(s(2));
    let mut members = [first, Member::at(called, 2)];
    film(&mut w, &mut members, 75);
    let offer = w.at(called).remote_sdp.clone().unwrap();
    let lines: Vec<&str> = offer.others.iter().flat_map(|(_, text)| text.lines()).collect();
    let count = |wanted: &str| lines.iter().filter(|line| **line == wanted).count();
    assert_eq!((count("a=sendrecv"), count("a=sendonly")), (1, 5), "{lines:?}");
    assert_eq!(
        (count("a=rtpmap:120 VP8/90000"), count("a=rtpmap:122 H264/90000")),
        (6, 6)
    );
    assert_eq!(count("a=rtcp-fb:120 transport-cc"), 1);
    let places = members.each_ref().map(|member| member.places(&w));
    assert_eq!((places[0].len(), places[1].iter().flatten().count()), (1, 6));
    let seen = |nth: usize| {
        let mut all: Vec<u32> = Vec::new();
        for place in places[nth].iter().flatten() {
            all.extend(shown(&members[nth], *place));
        }
        all
    };
    assert_eq!((seen(0), seen(1)), (vec![members[1].ssrc], vec![members[0].ssrc]));
    for member in &members {
        w.hang_up(member.call);
        w.expect_over(member.call, 200);
    }
    w.finish();
}

/// On a place another is seen when the first is gone, from a key frame on that he is asked for: for a decoder it is one stream.
#[test]
fn a_place_goes_on_with_another() {
    let mut w = world(6, "");
    let peers = ["alice", "bob", "carol"].map(|name| browser(&mut w, name, 0));
    let mut members: Vec<Member> = (1..)
        .zip(peers)
        .map(|(nth, peer)| Member::new(&mut w, peer, nth))
        .collect();
    // Nobody shows a key frame unasked.
    members.iter_mut().for_each(|member| member.wants_key = false);
    film(&mut w, &mut members, 50);
    let gone = members.remove(0);
    w.hang_up(gone.call);
    w.expect_over(gone.call, 200);
    film(&mut w, &mut members, 50);
    let [bob, carol] = &members[..] else {
        unreachable!("three less one")
    };
    let place = carol.places(&w)[0].unwrap();
    assert_eq!(shown(carol, place), [gone.ssrc, bob.ssrc]);
    for member in [&gone, bob, carol] {
        assert!((1..=3).contains(&member.keys), "{} key frames", member.keys);
    }
    for member in &members {
        w.hang_up(member.call);
        w.expect_over(member.call, 200);
    }
    w.finish();
}

/// On a way to the node that loses much, what is asked for again makes whole what the viewer gets.
#[test]
fn what_a_publisher_loses_is_mended() {
    let mut w = world(3, "");
    let (alice, carol) = (browser(&mut w, "alice", 0), browser(&mut w, "carol", 0));
    let mut members = [Member::new(&mut w, alice, 1), Member::new(&mut w, carol, 2)];
    film(&mut w, &mut members, 25);
    members[0].loses = Some(1);
    film(&mut w, &mut members, 100);
    members[0].loses = None;
    film(&mut w, &mut members, 10);
    let places = members[1].places(&w);
    assert_eq!(shown(&members[1], places[0].unwrap()), [members[0].ssrc]);
    assert!(members[0].again >= 100, "{} were sent again", members[0].again);
    for member in &members {
        w.hang_up(member.call);
        w.expect_over(member.call, 200);
    }
    w.finish();
}

/// A publisher's own estimator learns of each packet on its way whether it came, within a tenth of a second.
#[test]
fn a_publisher_is_told_which_packets_came() {
    let mut w = world(5, "");
    let (alice, carol) = (browser(&mut w, "alice", 0), browser(&mut w, "carol", 0));
    let mut members = [Member::new(&mut w, alice, 1), Member::new(&mut w, carol, 2)];
    // From now on it has keys.
    film(&mut w, &mut members, 25);
    let start = members[0].on_way;
    members[0].loses = Some(1);
    film(&mut w, &mut members, 50);
    let [alice, carol] = &members;
    let all: Vec<(u16, bool)> = alice.told.range(start..).map(|(n, came)| (*n, *came)).collect();
    let lost = all.iter().filter(|(_, came)| !came).count();
    // All but those of the last moment; each frame loses one of three, which is sent again.
    assert!(
        all.len() >= usize::from(alice.on_way - start) - 12,
        "{} of {}",
        all.len(),
        alice.on_way - start
    );
    assert!((48..=50).contains(&lost), "{lost}");
    assert!(all.windows(2).all(|two| two[1].0 == two[0].0 + 1), "{all:?}");
    assert!(carol.told.range(start..).all(|(_, came)| *came));
    for member in &members {
        w.hang_up(member.call);
        w.expect_over(member.call, 200);
    }
    w.finish();
}

#[test]
fn video_is_for_rooms_that_want_it_and_for_nobody_else() {
    let mut w = world(4, ", video: no");
    let alice = browser(&mut w, "alice", 1);
    let member = Member::new(&mut w, alice, 1);
    assert_eq!(member.places(&w), [None, None]);
    w.hang_up(member.call);
    w.expect_over(member.call, 200);
    let bob = w.registered("bob");
    let (a, b) = w.talk(alice, bob, "bob");
    w.expect_tones(a, b);
    let answer = w.at(a).remote_sdp.clone().unwrap();
    assert_eq!(
        answer
            .others
            .iter()
            .filter(|(_, text)| text.starts_with("m=video 0 "))
            .count(),
        2
    );
    w.hang_up(a);
    w.expect_over(b, 200);
    w.finish();
}

/// An event has what its schema in the description of the API says, and nothing else.
fn expect_described(w: &mut World, schema: &str, event: &Value) {
    let description = client::read(&client::ask(w, Method::Get, "/v1/openapi.json", "", &Value::Null));
    let schema = &description["components"]["schemas"][schema];
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&schema["properties"]), keys(event));
    for (name, property) in schema["properties"].as_object().unwrap() {
        let items = event[name].as_array().into_iter().flatten();
        for item in items.filter(|item| item.is_object()) {
            assert_eq!(keys(&property["items"]["properties"]), keys(item), "{name}");
        }
    }
}

/// What a page offers that has the package: a camera, and one place more.
fn page() -> String {
    let offer = OFFER.replace("BUNDLE 0", "BUNDLE 0 v1 v2") + &section("v1", "sendrecv") + &section("v2", "recvonly");
    let dtls: String = OFFER
        .lines()
        .filter(|line| {
            ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"]
                .iter()
                .any(|kind| line.starts_with(kind))
        })
        .map(|line| format!("{line}\r\n"))
        .collect();
    let offer = offer.replace(
        "a=rtcp-mux\r\na=sendrecv\r\na=extmap",
        &format!("a=rtcp-mux\r\n{dtls}a=sendrecv\r\na=extmap"),
    );
    offer.replace("a=rtcp-mux\r\na=recvonly", &format!("a=rtcp-mux\r\n{dtls}a=recvonly"))
}

/// Clients of the HTTP API in a room are told who is in it, who of them is muted, who speaks, and whom they see on which line.
#[test]
fn a_client_is_told_whom_it_sees() {
    let mut w = World::builder(5).config(&client::config()).media().build();
    let alice = browser(&mut w, "alice", 0);
    let bob = w.registered("bob");
    w.policy(bob).formats = vec![pcma(), events()];
    let room = json!({ "room": "3000" });
    let mut ann = Client::new(&mut w, SHOP, "ann", &["join"]);
    let ann_call = ann.call_with(&mut w, &room, &page());
    let member = |id: u32, name: &str, muted: bool| json!({ "id": id, "name": name, "muted": muted, "held": false });
    let told = ann.wait(&mut w, "call.members");
    assert_eq!((&told["me"], &told["complete"]), (&json!(1), &json!(true)));
    assert_eq!(told["members"], json!([member(1, "ann", false)]));
    assert_eq!(told["call"], *ann_call.rsplit('/').next().unwrap());
    let mut members = [Member::new(&mut w, alice, 1)];
    film(&mut w, &mut members, 50);
    let both = json!([member(1, "ann", false), member(2, "alice", false)]);
    assert_eq!(ann.wait(&mut w, "call.members")["members"], both);
    let seen = json!([{ "mid": "v1", "member": 2, "name": "alice", "screen": false }]);
    let slots = ann.wait(&mut w, "call.slots");
    assert_eq!(slots["slots"], seen);
    expect_described(&mut w, "SlotsEvent", &slots);
    expect_described(&mut w, "MembersEvent", &told);
    // One who speaks is heard of; and who is muted, by the others too.
    let b = w.call(bob, "3000");
    w.up(b);
    let speaking = loop {
        let told = ann.wait(&mut w, "call.speaking");
        if told["speaking"] == json!([2, 3]) {
            break told;
        }
    };
    expect_described(&mut w, "SpeakingEvent", &speaking);
    let mut ben = Client::new(&mut w, SHOP, "ben", &["join"]);
    let ben_call = ben.call(&mut w, &room);
    assert_eq!(ben.wait(&mut w, "call.members")["me"], 4);
    ann.told(&w);
    assert_eq!(
        ben.post(&mut w, &format!("{ben_call}/mute"), &json!({ "mute": true }))
            .status,
        200
    );
    let told = ann.wait(&mut w, "call.members");
    assert_eq!(told["members"][3], member(4, "ben", true));
    assert_eq!(ben.wait(&mut w, "call.members")["members"], told["members"]);
    // A stream that begins is told how things are; what is the same is told to nobody twice.
    ann.told(&w);
    ann.listen(&mut w);
    film(&mut w, &mut members, 10);
    let again = ann.told(&w);
    let names: Vec<&str> = again.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ready", "call.members", "call.slots", "call.speaking"]);
    assert_eq!(again[2].1["slots"], seen);
    // Who leaves is seen no longer.
    w.hang_up(members[0].call);
    w.expect_over(members[0].call, 200);
    assert_eq!(ann.wait(&mut w, "call.slots")["slots"], json!([]));
    for (client, call) in [(&ann, ann_call), (&ben, ben_call)] {
        assert_eq!(client.post(&mut w, &format!("{call}/hangup"), &Value::Null).status, 204);
    }
    w.hang_up(b);
    w.expect_over(b, 200);
    w.finish();
}
