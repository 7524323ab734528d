//! A bridge that carries a fax or a modem: it is known by their tones, and from then on nothing of it is improved upon.

use super::bridge;
use super::command::Event;
use super::input::Outputs;
use super::leg::Leg;
use super::rtp::View;
use codecs::modem::BLOCK;
use codecs::{Codec, g711};

/// Listens to a packet of audio that goes from one leg to another. Only G.711 carries what such machines say.
pub(super) fn listen(leg: &mut Leg, other: &mut Leg, view: &View<'_>, outputs: &mut Outputs) {
    let codec = |leg: &Leg| leg.rx.stream.map(|stream| stream.codec);
    let decode = match (codec(leg), codec(other)) {
        (Some(Codec::Pcmu), Some(Codec::Pcmu | Codec::Pcma)) => g711::decode_ulaw_slice,
        (Some(Codec::Pcma), Some(Codec::Pcmu | Codec::Pcma)) => g711::decode_alaw_slice,
        (Some(Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus) | None, _) => return,
    };
    let Some(payload) = view.payload.get(..BLOCK) else {
        return;
    };
    if !leg.rx.machines.is_due(view.timestamp) {
        return;
    }
    let mut pcm = [0; BLOCK];
    decode(payload, &mut pcm);
    if let Some(tone) = leg.rx.machines.hear(view.timestamp, &pcm) {
        outputs.event(Event::DataTone { leg: leg.id(), tone });
        leg.carry_data();
        other.carry_data();
        // Without gain and comfort noise the way may be another.
        if let (Some(one), Some(two)) = (leg.rx.treated(), other.rx.treated()) {
            leg.rx.go(bridge::path(&one, &two));
            other.rx.go(bridge::path(&two, &one));
        }
    }
}
