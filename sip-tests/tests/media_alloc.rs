//! The packet thread neither allocates nor frees: relayed, translated, transcoded, sealed and recorded packets, loss, digits, keys and
//! machines that are heard in the audio, ticks, reports, and the inputs that set up and end a call. One test in its own process, since the allocator is the process's.

use codecs::gain::Gain;
use codecs::{Codec, Rate, g711, g722, opus};
use sip_tests::counting::{Counting, count};
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tandem::id::{CallId, MediaLegId, MediaRoomId, WorkerId};
use tandem::media::command::{
    Command, Dtmf, Event, EventFormat, Format, Function, Gains, Keys, LegSpec, MasterKey, Music, Of, OpusParams, Port,
    Recording, Remote, RoomSpec, Seat, Side, Sound, Stream, Suite, Tone, Xr,
};
use tandem::media::input::{Input, Output, Outputs};
use tandem::media::packet::{Channel, Packet, TxBatch};
use tandem::media::prepare::Preparer;
use tandem::media::srtp::Sealer;
use tandem::media::tap::{Sink, Sinks};
use tandem::media::worker::{Tick, Worker};
use tandem::shell::recording::ring::{Reader, ring};
use tandem::time::{Instant, Wall};

#[path = "media_alloc/shared.rs"]
mod shared;
#[path = "media_alloc/video.rs"]
mod video;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator by this thread. libopus has its own malloc, which it calls only when a coder is made.
fn calls() -> usize {
    let count = count();
    count.taken + count.freed
}

/// The rings of the program; nobody reads them before the end, so that they also become full.
#[derive(Debug)]
struct Rings(mpsc::Sender<Reader>);

impl Sinks for Rings {
    fn open(&mut self, _: Recording, _: Side) -> Option<Box<dyn Sink>> {
        let (writer, reader) = ring();
        self.0.send(reader).expect("the test listens");
        Some(Box::new(writer))
    }
}

struct World {
    worker: Worker,
    preparer: Preparer,
    out: TxBatch,
    outputs: Outputs,
    now: Instant,
    sent: usize,
    /// Where outputs go on the control side; room for all of the test.
    control: Vec<Output>,
    packet: Packet,
    /// Calls of the allocator inside the worker.
    counted: usize,
    /// Of the peer of the second leg, where that one is protected.
    sealer: Option<Sealer>,
}

impl World {
    fn command(&mut self, command: Command) {
        let inputs = self.preparer.prepare(WorkerId(0), command, 9).expect("a valid command");
        for input in inputs {
            self.input(input);
        }
    }

    fn negotiate(&mut self, leg: u64, stream: Stream) {
        let rtp = address(leg);
        let remote = Remote {
            rtp,
            rtcp: rtp,
            rtcp_mux: true,
            signalling: rtp.ip(),
            xr: Xr {
                metrics: true,
                round_trip: true,
            },
            forks: false,
        };
        self.command(Command::Negotiated {
            leg: MediaLegId(leg),
            remote,
            stream,
        });
    }

    fn input(&mut self, input: Input) {
        let before = calls();
        self.worker.on_input(self.now, input, &mut self.out, &mut self.outputs);
        self.drain();
        self.counted += calls() - before;
    }

    fn deliver(&mut self, leg: u64, bytes: &[u8]) {
        let at = self.worker.place(MediaLegId(leg)).expect("an open leg");
        let mut sealed = [bytes, &[0; 32]].concat();
        let len = match self.sealer.as_mut().filter(|_| leg == 2) {
            Some(sealer) => sealer.rtp(&mut sealed, bytes.len()).expect("a packet that is new"),
            None => bytes.len(),
        };
        self.packet.buffer()[..len].copy_from_slice(&sealed[..len]);
        self.packet.set_len(len);
        let before = calls();
        let World {
            worker,
            out,
            outputs,
            packet,
            now,
            ..
        } = self;
        worker.on_packet(*now, at, Channel::Rtp, address(leg), packet, out, outputs);
        while self.worker.forward(self.now, &mut self.out) {
            self.drain();
        }
        self.drain();
        self.counted += calls() - before;
    }

    fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        let before = calls();
        while self.worker.on_tick(self.now, &mut self.out, &mut self.outputs) == Tick::More {
            self.drain();
        }
        self.drain();
        self.counted += calls() - before;
    }

    /// As the shell does after each call: boxes go to the control side.
    fn drain(&mut self) {
        while let Some(output) = self.outputs.pop() {
            self.control.push(output);
        }
        self.sent += self.out.packets().len();
        self.out.clear();
    }
}

