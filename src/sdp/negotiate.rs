//! Offer and answer (RFC 3264) for one audio stream, as a pure function of offer, policy and leg.
//!
//! The answerer's choice is free within the offer (RFC 3264 6.1). Ours: the first codec of `Capabilities` that is offered, alone
//! with the telephone events of its clock, since many phones go wrong with several. The caller orders `Capabilities` so that a
//! leg agrees on what the other leg speaks already.

use super::codec::{self, Format, Numbered, Payload};
use super::parse::{SdpError, Session};
use super::peer::{NARROWBAND_HZ, PTIME_MS, check_profile, common_events, media_address, ptime, remote, unspecified};
use super::session::{Attribute, Connection, Line, Media, Origin, Proto, Text, decimal};
use crate::media::command::{EventFormat, OpusParams, Remote, Stream};
use codecs::Codec;
use smallvec::SmallVec;
use std::net::IpAddr;

pub use super::direction::Direction;

/// What we can do on a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Codecs in order of preference; at least one.
    pub codecs: Vec<Codec>,
    /// Telephone events (RFC 4733), one per clock rate.
    pub events: bool,
    /// The packet time that we prefer to receive, in ms.
    pub ptime_ms: u8,
    /// How we encode Opus where the peer does not limit it.
    pub opus: OpusParams,
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
}

/// An offer. With `previous` (our last description of this leg) the m-lines keep their number, order, profile and payload types
/// (RFC 3264 8); a stream that was refused or ended stays in its place, and our audio takes up its own again.
///
/// Panics if `capabilities` name no codec.
pub fn offer<'t>(local: &Local, capabilities: &Capabilities, previous: Option<&Session<'t>>) -> Session<'t> {
    assert!(!capabilities.codecs.is_empty(), "an offer needs at least one codec");
    let before = previous.map(|last| last.media.as_slice()).unwrap_or_default();
    let slot = our_audio(before);
    let kept = slot.map(|index| &before[index]);
    let formats = kept.map(|media| codec::formats(media, None)).unwrap_or_default();
    let numbered = codec::number(&wanted(capabilities), &formats);
    // rtcp-mux is answered, not offered: trunks know little of it. Once agreed it stays (RFC 5761 5.1.1).
    let mux = kept.is_some_and(|media| media.attribute("rtcp-mux").is_some());
    let proto = kept.map_or(Proto::RtpAvp, |media| media.proto.clone());
    let audio = audio_line(local, capabilities, proto, &numbered, local.direction, mux);
    let mut lines: Vec<Media<'t>> = Vec::with_capacity(before.len().max(1));
    lines.extend(before.iter().map(Media::refused));
    match slot {
        Some(index) => lines[index] = audio,
        None => lines.push(audio),
    }
    description(local, unbounded(), lines)
}

/// Whether an offer could be answered at all, by these capabilities and from this address.
pub fn acceptable(offer: &Session<'_>, local: &Local, capabilities: &Capabilities) -> Result<(), SdpError> {
    choose(offer, local, capabilities).map(drop)
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
    let taken = choose(offer, local, capabilities)?;
    let media = &offer.media[taken.index];
    let offered = if taken.ended {
        Direction::Inactive
    } else {
        offer.direction(media)
    };
    let direction = offered.mirrored().and(local.direction);
    let mux = media.attribute("rtcp-mux").is_some();
    let line = |(index, other): (usize, &Media<'t>)| {
        if index != taken.index || taken.ended {
            return other.refused();
        }
        let events = taken
            .events
            .map(|events| (events.payload_type, Payload::Events(events.clock)));
        let numbered: Numbered = std::iter::once((taken.audio.payload_type, taken.audio.payload))
            .chain(events)
            .collect();
        audio_line(local, capabilities, media.proto.clone(), &numbered, direction, mux)
    };
    let lines = offer.media.iter().enumerate().map(line).collect();
    // RFC 3264 6: the t= line of the answer equals that of the offer.
    let timing = offer.lines.iter().find(|line| line.kind == 't').cloned();
    let timing = timing.unwrap_or_else(unbounded);
    let agreed = Agreed {
        remote: remote(taken.addr, media, mux, signalling),
        stream: Stream {
            codec: taken.codec,
            payload_type_tx: taken.audio.payload_type,
            payload_type_rx: taken.audio.payload_type,
            ptime_ms: ptime(media, taken.codec),
            events_tx: taken.events,
            events_rx: taken.events,
            opus: codec::opus_for(capabilities.opus, taken.audio.fmtp),
            sends: direction.sends() && !taken.addr.is_unspecified(),
            receives: direction.receives(),
        },
        direction,
        held_by_peer: !offered.receives() || taken.addr.is_unspecified(),
    };
    Ok((description(local, timing, lines), agreed))
}

