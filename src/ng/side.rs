//! One side of a call: its media leg, and what was described to its peer.

use super::answers::Asker;
use super::bencode::Value;
use super::flags::Flags;
use super::message::Refused;
use crate::cx::{Cx, RngCore};
use crate::effect::Output;
use crate::id::{MediaLegId, WorkerId};
use crate::media::command::{Command, Dtmf, Function, LegStats, Port, Remote, Srtp, Stream, Suite};
use crate::sdp::{Agreed, Connection, OfferAnswer, Proto, Session, capabilities};
use crate::stock::Stock;
use crate::time::{Instant, Wall};
use codecs::Codec;
use std::collections::HashMap;
use std::net::IpAddr;

/// Who has which leg, and where it lives.
pub(super) type Legs = HashMap<MediaLegId, (u64, WorkerId), foldhash::fast::FixedState>;

/// What a call is given for one step.
pub(super) struct Turn<'t, 'c> {
    /// The node's context.
    pub cx: &'t mut Cx<'c>,
    /// Ports and places.
    pub stock: &'t mut Stock,
    /// Of all calls.
    pub legs: &'t mut Legs,
    /// Answers that are to go out.
    pub said: Vec<(Asker, Value<'static>)>,
}

impl<'t, 'c> Turn<'t, 'c> {
    /// Nothing was said yet.
    pub fn new(cx: &'t mut Cx<'c>, stock: &'t mut Stock, legs: &'t mut Legs) -> Turn<'t, 'c> {
        Turn {
            cx,
            stock,
            legs,
            said: Vec::new(),
        }
    }
}

/// An offer that went on to a side, until another one does.
#[derive(Debug)]
pub(super) struct Asked {
    /// Who made it.
    pub by: MediaLegId,
    /// As it came.
    pub offer: Session<'static>,
    /// What was wanted with it.
    pub flags: Box<Flags>,
}

/// One side.
#[derive(Debug)]
pub(super) struct Side {
    /// Its media leg.
    pub id: MediaLegId,
    /// Where it lives.
    pub worker: WorkerId,
    /// Its sockets.
    pub port: Port,
    /// The SIP tag of its peer; of who was called none before the first answer.
    pub tag: Option<Box<str>>,
    /// The branch of a fork that it is.
    pub branch: Option<Box<str>>,
    /// As the proxy calls it.
    pub label: Option<Box<str>>,
    /// Since when it is known.
    pub since: Wall,
    /// What was described.
    pub oa: OfferAnswer,
    /// What it is asked.
    pub asked: Option<Asked>,
    /// Whose media it hears.
    pub partner: Option<MediaLegId>,
    /// Its digits do not get through.
    pub is_blocked: bool,
    /// Its counters, as they were told last.
    pub stats: LegStats,
    /// When a packet more had come than before.
    pub heard: Instant,
    /// The leg is closed, and its counters are the last.
    pub is_closed: bool,
    told: Option<(Remote, Stream)>,
    is_protected: bool,
}

impl Side {
    /// Opens a leg of a call on its worker, on an address of this family.
    pub fn open(t: &mut Turn<'_, '_>, call: (u64, WorkerId), v6: bool, flags: &Flags) -> Result<Side, Refused> {
        let family = if v6 { "IPv6" } else { "IPv4" };
        let named = flags.media_address.filter(|addr| addr.is_ipv6() == v6);
        let Some(addr) = named.or_else(|| t.cx.config.media_address(v6)) else {
            return Err(Refused::from(format!("This node has no {family} address for media.")));
        };
        let (_, worker) = call;
        if !t.stock.has_room(worker, 1) {
            return Err(Refused::full("Every media worker has as many legs as it can hold"));
        }
        let Some(port) = t.stock.take(v6) else {
            return Err(Refused::full("Ran out of ports"));
        };
        let spec = t.stock.new_leg(t.cx, port);
        let id = spec.id;
        t.stock.enter(worker);
        t.legs.insert(id, call);
        t.cx.emit(Output::Media(worker, Command::Open(Box::new(spec))));
        let media = &t.cx.config.media;
        let can = capabilities(&[Codec::Pcmu], media.opus());
        Ok(Side {
            id,
            worker,
            port,
            tag: None,
            branch: None,
            label: None,
            since: t.cx.wall,
            oa: OfferAnswer::new(addr, port.rtp, t.cx.random(), can),
            asked: None,
            partner: None,
            is_blocked: false,
            stats: LegStats::default(),
            heard: t.cx.now,
            is_closed: false,
            told: None,
            is_protected: false,
        })
    }

    /// Whether media is protected from now on, and by which suites.
    pub fn protect(&mut self, t: &mut Turn<'_, '_>, srtp: Srtp, allows: impl Fn(Suite) -> bool) {
        self.oa.protect(srtp, allows, |octets| t.cx.rng.fill_bytes(octets));
    }

    /// Something was agreed on with its peer before.
    pub fn spoken(&self) -> Option<Codec> {
        self.oa.agreed().map(|agreed| agreed.stream.codec)
    }

