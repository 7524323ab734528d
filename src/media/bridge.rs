//! From what one leg receives to what another sends. The way is chosen when the legs are set up; a packet only walks it.
//!
//! | codecs                       | packets      | events            | way                                                    |
//! |------------------------------|--------------|-------------------|--------------------------------------------------------|
//! | both Opus                    | any          | any               | `Relay`: an Opus packet says itself how long it is, and `ptime` is a wish (RFC 7587 6.1) |
//! | the same law of G.711        | same length  | both or neither   | `Relay`                                                |
//! | both G.722                   | same length  | both or neither   | `Relay`                                                |
//! | PCMU and PCMA                | same length  | both or neither   | `Translate`: each octet by table                       |
//! | the laws of G.711, of which only the source pauses with comfort noise | any | any | `Transcode` |
//! | all others                   | any          | any               | `Transcode`, at 16 kHz between G.722 and Opus, else at 8 |
//! | UDPTL on both sides          | -            | -                 | `Udptl`: datagrams as they are |
//! | UDPTL on one side            | -            | -                 | `Nowhere`: the other side is still to change |
//!
//! Where one side has a gain (`gain_in`, `gain_out`), G.711 goes by a table that has it in it, and G.722 is made anew; two Opus legs stay as they
//! are.
//!
//! A receiver of G.711 or G.722 that takes no telephone events gets them as tones, so the way to it is `Transcode`. Between two Opus
//! legs a tone would cost the wide band of the whole call: there such events are reported and dropped. A receiver that takes digits by SIP
//! INFO gets neither.
//!
//! The other way round, a key that is heard in the audio of a leg without telephone events goes out as an event to one that takes them,
//! in place of the packets in which it is heard: that needs no other way, since the leg's [`ear`](super::ear) has its own PCM.

use super::command::{EventFormat, Stream};
use super::decode::{Decode, Lead};
use super::dtmf::{self, Progress};
use super::encode::{COMFORT_NOISE, Encode};
use super::half::{Rx, Tx};
use super::jitter::Content;
use super::leg::Class;
use super::packet::TxBatch;
use super::rtp::View;
use super::sender::Route;
use super::source::Arrival;
use crate::time::Instant;
use codecs::gain::{self, Gain};
use codecs::tone::Cadence;
use codecs::{Codec, Rate};
use std::sync::OnceLock;

/// The way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Nothing is agreed yet on one of the sides.
    Nowhere,
    /// The payload as it is, under our header.
    Relay,
    /// The payload by table.
    Translate(&'static [u8; 256]),
    /// Decoded and encoded.
    Transcode,
    /// Datagrams of a fax: they do not come by here, see `udptl`.
    Udptl,
}

/// The table at the top.
pub fn path(from: &Stream, to: &Stream) -> Path {
    let (from, to) = (&from.treated(), &to.treated());
    match (from.udptl, to.udptl) {
        (true, true) => return Path::Udptl,
        (true, false) | (false, true) => return Path::Nowhere,
        (false, false) => {}
    }
    let needs_tones = from.events_rx.is_some() && to.has_tones_tx();
    // Who pauses and is heard by somebody who makes no noise himself is to be heard without a gap.
    let needs_noise = from.comfort_noise && !to.comfort_noise;
    let is_plain = from.ptime_ms == to.ptime_ms && !needs_tones && !needs_noise;
    let gain = gain(from, to);
    match (from.codec, to.codec) {
        (Codec::Opus, Codec::Opus) => Path::Relay,
        (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) | (Codec::G722, Codec::G722)
            if is_plain && gain == Gain::NONE =>
        {
            Path::Relay
        }
        (Codec::Pcmu | Codec::Pcma, Codec::Pcmu | Codec::Pcma) if is_plain => {
            Path::Translate(table(from.codec, to.codec, gain))
        }
        (
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus,
        ) => Path::Transcode,
    }
}

/// The rate of the PCM between two legs that are transcoded: both ways the same.
pub fn rate(one: &Stream, other: &Stream) -> Rate {
    one.rate().min(other.rate())
}

/// How much louder what one side says is for the other.
pub fn gain(from: &Stream, to: &Stream) -> Gain {
    let is_data = from.carries_data || to.carries_data;
    if is_data {
        Gain::NONE
    } else {
        from.gain.from_peer.and(to.gain.to_peer)
    }
}

