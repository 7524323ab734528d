//! One who publishes video, and many who see it. Frames are VP8 by their payload descriptors (RFC 7741) and by where a key frame begins; what is in
//! them says which packet it is and when it left.

use super::browser::Browser;
use super::crowd::{Crowd, Packet};
use super::sdp::{OPUS, VP8};
use crate::media::generator::{OVER, Record, WARM, WINDOW, Work, pace};
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A frame each so many milliseconds, of so many packets with so many octets: with headers, tags and IP 1.0 Mbit/s.
pub const EVERY: u64 = 40;
pub const PARTS: u64 = 4;
const PAYLOAD: usize = 1_200;
/// Packets of a second.
pub const RATE: u64 = 1_000 / EVERY * PARTS;
/// Ticks of RTP's clock in a frame.
const FRAME: u32 = 90 * EVERY as u32;
/// Of the payload: descriptor, the head of a frame, then what a packet says of itself in front of a pattern.
const DESCRIPTOR: usize = 4;
const STAMP: usize = DESCRIPTOR + 10;
const PATTERN: usize = STAMP + 12;
const HEADER: usize = 12;
/// From the start of a run until the delay counts.
const COLD: Duration = Duration::from_millis(500);
/// The publisher's SSRC.
pub const SOURCE: u32 = 0x7d00_0001;

/// The one who publishes.
#[derive(Default)]
struct Camera {
    frames: u32,
    packets: u32,
    wants_key: bool,
    /// Key frames that it was asked for.
    keys: u32,
}

/// One who sees it.
#[derive(Clone, Default)]
struct Viewer {
    payload_type: u8,
    /// The last packet: its number, what RTP's number was ahead of that, and RTP's source.
    last: Option<(u32, u16, u32)>,
    /// Packets of the window.
    seen: u64,
    /// The picture's identifier of the last.
    picture: Option<u16>,
    /// It has seen a key frame once.
    begun: bool,
}

/// All of them; the first publishes.
pub struct Film {
    pub crowd: Crowd,
    camera: Camera,
    viewers: Vec<Viewer>,
    buffer: [u8; HEADER + PAYLOAD],
}

impl Film {
    pub fn new() -> Result<Film, String> {
        Ok(Film {
            crowd: Crowd::new(true)?,
            camera: Camera {
                wants_key: true,
                ..Camera::default()
            },
            viewers: Vec::new(),
            buffer: [0; HEADER + PAYLOAD],
        })
    }

    /// Takes those who have joined, each with the payload type of what it sees.
    pub fn add(&mut self, browsers: Vec<(Browser, u8)>) -> Result<(), String> {
        let mut all = Vec::new();
        for (browser, payload_type) in browsers {
            self.viewers.push(Viewer {
                payload_type,
                ..Viewer::default()
            });
            all.push(browser);
        }
        self.crowd.add(all)
    }

    /// Has them at work until the phase is `OVER`; also tells how many key frames were asked for.
    pub fn run(&mut self, phase: &AtomicU8) -> (Record, u32) {
        for viewer in &mut self.viewers {
            // After a pause it may begin anew.
            (viewer.seen, viewer.last, viewer.picture) = (0, None, None);
        }
        let asked = self.camera.keys;
        let mut run = Run {
            film: self,
            record: Record::default(),
            window: None,
            end: u32::MAX,
        };
        // A turn each millisecond.
        let behind = pace(&mut run, 20, phase);
        let Run {
            mut record,
            window,
            end,
            ..
        } = run;
        record.behind = behind;
        if let Some(window) = window {
            let wanted = u64::from(end.min(self.camera.packets) - window);
            let viewers = &self.viewers[1..];
            record.lost = viewers.iter().map(|viewer| wanted.saturating_sub(viewer.seen)).sum();
            // Who never got a key frame has seen nothing.
            record.wrong += viewers.iter().filter(|viewer| !viewer.begun).count() as u64;
        }
        (record, self.camera.keys - asked)
    }
}

struct Run<'f> {
    film: &'f mut Film,
    record: Record,
    /// The first packet of the window, and the first behind it.
    window: Option<u32>,
    end: u32,
}