/// The peer's answer to our offer. Of several codecs in it the first counts. The payload types that the peer wrote are those we
/// send with, ours those we receive: they may differ (RFC 3264 6.1). `NotAcceptable` says that nothing was agreed; what was agreed
/// before then stays, or the call ends.
pub fn complete(
    our_offer: &Session<'_>,
    answer: &Session<'_>,
    local: &Local,
    capabilities: &Capabilities,
    signalling: IpAddr,
) -> Result<Agreed, SdpError> {
    let index = our_audio(&our_offer.media).ok_or(SdpError::NotAcceptable("Our own offer has no audio stream."))?;
    let ours = &our_offer.media[index];
    let media = answer
        .media
        .get(index)
        .filter(|media| media.is_audio())
        .ok_or(SdpError::Malformed(
            "The answer's m= lines are not those of the offer in the same order (RFC 3264 6).",
        ))?;
    if media.port == 0 {
        return Err(SdpError::NotAcceptable(
            "The peer refused the audio stream: its answer says port 0.",
        ));
    }
    check_profile(media)?;
    let (our_formats, formats) = (codec::formats(ours, None), codec::formats(media, Some(ours)));
    let (codec, audio, rx) = formats
        .iter()
        .find_map(|format| {
            let Payload::Audio(codec) = format.payload else {
                return None;
            };
            let ours = our_formats.iter().find(|ours| ours.payload == format.payload)?;
            Some((codec, format, ours.payload_type))
        })
        .ok_or(SdpError::NotAcceptable("The answer names no codec that was offered."))?;
    let events = common_events(codec, &our_formats, &formats).filter(|_| capabilities.events);
    let addr = media_address(answer, media, local)?;
    let offered = our_offer.direction(ours);
    let answered = answer.direction(media);
    let direction = offered.and(answered.mirrored());
    let mux = ours.attribute("rtcp-mux").is_some() && media.attribute("rtcp-mux").is_some();
    Ok(Agreed {
        remote: remote(addr, media, mux, signalling),
        stream: Stream {
            codec,
            payload_type_tx: audio.payload_type,
            payload_type_rx: rx,
            ptime_ms: ptime(media, codec),
            events_tx: events.map(|(tx, _)| tx),
            events_rx: events.map(|(_, rx)| rx),
            opus: codec::opus_for(capabilities.opus, audio.fmtp),
            sends: direction.sends() && !addr.is_unspecified(),
            receives: direction.receives(),
        },
        direction,
        held_by_peer: (offered.sends() && !answered.receives()) || addr.is_unspecified(),
    })
}

