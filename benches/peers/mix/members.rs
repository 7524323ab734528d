//! All members of all rooms, behind one socket: who sends to it is told by the program's port. Each sends a packet every 20 ms, as telephones
//! do, also while it says nothing, and judges what it hears.

use super::scene::Spec;
use super::voice::{Material, TAKEN, is_heard};
use crate::media::generator::{self, Came, Delay, OVER, WINDOW, Work, pace, take};
use crate::media::sdp::End;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant};

/// Octets of a header without extensions, and of the longest packet.
const HEADER: usize = 12;
const PACKET: usize = 2_048;
/// Packets taken before it is sent again.
const TURN: usize = 64;
const FRAME: Duration = Duration::from_millis(20);
/// A packet that is later than its time is late; and so much behind the one before, there was a gap.
const LATE: Duration = Duration::from_millis(5);
const GAP: Duration = Duration::from_millis(25);
/// Packets of a window among which those begin that are judged: not of all members at once.
const SPREAD: u32 = 80;
/// Packets between two reports of who loses some.
const REPORT: u32 = 50;
/// What it reports, in 1/256: 10 %.
const LOST: u8 = 26;

/// What came of a run.
#[derive(Clone, Default)]
pub struct Record {
    /// In the window.
    pub sent: u64,
    pub received: u64,
    /// Packets of the window that did not come.
    pub lost: u64,
    /// Packets that were not as they should be.
    pub wrong: u64,
    /// Members who did not hear what they should, and how loud each tone was to them, in dBm0.
    pub deceived: Vec<(u32, Option<[f32; 3]>)>,
    /// See `figures::Load`.
    pub late: u64,
    pub gaps: u64,
    /// How late packets were.
    pub delay: Delay,
    /// How far the generator itself was behind at most, in packets.
    pub behind: u64,
}

/// One of them.
pub struct Member {
    end: End,
    /// Which tone it says, and which it is to hear.
    says: Option<usize>,
    hears: Vec<usize>,
    is_lossy: bool,
    number: u32,
    sent: u32,
    heard: Heard,
}

/// What a member has heard in a run.
#[derive(Default)]
struct Heard {
    last: Option<Last>,
    /// Of each packet of the window, when it came, less 20 ms for each number, in nanoseconds.
    came: Vec<i64>,
    taken: Vec<Vec<u8>>,
}

/// Its last packet.
#[derive(Clone, Copy)]
struct Last {
    source: u32,
    sequence: u16,
    timestamp: u32,
    /// Counted from the first.
    number: i64,
    at: Duration,
}

/// All of them.
pub struct Members {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    host: Ipv4Addr,
    spec: Spec,
    /// By the program's port for each.
    by_port: Vec<u16>,
    members: Vec<Member>,
    material: Material,
    buffer: [u8; PACKET],
    control: Vec<u8>,
}

impl Members {
    pub fn new(host: Ipv4Addr, spec: Spec) -> Result<Members, String> {
        let opened = generator::open(host).map_err(|error| format!("a socket for media: {error}"));
        let [rtp, rtcp] = opened?;
        rtcp.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Members {
            rtp,
            rtcp,
            host,
            spec,
            by_port: vec![u16::MAX; 1 << 16],
            members: Vec::new(),
            material: Material::new(spec.offered),
            buffer: [0; PACKET],
            control: generator::control(),
        })
    }

    /// Where they are.
    pub fn place(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host, generator::PORT)
    }

    /// Takes those who have joined.
    pub fn add(&mut self, ends: Vec<End>) {
        for end in ends {
            let at = self.members.len();
            self.by_port[usize::from(end.to.port())] = u16::try_from(at).expect("few members");
            self.members.push(Member::new(at, end, &self.spec));
        }
    }

    /// Has all who have joined send until the phase is `OVER`.
    pub fn run(&mut self, phase: &AtomicU8) -> Record {
        self.members.iter_mut().for_each(Member::forget);
        let packets = self.members.len() as u64;
        let mut run = Run {
            members: self,
            record: Record::default(),
        };
        let behind = pace(&mut run, packets, phase);
        let Run { mut record, .. } = run;
        record.behind = behind;
        judge(&self.members, &self.material, &mut record);
        record
    }
}

/// What is known only at the end.
pub fn judge(members: &[Member], material: &Material, record: &mut Record) {
    let late = members.iter().map(|member| member.heard.late(&mut record.delay));
    record.late = late.max().unwrap_or(0);
    for member in members {
        let levels = material.levels(&member.heard.taken);
        if !levels.is_some_and(|levels| is_heard(levels, &member.hears)) {
            record.deceived.push((member.number, levels));
        }
    }
}

/// Members at work.
struct Run<'m> {
    members: &'m mut Members,
    record: Record,
}

