//! What the formats of an audio m-line stand for: `a=rtpmap` and `a=fmtp` (RFC 8866 6.6, 6.15), static payload types (RFC 3551 6),
//! Opus parameters (RFC 7587 6.1).

use super::session::{Media, Text, split_at_octet};
use crate::media::command::OpusParams;
use codecs::{Codec, Rate};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What a payload type stands for, as far as this node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A codec.
    Audio(Codec),
    /// Telephone events (RFC 4733) on a clock in Hz.
    Events(u32),
    /// Comfort noise at 8 kHz, static payload type 13 (RFC 3389).
    Noise,
}

/// One known format of an m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format<'a> {
    /// The number in the RTP header.
    pub payload_type: u8,
    /// What it stands for.
    pub payload: Payload,
    /// Its `a=fmtp` parameters, empty without.
    pub fmtp: &'a str,
}

/// The payload type of comfort noise (RFC 3551 6): the media path knows it by this number.
pub const COMFORT_NOISE: u8 = 13;
/// The lowest payload type that has no meaning of its own (RFC 3551 6).
const FIRST_DYNAMIC: u8 = 96;
/// RFC 7587 6.1: the range of `maxaveragebitrate` in bits per second.
const OPUS_BITRATE: std::ops::RangeInclusive<u32> = 6_000..=510_000;

/// The formats of `media` that this node knows, in its order, each payload type once. RED and foreign codecs are not
/// among them. A dynamic type that is listed without `a=rtpmap` has the meaning that it has among the `offered`, those of the
/// m-line that `media` answers: some answerers leave the map out.
pub fn formats<'a>(media: &'a Media<'_>, offered: Option<&[(u8, Payload)]>) -> Formats<'a> {
    let said = Said::new(media);
    let meant = |payload_type: u8| {
        let listed = offered?.iter().find(|(number, _)| *number == payload_type);
        listed.map(|(_, payload)| *payload)
    };
    let mut seen = 0u128;
    let mut known = SmallVec::new();
    for payload_type in media.formats.iter().filter_map(|format| payload_type(format)) {
        let payload = match said.of(&said.maps, payload_type) {
            Some(map) => payload(map),
            None => meant(payload_type).or_else(|| static_payload(payload_type)),
        };
        let bit = 1 << payload_type;
        if let Some(payload) = payload
            && seen & bit == 0
        {
            seen |= bit;
            known.push(Format {
                payload_type,
                payload,
                fmtp: said.of(&said.parameters, payload_type).unwrap_or(""),
            });
        }
    }
    known
}

/// Formats of one m-line: few of them are known.
pub type Formats<'a> = SmallVec<[Format<'a>; 6]>;

/// What `a=rtpmap` and `a=fmtp` say of each payload type; the first of each counts. One pass, so that a description of many formats
/// and many attributes costs no more than its length.
struct Said<'a> {
    media: &'a Media<'a>,
    /// The places of the attributes, from 1.
    maps: [u16; 128],
    parameters: [u16; 128],
}

impl<'a> Said<'a> {
    fn new(media: &'a Media<'_>) -> Said<'a> {
        let (mut maps, mut parameters) = ([0; 128], [0; 128]);
        for (nth, attribute) in (1..).zip(&media.attributes) {
            let places = match &*attribute.name {
                "rtpmap" => &mut maps,
                "fmtp" => &mut parameters,
                _ => continue,
            };
            if let Some((number, _)) = attribute.value.as_deref().and_then(cut)
                && places[usize::from(number)] == 0
            {
                places[usize::from(number)] = nth;
            }
        }
        Said {
            media,
            maps,
            parameters,
        }
    }

    fn of(&self, places: &[u16; 128], payload_type: u8) -> Option<&'a str> {
        let place = usize::from(places[usize::from(payload_type)]).checked_sub(1)?;
        let (_, rest) = cut(self.media.attributes[place].value.as_deref()?)?;
        Some(rest)
    }
}

