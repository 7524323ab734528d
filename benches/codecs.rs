//! What a frame of 20 ms costs in each codec and helper.

#![allow(missing_docs, reason = "criterion's macro makes a public function without a comment")]

use codecs::activity::Activity;
use codecs::agc::Agc;
use codecs::double::{Down2, Up2};
use codecs::dtmf::Detector;
use codecs::modem::{BLOCK, Listener};
use codecs::opus::{Decoder, Encoder, EncoderParams, packet_info};
use codecs::plc::Concealer;
use codecs::resample::Resampler;
use codecs::tone::Cadence;
use codecs::triple::{Down3, Up3};
use codecs::{Rate, g711, g722, level, mix, speech, stretch};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn g711(c: &mut Criterion) {
    let mut group = c.benchmark_group("g711, 160 samples");
    let pcm = speech::synthesise(8_000, -20.0, 8_000);
    let pcm = &pcm[800..960];
    let (mut codes, mut out) = ([0; 160], [0; 160]);
    group.bench_function("encode mu-law", |b| {
        b.iter(|| g711::encode_ulaw_slice(black_box(pcm), &mut codes))
    });
    group.bench_function("encode A-law", |b| {
        b.iter(|| g711::encode_alaw_slice(black_box(pcm), &mut codes))
    });
    group.bench_function("decode mu-law", |b| {
        b.iter(|| g711::decode_ulaw_slice(black_box(&codes), &mut out))
    });
    group.bench_function("decode A-law", |b| {
        b.iter(|| g711::decode_alaw_slice(black_box(&codes), &mut out))
    });
    group.bench_function("level", |b| b.iter(|| level::Level::of(black_box(pcm))));
    group.finish();
}

fn g722(c: &mut Criterion) {
    let mut group = c.benchmark_group("g722, 20 ms of speech");
    for rate in [Rate::Narrow, Rate::Wide] {
        let pcm = speech::synthesise(rate.hz() as usize, -20.0, rate.hz());
        let (mut codes, mut out) = (vec![0; pcm.len()], [0; 320]);
        let length = g722::Encoder::new(rate).encode(&pcm, &mut codes);
        let (mut encoder, mut frames) = (
            g722::Encoder::new(rate),
            pcm.chunks_exact(rate.hz() as usize / 50).cycle(),
        );
        group.bench_function(format!("encode {} Hz", rate.hz()), |b| {
            let mut codes = [0; 160];
            b.iter(|| encoder.encode(frames.next().expect("a cycle"), &mut codes))
        });
        let (mut decoder, mut frames) = (g722::Decoder::new(rate), codes[..length].chunks_exact(160).cycle());
        group.bench_function(format!("decode {} Hz", rate.hz()), |b| {
            b.iter(|| decoder.decode(frames.next().expect("a cycle"), &mut out))
        });
    }
    group.finish();
}

/// Mean over six seconds of speech, frame after frame.
fn opus(c: &mut Criterion) {
    let mut group = c.benchmark_group("opus, 20 ms of speech at 24 kbit/s");
    for rate in [8_000, 16_000, 48_000] {
        let frame = rate as usize / 50;
        let pcm = speech::synthesise(6 * rate as usize, -20.0, rate);
        let mut out = [0; 1_275];
        for complexity in [0, 5, 10] {
            let params = EncoderParams {
                complexity,
                ..EncoderParams::default()
            };
            let mut encoder = Encoder::new(rate, params).expect("an encoder");
            let mut frames = pcm.chunks_exact(frame).cycle();
            group.bench_function(format!("encode {rate} Hz, complexity {complexity}"), |b| {
                b.iter(|| encoder.encode(frames.next().expect("a cycle"), &mut out))
            });
        }
        let mut encoder = Encoder::new(rate, EncoderParams::default()).expect("an encoder");
        let packets: Vec<Vec<u8>> = pcm
            .chunks_exact(frame)
            .map(|samples| {
                encoder
                    .encode(samples, &mut out)
                    .map(|length| out[..length].to_vec())
                    .expect("a packet")
            })
            .collect();
        let mut decoder = Decoder::new(rate).expect("a decoder");
        let mut samples = vec![0; frame];
        let mut next = packets.iter().cycle();
        group.bench_function(format!("decode {rate} Hz"), |b| {
            b.iter(|| decoder.decode(next.next().expect("a cycle"), &mut samples))
        });
        group.bench_function(format!("packet_info {rate} Hz"), |b| {
            b.iter(|| packet_info(black_box(&packets[10])))
        });
    }
    group.finish();
}