    /// Tells the worker what was agreed last, if that is new.
    pub fn tell(&mut self, t: &mut Turn<'_, '_>) {
        let Some(agreed) = self.oa.agreed().cloned() else {
            return;
        };
        let Agreed {
            remote,
            mut stream,
            keys,
            ..
        } = agreed;
        if self.is_blocked {
            // What was not agreed is not heard, and who has events is not listened to for tones.
            if stream.events_rx.take().is_some() {
                stream.dtmf = Dtmf::Rfc4733;
            }
        }
        // First: nothing is sent in the clear where it should not be, not even one packet.
        if keys.is_some() || self.is_protected {
            self.is_protected = keys.is_some();
            self.command(t, Command::Protect { leg: self.id, keys });
        }
        if self.told != Some((remote, stream)) {
            self.told = Some((remote, stream));
            let leg = self.id;
            self.command(t, Command::Negotiated { leg, remote, stream });
        }
    }

    /// Nothing of its digits comes through, or all again.
    pub fn block(&mut self, t: &mut Turn<'_, '_>, is_blocked: bool) {
        if self.is_blocked != is_blocked {
            self.is_blocked = is_blocked;
            self.tell(t);
        }
    }

    /// Something for its worker.
    pub fn command(&self, t: &mut Turn<'_, '_>, command: Command) {
        if !self.is_closed {
            t.cx.emit(Output::Media(self.worker, command));
        }
    }

    /// Its media goes to this one, and that one's to it; the worker lets go of others by itself.
    pub fn join(&self, t: &mut Turn<'_, '_>, other: MediaLegId) {
        let function = Function::Bridge(other);
        self.command(t, Command::Function { leg: self.id, function });
    }

    /// True where media is expected of its peer.
    pub fn receives(&self) -> bool {
        self.oa.agreed().is_some_and(|agreed| agreed.stream.receives)
    }

    /// Counters that were told now.
    pub fn count(&mut self, now: Instant, stats: LegStats) {
        if stats.received > self.stats.received {
            self.heard = now;
        }
        self.stats = stats;
    }
}

/// The address that the signalling of who described this came from; without one, that of the description: media may come from there.
pub(super) fn signalling(session: &Session<'_>, flags: &Flags) -> IpAddr {
    let said = || session.audio_address();
    let unknown = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    flags.received_from.or_else(said).unwrap_or(unknown)
}

/// Writes the address that signalling came from into a description that is not to be believed.
pub(super) fn believe<'s>(mut session: Session<'s>, flags: &Flags) -> Session<'s> {
    let Some(addr) = flags.received_from.filter(|_| flags.by_source) else {
        return session;
    };
    let connections = session.media.iter_mut().map(|media| &mut media.connection);
    for connection in connections.chain([&mut session.connection]).flatten() {
        if !connection.is_unspecified() {
            *connection = Connection::Ip(addr);
        }
    }
    session
}

/// Removes what is not to be agreed on with who offers.
pub(super) fn limit<'s>(mut session: Session<'s>, flags: &Flags) -> Session<'s> {
    if flags.refuses_mux {
        for media in &mut session.media {
            media.attributes.retain(|attribute| attribute.name != "rtcp-mux");
        }
    }
    session
}

/// Whether who made this offer wants it protected: RTP/AVP without regard to keys beside it, unless that is wanted.
pub(super) fn wanted(offer: &Session<'_>, flags: &Flags) -> Srtp {
    match offer.audio().map(|media| &media.proto) {
        Some(Proto::RtpSavp | Proto::RtpSavpf) => Srtp::Required,
        Some(_) if flags.takes_keys => Srtp::Offered,
        Some(_) | None => Srtp::Off,
    }
}

/// Whether an offer goes on protected: as `transport-protocol` says, else as it is to this side already, else as it came.
pub(super) fn onward(flags: &Flags, agreed: Option<Srtp>, came: Srtp) -> Result<Srtp, Refused> {
    let srtp = transport(flags, agreed, came)?;
    let is_left = Suite::ALL
        .into_iter()
        .any(|suite| !suite.is_short() && flags.sdes.allows(suite));
    match srtp {
        Srtp::Off => Ok(srtp),
        Srtp::Offered | Srtp::Required if flags.sdes.off => {
            Err("SDES is switched off, and this node has no other way to agree on keys for SRTP.".into())
        }
        Srtp::Offered | Srtp::Required if !is_left => Err("SDES leaves no suite that this node could offer.".into()),
        Srtp::Offered | Srtp::Required => Ok(srtp),
    }
}

fn transport(flags: &Flags, agreed: Option<Srtp>, came: Srtp) -> Result<Srtp, Refused> {
    let clear = if flags.offers_keys { Srtp::Offered } else { Srtp::Off };
    match flags.transport.as_deref().map(Proto::parse) {
        Some(Proto::RtpAvp) => Ok(clear),
        Some(Proto::RtpSavp) => Ok(Srtp::Required),
        Some(Proto::UdpTlsRtpSavp | Proto::UdpTlsRtpSavpf) => {
            Err("DTLS-SRTP is not offered on this node: transport-protocol may be RTP/AVP or RTP/SAVP.".into())
        }
        Some(Proto::RtpAvpf | Proto::RtpSavpf) => {
            Err("RTCP feedback is not offered on this node: transport-protocol may be RTP/AVP or RTP/SAVP.".into())
        }
        Some(Proto::Other(other)) => {
            let cut: String = other.chars().take(64).collect();
            Err(Refused::from(format!(
                "The transport-protocol {cut:?} is not offered on this node."
            )))
        }
        None => Ok(agreed.unwrap_or(match came {
            Srtp::Required => Srtp::Required,
            Srtp::Off | Srtp::Offered => clear,
        })),
    }
}