/// Which m-line of a description of ours carries our audio: the one that is up, else the audio line whose place may be taken up again (RFC 3264 8.1).
fn our_audio(lines: &[Media<'_>]) -> Option<usize> {
    let plain = |media: &Media<'_>| media.is_audio() && media.proto.is_plain();
    lines
        .iter()
        .position(|media| plain(media) && media.port != 0)
        .or_else(|| lines.iter().position(plain))
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
    payloads
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
    /// Where the peer wants its media.
    addr: IpAddr,
}

fn choose<'a>(offer: &'a Session<'_>, local: &Local, capabilities: &Capabilities) -> Result<Taken<'a>, SdpError> {
    let ended = offer.media.iter().all(|media| media.port == 0);
    let mut refusal = SdpError::NotAcceptable("The offer has no audio stream, and this node speaks nothing else.");
    for (index, media) in offer.media.iter().enumerate() {
        if !media.is_audio() || (media.port == 0 && !ended) {
            continue;
        }
        match audio_of(offer, media, local, capabilities) {
            Ok((codec, audio, events, addr)) => {
                return Ok(Taken {
                    index,
                    ended,
                    codec,
                    audio,
                    events,
                    addr,
                });
            }
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

type Acceptable<'a> = (Codec, Format<'a>, Option<EventFormat>, IpAddr);

fn audio_of<'a, 't>(
    offer: &'a Session<'t>,
    media: &'a Media<'t>,
    local: &Local,
    capabilities: &Capabilities,
) -> Result<Acceptable<'a>, SdpError> {
    check_profile(media)?;
    let formats = codec::formats(media, None);
    let (codec, audio) = capabilities
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
    let events = common_events(codec, &formats, &formats).filter(|_| capabilities.events);
    let addr = if media.port == 0 {
        unspecified(local)
    } else {
        media_address(offer, media, local)?
    };
    Ok((codec, audio, events.map(|(tx, _)| tx), addr))
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

/// `t=` of a session without beginning or end (RFC 8866 5.9).
fn unbounded<'t>() -> Line<'t> {
    Line {
        kind: 't',
        value: "0 0".into(),
    }
}

fn description<'t>(local: &Local, timing: Line<'t>, media: Vec<Media<'t>>) -> Session<'t> {
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
mod tests {
    use super::*;

    fn local() -> Local {
        Local {
            addr: "192.0.2.10".parse().unwrap(),
            port: 20_000,
            session_id: 7,
            version: 1,
            direction: Direction::SendRecv,
        }
    }

    fn peer() -> Local {
        Local {
            addr: "192.0.2.20".parse().unwrap(),
            port: 30_000,
            session_id: 9,
            version: 1,
            direction: Direction::SendRecv,
        }
    }

    fn speaks(codecs: &[Codec]) -> Capabilities {
        Capabilities {
            codecs: codecs.to_vec(),
            events: true,
            ptime_ms: 20,
            opus: OpusParams::default(),
        }
    }

    fn all() -> Capabilities {
        speaks(&[Codec::Opus, Codec::Pcma, Codec::Pcmu])
    }

    fn read(body: &str) -> Session<'static> {
        Session::parse(body.as_bytes()).unwrap().into_owned()
    }

    /// An offer of `m=audio 4000 RTP/AVP FORMATS` from 192.0.2.20 with more lines.
    fn audio(rest: &str) -> Session<'static> {
        read(&format!(
            "v=0\no=- 1 1 IN IP4 192.0.2.20\ns=-\nc=IN IP4 192.0.2.20\nt=0 0\nm=audio 4000 RTP/AVP {rest}"
        ))
    }

    fn answered<'t>(offer: &Session<'t>, capabilities: &Capabilities) -> (Session<'t>, Agreed) {
        answer(offer, &local(), capabilities, peer().addr).unwrap()
    }

    fn refused(offer: &Session<'_>) -> &'static str {
        let error = answer(offer, &local(), &all(), peer().addr).unwrap_err();
        assert_eq!(error.status(), 488, "{}", error.reason());
        error.reason()
    }

    const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\n";

    #[test]
    fn an_offer_is_written_in_full() {
        assert_eq!(
            offer(&local(), &all(), None).to_string(),
            "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
             m=audio 20000 RTP/AVP 96 8 0 101 102\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
             a=rtpmap:102 telephone-event/48000\r\na=fmtp:102 0-15\r\na=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\n"
        );
        let v6 = Local {
            addr: "2001:db8::1".parse().unwrap(),
            ..local()
        };
        let silent = Capabilities {
            events: false,
            ..speaks(&[Codec::Pcmu, Codec::Pcmu])
        };
        let written = offer(&v6, &silent, None).to_string();
        assert!(
            written.contains("c=IN IP6 2001:db8::1\r\n") && written.contains("m=audio 20000 RTP/AVP 0\r\n"),
            "{written}"
        );
    }

    #[test]
    fn the_first_codec_of_ours_that_is_offered_is_answered_alone_with_its_events() {
        let offer = audio(
            "8 0 13 111 101 110\na=rtpmap:111 OPUS/48000/2\na=fmtp:111 useinbandfec=1\n\
            a=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000\n",
        );
        for (ours, formats, event) in [
            (all(), "111 110", Some((110, 48_000))),
            (speaks(&[Codec::Pcmu, Codec::Opus]), "0 101", Some((101, 8_000))),
            (
                Capabilities {
                    events: false,
                    ..speaks(&[Codec::Pcma])
                },
                "8",
                None,
            ),
        ] {
            let (session, agreed) = answered(&offer, &ours);
            assert_eq!(session.media[0].formats.join(" "), formats);
            assert_eq!(agreed.stream.codec, ours.codecs[0]);
            assert_eq!(agreed.stream.events_tx.map(|e| (e.payload_type, e.clock)), event);
            assert_eq!(agreed.stream.events_rx, agreed.stream.events_tx);
        }
    }

    #[test]
    fn opus_takes_narrowband_events_where_there_are_no_others() {
        let (session, agreed) = answered(&audio(&format!("96 101\na=rtpmap:96 opus/48000/2\n{EVENTS}")), &all());
        assert_eq!(session.media[0].formats, ["96", "101"]);
        assert_eq!(
            agreed.stream.events_tx,
            Some(EventFormat {
                payload_type: 101,
                clock: 8_000
            })
        );
        let (_, without) = answered(
            &audio("96 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/16000\n"),
            &all(),
        );
        assert_eq!(without.stream.events_tx, None);
    }

    #[test]
    fn the_payload_types_of_an_answer_may_differ_from_those_of_the_offer() {
        let ours = offer(&local(), &all(), None);
        let answer = audio(
            "120 126\na=rtpmap:120 opus/48000/2\na=fmtp:120 maxaveragebitrate=12000\na=rtpmap:126 telephone-event/48000\n",
        );
        let agreed = complete(&ours, &answer, &local(), &all(), peer().addr).unwrap();
        let Stream {
            codec,
            payload_type_tx,
            payload_type_rx,
            events_tx,
            events_rx,
            opus,
            ..
        } = agreed.stream;
        assert_eq!((codec, payload_type_tx, payload_type_rx), (Codec::Opus, 120, 96));
        assert_eq!(
            (events_tx.unwrap().payload_type, events_rx.unwrap().payload_type),
            (126, 102)
        );
        assert_eq!((opus.bitrate, opus.fec), (12_000, false));
    }

    #[test]
    fn an_answer_is_read_with_its_first_codec_and_refused_for_a_reason() {
        let ours = offer(&local(), &all(), None);
        let done = |answer: &Session<'_>| complete(&ours, answer, &local(), &all(), peer().addr);
        assert_eq!(done(&audio("18 0 8\n")).unwrap().stream.codec, Codec::Pcmu);
        // 96 without its map is what we offered as 96.
        assert_eq!(done(&audio("96\n")).unwrap().stream.codec, Codec::Opus);
        let video = read("v=0\nc=IN IP4 192.0.2.20\nm=video 4000 RTP/AVP 31\n");
        for (answer, status) in [
            (read("v=0\n"), 400),
            (video, 400),
            (read("v=0\nc=IN IP4 192.0.2.20\nm=audio 0 RTP/AVP 0\n"), 488),
            (read("v=0\nc=IN IP4 192.0.2.20\nm=audio 4000 RTP/SAVP 0\n"), 488),
            (read("v=0\nm=audio 4000 RTP/AVP 0\n"), 400),
            (audio("18\n"), 488),
        ] {
            assert_eq!(done(&answer).unwrap_err().status(), status, "{answer}");
        }
    }

    #[test]
    fn every_other_m_line_is_refused_in_its_place() {
        let offer = read(
            "v=0\no=- 1 1 IN IP4 192.0.2.20\nc=IN IP4 192.0.2.20\nt=5 6\nm=image 6000 udptl t38\na=T38FaxVersion:0\n\
            m=audio 3998 RTP/SAVP 0\nm=audio 4000 RTP/AVPF 0\nm=audio 4002 RTP/AVP 8\nm=video 4004/2 RTP/AVP 31 32\n\
            m=application 4006 UDP/DTLS/SCTP webrtc-datachannel\nm=message 4008 TCP/MSRP *\nm=video 0 RTP/AVP\n",
        );
        let (first, agreed) = answered(&offer, &all());
        let heads = |session: &Session<'_>| -> Vec<String> {
            session
                .media
                .iter()
                .map(|m| format!("{} {} {} {}", m.kind, m.port, m.proto.as_str(), m.formats.join(" ")))
                .collect()
        };
        let mut expected = vec![
            "image 0 udptl t38",
            "audio 0 RTP/SAVP 0",
            "audio 20000 RTP/AVPF 0",
            "audio 0 RTP/AVP 8",
            "video 0 RTP/AVP 31 32",
            "application 0 UDP/DTLS/SCTP webrtc-datachannel",
            "message 0 TCP/MSRP *",
            "video 0 RTP/AVP 0",
        ];
        assert_eq!(heads(&first), expected);
        assert!(
            first
                .media
                .iter()
                .all(|media| media.port != 0 || media.attributes.is_empty())
        );
        assert_eq!(
            first.lines,
            [Line {
                kind: 't',
                value: "5 6".into()
            }]
        );
        assert_eq!(agreed.remote.rtp, "192.0.2.20:4000".parse().unwrap());
        // Our later offer keeps them all, and our profile.
        let again = super::offer(&local(), &speaks(&[Codec::Pcmu]), Some(&first));
        expected[2] = "audio 20000 RTP/AVPF 0 101";
        assert_eq!(heads(&again), expected);
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        assert!(refused(&read("v=0\n")).contains("no audio"));
        assert!(refused(&read("v=0\nm=video 4 RTP/AVP 31\n")).contains("no audio"));
        assert!(refused(&audio("18 4\n")).contains("no codec"));
        let c = "v=0\nc=IN IP4 192.0.2.20\n";
        assert!(refused(&read(&format!("{c}m=audio 4 RTP/SAVP 0\n"))).contains("SRTP"));
        assert!(refused(&read(&format!("{c}m=audio 4 UDP/TLS/RTP/SAVPF 0\n"))).contains("SRTP"));
        assert!(refused(&read(&format!("{c}m=audio 4 TCP/RTP/AVP 0\n"))).contains("transport"));
        for (address, why) in [
            ("IN IP4 host.example.com", "host name"),
            ("IN IP4 224.2.1.1/127", "one receiver"),
            ("ATM - -", "one receiver"),
            ("IN IP4 224.2.1.1", "multicast"),
            ("IN IP4 255.255.255.255", "broadcast"),
            ("IN IP6 2001:db8::1", "IP versions"),
        ] {
            assert!(
                refused(&read(&format!("v=0\nc={address}\nm=audio 4 RTP/AVP 0\n"))).contains(why),
                "{address}"
            );
        }
        let bare = read("v=0\nm=audio 4 RTP/AVP 0\n");
        assert_eq!(answer(&bare, &local(), &all(), peer().addr).unwrap_err().status(), 400);
        // T.38 in place of the audio: 488 keeps the call as it is.
        assert!(refused(&read(&format!("{c}m=audio 0 RTP/AVP 0\nm=image 9 udptl t38\n"))).contains("no audio"));
    }

    #[test]
    fn keys_beside_plain_rtp_are_left_alone() {
        let offer = audio("0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\na=fingerprint:sha-256 AA\n");
        let (session, _) = answered(&offer, &all());
        assert_eq!(session.media[0].attribute("crypto"), None);
        assert_eq!(offer.media[0].attribute("fingerprint"), Some("sha-256 AA"));
    }

    #[test]
    fn a_stream_that_ends_is_answered_in_kind_and_comes_back() {
        let ended = read("v=0\nc=IN IP4 192.0.2.20\nm=video 0 RTP/AVP 31\nm=audio 0 RTP/AVP 0\n");
        let (session, agreed) = answered(&ended, &all());
        assert!(session.media.iter().all(|media| media.port == 0));
        assert_eq!(
            (agreed.direction, agreed.stream.sends, agreed.stream.receives),
            (Direction::Inactive, false, false)
        );
        let again = offer(&local(), &all(), Some(&session));
        assert_eq!((again.media.len(), again.media[1].port), (2, 20_000));
    }

    #[test]
    fn rtcp_mux_is_answered_but_not_offered_before_it_is_agreed() {
        for (rest, mux) in [("0\na=rtcp-mux\n", true), ("0\n", false)] {
            let (session, agreed) = answered(&audio(rest), &all());
            let again = offer(&local(), &all(), Some(&session));
            let completed = complete(&again, &audio("0\na=rtcp-mux\n"), &local(), &all(), peer().addr).unwrap();
            let written = |session: &Session<'_>| session.media[0].attribute("rtcp-mux").is_some();
            assert_eq!((written(&session), agreed.remote.rtcp_mux), (mux, mux));
            assert_eq!((written(&again), completed.remote.rtcp_mux), (mux, mux));
        }
    }

    #[test]
    fn later_offers_keep_payload_types_and_say_when_nothing_changed() {
        let theirs = audio("111 0 96\na=rtpmap:111 opus/48000/2\na=rtpmap:96 telephone-event/48000\n");
        let (first, _) = answered(&theirs, &all());
        let later = offer(&Local { version: 2, ..local() }, &all(), Some(&first));
        assert_eq!(later.media[0].formats, ["111", "8", "0", "101", "96"]);
        assert!(!later.same_but_version(&first));
        let mut again = offer(&Local { version: 3, ..local() }, &all(), Some(&later));
        assert!(again.same_but_version(&later) && again != later);
        again.set_version(2);
        assert_eq!(again, later);
        let moved = offer(
            &Local {
                port: 20_002,
                ..local()
            },
            &all(),
            Some(&later),
        );
        assert!(!moved.same_but_version(&later));
    }

    #[test]
    fn ipv6_and_streams_with_their_own_address() {
        let v6 = Local {
            addr: "2001:db8::1".parse().unwrap(),
            ..local()
        };
        let theirs = read("v=0\nc=IN IP4 192.0.2.20\nm=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::2\n");
        let (session, agreed) = answer(&theirs, &v6, &all(), peer().addr).unwrap();
        assert_eq!(agreed.remote.rtp, "[2001:db8::2]:4000".parse().unwrap());
        assert_eq!(agreed.remote.signalling, peer().addr);
        assert!(session.to_string().contains("c=IN IP6 2001:db8::1\r\n"));
        assert_eq!(theirs.audio_address(), Some("2001:db8::2".parse().unwrap()));
        let held = read("v=0\nc=IN IP6 ::\nm=audio 4000 RTP/AVP 0\n");
        assert!(
            answer(&held, &v6, &all(), peer().addr)
                .unwrap()
                .1
                .remote
                .rtp
                .ip()
                .is_unspecified()
        );
    }

    #[test]
    fn the_codecs_of_a_description_in_its_order() {
        let theirs = audio("13 8 96 0 8 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 opus/48000/2\n");
        assert_eq!(theirs.audio_codecs(), [Codec::Pcma, Codec::Opus, Codec::Pcmu]);
        assert_eq!(read("v=0\nm=audio 0 RTP/AVP 0\n").audio_codecs(), []);
    }
}