/// The payload types of formats.
pub fn numbered(formats: &[Format<'_>]) -> Numbered {
    formats
        .iter()
        .map(|format| (format.payload_type, format.payload))
        .collect()
}

/// A payload type, and what is said of it.
fn cut(value: &str) -> Option<(u8, &str)> {
    let end = value.bytes().position(|byte| matches!(byte, b' ' | b'\t'))?;
    Some((payload_type(&value[..end])?, value[end + 1..].trim()))
}

fn payload_type(token: &str) -> Option<u8> {
    let number = match token.as_bytes() {
        [digit @ b'0'..=b'9'] => digit - b'0',
        _ => token.parse().ok()?,
    };
    (number < 128).then_some(number)
}

/// Payload types that need no `a=rtpmap` (RFC 3551 6).
fn static_payload(payload_type: u8) -> Option<Payload> {
    match payload_type {
        0 => Some(Payload::Audio(Codec::Pcmu)),
        8 => Some(Payload::Audio(Codec::Pcma)),
        9 => Some(Payload::Audio(Codec::G722)),
        COMFORT_NOISE => Some(Payload::Noise),
        _ => None,
    }
}

/// Reads `name/clock[/channels]`; names in any case (RFC 8866 5.14).
fn payload(encoding: &str) -> Option<Payload> {
    let encoding = encoding.split_ascii_whitespace().next()?;
    let (name, rest) = split_at_octet(encoding, b'/')?;
    let (clock, channels) = split_at_octet(rest, b'/').unwrap_or((rest, "1"));
    let (clock, mono) = (
        clock.parse::<u32>().ok()?,
        split_at_octet(channels, b'/').map_or(channels, |(first, _)| first) == "1",
    );
    let is = |codec: Codec| name.eq_ignore_ascii_case(codec.name()) && clock == codec.clock();
    if name.eq_ignore_ascii_case("telephone-event") && (1..=192_000).contains(&clock) {
        return Some(Payload::Events(clock));
    }
    if name.eq_ignore_ascii_case("CN") && clock == 8_000 {
        return Some(Payload::Noise);
    }
    [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]
        .into_iter()
        // RFC 7587 7: Opus is always written with two channels, yet some peers write one or none; the packets are the same.
        .find(|codec| is(*codec) && (mono || *codec == Codec::Opus))
        .map(Payload::Audio)
}

impl Payload {
    /// The value of `a=rtpmap` for this payload type; of those that are usual it is in no need of room of its own.
    pub fn rtpmap(self, payload_type: u8) -> Text<'static> {
        match (self, payload_type) {
            (Payload::Audio(Codec::Pcmu), 0) => Cow::Borrowed("0 PCMU/8000"),
            (Payload::Audio(Codec::Pcma), 8) => Cow::Borrowed("8 PCMA/8000"),
            (Payload::Audio(Codec::G722), 9) => Cow::Borrowed("9 G722/8000"),
            (Payload::Audio(Codec::Opus), FIRST_DYNAMIC) => Cow::Borrowed("96 opus/48000/2"),
            (Payload::Events(8_000), 101) => Cow::Borrowed("101 telephone-event/8000"),
            (Payload::Events(48_000), 102) => Cow::Borrowed("102 telephone-event/48000"),
            (Payload::Audio(codec @ (Codec::Pcmu | Codec::Pcma | Codec::G722)), _) => {
                Cow::Owned(format!("{payload_type} {}/{}", codec.name(), codec.clock()))
            }
            (Payload::Audio(Codec::Opus), _) => Cow::Owned(format!("{payload_type} opus/48000/2")),
            (Payload::Events(clock), _) => Cow::Owned(format!("{payload_type} telephone-event/{clock}")),
            (Payload::Noise, _) => Cow::Owned(format!("{payload_type} CN/8000")),
        }
    }

    /// The value of our `a=fmtp` for this payload type, if it has one.
    pub fn fmtp_line(self, payload_type: u8, opus: OpusParams) -> Option<Text<'static>> {
        let fmtp = self.fmtp(opus)?;
        Some(match (self, payload_type) {
            (Payload::Audio(Codec::Opus), FIRST_DYNAMIC) if !opus.dtx => Cow::Borrowed("96 minptime=10;useinbandfec=1"),
            (Payload::Events(_), 101) => Cow::Borrowed("101 0-15"),
            (Payload::Events(_), 102) => Cow::Borrowed("102 0-15"),
            (Payload::Audio(_) | Payload::Events(_) | Payload::Noise, _) => {
                Cow::Owned(format!("{payload_type} {fmtp}"))
            }
        })
    }

    /// The value of our `a=fmtp` after the payload type. We decode FEC and 10 ms frames whoever sends them; DTX is a wish.
    pub fn fmtp(self, opus: OpusParams) -> Option<&'static str> {
        match self {
            Payload::Audio(Codec::Pcmu | Codec::Pcma | Codec::G722) | Payload::Noise => None,
            Payload::Audio(Codec::Opus) if opus.dtx => Some("minptime=10;useinbandfec=1;usedtx=1"),
            Payload::Audio(Codec::Opus) => Some("minptime=10;useinbandfec=1"),
            // RFC 4733 3.2: digits, star, pound and A to D.
            Payload::Events(_) => Some("0-15"),
        }
    }

    /// The payload type that we write where nothing else was agreed before. 101 for events at 8 kHz is what phones expect that
    /// do not read the map.
    fn usual_type(self) -> u8 {
        match self {
            Payload::Audio(Codec::Pcmu) => 0,
            Payload::Audio(Codec::Pcma) => 8,
            Payload::Audio(Codec::G722) => 9,
            Payload::Audio(Codec::Opus) => FIRST_DYNAMIC,
            Payload::Events(8_000) => 101,
            Payload::Events(_) => 102,
            Payload::Noise => COMFORT_NOISE,
        }
    }
}

