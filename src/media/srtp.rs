//! SRTP and SRTCP (RFC 3711, RFC 6188, RFC 7714): what a leg sends is sealed, what it receives is opened, in place and without
//! allocation.
//!
//! | part | what it is |
//! |---|---|
//! | `cipher` | what a key does to one packet; the derivation of session keys |
//! | `index` | which packet it is, and which were seen |
//!
//! ```text
//!   datagram --> MKI: by which key? --> SSRC: which stream? --> index: seen, too old? --> genuine? --> noted, decrypted
//! ```

mod cipher;
mod index;

use super::command::{Keys, MasterKey, RTCP_LIFETIME};
use super::rtp;
use crate::limits;
use cipher::{Place, Session};
use index::{Refused, Window};
use std::fmt;

/// Why a packet is not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Neither RTP nor RTCP, or too short for what must be behind it; or no room to put that there.
    Malformed,
    /// It carries the identifier of no key of ours.
    UnknownKey,
    /// It was there before.
    Replayed,
    /// So far behind the others that it is not known whether it was there before.
    Old,
    /// Not of the peer: its authentication is wrong.
    Forged,
    /// Its key has protected as many packets as it may (RFC 3711 9.2).
    WornOut,
    /// Of one SSRC more than were foreseen.
    TooMany,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        match refused {
            Refused::Again => Fault::Replayed,
            Refused::Old => Fault::Old,
        }
    }
}

/// A master key at work.
struct Key {
    session: Session,
    mki: Box<[u8]>,
    /// Packets that it may still protect: RTP, RTCP.
    left: [u64; 2],
}

impl Key {
    fn new(master: &MasterKey) -> Key {
        Key {
            session: Session::new(master),
            mki: master.mki().into(),
            left: [master.lifetime(), master.lifetime().min(RTCP_LIFETIME)],
        }
    }

    /// Whether there is one packet left.
    fn lasts(&self, channel: usize) -> Result<(), Fault> {
        if self.left[channel] == 0 {
            Err(Fault::WornOut)
        } else {
            Ok(())
        }
    }
}

const RTP: usize = 0;
const RTCP: usize = 1;

/// Seals what a leg sends. Its roll-over counter lives as long as its key.
pub struct Sealer {
    key: Key,
    /// Of each SSRC of ours; no more than there is room for.
    rtp: Vec<(u32, Window)>,
    /// The index of the next RTCP packet.
    rtcp: u64,
}

impl Sealer {
    /// With a key that nothing was sealed by yet.
    pub fn new(keys: &Keys) -> Sealer {
        Sealer::for_streams(keys, limits::SRTP_STREAMS)
    }

    /// The same for so many SSRCs.
    pub fn for_streams(keys: &Keys, streams: usize) -> Sealer {
        Sealer {
            key: Key::new(keys.seal()),
            rtp: Vec::with_capacity(streams),
            rtcp: 0,
        }
    }

    /// Goes on with the RTCP index of another, since after a new key it "MUST NOT be reset to zero again" (RFC 3711 3.4).
    pub fn go_on(&mut self, before: &Sealer) {
        self.rtcp = before.rtcp;
    }

    /// Seals the RTP packet of `len` octets in front of `buffer`; gives its new length. One number is never sealed twice, since
    /// two packets under one key stream tell both.
    pub fn rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Fault> {
        let packet = buffer.get(..len).ok_or(Fault::Malformed)?;
        let (head, ssrc, sequence) = rtp_head(packet)?;
        let at = self.stream(ssrc)?;
        let (_, window) = &mut self.rtp[at];
        let index = window.of_sequence(sequence).ok_or(Fault::Old)?;
        window.check(index)?;
        self.key.lasts(RTP)?;
        // Whatever becomes of it: its key stream may have been used.
        window.note(index);
        self.key.left[RTP] -= 1;
        let place = Place { ssrc, index };
        let cipher = &self.key.session.rtp;
        cipher
            .seal_rtp(place, head, buffer, len, &self.key.mki)
            .ok_or(Fault::Malformed)
    }

    /// The number behind the newest that was sealed of an SSRC, if any was: those before are worth nothing under this key.
    pub fn next(&self, ssrc: u32) -> Option<u16> {
        let known = self.rtp.iter().find(|(known, _)| *known == ssrc);
        known.and_then(|(_, window)| window.next())
    }

    /// Where the numbers of an SSRC are. None is forgotten, since a number must not be used again.
    fn stream(&mut self, ssrc: u32) -> Result<usize, Fault> {
        match self.rtp.iter().position(|(known, _)| *known == ssrc) {
            Some(at) => Ok(at),
            None if self.rtp.len() < self.rtp.capacity() => {
                self.rtp.push((ssrc, Window::default()));
                Ok(self.rtp.len() - 1)
            }
            None => Err(Fault::TooMany),
        }
    }

