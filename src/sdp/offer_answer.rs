//! Offer and answer on one leg (RFC 3264): what we described, what was agreed, and what the peer wants.
//!
//! The two legs of a call never see each other's descriptions. What crosses is the peer's wish: whether it sends and
//! receives. What a peer sends here we send there, so a peer's wish is also the direction that its partner's leg is to have;
//! `b2bua/change.rs` and `ng/call.rs` bring it there.

use super::image;
use crate::media::command::{Gains, OpusParams, Srtp, Suite};
use crate::sdp::{
    self, Agreed, Capabilities, Codecs, Direction, Image, Local, Offered, SdpError, Security, Sees, Session, Trickled,
};
use bytes::Bytes;
use codecs::{Codec, Rate};
use std::fmt;
use std::net::IpAddr;

/// What a description says of its author: whether it sends and receives. `c=0.0.0.0` means "send me nothing" (RFC 3264 8.4).
pub fn wish_of(session: &Session<'_>) -> Direction {
    let Some(audio) = session.audio() else {
        // A hold is of audio: what it was before a fax, it is behind it.
        return image::direction(session).unwrap_or(Direction::Inactive);
    };
    let said = session.direction(audio);
    // Where a browser is, ICE finds.
    let nowhere = !audio.proto.is_dtls() && session.connection(audio).is_some_and(sdp::Connection::is_unspecified);
    Direction::new(said.sends(), said.receives() && !nowhere)
}

/// The wish after a description of the peer, which tells only what ours (`said`) left open: to `sendonly` a peer can but answer
/// that it does not send, and it repeats that when it refreshes its session while it is held. What it says it does, it does.
fn learned(before: Direction, said: Direction, told: Direction) -> Direction {
    let sends = told.sends() || (!said.receives() && before.sends());
    let receives = told.receives() || (!said.sends() && before.receives());
    Direction::new(sends, receives)
}

/// A description of ours: as it was sent, and what it says of us.
#[derive(Clone)]
struct Said {
    body: Bytes,
    wish: Direction,
}

/// The body may hold keys.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Said({} octets, {:?})", self.body.len(), self.wish)
    }
}

impl Said {
    fn new(session: &Session<'_>) -> Said {
        Said {
            body: session.to_body(),
            wish: wish_of(session),
        }
    }

    fn read(&self) -> Session<'_> {
        Session::parse(&self.body).expect("what we write can be read")
    }
}

/// Our side's offer that waits for its answer.
#[derive(Clone, Debug)]
struct Pending {
    offer: Said,
    /// The same for its answer.
    offered: Offered,
    said_before: Direction,
}

/// The session description of one leg.
#[derive(Clone, Debug)]
pub struct OfferAnswer {
    local: Local,
    capabilities: Capabilities,
    ours: Option<Said>,
    pending: Option<Box<Pending>>,
    agreed: Option<Agreed>,
    said: Direction,
    wish: Direction,
    /// What is said to the peer of a fax, the other side's words; none: audio is offered, and no fax is taken.
    words: Option<Box<Image>>,
}

impl OfferAnswer {
    /// A leg that nothing was described for yet. `session_id` stays for its life (RFC 4566 5.2).
    pub fn new(addr: IpAddr, port: u16, session_id: u64, capabilities: Capabilities) -> OfferAnswer {
        // Readers of `o=` hold its numbers in 63 bits at best.
        let session_id = session_id >> 1;
        let local = Local {
            addr,
            port,
            session_id,
            version: 1,
            direction: Direction::SendRecv,
        };
        OfferAnswer {
            local,
            capabilities,
            ours: None,
            pending: None,
            agreed: None,
            said: Direction::SendRecv,
            wish: Direction::SendRecv,
            words: None,
        }
    }

    /// An offer of ours waits for its answer.
    pub fn is_offering(&self) -> bool {
        self.pending.is_some()
    }

    /// What was agreed last.
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// What is agreed is a fax.
    pub fn is_fax(&self) -> bool {
        self.image().is_some()
    }

    /// What the peer says of the fax that is agreed.
    pub fn image(&self) -> Option<&Image> {
        self.agreed.as_ref()?.image.as_deref()
    }

