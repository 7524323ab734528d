//! A worker in a virtual world: peers that speak tones, a clock that is moved by hand, and what each peer hears.

use super::*;
use crate::id::WorkerId;
use crate::media::command::{Command, Dtmf, EventFormat, LegSpec, LegStats, OpusParams, Port, Remote, Stream, Xr};
pub use crate::media::command::{Event, Function};
use crate::media::dtmf::Report;
pub use crate::media::input::{Input, Output};
use crate::media::prepare::Preparer;
use crate::media::rtp::Header;
use codecs::tone::Sine;
use codecs::{Codec, Rate, g711, g722, opus};
use std::collections::BTreeMap;
use std::time::Duration;

pub const HERE: WorkerId = WorkerId(0);
pub const EVENTS: u8 = 101;

/// What was agreed, as `command::Stream`, with events of the codec's clock.
pub fn stream(codec: Codec) -> Stream {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    };
    let events = Some(EventFormat {
        payload_type: EVENTS,
        clock: codec.clock(),
    });
    Stream {
        codec,
        payload_type_tx: payload_type,
        payload_type_rx: payload_type,
        ptime_ms: 20,
        events_tx: events,
        events_rx: events,
        dtmf: Dtmf::default(),
        opus: OpusParams {
            complexity: 0,
            ..OpusParams::default()
        },
        gain: Default::default(),
        comfort_noise: false,
        sends: true,
        receives: true,
        udptl: false,
        carries_data: false,
    }
}

/// A packet as a peer got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub at: Instant,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

/// One worker and its surroundings.
pub struct World {
    pub worker: Worker,
    pub preparer: Preparer,
    pub now: Instant,
    pub events: Vec<Event>,
    /// Outputs that are not for signalling.
    pub others: Vec<Output>,
    /// RTP by the address that it was sent to.
    pub rtp: BTreeMap<SocketAddr, Vec<Heard>>,
    /// RTCP likewise.
    pub rtcp: BTreeMap<SocketAddr, Vec<Vec<u8>>>,
    /// UDPTL likewise.
    pub udptl: BTreeMap<SocketAddr, Vec<Vec<u8>>>,
    /// Legs whose set-up a datagram was for, one each.
    pub set_ups: Vec<MediaLegId>,
    /// How many packets went to one address in one go, of each go.
    pub bursts: Vec<usize>,
    out: TxBatch,
    outputs: Outputs,
}

impl World {
    pub fn new() -> Self {
        World::of(64)
    }

    /// With places for so many legs.
    pub fn of(legs: usize) -> Self {
        World {
            worker: Worker::new(legs),
            preparer: Preparer::default(),
            now: Instant::ZERO + Duration::from_secs(100),
            events: Vec::new(),
            others: Vec::new(),
            rtp: BTreeMap::new(),
            rtcp: BTreeMap::new(),
            udptl: BTreeMap::new(),
            set_ups: Vec::new(),
            bursts: Vec::new(),
            out: TxBatch::new(),
            outputs: Outputs::default(),
        }
    }

    pub fn command(&mut self, command: Command) {
        for input in self.preparer.prepare(HERE, command, 0x5eed).unwrap() {
            self.input(input);
        }
    }

    pub fn input(&mut self, input: Input) {
        self.worker.on_input(self.now, input, &mut self.out, &mut self.outputs);
        self.collect();
    }

    pub fn function(&mut self, leg: MediaLegId, function: Function) {
        self.command(Command::Function { leg, function });
    }

    pub fn bridge(&mut self, a: &Peer, b: &Peer) {
        self.function(a.leg, Function::Bridge(b.leg));
    }

    pub fn negotiate(&mut self, peer: &Peer, stream: Stream) {
        self.command(Command::Negotiated {
            leg: peer.leg,
            remote: remote(peer.address),
            stream,
        });
    }

