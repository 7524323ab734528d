//! Video of a browser in a room (RFC 8829, BUNDLE: RFC 8843): each `m=video` of its offer is taken, beside its audio and on the same way. On
//! those on which it sends it publishes; each on which it can receive is a place where one of the others is shown. Who is shown there changes
//! without an offer: the stream of a place is ours, and keeps its SSRC.
//!
//! ```text
//!   a=group:BUNDLE 0 1 2                            what an offer has           what we make of it
//!   m=audio   a=mid:0   a=sendrecv                  microphone                  the mix
//!   m=video   a=mid:1   a=sendrecv                  camera                      published, and a place
//!   m=video   a=mid:2   a=recvonly                                              a place
//!   m=video   a=mid:3   a=sendonly                  a second one is a screen    published
//!   m=audio   a=mid:4   a=recvonly                                              a place for a voice
//! ```
//!
//! What we send is known by `a=ssrc` (RFC 5576); of header extensions its packets have the one that says when they went out, where the viewer takes it. VP8 and H.264 are taken where they are offered,
//! VP8 first; a publisher sends what stands first, and whoever looks on can take both. Of feedback NACK, PLI and FIR (RFC 4585, RFC 5104) and
//! REMB (draft-alvestrand-rmcat-remb) are agreed on; retransmissions go by RFC 4588. Where the browser sends it may number its packets over the
//! whole way and is told when they came (draft-holmer-rmcat-transport-wide-cc-extensions-01); the numbers of all lines are one count, since all are
//! on one way, and audio has none: it is not adapted. What we send has no such numbers: its viewer reports by REMB.

use super::codec::{self, Payload};
use super::negotiate::{Direction, Local};
use super::session::{Attribute, Media, Proto, Session};
use super::webrtc::Sees;
use crate::limits;
use crate::media::command::{Video, VideoCodec, VideoFormat, VideoLine, VideoSource, VoiceLine};
use codecs::Codec;

/// URIs of header extensions (RFC 9143 15, RFC 8852 4).
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// How loud a packet of audio is (RFC 6464 4).
const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// Its number where we offer it: video has those before.
const LEVEL_NUMBER: u8 = 4;
/// That of the draft, 2.
const TRANSPORT: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const TRANSPORT_FEEDBACK: &str = "transport-cc";
/// The name by which browsers know the time at which a packet went out; there is no RFC of it.
const SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// What is taken of `a=rtcp-fb` (RFC 4585 4.2, RFC 5104 7.1).
const FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];
/// Octets of the name of a line, or of a layer: what a one-byte header extension holds (RFC 8285 4.2).
const NAME_BYTES: usize = 16;

/// The lines of an answer that are video, by their place in it, and what they mean.
#[derive(Default)]
pub(super) struct Answer<'t> {
    lines: Vec<(usize, Media<'t>)>,
    video: Video,
}

impl<'t> Answer<'t> {
    /// What is agreed on, if there is any.
    pub fn agreed(self) -> Option<Box<Video>> {
        let video = &self.video;
        let has_some = !video.lines.is_empty() || !video.voices.is_empty() || video.level.is_some();
        has_some.then(|| Box::new(self.video))
    }

    /// The line at this place, if it is taken.
    pub fn line(&self, index: usize) -> Option<Media<'t>> {
        let line = self.lines.iter().find(|(at, _)| *at == index);
        line.map(|(_, line)| line.clone())
    }
}

/// Takes what can be taken of an offer whose audio is the line at the place `audio`. Our SSRCs count up from `ssrc`, two for each line, so that a line keeps its
/// own whatever becomes of others.
pub(super) fn answer<'t>(offer: &Session<'t>, audio: usize, local: &Local, sees: Sees) -> Answer<'t> {
    let mut answer = Answer::default();
    let bundled = bundle(offer, offer.media[audio].attribute("mid").unwrap_or_default());
    answer.video.level = extension(&offer.media[audio], LEVEL);
    voices(offer, (audio, local), &bundled, sees, &mut answer);
    let mut published = 0;
    for (index, (media, number)) in offer.media.iter().zip(0u32..).enumerate() {
        if !sees.video || answer.video.lines.len() >= limits::VIDEO_LINES {
            break;
        }
        let own = sees.ssrc.wrapping_add(2 * number);
        let Some(line) = read(offer, media, &bundled, (own, own.wrapping_add(1)), &mut published) else {
            continue;
        };
        let video = &mut answer.video;
        video.mid = video.mid.or(extension(media, MID));
        video.rid = video.rid.or(extension(media, RID));
        video.repaired_rid = video.repaired_rid.or(extension(media, REPAIRED_RID));
        if line.receives {
            video.transport = video.transport.or(transport(media));
        }
        if line.sends.is_some() {
            video.send_time = video.send_time.or(extension(media, SEND_TIME));
        }
        answer.lines.push((index, written(media, &line, local)));
        answer.video.lines.push(line);
    }
    answer
}

