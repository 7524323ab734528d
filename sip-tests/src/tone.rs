//! The media of one member of a call: it sends a tone of its own as real RTP and keeps what it hears.

use crate::browser::{Browser, Manners};
use crate::description::{Description, Format};
use crate::srtp::Srtp;
use bytes::{BufMut, Bytes, BytesMut};
use codecs::opus::{Decoder, Encoder, EncoderParams};
use codecs::spectrum::{Dominant, dominant};
use codecs::{Rate, g711, g722, tone::Sine};
use std::net::SocketAddr;
use std::time::Duration;
use tandem::time::Instant;

/// PCM of the peers.
const RATE: u32 = 8_000;
/// What is kept of a long call: ten seconds of audio and of packets.
const KEEP: usize = RATE as usize * 10;

/// What was seen of one RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpSeen {
    /// When it arrived.
    pub at: Instant,
    /// From where.
    pub from: SocketAddr,
    /// Payload type.
    pub pt: u8,
    /// Marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Payload.
    pub payload: Bytes,
}

enum Coder {
    Ulaw,
    Alaw,
    G722(Box<g722::Encoder>),
    Opus(Box<Encoder>),
}

/// An event that is being sent (RFC 4733).
#[derive(Clone, Debug)]
struct Digit {
    code: u8,
    sent: u16,
    steps: u16,
    began: u32,
}

/// One RTP session of a peer.
pub struct Voice {
    /// Our RTP port.
    pub port: u16,
    /// Where we send.
    pub remote: SocketAddr,
    /// We send.
    pub sends: bool,
    /// The timer runs.
    pub running: bool,
    /// RTP that came, the last ten seconds' worth.
    pub packets: Vec<RtpSeen>,
    /// RTP packets that came in all.
    pub received: usize,
    /// RTP packets that we sent.
    pub sent: usize,
    /// RTCP that came: its datagrams.
    pub reports: Vec<(SocketAddr, Bytes)>,
    /// Digits that came, each once.
    pub digits: String,
    /// Every how many packets one is left out (loss at the source), 0 never.
    pub skip_every: usize,
    /// Packets that were not sealed as was agreed.
    pub forged: usize,
    /// Where it is a browser: its connection.
    pub browser: Option<Browser>,
    srtp: Option<Srtp>,
    heard: Vec<i16>,
    format: Format,
    event: Option<Format>,
    ptime: u8,
    hz: f32,
    sine: Sine,
    coder: Coder,
    decoder: Option<Box<Decoder>>,
    g722: g722::Decoder,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    digit: Option<Digit>,
    dial: Vec<u8>,
    last_event: Option<u32>,
    formats: Vec<Format>,
}

impl Voice {
    /// A session that speaks `format` at `hz`.
    pub fn new(port: u16, remote: &Description, ours: &Description, hz: f32, ssrc: u32) -> Option<Voice> {
        let mut voice = Voice {
            port,
            remote: remote.at,
            sends: false,
            running: false,
            packets: Vec::new(),
            received: 0,
            sent: 0,
            reports: Vec::new(),
            digits: String::new(),
            skip_every: 0,
            forged: 0,
            browser: None,
            srtp: None,
            heard: Vec::new(),
            format: Format::new(255, ""),
            event: None,
            ptime: 20,
            hz,
            sine: Sine::new(hz, -10.0, RATE),
            coder: Coder::Alaw,
            decoder: None,
            g722: g722::Decoder::new(Rate::Narrow),
            ssrc,
            sequence: (ssrc >> 16) as u16,
            timestamp: ssrc.rotate_left(7),
            digit: None,
            dial: Vec::new(),
            last_event: None,
            formats: Vec::new(),
        };
        voice.negotiated(remote, ours).then_some(voice)
    }

    /// Takes over what was agreed; false when there is nothing to speak.
    pub fn negotiated(&mut self, remote: &Description, ours: &Description) -> bool {
        // The first of theirs that we have, too: an answer has only such, an offer may have more.
        let mut common = remote
            .formats
            .iter()
            .filter(|theirs| ours.format(theirs.name.trim_end_matches("/1")).is_some());
        let Some(format) = common.find(|format| !format.is_event() && !format.name.is_empty()) else {
            return false;
        };
        self.remote = remote.at;
        self.sends = remote.at.port() != 0
            && !remote.at.ip().is_unspecified()
            && matches!(remote.direction.as_str(), "sendrecv" | "recvonly")
            && matches!(ours.direction.as_str(), "sendrecv" | "sendonly");
        self.ptime = remote.ptime.or(ours.ptime).unwrap_or(20);
        self.event = remote.formats.iter().find(|format| format.is_event()).cloned();
        self.formats = ours.formats.clone();
        self.srtp = Srtp::agreed(self.srtp.take(), ours, remote);
        if self.format.name != format.name {
            let name = format.name.to_ascii_lowercase();
            self.coder = if name.starts_with("pcmu") {
                Coder::Ulaw
            } else if name.starts_with("pcma") {
                Coder::Alaw
            } else if name.starts_with("g722") {
                Coder::G722(Box::new(g722::Encoder::new(Rate::Narrow)))
            } else {
                let params = EncoderParams {
                    complexity: 0,
                    ..EncoderParams::default()
                };
                Coder::Opus(Box::new(Encoder::new(RATE, params).expect("8 kHz is a rate of Opus")))
            };
        }
        self.format = format.clone();
        true
    }

