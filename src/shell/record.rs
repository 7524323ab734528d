//! The folds over the facts: call records, log lines, counters.

mod clients;

use super::net::NetCounters;
use super::recording::Recorded;
use super::store::{CallRow, LegRow, RecordingRow};
use super::trouble;
use crate::effect::{Blame, Cause, Fact, LegReport, Party};
use crate::id::CallId;
use crate::media::command::{LegStats, RoomStats};
use crate::media::worker::Strays;
use crate::pii::Scrubbed;
use crate::time::Wall;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::{Level, debug, enabled, info, warn};

/// Source addresses whose refusals are logged one by one within a minute; further ones are only counted.
const REFUSALS_LOGGED: u32 = 20;
/// Recordings that could not be written and are logged one by one within a minute; further ones are only counted.
const FAULTS_LOGGED: u32 = 5;

/// Counters of what happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls begun.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls ended, by SIP status.
    pub ended: BTreeMap<u16, u64>,
    /// Changes of bindings.
    pub registrations: u64,
    /// Calls by NG that have begun.
    pub ng_calls: u64,
    /// Commands of NG that were not done.
    pub ng_refused: u64,
    /// Requests refused, by status; 0 for those that were not answered.
    pub refused: BTreeMap<u16, u64>,
    /// Messages dropped or refused by the guard, by what they were.
    pub cut: BTreeMap<&'static str, u64>,
    /// Recordings begun.
    pub recordings: u64,
    /// Recordings that ended before their call, because they could not be written.
    pub failed_recordings: u64,
    /// Sessions with recording servers begun.
    pub recording_sessions: u64,
    /// Such that failed.
    pub failed_recording_sessions: u64,
    /// Changes of call records that found no room in memory.
    pub lost_records: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        write!(
            f,
            "{} calls, of which {} were answered, {} changes of registrations, {refused} refused requests",
            self.calls, self.answered, self.registrations
        )
    }
}

/// Folds facts.
#[derive(Debug, Default)]
pub struct Recorder {
    counters: Counters,
    /// The current minute and the refusals in it.
    refusals: (u64, u32),
    /// The current minute and the recordings that failed in it.
    faults: (u64, u32),
    /// What was told of the counters of sockets and media threads.
    told: [u64; 12],
    /// The complexity of Opus that was told last; none while it is the configured one.
    lowered: Option<u8>,
    /// A call that has begun, in words: mostly the next fact says where it goes, and one line has both.
    begun: Option<(CallId, String)>,
}

impl Recorder {
    /// The counters so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A record could not be kept.
    pub fn lost(&mut self) {
        self.counters.lost_records += 1;
        if self.counters.lost_records.is_power_of_two() {
            warn!(
                "{} changes of call records lost: the store is too slow or down, and memory for them is used up",
                self.counters.lost_records
            );
        }
    }

    /// Counts and logs one fact; gives the change of a call record that it means, if any.
    pub fn fold(&mut self, fact: Fact, minute: u64) -> Option<CallRow> {
        if !matches!(&fact, Fact::CallRouted { call, .. } if self.has_begun(*call)) {
            self.tell_begun();
        }
        match fact {
            Fact::CallStarted {
                call,
                at,
                from,
                caller,
                called,
                sip_call_id,
            } => {
                let source = self.started(call, &from, &caller, &called);
                Some(CallRow::Started {
                    call,
                    at,
                    source,
                    caller,
                    called,
                    sip_call_id,
                })
            }
            Fact::CallRouted { call, to, rule } => {
                let begun = self.begun.take().map_or_else(String::new, |(_, begun)| begun + ", ");
                info!(%call, "{begun}routed to {} by {}", Scrubbed(&to), Scrubbed(&rule));
                Some(CallRow::Routed {
                    call,
                    destination: to,
                    rule,
                })
            }
            Fact::CallRinging { call, .. } => {
                debug!(%call, "ringing");
                None
            }
            Fact::CallAnswered { call, at, by } => {
                self.counters.answered += 1;
                info!(%call, "answered by {}", Scrubbed(&party(&by)));
                Some(CallRow::Answered { call, at })
            }
            Fact::CallChanged { call, what } => {
                info!(%call, "{}", Scrubbed(&what));
                None
            }
            Fact::CallMeasured { call, legs } => {
                let legs = rows(legs);
                Some(CallRow::Measured { call, legs })
            }
            Fact::CallTrouble {
                call,
                leg,
                other,
                trouble,
                over,
                both,
            } => {
                let said = trouble::sentence(&leg, other.as_ref(), trouble, over, both);
                tell_trouble(call, over, &said);
                None
            }
            Fact::CallEnded { call, at, cause, legs } => Some(self.ended(call, at, cause, legs)),
            other => {
                self.fold_other(other, minute);
                None
            }
        }
    }

