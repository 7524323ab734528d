//! Fax in a description: `m=image ... udptl t38` (RFC 3362, ITU-T T.38 Annex D). What one side says of its fax is carried to the other
//! as it came, since it is they who speak T.38: version, rates, buffers, error correction, whatever a vendor adds. Address and port
//! become ours.
//!
//! A description is a fax where an image line is up and no audio line is: alone, or beside an audio line of port 0 before or behind it.
//! Where audio is up, that is taken and the image is refused.

use super::complete::Offered;
use super::direction::Direction;
use super::negotiate::{Agreed, Capabilities, Local, description, our_audio, timing, unbounded};
use super::parse::{SdpError, Session};
use super::peer::{media_address, remote};
use super::session::{Attribute, Media, Proto, Text};
use crate::limits;
use crate::media::command::Stream;
use codecs::Codec;
use std::net::IpAddr;

/// The transport (RFC 3362 2.3.2 leaves it to T.38; case does not matter, since peers write both).
const UDPTL: &str = "udptl";
/// The format.
const T38: &str = "t38";

const NO_FAX: SdpError = SdpError::NotAcceptable("The offer has no image stream of T.38 over UDPTL.");
const TOO_MUCH: SdpError =
    SdpError::NotAcceptable("The image stream says more of its fax (T.38) than this node carries to the other side.");
const REFUSED: SdpError = SdpError::NotAcceptable("The peer refused the fax (T.38): its answer says port 0.");
const OTHER: SdpError = SdpError::NotAcceptable("The answer to a fax (T.38 over UDPTL) is something else.");
const ELSEWHERE: SdpError =
    SdpError::Malformed("The answer's m= lines are not those of the offer in the same order (RFC 3264 6).");

/// What one side says of its fax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `a=T38...`, as they came, in order.
    attributes: Vec<Attribute<'static>>,
    /// Seen from who says it.
    direction: Direction,
    /// An audio line, which is refused, stands in the description too.
    beside_audio: bool,
}

impl Image {
    /// That of a description which is a fax. The error is that it says more than is carried on.
    pub fn of(session: &Session<'_>) -> Result<Option<Image>, SdpError> {
        place(session).map(|index| Image::read(session, index)).transpose()
    }

    fn read(session: &Session<'_>, index: usize) -> Result<Image, SdpError> {
        let media = &session.media[index];
        let (mut attributes, mut octets) = (Vec::new(), 0);
        for attribute in media.attributes.iter().filter(|attribute| is_carried(attribute)) {
            octets += attribute.name.len() + attribute.value.as_ref().map_or(0, |value| value.len());
            if attributes.len() >= limits::SDP_T38 || octets > limits::SDP_T38_BYTES {
                return Err(TOO_MUCH);
            }
            attributes.push(attribute.clone().into_owned());
        }
        Ok(Image {
            attributes,
            direction: session.direction(media),
            beside_audio: session.media.iter().any(Media::is_audio),
        })
    }

    /// The other one says the same of the fax, wherever it wants it.
    pub fn says_what(&self, other: &Image) -> bool {
        (&self.attributes, self.direction) == (&other.attributes, other.direction)
    }

    /// Our line with these words.
    fn line<'t>(&self, local: &Local, proto: Proto<'t>) -> Media<'t> {
        let mut attributes: Vec<Attribute<'t>> = self.attributes.clone();
        if self.direction != Direction::SendRecv {
            attributes.push(Attribute::flag(self.direction.as_str()));
        }
        Media {
            kind: "image".into(),
            port: local.port,
            port_count: None,
            proto,
            formats: vec![T38.into()],
            connection: None,
            lines: Vec::new(),
            attributes,
        }
    }
}

fn is_carried(attribute: &Attribute<'_>) -> bool {
    let start = attribute.name.get(..T38.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(T38))
}

/// An image line of T.38 over UDPTL, up or not. (TCP, and UDPTL under DTLS by RFC 7345, are other transports.)
pub(super) fn is_fax(media: &Media<'_>) -> bool {
    media.kind.eq_ignore_ascii_case("image")
        && media.proto.as_str().eq_ignore_ascii_case(UDPTL)
        && media.formats.iter().any(|format| format.eq_ignore_ascii_case(T38))
}