    /// From now on a fax is offered and taken, of which this is said; or audio. What is agreed stays until that is.
    pub fn turn_to(&mut self, words: Option<Image>) {
        self.words = words.map(Box::new);
    }

    /// Our offer that waits would make audio of a fax, or a fax of audio.
    pub fn is_turning(&self) -> bool {
        let offers = self.pending.as_ref().map(|pending| pending.offered.is_fax);
        offers.is_some_and(|fax| fax != self.is_fax())
    }

    /// The direction of our last description.
    pub fn said(&self) -> Direction {
        self.said
    }

    /// What the peer does and wants: the direction that its partner's leg is to have.
    pub fn wish(&self) -> Direction {
        self.wish
    }

    /// Puts these codecs first, so that the other leg's can be relayed.
    pub fn prefer(&mut self, first: &[Codec]) {
        self.capabilities.codecs = ordered(&self.capabilities.codecs, first);
    }

    /// Speaks these codecs from now on, in this order, with telephone events or without.
    pub fn speak(&mut self, codecs: Codecs, events: bool) {
        (self.capabilities.codecs, self.capabilities.events) = (codecs, events);
    }

    /// Whether media is to be protected.
    pub fn srtp(&self) -> Srtp {
        self.capabilities.srtp()
    }

    /// Protects media by these suites alone, or not at all; with new keys unless it was so before. `fill` as in [`Security::new`].
    pub fn protect(&mut self, srtp: Srtp, keep: impl Fn(Suite) -> bool, fill: impl FnMut(&mut [u8])) {
        if srtp != self.srtp() {
            self.capabilities.security = Security::new(srtp, fill);
        }
        if let Some(security) = &mut self.capabilities.security {
            security.retain(keep);
        }
    }

    /// Makes ready what a browser is answered that begins anew. `fill` as in [`Security::new`].
    pub fn renew(&mut self, fill: impl FnMut(&mut [u8])) {
        if let Some(webrtc) = &mut self.capabilities.webrtc {
            webrtc.renew(fill);
        }
    }

    /// The names of our lines in the description that a peer knows (RFC 5888 4); none where it knows none.
    fn with_mids<R>(&self, work: impl FnOnce(Option<&[&str]>) -> R) -> R {
        let pending = self.pending.as_ref().map(|pending| &pending.offer);
        let Some(said) = self.ours.as_ref().or(pending).map(Said::read) else {
            return work(None);
        };
        let lines = said.media.iter().filter(|line| line.port != 0);
        let mids: Vec<&str> = lines.filter_map(|line| line.attribute("mid")).collect();
        work(Some(&mids))
    }

    /// Reads what a browser or another peer with ICE tells of its candidates in an INFO (RFC 8840 4.4); `None` where that is of none of our lines.
    ///
    /// # Errors
    /// 400 for a body that is no such thing.
    pub fn trickled(&self, body: &[u8]) -> Result<Option<Trickled>, SdpError> {
        self.with_mids(|mids| Trickled::read(body, mids, self.local.addr))
    }

    /// Takes it: it counts for what is agreed, or will be.
    pub fn trickle(&mut self, told: &Trickled) {
        if let Some(webrtc) = &mut self.capabilities.webrtc {
            webrtc.trickle(told);
        }
        if let Some(connect) = self.agreed.as_mut().and_then(|agreed| agreed.connect.as_mut()) {
            told.join(connect);
        }
    }

    /// The peer is a browser.
    pub fn is_web(&self) -> bool {
        self.capabilities.webrtc.is_some()
    }

    /// This is taken from now on beside a browser's audio, or refused.
    pub fn see(&mut self, sees: Option<Sees>) {
        if let Some(webrtc) = &mut self.capabilities.webrtc {
            webrtc.see(sees);
        }
    }

    /// Our offer, pending from now on.
    pub fn offer(&mut self, want: Direction) -> Bytes {
        self.local.direction = want;
        let before = self.ours.as_ref().map(Said::read);
        let (mut session, offered) = match &self.words {
            Some(words) => image::offer(&self.local, words, before.as_ref()),
            None => sdp::offer_to_keep(&self.local, &self.capabilities, before.as_ref()),
        };
        self.local.version = numbered(self.local.version, before.as_ref(), &mut session);
        let offer = Said::new(&session);
        self.wait_for(offer, offered, want)
    }