    /// Opens and negotiates a leg whose peer is 127.0.0.n and speaks a tone.
    pub fn peer(&mut self, n: u8, stream: Stream, hz: f32) -> Peer {
        self.open(n, stream, Peer::speaking(n, stream, hz), false)
    }

    /// The same with a peer that hears and says what its codec can up to 8 kHz.
    pub fn wide_peer(&mut self, n: u8, stream: Stream, hz: f32) -> Peer {
        let rate = stream.codec.rate().min(Rate::Wide);
        self.open(n, stream, Peer::speaking_at(rate, n, stream, hz), false)
    }

    /// And with all that its codec can.
    pub fn full_peer(&mut self, n: u8, stream: Stream, hz: f32) -> Peer {
        self.open(n, stream, Peer::speaking_at(stream.codec.rate(), n, stream, hz), false)
    }

    /// The same with a browser.
    pub fn browser(&mut self, n: u8, stream: Stream, hz: f32) -> Peer {
        self.open(n, stream, Peer::speaking(n, stream, hz), true)
    }

    fn open(&mut self, n: u8, stream: Stream, peer: Peer, rtc: bool) -> Peer {
        let spec = LegSpec {
            id: peer.leg,
            port: Port {
                rtp: 20_000 + 2 * u16::from(n),
                v6: false,
            },
            ssrc: ours(n),
            first_sequence: 65_500,
            first_timestamp: u32::MAX - 5_000,
            cname: format!("cname{n}"),
            rtc,
        };
        self.command(Command::Open(Box::new(spec)));
        self.negotiate(&peer, stream);
        peer
    }

    /// Opens and negotiates the leg of a browser that says nothing, of which there may be many.
    pub fn numbered(&mut self, n: u64, stream: Stream) -> MediaLegId {
        let leg = MediaLegId(n);
        let spec = LegSpec {
            id: leg,
            port: Port {
                rtp: 30_000 + 2 * n as u16,
                v6: false,
            },
            ssrc: n as u32,
            first_sequence: 1,
            first_timestamp: 1,
            cname: "many".to_owned(),
            rtc: true,
        };
        self.command(Command::Open(Box::new(spec)));
        let remote = remote(SocketAddr::from(([127, 1, 0, 1], 40_000 + 2 * n as u16)));
        self.command(Command::Negotiated { leg, remote, stream });
        leg
    }

    pub fn receive(&mut self, leg: MediaLegId, channel: Channel, from: SocketAddr, bytes: &[u8]) {
        self.receive_all(leg, channel, from, &[bytes]);
    }

    /// What came at once, as the shell takes it.
    fn receive_all(&mut self, leg: MediaLegId, channel: Channel, from: SocketAddr, datagrams: &[&[u8]]) {
        for (nth, bytes) in datagrams.iter().enumerate() {
            let mut packet = Packet::from_slice(bytes).unwrap();
            let at = self.worker.place(leg).unwrap();
            let set_up = self.worker.on_packet(
                self.now,
                at,
                channel,
                from,
                &mut packet,
                &mut self.out,
                &mut self.outputs,
            );
            self.set_ups.extend(set_up);
            if self.worker.gathers() == Some(at) && nth + 1 < datagrams.len() {
                continue;
            }
            while self.worker.forward(self.now, &mut self.out) {
                self.collect();
            }
            self.collect();
        }
    }

    /// Delivers a peer's packet.
    pub fn deliver(&mut self, peer: &Peer, bytes: &[u8]) {
        self.receive(peer.leg, Channel::Rtp, peer.address, bytes);
    }

    /// Delivers what a peer sends at once.
    pub fn deliver_all(&mut self, peer: &Peer, datagrams: &[&[u8]]) {
        self.receive_all(peer.leg, Channel::Rtp, peer.address, datagrams);
    }

