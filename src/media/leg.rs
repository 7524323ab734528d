//! One leg: what it receives and what it sends (`half`), and what joins them.

use super::command::{CheckName, Event, LegSpec, Port, Remote, Seat, Stream};
use super::dtmf::{self, Press};
use super::encode::COMFORT_NOISE;
use super::half::{Counts, Rx, Tx};
use super::input::{Change, Digits, Gear, Outputs};
use super::latch::{Sight, Verdict};
use super::note::Note;
use super::pace::Pace;
use super::packet::{Channel, LegIx, Packet, TxBatch};
use super::phone::Phone;
use super::play::Play;
use super::reports::Reporter;
pub(super) use super::role::{Class, Role};
use super::room::{FAINT, Member};
use super::rtcp::{self, feedback::Head};
use super::rtp::{self, Kind, View};
use super::sender::Sender;
use super::source::Arrival;
use super::srtp::Fault;
use super::tap::Tap;
use super::trouble::{Look, Refused};
use super::video::VideoLeg;
use crate::id::{MediaLegId, WorkerId};
use crate::keyed::Key;
use crate::limits;
use crate::time::Instant;
use codecs::Codec;
use codecs::gain::Gain;
use codecs::modem::Listener;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A leg with all its state: it moves between the control side and the workers in its box.
#[derive(Debug)]
pub struct Leg {
    id: MediaLegId,
    port: Port,
    /// Its peer is a browser: what is not sealed is neither sent nor taken.
    pub(super) rtc: bool,
    /// What of STUN and DTLS is handed on of where it sends to.
    setup: Pace,
    /// The same of anywhere else, a share for each host by a hash that none can aim.
    strangers: [Pace; limits::RTC_SHARES],
    share: Key,
    /// Of checks, those that are for it: the last of ours that was told, and the one before.
    names: [Option<CheckName>; 2],
    /// What of checks with one of these is handed on, of wherever else they come from.
    named: Pace,
    pub(super) role: Role,
    pub(super) rx: Rx,
    pub(super) tx: Tx,
    pub(super) phone: Option<Box<Phone>>,
    pub(super) play: Option<Box<Play>>,
    pub(super) note: Option<Box<Note>>,
    /// While it sits in a room.
    pub(super) member: Option<Box<Member>>,
    pub(super) seat: Seat,
    /// Of a browser: what it shows and sees.
    pub(super) video: Option<Box<VideoLeg>>,
    /// Where it is recorded.
    tap: Option<Box<Tap>>,
    /// By whose socket a copy of what it receives goes out.
    pub(super) copied: Option<LegIx>,
    pub(super) reporter: Reporter,
    watch: Option<(Duration, Instant)>,
    is_silent: bool,
    /// With whom it was bridged last.
    met: Option<MediaLegId>,
    /// The worker that it is on its way to.
    pub(super) moving_to: Option<WorkerId>,
}

impl Leg {
    /// A leg as the command opens it; the seed spreads its RTCP over time.
    pub(super) fn new(spec: LegSpec, seed: u64) -> Self {
        let LegSpec {
            id,
            port,
            ssrc,
            first_sequence,
            first_timestamp,
            cname,
            rtc,
        } = spec;
        let mut share = [0; 16];
        share[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            id,
            port,
            rtc,
            setup: Pace::default(),
            strangers: Default::default(),
            share: Key::new(share),
            names: [None; 2],
            named: Pace::default(),
            role: Role::Idle,
            rx: Rx::new(),
            tx: Tx::new(Sender::new(ssrc, first_sequence, first_timestamp)),
            phone: None,
            play: None,
            note: None,
            member: None,
            seat: Seat::default(),
            video: None,
            tap: None,
            copied: None,
            reporter: Reporter::new(cname.into_boxed_str(), seed, rtc),
            watch: None,
            is_silent: false,
            met: None,
            moving_to: None,
        }
    }

    /// Whose packets these are.
    pub fn id(&self) -> MediaLegId {
        self.id
    }

    /// Its sockets.
    pub fn port(&self) -> Port {
        self.port
    }