    /// Counts and logs how a recording ended; gives what the store is to know of it.
    pub fn recorded(&mut self, recorded: Recorded, minute: u64) -> RecordingRow {
        let Recorded {
            recording,
            millis,
            lost,
            fault,
        } = recorded;
        let (call, file, seconds) = (recording.call, recording.file(), millis / 1_000);
        if let Some(fault) = &fault {
            self.counters.failed_recordings += 1;
            self.failed(
                minute,
                call,
                &format!("the recording {file} ended after {seconds} s, and the call goes on without"),
                fault,
            );
        } else if lost > 0 {
            info!(%call, "{seconds} s were recorded in {file}, without {lost} packets that came too late or at once");
        } else {
            info!(%call, "{seconds} s were recorded in {file}");
        }
        RecordingRow::Ended {
            recording,
            millis,
            lost,
            fault,
        }
    }

    fn session_ended(&mut self, call: CallId, seconds: u64, fault: Option<String>, minute: u64) {
        match fault {
            None => info!(%call, "{seconds} s went to the recording server"),
            Some(fault) => {
                self.counters.failed_recording_sessions += 1;
                self.failed(
                    minute,
                    call,
                    &format!("the recording server has {seconds} s of it and no more"),
                    &fault,
                );
            }
        }
    }

    /// A recording has failed: the first of a minute are told one by one.
    fn failed(&mut self, minute: u64, call: CallId, what: &str, fault: &str) {
        if self.faults.0 != minute {
            self.faults = (minute, 0);
        }
        self.faults.1 += 1;
        let fault = Scrubbed(fault);
        match self.faults.1 {
            n if n < FAULTS_LOGGED => warn!(%call, "{what}: {fault}"),
            FAULTS_LOGGED => {
                let (files, sessions) = (self.counters.failed_recordings, self.counters.failed_recording_sessions);
                warn!(
                    %call,
                    "{what}: {fault}; further ones of this minute are only counted ({} since the start)",
                    files + sessions
                );
            }
            _ => debug!(%call, "{what}: {fault}"),
        }
    }

    /// Counts a call, and keeps its words for what follows. Gives its source.
    fn started(&mut self, call: CallId, from: &Party, caller: &str, called: &str) -> String {
        self.counters.calls += 1;
        let source = party(from);
        let (from, to, source_shown) = (Scrubbed(caller), Scrubbed(called), Scrubbed(&source));
        if enabled!(Level::INFO) {
            self.begun = Some((call, format!("call from {from} ({source_shown}) to {to}")));
        }
        source
    }

    fn has_begun(&self, call: CallId) -> bool {
        self.begun.as_ref().is_some_and(|(begun, _)| *begun == call)
    }

    /// No further fact is at hand: what waits for one is told.
    pub fn tell_begun(&mut self) {
        if let Some((call, begun)) = self.begun.take() {
            info!(%call, "{begun}");
        }
    }

    fn ended(&mut self, call: CallId, at: Wall, cause: Cause, legs: Vec<LegReport>) -> CallRow {
        *self.counters.ended.entry(cause.status).or_default() += 1;
        let by = blame(cause.by);
        let media: String = legs.iter().map(|leg| format!("; {}", describe(leg))).collect();
        info!(%call, status = cause.status, q850 = cause.q850, "ended by the {by}: {}{media}", Scrubbed(&cause.text));
        let legs = rows(legs);
        CallRow::Ended {
            call,
            at,
            status: cause.status,
            q850: cause.q850,
            by,
            cause: cause.text,
            legs,
        }
    }

