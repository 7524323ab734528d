//! What a browser's description says beside the audio itself (JSEP, RFC 8829): where it is (ICE, RFC 8839), by which certificate it is known
//! (RFC 8122) and who begins (RFC 8842), that RTP and RTCP share one port (RFC 5761), and which streams share one way (BUNDLE, RFC 8843).
//!
//! We are ICE lite: the peer finds the way, so that its candidates, of whatever kind, are not read; nor is `c=`, which tells the default
//! one, nor the port. With a peer that is lite too, another edge or a forwarder of media, we are not, and look for the way among its candidates
//! (`trickle`). Ours are all in each description, with the word that no more will come, so that a peer may trickle its own and we never do. Of audio feedback and
//! sources (`rtcp-fb`, `ssrc`) are not taken and need no word, nor do header extensions (`extmap`) but the one that says how loud a packet is (RFC 6464), in a
//! room; those of video are read beside this (`video`).
//!
//! ```text
//!   a=ice-lite, a=ice-options:trickle                a=fingerprint:sha-256 4A:AD:...
//!   a=group:BUNDLE 0                                 a=setup:passive        (actpass in an offer)
//!   a=ice-ufrag:..., a=ice-pwd:...                   a=mid:0
//!   a=candidate:1 1 udp 2130706431 ADDRESS PORT typ host                    a=rtcp-mux
//! ```

use super::negotiate::Local;
use super::parse::SdpError;
use super::session::{Attribute, Media, Session};
use super::trickle::{self, Trickled};
use super::video;
use crate::limits;
use crate::media::command::{CheckName, Connect, Credentials, DtlsRole, Fingerprint, Lite};
use crate::pii::Secret;
use std::net::IpAddr;

/// The priority of the only candidate of a component (RFC 8445 5.1.2.1): 126, 65535, 1.
const PRIORITY: u32 = 126 << 24 | 65_535 << 8 | 255;
/// The same of one by TCP (RFC 6544 4.2): its direction, passive, and what is behind, in place of 65535. Who has UDP takes that.
const TCP_PRIORITY: u32 = 126 << 24 | (4 << 13 | 8_191) << 8 | 255;
/// Our first name for a stream.
const MID: &str = "0";
/// Octets of the name of the audio that are taken: what browsers write is a number, what others do a UUID. It stands in a line of ours with all
/// other names.
const MID_BYTES: usize = 64;
/// What belongs to the way and not to one of the streams on it (RFC 8859).
const OF_WAY: [&str; 6] = [
    "ice-ufrag",
    "ice-pwd",
    "fingerprint",
    "setup",
    "candidate",
    "end-of-candidates",
];

/// What of a browser's description is taken beside its audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sees {
    /// The first of our SSRCs for that.
    pub ssrc: u32,
    /// Video.
    pub video: bool,
    /// So many places for voices, or none: with fewer of them the rest could not be heard.
    pub voices: u8,
}

/// What a leg says of itself to a browser, and knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webrtc {
    fingerprint: Fingerprint,
    ours: Credentials,
    /// For when the peer begins anew.
    next: Option<Credentials>,
    /// Our SSRC for audio.
    ssrc: u32,
    /// Where we listen for TCP (RFC 6544), beside our UDP.
    tcp: Option<u16>,
    /// What is taken beside audio.
    sees: Option<Sees>,
    /// What was agreed last.
    agreed: Option<Box<Connect>>,
    /// What the peer has told of its candidates beside descriptions, of each generation: a fork has its own. The last told is the last.
    trickled: Vec<Trickled>,
}

