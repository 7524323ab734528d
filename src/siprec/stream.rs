//! One of the two streams to a recording server: a media leg that has a copy of what a leg of the call receives.
//!
//! It lives on the worker of that leg, and goes where that goes.

use super::Turn;
use crate::cx::RngCore;
use crate::effect::Output;
use crate::id::{MediaLegId, WorkerId};
use crate::media::command::{Command, Dtmf, Function, Srtp, Stream as Agreement};
use crate::sdp::{self, Agreed, Capabilities, Direction, OfferAnswer, Security, Session};
use bytes::Bytes;
use codecs::Codec;
use std::net::IpAddr;

/// Where the leg lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    At(WorkerId),
    Moving,
    /// Close was sent, or it is closed.
    Closing,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its media leg.
    pub id: MediaLegId,
    place: Place,
    oa: OfferAnswer,
    told: Option<Agreed>,
    /// The server takes none of it.
    is_refused: bool,
    /// Of whom it has the copy.
    source: Option<MediaLegId>,
}

impl Stream {
    /// Opens it on a worker, with our media at this address; none where there is no room or no port.
    pub fn open(
        t: &mut Turn<'_, '_>,
        session: u64,
        worker: WorkerId,
        addr: IpAddr,
        can: Capabilities,
    ) -> Option<Stream> {
        if !t.stock.has_room(worker, 1) {
            return None;
        }
        let port = t.stock.take(addr.is_ipv6())?;
        let spec = t.stock.new_leg(t.cx, port);
        let id = spec.id;
        t.cx.emit(Output::Media(worker, Command::Open(Box::new(spec))));
        t.stock.enter(worker);
        t.tables.media.insert(id, (session, worker));
        Some(Stream {
            id,
            place: Place::At(worker),
            oa: OfferAnswer::new(addr, port.rtp, t.cx.random(), can),
            told: None,
            is_refused: false,
            source: None,
        })
    }

    /// Our offer, of this codec and no other: the copy has nothing else.
    pub fn offer(&mut self, codec: Codec, wants: Direction) -> Bytes {
        self.oa.speak([codec][..].into(), false);
        self.oa.offer(wants)
    }

    /// The server's answer to it; none where its description has no such stream.
    pub fn complete(&mut self, answer: Option<&Session<'_>>, signalling: IpAddr) -> Result<(), &'static str> {
        let done = match answer {
            Some(answer) => self.oa.complete(answer, signalling).map_err(|error| error.reason()),
            None => Err("The answer has fewer streams than the offer."),
        };
        self.is_refused = done.is_err();
        if self.is_refused {
            self.oa.spoil();
        }
        done
    }

    /// Our offer was refused: what was agreed before stays.
    pub fn withdraw(&mut self) {
        self.oa.withdraw();
    }

    /// What is agreed, to answer an offer of the server with.
    pub fn negotiation(&self) -> OfferAnswer {
        self.oa.clone()
    }

    /// An offer of the server was answered with this.
    pub fn answered(&mut self, oa: OfferAnswer) {
        (self.oa, self.is_refused) = (oa, false);
    }

    /// An offer of ours waits for its answer.
    pub fn is_offering(&self) -> bool {
        self.oa.is_offering()
    }

    /// Brings the leg to where its source is, and to what is agreed.
    pub fn tend(&mut self, t: &mut Turn<'_, '_>, source: Option<(MediaLegId, WorkerId)>) {
        let Place::At(here) = self.place else { return };
        match source.filter(|_| !self.is_refused) {
            Some((_, there)) if there != here && t.stock.has_room(there, 1) => self.move_to(t, here, there),
            Some((_, there)) if there != here => self.copy(t, here, None),
            Some((leg, _)) => self.copy(t, here, Some(leg)),
            None => self.copy(t, here, None),
        }
    }

    fn copy(&mut self, t: &mut Turn<'_, '_>, worker: WorkerId, source: Option<MediaLegId>) {
        self.negotiated(t, worker);
        if self.source != source {
            self.source = source;
            let function = source.map_or(Function::Idle, Function::Fork);
            let leg = self.id;
            t.cx.emit(Output::Media(worker, Command::Function { leg, function }));
        }
    }

    fn negotiated(&mut self, t: &mut Turn<'_, '_>, worker: WorkerId) {
        let Some(agreed) = self.oa.agreed().filter(|agreed| self.told.as_ref() != Some(agreed)) else {
            return;
        };
        let was_protected = self.told.as_ref().is_some_and(|told| told.keys.is_some());
        let (leg, remote, keys) = (self.id, agreed.remote, agreed.keys.clone());
        // Nobody listens for keys in what a server sends.
        let stream = Agreement {
            dtmf: Dtmf::Rfc4733,
            ..agreed.stream
        };
        self.told = Some(agreed.clone());
        // First: nothing is sent in the clear where it should not be, not even one packet.
        if keys.is_some() || was_protected {
            t.cx.emit(Output::Media(worker, Command::Protect { leg, keys }));
        }
        t.cx.emit(Output::Media(worker, Command::Negotiated { leg, remote, stream }));
    }

    fn move_to(&mut self, t: &mut Turn<'_, '_>, here: WorkerId, to: WorkerId) {
        t.cx.emit(Output::Media(here, Command::Move { leg: self.id, to }));
        if let Some((_, worker)) = t.tables.media.get_mut(&self.id) {
            *worker = to;
            t.stock.leave(here);
            t.stock.enter(to);
        }
        (self.place, self.source) = (Place::Moving, None);
    }

    /// `Event::Moved`.
    pub fn moved(&mut self, worker: WorkerId) {
        self.place = Place::At(worker);
    }

    /// `Event::Closed`.
    pub fn closed(&mut self) {
        self.place = Place::Closing;
    }

    /// Ends it, once; one that moves is to be closed when it has come.
    pub fn close(&mut self, t: &mut Turn<'_, '_>) {
        if let Place::At(worker) = self.place {
            t.cx.emit(Output::Media(worker, Command::Close(self.id)));
            self.place = Place::Closing;
        }
    }
}

/// What we can do on a stream of this codec: audio as it is.
pub(super) fn capabilities(t: &mut Turn<'_, '_>, codec: Codec, comfort_noise: bool, srtp: Srtp) -> Capabilities {
    Capabilities {
        events: false,
        comfort_noise,
        security: Security::new(srtp, |octets| t.cx.rng.fill_bytes(octets)),
        ..sdp::capabilities(&[codec], t.cx.config.media.opus())
    }
}