    /// Connects as a browser does, by both descriptions.
    pub fn browse(&mut self, manners: Manners, ours: &Description, remote: &Description) {
        self.browser = match self.browser.take() {
            Some(browser) => browser.renewed(ours, remote),
            None => Browser::new(manners, ours, remote),
        };
    }

    /// What goes out beside media now.
    pub fn beside(&mut self, now: Instant) -> Vec<Bytes> {
        self.browser
            .as_mut()
            .map(|browser| browser.step(now))
            .unwrap_or_default()
    }

    /// The tone that we send.
    pub fn hz(&self) -> f32 {
        self.hz
    }

    /// True where what is sent and taken is SRTP.
    pub fn is_secure(&self) -> bool {
        self.srtp.is_some() || self.browser.as_ref().is_some_and(Browser::is_keyed)
    }

    /// The encoding that we send: `PCMA/8000`.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The time from one packet to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.ptime))
    }

    /// Sends these digits from the next packet on.
    pub fn dial(&mut self, digits: &str) {
        let code = |digit| "0123456789*#ABCD".find(digit).expect("a test dials digits") as u8;
        self.dial.extend(digits.chars().map(code));
    }

    /// Begins a new stream: other SSRC, sequence and timestamp, as a phone does that was moved.
    pub fn restart(&mut self) {
        self.ssrc = self.ssrc.wrapping_mul(2_654_435_761).wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(20_000);
        self.timestamp = self.timestamp.wrapping_add(1_000_000);
    }

    fn clock(&self) -> u32 {
        if let Coder::Opus(_) = self.coder { 48_000 } else { RATE }
    }

    /// The next packet, to be sent now; `None` when it is skipped or we do not send.
    pub fn next_packet(&mut self) -> Option<Bytes> {
        let step = self.clock() / 1000 * u32::from(self.ptime);
        let pcm_len = (RATE / 1000 * u32::from(self.ptime)) as usize;
        let mut pcm = vec![0i16; pcm_len];
        self.sine.fill(&mut pcm);
        let waits = self.browser.as_ref().is_some_and(|browser| !browser.is_keyed());
        if !self.sends || waits {
            self.timestamp = self.timestamp.wrapping_add(step);
            return None;
        }
        if self.digit.is_none() && self.event.is_some() && !self.dial.is_empty() {
            let code = self.dial.remove(0);
            self.digit = Some(Digit {
                code,
                sent: 0,
                steps: 0,
                began: self.timestamp,
            });
        }
        let packet = match self.digit.take() {
            Some(digit) => self.digit_packet(digit, step as u16),
            None => self.audio_packet(&pcm),
        };
        self.timestamp = self.timestamp.wrapping_add(step);
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        let packet = match (&mut self.browser, &mut self.srtp) {
            (Some(browser), _) => browser.seal(&packet)?,
            (None, Some(srtp)) => srtp.seal(&packet),
            (None, None) => packet,
        };
        let skipped = self.skip_every > 0 && self.sent.is_multiple_of(self.skip_every);
        (!skipped).then_some(packet)
    }

    fn audio_packet(&mut self, pcm: &[i16]) -> Bytes {
        let mut payload = [0u8; 1500];
        let len = match &mut self.coder {
            Coder::Ulaw => g711::encode_ulaw_slice(pcm, &mut payload),
            Coder::Alaw => g711::encode_alaw_slice(pcm, &mut payload),
            Coder::G722(encoder) => encoder.encode(pcm, &mut payload),
            Coder::Opus(encoder) => encoder.encode(pcm, &mut payload).expect("a frame of 10 to 60 ms"),
        };
        self.packet(self.format.pt, self.sent == 0, self.timestamp, &payload[..len])
    }

    /// Five steps of the tone, then the end three times (RFC 4733 2.5.1.4).
    fn digit_packet(&mut self, mut digit: Digit, step: u16) -> Bytes {
        let end = digit.steps >= 5;
        if !end {
            digit.sent += step;
        }
        let [high, low] = digit.sent.to_be_bytes();
        let payload = [digit.code, if end { 0x8a } else { 0x0a }, high, low];
        let pt = self.event.as_ref().map_or(101, |event| event.pt);
        let packet = self.packet(pt, digit.steps == 0, digit.began, &payload);
        digit.steps += 1;
        if digit.steps < 8 {
            self.digit = Some(digit);
        }
        packet
    }

    fn packet(&self, pt: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Bytes {
        write_rtp(pt, marker, self.sequence, timestamp, self.ssrc, payload)
    }

    /// A datagram arrived.
    pub fn receive(&mut self, at: Instant, from: SocketAddr, rtcp: bool, bytes: &[u8]) {
        let rtcp = rtcp || bytes.get(1).is_some_and(|second| (192..=223).contains(second));
        let is_media = bytes.first().is_some_and(|first| *first >= 128);
        let opened = match (&mut self.browser, &mut self.srtp) {
            (Some(browser), _) => match browser.take(at, bytes, rtcp) {
                None if !is_media => return,
                opened => opened,
            },
            (None, Some(srtp)) => srtp.open(bytes, rtcp),
            (None, None) => Some(Bytes::copy_from_slice(bytes)),
        };
        let Some(bytes) = opened else {
            self.forged += 1;
            return;
        };
        if rtcp {
            return self.reports.push((from, bytes));
        }
        let Some(seen) = read_rtp(at, from, &bytes) else { return };
        self.received += 1;
        self.listen(&seen);
        self.packets.push(seen);
        if self.packets.len() > 2000 {
            self.packets.drain(..1000);
        }
        if self.heard.len() > 2 * KEEP {
            self.heard.drain(..KEEP);
        }
    }

    fn listen(&mut self, seen: &RtpSeen) {
        let Some(format) = self.formats.iter().find(|format| format.pt == seen.pt) else {
            return;
        };
        let mut pcm = [0i16; 960];
        let name = format.name.to_ascii_lowercase();
        let len = if format.is_event() {
            return self.hear_digit(seen);
        } else if name.starts_with("pcmu") {
            g711::decode_ulaw_slice(&seen.payload[..seen.payload.len().min(960)], &mut pcm)
        } else if name.starts_with("pcma") {
            g711::decode_alaw_slice(&seen.payload[..seen.payload.len().min(960)], &mut pcm)
        } else if name.starts_with("g722") {
            self.g722.decode(&seen.payload, &mut pcm)
        } else {
            let decoder = self
                .decoder
                .get_or_insert_with(|| Box::new(Decoder::new(RATE).expect("8 kHz is a rate of Opus")));
            decoder.decode(&seen.payload, &mut pcm).unwrap_or(0)
        };
        self.heard.extend_from_slice(&pcm[..len]);
    }

    /// A digit counts at its end; the copies of the end have the same timestamp.
    fn hear_digit(&mut self, seen: &RtpSeen) {
        let ends = seen.payload.get(1).is_some_and(|flags| flags & 0x80 != 0);
        if ends && self.last_event != Some(seen.timestamp) {
            self.last_event = Some(seen.timestamp);
            self.digits
                .extend("0123456789*#ABCD".chars().nth(usize::from(seen.payload[0])));
        }
    }

    /// Forgets what was heard until now.
    pub fn forget(&mut self) {
        self.heard.clear();
        self.packets.clear();
    }

    /// The PCM that was heard since `forget`, at 8 kHz.
    pub fn heard(&self) -> &[i16] {
        &self.heard
    }

    /// The tone that dominates in the last second of what was heard.
    pub fn hears(&self) -> Option<Dominant> {
        let from = self.heard.len().saturating_sub(RATE as usize);
        dominant(&self.heard[from..], RATE)
    }
}