    fn fold_other(&mut self, fact: Fact, minute: u64) {
        match fact {
            Fact::Registered {
                aor,
                contacts,
                changed,
                peer,
                expires,
            } => {
                self.counters.registrations += 1;
                let (aor, seconds) = (Scrubbed(&aor.0), expires.as_secs());
                match (contacts, changed) {
                    (0, _) => info!("{aor} is no longer registered (from {peer})"),
                    (_, true) => info!("{aor} is registered from {peer} for {seconds} s, {contacts} contacts"),
                    // Each phone says so every few minutes: no news.
                    (_, false) => debug!("{aor} stays registered from {peer} for {seconds} s, {contacts} contacts"),
                }
            }
            Fact::TrunkState { trunk, peer, up, why } => {
                let peer = peer.map(|peer| format!(", peer {peer}")).unwrap_or_default();
                let (trunk, why) = (Scrubbed(&trunk), Scrubbed(&why));
                match up {
                    true => info!("trunk {trunk}{peer} is up: {why}"),
                    false => warn!("trunk {trunk}{peer} is down: {why}"),
                }
            }
            Fact::Refused {
                peer,
                status,
                why,
                what,
            } => {
                let what = Scrubbed(what.as_deref().unwrap_or("a request"));
                self.tell_refused(status, minute, format_args!("refused {what} from {peer}: {why}"));
            }
            Fact::Banned { source, lasts, why } => {
                warn!("{source} is banned for {} s: {why}", lasts.as_secs());
            }
            Fact::BanEnded { source, dropped } => {
                info!("{source} is heard again after its ban, in which {dropped} messages of it were dropped");
            }
            Fact::Cut { count, what } => {
                *self.counters.cut.entry(what).or_default() += count;
                info!("within a minute {count} messages were dropped or refused {what}");
            }
            Fact::Overload { begins: true } => {
                warn!("messages wait too long: new calls are refused until the node has caught up (guard.max_wait)");
            }
            Fact::Overload { begins: false } => info!("the node has caught up: no new calls are refused any more"),
            Fact::RecordingStarted { .. } | Fact::RecordingSession { .. } | Fact::RecordingSessionEnded { .. } => {
                self.fold_recording(fact, minute);
            }
            Fact::RoomMeasured { room, stats } => tell_room(&room, stats),
            Fact::Room { room, what } => info!("room {} {}", Scrubbed(&room), Scrubbed(&what)),
            Fact::ClientCall { .. } | Fact::ApiRefused { .. } => self.fold_client(fact, minute),
            Fact::Warning(text) => warn!("{}", Scrubbed(&text)),
            Fact::NgBegan { .. } | Fact::NgEnded { .. } | Fact::NgRefused { .. } | Fact::NgUnheeded { .. } => {
                self.fold_ng(fact, minute);
            }
            Fact::CallStarted { .. }
            | Fact::CallRouted { .. }
            | Fact::CallRinging { .. }
            | Fact::CallAnswered { .. }
            | Fact::CallChanged { .. }
            | Fact::CallMeasured { .. }
            | Fact::CallTrouble { .. }
            | Fact::CallEnded { .. } => unreachable!("facts of calls are folded before"),
        }
    }

    fn fold_recording(&mut self, fact: Fact, minute: u64) {
        match fact {
            Fact::RecordingStarted { recording } => {
                self.counters.recordings += 1;
                info!(call = %recording.call, "it is recorded in {}", recording.file());
            }
            Fact::RecordingSession {
                recording,
                server,
                sip_call_id,
            } => {
                self.counters.recording_sessions += 1;
                info!(call = %recording.call, "it is recorded by {}, with the Call-ID {sip_call_id}", Scrubbed(&server));
            }
            Fact::RecordingSessionEnded {
                recording,
                millis,
                fault,
            } => self.session_ended(recording.call, millis / 1_000, fault, minute),
            _other => {}
        }
    }

    fn fold_ng(&mut self, fact: Fact, minute: u64) {
        match fact {
            Fact::NgBegan { name } => {
                self.counters.ng_calls += 1;
                info!("NG: the media of call {name:?} is here");
            }
            Fact::NgEnded { name, why, legs } => {
                let media: String = legs.iter().map(|leg| format!("; {}", describe(leg))).collect();
                info!("NG: call {name:?} is over: {why}{media}");
            }
            Fact::NgRefused { peer, what, why } => {
                self.counters.ng_refused += 1;
                self.new_minute(minute);
                self.refusals.1 += 1;
                let why = Scrubbed(&why);
                // Those that come beside them in this minute are counted together.
                if self.refusals.1 <= REFUSALS_LOGGED {
                    info!("NG: refused {what} of {peer}: {why}");
                } else {
                    debug!("NG: refused {what} of {peer}: {why}");
                }
            }
            Fact::NgUnheeded { flag } => info!("NG: the flag {flag:?} is not heeded; this is told once"),
            _other => {}
        }
    }

    fn tell_refused(&mut self, status: u16, minute: u64, said: fmt::Arguments<'_>) {
        *self.counters.refused.entry(status).or_default() += 1;
        self.new_minute(minute);
        self.refusals.1 += 1;
        match self.refusals.1 {
            n if n < REFUSALS_LOGGED => info!(status, "{said}"),
            REFUSALS_LOGGED => {
                info!(status, "{said}; further refusals of this minute are only counted");
            }
            _ => debug!(status, "{said}"),
        }
    }