    /// What was agreed.
    pub(super) fn negotiate(&mut self, now: Instant, remote: Remote, stream: Stream) {
        if self.rx.latch.negotiated(now, remote) || self.rx.stream != Some(stream) {
            self.rx.judge.changed(now);
        }
        self.tx.to = self.rx.latch.destination();
        self.reporter.ask(remote.xr);
        self.rx.source.set_clock(stream.codec.clock());
        self.tx.sender.set_clock(now, stream.codec.clock());
        // After a pause the timestamp follows the clock, not the samples.
        let same = |old: Stream| {
            old.codec == stream.codec
                && old.payload_type_tx == stream.payload_type_tx
                && old.sends == stream.sends
                && old.udptl == stream.udptl
        };
        if !self.tx.stream.is_some_and(same) {
            self.tx.cut();
        }
        let was_udptl = self.is_udptl();
        self.rx.stream = Some(stream);
        self.tx.stream = Some(stream);
        self.rx.was_fax |= stream.udptl;
        if let Some((_, since)) = self.watch.as_mut().filter(|_| was_udptl) {
            // A fax may have been silent for long.
            *since = now;
        }
        self.reporter.start(now);
    }

    /// Puts new parts in and returns the old ones.
    pub(super) fn fit(&mut self, mut gear: Gear) -> Gear {
        if let (Change::Set(Some(new)), Some(old)) = (&mut gear.sealer, &self.tx.sealer) {
            new.go_on(old);
        }
        if let (Change::Set(Some(new)), Some(sealer)) = (&mut gear.video, &self.tx.sealer) {
            new.begin_behind(sealer);
        }
        if let (Change::Set(Some(new)), Some(old)) = (&mut gear.video, &mut self.video) {
            new.go_on(old);
        }
        Gear {
            decode: Change::Set(gear.decode.apply(&mut self.rx.decode)),
            encode: Change::Set(gear.encode.apply(&mut self.tx.encode)),
            ear: Change::Set(gear.ear.apply(&mut self.rx.ear)),
            phone: Change::Set(gear.phone.apply(&mut self.phone)),
            play: Change::Set(gear.play.apply(&mut self.play)),
            note: Change::Set(gear.note.apply(&mut self.note)),
            member: Change::Set(gear.member.apply(&mut self.member)),
            opener: Change::Set(gear.opener.apply(&mut self.rx.opener)),
            sealer: Change::Set(gear.sealer.apply(&mut self.tx.sealer)),
            tap: Change::Set(gear.tap.apply(&mut self.tap)),
            video: Change::Set(gear.video.apply(&mut self.video)),
        }
    }

    /// Queues digits. What does not fit behind those that wait is not sent: 32 is what the command allows.
    pub(super) fn dial(&mut self, digits: &Digits) {
        self.tx.digits.add(digits);
        if !self.tx.is_dialing {
            self.tx.is_dialing = true;
            self.tx.cut();
        }
    }

    /// Starts or stops the watch.
    pub(super) fn watch(&mut self, now: Instant, silence: Option<Duration>, troubles: bool) {
        self.watch = silence.map(|silence| (silence, now));
        self.is_silent = false;
        self.rx.judge.watch(now, troubles);
    }

    /// Opens a packet in place where the leg is protected; false for one that goes no further.
    pub(super) fn open(&mut self, kind: Kind, packet: &mut Packet) -> bool {
        self.rx.is_faint = false;
        let Some(opener) = self.rx.opener.as_mut() else {
            let is_clear = self.rtc && matches!(kind, Kind::Rtp | Kind::Rtcp);
            self.rx.counts.dropped += u64::from(is_clear);
            self.heed(packet);
            return !is_clear;
        };
        let opened = match kind {
            Kind::Rtp => opener.rtp(packet.as_mut_slice()),
            Kind::Rtcp => opener.rtcp(packet.as_mut_slice()),
            Kind::Stun | Kind::Dtls | Kind::Unknown => return true,
        };
        match opened {
            Ok(len) => {
                packet.set_len(len);
                self.heed(packet);
            }
            Err(fault) => {
                let counts = &mut self.rx.counts;
                counts.dropped += 1;
                counts.forged += u64::from(matches!(fault, Fault::Forged | Fault::UnknownKey));
            }
        }
        opened.is_ok()
    }

