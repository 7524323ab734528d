//! Both sides of all calls: sends a packet of each end every 20 ms, evenly spread over them, and judges what comes back.

use super::content::Material;
use super::sdp::{Called, End};
use super::stream::{Heard, PACKET, Stream};
use crate::peer::Hosts;
use nix::libc;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt};
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Media goes to this port of each side, RTCP to the next.
pub const PORT: u16 = 40_000;
/// Room in the system for what comes: more than the highest rate brings in 20 ms.
const ROOM: usize = 16 << 20;
/// The time of a frame.
const FRAME: Duration = Duration::from_millis(20);
/// Packets sent before what has come is looked at.
const TURN: u64 = 32;
/// Packets taken before it is sent again.
const TAKEN: usize = 64;
/// How long what is under way may take at the end.
const REST: Duration = Duration::from_millis(300);
/// From the start of a run until the delay counts: first packets meet cold caches.
const COLD: Duration = Duration::from_millis(500);
/// How far the level of what is heard may be from that of what was said, in dB: rtpengine's Opus is 4 dB lower.
const LEVEL_DB: f64 = 5.0;
/// Frames of an end that may be in buffers at the ends of the window.
const BUFFERED: u64 = 3;

/// Phases of a run: it warms up, figures count, no more is sent.
pub const WARM: u8 = 0;
pub const WINDOW: u8 = 1;
pub const OVER: u8 = 2;

/// How long packets were under way, by microseconds.
#[derive(Clone)]
pub struct Delay {
    each: Vec<u32>,
    pub most: Duration,
}

impl Default for Delay {
    fn default() -> Self {
        Delay {
            each: vec![0; 100_000],
            most: Duration::ZERO,
        }
    }
}

impl Delay {
    /// One more packet.
    pub fn note(&mut self, delay: Duration) {
        let at = (delay.as_micros() as usize).min(self.each.len() - 1);
        self.each[at] += 1;
        self.most = self.most.max(delay);
    }

    /// The delay in microseconds that this part of all packets does not exceed.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let all: u64 = self.each.iter().map(|count| u64::from(*count)).sum();
        let mut left = (all as f64 * part) as u64;
        let at = self
            .each
            .iter()
            .position(|count| match left.checked_sub(u64::from(*count)) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            });
        at.map(|at| at as f64)
    }
}

/// What came of a run.
#[derive(Clone, Default)]
pub struct Record {
    /// In the whole of it, and in the window.
    pub sent: [u64; 2],
    pub received: [u64; 2],
    /// Packets that were not as they should be; ends whose level was not.
    pub wrong: u64,
    /// While it warmed up, and in the window.
    pub delay: [Delay; 2],
    /// Packets that did not come.
    pub lost: u64,
    /// How far the generator itself was behind at most, in packets.
    pub behind: u64,
    /// What is farthest from the level that it should have on each side, in dB.
    pub level: [f64; 2],
    /// What came in the window on the called side, in octets with their headers.
    pub octets: u64,
}

struct Side {
    socket: UdpSocket,
    /// Nobody reads what comes here, but somebody is there.
    _rtcp: UdpSocket,
    /// The calls' ends on this side, by the peer's port for each.
    by_port: Vec<u16>,
    streams: Vec<Stream>,
}

/// Both sides.
pub struct Generator {
    sides: [Side; 2],
    material: Material,
    called: Called,
    buffer: [u8; PACKET],
    control: Vec<u8>,
}

/// Where both sides are.
pub fn places(hosts: Hosts) -> [SocketAddrV4; 2] {
    [hosts.uac, hosts.uas].map(|host| SocketAddrV4::new(host, PORT))
}

impl Generator {
    pub fn new(hosts: Hosts, called: Called) -> Result<Generator, String> {
        let told = |error: std::io::Error| format!("a socket for media: {error}");
        Ok(Generator {
            sides: [side(hosts.uac).map_err(told)?, side(hosts.uas).map_err(told)?],
            material: Material::new(),
            called,
            buffer: [0; PACKET],
            control: control(),
        })
    }