/// The places for voices: audio lines behind the one that is taken, on which the peer receives. All that are wanted, or none.
fn voices<'t>(
    offer: &Session<'t>,
    (audio, local): (usize, &Local),
    bundled: &[&str],
    sees: Sees,
    answer: &mut Answer<'t>,
) {
    let behind = offer.media.iter().zip(0u32..).enumerate().skip(audio + 1);
    let found = behind.filter_map(|(index, (media, number))| {
        let mid = on_way(media, bundled).filter(|_| media.is_audio())?;
        let formats = codec::formats(media, None);
        let opus = formats
            .iter()
            .find(|format| format.payload == Payload::Audio(Codec::Opus))?;
        let line = VoiceLine {
            mid: mid.into(),
            payload_type: opus.payload_type,
            ssrc: sees.ssrc.wrapping_add(2 * number),
        };
        (offer.direction(media).receives()).then_some((index, media, line))
    });
    let found: Vec<_> = found.take(sees.voices.into()).collect();
    if found.len() < sees.voices.into() {
        return;
    }
    for (index, media, line) in found {
        answer.lines.push((index, voice_line(media, &line, local)));
        answer.video.voices.push(line);
    }
}

/// A payload type of several lines of one way means the same on all of them (RFC 8843 9.1): what the audio's line says of it, and of the length of its packets,
/// those for voices say too.
pub(super) fn name_alike(lines: &mut [Media<'_>], audio: usize) {
    let is_about = |own: &Attribute<'_>| matches!(&*own.name, "fmtp" | "ptime" | "maxptime");
    let said = lines[audio].attributes.iter().filter(|own| is_about(own));
    let said: Vec<_> = said.cloned().collect();
    let voices = lines.iter_mut().skip(audio + 1);
    for line in voices.filter(|line| line.is_audio() && line.proto.is_dtls() && line.port != 0) {
        let is_its = |own: &&Attribute<'_>| {
            let number = own.value.as_deref().and_then(|value| value.split(' ').next());
            own.name != "fmtp" || line.formats.iter().any(|format| number == Some(&**format))
        };
        let said: Vec<_> = said.iter().filter(is_its).cloned().collect();
        line.attributes.retain(|own| !is_about(own));
        line.attributes.extend(said);
    }
}

/// The line of our answer for a place for a voice.
fn voice_line<'t>(media: &Media<'t>, line: &VoiceLine, local: &Local) -> Media<'t> {
    let (number, mid, ssrc) = (line.payload_type, &line.mid, line.ssrc);
    let stream = format!("slot{mid} voice{mid}");
    let attributes = vec![
        Attribute::new("mid", mid.to_string()),
        Attribute::flag("rtcp-mux"),
        Attribute::new("rtpmap", format!("{number} opus/48000/2")),
        Attribute::flag(Direction::SendOnly.as_str()),
        Attribute::new("msid", stream.clone()),
        Attribute::new("ssrc", format!("{ssrc} cname:room")),
        Attribute::new("ssrc", format!("{ssrc} msid:{stream}")),
    ];
    Media {
        kind: media.kind.clone(),
        port: local.port,
        port_count: None,
        proto: media.proto.clone(),
        formats: vec![number.to_string().into()],
        connection: None,
        lines: Vec::new(),
        attributes,
    }
}

/// The names of the lines that share the way of the one with this name.
fn bundle<'o>(offer: &'o Session<'_>, with: &str) -> Vec<&'o str> {
    let groups = offer
        .attributes("group")
        .filter_map(|group| group.strip_prefix("BUNDLE "));
    let mut groups = groups.map(|mids| mids.split_ascii_whitespace().collect::<Vec<_>>());
    groups.find(|mids| mids.contains(&with)).unwrap_or_default()
}

/// The name of a line that is there and goes on the way of the audio.
fn on_way<'m>(media: &'m Media<'_>, bundled: &[&str]) -> Option<&'m str> {
    // RFC 8843 6: a line that is only there in the bundle has port 0 in its first offer.
    let is_there = media.port != 0 || media.attribute("bundle-only").is_some();
    let is_ours = is_there && media.proto.is_dtls() && media.attribute("rtcp-mux").is_some();
    let mid = media.attribute("mid").filter(|mid| mid.len() <= NAME_BYTES)?;
    (is_ours && bundled.contains(&mid)).then_some(mid)
}