/// The line of a description that is a fax.
pub(super) fn place(session: &Session<'_>) -> Option<usize> {
    if session.media.iter().any(|media| media.is_audio() && media.port != 0) {
        return None;
    }
    session.media.iter().position(|media| is_fax(media) && media.port != 0)
}

/// The direction of a description that is a fax, seen from who wrote it.
pub(super) fn direction(session: &Session<'_>) -> Option<Direction> {
    place(session).map(|index| session.direction(&session.media[index]))
}

/// Which m-line of a description of ours has our fax, up or not.
pub(super) fn our_image(lines: &[Media<'_>]) -> Option<usize> {
    lines
        .iter()
        .position(|media| is_fax(media) && media.port != 0)
        .or_else(|| lines.iter().position(is_fax))
}

/// An offer with these words. As the other side has it, the image takes the place of our audio (RFC 3264 8.3.3), or stands beside it.
pub(super) fn offer<'t>(local: &Local, words: &Image, previous: Option<&Session<'t>>) -> (Session<'t>, Offered) {
    let before = previous.map(|last| last.media.as_slice()).unwrap_or_default();
    let in_place = || our_audio(before).filter(|_| !words.beside_audio);
    let index = our_image(before).or_else(in_place).unwrap_or(before.len());
    let mut lines: Vec<Media<'t>> = before.iter().map(Media::refused).collect();
    let kept = before
        .get(index)
        .filter(|media| is_fax(media))
        .map(|media| media.proto.clone());
    let line = words.line(local, kept.unwrap_or(Proto::Other(Text::Borrowed(UDPTL))));
    match lines.get_mut(index) {
        Some(place) => *place = line,
        None => lines.push(line),
    }
    (description(local, unbounded(), lines), Offered::fax(index))
}

/// Our answer with these words to an offer that is a fax.
pub(super) fn answer<'t>(
    offer: &Session<'t>,
    local: &Local,
    words: &Image,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<(Session<'t>, Agreed), SdpError> {
    let index = place(offer).ok_or(NO_FAX)?;
    let agreed = agreed(offer, index, local, capabilities, signalling)?;
    let line = |(nth, other): (usize, &Media<'t>)| match nth == index {
        true => words.line(local, other.proto.clone()),
        false => other.refused(),
    };
    let lines = offer.media.iter().enumerate().map(line).collect();
    Ok((description(local, timing(offer), lines), agreed))
}

/// What the answer to an offer of ours with a fax agrees on.
pub(super) fn complete(
    index: usize,
    answer: &Session<'_>,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<Agreed, SdpError> {
    let media = answer.media.get(index).ok_or(ELSEWHERE)?;
    if media.port == 0 {
        return Err(REFUSED);
    }
    if !is_fax(media) {
        return Err(OTHER);
    }
    agreed(answer, index, local, capabilities, signalling)
}

/// Whether a fax that is offered could be answered from this address.
pub fn acceptable_fax(offer: &Session<'_>, local: &Local) -> Result<(), SdpError> {
    let index = place(offer).ok_or(NO_FAX)?;
    media_address(offer, &offer.media[index], local).map(drop)
}

fn agreed(
    theirs: &Session<'_>,
    index: usize,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<Agreed, SdpError> {
    let media = &theirs.media[index];
    let words = Image::read(theirs, index)?;
    let addr = media_address(theirs, media, local)?;
    let direction = words.direction.mirrored();
    // Any will do: it is not spoken.
    let codec = capabilities.codecs.first().copied().unwrap_or(Codec::Pcma);
    Ok(Agreed {
        remote: remote(addr, media, false, signalling),
        stream: Stream::udptl(codec, direction.sends() && !addr.is_unspecified(), direction.receives()),
        direction,
        held_by_peer: false,
        keys: None,
        connect: None,
        image: Some(Box::new(words)),
        video: None,
    })
}

#[cfg(test)]
mod tests;