    /// Takes calls that are set up.
    pub fn add(&mut self, calls: Vec<[End; 2]>) {
        for call in calls {
            for (at, (side, end)) in self.sides.iter_mut().zip(call).enumerate() {
                let number = side.streams.len();
                side.by_port[usize::from(end.to.port())] = u16::try_from(number).expect("few calls");
                side.streams.push(Stream::new(end, self.called, number, at));
            }
        }
    }

    pub fn calls(&self) -> usize {
        self.sides[0].streams.len()
    }

    /// Runs the first so many calls until the phase is `OVER`.
    pub fn run(&mut self, calls: usize, phase: &AtomicU8) -> Record {
        self.sides
            .iter_mut()
            .flat_map(|side| &mut side.streams)
            .for_each(|stream| stream.energy = [0.0; 2]);
        let mut run = Run {
            generator: self,
            calls,
            record: Record::default(),
        };
        let behind = pace(&mut run, calls as u64 * 2, phase);
        let Run { mut record, .. } = run;
        record.behind = behind;
        self.judge(calls, &mut record);
        record
    }

    /// What is known only at the end: what did not come, and how loud it was.
    fn judge(&self, calls: usize, record: &mut Record) {
        if !self.called.is_opus() {
            record.lost = record.sent[0].saturating_sub(record.received[0]);
            return;
        }
        let buffered = calls as u64 * 2 * BUFFERED;
        record.lost = record.sent[1].saturating_sub(record.received[1] + buffered);
        let energy = |side: usize, call: usize| self.sides[side].streams[call].energy;
        for (call, side) in (0..calls).flat_map(|call| [(call, 0), (call, 1)]) {
            level_of(record, side, energy(1 - side, call)[0], energy(side, call)[1]);
        }
    }
}

/// Notes how loud an end on this side heard what was said, by the energy of both.
pub fn level_of(record: &mut Record, side: usize, said: f64, heard: f64) {
    let db = 10.0 * (heard / said).log10();
    record.wrong += u64::from(db.is_nan() || db.abs() > LEVEL_DB);
    if db.abs() > record.level[side].abs() {
        record.level[side] = db;
    }
}

/// Calls at work.
struct Run<'g> {
    generator: &'g mut Generator,
    calls: usize,
    record: Record,
}

impl Work for Run<'_> {
    fn send(&mut self, number: u64, phase: u8) {
        let Generator {
            sides,
            material,
            buffer,
            ..
        } = &mut *self.generator;
        // The two ends of a call are not in step.
        let (calls, side) = (self.calls, (number % 2) as usize);
        let call = (number / 2) as usize % calls;
        let Side { socket, streams, .. } = &mut sides[side];
        let stream = &mut streams[(call + side * calls / 2) % calls];
        let (length, energy) = stream.next(since_1970(), material, buffer);
        if socket.send_to(&buffer[..length], stream.end.to).is_ok() {
            self.record.sent[0] += 1;
            if phase == WINDOW {
                self.record.sent[1] += 1;
                stream.energy[0] += energy;
            }
        }
    }

    fn receive(&mut self, phase: u8, begin: Instant) {
        let (generator, record) = (&mut *self.generator, &mut self.record);
        for (place, side) in generator.sides.iter_mut().enumerate() {
            for _ in 0..TAKEN {
                let Some(Came { from, length, at }) = take(&side.socket, &mut generator.buffer, &mut generator.control)
                else {
                    break;
                };
                let stream = side.streams.get_mut(usize::from(side.by_port[usize::from(from)]));
                match stream.and_then(|stream| Some((stream.hear(&generator.buffer[..length])?, stream))) {
                    None => record.wrong += 1,
                    Some((heard, stream)) => {
                        record.received[0] += 1;
                        let is_window = phase == WINDOW;
                        record.received[1] += u64::from(is_window);
                        record.octets += if is_window && place == 1 { length as u64 } else { 0 };
                        match heard {
                            Heard::Sound(energy) if is_window => stream.energy[1] += energy,
                            Heard::Stamp(left) if phase != OVER && begin.elapsed() > COLD => {
                                let delay = at.saturating_sub(Duration::from_nanos(left));
                                record.delay[usize::from(phase)].note(delay);
                            }
                            Heard::Sound(_) | Heard::Stamp(_) => {}
                        }
                    }
                }
            }
        }
    }
}