fn address(leg: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, leg as u8], 4_000))
}

fn stream(codec: Codec) -> Stream {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    };
    let events = Some(EventFormat {
        payload_type: 101,
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
        gain: Gains {
            from_peer: Gain::new(if codec == Codec::Pcmu { 3 } else { 0 }),
            to_peer: Gain::NONE,
        },
        comfort_noise: matches!(codec, Codec::Pcma | Codec::Pcmu),
        sends: true,
        receives: true,
        udptl: false,
        carries_data: false,
    }
}

/// What a peer sends in a second and a half: audio with a loss and a swap, then a key press, then that it pauses.
fn material(codec: Codec, ssrc: u8) -> Vec<Vec<u8>> {
    let params = opus::EncoderParams {
        bitrate: 24_000,
        complexity: 0,
        fec: true,
        expected_loss_percent: 5,
        dtx: false,
    };
    let mut encoder = opus::Encoder::new(8_000, params).expect("valid parameters");
    let mut g722 = g722::Encoder::new(Rate::Narrow);
    let mut tone = codecs::tone::Sine::new(440.0, -10.0, 8_000);
    let ticks = codec.clock() / 50;
    let header = |payload_type: u8, n: u16, timestamp: u32| {
        let mut packet = vec![0x80, payload_type];
        packet.extend(n.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0, 0, 0, ssrc]);
        packet
    };
    let mut packets = Vec::new();
    for n in 0..60u16 {
        let mut pcm = [0; 160];
        tone.fill(&mut pcm);
        let mut payload = [0; 1_275];
        let len = match codec {
            Codec::Pcmu => g711::encode_ulaw_slice(&pcm, &mut payload),
            Codec::Pcma => g711::encode_alaw_slice(&pcm, &mut payload),
            Codec::G722 => g722.encode(&pcm, &mut payload),
            Codec::Opus => encoder.encode(&pcm, &mut payload).expect("a valid frame"),
        };
        let mut packet = header(stream(codec).payload_type_tx, n, u32::from(n) * ticks);
        packet.extend(&payload[..len]);
        packets.push(packet);
    }
    packets.swap(20, 21);
    packets.remove(40);
    for n in 0..5u16 {
        let mut packet = header(101, 60 + n, 60 * ticks);
        packet.extend([5, if n == 4 { 0x8a } else { 0x0a }]);
        packet.extend((((u32::from(n) + 1) * ticks) as u16).to_be_bytes());
        packets.push(packet);
    }
    // And a pause that goes on: it is filled, or told.
    let (payload_type, octet) = if codec == Codec::Opus { (111, 0x08) } else { (13, 50) };
    let mut pause = header(payload_type, 65, 65 * ticks);
    pause.push(octet);
    packets.push(pause);
    packets
}

/// The keys of the second leg and those of its peer.
fn keys(suite: Suite) -> [Keys; 2] {
    let key =
        |octet| MasterKey::new(suite, &vec![octet; suite.key_octets() + suite.salt_octets()]).expect("its length");
    let keys = |seal, open| Keys::new(key(seal), vec![key(open)]).expect("one key each");
    [keys(1, 2), keys(2, 1)]
}

/// A leg is recorded on its side.
fn recorded(leg: u64) -> Command {
    let recording = Recording {
        call: CallId(1),
        number: 1,
        begun: Wall(0),
        is_wide: false,
        format: Format::Wav,
        of: Of::Call,
    };
    let side = if leg == 1 { Side::Caller } else { Side::Callee };
    Command::Record {
        leg: MediaLegId(leg),
        to: Some((recording, side)),
    }
}

/// The leg that has a copy of what the first one receives.
const COPY: u64 = 3;

