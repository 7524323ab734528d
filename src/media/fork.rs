//! A leg that is copied: what its peer says goes out by another leg too, as it came, to who records it (RFC 7866 8).
//!
//! The payloads stay what they are, under the numbers of the stream that they go out in, as on a relayed way; nothing is decoded, and no gain
//! is in it. Keys are not, be they events or heard in the audio: a file has none either. While the two legs speak different codecs, as until
//! the recorder has taken a new one, nothing is sent.

use super::encode::COMFORT_NOISE;
use super::half::{Rx, Tx};
use super::leg::Class;
use super::packet::TxBatch;
use super::rtp::View;
use super::source::Arrival;
use crate::time::Instant;

/// Copies an admitted packet.
pub(super) fn copy(
    now: Instant,
    (arrival, class): (Arrival, Class),
    view: &View<'_>,
    from: &Rx,
    to: &mut Tx,
    out: &mut TxBatch,
) {
    let is_same = match (from.stream, to.stream) {
        (Some(from), Some(to)) => from.codec == to.codec,
        (Some(_), None) | (None, Some(_) | None) => false,
    };
    let Some(route) = to.route().filter(|_| is_same) else {
        // What comes later is no loss of before.
        return to.sender.cut();
    };
    let payload_type = match class {
        Class::Audio => to.stream.map_or(0, |stream| stream.payload_type_tx),
        Class::Noise if to.makes_noise() => COMFORT_NOISE,
        Class::Noise | Class::Key | Class::Event(_) | Class::Silent => return to.sender.absorb(view.sequence),
    };
    let Some(mut spliced) = to.sender.splice(now, arrival, view) else {
        return;
    };
    // Noise begins no talkspurt (RFC 3389 4).
    spliced.marker &= class == Class::Audio;
    to.sender.send_spliced(now, route, spliced, payload_type, out, |space| {
        let payload = space.get_mut(..view.payload.len())?;
        payload.copy_from_slice(view.payload);
        Some(view.payload.len())
    });
}