fn resample(c: &mut Criterion) {
    let mut group = c.benchmark_group("resample, 20 ms");
    for (from, to) in [
        (8_000, 16_000),
        (8_000, 48_000),
        (16_000, 48_000),
        (16_000, 8_000),
        (48_000, 8_000),
        (48_000, 16_000),
    ] {
        let pcm = speech::synthesise(from as usize / 50, -20.0, from);
        let mut out = [0; 960];
        let mut resampler = Resampler::new(from, to).expect("rates");
        group.bench_function(format!("{from} to {to} Hz"), |b| {
            b.iter(|| resampler.process(black_box(&pcm), &mut out))
        });
    }
    group.finish();
}

fn plc(c: &mut Criterion) {
    let mut group = c.benchmark_group("concealment, 160 samples");
    let pcm = speech::synthesise(8_000, -20.0, 8_000);
    let mut heard = Concealer::new();
    heard.good(&mut pcm[..1_600].to_vec());
    let mut frame = [0; 160];
    group.bench_function("good", |b| b.iter(|| heard.good(black_box(&mut frame))));
    let mut heard = Concealer::new();
    heard.good(&mut pcm[..1_600].to_vec());
    group.bench_function("first lost", |b| {
        b.iter_batched_ref(
            || heard.clone(),
            |concealer| concealer.lost(&mut frame),
            criterion::BatchSize::SmallInput,
        )
    });
    group.finish();
}

fn tones(c: &mut Criterion) {
    let mut group = c.benchmark_group("what is listened for, 160 samples");
    let mut key = vec![0; 8_000];
    Cadence::new([770.0, 1_336.0], -10.0, 1, 0, 8_000).fill(&mut key);
    let speech = speech::synthesise(8_000, -20.0, 8_000);
    for (what, pcm) in [("silence", vec![0; 8_000]), ("speech", speech), ("a key", key)] {
        let (mut detector, mut frames) = (Detector::new(), pcm.chunks_exact(160).cycle());
        group.bench_function(format!("keys in {what}"), |b| {
            b.iter(|| {
                detector.hear(frames.next().expect("a cycle"), |sign| {
                    black_box(sign);
                })
            })
        });
        let mut listener = Listener::new();
        group.bench_function(format!("a machine in {what}, one block"), |b| {
            b.iter(|| listener.hear(0, black_box(&pcm[..BLOCK])))
        });
    }
    group.finish();
}

/// What is written is looked at: nothing of it may be left out because nobody reads it.
fn room(c: &mut Criterion) {
    let mut group = c.benchmark_group("a room, 320 samples");
    let pcm = speech::synthesise(16_000, -20.0, 16_000);
    let (own, mut out, mut sum) = (&pcm[800..1_120], [0; 320], [0; 320]);
    for speaker in 0..4 {
        mix::add(&mut sum, &pcm[320 * speaker..][..320]);
    }
    group.bench_function("all", |b| b.iter(|| mix::all(black_box(&sum), black_box(&mut out))));
    group.bench_function("less", |b| {
        b.iter(|| mix::less(black_box(&sum), own, black_box(&mut out)))
    });
    let mut frame = sum;
    group.bench_function("sum of 4", |b| {
        b.iter(|| {
            frame.fill(0);
            (0..4).for_each(|_| mix::add(black_box(&mut frame), own));
        })
    });
    group.bench_function("scale", |b| {
        b.iter(|| mix::scale(black_box(&mut out), mix::ONE, mix::ONE))
    });
    group.bench_function("energy", |b| b.iter(|| level::energy(black_box(own))));
    let (mut activity, mut agc) = (Activity::new(), Agc::new());
    group.bench_function("activity", |b| b.iter(|| activity.hear(black_box(own))));
    group.bench_function("gain control", |b| b.iter(|| agc.apply(black_box(&mut out), true)));
    let (mut up, mut down) = (Up2::new(), Down2::new());
    group.bench_function("from 8 kHz", |b| {
        b.iter(|| up.process(black_box(&pcm[..160]), black_box(&mut out)))
    });
    group.bench_function("to 8 kHz", |b| {
        b.iter(|| down.process(black_box(own), black_box(&mut out[..160])))
    });
    let (stretch, mut out) = (&pcm[..stretch::shortest(Rate::Wide)], [0; 960]);
    group.bench_function("40 ms made shorter", |b| {
        b.iter(|| stretch::shorten(black_box(stretch), Rate::Wide, black_box(&mut out)))
    });
    let (mut up, mut down, mut wide) = (Up3::new(), Down3::new(), [0; 320]);
    group.bench_function("from 16 to 48 kHz", |b| {
        b.iter(|| up.process(black_box(own), black_box(&mut out)))
    });
    group.bench_function("from 48 to 16 kHz", |b| {
        b.iter(|| down.process(black_box(&out), black_box(&mut wide)))
    });
    group.finish();
}

criterion_group!(benches, g711, g722, opus, resample, plc, tones, room);
criterion_main!(benches);