/// From one law to another, or the same, with a gain. Made when a path is chosen for the first time, which the control side does before the
/// worker: never on the packet path.
fn table(from: Codec, to: Codec, gain: Gain) -> &'static [u8; 256] {
    const GAINS: usize = 2 * Gain::MOST as usize + 1;
    static TABLES: [[OnceLock<[u8; 256]>; GAINS]; 4] = [const { [const { OnceLock::new() }; GAINS] }; 4];
    let law = |codec| if codec == Codec::Pcmu { gain::ULAW } else { gain::ALAW };
    let laws = 2 * usize::from(from == Codec::Pcmu) + usize::from(to == Codec::Pcmu);
    let step = (gain.db() + Gain::MOST) as usize;
    TABLES[laws][step].get_or_init(|| gain.table(law(from), law(to)))
}

/// Of each of the two tones of a digit.
const TONE_DBM0: f32 = -13.0;
/// The most of a tone that one event packet brings, whatever duration it claims.
const TONE_MS: u32 = 120;

/// The format that a key has which was heard in audio: G.711 and G.722 have this clock (RFC 3551 4.5.2).
const HEARD: EventFormat = EventFormat {
    payload_type: 0,
    clock: 8_000,
};
/// The end of an event is sent three times (RFC 4733 2.5.1.4).
const END_PACKETS: usize = 3;

/// Passes an admitted packet from one half to the other.
pub(super) fn pass(
    now: Instant,
    (arrival, class): (Arrival, Class),
    view: &View<'_>,
    rx: &mut Rx,
    tx: &mut Tx,
    out: &mut TxBatch,
) {
    let Some(route) = tx.route().filter(|_| !tx.is_dialing && rx.path != Path::Nowhere) else {
        rx.interrupted = true;
        return;
    };
    if rx.interrupted || arrival == Arrival::Restart {
        rx.interrupted = false;
        tx.cut();
        if let Some(decode) = rx.decode.as_mut() {
            decode.restart();
        }
    }
    let class = match class {
        Class::Key if !tx.stream.is_some_and(|stream| stream.has_digits_aside()) => Class::Audio,
        other => other,
    };
    match rx.path {
        Path::Nowhere | Path::Udptl => {}
        Path::Relay => pass_on(now, (arrival, class), view, None, route, rx, tx, out),
        Path::Translate(table) => pass_on(now, (arrival, class), view, Some(table), route, rx, tx, out),
        Path::Transcode => rebuild(now, class, view, route, rx, tx, out),
    }
}

/// Under our header, perhaps by a table.
fn pass_on(
    now: Instant,
    (arrival, class): (Arrival, Class),
    view: &View<'_>,
    table: Option<&[u8; 256]>,
    route: Route,
    rx: &mut Rx,
    tx: &mut Tx,
    out: &mut TxBatch,
) {
    match class {
        Class::Audio => {
            let payload_type = tx.stream.map_or(0, |stream| stream.payload_type_tx);
            relay(now, arrival, view, (payload_type, table), route, rx, tx, out);
        }
        Class::Event(Some(progress)) => relay_event(now, arrival, view, &progress, route, rx, tx, out),
        Class::Noise if tx.makes_noise() => relay_noise(now, arrival, view, route, rx, tx, out),
        Class::Key => {
            tx.sender.absorb(view.sequence);
            send_keys(now, rx, tx, out);
        }
        Class::Event(None) | Class::Noise | Class::Silent => tx.sender.absorb(view.sequence),
    }
}

/// By the jitter buffer, decoder and encoder.
fn rebuild(now: Instant, class: Class, view: &View<'_>, route: Route, rx: &mut Rx, tx: &mut Tx, out: &mut TxBatch) {
    // While a key sounds as a tone, the tone is what is heard.
    let drowned = tx.stream.is_some_and(|stream| stream.events_tx.is_none()) && rx.events.is_running();
    let content = match class {
        Class::Audio if !drowned => Content::Audio(view.payload),
        Class::Noise => Content::Noise(view.payload),
        Class::Audio | Class::Event(_) | Class::Key | Class::Silent => Content::Nothing,
    };
    rx.offer(view, content);
    drain(now, rx, tx, out);
    match class {
        Class::Event(Some(progress)) => transcode_event(now, &progress, route, rx, tx, out),
        Class::Key => send_keys(now, rx, tx, out),
        Class::Audio | Class::Event(None) | Class::Noise | Class::Silent => {}
    }
}

fn relay(
    now: Instant,
    arrival: Arrival,
    view: &View<'_>,
    (payload_type, table): (u8, Option<&[u8; 256]>),
    route: Route,
    rx: &mut Rx,
    tx: &mut Tx,
    out: &mut TxBatch,
) {
    let Some(spliced) = tx.sender.splice(now, arrival, view) else {
        rx.late(view.sequence);
        return;
    };
    tx.sender.send_spliced(now, route, spliced, payload_type, out, |space| {
        let payload = space.get_mut(..view.payload.len())?;
        payload.copy_from_slice(view.payload);
        if let Some(table) = table {
            for octet in payload.iter_mut() {
                *octet = table[usize::from(*octet)];
            }
        }
        Some(view.payload.len())
    });
}

