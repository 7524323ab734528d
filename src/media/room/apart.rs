//! Voices that are forwarded: what somebody says in Opus goes as it came to each browser with places for voices, as many as may speak at once. What is
//! said by others, in another codec or in another part of the room, and what is played to all, such a browser hears as one mix on its first line (the rest), which rests
//! while there is nothing in it.
//!
//! ```text
//!   a packet of who is heard --> its voice keeps it --> each who has a place for that voice: our numbers --> sealed --> sent
//! ```
//!
//! Who speaks is known by what is decoded for the mix, so that nobody gets to the front, and in the way of others, by what his packets say of themselves
//! (RFC 6464). Only that they are silent is believed, where more than ten in a row say it, and they are not decoded then: who lies there is soon not heard himself, and
//! that is all. By the time that
//! it is known who speaks, some of it has come: that goes out first ([`Recent`]), in the same tick, under numbers and times as if it had gone out when it came.

use super::recent::{Kept, Recent, is_speech};
use crate::id::MediaLegId;
use crate::limits;
use crate::media::command::VoiceLine;
use crate::media::pace::Pace;
use crate::media::packet::{LegIx, TxBatch};
use crate::media::rtp::View;
use crate::media::sender::{Route, Sender, Sent};
use crate::media::source::Arrival;
use crate::time::Instant;
use codecs::Codec;

/// Packets of a voice that may be missing at once on a place: more are a pause, by which the numbers of the listeners do not move.
const GAP: u16 = 16;

/// Whose voice is heard.
pub type Whose = (LegIx, MediaLegId);

/// A stream of ours on which a member hears one voice after another: one count of numbers, whoever speaks.
#[derive(Debug)]
pub struct Place {
    payload_type: u8,
    sender: Sender,
    /// Who is heard.
    pub whose: Option<Whose>,
    /// He is heard from this tick on: what he said before comes first.
    begins: bool,
    reported: u64,
}

impl Place {
    /// As agreed; `random` gives its first numbers (RFC 3550 5.1).
    pub fn new(line: &VoiceLine, random: u64) -> Place {
        // In the lower half, so that the roll-over of the first packets is not in doubt (RFC 3711 3.3.1).
        let mut sender = Sender::new(line.ssrc, random as u16 >> 1, (random >> 32) as u32).leaves_out(GAP);
        sender.set_clock(Instant::ZERO, Codec::Opus.clock());
        Place {
            payload_type: line.payload_type,
            sender,
            whose: None,
            begins: false,
            reported: 0,
        }
    }

    /// The SSRC.
    pub fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// Its first number is this, since those before were sealed once (RFC 3711 9.1).
    pub fn begin_at(&mut self, sequence: u16) {
        self.sender.begin_at(sequence);
    }

    /// Takes over what it was, but for how it is numbered.
    pub fn go_on(&mut self, old: &mut Place) {
        let payload_type = self.payload_type;
        std::mem::swap(self, old);
        self.payload_type = payload_type;
    }

    /// Another is heard from now on, or nobody.
    pub fn hear(&mut self, whose: Option<Whose>) {
        if self.whose != whose {
            self.whose = whose;
            self.begins = whose.is_some();
            self.sender.cut();
        }
    }

    /// Whether he is heard from this tick on; asked once.
    pub fn begins(&mut self) -> bool {
        std::mem::take(&mut self.begins)
    }

    /// Sends what is kept of a voice.
    fn send(&mut self, kept: &Kept, route: Route, out: &mut TxBatch) {
        let Some(view) = kept.view() else { return };
        let Some(spliced) = self.sender.splice(kept.at, kept.arrival, &view) else {
            return;
        };
        self.sender
            .send_spliced(kept.at, route, spliced, self.payload_type, out, |space| {
                space.get_mut(..view.payload.len())?.copy_from_slice(view.payload);
                Some(view.payload.len())
            });
    }

    /// What a sender report says of it, where it has sent since the last (RFC 3550 6.4).
    pub fn report(&mut self, now: Instant) -> Option<Sent> {
        let packets = self.sender.packets();
        if std::mem::replace(&mut self.reported, packets) == packets {
            return None;
        }
        Some(self.sender.sent(now))
    }
}

/// A voice on its way to those who hear it apart.
#[derive(Debug)]
pub struct Apart {
    /// On which of their places.
    pub listeners: Vec<(LegIx, u8)>,
    kept: Kept,
    /// What was said before this tick, where it is forwarded from this tick on. Its place is taken by that of the speaker, who has it while he is not
    /// forwarded.
    pub early: Box<Recent>,
    pace: Pace,
    /// The same in octets.
    octets: Pace,
}

impl Apart {
    /// For so many listeners.
    pub fn new(seats: usize) -> Apart {
        Apart {
            listeners: Vec::with_capacity(seats),
            kept: Kept::default(),
            early: Box::default(),
            pace: Pace::default(),
            octets: Pace::default(),
        }
    }

    /// A packet of it came. False where nobody hears it, and where it is more than speech: each goes out as often as there are listeners.
    pub fn keep(&mut self, now: Instant, arrival: Arrival, view: &View<'_>) -> bool {
        if self.listeners.is_empty() || !is_speech(view) {
            return false;
        }
        let most = limits::VOICE_BYTES_PER_SECOND;
        let takes = self.pace.takes_at(now, limits::VOICE_PER_SECOND, limits::VOICE_BURST)
            && self.octets.takes_some(now, view.payload.len() as u64, most, most);
        if takes {
            self.kept.put(now, arrival, view);
        }
        takes
    }

    /// Sends what came to a place.
    pub fn send(&self, place: &mut Place, route: Route, out: &mut TxBatch) {
        place.send(&self.kept, route, out);
    }

    /// Sends what had come before this tick to a place, but not what came while another was heard there: the clock of the place would run ahead of time.
    pub fn send_early(&self, place: &mut Place, route: Route, out: &mut TxBatch) {
        let sent = place.sender.last_sent();
        let unheard = self.early.iter().filter(|kept| sent.is_none_or(|sent| kept.at > sent));
        unheard.for_each(|kept| place.send(kept, route, out));
    }
}
