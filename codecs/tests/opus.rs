//! Opus end to end: tones, speech, loss, FEC, DTX and the words of its errors.

use audiopus::coder::Encoder as Library;
use audiopus::{Application, Bitrate, Channels, SampleRate};
use codecs::level::Level;
use codecs::opus::{DTX_OCTETS, Decoder, Encoder, EncoderParams, Mode, OpusError, packet_info, packet_samples};
use codecs::spectrum::dominant;
use codecs::speech;
use codecs::tone::Sine;

const RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

fn sine(hz: f32, rate: u32, ms: u32) -> Vec<i16> {
    let mut pcm = vec![0; (rate * ms / 1_000) as usize];
    Sine::new(hz, -12.0, rate).fill(&mut pcm);
    pcm
}

fn encode(pcm: &[i16], rate: u32, frame_ms: u32, params: EncoderParams) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(rate, params).expect("an encoder");
    let mut out = [0; 1_500];
    pcm.chunks_exact((rate * frame_ms / 1_000) as usize)
        .map(|frame| {
            let length = encoder.encode(frame, &mut out).expect("a packet");
            out[..length].to_vec()
        })
        .collect()
}

fn decode(packets: &[Vec<u8>], rate: u32) -> Vec<i16> {
    let mut decoder = Decoder::new(rate).expect("a decoder");
    let mut out = [0; 5_760];
    let mut pcm = Vec::new();
    for packet in packets {
        let length = decoder.decode(packet, &mut out).expect("a whole packet");
        assert_eq!(length, packet_samples(packet, rate).expect("a whole packet"));
        pcm.extend_from_slice(&out[..length]);
    }
    pcm
}

/// The encoder's rate and the decoder's need not be the same (RFC 7587 4.1): all pairs.
#[test]
fn a_tone_passes_from_any_rate_to_any() {
    for from in RATES {
        let packets = encode(&sine(1_004.0, from, 500), from, 20, EncoderParams::default());
        for to in RATES {
            let pcm = decode(&packets, to);
            assert_eq!(pcm.len(), to as usize / 2);
            // The first 100 ms let the codec settle.
            let found = dominant(&pcm[to as usize / 10..], to).expect("a tone");
            assert!(found.is(1_004.0, 20.0), "{from} to {to}: {found:?}");
            assert!((found.level_dbm0 + 12.0).abs() < 1.0, "{from} to {to}: {found:?}");
        }
    }
}

#[test]
fn every_frame_length_passes() {
    let pcm = sine(700.0, 8_000, 960);
    for frame_ms in [5, 10, 20, 40, 60, 80, 120] {
        let packets = encode(&pcm, 8_000, frame_ms, EncoderParams::default());
        assert!(
            packets
                .iter()
                .all(|packet| packet_samples(packet, 48_000) == Ok(frame_ms as usize * 48))
        );
        let found = dominant(&decode(&packets, 8_000)[1_600..], 8_000).expect("a tone");
        assert!(found.is(700.0, 10.0), "{frame_ms} ms: {found:?}");
    }
}

/// Speech comes through at what a call uses, and more bits bring it nearer to what the codec can do at all.
#[test]
fn speech_is_nearer_with_more_bits() {
    let pcm = speech::synthesise(3 * 16_000, -20.0, 16_000);
    let pass = |bitrate| {
        let params = EncoderParams {
            bitrate,
            complexity: 10,
            fec: false,
            expected_loss_percent: 0,
            dtx: false,
        };
        decode(&encode(&pcm, 16_000, 20, params), 16_000)
    };
    let usual = pass(24_000);
    let step = Level::of(&usual).rms_dbm0() - Level::of(&pcm).rms_dbm0();
    assert!(step.abs() < 1.0, "the level changes by {step} dB");
    // The codec delays by some milliseconds: the best of all shifts counts.
    let snr = (0..320)
        .map(|shift| speech::snr_db(&pcm, &usual[shift..]))
        .fold(f32::MIN, f32::max);
    assert!(snr > 8.0, "{snr} dB");
    let best = pass(128_000);
    let (narrow, usual, wide) = (
        speech::snr_db(&best, &pass(7_000)),
        speech::snr_db(&best, &usual),
        speech::snr_db(&best, &pass(64_000)),
    );
    assert!(usual > narrow + 2.0 && wide > usual + 2.0, "{narrow} {usual} {wide}");
}