    fn new_minute(&mut self, minute: u64) {
        if self.refusals.0 != minute {
            let unlogged = self.refusals.1.saturating_sub(REFUSALS_LOGGED);
            if unlogged > 0 {
                info!("{unlogged} more requests were refused in that minute");
            }
            self.refusals = (minute, 0);
        }
    }

    /// Tells what was only counted since it was told last: a flood of garbage is one line.
    pub fn tell_counted(&mut self, minute: u64, net: &NetCounters, media: Strays, late_ticks: u64) {
        self.new_minute(minute);
        let news = self.news(net, media, late_ticks);
        if !news.is_empty() {
            info!("since the last line of this kind: {}", news.join(", "));
        }
    }

    /// Tells when Opus is encoded with less effort than configured, for want of processor time, and when it is not any more.
    pub fn tell_effort(&mut self, limit: u8, configured: u8) {
        let lowered = (limit < configured).then_some(limit);
        if lowered == self.lowered {
            return;
        }
        self.lowered = lowered;
        match lowered {
            Some(complexity) => warn!(
                complexity,
                "the media threads are near the limit of their cores: Opus is encoded with complexity {complexity} instead of {configured} until they are not"
            ),
            None => info!(
                complexity = configured,
                "the media threads have time again: Opus is encoded with complexity {configured}"
            ),
        }
    }

    fn news(&mut self, net: &NetCounters, media: Strays, late_ticks: u64) -> Vec<String> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counted: [(u64, &str); 12] = [
            (read(&net.not_sip), "datagrams that are no SIP"),
            (
                read(&net.unanswered),
                "keep-alives (STUN) that were too many to be answered",
            ),
            (read(&net.dropped_full), "messages dropped because we were too busy"),
            (read(&net.send_failed), "datagrams that the system would not send"),
            (
                read(&net.refused_connections),
                "connections refused because there were too many",
            ),
            (
                read(&net.handshakes_failed),
                "TLS or WebSocket handshakes that failed or were given up",
            ),
            (
                read(&net.not_vouched),
                "connections under TLS with a certificate that no CA of the configuration has signed, or that has ended",
            ),
            (
                late_ticks,
                "steps of the media's clock that were over 5 ms late: the processor has too much to do",
            ),
            (media.unknown, "datagrams at media ports that are neither RTP nor RTCP"),
            (media.stun, "STUN messages at media ports"),
            (media.dtls, "DTLS records at media ports"),
            (media.no_leg, "datagrams at media ports whose call is over"),
        ];
        let news = counted
            .iter()
            .zip(self.told)
            .filter(|((now, _), told)| now > told)
            .map(|((now, words), told)| format!("{} {words}", now - told))
            .collect();
        self.told = counted.map(|(now, _)| now);
        news
    }
}

fn tell_room(room: &str, stats: RoomStats) {
    let RoomStats {
        members,
        ticks,
        encodes,
    } = stats;
    debug!(
        "room {}: {members} members; {encodes} packets were encoded in the last {ticks} ticks",
        Scrubbed(room)
    );
}

fn tell_trouble(call: CallId, over: bool, said: &str) {
    if over {
        info!(%call, "{}", Scrubbed(said));
    } else {
        warn!(%call, "{}", Scrubbed(said));
    }
}

/// A party as records name it.
pub fn party(party: &Party) -> String {
    match party {
        Party::User(name) => format!("user/{name}"),
        Party::Trunk(_, name) => format!("trunk/{name}"),
        Party::Service(name) => name.clone(),
    }
}

fn blame(by: Blame) -> &'static str {
    match by {
        Blame::Caller => "caller",
        Blame::Callee => "callee",
        Blame::Node => "node",
        Blame::Network => "network",
    }
}

fn rows(legs: Vec<LegReport>) -> Vec<LegRow> {
    let row = |leg: LegReport| LegRow {
        side: side(&leg),
        stats: leg.stats,
    };
    legs.into_iter().map(row).collect()
}

fn side(leg: &LegReport) -> &'static str {
    if leg.caller { "caller" } else { "callee" }
}

