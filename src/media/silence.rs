//! Digital silence that lasts, without an encoder: what Opus says of it repeats.
//!
//! Where nobody speaks a room's mix is zeros, for minutes. An encoder of Opus needs a while to come to rest on them; what it says from then on is known,
//! so it is not run until something else comes. Then it goes on where it stood, and so does a decoder, which was told nothing new meanwhile.
//!
//! | | once zeros have lasted for [`SETTLES_MS`] |
//! |---|---|
//! | with DTX | the last packet of the pause goes out once more each 400 ms (RFC 7587 3.1.3, RFC 6716 2.1.9), as libopus does it |
//! | without | the last four packets go out in turns, if they have repeated: SILK counts a seed of two bits from frame to frame (RFC 6716 4.2.7.7) |

use codecs::opus;

/// How long zeros last before what is said of them counts as known: with DTX libopus rests after 200 ms, and tells of it 420 ms later for the first time.
/// Without, packets repeat after a third of a second, at 48 kHz after up to four.
const SETTLES_MS: usize = 1_000;
/// From one packet of a pause to the next.
const AGAIN_MS: usize = 400;
/// Packets after which what is said repeats.
const PERIOD: usize = 4;
/// How many in a row must have been what they were a period before.
const SAME: u16 = 4 * PERIOD as u16;
/// The longest packet that is kept: silence takes 5 to 107 octets, by the rate and the length of a packet.
const OCTETS: usize = 128;

#[derive(Clone, Copy)]
struct Said {
    octets: [u8; OCTETS],
    /// 0 where there is none, or it was too long.
    len: usize,
}

/// What an encoder says of zeros.
pub struct Silence {
    /// Packets of zeros after which it is settled, and from one of a pause to the next.
    settles: u16,
    again: u16,
    /// Packets of zeros in a row.
    zeros: u16,
    /// What was sent of them last, in turns.
    said: [Said; PERIOD],
    next: usize,
    /// How many in a row were what they were a period before.
    same: u16,
    /// Packets since one was sent; none where the last was.
    unsaid: u16,
    /// It is a pause, in which packets need not be sent.
    is_pause: bool,
}

impl Silence {
    /// For packets of so many milliseconds.
    pub fn new(packet_ms: usize) -> Silence {
        let packets = |ms: usize| (ms / packet_ms.max(1)) as u16;
        Silence {
            settles: packets(SETTLES_MS),
            again: packets(AGAIN_MS),
            zeros: 0,
            said: [Said {
                octets: [0; OCTETS],
                len: 0,
            }; PERIOD],
            next: 0,
            same: 0,
            unsaid: 0,
            is_pause: false,
        }
    }

    /// It is not known any more what the encoder says.
    pub fn forget(&mut self) {
        (self.zeros, self.same, self.unsaid, self.is_pause) = (0, 0, 0, false);
        self.said.iter_mut().for_each(|said| said.len = 0);
    }

    /// What goes out for these samples without the encoder: `None` where that is to run, and within it where nothing need be sent.
    pub fn repeat(&mut self, pcm: &[i16], payload: &mut [u8]) -> Option<Option<usize>> {
        if pcm.iter().any(|sample| *sample != 0) {
            if self.zeros > 0 {
                self.forget();
            }
            return None;
        }
        self.zeros = self.zeros.saturating_add(1);
        if self.zeros <= self.settles {
            return None;
        }
        let last = (self.next + PERIOD - 1) % PERIOD;
        if self.is_pause && self.said[last].len > 0 {
            self.unsaid += 1;
            if self.unsaid < self.again {
                return Some(None);
            }
            self.unsaid = 0;
            return Some(self.said[last].copy(payload));
        }
        if self.is_pause || self.same < SAME {
            return None;
        }
        let at = self.next;
        self.next = (at + 1) % PERIOD;
        Some(self.said[at].copy(payload))
    }

    /// What the encoder said, which was run; `None` where that need not be sent.
    pub fn said(&mut self, payload: Option<&[u8]>) {
        if self.zeros == 0 {
            return;
        }
        let Some(payload) = payload else {
            (self.unsaid, self.is_pause) = (self.unsaid.saturating_add(1), true);
            return;
        };
        self.unsaid = 0;
        // That a pause goes on says less than how it sounds, which came before.
        if self.is_pause && payload.len() <= opus::DTX_OCTETS {
            return;
        }
        let said = &mut self.said[self.next];
        let is_same = said.len > 0 && said.octets[..said.len] == *payload;
        self.same = if is_same { self.same.saturating_add(1) } else { 0 };
        said.len = match said.octets.get_mut(..payload.len()) {
            Some(octets) => {
                octets.copy_from_slice(payload);
                payload.len()
            }
            None => 0,
        };
        self.next = (self.next + 1) % PERIOD;
    }
}

impl Said {
    fn copy(&self, payload: &mut [u8]) -> Option<usize> {
        payload.get_mut(..self.len)?.copy_from_slice(&self.octets[..self.len]);
        Some(self.len)
    }
}