/// Two legs of these codecs, joined; the second is protected by a suite, perhaps, and both are recorded, the first one by a copy too.
fn bridged(first: Codec, second: Codec, suite: Option<Suite>, rings: Option<Rings>) -> World {
    let is_recorded = rings.is_some();
    let mut world = World {
        worker: Worker::new(16),
        preparer: rings.map_or_else(Preparer::default, |rings| Preparer::recording(Box::new(rings))),
        out: TxBatch::new(),
        outputs: Outputs::default(),
        now: Instant::ZERO,
        sent: 0,
        control: Vec::with_capacity(4_096),
        packet: Packet::default(),
        counted: 0,
        sealer: suite.map(|suite| Sealer::new(&keys(suite)[1])),
    };
    let copy = is_recorded.then_some((COPY, first));
    for (leg, codec) in [(1, first), (2, second)].into_iter().chain(copy) {
        let id = MediaLegId(leg);
        let port = Port { rtp: 20_000, v6: false };
        let spec = LegSpec {
            id,
            port,
            ssrc: 7,
            first_sequence: 1,
            first_timestamp: 1,
            cname: "a".into(),
            rtc: false,
        };
        world.command(Command::Open(Box::new(spec)));
        if let Some(suite) = suite.filter(|_| leg == 2) {
            let [ours, _] = keys(suite);
            let keys = Some(Box::new(ours));
            world.command(Command::Protect { leg: id, keys });
        }
        world.negotiate(leg, stream(codec));
        if is_recorded && leg != COPY {
            world.command(recorded(leg));
        }
        world.command(Command::Watch {
            leg: id,
            silence: Some(Duration::from_secs(1)),
            troubles: true,
        });
    }
    world.command(Command::Function {
        leg: MediaLegId(1),
        function: Function::Bridge(MediaLegId(2)),
    });
    if is_recorded {
        let (leg, function) = (MediaLegId(COPY), Function::Fork(MediaLegId(1)));
        world.command(Command::Function { leg, function });
    }
    world
}

/// How much of the first leg was copied.
fn copied(world: &mut World) -> u64 {
    world.command(Command::Close(MediaLegId(COPY)));
    let sent = world
        .control
        .iter()
        .filter_map(Output::event)
        .find_map(|event| match event {
            Event::Closed(MediaLegId(COPY), stats) => Some(stats.sent),
            _other => None,
        });
    sent.unwrap_or(0)
}

