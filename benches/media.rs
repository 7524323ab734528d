//! The packet path without the kernel: a relayed packet (at most 200 ns), and G.711 <-> Opus against libopus alone (at most 1.1 times).

#![allow(missing_docs, reason = "criterion_group! makes a public function")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock"
)]

use codecs::{Codec, g711, opus};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;
use tandem::id::{MediaLegId, WorkerId};
use tandem::limits;
use tandem::media::command::{Command, Dtmf, EventFormat, Function, LegSpec, OpusParams, Port, Remote, Stream, Xr};
use tandem::media::input::Outputs;
use tandem::media::packet::{Channel, LegIx, Packet, TxBatch};
use tandem::media::prepare::Preparer;
use tandem::media::worker::Worker;
use tandem::time::Instant;

const FRAME: usize = 160;
const FRAMES: usize = 250;
const BUDGET_NS: f64 = 200.0;
const BUDGET_RATIO: f64 = 1.1;

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
        opus: OpusParams::default(),
        gain: Default::default(),
        comfort_noise: false,
        sends: true,
        receives: true,
        udptl: false,
        carries_data: false,
    }
}

/// A worker with one call, and the packets of both its peers.
struct Call {
    worker: Worker,
    out: TxBatch,
    outputs: Outputs,
    now: Instant,
    packets: [Packet; 2],
}

impl Call {
    fn new(codecs: [Codec; 2]) -> Self {
        let (mut worker, mut preparer) = (Worker::new(limits::LEGS_PER_WORKER), Preparer::default());
        let (mut out, mut outputs) = (TxBatch::new(), Outputs::default());
        let mut packets = [Packet::default(), Packet::default()];
        let mut commands = Vec::new();
        for (n, codec) in (0u8..).zip(codecs) {
            let (id, rtp) = (MediaLegId(n.into()), address(n));
            let port = Port { rtp: 20_000, v6: false };
            let spec = LegSpec {
                id,
                port,
                ssrc: 7,
                first_sequence: 1,
                first_timestamp: 1,
                cname: "bench".into(),
                rtc: false,
            };
            commands.push(Command::Open(Box::new(spec)));
            let remote = Remote {
                rtp,
                rtcp: rtp,
                rtcp_mux: true,
                signalling: rtp.ip(),
                xr: Xr::default(),
                forks: false,
            };
            commands.push(Command::Negotiated {
                leg: id,
                remote,
                stream: stream(codec),
            });
            packets[usize::from(n)].buffer()[..12].copy_from_slice(&[
                0x80,
                stream(codec).payload_type_tx,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                n,
            ]);
        }
        commands.push(Command::Function {
            leg: MediaLegId(0),
            function: Function::Bridge(MediaLegId(1)),
        });
        for command in commands {
            for input in preparer
                .prepare(WorkerId(0), command, 1)
                .expect("the streams are valid")
            {
                worker.on_input(Instant::ZERO, input, &mut out, &mut outputs);
            }
            while outputs.pop().is_some() {}
        }
        Call {
            worker,
            out,
            outputs,
            now: Instant::ZERO,
            packets,
        }
    }

    /// Delivers one packet of a peer; true when the other side's packet was made.
    fn pass(&mut self, from: u8, sequence: u32, ticks: u32, payload: &[u8]) -> usize {
        let packet = &mut self.packets[usize::from(from)];
        let buffer = packet.buffer();
        buffer[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
        buffer[4..8].copy_from_slice(&sequence.wrapping_mul(ticks).to_be_bytes());
        buffer[12..12 + payload.len()].copy_from_slice(payload);
        packet.set_len(12 + payload.len());
        let at = LegIx(from.into());
        self.worker.on_packet(
            self.now,
            at,
            Channel::Rtp,
            address(from),
            packet,
            &mut self.out,
            &mut self.outputs,
        );
        while self.outputs.pop().is_some() {}
        let sent = self.out.packets().len();
        self.out.clear();
        sent
    }
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n + 1], 4_000))
}

/// Five seconds that keep an encoder as busy as speech does: a gliding pitch with harmonics, syllables, a little noise.
fn speech() -> Vec<[i16; FRAME]> {
    let (mut phase, mut random) = (0f32, 1u32);
    (0..FRAMES)
        .map(|frame| {
            std::array::from_fn(|n| {
                let time = (frame * FRAME + n) as f32 / 8_000.0;
                phase += (120.0 + 40.0 * (time * 3.0).sin()) / 8_000.0;
                let voice: f32 = (1..9)
                    .map(|k| (phase * k as f32 * std::f32::consts::TAU).sin() / k as f32)
                    .sum();
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (random >> 16) as f32 / 65_536.0 - 0.5;
                let syllable = (time * 12.0).sin().max(0.05);
                (syllable * (voice * 4_000.0 + noise * 600.0)) as i16
            })
        })
        .collect()
}

/// libopus alone: what the same frames cost to encode and to decode.
struct Library {
    encoder: opus::Encoder,
    decoder: opus::Decoder,
}