/// One line, if we can take it.
fn read(
    offer: &Session<'_>,
    media: &Media<'_>,
    bundled: &[&str],
    own: (u32, u32),
    published: &mut usize,
) -> Option<VideoLine> {
    let mid = on_way(media, bundled).filter(|_| media.kind.eq_ignore_ascii_case("video"))?;
    let formats = formats(media);
    let direction = offer.direction(media);
    let publishes = direction.sends() && *published < limits::VIDEO_PUBLISHED;
    if formats.is_empty() {
        return None;
    }
    let is_screen = publishes && (*published > 0 || media.attribute("content") == Some("slides"));
    *published += usize::from(publishes);
    Some(VideoLine {
        mid: mid.into(),
        formats,
        receives: publishes,
        sends: direction.receives().then_some(own),
        layers: if publishes { layers(media) } else { Vec::new() },
        sources: if publishes { sources(media) } else { Vec::new() },
        is_screen,
    })
}

/// Our own lines for whom a room calls, behind so many others: one on which he may send, and places for others.
pub(super) fn offered<'t>(sees: Sees, before: usize, local: &Local) -> Vec<Media<'t>> {
    let can = can();
    let lines = (0..limits::VIDEO_OFFERED).map(|nth| {
        let number = u32::try_from(before + nth).unwrap_or_default();
        let own = sees.ssrc.wrapping_add(2 * number);
        let line = VideoLine {
            mid: format!("v{}", nth + 1).into(),
            formats: formats(&can),
            receives: nth == 0,
            sends: Some((own, own.wrapping_add(1))),
            layers: Vec::new(),
            sources: Vec::new(),
            is_screen: false,
        };
        written(&can, &line, local)
    });
    lines.collect()
}

/// A line of video with all that we can, by numbers that audio does not have in an offer of ours (RFC 8843 9.1).
fn can<'t>() -> Media<'t> {
    let mut attributes = vec![
        Attribute::new("extmap", format!("1 {MID}")),
        Attribute::new("extmap", format!("2 {TRANSPORT}")),
        Attribute::new("extmap", format!("3 {SEND_TIME}")),
        Attribute::flag("rtcp-rsize"),
    ];
    for (number, rtx, name) in [(120, 121, "VP8"), (122, 123, "H264")] {
        attributes.push(Attribute::new("rtpmap", format!("{number} {name}/90000")));
        let feedback = FEEDBACK.into_iter().chain([TRANSPORT_FEEDBACK]);
        attributes.extend(feedback.map(|what| Attribute::new("rtcp-fb", format!("{number} {what}"))));
        attributes.push(Attribute::new("rtpmap", format!("{rtx} rtx/90000")));
        attributes.push(Attribute::new("fmtp", format!("{rtx} apt={number}")));
    }
    let baseline = "122 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    attributes.push(Attribute::new("fmtp", baseline));
    Media {
        kind: "video".into(),
        port: 0,
        port_count: None,
        proto: Proto::UdpTlsRtpSavpf,
        formats: ["120", "121", "122", "123"].map(Into::into).to_vec(),
        connection: None,
        lines: Vec::new(),
        attributes,
    }
}

/// What we can forward of a line's formats, VP8 first, each codec once.
fn formats(media: &Media<'_>) -> Vec<VideoFormat> {
    let number = |text: &str| text.trim().parse::<u8>().ok().filter(|number| *number < 128);
    let listed = |payload_type: &u8| media.formats.iter().any(|format| number(format) == Some(*payload_type));
    let of = |name, payload_type: u8| {
        let values = media.attributes(name).filter_map(|value| value.split_once(' '));
        let mut own = values.filter(move |(of, _)| number(of) == Some(payload_type));
        own.next().map(|(_, rest)| rest.trim())
    };
    let named = |wanted: &str| {
        let maps = media.attributes("rtpmap").filter_map(|value| value.split_once(' '));
        let is_it = |map: &str| map.trim().eq_ignore_ascii_case(wanted);
        let numbers = maps.filter(|(_, map)| is_it(map)).filter_map(|(of, _)| number(of));
        numbers.filter(listed).collect::<Vec<u8>>()
    };
    let rtx = named("rtx/90000");
    let with_rtx = |codec, payload_type: u8| {
        let apt = format!("apt={payload_type}");
        let is_its = |rtx: &u8| of("fmtp", *rtx).is_some_and(|fmtp| parameters(fmtp).any(|own| own == apt));
        VideoFormat {
            codec,
            payload_type,
            rtx: rtx.iter().copied().find(is_its),
        }
    };
    let vp8 = named("VP8/90000").into_iter().next();
    let is_baseline = |payload_type: &u8| {
        let fmtp = of("fmtp", *payload_type).unwrap_or_default();
        let has = |wanted: &str| parameters(fmtp).any(|own| own.eq_ignore_ascii_case(wanted));
        let profile = parameters(fmtp).find_map(|own| own.strip_prefix("profile-level-id="));
        // RFC 6184 8.1: 42 with whatever constraints; without a word it is baseline.
        has("packetization-mode=1") && profile.is_none_or(|profile| profile.starts_with("42"))
    };
    let h264 = named("H264/90000").into_iter().find(is_baseline);
    let vp8 = vp8.map(|payload_type| with_rtx(VideoCodec::Vp8, payload_type));
    let h264 = h264.map(|payload_type| with_rtx(VideoCodec::H264, payload_type));
    vp8.into_iter().chain(h264).collect()
}