fn describe(leg: &LegReport) -> String {
    let stats = &leg.stats;
    let side = side(leg);
    let codec = stats.spoke().unwrap_or("no codec");
    let mos = stats.mos.map_or_else(|| "-".to_owned(), |mos| format!("{mos:.1}"));
    let mut rare = String::new();
    for (count, word) in [
        (stats.late, "late"),
        (stats.concealed, "concealed"),
        (stats.underruns, "times dry"),
        (stats.dropped, "dropped"),
    ] {
        if count > 0 {
            rare.push_str(&format!(", {count} {word}"));
        }
    }
    for (count, what) in [
        (stats.strangers, "from strangers"),
        (stats.forged, "not sealed by the agreed key"),
    ] {
        if count > 0 {
            rare.push_str(&format!(" ({count} of them {what})"));
        }
    }
    format!(
        "{side} {codec}, {} packets in, {} out, {} lost{rare}, jitter {:.1} ms, MOS {mos}{}",
        stats.received,
        stats.sent,
        stats.lost,
        f64::from(stats.jitter_us) / 1000.0,
        heard(stats)
    )
}

/// What is known of a leg besides: round trip, level, the peer's own view, troubles.
fn heard(stats: &LegStats) -> String {
    let round_trip = stats
        .round_trip_us
        .map(|us| format!(", round trip {:.1} ms", f64::from(us) / 1000.0));
    let level = stats.level_dbm0.map(|level| format!(", level {level:.0} dBm0"));
    let silence = stats
        .silence
        .map(|silence| format!(", {:.0} % silent", silence * 100.0));
    let lost = stats
        .peer_lost
        .filter(|lost| *lost > 0)
        .map(|lost| format!(", {lost} lost there"));
    let mos = stats
        .peer
        .and_then(|peer| peer.mos)
        .map(|mos| format!(", MOS there {mos:.1}"));
    let troubles = stats.troubles.names().map(|names| format!(", trouble: {names}"));
    let wide = stats.wide_band.then(|| " (wide band)".to_owned());
    let data = stats.data.then(|| ", fax or modem tones were heard".to_owned());
    [wide, round_trip, level, silence, lost, mos, data, troubles]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::command::{PeerView, Trouble};

    #[test]
    fn what_is_only_counted_is_told_once() {
        let (mut recorder, net) = (Recorder::default(), NetCounters::default());
        assert!(recorder.news(&net, Strays::default(), 0).is_empty());
        net.not_sip.store(3, Ordering::Relaxed);
        let strays = Strays {
            stun: 2,
            unknown: 5,
            ..Strays::default()
        };
        assert_eq!(
            recorder.news(&net, strays, 0),
            [
                "3 datagrams that are no SIP",
                "5 datagrams at media ports that are neither RTP nor RTCP",
                "2 STUN messages at media ports"
            ]
        );
        let more = Strays { no_leg: 1, ..strays };
        assert_eq!(
            recorder.news(&net, more, 2),
            [
                "2 steps of the media's clock that were over 5 ms late: the processor has too much to do",
                "1 datagrams at media ports whose call is over"
            ]
        );
    }

    #[test]
    fn the_line_of_a_call_s_end_tells_what_became_of_each_packet() {
        let mut stats = LegStats {
            received: 90,
            sent: 100,
            lost: 4,
            ..LegStats::default()
        };
        let text = |stats| describe(&LegReport { caller: true, stats });
        assert_eq!(
            text(stats),
            "caller no codec, 90 packets in, 100 out, 4 lost, jitter 0.0 ms, MOS -"
        );
        (
            stats.late,
            stats.concealed,
            stats.dropped,
            stats.strangers,
            stats.forged,
        ) = (1, 2, 7, 3, 1);
        assert_eq!(
            text(stats),
            "caller no codec, 90 packets in, 100 out, 4 lost, 1 late, 2 concealed, 7 dropped (3 of them from strangers) \
             (1 of them not sealed by the agreed key), jitter 0.0 ms, MOS -"
        );
        stats = LegStats {
            received: 90,
            mos: Some(4.36),
            wide_band: true,
            round_trip_us: Some(20_000),
            level_dbm0: Some(-18.4),
            silence: Some(0.25),
            peer_lost: Some(3),
            peer: Some(PeerView {
                mos: Some(3.9),
                ..PeerView::default()
            }),
            ..LegStats::default()
        };
        stats.troubles.set(Trouble::NothingArrives, true);
        stats.data = true;
        assert_eq!(
            text(stats),
            "caller no codec, 90 packets in, 0 out, 0 lost, jitter 0.0 ms, MOS 4.4 (wide band), round trip 20.0 ms, level -18 dBm0, \
             25 % silent, 3 lost there, MOS there 3.9, fax or modem tones were heard, trouble: nothing arrived"
        );
    }
}