impl Library {
    fn new() -> Self {
        let OpusParams {
            fec,
            dtx,
            bitrate,
            complexity,
            ..
        } = OpusParams::default();
        let params = opus::EncoderParams {
            bitrate,
            complexity,
            fec,
            expected_loss_percent: 5,
            dtx,
        };
        Library {
            encoder: opus::Encoder::new(8_000, params).expect("valid parameters"),
            decoder: opus::Decoder::new(8_000).expect("a valid rate"),
        }
    }

    fn run(&mut self, pcm: &[i16; FRAME], packet: &[u8]) -> usize {
        let (mut encoded, mut decoded) = ([0; 1_275], [0; 960]);
        let octets = self.encoder.encode(pcm, &mut encoded).expect("a valid frame");
        octets + self.decoder.decode(packet, &mut decoded).expect("a valid packet")
    }
}

struct Material {
    pcm: Vec<[i16; FRAME]>,
    alaw: Vec<[u8; FRAME]>,
    opus: Vec<Vec<u8>>,
}

fn material() -> Material {
    let pcm = speech();
    let alaw = pcm.iter().map(|frame| frame.map(g711::encode_alaw)).collect();
    let mut library = Library::new();
    let encode = |frame: &[i16; FRAME]| {
        let mut packet = vec![0; 1_275];
        let len = library.encoder.encode(frame, &mut packet).expect("a valid frame");
        packet.truncate(len);
        packet
    };
    let opus = pcm.iter().map(encode).collect();
    // Both encode what G.711 has left of it.
    let alaw: Vec<[u8; FRAME]> = alaw;
    let pcm = alaw.iter().map(|frame| frame.map(g711::decode_alaw)).collect();
    Material { pcm, alaw, opus }
}

fn relay(c: &mut Criterion) {
    let mut call = Call::new([Codec::Pcma, Codec::Pcma]);
    let (payload, mut n) = ([0xd5; FRAME], 0u32);
    c.bench_function("media/relay one G.711 packet", |b| {
        b.iter(|| {
            n += 1;
            call.now += Duration::from_millis(20);
            black_box(call.pass(0, n, 160, &payload))
        });
    });
}

fn transcode(c: &mut Criterion) {
    let material = material();
    let (mut library, mut call, mut n) = (Library::new(), Call::new([Codec::Pcma, Codec::Opus]), 0usize);
    c.bench_function("media/libopus alone, one frame each way", |b| {
        b.iter(|| {
            n += 1;
            black_box(library.run(&material.pcm[n % FRAMES], &material.opus[n % FRAMES]))
        });
    });
    let mut n = 0;
    c.bench_function("media/G.711 to Opus and back, one packet each way", |b| {
        b.iter(|| {
            n += 1;
            black_box(both_ways(&mut call, n, &material))
        });
    });
}

fn both_ways(call: &mut Call, n: usize, material: &Material) -> usize {
    call.now += Duration::from_millis(20);
    call.pass(0, n as u32, 160, &material.alaw[n % FRAMES]) + call.pass(1, n as u32, 960, &material.opus[n % FRAMES])
}

/// Both budgets in one run. The two sides take turns on the same short pieces, and of each the best of many rounds counts: what
/// other programs took from a round is not ours.
fn budgets(_: &mut Criterion) {
    const PIECE: usize = 25;
    let material = material();
    let (mut library, mut call) = (Library::new(), Call::new([Codec::Pcma, Codec::Opus]));
    let mut best = [(Duration::MAX, Duration::MAX); FRAMES / PIECE];
    for round in 0..40 {
        for (piece, (alone, ours)) in best.iter_mut().enumerate() {
            let frames = piece * PIECE..(piece + 1) * PIECE;
            *alone = timed(|| {
                for n in frames.clone() {
                    black_box(library.run(&material.pcm[n], &material.opus[n]));
                }
            })
            .min(*alone);
            *ours = timed(|| {
                for n in frames {
                    assert_eq!(both_ways(&mut call, round * FRAMES + n, &material), 2);
                }
            })
            .min(*ours);
        }
    }
    let (alone, ours) = best
        .iter()
        .fold((Duration::ZERO, Duration::ZERO), |sum, b| (sum.0 + b.0, sum.1 + b.1));
    let ratio = ours.as_secs_f64() / alone.as_secs_f64();
    println!("media/transcoding costs {ratio:.3} times libopus alone (budget {BUDGET_RATIO})");

    let mut relayed = Call::new([Codec::Pcma, Codec::Pcma]);
    let payload = [0xd5; FRAME];
    let packets = 20_000u32;
    let mut best = Duration::MAX;
    for round in 0..100 {
        best = best.min(timed(|| {
            for n in 0..packets {
                relayed.now += Duration::from_millis(20);
                black_box(relayed.pass(0, round * packets + n, 160, &payload));
            }
        }));
    }
    let each = best.as_secs_f64() * 1e9 / f64::from(packets);
    println!(
        "media/a relayed packet takes {each:.0} ns, {:.2} of its budget ({BUDGET_NS} ns)",
        each / BUDGET_NS
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

criterion_group!(benches, relay, transcode, budgets);
criterion_main!(benches);