fn parameters(fmtp: &str) -> impl Iterator<Item = &str> {
    fmtp.split(';').map(str::trim)
}

/// The layers of simulcast that are offered, the smallest first: browsers list them so, by what pages do, or the other way round. Which is
/// which is seen by what comes (`media::video`), so that the order is only a guess (RFC 8853 5.1).
fn layers(media: &Media<'_>) -> Vec<Box<str>> {
    let Some(simulcast) = media.attribute("simulcast") else {
        return Vec::new();
    };
    let mut words = simulcast.split_ascii_whitespace();
    let mut sent = "";
    while let (Some(direction), Some(list)) = (words.next(), words.next()) {
        if direction == "send" {
            sent = list;
        }
    }
    // Of alternatives the first; one that is paused at first begins with ~.
    let names = sent.split(';').filter_map(|one| one.split(',').next());
    let names = names.map(|name| name.trim_start_matches('~'));
    let is_name =
        |name: &&str| (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_offered = |name: &&str| {
        let mut rids = media.attributes("rid");
        rids.any(|rid| rid.split_ascii_whitespace().take(2).eq([*name, "send"]))
    };
    let names = names.filter(is_name).filter(is_offered);
    names.take(limits::VIDEO_LAYERS).map(Into::into).collect()
}

/// The streams that a line announces; those of simulcast are not.
fn sources(media: &Media<'_>) -> Vec<VideoSource> {
    let word = |text: &str| {
        text.split_ascii_whitespace()
            .next()
            .and_then(|ssrc| ssrc.parse::<u32>().ok())
    };
    let mut pairs = Vec::new();
    for group in media.attributes("ssrc-group") {
        let mut words = group.split_ascii_whitespace();
        if words.next() == Some("FID")
            && let (Some(ssrc), Some(rtx)) = (words.next().and_then(word), words.next().and_then(word))
        {
            pairs.push((ssrc, rtx));
        }
    }
    let mut sources: Vec<VideoSource> = Vec::new();
    for ssrc in media.attributes("ssrc").filter_map(word) {
        let is_known = sources.iter().any(|source| source.ssrc == ssrc) || pairs.iter().any(|(_, rtx)| *rtx == ssrc);
        if !is_known && sources.len() < limits::VIDEO_LAYERS {
            let rtx = pairs.iter().find(|(of, _)| *of == ssrc).map(|(_, rtx)| *rtx);
            sources.push(VideoSource { ssrc, rtx });
        }
    }
    sources
}

/// The number of a header extension, in the form of one byte (RFC 8285 5, 4.2).
fn extension(media: &Media<'_>, uri: &str) -> Option<u8> {
    media.attributes("extmap").find_map(|value| {
        let (id, rest) = value.split_once(' ')?;
        let id = id.split('/').next()?.parse::<u8>().ok()?;
        let is_it = rest.split_ascii_whitespace().next() == Some(uri);
        (is_it && (1..=14).contains(&id)).then_some(id)
    })
}

/// The line by which a browser's audio says how loud it is: as it was agreed on or is offered, or in a first offer of ours.
pub(super) fn level(media: Option<&Media<'_>>) -> Option<Attribute<'static>> {
    let id = media.map_or(Some(LEVEL_NUMBER), |media| extension(media, LEVEL))?;
    Some(Attribute::new("extmap", format!("{id} {LEVEL}")))
}

/// The same of the one that numbers the way's packets, where its feedback is offered too.
fn transport(media: &Media<'_>) -> Option<u8> {
    let is_offered = |value: &str| value.split_ascii_whitespace().skip(1).eq([TRANSPORT_FEEDBACK]);
    let id = extension(media, TRANSPORT);
    id.filter(|_| media.attributes("rtcp-fb").any(is_offered))
}

/// The line of our answer.
fn written<'t>(media: &Media<'t>, line: &VideoLine, local: &Local) -> Media<'t> {
    let mut formats = Vec::new();
    let mut attributes = vec![Attribute::new("mid", line.mid.to_string()), Attribute::flag("rtcp-mux")];
    if media.attribute("rtcp-rsize").is_some() {
        attributes.push(Attribute::flag("rtcp-rsize"));
    }
    let numbers = transport(media).filter(|_| line.receives);
    for format in &line.formats {
        write_format(media, format, numbers.is_some(), &mut formats, &mut attributes);
    }
    let named = [MID, RID, REPAIRED_RID].map(|uri| (extension(media, uri).filter(|_| line.receives), uri));
    let send_time = extension(media, SEND_TIME).filter(|_| line.sends.is_some());
    for (id, uri) in named.into_iter().chain([(numbers, TRANSPORT), (send_time, SEND_TIME)]) {
        if let Some(id) = id {
            attributes.push(Attribute::new("extmap", format!("{id} {uri}")));
        }
    }
    let direction = Direction::new(line.sends.is_some(), line.receives);
    attributes.push(Attribute::flag(direction.as_str()));
    if !line.layers.is_empty() {
        let rids = line
            .layers
            .iter()
            .map(|rid| Attribute::new("rid", format!("{rid} recv")));
        attributes.extend(rids);
        attributes.push(Attribute::new("simulcast", format!("recv {}", line.layers.join(";"))));
    }
    if let Some((ssrc, rtx)) = line.sends {
        // Each place is a stream of its own to the page (RFC 8830 2).
        let stream = format!("slot{} video{}", line.mid, line.mid);
        attributes.push(Attribute::new("msid", stream.clone()));
        let has_rtx = line.formats.iter().any(|format| format.rtx.is_some());
        if has_rtx {
            attributes.push(Attribute::new("ssrc-group", format!("FID {ssrc} {rtx}")));
        }
        for ssrc in [Some(ssrc), has_rtx.then_some(rtx)].into_iter().flatten() {
            attributes.push(Attribute::new("ssrc", format!("{ssrc} cname:room")));
            attributes.push(Attribute::new("ssrc", format!("{ssrc} msid:{stream}")));
        }
    }
    Media {
        kind: media.kind.clone(),
        port: local.port,
        port_count: None,
        proto: media.proto.clone(),
        formats,
        connection: None,
        lines: Vec::new(),
        attributes,
    }
}

