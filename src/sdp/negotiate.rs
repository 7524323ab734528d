//! Offer and answer (RFC 3264) for one audio stream, as a pure function of offer, policy and leg.
//!
//! The answerer's choice is free within the offer (RFC 3264 6.1). Ours: the first codec of `Capabilities` that is offered, alone
//! with the telephone events of its clock, since many phones go wrong with several. The caller orders `Capabilities` so that a
//! leg agrees on what the other leg speaks already.

use super::codec::{self, COMFORT_NOISE, Format, Numbered, Payload};
use super::complete::Offered;
use super::crypto::{self, Crypto, Security};
use super::image::{self, Image};
use super::parse::{SdpError, Session};
use super::peer::{NARROWBAND_HZ, PTIME_MS, common_events, media_address, ptime, remote, unspecified};
use super::session::{Attribute, Connection, Line, Media, Origin, Proto, Text, decimal};
use super::webrtc::{self, Peer, Webrtc, WebrtcUse};
use super::xr;
use crate::media::command::{Connect, Dtmf, EventFormat, Gains, Keys, OpusParams, Remote, Srtp, Stream, Video};
use codecs::Codec;
use smallvec::SmallVec;
use std::net::IpAddr;

pub use super::direction::Direction;

/// Codecs of a leg: there are few.
pub type Codecs = SmallVec<[Codec; 4]>;

/// What we can do on a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Codecs in order of preference; at least one.
    pub codecs: Codecs,
    /// Telephone events (RFC 4733), one per clock rate.
    pub events: bool,
    /// The packet time that we prefer to receive, in ms.
    pub ptime_ms: u8,
    /// How we encode Opus where the peer does not limit it.
    pub opus: OpusParams,
    /// How loud this side is for the other, and the other for this one.
    pub gain: Gains,
    /// Comfort noise (RFC 3389) beside G.711.
    pub comfort_noise: bool,
    /// Our keys for SRTP; none where all is in the clear.
    pub security: Option<Security>,
    /// The peer is a browser: what we say to it.
    pub webrtc: Option<Box<Webrtc>>,
}

impl Capabilities {
    /// Whether media is protected.
    pub(super) fn srtp(&self) -> Srtp {
        self.security.as_ref().map_or(Srtp::Off, Security::srtp)
    }

    fn can(&self) -> Can<'_> {
        Can {
            codecs: &self.codecs,
            events: self.events,
            comfort_noise: self.comfort_noise,
            srtp: self.srtp(),
            security: self.security.as_ref(),
            webrtc: match self.webrtc {
                Some(_) => WebrtcUse::Always,
                None => WebrtcUse::Never,
            },
        }
    }
}

/// Our end of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address that we write into `c=` (advertised).
    pub addr: IpAddr,
    /// The RTP port that we write into `m=`.
    pub port: u16,
    /// `o=` session id: the same for the life of a leg.
    pub session_id: u64,
    /// `o=` version: one more whenever the description changes (RFC 3264 8).
    pub version: u64,
    /// What we want to do.
    pub direction: Direction,
}

/// What an offer and its answer agreed on, seen from us.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    /// Where the peer wants its media (`signalling` is filled in by the caller's argument).
    pub remote: Remote,
    /// What is spoken; `sends` and `receives` follow the directions, and nothing is sent to 0.0.0.0.
    pub stream: Stream,
    /// Our direction.
    pub direction: Direction,
    /// The peer has put us on hold: it does not take what we would send, since its direction is sendonly or inactive, or its
    /// address is 0.0.0.0 (RFC 3264 8.4). Where our own offer did not send, the answer cannot tell, and this is false.
    pub held_by_peer: bool,
    /// How media is protected; none: in the clear.
    pub keys: Option<Box<Keys>>,
    /// How a browser is reached and known; none: the peer is none, or the stream has ended for now.
    pub connect: Option<Box<Connect>>,
    /// What the peer says of its fax, where it is one; none: it is audio.
    pub image: Option<Box<Image>>,
    /// Video beside it.
    pub video: Option<Box<Video>>,
}