    /// Seals the RTCP packet of `len` octets in front of `buffer`; gives its new length.
    pub fn rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Fault> {
        let ssrc = rtcp_ssrc(buffer.get(..len).ok_or(Fault::Malformed)?)?;
        self.key.lasts(RTCP)?;
        let place = Place { ssrc, index: self.rtcp };
        self.rtcp += 1;
        self.key.left[RTCP] -= 1;
        let cipher = &self.key.session.rtcp;
        cipher
            .seal_rtcp(place, buffer, len, &self.key.mki)
            .ok_or(Fault::Malformed)
    }
}

/// What came of one SSRC.
#[derive(Clone, Copy)]
struct Stream {
    ssrc: u32,
    windows: [Window; 2],
}

/// Opens what a leg receives.
pub struct Opener {
    keys: Box<[Key]>,
    /// Octets of the master key identifier: the same for all (RFC 4568 6.1).
    mki: usize,
    /// The one that was heard last is the last.
    streams: Vec<Stream>,
}

impl Opener {
    /// By the keys for what comes, of which nothing came yet.
    pub fn new(keys: &Keys) -> Opener {
        Opener::for_streams(keys, limits::SRTP_STREAMS)
    }

    /// The same for a peer with so many SSRCs.
    pub fn for_streams(keys: &Keys, streams: usize) -> Opener {
        Opener {
            keys: keys.open().iter().map(Key::new).collect(),
            mki: keys.open()[0].mki().len(),
            streams: Vec::with_capacity(streams.max(1)),
        }
    }

    /// Opens an RTP packet; gives the length of what is plain now.
    pub fn rtp(&mut self, packet: &mut [u8]) -> Result<usize, Fault> {
        let (head, ssrc, sequence) = rtp_head(packet)?;
        let mut stream = self.stream(ssrc);
        let window = &mut stream.windows[RTP];
        let index = window.of_sequence(sequence).ok_or(Fault::Old)?;
        window.check(index)?;
        window.note(index);
        let mki = self.mki;
        let key = self.key(packet, |key| key.session.rtp.behind_mki())?;
        key.lasts(RTP)?;
        let opened = key.session.rtp.open_rtp(Place { ssrc, index }, head, packet, mki);
        let len = opened.ok_or(Fault::Forged)?;
        key.left[RTP] -= 1;
        self.note(stream);
        Ok(len)
    }

    /// Opens an RTCP packet; gives the length of what is plain now.
    pub fn rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Fault> {
        let ssrc = rtcp_ssrc(packet)?;
        let mut stream = self.stream(ssrc);
        let mki = self.mki;
        let key = self.key(packet, |key| key.session.rtcp.behind_mki())?;
        key.lasts(RTCP)?;
        let cipher = &key.session.rtcp;
        let index = cipher.rtcp_index(packet, mki).ok_or(Fault::Malformed)?;
        let window = &mut stream.windows[RTCP];
        window.check(index)?;
        window.note(index);
        let opened = cipher.open_rtcp(Place { ssrc, index }, packet, mki);
        let len = opened.ok_or(Fault::Forged)?;
        key.left[RTCP] -= 1;
        self.note(stream);
        Ok(len)
    }

    /// The key whose identifier a packet carries. Only where there is one key and it has no identifier, none is looked for.
    fn key(&mut self, packet: &[u8], behind: impl Fn(&Key) -> usize) -> Result<&mut Key, Fault> {
        let mki = self.mki;
        let is_named = |key: &Key| {
            let end = packet.len().checked_sub(behind(key));
            let found = end.and_then(|end| packet.get(end.checked_sub(mki)?..end));
            found == Some(&*key.mki)
        };
        self.keys.iter_mut().find(|key| is_named(key)).ok_or(Fault::UnknownKey)
    }

    /// What is known of an SSRC.
    fn stream(&self, ssrc: u32) -> Stream {
        let known = self.streams.iter().rev().find(|stream| stream.ssrc == ssrc);
        known.copied().unwrap_or(Stream {
            ssrc,
            windows: Default::default(),
        })
    }

    /// A genuine packet of it came. Of too many, the one that was not heard for longest is forgotten.
    fn note(&mut self, stream: Stream) {
        let place = self.streams.iter().position(|known| known.ssrc == stream.ssrc);
        match place {
            Some(place) if place + 1 == self.streams.len() => {}
            Some(place) => self.streams[place..].rotate_left(1),
            None if self.streams.len() < self.streams.capacity() => self.streams.push(stream),
            None => self.streams.rotate_left(1),
        }
        if let Some(last) = self.streams.last_mut() {
            *last = stream;
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({} keys)", self.keys.len())
    }
}

/// Octets of the header, SSRC and sequence number.
fn rtp_head(packet: &[u8]) -> Result<(usize, u32, u16), Fault> {
    let head = rtp::head_octets(packet).map_err(|_| Fault::Malformed)?;
    let fixed: &[u8; rtp::HEADER_BYTES] = packet.first_chunk().ok_or(Fault::Malformed)?;
    let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
    Ok((head, ssrc, u16::from_be_bytes([fixed[2], fixed[3]])))
}

/// The SSRC of who wrote it (RFC 3550 6.4).
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Fault> {
    let head: &[u8; 8] = packet.first_chunk().ok_or(Fault::Malformed)?;
    Ok(u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

#[cfg(test)]
mod tests;