/// Who sends packets in turn, and takes what comes.
pub trait Work {
    /// Sends the packet with this number, from 0.
    fn send(&mut self, number: u64, phase: u8);
    /// Takes some of what has come.
    fn receive(&mut self, phase: u8, begin: Instant);
}

/// Has so many packets sent in each 20 ms, evenly spread, until the phase is `OVER`, and what comes taken a moment longer. How far it was behind at
/// most, in packets.
pub fn pace(work: &mut impl Work, packets: u64, phase: &AtomicU8) -> u64 {
    be_punctual();
    let apart = FRAME / u32::try_from(packets).expect("few packets");
    let (begin, mut next, mut behind) = (Instant::now(), 0u64, 0);
    loop {
        let now = phase.load(Ordering::Acquire);
        if now == OVER {
            break;
        }
        let due = (begin.elapsed().as_nanos() / apart.as_nanos()) as u64;
        behind = behind.max(due.saturating_sub(next));
        for _ in 0..TURN {
            if next > due {
                break;
            }
            work.send(next, now);
            next += 1;
        }
        work.receive(now, begin);
        let wait = (apart.as_nanos() as u64 * next).saturating_sub(begin.elapsed().as_nanos() as u64);
        if wait > 2_000 {
            std::thread::sleep(Duration::from_nanos(wait));
        }
    }
    let end = Instant::now();
    while end.elapsed() < REST {
        std::thread::sleep(Duration::from_millis(1));
        work.receive(OVER, begin);
    }
    behind
}

/// A packet that has come: from which port, how long it is, and when the system had it, since 1970.
pub struct Came {
    pub from: u16,
    pub length: usize,
    pub at: Duration,
}

/// Room for the times of packets.
pub fn control() -> Vec<u8> {
    nix::cmsg_space!(libc::timespec)
}

/// Takes a packet, if there is one.
pub fn take(socket: &UdpSocket, buffer: &mut [u8], control: &mut Vec<u8>) -> Option<Came> {
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(control), flags).ok()?;
    let came = message.cmsgs().find_map(|part| match part {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    });
    Some(Came {
        from: message.address.map_or(0, |from| from.port()),
        length: message.bytes,
        at: came.unwrap_or_default(),
    })
}

/// Sockets for RTP and RTCP.
pub fn open(host: Ipv4Addr) -> std::io::Result<[UdpSocket; 2]> {
    let socket = UdpSocket::bind((host, PORT))?;
    // Who is not root has what the system grants (net.core.rmem_max); if that is too little, the loop loses packets too.
    if setsockopt(socket.as_raw_fd(), RcvBufForce, &ROOM).is_err() {
        socket2::SockRef::from(&socket).set_recv_buffer_size(ROOM)?;
    }
    setsockopt(socket.as_raw_fd(), ReceiveTimestampns, &true)?;
    Ok([socket, UdpSocket::bind((host, PORT + 1))?])
}

fn side(host: Ipv4Addr) -> std::io::Result<Side> {
    let [socket, rtcp] = open(host)?;
    Ok(Side {
        socket,
        _rtcp: rtcp,
        by_port: vec![u16::MAX; 1 << 16],
        streams: Vec::new(),
    })
}

/// Nanoseconds.
pub fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_nanos() as u64
}

/// This thread wakes when it asked for, not up to 50 us later as is usual (prctl(2), PR_SET_TIMERSLACK).
fn be_punctual() {
    let own = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let thread = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Else packets leave in small groups.
    let _ = std::fs::write(format!("/proc/{thread}/timerslack_ns"), "1");
}