impl Work for Run<'_> {
    fn send(&mut self, number: u64, phase: u8) {
        let Members {
            rtp,
            rtcp,
            members,
            material,
            buffer,
            ..
        } = &mut *self.members;
        let at = (number % members.len() as u64) as usize;
        let member = &mut members[at];
        let length = member.next(material, buffer);
        if rtp.send_to(&buffer[..length], member.end.to).is_ok() {
            self.record.sent += u64::from(phase == WINDOW);
        }
        if let Some(report) = member.report() {
            let to = SocketAddrV4::new(*member.end.to.ip(), member.end.to.port() + 1);
            // A report that is lost is followed by the next.
            let _ = rtcp.send_to(&report, to);
        }
    }

    fn receive(&mut self, phase: u8, _begin: Instant) {
        let (all, record) = (&mut *self.members, &mut self.record);
        for _ in 0..TURN {
            let Some(Came { from, length, at }) = take(&all.rtp, &mut all.buffer, &mut all.control) else {
                break;
            };
            let member = all.members.get_mut(usize::from(all.by_port[usize::from(from)]));
            let heard = member.and_then(|member| {
                let ticks = all.material.ticks();
                member.hear(
                    &all.buffer[..length],
                    at,
                    ticks,
                    (phase == WINDOW).then_some(&mut *record),
                )
            });
            record.wrong += u64::from(heard.is_none() && phase != OVER);
        }
        // What the program reports is read by nobody.
        while all.rtcp.recv(&mut all.buffer).is_ok() {}
    }
}

/// The SSRC of a member by its number.
pub fn source(number: usize) -> u32 {
    0x7b00_0000 | number as u32
}

impl Member {
    /// With its number among all.
    pub fn new(number: usize, end: End, spec: &Spec) -> Member {
        Member {
            end,
            says: spec.says(number),
            hears: spec.hears(number),
            is_lossy: spec.lossy && number + 1 == spec.all(),
            number: u32::try_from(number).expect("few members"),
            sent: 0,
            heard: Heard::default(),
        }
    }

    /// A new run begins.
    pub fn forget(&mut self) {
        self.heard = Heard::default();
    }

    /// Writes the next packet; gives its length.
    pub fn next(&mut self, material: &Material, packet: &mut [u8; PACKET]) -> usize {
        let number = self.sent;
        self.sent += 1;
        let voice = self.says.map_or(&material.noise, |tone| &material.tones[tone]);
        // Lines do not hiss in step.
        let payload = voice.frame((number + self.number * 7) as usize);
        packet[0] = 0x80;
        packet[1] = self.end.payload_type | if number == 0 { 0x80 } else { 0 };
        packet[2..4].copy_from_slice(&(number as u16).wrapping_add(self.number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&number.wrapping_mul(material.ticks()).to_be_bytes());
        packet[8..HEADER].copy_from_slice(&source(self.number as usize).to_be_bytes());
        packet[HEADER..HEADER + payload.len()].copy_from_slice(payload);
        HEADER + payload.len()
    }

    /// A report of loss, when it is time for one: a receiver report and a name (RFC 3550 6.4.2, 6.5).
    fn report(&self) -> Option<Vec<u8>> {
        let last = self.heard.last?;
        if !self.is_lossy || !self.sent.is_multiple_of(REPORT) {
            return None;
        }
        let lost = (u32::from(LOST) << 24) | (self.sent / 10);
        let block = [last.source, lost, u32::from(last.sequence), 0, 0, 0];
        let name = [0x81ca_0002, source(self.number as usize), 0x0101_6d00];
        let words = [0x81c9_0007, source(self.number as usize)]
            .into_iter()
            .chain(block)
            .chain(name);
        Some(words.flat_map(u32::to_be_bytes).collect())
    }

    /// Judges a packet, for the record while the window lasts; none where it is not as it should be.
    pub fn hear(&mut self, packet: &[u8], at: Duration, ticks: u32, record: Option<&mut Record>) -> Option<()> {
        let (head, payload) = packet.split_at_checked(HEADER)?;
        if head[0] != 0x80 || head[1] & 0x7f != self.end.payload_type {
            return None;
        }
        let word = |from: usize| u32::from_be_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let (source, sequence, timestamp) = (word(8), word(0) as u16, word(4));
        let before = self.heard.last;
        let ahead = before.map_or(1, |last| i64::from(sequence.wrapping_sub(last.sequence) as i16));
        let last = Last {
            source,
            sequence,
            timestamp,
            number: before.map_or(0, |last| last.number + ahead),
            at,
        };
        self.heard.last = Some(last);
        let (Some(record), Some(before)) = (record, before) else {
            return Some(());
        };
        let is_next = ahead > 0 && timestamp.wrapping_sub(before.timestamp) == ticks.wrapping_mul(ahead as u32);
        if !is_next || source != before.source {
            return None;
        }
        record.received += 1;
        record.lost += ahead as u64 - 1;
        record.gaps += u64::from(at.saturating_sub(before.at) > GAP);
        let came = at.as_nanos() as i64 - last.number * FRAME.as_nanos() as i64;
        self.heard.came.push(came);
        self.heard.keep(payload, ahead, self.number);
        Some(())
    }
}

impl Heard {
    /// Ticks of the window in which its packet was late. All that were later than the earliest are noted.
    fn late(&self, delay: &mut Delay) -> u64 {
        let earliest = self.came.iter().min().copied().unwrap_or(0);
        let lates = self
            .came
            .iter()
            .map(|came| Duration::from_nanos((came - earliest) as u64));
        lates.clone().for_each(|late| delay.note(late));
        lates.filter(|late| *late > LATE).count() as u64
    }

    /// Some packets of the window that follow one another are judged when there is time.
    fn keep(&mut self, payload: &[u8], ahead: i64, number: u32) {
        if self.taken.len() == TAKEN || self.came.len() <= (number * 37 % SPREAD) as usize {
            return;
        }
        if ahead != 1 {
            self.taken.clear();
        }
        self.taken.push(payload.to_vec());
    }
}