/// An RTP packet with a plain header (RFC 3550 5.1).
pub fn write_rtp(pt: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(12 + payload.len());
    packet.put_u8(0x80);
    packet.put_u8(pt | if marker { 0x80 } else { 0 });
    packet.put_u16(sequence);
    packet.put_u32(timestamp);
    packet.put_u32(ssrc);
    packet.put_slice(payload);
    packet.freeze()
}

fn read_rtp(at: Instant, from: SocketAddr, bytes: &Bytes) -> Option<RtpSeen> {
    let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let first = word(0)?;
    // Version 2; the node sends no padding, extension or contributors of its own.
    if first >> 24 != 0x80 {
        return None;
    }
    Some(RtpSeen {
        at,
        from,
        pt: (first >> 16) as u8 & 0x7f,
        marker: first & 0x80_0000 != 0,
        sequence: first as u16,
        timestamp: word(4)?,
        ssrc: word(8)?,
        payload: bytes.slice(12..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{events, g722, opus, pcma, pcmu};

    #[test]
    fn a_tone_is_heard_as_it_was_sent_in_every_codec_and_digits_once() {
        let from: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        for format in [pcma(), pcmu(), g722(), opus()] {
            let description = Description::new(from, vec![format, events()]);
            let mut speaker = Voice::new(4000, &description, &description, 600.0, 1).unwrap();
            let mut listener = Voice::new(4002, &description, &description, 900.0, 2).unwrap();
            speaker.dial("5#");
            for n in 0..60 {
                let packet = speaker.next_packet().unwrap();
                listener.receive(Instant::from_nanos(n * 20_000_000), from, false, &packet);
            }
            let heard = listener.hears().unwrap();
            assert!(heard.is(600.0, 15.0), "{heard:?}");
            assert_eq!((listener.digits.as_str(), listener.received), ("5#", 60));
        }
    }
}