/// An offer. With `previous` (our last description of this leg) the m-lines keep their number, order, profile and payload types
/// (RFC 3264 8); a stream that was refused or ended stays in its place, and our audio takes up its own again.
///
/// Panics if `capabilities` name no codec.
pub fn offer<'t>(local: &Local, capabilities: &Capabilities, previous: Option<&Session<'t>>) -> Session<'t> {
    offer_to_keep(local, capabilities, previous).0
}

/// Another line than that of our audio, in a further offer: video and places for voices go on as they were, and what was refused stays so.
fn kept_line<'t>(line: &Media<'t>, is_web: bool) -> Media<'t> {
    match is_web {
        true if line.port != 0 => line.clone(),
        true => webrtc::refused(line),
        false => line.refused(),
    }
}

/// The same, and what its answer is to be held against.
pub fn offer_to_keep<'t>(
    local: &Local,
    capabilities: &Capabilities,
    previous: Option<&Session<'t>>,
) -> (Session<'t>, Offered) {
    assert!(!capabilities.codecs.is_empty(), "an offer needs at least one codec");
    let before = previous.map(|last| last.media.as_slice()).unwrap_or_default();
    // After a fax that took its place the audio takes it back (RFC 3264 8.3.3).
    let slot = our_audio(before).or_else(|| image::our_image(before));
    let kept = slot.map(|index| &before[index]).filter(|media| media.is_audio());
    let formats = kept.map(|media| codec::formats(media, None)).unwrap_or_default();
    let numbered = codec::number(&wanted(capabilities), &formats);
    // rtcp-mux is answered, not offered: trunks know little of it. Once agreed it stays (RFC 5761 5.1.1).
    let webrtc = capabilities.webrtc.as_ref();
    let mux = webrtc.is_some() || kept.is_some_and(|media| media.attribute("rtcp-mux").is_some());
    let first = || match webrtc {
        Some(_) => Proto::UdpTlsRtpSavpf,
        None => capabilities.security.as_ref().map_or(Proto::RtpAvp, Security::proto),
    };
    let proto = kept.map_or_else(first, |media| media.proto.clone());
    let mut audio = audio_line(local, capabilities, proto, &numbered, local.direction, mux);
    if let Some(security) = &capabilities.security {
        for line in security.offer() {
            audio.attributes.push(line);
        }
    }
    audio
        .attributes
        .extend(webrtc.into_iter().flat_map(|webrtc| webrtc.offer(local, kept)));
    audio.attributes.push(xr::offered());
    let mut lines: Vec<Media<'t>> = Vec::with_capacity(before.len().max(1));
    lines.extend(before.iter().map(|line| kept_line(line, webrtc.is_some())));
    let index = slot.unwrap_or(lines.len());
    match lines.get_mut(index) {
        Some(line) => *line = audio,
        None => lines.push(audio),
    }
    if let Some(webrtc) = webrtc.filter(|_| before.is_empty()) {
        lines.extend(webrtc.video_offered(lines.len(), local));
    }
    let offered = Offered {
        index,
        numbered,
        direction: local.direction,
        rtcp_mux: mux,
        is_fax: false,
        said: capabilities
            .security
            .as_ref()
            .map(|_| crypto::said(&lines[index]))
            .unwrap_or_default(),
    };
    let head = webrtc
        .map(|webrtc| webrtc::bundle(&mut lines, index, webrtc.is_lite()))
        .unwrap_or_default();
    let mut session = description(local, unbounded(), lines);
    session.attributes = head;
    (session, offered)
}

/// Whether an offer could be answered at all, with these codecs and this protection, and from this address. `webrtc`: also a browser's.
pub fn acceptable(
    offer: &Session<'_>,
    local: &Local,
    codecs: &[Codec],
    srtp: Srtp,
    webrtc: bool,
) -> Result<(), SdpError> {
    let can = Can {
        codecs,
        events: true,
        comfort_noise: false,
        srtp,
        security: None,
        webrtc: if webrtc { WebrtcUse::Maybe } else { WebrtcUse::Never },
    };
    choose(offer, local, can).map(drop)
}

