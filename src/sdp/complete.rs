//! What the peer's answer to our offer agrees on (RFC 3264 7).

use super::codec::{self, Format, Numbered, Payload};
use super::crypto::{self, Crypto};
use super::image;
use super::negotiate::{Agreed, Capabilities, Direction, Local, has_noise, our_audio};
use super::parse::{SdpError, Session};
use super::peer::{common_events, media_address, ptime, remote, unspecified};
use super::session::Media;
use super::webrtc::{Peer, WANTED};
use super::xr;
use crate::media::command::{Connect, Dtmf, Remote, Stream, Suite};
use codecs::Codec;
use std::net::IpAddr;

/// Our offer, as far as its answer is held against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// The m-line of our audio.
    pub(super) index: usize,
    /// Its payload types.
    pub(super) numbered: Numbered,
    pub(super) direction: Direction,
    pub(super) rtcp_mux: bool,
    /// It is no audio, but a fax.
    pub(super) is_fax: bool,
    /// Tags and suites of its keys.
    pub(super) said: Vec<(u32, Suite)>,
}

const UNSPOKEN: SdpError = SdpError::NotAcceptable("The answer names no codec that was offered.");

impl Offered {
    /// With a fax on this m-line.
    pub(super) fn fax(index: usize) -> Offered {
        Offered {
            index,
            numbered: Numbered::new(),
            direction: Direction::SendRecv,
            rtcp_mux: false,
            is_fax: true,
            said: Vec::new(),
        }
    }

    /// `None` for a description without audio or fax.
    pub fn of(offer: &Session<'_>) -> Option<Offered> {
        if let Some(index) = image::place(offer) {
            return Some(Offered::fax(index));
        }
        let index = our_audio(&offer.media)?;
        let ours = &offer.media[index];
        Some(Offered {
            index,
            numbered: codec::numbered(&codec::formats(ours, None)),
            direction: offer.direction(ours),
            rtcp_mux: ours.attribute("rtcp-mux").is_some(),
            is_fax: false,
            said: crypto::said(ours),
        })
    }

    /// The first codec of an answer that was offered, how it is numbered there, and here.
    fn spoken<'a>(&self, formats: &'a [Format<'a>]) -> Option<(Codec, &'a Format<'a>, u8)> {
        formats.iter().find_map(|format| {
            let Payload::Audio(codec) = format.payload else {
                return None;
            };
            let (rx, _) = self.numbered.iter().find(|(_, payload)| *payload == format.payload)?;
            Some((codec, format, *rx))
        })
    }

    /// How the answered stream is protected: as a browser's, or by a line of the description, or not at all.
    fn protection(
        &self,
        answer: &Session<'_>,
        media: &Media<'_>,
        own: IpAddr,
        capabilities: &Capabilities,
    ) -> Result<(Option<Box<Connect>>, Option<Crypto>), SdpError> {
        match &capabilities.webrtc {
            Some(_) if !media.proto.is_dtls() => Err(WANTED),
            Some(webrtc) => Ok((Some(webrtc.connect(Peer::read(answer, media, own)?, false)?), None)),
            None => Ok((
                None,
                crypto::answered(media, capabilities.security.as_ref(), &self.said)?,
            )),
        }
    }

    /// The peer's answer to our offer. Of several codecs in it the first counts. The payload types that the peer wrote are those we
    /// send with, ours those we receive: they may differ (RFC 3264 6.1). `NotAcceptable` says that nothing was agreed; what was agreed
    /// before then stays, or the call ends.
    pub fn complete(
        &self,
        answer: &Session<'_>,
        local: &Local,
        capabilities: &Capabilities,
        signalling: IpAddr,
    ) -> Result<Agreed, SdpError> {
        if self.is_fax {
            return image::complete(self.index, answer, local, capabilities, signalling);
        }
        let media = answer
            .media
            .get(self.index)
            .filter(|media| media.is_audio())
            .ok_or(SdpError::Malformed(
                "The answer's m= lines are not those of the offer in the same order (RFC 3264 6).",
            ))?;
        if media.port == 0 {
            return Err(SdpError::NotAcceptable(
                "The peer refused the audio stream: its answer says port 0.",
            ));
        }
        let (security, webrtc) = (capabilities.security.as_ref(), capabilities.webrtc.as_ref());
        let (connect, crypto) = self.protection(answer, media, local.addr, capabilities)?;
        let formats = codec::formats(media, Some(&self.numbered));
        let (codec, audio, rx) = self.spoken(&formats).ok_or(UNSPOKEN)?;
        let theirs = codec::numbered(&formats);
        let events = common_events(codec, &self.numbered, &theirs).filter(|_| capabilities.events);
        let addr = match connect {
            Some(_) => unspecified(local),
            None => media_address(answer, media, local)?,
        };
        let is_nowhere = connect.is_none() && addr.is_unspecified();
        let answered = answer.direction(media);
        let direction = self.direction.and(answered.mirrored());
        let keys = security
            .zip(crypto)
            .map(|(security, theirs)| security.keys(theirs))
            .transpose()?;
        let mux = self.rtcp_mux && media.attribute("rtcp-mux").is_some();
        Ok(Agreed {
            remote: Remote {
                xr: xr::asked(answer, media).unwrap_or_default(),
                ..remote(addr, media, mux, signalling)
            },
            stream: Stream {
                codec,
                payload_type_tx: audio.payload_type,
                payload_type_rx: rx,
                ptime_ms: ptime(media, codec),
                events_tx: events.map(|(tx, _)| tx),
                events_rx: events.map(|(_, rx)| rx),
                dtmf: Dtmf::default(),
                opus: codec::opus_for(capabilities.opus, audio.fmtp),
                gain: capabilities.gain,
                comfort_noise: has_noise(codec, &theirs) && has_noise(codec, &self.numbered),
                sends: direction.sends() && !is_nowhere,
                receives: direction.receives(),
                udptl: false,
                carries_data: false,
            },
            direction,
            held_by_peer: (self.direction.sends() && !answered.receives()) || is_nowhere,
            keys,
            video: webrtc.and_then(|webrtc| webrtc.video(answer, self.index, local).agreed()),
            connect,
            image: None,
        })
    }
}

/// The peer's answer to this offer of ours, as [`Offered::complete`].
pub fn complete(
    our_offer: &Session<'_>,
    answer: &Session<'_>,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<Agreed, SdpError> {
    let none = SdpError::NotAcceptable("Our own offer has no audio stream.");
    let ours = Offered::of(our_offer).ok_or(none)?;
    ours.complete(answer, local, capabilities, signalling)
}