/// What a pause sounds like is the same in both laws; how loud it is, its first octet says in -dBov. It begins no talkspurt (RFC 3389 4).
fn relay_noise(
    now: Instant,
    arrival: Arrival,
    view: &View<'_>,
    route: Route,
    rx: &mut Rx,
    tx: &mut Tx,
    out: &mut TxBatch,
) {
    let gain = agreed_gain(rx, tx);
    let Some(mut spliced) = tx.sender.splice(now, arrival, view) else {
        rx.late(view.sequence);
        return;
    };
    spliced.marker = false;
    tx.sender
        .send_spliced(now, route, spliced, COMFORT_NOISE, out, |space| {
            let payload = space.get_mut(..view.payload.len())?;
            payload.copy_from_slice(view.payload);
            if let Some(level) = payload.first_mut() {
                *level = (i16::from(*level & 0x7f) - i16::from(gain.db())).clamp(0, 127) as u8;
            }
            Some(view.payload.len())
        });
}

fn relay_event(
    now: Instant,
    arrival: Arrival,
    view: &View<'_>,
    progress: &Progress,
    route: Route,
    rx: &mut Rx,
    tx: &mut Tx,
    out: &mut TxBatch,
) {
    let formats = (
        rx.stream.and_then(|stream| stream.events_rx),
        tx.stream.and_then(|stream| stream.events_tx),
    );
    let (Some(from), Some(to)) = formats else {
        tx.sender.absorb(view.sequence);
        return;
    };
    let Some(mut spliced) = tx.sender.splice(now, arrival, view) else {
        rx.late(view.sequence);
        return;
    };
    let start = event_start(tx, progress, spliced.timestamp);
    let (after_start, report) = dtmf::rescale(progress, from, to);
    spliced.timestamp = start.wrapping_add(after_start);
    spliced.marker = progress.first;
    tx.sender
        .send_spliced(now, route, spliced, to.payload_type, out, |space| {
            Some(report.write(space))
        });
}

/// Sends what was heard of keys in the audio as events, if the peer takes them.
pub(super) fn send_keys(now: Instant, rx: &Rx, tx: &mut Tx, out: &mut TxBatch) {
    let to = tx.stream.and_then(|stream| stream.events_tx);
    let (Some(ear), Some(to)) = (rx.ear.as_deref(), to) else {
        return;
    };
    let Some(route) = tx.route().filter(|_| !tx.is_dialing && rx.path != Path::Nowhere) else {
        return;
    };
    for progress in ear.reports() {
        let place = match (rx.path, rx.decode.as_deref(), tx.encode.as_deref()) {
            (Path::Transcode, Some(decode), Some(encode)) => key_place(decode, encode, progress.start),
            (Path::Transcode, _, _) => None,
            (Path::Nowhere | Path::Udptl | Path::Relay | Path::Translate(_), _, _) => tx.sender.mapped(progress.start),
        };
        let fresh = place.unwrap_or_else(|| tx.sender.run_timestamp(now));
        let start = event_start(tx, progress, fresh);
        let (after_start, report) = dtmf::rescale(progress, HEARD, to);
        let packets = if progress.end { END_PACKETS } else { 1 };
        for n in 0..packets {
            let header = (
                start.wrapping_add(after_start),
                progress.first && n == 0,
                to.payload_type,
            );
            tx.sender
                .send_own(now, route, header, out, |space| Some(report.write(space)));
        }
    }
}

/// The timestamp in our stream of a key that began at this one of the peer: in audio that has gone out, most often.
fn key_place(decode: &Decode, encode: &Encode, start: u32) -> Option<u32> {
    match decode.ahead(start) {
        Some(ahead) => encode.position(ahead),
        None => encode.position_before(decode.behind(start)?),
    }
}

/// The timestamp of an event in our stream: kept from its first packet on.
fn event_start(tx: &mut Tx, progress: &Progress, fresh: u32) -> u32 {
    match tx.event {
        Some((start, ours)) if start == progress.start => ours,
        Some(_) | None => {
            tx.event = Some((progress.start, fresh));
            fresh
        }
    }
}