    /// Notes what a packet says of its own loudness. That it is silent is believed, which harms nobody but him; that it is loud is not.
    fn heed(&mut self, packet: &Packet) {
        let video = self.video.as_ref();
        self.rx.is_faint = video.is_some_and(|video| video.says_faint(packet.as_slice(), FAINT));
    }

    /// What it says may go to others as it comes.
    pub(super) fn is_forwarded(&self) -> bool {
        let stream = self
            .rx
            .stream
            .filter(|stream| stream.codec == Codec::Opus && stream.receives);
        stream.is_some_and(|stream| stream.gain.from_peer == Gain::default())
    }

    /// It hears voices as they come, and the mix of the others, which may be nothing.
    pub(super) fn hears_rest(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.hears_rest)
    }

    /// A packet of this payload type is video.
    pub(super) fn has_video(&self, payload_type: u8) -> bool {
        self.video.as_ref().is_some_and(|video| video.has(payload_type))
    }

    /// What goes out beside the video at a tick.
    pub(super) fn tick_video(&mut self, now: Instant, out: &mut TxBatch) {
        let Leg {
            tx, video, reporter, ..
        } = self;
        if let (Some(video), Some(to)) = (video, tx.to) {
            let head = Head {
                ssrc: tx.sender.ssrc(),
                cname: reporter.cname(),
            };
            video.tick(now, (tx.place, to), head, out);
        }
    }

    /// Whose set-up a datagram of STUN or DTLS is for; nobody's where there is none, or where more come than that needs. Who is not where the
    /// peer is uses up nothing of what that may send: its checks are what the leg lives by (RFC 7675). Of others no host uses up what all may
    /// send: the peer is one of them while it looks for a way. And all hosts of the world use up nothing of what is there for checks with our
    /// name, which only who has our description knows.
    pub(super) fn set_up(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Option<MediaLegId> {
        if !self.rtc {
            return None;
        }
        let takes = |pace: &mut Pace| pace.takes_at(now, limits::RTC_PER_SECOND, limits::RTC_BURST);
        let is_taken = match self.tx.to {
            Some(to) if to == from => takes(&mut self.setup),
            Some(_) | None => {
                let is_named = CheckName::said_by(datagram).is_some_and(|name| self.names.contains(&Some(name)));
                (is_named && takes(&mut self.named)) || takes(&mut self.strangers[share(self.share, from)])
            }
        };
        is_taken.then_some(self.id)
    }

    /// Checks have this name from now on; those with the one before are still the peer's until it has a new way (RFC 8445 9).
    pub(super) fn name(&mut self, name: CheckName) {
        if self.names[0] != Some(name) {
            self.names = [Some(name), self.names[0]];
        }
    }

    /// Where a datagram of the peer comes from, as far as that tells where it is. Of a browser only its checks tell (RFC 8445 12.1): whoever has
    /// its key is the browser, by whatever way its packets come.
    fn source(&self, from: SocketAddr) -> SocketAddr {
        let way = self.rx.latch.destination().filter(|_| self.rtc);
        way.unwrap_or(from)
    }

    /// Seals a packet in place where the leg is protected; false for one that cannot be.
    pub(super) fn seal(&mut self, packet: &mut Packet) -> bool {
        let Some(sealer) = self.tx.sealer.as_mut() else {
            return !self.rtc;
        };
        let kind = rtp::kind(packet.as_slice());
        packet.seal(|buffer, len| match kind {
            Kind::Rtp => sealer.rtp(buffer, len).ok(),
            Kind::Rtcp => sealer.rtcp(buffer, len).ok(),
            Kind::Stun | Kind::Dtls | Kind::Unknown => Some(len),
        })
    }

    /// Everything that an RTP packet goes through whatever the leg does: latch, sequence, counters, digits. `None` when the
    /// packet goes no further.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: SocketAddr,
        view: &View<'_>,
        outputs: &mut Outputs,
    ) -> Option<(Arrival, Class)> {
        let from = self.source(from);
        let rx = &mut self.rx;
        let Some(stream) = rx.stream else {
            rx.counts.dropped += 1;
            return None;
        };
        let pt = view.payload_type;
        let events = stream.events_rx.filter(|format| format.payload_type == pt);
        // Some peers send with the type that we asked to send with ourselves; no other meaning was agreed for it.
        let is_audio = events.is_none() && (pt == stream.payload_type_rx || pt == stream.payload_type_tx);
        let agreed = is_audio || events.is_some() || pt == COMFORT_NOISE;
        let sight = Sight {
            from,
            ssrc: Some(view.ssrc),
            sequence: view.sequence,
            agreed,
            proven: rx.opener.is_some(),
        };
        match rx.latch.rtp(now, sight) {
            Verdict::Accept => {}
            Verdict::Latched(is_first) => {
                self.tx.to = rx.latch.destination();
                if is_first {
                    outputs.event(Event::Started(self.id, from));
                }
            }
            Verdict::Stranger => {
                rx.counts.strangers += 1;
                rx.counts.dropped += 1;
                return None;
            }
        }
        if !rx.pace.takes(now) {
            rx.counts.dropped += 1;
            return None;
        }
        let arrival = rx.source.packet(view.ssrc, view.sequence);
        if matches!(arrival, Arrival::Duplicate | Arrival::Suspect) {
            rx.counts.dropped += 1;
            return None;
        }
        if is_audio {
            rx.source.timing(now, view.timestamp);
        }
        rx.last_heard = Some(now);
        rx.first_heard.get_or_insert(now);
        self.is_silent = false;
        if !stream.receives || !agreed {
            rx.counts.dropped += 1;
            rx.interrupted |= !stream.receives;
            return stream.receives.then_some((arrival, Class::Silent));
        }
        rx.take(now, &stream, view, is_audio);
        let Some(format) = events else {
            return Some((arrival, self.listen(now, (arrival, is_audio), view, outputs)));
        };
        let (progress, press) = rx.events.packet(now, view.timestamp, view.payload, format.clock);
        if let Some(press) = press {
            self.tell(press, outputs);
        }
        Some((arrival, Class::Event(progress)))
    }

    /// Hands what the peer says to who records it.
    pub(super) fn record(&mut self, now: Instant, class: Class, view: &View<'_>) {
        if let (Some(tap), Some(stream), Class::Audio) = (&mut self.tap, self.rx.stream, class) {
            tap.take(now, stream.codec, view);
        }
    }

    /// Its bridge carries a fax or a modem from now on.
    pub(super) fn carry_data(&mut self) {
        (self.rx.carries_data, self.tx.carries_data) = (true, true);
        self.rx.counts.data = true;
    }

    /// It is bridged with this one: what another said counts no longer.
    pub(super) fn meet(&mut self, other: MediaLegId) {
        if self.met.replace(other) != Some(other) {
            self.rx.machines = Listener::new();
            (self.rx.carries_data, self.tx.carries_data) = (false, false);
        }
    }

    pub(super) fn tell(&mut self, press: Press, outputs: &mut Outputs) {
        if let Some(digit) = dtmf::digit(press.code) {
            self.rx.counts.digits += 1;
            outputs.event(Event::Digit {
                leg: self.id,
                digit: digit.into(),
                ms: press.ms,
            });
        }
    }

    /// Takes an RTCP packet.
    pub(super) fn rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if !self.rx.latch.rtcp(self.source(from)) {
            self.rx.counts.strangers += 1;
            self.rx.counts.dropped += 1;
            return;
        }
        match rtcp::read(datagram, self.tx.sender.ssrc()) {
            Ok(digest) => {
                let (_, came) = self.rx.source.totals();
                self.reporter.received(now, &digest, self.tx.sender.packets(), came);
                if let (Some(block), Some(encode)) = (digest.block, self.tx.encode.as_mut()) {
                    encode.reported(block.fraction_lost);
                }
            }
            Err(_) => self.rx.counts.dropped += 1,
        }
    }

    /// What the clock brings, apart from what is played: the end of a digit, silence, trouble, a report. `fed` is when audio came last
    /// that is to go out here.
    pub(super) fn tick(&mut self, now: Instant, fed: Option<Instant>, out: &mut TxBatch, outputs: &mut Outputs) {
        let events = self.rx.stream.and_then(|stream| stream.events_rx);
        if let Some(press) = events.and_then(|format| self.rx.events.tick(now, format.clock)) {
            self.tell(press, outputs);
        }
        if self.silence_due().is_some_and(|due| due <= now) {
            self.is_silent = true;
            outputs.event(Event::Silent(self.id));
        }
        if self.rx.judge.due().is_some_and(|due| due <= now) {
            self.judge(now, fed, outputs);
        }
        if self.report_due().is_some_and(|due| due <= now) {
            self.report(now, false, out);
        }
    }

    fn judge(&mut self, now: Instant, fed: Option<Instant>, outputs: &mut Outputs) {
        let Counts {
            dropped,
            strangers,
            forged,
            ..
        } = self.rx.counts;
        let look = Look {
            // A fax has its pauses.
            talks: self
                .rx
                .stream
                .is_some_and(|stream| stream.sends && stream.receives && !stream.udptl),
            heard: self.rx.last_taken,
            // An encoder that may be silent by itself proves nothing.
            fed: fed.filter(|_| !self.tx.stream.is_some_and(|stream| stream.opus.dtx)),
            sent: self.tx.sender.packets(),
            refused: Refused {
                dropped,
                strangers,
                forged,
            },
            sends: self.reporter.sends(),
            unheard: self.reporter.unheard(),
        };
        for (trouble, over) in self.rx.judge.look(now, &look).into_iter().flatten() {
            let leg = self.id;
            outputs.event(Event::Trouble { leg, trouble, over });
        }
    }

    fn silence_due(&self) -> Option<Instant> {
        let (silence, since) = self.watch.filter(|_| !self.is_silent && !self.is_udptl())?;
        Some(self.rx.last_heard.map_or(since, |heard| heard.max(since)) + silence)
    }

    /// When a report is due; a fax has none.
    fn report_due(&self) -> Option<Instant> {
        self.reporter.due().filter(|_| !self.is_udptl())
    }

    /// Sends a report, or the farewell.
    pub(super) fn report(&mut self, now: Instant, goodbye: bool, out: &mut TxBatch) {
        if self.is_udptl() {
            return;
        }
        // RFC 3550 6.3.7: who has sent nothing says no farewell.
        if goodbye && self.tx.sender.packets() == 0 && !self.reporter.has_reported() {
            return;
        }
        let metrics = self.reporter.wants_metrics().then(|| self.metrics(now)).flatten();
        let Leg { reporter, rx, tx, .. } = self;
        let channel = if rx.latch.is_rtcp_mux() {
            Channel::Rtp
        } else {
            Channel::Rtcp
        };
        let Some(to) = rx.latch.rtcp_destination() else {
            reporter.postpone(now);
            return;
        };
        let Some(packet) = out.next(tx.place, channel, to) else {
            return;
        };
        let len = reporter.write(now, &tx.sender, &mut rx.source, metrics, goodbye, packet.buffer());
        packet.set_len(len);
    }

    /// When `Worker::on_tick` has something to do here; `None` when only a packet or an input can change that.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.tx.is_dialing || self.makes_sound() {
            return Some(now);
        }
        [
            self.urgent(),
            self.silence_due(),
            self.rx.judge.due(),
            self.report_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Each tick it has something to send of its own.
    fn makes_sound(&self) -> bool {
        match self.role {
            // In a room it is the room's.
            Role::Idle | Role::Bridge(_) | Role::Echo | Role::Note | Role::Room(_) | Role::Fork(_) => false,
            Role::Tone(_) | Role::Phone => true,
            Role::Play => self.play.as_ref().is_some_and(|play| !play.is_over()),
        }
    }

    /// The deadlines that a packet can bring nearer.
    pub(super) fn urgent(&self) -> Option<Instant> {
        let decode = self.rx.decode.as_ref().filter(|_| !matches!(self.role, Role::Room(_)));
        let gap = decode.and_then(|decode| decode.deadline());
        let key = self.rx.ear.as_ref().and_then(|ear| ear.deadline());
        [gap, key, self.rx.events.deadline()].into_iter().flatten().min()
    }
}

/// The share of a host: of IPv6 that is a network, within which anybody has addresses without end.
fn share(key: Key, from: SocketAddr) -> usize {
    let hash = match from.ip().to_canonical() {
        IpAddr::V4(v4) => key.of(&[&v4.octets()]),
        IpAddr::V6(v6) => key.of(&[&v6.octets()[..8]]),
    };
    (hash % limits::RTC_SHARES as u128) as usize
}