/// Our answer to an offer: the first acceptable audio stream is taken, every other m-line is refused in its place with port 0
/// (RFC 3264 6). `signalling` is the address that the offer came from. An offer that ends all its streams (port 0 everywhere)
/// is answered in kind and agrees on `Inactive`, so that the stream can be taken up again (RFC 3264 8.2).
pub fn answer<'t>(
    offer: &Session<'t>,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<(Session<'t>, Agreed), SdpError> {
    let taken = choose(offer, local, capabilities.can())?;
    let secured = capabilities.security.as_ref().zip(taken.crypto.clone());
    let keys = secured
        .clone()
        .map(|(security, theirs)| security.keys(theirs))
        .transpose()?;
    let media = &offer.media[taken.index];
    let offered = if taken.ended {
        Direction::Inactive
    } else {
        offer.direction(media)
    };
    let direction = offered.mirrored().and(local.direction);
    let mux = media.attribute("rtcp-mux").is_some();
    let webrtc = capabilities.webrtc.as_ref();
    let connect = webrtc
        .zip(taken.peer.clone())
        .map(|(webrtc, theirs)| webrtc.connect(theirs, true))
        .transpose()?;
    let video = webrtc.filter(|_| connect.is_some());
    let video = video.map_or_else(Default::default, |webrtc| webrtc.video(offer, taken.index, local));
    let is_nowhere = connect.is_none() && taken.addr.is_unspecified();
    let asked = xr::asked(offer, media);
    let line = |(index, other): (usize, &Media<'t>)| {
        if let Some(line) = video.line(index) {
            return line;
        }
        if index != taken.index || taken.ended {
            return webrtc.map_or_else(|| other.refused(), |_| webrtc::refused(other));
        }
        let (proto, numbered) = (media.proto.clone(), taken.numbered());
        let mut line = audio_line(local, capabilities, proto, &numbered, direction, mux);
        let crypto = secured.as_ref().and_then(|(security, theirs)| security.answer(theirs));
        line.attributes.extend(crypto);
        if let Some((webrtc, connect)) = webrtc.zip(connect.as_deref()) {
            line.attributes.extend(webrtc.answer(local, connect, media));
        }
        line.attributes.extend(asked.map(xr::answered));
        line
    };
    let mut lines: Vec<_> = offer.media.iter().enumerate().map(line).collect();
    let is_lite = connect.as_ref().map(|connect| connect.lite.is_none());
    let head = is_lite.map(|is_lite| webrtc::bundle(&mut lines, taken.index, is_lite));
    let agreed = Agreed {
        remote: Remote {
            xr: asked.unwrap_or_default(),
            ..remote(taken.addr, media, mux, signalling)
        },
        stream: Stream {
            sends: direction.sends() && !is_nowhere,
            receives: direction.receives(),
            ..taken.stream(media, capabilities)
        },
        direction,
        held_by_peer: !offered.receives() || is_nowhere,
        keys,
        connect,
        image: None,
        video: video.agreed(),
    };
    let mut session = description(local, timing(offer), lines);
    session.attributes = head.unwrap_or_default();
    Ok((session, agreed))
}