fn write_format<'t>(
    media: &Media<'t>,
    format: &VideoFormat,
    is_numbered: bool,
    formats: &mut Vec<super::session::Text<'t>>,
    attributes: &mut Vec<Attribute<'t>>,
) {
    let number = format.payload_type;
    let name = match format.codec {
        VideoCodec::Vp8 => "VP8",
        VideoCodec::H264 => "H264",
    };
    formats.push(number.to_string().into());
    attributes.push(Attribute::new("rtpmap", format!("{number} {name}/90000")));
    let start = format!("{number} ");
    let more = is_numbered.then_some(TRANSPORT_FEEDBACK);
    for feedback in FEEDBACK.into_iter().chain(more) {
        let offered = |value: &str| {
            value
                .split_once(' ')
                .is_some_and(|(of, what)| what.trim() == feedback && (of == "*" || of == start.trim_end()))
        };
        if media.attributes("rtcp-fb").any(offered) {
            attributes.push(Attribute::new("rtcp-fb", format!("{number} {feedback}")));
        }
    }
    // RFC 6184 8.2.2: the profile is answered as it was offered.
    let fmtp = media.attributes("fmtp").find(|value| value.starts_with(&start));
    if let Some(fmtp) = fmtp.filter(|_| format.codec == VideoCodec::H264) {
        attributes.push(Attribute::new("fmtp", fmtp.to_owned()));
    }
    if let Some(rtx) = format.rtx {
        formats.push(rtx.to_string().into());
        attributes.push(Attribute::new("rtpmap", format!("{rtx} rtx/90000")));
        attributes.push(Attribute::new("fmtp", format!("{rtx} apt={number}")));
    }
}

#[cfg(test)]
mod tests;