/// Credentials of 64 and 128 bits (RFC 8445 5.3 wants 24 and 128), of characters that ICE has. By the first a check finds its leg among all that
/// share a port.
fn credentials(mut fill: impl FnMut(&mut [u8])) -> Credentials {
    let mut octets = [0; 24];
    fill(&mut octets);
    let mut digits = String::with_capacity(2 * octets.len());
    for octet in octets {
        for nibble in [octet >> 4, octet & 15] {
            digits.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    let pwd = Secret::new(digits.split_off(CheckName::MOST));
    Credentials {
        ufrag: digits.into(),
        pwd,
    }
}

impl Webrtc {
    /// With this certificate of ours. `fill` fills octets with randomness that nobody can guess.
    pub fn new(fingerprint: Fingerprint, fill: impl FnMut(&mut [u8])) -> Webrtc {
        Webrtc {
            fingerprint,
            ours: credentials(fill),
            next: None,
            ssrc: 0,
            tcp: None,
            sees: None,
            agreed: None,
            trickled: Vec::new(),
        }
    }

    /// Makes other credentials ready: an offer comes, with which the peer may begin anew (RFC 8839 4.4.1.1.1).
    pub fn renew(&mut self, fill: impl FnMut(&mut [u8])) {
        self.next = Some(credentials(fill));
    }

    /// Our audio has this SSRC. It is told beside video: with that on the same way a browser does not know audio by its payload type any more.
    pub fn speaks(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
    }

    /// Who cannot send UDP may connect there.
    pub fn listens(mut self, tcp: Option<u16>) -> Webrtc {
        self.tcp = tcp;
        self
    }

    /// The audio line says its SSRC, and that it wants to be told how loud each packet is, where that is offered or was agreed on.
    fn room_lines(&self, media: Option<&Media<'_>>) -> Vec<Attribute<'static>> {
        let Some(_sees) = self.sees else { return Vec::new() };
        let source = Attribute::new("ssrc", format!("{} cname:room", self.ssrc));
        [source].into_iter().chain(video::level(media)).collect()
    }

    /// This is taken from now on beside audio, with SSRCs of ours that count up, or refused.
    pub fn see(&mut self, sees: Option<Sees>) {
        // Who is seen already keeps its own.
        let before = self.sees.map(|before| before.ssrc);
        self.sees = sees.map(|new| Sees {
            ssrc: before.unwrap_or(new.ssrc),
            ..new
        });
    }

    /// Something is taken beside audio.
    pub(super) fn sees(&self) -> bool {
        self.sees.is_some()
    }

    /// What is taken of an offer beside the audio at this place among its lines.
    pub(super) fn video<'t>(&self, offer: &Session<'t>, audio: usize, local: &Local) -> video::Answer<'t> {
        let taken = self.sees.map(|sees| video::answer(offer, audio, local, sees));
        taken.unwrap_or_default()
    }

    /// Our lines of video behind so many others, in a first offer.
    pub(super) fn video_offered<'t>(&self, before: usize, local: &Local) -> Vec<Media<'t>> {
        let sees = self.sees.filter(|sees| sees.video);
        sees.map(|sees| video::offered(sees, before, local)).unwrap_or_default()
    }

    /// We let the peer look for a way: as long as it is not known for one that looks for none.
    pub(super) fn is_lite(&self) -> bool {
        self.agreed.as_ref().is_none_or(|agreed| agreed.lite.is_none())
    }

    /// What holds from now on.
    pub(super) fn agreed(&mut self, connect: &Connect) {
        self.ours = connect.ours.clone();
        self.agreed = Some(Box::new(connect.clone()));
    }

    /// The peer has told more candidates (RFC 8840 4.4): they count for what is agreed, or will be.
    pub(super) fn trickle(&mut self, told: &Trickled) {
        let before = self.trickled.iter().position(|before| before.of() == told.of());
        let before = before.map(|at| self.trickled.remove(at));
        if self.trickled.len() == limits::EARLY_DIALOGS {
            self.trickled.remove(0);
        }
        let mut all = before.unwrap_or_else(|| told.clone());
        all.add(told);
        self.trickled.push(all);
        if let Some(agreed) = self.agreed.as_deref_mut() {
            told.join(agreed);
        }
    }

    /// What is agreed with a peer that has answered, or that is answered now.
    pub(super) fn connect(&self, theirs: Peer, answers: bool) -> Result<Box<Connect>, SdpError> {
        let before = self.agreed.as_deref();
        let is_anew = before.is_some_and(|before| before.theirs != theirs.credentials);
        let same = before.filter(|before| before.fingerprints == theirs.fingerprints);
        let next = self.next.as_ref().filter(|_| is_anew && answers);
        let role = match (theirs.setup, same.map(|before| before.role)) {
            // Who has begun stays so, as long as it is the same peer (RFC 8842 5.5).
            (SetUp::ActPass, Some(role)) if answers => role,
            // Then the choice of ciphers and profiles is ours.
            (SetUp::ActPass | SetUp::Active, _) if answers => DtlsRole::Server,
            (SetUp::Active, _) => DtlsRole::Server,
            (SetUp::Passive, _) => DtlsRole::Client,
            (SetUp::ActPass, _) => return Err(UNDECIDED),
        };
        let mut connect = Connect {
            ours: next.unwrap_or(&self.ours).clone(),
            theirs: theirs.credentials,
            fingerprints: theirs.fingerprints,
            lite: theirs.lite,
            role,
        };
        for trickled in &self.trickled {
            trickled.join(&mut connect);
        }
        Ok(Box::new(connect))
    }

    /// The lines of our stream in an offer.
    pub(super) fn offer(&self, local: &Local, kept: Option<&Media<'_>>) -> Vec<Attribute<'static>> {
        let mid = kept.and_then(|media| media.attribute("mid")).unwrap_or(MID);
        let lines = self.lines(&self.ours, "actpass", mid, local);
        lines.into_iter().chain(self.room_lines(kept)).collect()
    }

    /// Those of an answer.
    pub(super) fn answer(&self, local: &Local, connect: &Connect, offered: &Media<'_>) -> Vec<Attribute<'static>> {
        let setup = match connect.role {
            DtlsRole::Server => "passive",
            DtlsRole::Client => "active",
        };
        let mid = offered.attribute("mid").unwrap_or_default();
        let lines = self.lines(&connect.ours, setup, mid, local);
        lines.into_iter().chain(self.room_lines(Some(offered))).collect()
    }

    fn lines(&self, ours: &Credentials, setup: &'static str, mid: &str, local: &Local) -> Vec<Attribute<'static>> {
        let fingerprint = self.fingerprint;
        let candidate = format!("1 1 udp {PRIORITY} {} {} typ host", local.addr, local.port);
        let mut lines = Vec::with_capacity(8);
        if !mid.is_empty() {
            lines.push(Attribute::new("mid", mid.to_owned()));
        }
        lines.extend([
            Attribute::new("ice-ufrag", ours.ufrag.to_string()),
            Attribute::new("ice-pwd", ours.pwd.expose().to_owned()),
            Attribute::new("fingerprint", format!("sha-256 {fingerprint}")),
            Attribute::new("setup", setup),
            Attribute::new("candidate", candidate),
        ]);
        lines.extend(self.tcp.map(|port| {
            let candidate = format!("2 1 tcp {TCP_PRIORITY} {} {port} typ host tcptype passive", local.addr);
            Attribute::new("candidate", candidate)
        }));
        lines.push(Attribute::flag("end-of-candidates"));
        lines
    }
}

/// What stands before the streams: all that share the way are one group. Its first is the one whose transport counts (RFC 8843 7.1.3): where
/// that is not the audio, it says what the audio says.
pub(super) fn bundle(lines: &mut [Media<'_>], audio: usize, is_lite: bool) -> Vec<Attribute<'static>> {
    let mut head: Vec<_> = is_lite.then(|| Attribute::flag("ice-lite")).into_iter().collect();
    // RFC 8840 4: said in each description, also where all candidates are in it.
    head.push(Attribute::new("ice-options", "trickle"));
    let is_in = |line: &&Media<'_>| line.port != 0;
    let mids = lines.iter().filter(is_in).filter_map(|line| line.attribute("mid"));
    let mids: Vec<&str> = mids.collect();
    if !mids.is_empty() {
        head.push(Attribute::new("group", format!("BUNDLE {}", mids.join(" "))));
    }
    video::name_alike(lines, audio);
    let is_of_way = |attribute: &Attribute<'_>| OF_WAY.contains(&&*attribute.name);
    // A line that is kept says what the way was when it was written.
    for (_, line) in lines.iter_mut().enumerate().filter(|(at, _)| *at != audio) {
        line.attributes.retain(|attribute| !is_of_way(attribute));
    }
    let first = lines.iter().position(|line| line.port != 0);
    if let Some(first) = first.filter(|first| *first != audio) {
        let said = lines[audio].attributes.iter().filter(|attribute| is_of_way(attribute));
        let said: Vec<_> = said.cloned().map(Attribute::into_owned).collect();
        lines[first].attributes.extend(said);
    }
    head
}

/// A line that is refused keeps its name, by which browsers find it.
pub(super) fn refused<'t>(offered: &Media<'t>) -> Media<'t> {
    let mut refused = offered.refused();
    let mid = offered.attributes.iter().find(|attribute| attribute.name == "mid");
    refused.attributes.extend(mid.cloned());
    refused
}

/// `a=setup` (RFC 4145 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetUp {
    Active,
    Passive,
    ActPass,
}

/// What a peer's description says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    credentials: Credentials,
    fingerprints: Vec<Fingerprint>,
    setup: SetUp,
    /// Of one that is lite.
    lite: Option<Lite>,
}

pub(super) const WANTED: SdpError = SdpError::NotAcceptable(
    "This side of the call is a browser's (UDP/TLS/RTP/SAVPF), and the audio stream has another transport.",
);
const NO_ICE: SdpError = SdpError::NotAcceptable(
    "The audio stream has no a=ice-ufrag of 4 to 256 characters and a=ice-pwd of 22 to 256 (RFC 8839 5.4).",
);
const NOWHERE: SdpError = SdpError::NotAcceptable(
    "The peer is ICE lite, and has no candidate by UDP with an IP address that our media reaches (of its family, and no loopback), nor says that one will \
     come: nobody would look for a way.",
);
const NO_FINGERPRINT: SdpError = SdpError::NotAcceptable(
    "The audio stream has no a=fingerprint by sha-256, without which nobody knows who the peer is (RFC 8122 5).",
);
const NO_MUX: SdpError = SdpError::NotAcceptable(
    "The audio stream has no a=rtcp-mux; with browsers this node has RTP and RTCP on one port (RFC 5761).",
);
const NAMED: SdpError = SdpError::NotAcceptable("The audio stream has an a=mid of more than 64 octets.");
const HELD: SdpError =
    SdpError::NotAcceptable("The audio stream has an a=setup with which nobody connects (RFC 4145 4).");
const UNDECIDED: SdpError =
    SdpError::NotAcceptable("The answer's a=setup is neither active nor passive (RFC 8842 5.3).");

impl Peer {
    /// What a stream says, or the session where the stream says nothing (RFC 8839 5.4, RFC 8122 5, RFC 4145 4).
    /// `own` is the address of our media.
    pub fn read(session: &Session<'_>, media: &Media<'_>, own: IpAddr) -> Result<Peer, SdpError> {
        let one = |name: &'static str| media.attribute(name).or_else(|| session.attributes(name).next());
        let lite = trickle::lite(session, media, own);
        if lite
            .as_ref()
            .is_some_and(|lite| lite.candidates.is_empty() && !lite.trickles)
        {
            return Err(NOWHERE);
        }
        if media.attribute("rtcp-mux").is_none() {
            return Err(NO_MUX);
        }
        if media.attribute("mid").is_some_and(|mid| mid.len() > MID_BYTES) {
            return Err(NAMED);
        }
        let word = |name, least| one(name).and_then(|text| trickle::word(text, least));
        let (ufrag, pwd) = word("ice-ufrag", 4).zip(word("ice-pwd", 22)).ok_or(NO_ICE)?;
        let setup = match one("setup").map(str::trim) {
            // What an offer means that says nothing (RFC 4145 4.1).
            None | Some("active") => SetUp::Active,
            Some("passive") => SetUp::Passive,
            Some("actpass") => SetUp::ActPass,
            Some(_) => return Err(HELD),
        };
        let of = |value: &str| {
            let (hash, octets) = value.trim().split_once(' ')?;
            let is_known = hash.eq_ignore_ascii_case("sha-256");
            is_known.then(|| Fingerprint::parse(octets.trim())).flatten()
        };
        let mut fingerprints: Vec<Fingerprint> = media.attributes("fingerprint").filter_map(of).collect();
        if fingerprints.is_empty() {
            fingerprints.extend(session.attributes("fingerprint").filter_map(of));
        }
        fingerprints.truncate(limits::SDP_FINGERPRINTS);
        if fingerprints.is_empty() {
            return Err(NO_FINGERPRINT);
        }
        Ok(Peer {
            credentials: Credentials {
                ufrag: ufrag.into(),
                pwd: Secret::new(pwd),
            },
            fingerprints,
            setup,
            lite,
        })
    }

    /// The stream of an offer that is taken, where it is a browser's and may be; none where it is none and need not be.
    pub fn offered(
        session: &Session<'_>,
        media: &Media<'_>,
        can: WebrtcUse,
        own: IpAddr,
    ) -> Result<Option<Peer>, SdpError> {
        match (media.proto.is_dtls(), can) {
            (false, WebrtcUse::Always) if media.proto.is_rtp() => Err(WANTED),
            (true, WebrtcUse::Always | WebrtcUse::Maybe) => Peer::read(session, media, own).map(Some),
            // What it is then is said where keys are asked for.
            (true, WebrtcUse::Never) | (false, _) => Ok(None),
        }
    }
}

/// Whether a leg is a browser's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WebrtcUse {
    /// It is none.
    Never,
    /// It is what its peer offers.
    Maybe,
    /// It is one.
    Always,
}

#[cfg(test)]
pub(super) mod tests;