fn transcode_event(now: Instant, progress: &Progress, route: Route, rx: &mut Rx, tx: &mut Tx, out: &mut TxBatch) {
    let (Some(from), Some(codec)) = (rx.stream.and_then(|s| s.events_rx), rx.stream.map(|s| s.codec)) else {
        return;
    };
    let Some(decode) = rx.decode.as_mut() else { return };
    if let Some(to) = tx.stream.and_then(|stream| stream.events_tx) {
        let ahead = decode.ahead(progress.start);
        let position = ahead.and_then(|ahead| tx.encode.as_ref()?.position(ahead));
        let fresh = position.unwrap_or_else(|| tx.sender.run_timestamp(now));
        let start = event_start(tx, progress, fresh);
        let (after_start, report) = dtmf::rescale(progress, from, to);
        let header = (start.wrapping_add(after_start), progress.first, to.payload_type);
        tx.sender
            .send_own(now, route, header, out, |space| Some(report.write(space)));
        return;
    }
    let takes_tones = tx.stream.is_some_and(|stream| stream.has_tones_tx());
    let (Some(encode), Some(_), true) = (tx.encode.as_mut(), dtmf::digit(progress.code), takes_tones) else {
        return;
    };
    let rate = encode.rate().hz();
    if progress.first {
        tx.tone = Some(Cadence::new(dtmf::frequencies(progress.code), TONE_DBM0, 1, 0, rate));
    }
    tx.played = Some(now);
    let Some(player) = tx.tone.as_mut() else { return };
    let pause = if progress.first {
        decode.ahead(progress.start).unwrap_or(0)
    } else {
        0
    };
    let mut lead = if pause > 0 { Lead::After(pause) } else { Lead::Joined };
    let mut left = in_clock(progress.grown, from.clock, rate).min(TONE_MS * rate / 1_000) as usize;
    let mut pcm = [0; 160];
    while left > 0 {
        let part = &mut pcm[..left.min(160)];
        player.fill(part);
        encode.push(now, lead, part, &mut tx.sender, route, out);
        lead = Lead::Joined;
        left -= part.len();
    }
    decode.played_until(
        progress
            .start
            .wrapping_add(in_clock(progress.total, from.clock, codec.clock())),
    );
}

/// A number of ticks in another clock.
fn in_clock(ticks: u32, from: u32, to: u32) -> u32 {
    u32::try_from(u64::from(ticks) * u64::from(to) / u64::from(from.max(1))).unwrap_or(u32::MAX)
}

/// Passes on what the jitter buffer has ready.
pub(super) fn drain(now: Instant, rx: &mut Rx, tx: &mut Tx, out: &mut TxBatch) {
    let route = tx.route();
    let gain = agreed_gain(rx, tx);
    while let Some(piece) = rx.pull(now) {
        let Some(decode) = rx.decode.as_mut() else { return };
        // A bridge changes its rate by two inputs, one for each side: between them nothing fits.
        let encode = tx.encode.as_mut().filter(|encode| encode.rate() == decode.rate());
        if let (Some(encode), Some(route)) = (encode, route) {
            gain.apply(decode.pcm_mut(piece));
            encode.push(now, piece.lead, decode.pcm(piece), &mut tx.sender, route, out);
        }
    }
}

/// On the tick: what the jitter buffer has ready, and a pause as it goes on.
pub(super) fn tick(now: Instant, rx: &mut Rx, tx: &mut Tx, out: &mut TxBatch) {
    drain(now, rx, tx, out);
    if rx.path != Path::Transcode {
        return;
    }
    let (route, gain, makes_noise) = (tx.route(), agreed_gain(rx, tx), tx.makes_noise());
    // While a key is pressed, that is what is heard.
    let Some(decode) = rx.decode.as_mut().filter(|_| !rx.events.is_running()) else {
        return;
    };
    while let Some(piece) = decode.fill(now) {
        let encode = tx.encode.as_mut().filter(|encode| encode.rate() == decode.rate());
        let (Some(encode), Some(route), false) = (encode, route, tx.is_dialing) else {
            continue;
        };
        gain.apply(decode.pcm_mut(piece));
        if makes_noise {
            if let Lead::After(skipped) = piece.lead {
                encode.push(now, Lead::After(skipped), &[], &mut tx.sender, route, out);
            }
            encode.rest(now, decode.pcm(piece), &mut tx.sender, route, out);
        } else {
            encode.push(now, piece.lead, decode.pcm(piece), &mut tx.sender, route, out);
        }
    }
}

fn agreed_gain(rx: &Rx, tx: &Tx) -> Gain {
    match (&rx.stream, &tx.stream) {
        (Some(_), Some(_)) if rx.carries_data => Gain::NONE,
        (Some(from), Some(to)) => gain(from, to),
        (Some(_), None) | (None, Some(_) | None) => Gain::NONE,
    }
}