/// What a browser sends may be stereo, whatever was agreed (RFC 7587 3.4): it becomes mono, both sides in it.
#[test]
fn stereo_packets_become_mono() {
    let (left, right) = (sine(500.0, 48_000, 400), sine(1_300.0, 48_000, 400));
    let both: Vec<i16> = left.iter().zip(&right).flat_map(|(a, b)| [*a, *b]).collect();
    let mut library = Library::new(SampleRate::Hz48000, Channels::Stereo, Application::Audio).expect("an encoder");
    library.set_bitrate(Bitrate::BitsPerSecond(96_000)).expect("a bitrate");
    let packets: Vec<Vec<u8>> = both
        .chunks(2 * 960)
        .map(|frame| {
            let mut out = vec![0; 1_500];
            let length = library.encode(frame, &mut out).expect("a packet");
            out.truncate(length);
            out
        })
        .collect();
    assert!(
        packets
            .iter()
            .skip(2)
            .all(|packet| packet_info(packet).is_ok_and(|info| info.channels == 2))
    );
    let pcm = decode(&packets, 8_000);
    assert_eq!(pcm.len(), 3_200);
    for hz in [500.0, 1_300.0] {
        let level = codecs::goertzel::level_dbm0(&pcm[800..], hz, 8_000);
        assert!(
            (level + 18.0).abs() < 1.0,
            "{hz} Hz: {level} dBm0, half of each side is 6 dB less"
        );
    }
}

/// Frames are lost; one receiver uses the copy in the next packet, the other guesses. Measured on the lost frames, against what
/// arrives without loss.
#[test]
fn fec_recovers_what_concealment_guesses() {
    for rate in [8_000, 16_000, 48_000] {
        let pcm = speech::synthesise(6 * rate as usize, -18.0, rate);
        let params = EncoderParams {
            expected_loss_percent: 20,
            complexity: 8,
            ..EncoderParams::default()
        };
        let packets = encode(&pcm, rate, 20, params);
        let carrying = packets
            .iter()
            .filter(|packet| packet_info(packet).is_ok_and(|info| info.fec))
            .count();
        assert!(
            carrying > packets.len() / 3,
            "{rate} Hz: only {carrying} of {} packets carry a copy",
            packets.len()
        );
        let mut whole = Decoder::new(rate).expect("a decoder");
        let mut with_fec = Decoder::new(rate).expect("a decoder");
        let mut guessing = Decoder::new(rate).expect("a decoder");
        let frame = rate as usize / 50;
        let (mut said, mut recovered, mut guessed) = (Vec::new(), Vec::new(), Vec::new());
        let (mut a, mut b, mut c) = (vec![0; frame], vec![0; frame], vec![0; frame]);
        for (number, packet) in packets.iter().enumerate() {
            assert_eq!(whole.decode(packet, &mut a), Ok(frame));
            let next = packets.get(number + 1).filter(|_| number % 7 == 5);
            let Some(next) = next.filter(|next| packet_info(next).is_ok_and(|info| info.fec)) else {
                assert_eq!(with_fec.decode(packet, &mut b), Ok(frame));
                assert_eq!(guessing.decode(packet, &mut c), Ok(frame));
                continue;
            };
            assert_eq!(with_fec.decode_fec(next, &mut b), Ok(frame));
            assert_eq!(guessing.conceal(&mut c), Ok(frame));
            said.extend_from_slice(&a);
            recovered.extend_from_slice(&b);
            guessed.extend_from_slice(&c);
        }
        let (recovered, guessed) = (speech::snr_db(&said, &recovered), speech::snr_db(&said, &guessed));
        assert!(
            recovered > guessed + 3.0,
            "{rate} Hz: FEC {recovered} dB, concealment {guessed} dB"
        );
    }
}

#[test]
fn fec_is_only_there_when_asked_for() {
    let pcm = speech::synthesise(16_000, -18.0, 8_000);
    for (fec, expected_loss_percent) in [(false, 20), (true, 0)] {
        let params = EncoderParams {
            fec,
            expected_loss_percent,
            ..EncoderParams::default()
        };
        let packets = encode(&pcm, 8_000, 20, params);
        let carrying = packets
            .iter()
            .filter(|packet| packet_info(packet).is_ok_and(|info| info.fec))
            .count();
        assert_eq!(carrying, 0, "fec {fec}, loss {expected_loss_percent}");
    }
}

/// A packet without a copy conceals the frame before it instead: the caller need not ask first.
#[test]
fn fec_of_a_packet_without_it_conceals() {
    let params = EncoderParams {
        fec: false,
        ..EncoderParams::default()
    };
    let packets = encode(&speech::synthesise(8_000, -18.0, 8_000), 8_000, 20, params);
    let mut one = Decoder::new(8_000).expect("a decoder");
    let mut other = Decoder::new(8_000).expect("a decoder");
    let (mut a, mut b) = ([0; 160], [0; 160]);
    for packet in &packets[..8] {
        assert_eq!(one.decode(packet, &mut a), other.decode(packet, &mut b));
    }
    assert_eq!(one.decode_fec(&packets[9], &mut a), Ok(160));
    assert_eq!(other.conceal(&mut b), Ok(160));
    assert_eq!(a, b);
    assert!(Level::of(&a).rms_dbm0() > -40.0, "the guess is no silence");
}

#[test]
fn dtx_of_silence_needs_no_packets() {
    let mut pcm = speech::synthesise(8_000, -18.0, 8_000);
    pcm.extend_from_slice(&[0; 16_000]);
    let params = EncoderParams {
        dtx: true,
        fec: false,
        ..EncoderParams::default()
    };
    let packets = encode(&pcm, 8_000, 20, params);
    let needless = packets[60..].iter().filter(|packet| packet.len() <= DTX_OCTETS).count();
    assert!(needless > 60, "of 90 packets of silence {needless} need not be sent");
    assert_eq!(decode(&packets, 8_000).len(), pcm.len());
}