/// Which m-line of a description of ours carries our audio: the one that is up, else the audio line whose place may be taken up again (RFC 3264 8.1).
pub(super) fn our_audio(lines: &[Media<'_>]) -> Option<usize> {
    let is_ours = |media: &Media<'_>| media.is_audio() && media.proto.is_known();
    let is_clear = |media: &Media<'_>| is_ours(media) && matches!(media.proto, Proto::RtpAvp | Proto::RtpAvpf);
    lines
        .iter()
        .position(|media| is_ours(media) && media.port != 0)
        .or_else(|| lines.iter().position(is_clear))
        .or_else(|| lines.iter().position(is_ours))
}

/// What an offer of ours lists. Events at 8 kHz always, since there are peers with Opus that know no others.
fn wanted(capabilities: &Capabilities) -> SmallVec<[Payload; 6]> {
    let mut payloads = SmallVec::new();
    for payload in capabilities.codecs.iter().map(|codec| Payload::Audio(*codec)) {
        if !payloads.contains(&payload) {
            payloads.push(payload);
        }
    }
    if capabilities.events {
        payloads.push(Payload::Events(NARROWBAND_HZ));
        if capabilities.codecs.contains(&Codec::Opus) {
            payloads.push(Payload::Events(Codec::Opus.clock()));
        }
    }
    if capabilities.comfort_noise && capabilities.codecs.iter().any(is_g711) {
        payloads.push(Payload::Noise);
    }
    payloads
}

const fn is_g711(codec: &Codec) -> bool {
    matches!(codec, Codec::Pcmu | Codec::Pcma)
}

/// Whether a stream may have comfort noise beside this codec: of the same clock (RFC 3389 4), and by its usual number, which is how it is known
/// among the packets. G.722 has noise of its own band.
pub(super) fn has_noise(codec: Codec, numbered: &[(u8, Payload)]) -> bool {
    is_g711(&codec) && numbered.contains(&(COMFORT_NOISE, Payload::Noise))
}

/// What of an offer is taken.
struct Taken<'a> {
    /// Its m-line.
    index: usize,
    /// Every stream of the offer has port 0.
    ended: bool,
    /// Of ours.
    codec: Codec,
    /// How the offer numbers it.
    audio: Format<'a>,
    /// The telephone events beside it.
    events: Option<EventFormat>,
    /// Comfort noise is offered beside it.
    comfort_noise: bool,
    /// Where the peer wants its media.
    addr: IpAddr,
    /// How it is protected.
    crypto: Option<Crypto>,
    /// What it says, where it is a browser's.
    peer: Option<Peer>,
}

impl Taken<'_> {
    /// What is spoken, in both directions.
    fn stream(&self, media: &Media<'_>, capabilities: &Capabilities) -> Stream {
        Stream {
            codec: self.codec,
            payload_type_tx: self.audio.payload_type,
            payload_type_rx: self.audio.payload_type,
            ptime_ms: ptime(media, self.codec),
            events_tx: self.events,
            events_rx: self.events,
            dtmf: Dtmf::default(),
            opus: codec::opus_for(capabilities.opus, self.audio.fmtp),
            gain: capabilities.gain,
            comfort_noise: self.comfort_noise,
            sends: true,
            receives: true,
            udptl: false,
            carries_data: false,
        }
    }

    /// What our answer lists.
    fn numbered(&self) -> Numbered {
        let events = self
            .events
            .map(|events| (events.payload_type, Payload::Events(events.clock)));
        let noise = self.comfort_noise.then_some((COMFORT_NOISE, Payload::Noise));
        std::iter::once((self.audio.payload_type, self.audio.payload))
            .chain(events)
            .chain(noise)
            .collect()
    }
}

/// What we can do.
#[derive(Clone, Copy)]
struct Can<'c> {
    codecs: &'c [Codec],
    events: bool,
    comfort_noise: bool,
    srtp: Srtp,
    security: Option<&'c Security>,
    webrtc: WebrtcUse,
}

