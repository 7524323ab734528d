//! What arrives at a peer's address: RTP taken apart and decoded, and told by its tone.

use codecs::g711::{decode_alaw_slice, decode_ulaw_slice};
use codecs::goertzel::level_dbm0;
use codecs::opus::Decoder;
use codecs::spectrum::{Dominant, dominant};
use codecs::{Codec, Rate, g722};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Everything is decoded at this rate: also Opus, whose decoder gives it, and G.722, which has it for its lower half.
pub const RATE: u32 = 8_000;
/// So much sound is judged at once: 500 ms.
const JUDGED: usize = 4_000;
/// What is silent or not: 5 ms.
const BLOCK: usize = 40;
/// How far a tone must stand above everything else.
const CLEAR_DB: f32 = 15.0;
/// The payload type of telephone events that the peers of these tests use.
const EVENTS: u8 = 101;

/// A packet's header and the rest, as far as RFC 3550 5.1 goes; `None` for RTCP and what is too short.
pub struct Packet<'a> {
    pub payload_type: u8,
    pub timestamp: u32,
    pub payload: &'a [u8],
}

impl Packet<'_> {
    pub fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
        let (head, rest) = bytes.split_at_checked(12)?;
        // RFC 5761 4: where 192 to 223 stands, it is RTCP.
        if head[0] >> 6 != 2 || (192..=223).contains(&head[1]) {
            return None;
        }
        let mut payload = rest.get(4 * usize::from(head[0] & 15)..)?;
        if head[0] & 0x10 != 0 {
            let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
            payload = payload.get(4 + 4 * usize::from(words)..)?;
        }
        let timestamp = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        Some(Packet {
            payload_type: head[1] & 0x7f,
            timestamp,
            payload,
        })
    }
}

struct Heard {
    opus: Decoder,
    g722: g722::Decoder,
    pcm: Vec<i16>,
    packets: usize,
    codec: Option<Codec>,
    /// The timestamp that follows on the last sound.
    next: Option<u32>,
    /// Where timestamps left sound out, and how many samples.
    skipped: Vec<(usize, u32)>,
    digits: String,
    /// The timestamp of the digit that was written down last: its packets repeat (RFC 4733 2.5.1.4).
    last_digit: Option<u32>,
}

/// An ear: sockets feed it, tests ask it.
#[derive(Clone)]
pub struct Ear(Arc<(Mutex<Heard>, Condvar)>);

impl Ear {
    /// An ear that has heard nothing.
    pub fn new() -> Ear {
        let opus = Decoder::new(RATE).expect("libopus");
        let heard = Heard {
            opus,
            g722: g722::Decoder::new(Rate::Narrow),
            pcm: Vec::new(),
            packets: 0,
            codec: None,
            next: None,
            skipped: Vec::new(),
            digits: String::new(),
            last_digit: None,
        };
        Ear(Arc::new((Mutex::new(heard), Condvar::new())))
    }

    /// A packet has arrived. False if it is no RTP.
    pub fn take(&self, bytes: &[u8]) -> bool {
        let Some(packet) = Packet::parse(bytes) else {
            return false;
        };
        let (heard, changed) = &*self.0;
        heard.lock().unwrap().take(&packet);
        changed.notify_all();
        true
    }

    /// Waits until 500 ms of sound that arrives from now on is this tone.
    pub fn wait_tone(&self, hz: f32, within: Duration) {
        let start = self.samples();
        let mut judged = start;
        let mut found: Option<Dominant> = None;
        let is_it = self.wait(within, |heard| {
            if heard.pcm.len() < start + JUDGED || heard.pcm.len() < judged + JUDGED / 10 {
                return false;
            }
            judged = heard.pcm.len();
            found = dominant(&heard.pcm[judged - JUDGED..], RATE);
            found.is_some_and(|tone| tone.is(hz, CLEAR_DB))
        });
        let (packets, samples) = (self.packets(), self.samples() - start);
        let told = format!("{packets} packets in all, {samples} samples since, last {found:?}");
        assert!(is_it, "{hz} Hz was not heard within {within:?}: {told}");
    }

    /// Waits until 500 ms of sound that arrives from now on has all of these tones, and not the other.
    pub fn wait_tones(&self, tones: &[f32], without: f32, within: Duration) {
        let start = self.samples();
        let mut found = (Vec::new(), 0.0);
        let is_it = self.wait(within, |heard| {
            if heard.pcm.len() < start + JUDGED {
                return false;
            }
            found = levels(&heard.pcm[heard.pcm.len() - JUDGED..], RATE, tones, without);
            has_all(&found)
        });
        assert!(
            is_it,
            "{tones:?} without {without} were not heard within {within:?}: {found:?}"
        );
    }