#[test]
fn settings_change_while_it_runs() {
    let pcm = speech::synthesise(32_000, -18.0, 16_000);
    let mut encoder = Encoder::new(16_000, EncoderParams::default()).expect("an encoder");
    let octets = |encoder: &mut Encoder| -> usize {
        let mut out = [0; 1_500];
        pcm.chunks_exact(320)
            .map(|frame| encoder.encode(frame, &mut out).expect("a packet"))
            .sum()
    };
    let usual = octets(&mut encoder);
    encoder.set_bitrate(12_000).expect("a bitrate");
    let less = octets(&mut encoder);
    encoder.set_bitrate(40_000).expect("a bitrate");
    encoder.set_complexity(2).expect("a complexity");
    encoder.set_expected_loss(30).expect("a loss");
    let more = octets(&mut encoder);
    assert!(less * 3 < usual * 2 && more * 3 > usual * 4, "{less} {usual} {more}");
}

/// The SDP may ask for less than a frame needs: it is coded worse, not refused.
#[test]
fn a_small_buffer_makes_a_small_packet() {
    let mut encoder = Encoder::new(16_000, EncoderParams::default()).expect("an encoder");
    for frame in speech::synthesise(3_200, -18.0, 16_000).chunks_exact(320) {
        let mut out = [0; 20];
        let length = encoder.encode(frame, &mut out).expect("a packet");
        assert!((1..=20).contains(&length));
        assert_eq!(packet_info(&out[..length]).map(|info| info.mode), Ok(Mode::Silk));
    }
}

#[test]
fn a_reset_decoder_is_as_new() {
    let packets = encode(
        &speech::synthesise(8_000, -18.0, 8_000),
        8_000,
        20,
        EncoderParams::default(),
    );
    let mut used = Decoder::new(8_000).expect("a decoder");
    let (mut a, mut b) = ([0; 160], [0; 160]);
    for packet in &packets[10..20] {
        used.decode(packet, &mut a).expect("a packet");
    }
    used.reset().expect("a reset");
    let mut new = Decoder::new(8_000).expect("a decoder");
    for packet in &packets {
        assert_eq!(used.decode(packet, &mut a), new.decode(packet, &mut b));
        assert_eq!(a, b);
    }
}

#[test]
fn both_move_between_threads() {
    fn movable<T: Send + 'static>(_: T) {}
    movable(Encoder::new(8_000, EncoderParams::default()).expect("an encoder"));
    movable(Decoder::new(8_000).expect("a decoder"));
}

#[test]
fn wrong_arguments_are_refused_in_a_sentence() {
    let says = |error: OpusError, sentence: &str| assert_eq!(error.to_string(), sentence);
    let params = EncoderParams::default();
    says(
        Encoder::new(44_100, params).expect_err("44.1 kHz"),
        "Opus has no sample rate of 44100 Hz; it has 8000, 12000, 16000, 24000 and 48000.",
    );
    says(
        Encoder::new(8_000, EncoderParams { bitrate: 500, ..params }).expect_err("500 bit/s"),
        "The Opus parameter bitrate can't be 500; it must be 6000 to 510000 bit/s.",
    );
    says(
        Encoder::new(
            8_000,
            EncoderParams {
                complexity: 11,
                ..params
            },
        )
        .expect_err("11"),
        "The Opus parameter complexity can't be 11; it must be 0 to 10.",
    );
    let mut encoder = Encoder::new(8_000, params).expect("an encoder");
    assert_eq!(
        encoder.set_expected_loss(101),
        Err(OpusError::Parameter {
            name: "expected loss",
            value: 101,
            range: "0 to 100 percent"
        })
    );
    assert_eq!(
        encoder.encode(&[0; 161], &mut [0; 100]),
        Err(OpusError::FrameLength {
            samples: 161,
            rate: 8_000
        })
    );
    assert_eq!(
        encoder.encode(&[], &mut [0; 100]),
        Err(OpusError::FrameLength {
            samples: 0,
            rate: 8_000
        })
    );
    assert_eq!(
        encoder.encode(&[0; 160], &mut []),
        Err(OpusError::OutputTooSmall { needed: 1, given: 0 })
    );
    let mut decoder = Decoder::new(8_000).expect("a decoder");
    assert_eq!(
        decoder.decode(&[0x08, 0], &mut [0; 159]),
        Err(OpusError::OutputTooSmall {
            needed: 160,
            given: 159
        })
    );
    assert_eq!(decoder.decode(&[], &mut [0; 160]), Err(OpusError::BadPacket));
    for samples in [0, 1, 159, 980, 960 * 8] {
        let mut out = vec![0; samples];
        let refused = Err(OpusError::FrameLength { samples, rate: 8_000 });
        assert_eq!(decoder.conceal(&mut out), refused);
        assert_eq!(decoder.decode_fec(&[0x08, 0], &mut out), refused);
    }
}