/// Keys in the audio of a leg without events, with a loss in one, and then a modem that answers.
fn heard(first: Codec, second: Codec) {
    let mut world = bridged(first, second, None, None);
    let bare = Stream {
        events_tx: None,
        events_rx: None,
        ..stream(first)
    };
    let rtp = address(1);
    let remote = Remote {
        rtp,
        rtcp: rtp,
        rtcp_mux: true,
        signalling: rtp.ip(),
        xr: Xr::default(),
        forks: false,
    };
    world.command(Command::Negotiated {
        leg: MediaLegId(1),
        remote,
        stream: bare,
    });
    let mut pcm = vec![0; 8_000];
    codecs::tone::Cadence::new([770.0, 1_336.0], -10.0, 100, 100, 8_000).fill(&mut pcm);
    let mut answer = vec![0; 8_000];
    codecs::tone::Sine::new(2_100.0, -10.0, 8_000).fill(&mut answer);
    pcm.extend(answer);
    let mut g722 = g722::Encoder::new(Rate::Narrow);
    for (n, frame) in (0u16..).zip(pcm.chunks_exact(160)) {
        let mut packet = vec![0x80, bare.payload_type_tx];
        packet.extend(n.to_be_bytes());
        packet.extend((u32::from(n) * 160).to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        let mut payload = [0; 160];
        match first {
            Codec::Pcmu => g711::encode_ulaw_slice(frame, &mut payload),
            Codec::G722 => g722.encode(frame, &mut payload),
            Codec::Pcma | Codec::Opus => g711::encode_alaw_slice(frame, &mut payload),
        };
        packet.extend(payload);
        if n != 12 {
            world.deliver(1, &packet);
        }
        world.tick();
    }
    world.command(Command::Close(MediaLegId(1)));
    world.command(Command::Close(MediaLegId(2)));
    let told = |wanted: fn(&Event) -> bool| world.control.iter().filter_map(Output::event).filter(wanted).count();
    let digits = told(|event| matches!(event, Event::Digit { .. }));
    let machines = told(|event| matches!(event, Event::DataTone { .. }));
    let is_telephone = first != Codec::G722 && second != Codec::Opus;
    assert_eq!(
        (digits, machines),
        (5, usize::from(is_telephone)),
        "{first:?} to {second:?}"
    );
    assert_eq!(
        world.counted, 0,
        "{first:?} to {second:?}: the worker called the allocator"
    );
}

/// Digits out, then a tone, the PCM door and an echo; sounds once and in a loop, of which nobody else has a share.
fn functions(world: &mut World, packets: &[Vec<u8>]) {
    world.command(Command::SendDigits {
        leg: MediaLegId(2),
        digits: "12".into(),
    });
    for _ in 0..600 {
        world.tick();
    }
    let tone = Function::Tone(Tone::Cadence {
        hz: [440, 480],
        on_ms: 2_000,
        off_ms: 4_000,
    });
    for function in [tone, Function::Phone, Function::Note, Function::Echo] {
        world.command(Command::Function {
            leg: MediaLegId(1),
            function,
        });
        for packet in packets {
            world.deliver(1, packet);
            world.tick();
        }
    }
    for repeats in [false, true, false] {
        let sounds = [3_000, 700].map(|samples| Arc::new(Sound::new(vec![900; samples]).expect("it is long enough")));
        world.command(Command::Play {
            leg: MediaLegId(1),
            music: Music::new(sounds.into()),
            repeats,
        });
        for packet in packets {
            world.deliver(1, packet);
            world.tick();
        }
    }
}

/// The two legs become a fax, and audio again.
fn fax(world: &mut World, codecs: [Codec; 2]) {
    for leg in [1, 2] {
        world.negotiate(leg, Stream::udptl(codecs[0], true, true));
    }
    world.command(Command::Function {
        leg: MediaLegId(1),
        function: Function::Bridge(MediaLegId(2)),
    });
    let before = world.sent;
    for number in 0..100u16 {
        world.deliver(1, &[&number.to_be_bytes()[..], &[7; 200]].concat());
        world.tick();
    }
    // And perhaps a report of the copy, which is no fax.
    assert!((100..=101).contains(&(world.sent - before)));
    for (leg, codec) in [1, 2].into_iter().zip(codecs) {
        world.negotiate(leg, stream(codec));
    }
}

const ROOM: MediaRoomId = MediaRoomId(1);
/// Who sits in it; others are those that `bridged` has.
const MEMBERS: [u64; 5] = [1, 2, 11, 12, 13];

/// A room for five, of whom one encrypts and one has packets of 60 ms.
fn members(rate: Rate, codecs: &[Codec], rings: Rings) -> World {
    let suite = Some(Suite::AesCm128Sha1_80);
    let mut world = bridged(codecs[0], codecs[1], suite, Some(rings));
    for (leg, codec) in MEMBERS.into_iter().zip(codecs).skip(2) {
        let spec = LegSpec {
            id: MediaLegId(leg),
            port: Port { rtp: 20_000, v6: false },
            ssrc: 7,
            first_sequence: 1,
            first_timestamp: 1,
            cname: "a".into(),
            rtc: false,
        };
        world.command(Command::Open(Box::new(spec)));
        let ptime_ms = if leg == MEMBERS[4] { 60 } else { 20 };
        let stream = Stream {
            ptime_ms,
            ..stream(*codec)
        };
        world.negotiate(leg, stream);
    }
    world.command(Command::OpenRoom(RoomSpec {
        id: ROOM,
        rate,
        speakers: 2,
        seats: 8,
        levels: true,
        gate: true,
        forwards: false,
    }));
    world
}

/// All sit down; sounds are played, and the whole is recorded.
fn sit(world: &mut World) {
    for leg in MEMBERS.map(MediaLegId) {
        let function = Function::Room(ROOM);
        world.command(Command::Function { leg, function });
    }
    let sound = Arc::new(Sound::new(vec![900; 3_000]).expect("it is long enough"));
    let music = Music::new(vec![sound]);
    world.command(Command::PlayRoom { room: ROOM, music });
    let recording = Recording {
        call: CallId(1),
        number: 7,
        begun: Wall(0),
        is_wide: true,
        format: Format::Wav,
        of: Of::Call,
    };
    let to = Some(recording);
    world.command(Command::RecordRoom { room: ROOM, to });
}

/// Members of every codec who speak in turn, in packets of several lengths; somebody moves in and out.
fn room(rate: Rate) {
    let (rings, readers) = mpsc::channel();
    let codecs = [Codec::Pcma, Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Opus];
    let mut world = members(rate, &codecs, Rings(rings));
    let materials: Vec<_> = MEMBERS
        .into_iter()
        .zip(codecs)
        .map(|(leg, codec)| material(codec, leg as u8))
        .collect();
    for round in 0..3 {
        sit(&mut world);
        for n in 0..materials[0].len() {
            for (place, packets) in materials.iter().enumerate() {
                // They begin and end one after the other; what was sealed once is not sealed again.
                let is_new = round == 0 || MEMBERS[place] != 2;
                if is_new && n / 10 % 5 >= place {
                    world.deliver(MEMBERS[place], &packets[n]);
                }
            }
            world.tick();
            let (leg, speaks, hears) = (MediaLegId(1), n % 16 != 3, n % 16 != 4);
            let seat = Seat {
                speaks,
                hears,
                shows: true,
            };
            world.command(Command::Seat { leg, seat });
        }
        world.worker.limit_effort(5 - round);
        world.command(Command::RecordRoom { room: ROOM, to: None });
        functions(&mut world, &materials[0]);
    }
    world.command(Command::CloseRoom(ROOM));
    MEMBERS
        .into_iter()
        .for_each(|leg| world.command(Command::Close(MediaLegId(leg))));
    assert!(world.sent > 2_000, "only {} packets were made", world.sent);
    assert_eq!(world.counted, 0, "a room at {rate:?}: the worker called the allocator");
    let recorded = readers
        .try_iter()
        .map(|mut reader| std::iter::from_fn(|| reader.packet().map(|_| ())).count());
    assert!(recorded.sum::<usize>() > 100, "the mix was recorded");
}

#[test]
fn the_packet_thread_neither_allocates_nor_frees() {
    video::video();
    shared::shared();
    room(Rate::Wide);
    room(Rate::Narrow);
    room(Rate::Full);
    let pairs = [
        (Codec::Pcma, Codec::Pcma, None, "relayed"),
        (Codec::Opus, Codec::Opus, None, "relayed"),
        (Codec::Pcma, Codec::Pcmu, None, "translated"),
        (Codec::Pcma, Codec::Opus, None, "transcoded"),
        (Codec::Pcmu, Codec::Opus, None, "transcoded with a gain"),
        (Codec::G722, Codec::G722, None, "relayed"),
        (Codec::G722, Codec::Pcma, None, "transcoded at 8 kHz"),
        (Codec::G722, Codec::Opus, None, "transcoded at 16 kHz"),
        (
            Codec::Pcma,
            Codec::Pcma,
            Some(Suite::AesCm128Sha1_80),
            "relayed and sealed",
        ),
        (
            Codec::Pcma,
            Codec::Opus,
            Some(Suite::AeadAes128Gcm),
            "transcoded and sealed",
        ),
    ];
    for (first, second) in [
        (Codec::Pcmu, Codec::Pcma),
        (Codec::Pcma, Codec::Opus),
        (Codec::G722, Codec::G722),
    ] {
        heard(first, second);
    }
    let runs = pairs.into_iter().flat_map(|pair| [(pair, false), (pair, true)]);
    for ((first, second, suite, what), is_recorded) in runs {
        let streams = [(1, material(first, 1)), (2, material(second, 2))];
        let (rings, readers) = mpsc::channel();
        let mut world = bridged(first, second, suite, is_recorded.then_some(Rings(rings)));
        for n in 0..streams[0].1.len() {
            for (leg, packets) in &streams {
                world.deliver(*leg, &packets[n]);
            }
            world.tick();
        }
        functions(&mut world, &streams[0].1);
        fax(&mut world, [first, second]);
        world.command(Command::ReadStats(MediaLegId(1)));
        world.command(Command::Close(MediaLegId(1)));
        world.command(Command::Close(MediaLegId(2)));
        if is_recorded {
            let copied = copied(&mut world);
            assert!(copied > 40, "{what}: {copied} packets were copied");
        }
        assert!(world.sent > 250, "{what}: only {} packets were made", world.sent);
        assert!(world.control.len() < 4_096 && world.worker.is_empty());
        assert!(calls() > 0, "the allocator counts");
        assert_eq!(world.counted, 0, "{what}: the worker called the allocator");
        let recorded: usize = readers
            .try_iter()
            .map(|mut reader| std::iter::from_fn(|| reader.packet().map(|_| ())).count())
            .sum();
        assert_eq!(recorded > 100, is_recorded, "{what}: {recorded} packets were recorded");
    }
}