/// Payloads with their types: our codecs and their events.
pub type Numbered = SmallVec<[(u8, Payload); 6]>;

/// Gives each payload the type that it had in `kept`, else its usual one, else a free one: within a session a type does not
/// change its meaning (RFC 3264 8.3.2).
pub fn number(payloads: &[Payload], kept: &[Format<'_>]) -> Numbered {
    let mut used = [false; 128];
    for format in kept {
        used[usize::from(format.payload_type)] = true;
    }
    let mut numbered = SmallVec::new();
    for &payload in payloads {
        let known = kept
            .iter()
            .find(|format| format.payload == payload)
            .map(|format| format.payload_type);
        let free = || {
            std::iter::once(payload.usual_type())
                .chain(FIRST_DYNAMIC..=127)
                .find(|number| !used[usize::from(*number)])
        };
        if let Some(number) = known.or_else(free) {
            used[usize::from(number)] = true;
            numbered.push((number, payload));
        }
    }
    numbered
}

/// How we encode Opus for a peer with these `a=fmtp` parameters: its wishes within our policy. Its `maxplaybackrate` says how much band it wants,
/// of which no more should be sent than it plays; `stereo` needs nothing, as we encode mono; its `sprop-` parameters and `cbr` are hints that
/// change no packet's meaning.
pub fn opus_for(policy: OpusParams, fmtp: &str) -> OpusParams {
    let mut wanted = OpusParams {
        fec: false,
        dtx: false,
        ..policy
    };
    for (name, value) in fmtp.split(';').filter_map(|parameter| parameter.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("useinbandfec") {
            wanted.fec = policy.fec && value == "1";
        } else if name.eq_ignore_ascii_case("usedtx") {
            wanted.dtx = policy.dtx && value == "1";
        } else if name.eq_ignore_ascii_case("maxplaybackrate") {
            let played = value.parse().unwrap_or(u32::MAX);
            let plays_all = |rate: &Rate| rate.hz() <= played;
            let plays = [Rate::Full, Rate::Wide].into_iter().find(plays_all);
            wanted.plays = policy.plays.min(plays.unwrap_or(Rate::Narrow));
        } else if name.eq_ignore_ascii_case("maxaveragebitrate")
            && let Ok(most) = value.parse::<u32>()
        {
            wanted.bitrate = policy
                .bitrate
                .min(most.clamp(*OPUS_BITRATE.start(), *OPUS_BITRATE.end()));
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Session;

    fn media(text: &str) -> Media<'static> {
        let session = Session::parse(format!("v=0\n{text}").as_bytes()).unwrap().into_owned();
        session.media.into_iter().next().unwrap()
    }

    fn read(text: &str) -> Vec<(u8, Payload)> {
        formats(&media(text), None)
            .iter()
            .map(|format| (format.payload_type, format.payload))
            .collect()
    }

    #[test]
    fn formats_are_known_by_map_or_by_number() {
        use Codec::{G722, Opus, Pcma, Pcmu};
        use Payload::{Audio, Events, Noise};
        for (text, expected) in [
            (
                "m=audio 1 RTP/AVP 8 0 13 18 3",
                vec![(8, Audio(Pcma)), (0, Audio(Pcmu)), (13, Noise)],
            ),
            (
                "m=audio 1 RTP/AVP 8 13 105 106\na=rtpmap:105 CN/16000\na=rtpmap:106 cn/8000",
                vec![(8, Audio(Pcma)), (13, Noise), (106, Noise)],
            ),
            ("m=audio 1 RTP/AVP 0 0\na=rtpmap:0 PCMU/8000/1", vec![(0, Audio(Pcmu))]),
            // RFC 3551 4.5.2: 8000 is written, whatever it sounds like.
            ("m=audio 1 RTP/AVP 9", vec![(9, Audio(G722))]),
            (
                "m=audio 1 RTP/AVP 97 9\na=rtpmap:97 g722/8000/1\na=rtpmap:9 G722/16000",
                vec![(97, Audio(G722))],
            ),
            (
                "m=audio 1 RTP/AVP 111\na=rtpmap:111 OPUS/48000/2",
                vec![(111, Audio(Opus))],
            ),
            (
                "m=audio 1 RTP/AVP 96 97\na=rtpmap:96 opus/48000\na=rtpmap:97 opus/16000",
                vec![(96, Audio(Opus))],
            ),
            (
                "m=audio 1 RTP/AVP 100\na=rtpmap:100 pcma/8000",
                vec![(100, Audio(Pcma))],
            ),
            ("m=audio 1 RTP/AVP 0\na=rtpmap:0 G729/8000", vec![]),
            (
                "m=audio 1 RTP/AVP 0 96\na=rtpmap:0 PCMU/8000/2\na=rtpmap:96 PCMU/16000",
                vec![],
            ),
            (
                "m=audio 1 RTP/AVP 96 200 -1 x 101\na=rtpmap:101 TELEPHONE-EVENT/16000",
                vec![(101, Events(16_000))],
            ),
            (
                "m=audio 1 RTP/AVP 101\na=rtpmap:101 telephone-event/0\na=rtpmap:101",
                vec![],
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_may_leave_the_map_out() {
        let offered = media("m=audio 1 RTP/AVP 96\na=rtpmap:96 opus/48000/2");
        let answer = media("m=audio 1 RTP/AVP 96\na=fmtp:96 usedtx=1");
        let offered = numbered(&formats(&offered, None));
        let format = formats(&answer, Some(&offered))[0];
        assert_eq!((format.payload, format.fmtp), (Payload::Audio(Codec::Opus), "usedtx=1"));
    }

    #[test]
    fn what_is_usual_is_written_as_anything_else() {
        for (payload, name) in [
            (Payload::Audio(Codec::Pcmu), "PCMU/8000"),
            (Payload::Audio(Codec::Pcma), "PCMA/8000"),
            (Payload::Audio(Codec::G722), "G722/8000"),
            (Payload::Audio(Codec::Opus), "opus/48000/2"),
            (Payload::Events(8_000), "telephone-event/8000"),
            (Payload::Events(48_000), "telephone-event/48000"),
        ] {
            for number in 0..128 {
                assert_eq!(payload.rtpmap(number), format!("{number} {name}"));
                for dtx in [false, true] {
                    let opus = OpusParams {
                        dtx,
                        ..OpusParams::default()
                    };
                    let fmtp = payload.fmtp(opus).map(|fmtp| format!("{number} {fmtp}").into());
                    assert_eq!(payload.fmtp_line(number, opus), fmtp);
                }
            }
        }
    }

    #[test]
    fn payload_types_keep_their_meaning() {
        let kept = media("m=audio 1 RTP/AVP 96 101\na=rtpmap:96 telephone-event/8000\na=rtpmap:101 PCMA/8000");
        let wanted = [
            Payload::Audio(Codec::Opus),
            Payload::Audio(Codec::Pcma),
            Payload::Events(8_000),
            Payload::Events(48_000),
        ];
        let numbers = |kept: &[Format<'_>]| {
            number(&wanted, kept)
                .iter()
                .map(|(number, _)| *number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&formats(&kept, None)), [97, 101, 96, 102]);
        assert_eq!(numbers(&[]), [96, 8, 101, 102]);
    }

    #[test]
    fn the_peer_limits_our_opus_encoder() {
        let policy = OpusParams {
            fec: true,
            dtx: true,
            bitrate: 24_000,
            complexity: 5,
            plays: Rate::Full,
        };
        for (fmtp, fec, dtx, bitrate, plays) in [
            ("", false, false, 24_000, Rate::Full),
            ("minptime=10;useinbandfec=1", true, false, 24_000, Rate::Full),
            (
                "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=1",
                true,
                true,
                20_000,
                Rate::Wide,
            ),
            (
                "maxaveragebitrate=510000;useinbandfec=0",
                false,
                false,
                24_000,
                Rate::Full,
            ),
            ("maxaveragebitrate=1;USEDTX = 1", false, true, 6_000, Rate::Full),
            (
                "maxaveragebitrate=many;=;;useinbandfec",
                false,
                false,
                24_000,
                Rate::Full,
            ),
        ] {
            assert_eq!(
                opus_for(policy, fmtp),
                OpusParams {
                    fec,
                    dtx,
                    bitrate,
                    complexity: 5,
                    plays,
                },
                "{fmtp}"
            );
        }
        let plain = OpusParams {
            fec: false,
            dtx: false,
            ..policy
        };
        assert_eq!(opus_for(plain, "useinbandfec=1;usedtx=1"), plain);
        for (fmtp, plays) in [
            ("maxplaybackrate=8000", Rate::Narrow),
            ("usedtx=0; MAXPLAYBACKRATE = 12000", Rate::Narrow),
            ("maxplaybackrate=16000", Rate::Wide),
            ("maxplaybackrate=24000", Rate::Wide),
            ("maxplaybackrate=48000", Rate::Full),
            ("maxplaybackrate=fast", Rate::Full),
        ] {
            assert_eq!(opus_for(plain, fmtp), OpusParams { plays, ..plain }, "{fmtp}");
        }
        assert_eq!(
            Payload::Audio(Codec::Opus).fmtp(policy),
            Some("minptime=10;useinbandfec=1;usedtx=1")
        );
    }
}