    /// Delivers a packet behind which more is looked for: how many wait then, and of which leg.
    pub fn gather(&mut self, peer: &Peer, datagram: &[u8]) -> (usize, Option<LegIx>) {
        let mut packet = Packet::from_slice(datagram).unwrap();
        let at = self.worker.place(peer.leg).unwrap();
        let (out, outputs) = (&mut self.out, &mut self.outputs);
        let from = peer.address;
        let _set_up = self
            .worker
            .on_packet(self.now, at, Channel::Rtp, from, &mut packet, out, outputs);
        (self.worker.gathered(), self.worker.gathers())
    }

    /// Each peer sends its next 20 ms, then the clock moves by a tick.
    pub fn step(&mut self, peers: &mut [&mut Peer]) {
        for peer in peers {
            let packet = peer.speak();
            self.deliver(peer, &packet);
        }
        self.tick();
    }

    pub fn steps(&mut self, n: usize, peers: &mut [&mut Peer]) {
        for _ in 0..n {
            self.step(peers);
        }
    }

    pub fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        while self.worker.on_tick(self.now, &mut self.out, &mut self.outputs) == Tick::More {
            self.collect();
        }
        self.collect();
    }

    pub fn ticks(&mut self, n: usize) {
        for _ in 0..n {
            self.tick();
        }
    }

    fn collect(&mut self) {
        self.bursts.extend(self.out.bursts().map(<[_]>::len));
        for outgoing in self.out.packets() {
            let bytes = outgoing.packet.as_slice();
            let leg = self.worker.legs[outgoing.leg.index()].as_ref();
            if leg.is_some_and(|leg| leg.is_udptl()) {
                self.udptl.entry(outgoing.to).or_default().push(bytes.to_vec());
                continue;
            }
            match rtp::kind(bytes) {
                Kind::Rtp => {
                    let view = View::parse(bytes).unwrap();
                    self.rtp.entry(outgoing.to).or_default().push(Heard {
                        at: self.now,
                        marker: view.marker,
                        payload_type: view.payload_type,
                        sequence: view.sequence,
                        timestamp: view.timestamp,
                        ssrc: view.ssrc,
                        payload: view.payload.to_vec(),
                    });
                }
                Kind::Rtcp => self.rtcp.entry(outgoing.to).or_default().push(bytes.to_vec()),
                Kind::Stun | Kind::Dtls | Kind::Unknown => panic!("we send nothing like this: {bytes:?}"),
            }
        }
        self.out.clear();
        while let Some(output) = self.outputs.pop() {
            match (output.event(), output) {
                (Some(event), Output::Closed { leg, .. }) => {
                    self.preparer.closed(leg.id());
                    self.events.push(event);
                }
                (Some(event), _) => self.events.push(event),
                (None, other) => self.others.push(other),
            }
        }
        assert_eq!((self.out.overflow(), self.outputs.overflow()), (0, 0));
    }

    /// Takes what a peer has got so far.
    pub fn take(&mut self, peer: &Peer) -> Vec<Heard> {
        self.rtp.remove(&peer.address).unwrap_or_default()
    }

    pub fn stats(&mut self, peer: &Peer) -> LegStats {
        self.command(Command::ReadStats(peer.leg));
        match self.events.pop() {
            Some(Event::Stats(leg, stats)) if leg == peer.leg => stats,
            other => panic!("{other:?}"),
        }
    }

    /// The digits reported so far, with their lengths.
    pub fn digits(&self, peer: &Peer) -> Vec<(char, u16)> {
        let of_leg = |event: &Event| match event {
            Event::Digit { leg, digit, ms } if *leg == peer.leg => Some((digit.0, *ms)),
            _ => None,
        };
        self.events.iter().filter_map(of_leg).collect()
    }
}

pub fn ours(n: u8) -> u32 {
    0xaa00_0000 + u32::from(n)
}

pub fn remote(rtp: SocketAddr) -> Remote {
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    Remote {
        rtp,
        rtcp,
        rtcp_mux: false,
        signalling: rtp.ip(),
        xr: Xr::default(),
        forks: false,
    }
}