    /// Our last description once more, pending from now on: a refresh, whose `o=` says that nothing changes (RFC 4028 7.4).
    pub fn repeat(&mut self) -> Bytes {
        match self.ours.clone() {
            Some(offer) => {
                let offered = Offered::of(&offer.read()).expect("every description of ours has audio or a fax");
                self.wait_for(offer, offered, self.said)
            }
            None => self.offer(self.said),
        }
    }

    fn wait_for(&mut self, offer: Said, offered: Offered, said: Direction) -> Bytes {
        let body = offer.body.clone();
        let said_before = std::mem::replace(&mut self.said, said);
        self.pending = Some(Box::new(Pending {
            offer,
            offered,
            said_before,
        }));
        body
    }

    /// The offer that waits for its answer.
    pub fn waiting(&self) -> Option<Bytes> {
        self.pending.as_ref().map(|pending| pending.offer.body.clone())
    }

    /// What an answer to the pending offer would agree on: an early dialog's, which another may still replace.
    pub fn preview(&self, answer: &Session<'_>, signalling: IpAddr) -> Result<Agreed, SdpError> {
        let (local, can) = (&self.local, &self.capabilities);
        match (&self.pending, &self.ours) {
            (Some(pending), _) => pending.offered.complete(answer, local, can, signalling),
            (None, Some(ours)) => sdp::complete(&ours.read(), answer, local, can, signalling),
            (None, None) => Err(SdpError::NotAcceptable("There was no offer to answer")),
        }
    }

    /// The media is told what an early answer agreed on, which may not be what is settled in the end.
    pub fn heard_early(&mut self, agreed: &Agreed) {
        if let Some(security) = &mut self.capabilities.security {
            security.used(agreed.keys.as_deref());
        }
    }

    /// The answer to the pending offer.
    pub fn complete(&mut self, answer: &Session<'_>, signalling: IpAddr) -> Result<(), SdpError> {
        let agreed = self.preview(answer, signalling)?;
        self.settle(agreed, wish_of(answer));
        Ok(())
    }

    /// The pending offer was answered before, by what `preview` agreed on.
    pub fn settle(&mut self, mut agreed: Agreed, answer: Direction) {
        // Where no more of it is taken, it stays as it is until the peer offers.
        let sees = self.capabilities.webrtc.as_ref().is_some_and(|webrtc| webrtc.sees());
        if let Some(before) = self.agreed.as_mut().filter(|_| !sees) {
            agreed.video = before.video.take().filter(|_| agreed.connect.is_some());
        }
        if let Some(pending) = self.pending.take() {
            self.wish = learned(self.wish, pending.offer.wish, answer);
            self.ours = Some(pending.offer);
        }
        self.agree(agreed);
    }

    fn agree(&mut self, mut agreed: Agreed) {
        if agreed.image.is_some() {
            // They are for when the audio comes back.
            agreed.keys = self.agreed.as_mut().and_then(|before| before.keys.take());
            self.agreed = Some(agreed);
            return;
        }
        self.words = None;
        if let Some(security) = &mut self.capabilities.security {
            security.agreed(agreed.keys.as_deref());
        }
        if let (Some(webrtc), Some(connect)) = (&mut self.capabilities.webrtc, &agreed.connect) {
            webrtc.agreed(connect);
        }
        self.agreed = Some(agreed);
    }

