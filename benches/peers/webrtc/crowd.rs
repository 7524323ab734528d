//! Many browsers at work: what comes to any of them, and what each sends beside media.

use super::browser::{Browser, Came, DATAGRAM, set_up};
use crate::media::generator::{control, take};
use bytes::BytesMut;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Sockets looked at in one turn, and packets of each.
const READY: usize = 64;
const TURN: usize = 16;
/// Each browser reports so often (RFC 4585 3.4), and asks for consent with each fifth report (RFC 7675 5.1).
const REPORT: Duration = Duration::from_secs(1);
const CONSENT: u64 = 5;

/// Something of the peer that came to a browser, opened, and when the system had it, since 1970.
pub struct Packet {
    pub to: usize,
    pub at: Duration,
    pub octets: BytesMut,
    pub is_report: bool,
}

/// What a browser tells of what it hears.
#[derive(Clone, Copy, Default)]
struct Heard {
    source: u32,
    sequence: u16,
}

/// All of them.
pub struct Crowd {
    pub browsers: Vec<Browser>,
    heard: Vec<Heard>,
    /// They report what they hear.
    reports: bool,
    begin: Instant,
    turn: u64,
    epoll: OwnedFd,
    buffer: [u8; DATAGRAM],
    control: Vec<u8>,
}

impl Crowd {
    pub fn new(reports: bool) -> Result<Crowd, String> {
        Ok(Crowd {
            browsers: Vec::new(),
            heard: Vec::new(),
            reports,
            begin: Instant::now(),
            turn: 0,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?,
            buffer: [0; DATAGRAM],
            control: control(),
        })
    }

    /// Takes browsers whose peers have described themselves, once they have keys.
    pub fn add(&mut self, mut browsers: Vec<Browser>) -> Result<(), String> {
        set_up(&mut browsers)?;
        for browser in browsers {
            let data = epoll::EventData::new_u64(self.browsers.len() as u64);
            epoll::add(&self.epoll, &browser.socket, data, epoll::EventFlags::IN).map_err(|error| error.to_string())?;
            self.browsers.push(browser);
            self.heard.push(Heard::default());
        }
        Ok(())
    }

    /// The profiles by which their media is sealed; all have the same.
    pub fn profile(&self) -> String {
        let mut profiles: Vec<String> = self
            .browsers
            .iter()
            .filter_map(|browser| browser.profile.map(|profile| profile.to_string()))
            .collect();
        profiles.sort();
        profiles.dedup();
        profiles.join(" and ")
    }

    /// Takes some of what has come, and gives `each` what is media or a report. How many datagrams were nobody's.
    pub fn receive(&mut self, mut each: impl FnMut(&mut Browser, Packet)) -> u64 {
        let (mut events, mut forged) = (Vec::with_capacity(READY), 0);
        let room = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.epoll, room, Some(&Timespec::default())).is_err() {
            return 0;
        }
        for event in &events {
            let to = event.data.u64() as usize;
            let browser = &mut self.browsers[to];
            for _ in 0..TURN {
                let Some(came) = take(&browser.socket, &mut self.buffer, &mut self.control) else {
                    break;
                };
                let at = came.at;
                let (octets, is_report) = match browser.take(&self.buffer[..came.length]) {
                    Came::Media(octets) => (octets, false),
                    Came::Report(octets) => (octets, true),
                    Came::Control => continue,
                    Came::Forged => {
                        forged += 1;
                        continue;
                    }
                };
                if let (false, Some(head)) = (is_report, octets.first_chunk::<12>()) {
                    self.heard[to] = Heard {
                        source: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
                        sequence: u16::from_be_bytes([head[2], head[3]]),
                    };
                }
                let packet = Packet {
                    to,
                    at,
                    octets,
                    is_report,
                };
                each(browser, packet);
            }
        }
        forged
    }

    /// Has those send a report and a check whose time it is.
    pub fn serve(&mut self) {
        let all = self.browsers.len() as u64;
        let due = (self.begin.elapsed().as_nanos() * u128::from(all) / REPORT.as_nanos()) as u64;
        // After a pause each once.
        self.turn = self.turn.max(due.saturating_sub(all));
        while self.turn < due {
            let at = (self.turn % all) as usize;
            let (browser, heard) = (&mut self.browsers[at], self.heard[at]);
            if (self.turn / all + at as u64).is_multiple_of(CONSENT) {
                browser.check();
            }
            if self.reports && heard.source != 0 {
                // Nothing is lost (RFC 3550 6.4.2).
                let words = [
                    0x81c9_0007,
                    0x7c00_0000 | at as u32,
                    heard.source,
                    0,
                    u32::from(heard.sequence),
                    0,
                    0,
                    0,
                ];
                browser.report(&words.map(u32::to_be_bytes).concat());
            }
            self.turn += 1;
        }
    }
}