fn choose<'a>(offer: &'a Session<'_>, local: &Local, can: Can<'_>) -> Result<Taken<'a>, SdpError> {
    let ended = offer.media.iter().all(|media| media.port == 0);
    let mut refusal = SdpError::NotAcceptable("The offer has no audio stream, and this node speaks nothing else.");
    for (index, media) in offer.media.iter().enumerate() {
        if !media.is_audio() || (media.port == 0 && !ended) {
            continue;
        }
        match audio_of(offer, media, local, can) {
            Ok((codec, audio, (events, comfort_noise), addr, (crypto, peer))) => {
                return Ok(Taken {
                    index,
                    ended,
                    codec,
                    audio,
                    events,
                    comfort_noise,
                    addr,
                    crypto,
                    peer,
                });
            }
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

type Acceptable<'a> = (
    Codec,
    Format<'a>,
    (Option<EventFormat>, bool),
    IpAddr,
    (Option<Crypto>, Option<Peer>),
);

fn audio_of<'a, 't>(
    offer: &'a Session<'t>,
    media: &'a Media<'t>,
    local: &Local,
    can: Can<'_>,
) -> Result<Acceptable<'a>, SdpError> {
    // A stream that is ended has no media to be protected.
    // A stream that is ended for now has nothing to be encrypted, but must have had keys where it must have some.
    let had_keys = can.srtp != Srtp::Required || can.security.is_some_and(Security::is_used);
    let peer = match media.port == 0 {
        true => None,
        false => Peer::offered(offer, media, can.webrtc, local.addr)?,
    };
    let is_rtp = media.proto.is_rtp();
    let crypto = match peer.is_some() || (media.port == 0 && (is_rtp && had_keys || can.webrtc != WebrtcUse::Never)) {
        true => None,
        false => crypto::taken(media, can.srtp, can.security)?,
    };
    let formats = codec::formats(media, None);
    let (codec, audio) = can
        .codecs
        .iter()
        .find_map(|codec| {
            Some((
                *codec,
                *formats.iter().find(|format| format.payload == Payload::Audio(*codec))?,
            ))
        })
        .ok_or(SdpError::NotAcceptable(
            "The offer names no codec that this side of the call may use.",
        ))?;
    let numbered = codec::numbered(&formats);
    let events = common_events(codec, &numbered, &numbered).filter(|_| can.events);
    let addr = if media.port == 0 || peer.is_some() {
        unspecified(local)
    } else {
        media_address(offer, media, local)?
    };
    let beside = (
        events.map(|(tx, _)| tx),
        can.comfort_noise && has_noise(codec, &numbered),
    );
    Ok((codec, audio, beside, addr, (crypto, peer)))
}

fn audio_line<'t>(
    local: &Local,
    capabilities: &Capabilities,
    proto: Proto<'t>,
    numbered: &[(u8, Payload)],
    direction: Direction,
    rtcp_mux: bool,
) -> Media<'t> {
    let mut attributes = Vec::with_capacity(2 * numbered.len() + 4);
    for (number, payload) in numbered {
        attributes.push(Attribute::new("rtpmap", payload.rtpmap(*number)));
        if let Some(fmtp) = payload.fmtp_line(*number, capabilities.opus) {
            attributes.push(Attribute::new("fmtp", fmtp));
        }
    }
    attributes.push(Attribute::new("ptime", number_text(u32::from(capabilities.ptime_ms))));
    attributes.push(Attribute::new("maxptime", number_text(*PTIME_MS.end())));
    // No a=rtcp: our RTCP port is always the next one, which is what its absence says (RFC 3550 11).
    if rtcp_mux {
        attributes.push(Attribute::flag("rtcp-mux"));
    }
    // Written even where it is the default: some peers stay on hold until they read sendrecv.
    attributes.push(Attribute::flag(direction.as_str()));
    Media {
        kind: "audio".into(),
        port: local.port,
        port_count: None,
        proto,
        formats: numbered
            .iter()
            .map(|(number, _)| number_text(u32::from(*number)))
            .collect(),
        connection: None,
        lines: Vec::new(),
        attributes,
    }
}

/// The numbers that most of our descriptions hold need no room of their own.
fn number_text(number: u32) -> Text<'static> {
    match number {
        20 => "20".into(),
        60 => "60".into(),
        96 => "96".into(),
        101 => "101".into(),
        102 => "102".into(),
        number => decimal(number.into()),
    }
}

/// The `t=` line of the answer equals that of the offer (RFC 3264 6).
pub(super) fn timing<'t>(offer: &Session<'t>) -> Line<'t> {
    let line = offer.lines.iter().find(|line| line.kind == 't').cloned();
    line.unwrap_or_else(unbounded)
}

/// `t=` of a session without beginning or end (RFC 8866 5.9).
pub(super) fn unbounded<'t>() -> Line<'t> {
    Line {
        kind: 't',
        value: "0 0".into(),
    }
}

pub(super) fn description<'t>(local: &Local, timing: Line<'t>, media: Vec<Media<'t>>) -> Session<'t> {
    let address = Connection::Ip(local.addr);
    Session {
        origin: Origin {
            username: "-".into(),
            session_id: decimal(local.session_id),
            version: decimal(local.version),
            address: address.clone(),
        },
        name: "-".into(),
        connection: Some(address),
        lines: vec![timing],
        attributes: Vec::new(),
        media,
    }
}

#[cfg(test)]
mod tests;