enum Voice {
    Pcmu,
    Pcma,
    G722(Box<g722::Encoder>),
    Opus(Box<opus::Encoder>),
}

/// A peer that speaks a tone.
pub struct Peer {
    pub leg: MediaLegId,
    pub address: SocketAddr,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    /// Samples at 8 kHz of each packet.
    pub samples: usize,
    codec: Codec,
    rate: Rate,
    voice: Voice,
    tone: Sine,
    event: Option<u32>,
}

impl Peer {
    pub fn speaking(n: u8, stream: Stream, hz: f32) -> Self {
        Peer::speaking_at(Rate::Narrow, n, stream, hz)
    }

    fn speaking_at(rate: Rate, n: u8, stream: Stream, hz: f32) -> Self {
        let params = opus::EncoderParams {
            bitrate: 24_000,
            complexity: 0,
            fec: true,
            expected_loss_percent: 10,
            dtx: false,
        };
        Peer {
            leg: MediaLegId(u64::from(n)),
            address: SocketAddr::from(([127, 0, 0, n], 4_000)),
            ssrc: u32::from(n),
            sequence: u16::from(n).wrapping_mul(1_000),
            timestamp: 77_777 * u32::from(n),
            payload_type: stream.payload_type_rx,
            samples: usize::from(stream.ptime_ms) * 8,
            codec: stream.codec,
            rate,
            voice: match stream.codec {
                Codec::Pcmu => Voice::Pcmu,
                Codec::Pcma => Voice::Pcma,
                Codec::G722 => Voice::G722(Box::new(g722::Encoder::new(rate))),
                Codec::Opus => Voice::Opus(Box::new(opus::Encoder::new(rate.hz(), params).unwrap())),
            },
            tone: Sine::new(hz, -10.0, rate.hz()),
            event: None,
        }
    }

    fn ratio(&self) -> u32 {
        self.codec.clock() / 8_000
    }

    /// Opus by these settings.
    pub fn encode_by(&mut self, params: opus::EncoderParams) {
        if let Voice::Opus(encoder) = &mut self.voice {
            **encoder = opus::Encoder::new(self.rate.hz(), params).unwrap();
        }
    }

    /// The next packet of the tone.
    pub fn speak(&mut self) -> Vec<u8> {
        let mut pcm = vec![0; self.samples * self.rate.hz() as usize / 8_000];
        self.tone.fill(&mut pcm);
        self.say(&pcm)
    }

    /// The next packet, of silence.
    pub fn hush(&mut self) -> Vec<u8> {
        self.say(&vec![0; self.samples * self.rate.hz() as usize / 8_000])
    }

    /// The next packet, of these samples.
    pub fn say(&mut self, pcm: &[i16]) -> Vec<u8> {
        let mut payload = vec![0; 1_300];
        let len = match &mut self.voice {
            Voice::Pcmu => g711::encode_ulaw_slice(pcm, &mut payload),
            Voice::Pcma => g711::encode_alaw_slice(pcm, &mut payload),
            Voice::G722(encoder) => encoder.encode(pcm, &mut payload),
            Voice::Opus(encoder) => encoder.encode(pcm, &mut payload).unwrap(),
        };
        let packet = self.packet(false, self.payload_type, self.timestamp, &payload[..len]);
        self.timestamp = self
            .timestamp
            .wrapping_add(pcm.len() as u32 * 8_000 / self.rate.hz() * self.ratio());
        packet
    }

    /// A packet with the next sequence number.
    pub fn packet(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = Packet::default();
        header.write(&mut packet)[..payload.len()].copy_from_slice(payload);
        packet.set_len(12 + payload.len());
        packet.as_slice().to_vec()
    }