    /// Waits until no packet has come for so long.
    pub fn wait_quiet(&self, quiet: Duration, within: Duration) {
        let end = Instant::now() + within;
        loop {
            let before = self.packets();
            if !self.wait(quiet, |heard| heard.packets > before) {
                return;
            }
            assert!(Instant::now() < end, "packets still came after {within:?}");
        }
    }

    /// Waits until these digits, and no others, have come as telephone events (RFC 4733).
    pub fn wait_digits(&self, digits: &str, within: Duration) {
        let come = self.wait(within, |heard| heard.digits.len() >= digits.len());
        let heard = self.0.0.lock().unwrap().digits.clone();
        assert!(
            come && heard == digits,
            "the digits {heard:?} came within {within:?}, not {digits:?}"
        );
    }

    /// The codec of the last sound.
    pub fn codec(&self) -> Option<Codec> {
        self.0.0.lock().unwrap().codec
    }

    /// Packets so far, telephone events included.
    pub fn packets(&self) -> usize {
        self.0.0.lock().unwrap().packets
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        self.0.0.lock().unwrap().pcm.len()
    }

    /// Waits until so many more packets have come.
    pub fn wait_packets(&self, count: usize, within: Duration) {
        let before = self.packets();
        let come = self.wait(within, |heard| heard.packets >= before + count);
        assert!(
            come,
            "{} of {count} packets came within {within:?}",
            self.packets() - before
        );
    }

    /// The longest time since this sample in which the sound has less than a hundredth of its usual energy, or is left out.
    pub fn longest_silence(&self, from: usize) -> Duration {
        let heard = self.0.0.lock().unwrap();
        let energy = |block: &[i16]| block.iter().map(|sample| i64::from(*sample).pow(2)).sum::<i64>();
        let energies: Vec<i64> = heard.pcm[from..].chunks_exact(BLOCK).map(energy).collect();
        let mut sorted = energies.clone();
        sorted.sort_unstable();
        let usual = sorted[sorted.len() / 2];
        let silent = energies
            .split(|energy| *energy >= usual / 100)
            .map(|blocks| blocks.len() * BLOCK);
        let skipped = heard
            .skipped
            .iter()
            .filter(|(at, _)| *at >= from)
            .map(|(_, samples)| *samples as usize);
        let longest = silent.chain(skipped).max().unwrap_or(0);
        Duration::from_millis(longest as u64 * 1_000 / u64::from(RATE))
    }

    fn wait(&self, within: Duration, mut holds: impl FnMut(&mut Heard) -> bool) -> bool {
        let (heard, changed) = &*self.0;
        let heard = heard.lock().unwrap();
        let (_heard, result) = changed
            .wait_timeout_while(heard, within, |heard| !holds(heard))
            .unwrap();
        !result.timed_out()
    }
}

/// How loud each of these tones is, and the other, in dBm0.
pub fn levels(pcm: &[i16], rate: u32, tones: &[f32], without: f32) -> (Vec<f32>, f32) {
    let level = |hz: f32| level_dbm0(pcm, hz, rate);
    (tones.iter().map(|hz| level(*hz)).collect(), level(without))
}

/// All are there, and the other is far below the softest of them.
pub fn has_all((levels, without): &(Vec<f32>, f32)) -> bool {
    let softest = levels.iter().copied().fold(f32::MAX, f32::min);
    softest > -35.0 && *without < softest - 20.0
}

impl Heard {
    fn take(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        let mut pcm = [0; 960];
        let (codec, count) = match packet.payload_type {
            0 => (Codec::Pcmu, decode_ulaw_slice(packet.payload, &mut pcm)),
            8 => (Codec::Pcma, decode_alaw_slice(packet.payload, &mut pcm)),
            9 => (Codec::G722, self.g722.decode(packet.payload, &mut pcm)),
            EVENTS => return self.event(packet),
            96.. => (Codec::Opus, self.opus.decode(packet.payload, &mut pcm).unwrap_or(0)),
            other => panic!("payload type {other} was never offered"),
        };
        self.codec = Some(codec);
        let ratio = codec.clock() / RATE;
        let ahead = self.next.map_or(0, |next| packet.timestamp.wrapping_sub(next) / ratio);
        if (1..=RATE).contains(&ahead) {
            self.skipped.push((self.pcm.len(), ahead));
        }
        self.next = Some(packet.timestamp.wrapping_add(count as u32 * ratio));
        self.pcm.extend_from_slice(&pcm[..count]);
    }

    fn event(&mut self, packet: &Packet<'_>) {
        let is_new = self.last_digit != Some(packet.timestamp);
        let code = packet.payload.first().copied().map(usize::from);
        if let Some(digit) = code.and_then(|code| b"0123456789*#ABCD".get(code)).filter(|_| is_new) {
            self.last_digit = Some(packet.timestamp);
            self.digits.push(char::from(*digit));
        }
    }
}
