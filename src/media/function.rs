//! What a leg sends of its own, on the tick: digits, a tone, sounds, PCM of the shell; what a phone hears, and what is noted.

use super::command::Event;
use super::decode::{Decode, Lead, OWN_RATE, Piece};
use super::digits::Step;
use super::half::Tx;
use super::input::{Output, Outputs};
use super::jitter::Content;
use super::leg::{Class, Leg, Role};
use super::packet::TxBatch;
use super::rtp::View;
use super::sender::Route;
use super::source::Arrival;
use crate::time::Instant;
use codecs::Rate;

/// Samples of one tick.
const TICK_SAMPLES: usize = OWN_RATE.hz() as usize / 50;
/// The most at any rate.
const TICK_SAMPLES_MAX: usize = Rate::Full.hz() as usize / 50;

/// Sends 20 ms of what the leg makes itself.
pub(super) fn generate(now: Instant, leg: &mut Leg, out: &mut TxBatch, outputs: &mut Outputs) {
    let Some(route) = leg.tx.route() else { return };
    if leg.tx.is_dialing {
        dial(now, &mut leg.tx, route, out);
        return;
    }
    let id = leg.id();
    let mut narrow = [0; TICK_SAMPLES];
    let mut other;
    let mut pcm = &mut narrow[..];
    match &mut leg.role {
        Role::Idle | Role::Bridge(_) | Role::Echo | Role::Note | Role::Room(_) | Role::Fork(_) => return,
        Role::Tone(player) => player.fill(pcm),
        Role::Play => {
            let (Some(play), Some(encode)) = (leg.play.as_mut(), leg.tx.encode.as_ref()) else {
                return;
            };
            if play.is_over() {
                return;
            }
            other = [0; TICK_SAMPLES_MAX];
            pcm = &mut other[..encode.rate().hz() as usize / 50];
            play.fill(pcm, encode.rate());
            // What comes back of it is no key.
            leg.tx.played = Some(now);
            if play.is_over() {
                outputs.event(Event::Played(id));
            }
        }
        Role::Phone => match leg.phone.as_mut() {
            Some(phone) => phone.outgoing(pcm),
            None => return,
        },
    }
    if let Some(encode) = leg.tx.encode.as_mut() {
        encode.push(now, Lead::Joined, pcm, &mut leg.tx.sender, route, out);
    }
}

/// One tick of the digits that wait.
fn dial(now: Instant, tx: &mut Tx, route: Route, out: &mut TxBatch) {
    let step = tx.digits.step();
    if step == Step::Done {
        tx.is_dialing = false;
        tx.cut();
        return;
    }
    let Some(format) = tx.stream.and_then(|stream| stream.events_tx) else {
        let takes_tones = tx.stream.is_some_and(|stream| stream.has_tones_tx());
        if let Some(encode) = tx.encode.as_mut().filter(|_| takes_tones) {
            // In a bridge or a room it may be another.
            let rate = encode.rate().hz();
            let mut pcm = [0; TICK_SAMPLES_MAX];
            let pcm = &mut pcm[..rate as usize / 50];
            tx.digits.tone(step, pcm, rate);
            tx.played = Some(now);
            encode.push(now, Lead::Joined, pcm, &mut tx.sender, route, out);
        }
        return;
    };
    let Step::Event {
        mut report,
        ms,
        first,
        packets,
    } = step
    else {
        return;
    };
    if first {
        tx.digit_start = tx.sender.run_timestamp(now);
    }
    report.duration = (u64::from(ms) * u64::from(format.clock) / 1_000) as u16;
    for _ in 0..packets {
        let header = (tx.digit_start, first, format.payload_type);
        tx.sender
            .send_own(now, route, header, out, |space| Some(report.write(space)));
    }
}

/// A phone, or who notes what is said, takes a packet.
pub(super) fn hear(now: Instant, arrival: Arrival, class: Class, view: &View<'_>, leg: &mut Leg) {
    let Some(decode) = leg.rx.decode.as_mut() else { return };
    if std::mem::take(&mut leg.rx.interrupted) || arrival == Arrival::Restart {
        decode.restart();
    }
    let content = match class {
        // A key ends what is noted, and is no part of it.
        Class::Key if leg.note.is_some() => Content::Nothing,
        Class::Audio | Class::Key => Content::Audio(view.payload),
        Class::Noise => Content::Noise(view.payload),
        Class::Event(_) | Class::Silent => Content::Nothing,
    };
    leg.rx.offer(view, content);
    heard(now, leg);
}

/// What the jitter buffer of a phone, or of who notes, has ready goes to its PCM; a pause is heard as silence.
pub(super) fn heard(now: Instant, leg: &mut Leg) {
    let Leg { rx, phone, note, .. } = leg;
    if phone.is_none() && note.is_none() {
        return;
    }
    let mut take = |decode: &Decode, piece: Piece| {
        let pause = match piece.lead {
            Lead::After(samples) => samples,
            Lead::Joined | Lead::Anew => 0,
        };
        if let Some(phone) = phone {
            phone.pause(pause);
            phone.received(decode.pcm(piece));
        }
        if let Some(note) = note {
            note.take(decode.rate(), pause, decode.pcm(piece));
        }
    };
    while let Some(piece) = rx.pull(now) {
        let Some(decode) = rx.decode.as_ref() else { return };
        take(decode, piece);
    }
    while let Some(decode) = rx.decode.as_mut()
        && let Some(piece) = decode.fill(now)
    {
        take(decode, piece);
    }
}

/// Gives back what was noted, once it is all.
pub(super) fn tell_noted(leg: &mut Leg, outputs: &mut Outputs) {
    if let Some(note) = leg.note.take_if(|note| note.is_over()) {
        let leg = leg.id();
        outputs.push(Output::Noted { leg, note });
    }
}