    /// The pending offer was refused: what was agreed before stays (RFC 3261 14.1).
    pub fn withdraw(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.said = pending.said_before;
            let ours = self.ours.as_ref().filter(|_| self.is_fax());
            let words = ours.and_then(|ours| Image::of(&ours.read()).ok().flatten());
            self.turn_to(words);
        }
    }

    /// The pending offer was taken, and yet nothing is agreed by it: the next one goes on from there.
    pub fn spoil(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.ours = Some(pending.offer);
        }
        self.words = None;
    }

    /// Our answer to the peer's offer; on an error nothing changes.
    pub fn answer(&mut self, offer: &Session<'_>, want: Direction, signalling: IpAddr) -> Result<Bytes, SdpError> {
        let mut local = self.local;
        local.direction = want;
        let (mut session, mut agreed) = match (&self.words, Image::of(offer)?) {
            (Some(words), Some(_)) => image::answer(offer, &local, words, &self.capabilities, signalling)?,
            (Some(_) | None, _) => sdp::answer(offer, &local, &self.capabilities, signalling)?,
        };
        // A stream that ends for now keeps its keys for when it comes back.
        if agreed.remote.rtp.port() == 0 {
            agreed.keys = self.agreed.as_mut().and_then(|before| before.keys.take());
        }
        let before = self.ours.as_ref().map(Said::read);
        local.version = numbered(local.version, before.as_ref(), &mut session);
        let said_before = self.ours.as_ref().map(|ours| ours.wish).unwrap_or_default();
        let ours = Said::new(&session);
        let body = ours.body.clone();
        self.local = local;
        self.ours = Some(ours);
        self.agree(agreed);
        self.said = want;
        let told = wish_of(offer);
        // The mirror of what we said is a refresh; anything else is what the peer wants from now on.
        self.wish = match told == said_before.mirrored() {
            true => learned(self.wish, said_before, told),
            false => told,
        };
        Ok(body)
    }
}

/// The version goes up when the description changes, and only then (RFC 3264 8).
fn numbered(version: u64, before: Option<&Session<'_>>, session: &mut Session<'_>) -> u64 {
    match before {
        Some(before) if !before.same_but_version(session) => {
            session.set_version(version + 1);
            version + 1
        }
        Some(_) | None => version,
    }
}

/// `base` with those of `first` in front, in their order, and then those that have the band of the very first: a carrier with PCMU and a
/// phone with G.722 and PCMA then need no transcoder, which would not make it sound better.
pub fn ordered(base: &[Codec], first: &[Codec]) -> Codecs {
    let mut list = Codecs::new();
    let both = first.iter().filter(|codec| base.contains(codec));
    let is_wide = |codec: &Codec| codec.rate() > Rate::Narrow;
    let band = first.first().map(is_wide);
    let alike = base.iter().filter(|codec| Some(is_wide(codec)) == band);
    for codec in both.chain(alike).chain(base) {
        if !list.contains(codec) {
            list.push(*codec);
        }
    }
    list
}

/// What we can do on a leg with these codecs.
pub fn capabilities(codecs: &[Codec], opus: OpusParams) -> Capabilities {
    Capabilities {
        codecs: codecs.into(),
        events: true,
        ptime_ms: 20,
        opus,
        gain: Gains::default(),
        comfort_noise: false,
        security: None,
        webrtc: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_codecs_come_first_and_none_is_lost_or_added() {
        let base = [Codec::Opus, Codec::Pcma, Codec::Pcmu];
        let in_front = ordered(&base, &[Codec::Pcmu, Codec::Pcma]);
        assert_eq!(in_front[..], [Codec::Pcmu, Codec::Pcma, Codec::Opus]);
        assert_eq!(ordered(&[Codec::Pcma], &[Codec::Opus, Codec::Pcma])[..], [Codec::Pcma]);
        let all = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
        let in_front = ordered(&all, &[Codec::Pcmu]);
        assert_eq!(in_front[..], [Codec::Pcmu, Codec::Pcma, Codec::Opus, Codec::G722]);
        assert_eq!(ordered(&all[1..], &[Codec::Opus])[..], all[1..]);
        assert_eq!(ordered(&all[2..], &[Codec::Opus])[..], all[2..]);
        assert_eq!(ordered(&base, &[])[..], base);
    }

    #[test]
    fn a_description_tells_only_what_ours_left_open() {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        assert_eq!(learned(SendRecv, Inactive, Inactive), SendRecv);
        assert_eq!(learned(SendRecv, SendOnly, RecvOnly), SendRecv);
        assert_eq!(learned(SendRecv, SendOnly, Inactive), SendOnly);
        assert_eq!(learned(Inactive, SendRecv, SendRecv), SendRecv);
        assert_eq!(learned(SendRecv, SendRecv, SendOnly), SendOnly);
        assert_eq!(learned(SendRecv, SendOnly, SendRecv), SendRecv);
        assert_eq!(learned(SendOnly, Inactive, RecvOnly), SendRecv);
    }
}
