//! Calls between browsers and a carrier: Opus in SRTP here, A-law in the clear there. Speech both ways, judged by its level as in `media`.

use super::browser::Browser;
use super::crowd::Crowd;
use crate::media::content::Material;
use crate::media::generator::{self, Came, Record, WINDOW, Work, control, level_of, pace, since_1970, take};
use crate::media::sdp::{Called, End};
use crate::media::stream::{Heard, PACKET, Stream};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::AtomicU8;
use std::time::Instant;

/// Packets of the carrier's side taken in one turn.
const TURN: usize = 64;
/// Frames of an end that may be in buffers at the ends of the window.
const BUFFERED: u64 = 3;
/// The sides of `streams`.
const CARRIER: usize = 0;
const BROWSERS: usize = 1;

/// Both sides.
pub struct Calls {
    pub crowd: Crowd,
    carrier: UdpSocket,
    /// Nobody reads what comes here, but somebody is there.
    _rtcp: UdpSocket,
    /// The calls, by the program's port for each on the carrier's side.
    by_port: Vec<u16>,
    streams: [Vec<Stream>; 2],
    material: Material,
    buffer: [u8; PACKET],
    control: Vec<u8>,
}

impl Calls {
    /// With the carrier's media on this host.
    pub fn new(host: Ipv4Addr) -> Result<Calls, String> {
        let opened = generator::open(host).map_err(|error| format!("a socket for media: {error}"));
        let [carrier, rtcp] = opened?;
        Ok(Calls {
            // What a browser reports decides whether there is forward error correction.
            crowd: Crowd::new(false)?,
            carrier,
            _rtcp: rtcp,
            by_port: vec![u16::MAX; 1 << 16],
            streams: [Vec::new(), Vec::new()],
            material: Material::new(),
            buffer: [0; PACKET],
            control: control(),
        })
    }

    /// Takes calls that are up: each browser with the carrier's end.
    pub fn add(&mut self, calls: Vec<(Browser, u8, End)>) -> Result<(), String> {
        let mut browsers = Vec::new();
        for (browser, payload_type, end) in calls {
            let call = self.streams[CARRIER].len();
            self.by_port[usize::from(end.to.port())] = u16::try_from(call).expect("few calls");
            self.streams[CARRIER].push(Stream::new(end, Called::Opus, call, CARRIER));
            let mut own = End::plain(browser.place());
            own.payload_type = payload_type;
            self.streams[BROWSERS].push(Stream::new(own, Called::Opus, call, BROWSERS));
            browsers.push(browser);
        }
        self.crowd.add(browsers)
    }

    /// Has all calls at work until the phase is `OVER`.
    pub fn run(&mut self, phase: &AtomicU8) -> Record {
        self.streams
            .iter_mut()
            .flatten()
            .for_each(|stream| stream.energy = [0.0; 2]);
        let packets = self.streams[CARRIER].len() as u64 * 2;
        let mut run = Run {
            calls: self,
            record: Record::default(),
        };
        let behind = pace(&mut run, packets, phase);
        let mut record = run.record;
        record.behind = behind;
        record.lost = record.sent[1].saturating_sub(record.received[1] + packets * BUFFERED);
        for call in 0..self.streams[CARRIER].len() {
            for side in [CARRIER, BROWSERS] {
                let energy = |side: usize| self.streams[side][call].energy;
                level_of(&mut record, side, energy(1 - side)[0], energy(side)[1]);
            }
        }
        record
    }
}

struct Run<'c> {
    calls: &'c mut Calls,
    record: Record,
}

impl Work for Run<'_> {
    fn send(&mut self, number: u64, phase: u8) {
        let Calls {
            crowd,
            carrier,
            streams,
            material,
            buffer,
            ..
        } = &mut *self.calls;
        // The two ends of a call are not in step.
        let (calls, side) = (streams[CARRIER].len(), (number % 2) as usize);
        let call = ((number / 2) as usize + side * calls / 2) % calls;
        let stream = &mut streams[side][call];
        let (length, energy) = stream.next(since_1970(), material, buffer);
        let sent = match side {
            CARRIER => carrier.send_to(&buffer[..length], stream.end.to).is_ok(),
            _ => crowd.browsers[call].send(&buffer[..length]),
        };
        if sent {
            self.record.sent[0] += 1;
            if phase == WINDOW {
                self.record.sent[1] += 1;
                stream.energy[0] += energy;
            }
        }
    }

    fn receive(&mut self, phase: u8, _begin: Instant) {
        let Calls {
            crowd,
            carrier,
            by_port,
            streams: [theirs, ours],
            buffer,
            control,
            ..
        } = &mut *self.calls;
        let record = &mut self.record;
        for _ in 0..TURN {
            let Some(Came { from, length, .. }) = take(carrier, buffer, control) else {
                break;
            };
            let stream = theirs.get_mut(usize::from(by_port[usize::from(from)]));
            heard(record, phase, stream, &buffer[..length]);
        }
        let forged = crowd.receive(|_, packet| {
            if !packet.is_report {
                heard(record, phase, ours.get_mut(packet.to), &packet.octets);
            }
        });
        record.wrong += forged;
        crowd.serve();
    }
}

fn heard(record: &mut Record, phase: u8, stream: Option<&mut Stream>, packet: &[u8]) {
    let heard = stream.and_then(|stream| Some((stream.hear(packet)?, stream)));
    let Some((Heard::Sound(energy), stream)) = heard else {
        record.wrong += 1;
        return;
    };
    record.received[0] += 1;
    if phase == WINDOW {
        record.received[1] += 1;
        stream.energy[1] += energy;
    }
}