impl Work for Run<'_> {
    fn send(&mut self, number: u64, phase: u8) {
        if !number.is_multiple_of(EVERY) {
            return;
        }
        let Film {
            crowd, camera, buffer, ..
        } = &mut *self.film;
        if phase == WINDOW && self.window.is_none() {
            self.window = Some(camera.packets);
        }
        let is_key = std::mem::take(&mut camera.wants_key);
        for part in 0..PARTS {
            camera.write(buffer, part, is_key);
            if crowd.browsers[0].send(buffer) {
                self.record.sent[0] += 1;
                self.record.sent[1] += u64::from(phase == WINDOW);
            }
            camera.packets += 1;
        }
        camera.frames += 1;
    }

    fn receive(&mut self, phase: u8, begin: Instant) {
        let Film {
            crowd, camera, viewers, ..
        } = &mut *self.film;
        if phase == OVER && self.end == u32::MAX {
            self.end = camera.packets;
        }
        let (record, window) = (&mut self.record, self.window);
        let forged = crowd.receive(|_, packet| {
            if packet.is_report {
                camera.asked(&packet);
                return;
            }
            if packet.octets.get(1).is_some_and(|octet| octet & 0x7f == OPUS) && viewers[packet.to].payload_type == VP8
            {
                record.octets += 1;
                return;
            }
            let Some((number, left)) = viewers[packet.to].see(&packet.octets) else {
                record.wrong += 1;
                return;
            };
            record.received[0] += 1;
            if window.is_some_and(|window| number >= window) {
                record.received[1] += 1;
                viewers[packet.to].seen += 1;
                record.delay[1].note(packet.at.saturating_sub(left));
            } else if phase == WARM && begin.elapsed() > COLD {
                record.delay[0].note(packet.at.saturating_sub(left));
            }
        });
        self.record.wrong += forged;
        self.film.crowd.serve();
    }
}

impl Camera {
    fn write(&self, packet: &mut [u8; HEADER + PAYLOAD], part: u64, is_key: bool) {
        let marker = if part + 1 == PARTS { 0x80 } else { 0 };
        let timestamp = self.frames.wrapping_mul(FRAME);
        packet[0] = 0x80;
        packet[1] = VP8 | marker;
        packet[2..4].copy_from_slice(&(self.packets as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..HEADER].copy_from_slice(&SOURCE.to_be_bytes());
        let payload = &mut packet[HEADER..];
        let [high, low] = (0x8000 | (self.frames as u16 & 0x7fff)).to_be_bytes();
        // An extended descriptor with a picture identifier of 15 bits.
        let start = if part == 0 { 0x10 } else { 0 };
        payload[..DESCRIPTOR].copy_from_slice(&[0x80 | start, 0x80, high, low]);
        // The tag of a frame, and of a key frame its start code and 640 x 360 (RFC 6386 9.1).
        let inter = u8::from(!is_key);
        payload[DESCRIPTOR..STAMP].copy_from_slice(&[0x10 | inter, 2, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        let left = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        payload[STAMP..STAMP + 8].copy_from_slice(&(left.as_nanos() as u64).to_be_bytes());
        payload[STAMP + 8..PATTERN].copy_from_slice(&self.packets.to_be_bytes());
        payload[PATTERN..].copy_from_slice(pattern(self.packets));
    }

    /// What the program asks for: a key frame by PLI or FIR, or a packet once more, which none should have to.
    fn asked(&mut self, packet: &Packet) {
        let mut rest = &packet.octets[..];
        while let [head, kind, high, low, ..] = *rest {
            let length = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
            if kind == 206 && matches!(head & 0x1f, 1 | 4) {
                self.wants_key = true;
                self.keys += 1;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

impl Viewer {
    /// Judges a packet: which it was, and when it left, since 1970. It must be whole, the next one, and numbered as such.
    fn see(&mut self, packet: &[u8]) -> Option<(u32, Duration)> {
        let (head, payload) = packet.split_at_checked(HEADER)?;
        if head[0] != 0x80 || head[1] & 0x7f != self.payload_type || payload.len() != PAYLOAD {
            return None;
        }
        let word =
            |octets: &[u8], at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        let (sequence, source) = (word(head, 0) as u16, word(head, 8));
        let left = u64::from(word(payload, STAMP)) << 32 | u64::from(word(payload, STAMP + 4));
        let number = word(payload, STAMP + 8);
        let ahead = sequence.wrapping_sub(number as u16);
        let picture = word(payload, 0) as u16 & 0x7fff;
        let is_whole = payload[PATTERN..] == *pattern(number);
        self.begun |= payload[0] & 0x10 != 0 && payload[DESCRIPTOR] & 1 == 0;
        let before = self.last.replace((number, ahead, source));
        let pictures = self.picture.replace(picture);
        let Some((last, was_ahead, was)) = before else {
            return is_whole.then_some((number, Duration::from_nanos(left)));
        };
        let frames = (number / PARTS as u32).wrapping_sub(last / PARTS as u32) as u16;
        let counts = pictures.is_none_or(|before| picture.wrapping_sub(before) & 0x7fff == frames & 0x7fff);
        let is_next = last < number && was_ahead == ahead && was == source && counts;
        (is_whole && is_next).then_some((number, Duration::from_nanos(left)))
    }
}

/// Octets that tell packets apart.
fn pattern(number: u32) -> &'static [u8] {
    const OCTETS: [u8; 2_048] = {
        let (mut octets, mut at) = ([0; 2_048], 0);
        while at < octets.len() {
            octets[at] = (at * 7 + at / 256 * 31) as u8;
            at += 1;
        }
        octets
    };
    static ALL: [u8; 2_048] = OCTETS;
    let from = (number % 509) as usize;
    &ALL[from..from + PAYLOAD - PATTERN]
}