    /// One packet of a key press, `ms` after its start.
    pub fn press(&mut self, code: u8, ms: u32, end: bool) -> Vec<u8> {
        let start = *self.event.get_or_insert(self.timestamp);
        let clock = self.codec.clock();
        let mut payload = [0; 4];
        Report {
            code,
            end,
            volume: 10,
            duration: (ms * clock / 1_000) as u16,
        }
        .write(&mut payload);
        self.packet(start == self.timestamp, EVENTS, start, &payload)
    }

    /// The time of a key press has gone by.
    pub fn pressed(&mut self, ms: u32) {
        self.event = None;
        self.timestamp = self.timestamp.wrapping_add(ms * self.codec.clock() / 1_000);
    }
}

/// What a peer hears at 8 kHz: each packet's audio at the place of its timestamp, silence between.
pub fn listen(codec: Codec, packets: &[Heard]) -> Vec<i16> {
    listen_at(Rate::Narrow, codec, packets)
}

/// The same at another rate.
pub fn listen_at(rate: Rate, codec: Codec, packets: &[Heard]) -> Vec<i16> {
    let mut decoder = opus::Decoder::new(rate.hz()).unwrap();
    let mut g722 = g722::Decoder::new(rate);
    let mut pcm = Vec::new();
    let Some(first) = packets.first() else { return pcm };
    for packet in packets {
        let mut frame = [0; 5_760];
        let samples = match codec {
            Codec::Pcmu => g711::decode_ulaw_slice(&packet.payload, &mut frame),
            Codec::Pcma => g711::decode_alaw_slice(&packet.payload, &mut frame),
            Codec::G722 => g722.decode(&packet.payload, &mut frame),
            Codec::Opus => decoder.decode(&packet.payload, &mut frame).unwrap(),
        };
        let ticks = u64::from(packet.timestamp.wrapping_sub(first.timestamp));
        let start = (ticks * u64::from(rate.hz()) / u64::from(codec.clock())) as usize;
        assert!(
            start < 80_000_000,
            "timestamp {} before {}",
            packet.timestamp,
            first.timestamp
        );
        if pcm.len() < start + samples {
            pcm.resize(start + samples, 0);
        }
        pcm[start..start + samples].copy_from_slice(&frame[..samples]);
    }
    pcm
}

/// Sequence numbers go up by one, timestamps by `ticks`, under our SSRC; markers only where told.
pub fn assert_run(packets: &[Heard], ssrc: u32, payload_type: u8, ticks: u32, markers: &[usize]) {
    for (n, packet) in packets.iter().enumerate() {
        assert_eq!((packet.ssrc, packet.payload_type), (ssrc, payload_type), "packet {n}");
        assert_eq!(packet.marker, markers.contains(&n), "marker of packet {n}");
        if n > 0 {
            let before = &packets[n - 1];
            assert_eq!(
                packet.sequence,
                before.sequence.wrapping_add(1),
                "sequence of packet {n}"
            );
            if !markers.contains(&n) {
                assert_eq!(
                    packet.timestamp,
                    before.timestamp.wrapping_add(ticks),
                    "timestamp of packet {n}"
                );
            }
        }
    }
}

/// The level of a tone in what a peer hears, in dBm0, without the first 100 ms.
pub fn level(pcm: &[i16], hz: f32) -> f32 {
    level_at(Rate::Narrow, pcm, hz)
}

/// The same at another rate.
pub fn level_at(rate: Rate, pcm: &[i16], hz: f32) -> f32 {
    let skipped = rate.hz() as usize / 10;
    codecs::goertzel::level_dbm0(&pcm[skipped.min(pcm.len())..], hz, rate.hz())
}

/// Event packets among what a peer got: timestamp, marker, code, end, duration.
pub fn event_packets(packets: &[Heard]) -> Vec<(u32, bool, u8, bool, u16)> {
    let events = packets.iter().filter(|packet| packet.payload_type == EVENTS);
    events
        .map(|packet| {
            let report = Report::parse(&packet.payload).unwrap();
            (
                packet.timestamp,
                packet.marker,
                report.code,
                report.end,
                report.duration,
            )
        })
        .collect()
}
