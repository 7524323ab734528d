//! One leg of a call: a peer, the dialog with it, its session description and its media.
//!
//! ```text
//!   INVITE from the peer                     INVITE to the peer
//!          |                                        |
//!          v                                        v
//!    +----------+   failure, CANCEL          +----------+  failure   +------+
//!    | Incoming | -----------------+         | Outgoing | ---------> | Gone |
//!    +----------+                  |         +----------+            +------+
//!          | our 2xx               v            |    | CANCEL sent:    ^  ^
//!          |                    +------+        |    +-> Cancelled ----+  |
//!          v                    | Gone |        | 2xx, ACK               |
//!        +----+                 +------+        v                        |
//!        | Up | <------------------------------ +                        |
//!        +----+ --- BYE from the peer ---------------------------------> |
//!          | we end it                                                   |
//!          v                                                             |
//!     +---------+  BYE answered (sent after the ACK, RFC 3261 15)        |
//!     | Leaving | ------------------------------------------------------ +
//!     +---------+
//! ```

use super::desk::{Claim, LegTimer, Timer, Turn};
use super::identity::Identity;
use super::info::Press;
use super::media::MediaLeg;
use super::offer::OfferAnswer;
use super::refer::Subscription;
use crate::config::Config;
use crate::cx::RngCore;
use crate::dialog::accepted::{Acknowledged, Unacknowledged};
use crate::dialog::reliable::{Receiver, Sender};
use crate::dialog::session_timer::SessionTimer;
use crate::dialog::{Begun, Dialog};
use crate::effect::{Binding, Party};
use crate::id::{
    CallId, ClientTx, ConnectionId, Flow, LegNo, ListenerId, Owner, ServerTx, Target, Transport, TrunkIx, WorkerId,
};
use crate::media::command::{Dtmf, Port, Srtp};
use crate::sdp::{Agreed, Capabilities, Direction, Security};
use crate::sip::{Draft, Message, Name, NameAddr, Uri};
use crate::time::Instant;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// A leg's name for its whole life: the call that it was born in and its number there. A transfer may move it to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId {
    /// The call of its birth.
    pub call: CallId,
    /// Its number there.
    pub no: LegNo,
}

impl LegId {
    /// As the transaction layer and the store know it.
    pub const fn owner(self) -> Owner {
        Owner::Leg(self.call, self.no)
    }
}

/// The peer of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A phone of a user.
    User(Arc<str>),
    /// A carrier; the place of its peer, where we chose one.
    Trunk(TrunkIx, Option<u16>),
}

impl Who {
    /// For records.
    pub fn party(&self, config: &Config) -> Party {
        match self {
            Who::User(name) => Party::User(name.to_string()),
            Who::Trunk(trunk, _) => Party::Trunk(*trunk, config.trunks[usize::from(trunk.0)].name.clone()),
        }
    }

    /// The trunk, if it is one.
    pub const fn trunk(&self) -> Option<TrunkIx> {
        match self {
            Who::User(_) => None,
            Who::Trunk(trunk, _) => Some(*trunk),
        }
    }
}

/// An INVITE that came and has no final response.
#[derive(Clone)]
pub struct Incoming {
    /// Its transaction.
    pub tx: ServerTx,
    /// The request.
    pub invite: Message,
    /// It was sent to a SIPS URI.
    pub secure: bool,
    /// Its offer, if it has one: it can be read.
    pub offer: Option<Bytes>,
    /// Our description in provisional responses, which the 2xx repeats (RFC 3261 13.3.1.1).
    pub answer: Option<Bytes>,
    /// The last provisional status that we sent; 100 when none.
    pub last: u16,
    /// Answered, but a reliable response with SDP must be acknowledged first (RFC 3262 3).
    pub accept_after_prack: bool,
}

/// The descriptions may hold keys.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({:?}, {:?}, last {})", self.tx, self.invite, self.last)
    }
}

/// How far an INVITE of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The phone sleeps, and is being woken (RFC 8599).
    Waking,
    /// A way to the peer is looked for.
    Reaching,
    /// Sent; nothing came.
    Calling,
    /// A provisional response came.
    Proceeding,
}

/// A dialog that a provisional response made. A proxy behind the peer may fork, so there can be several.
#[derive(Clone, Debug)]
pub struct Early {
    /// The dialog.
    pub dialog: Dialog,
    /// Its reliable responses.
    pub receiver: Receiver,
    /// Its description came reliably: offer and answer are complete (RFC 3262 5).
    pub complete: bool,
    /// What its description agreed on, and what it says of the peer.
    pub answer: Option<(Agreed, Direction)>,
    /// The way of requests in it: each fork has a Contact and a route set of its own.
    pub flow: Flow,
    /// How to send in it.
    pub way: Way,
    /// The name under which its next hop is looked for.
    pub seeker: LegId,
}

/// An INVITE that we send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// How far it is.
    pub progress: Progress,
    /// From, with our tag, as it was sent; empty before.
    pub from: Box<str>,
    /// Call-ID.
    pub call_id: Box<str>,
    /// The number of its last CSeq.
    pub cseq: u32,
    /// The credentials that it was sent with at last.
    pub credentials: Vec<(Name, Box<str>)>,
    /// Its transaction.
    pub tx: Option<ClientTx>,
    /// The request URI.
    pub target: Uri,
    /// To.
    pub to: Arc<str>,
    /// What else the name of the next hop resolved to.
    pub rest: Vec<Target>,
    /// What its binding has besides.
    pub beyond: Beyond,
    /// Its early dialogs.
    pub early: Vec<Early>,
    /// It rang.
    pub rang: bool,
    /// A bare 180 came after a description: its own tone may be missing (RFC 3960 3.2).
    pub bare_ring: bool,
    /// Why it was given up: what the CANCEL said, and what a BYE says where an answer crosses it.
    pub reason: Option<String>,
}

/// What a phone's binding may have beyond a contact and a flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beyond {
    /// The proxies on the way to it (RFC 3327).
    pub path: Vec<NameAddr>,
    /// The way by them was not found: what is left is the flow that the registration came by.
    pub pathless: bool,
    /// It is reached by its flows and by nothing else (RFC 5626).
    pub outbound: bool,
    /// Further flows of the same device: one is called at a time (RFC 5626 7).
    pub next: Vec<Binding>,
}

impl Outgoing {
    /// What dialogs are made from; `None` before it was sent.
    pub fn begun(&self) -> Option<Begun<'_>> {
        (!self.from.is_empty()).then_some(Begun {
            local: &self.from,
            remote: &self.to,
            target: &self.target,
        })
    }

    /// Nothing more is sent in its early dialogs: their next hops are not looked for any more.
    pub fn forget_ways(&self, t: &mut Turn<'_, '_>) {
        for early in &self.early {
            t.net.layer.forget(early.seeker.owner());
            t.desk.set_home(early.seeker, early.seeker.call);
        }
    }
}

/// Where a leg is.
#[derive(Clone, Debug)]
pub enum State {
    /// Their INVITE has no final response.
    Incoming(Box<Incoming>),
    /// Our INVITE has no final response.
    Outgoing(Box<Outgoing>),
    /// We gave our INVITE up; its final response is still to come.
    Cancelled(Box<Outgoing>),
    /// The dialog is confirmed.
    Up,
    /// We end it: BYE is sent, or waits for the ACK of our 2xx.
    Leaving,
    /// Nothing more is said.
    Gone,
}

/// Whose change of the session is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None.
    None,
    /// Our INVITE or UPDATE has no final response.
    Ours,
    /// Refused for now: the timer tries again.
    Waiting,
    /// The peer's INVITE waits for the other side's answer.
    Theirs,
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The first INVITE.
    Invite,
    /// A later one.
    Reinvite,
    /// Session refresh.
    Update,
    /// Acknowledges a reliable provisional response.
    Prack,
    /// The end.
    Bye,
    /// How a transfer goes.
    Notify,
    /// A digit.
    Info,
    /// The ACK of a 2xx: no transaction.
    Ack,
}

/// A client transaction of a leg.
#[derive(Clone, Debug)]
pub struct Sent {
    /// It.
    pub tx: ClientTx,
    /// What for.
    pub what: What,
    /// Over this.
    pub flow: Flow,
    /// The request, where it may have to be sent again with credentials.
    pub again: Option<Box<Draft>>,
}

/// The way of requests in the dialog.
#[derive(Clone, Debug)]
pub enum Way {
    /// The leg's flow.
    Open,
    /// The dialog's next hop is being found; what is to be said waits.
    Finding(Vec<(What, Draft)>),
}

/// One leg.
#[derive(Debug)]
pub struct Leg {
    /// Its name.
    pub id: LegId,
    /// Its peer.
    pub who: Who,
    /// Who is heard and seen on it, for the other side; `None`: the user as configured.
    pub identity: Option<Arc<Identity>>,
    /// It stands on the caller's side of the record.
    pub caller_side: bool,
    /// The way that messages come and go.
    pub flow: Flow,
    /// It is a phone behind proxies of its own (RFC 3327): its route set leads to it, not a flow.
    pub routed: bool,
    /// What stands behind the GRUU that its phone gave as its Contact.
    pub contact: Option<Box<Uri>>,
    /// The number of the room that its peer talks with, whose URI our Contact is then.
    pub focus: Option<Arc<str>>,
    /// The peer was told another Contact before.
    pub focus_untold: bool,
    /// How to send in the dialog.
    pub way: Way,
    /// Where it is.
    pub state: State,
    /// The dialog; of an outgoing leg from its 2xx on.
    pub dialog: Option<Dialog>,
    /// Offer and answer; from the moment that it has a port.
    pub oa: Option<OfferAnswer>,
    /// Media.
    pub media: Option<MediaLeg>,
    /// Session timer.
    pub timer: SessionTimer,
    /// The transaction of the peer's last INVITE that we answered with 2xx.
    pub invite_tx: Option<ServerTx>,
    /// Our 2xx that has no ACK.
    pub unacked: Option<Unacknowledged>,
    /// Our ACK of their 2xx.
    pub acked: Option<Acknowledged>,
    /// Our reliable provisional responses.
    pub reliable: Option<Box<Sender>>,
    /// Our requests under way.
    pub sent: Vec<Sent>,
    /// Digits that wait to be sent by INFO: `limits::DIGITS` at most.
    pub digits: VecDeque<Press>,
    /// Whose change is under way.
    pub change: Change,
    /// Our change under way is, or is also, the refresh of the session.
    pub refreshing: bool,
    /// A direction that the peer refused to take: it is not offered again until another one was.
    pub refused: Option<Direction>,
    /// The peer's Allow lists UPDATE.
    pub allows_update: bool,
    /// What it holds of a limit.
    pub claim: Option<Claim>,
    /// It is the dialog of an answer that nobody wants, to the INVITE of this leg: it ends, and is remembered as long as that
    /// leg, since its 2xx may come again.
    pub stray_of: Option<LegId>,
    /// BYE follows when the last NOTIFY is answered, with this Reason.
    pub leave_after_notify: Option<String>,
    /// BYE follows when the ACK came, with this Reason.
    pub leave_after_ack: Option<String>,
    /// Its REFER that is being carried out wants to hear how.
    pub subscription: Option<Subscription>,
    /// REFERs that it sent.
    pub refers: u16,
    /// The nonce that we answered last, and how often (RFC 7616 3.4: nc).
    pub nonce: Option<(Box<str>, u32)>,
    /// Its connection broke under a request of ours, and nothing was heard since.
    pub reconnecting: bool,
    /// When the timer of its dialog is due.
    armed: Option<Instant>,
}

impl Leg {
    /// A leg with nothing agreed yet.
    pub fn new(id: LegId, who: Who, identity: Option<Arc<Identity>>, flow: Flow, state: State, config: &Config) -> Leg {
        Leg {
            id,
            who,
            identity,
            caller_side: false,
            flow,
            routed: false,
            contact: None,
            focus: None,
            focus_untold: false,
            way: Way::Open,
            state,
            dialog: None,
            oa: None,
            media: None,
            timer: SessionTimer::new(config.calls.session_expires, config.calls.min_session_expires),
            invite_tx: None,
            unacked: None,
            acked: None,
            reliable: None,
            sent: Vec::new(),
            digits: VecDeque::new(),
            change: Change::None,
            refreshing: false,
            refused: None,
            allows_update: false,
            claim: None,
            stray_of: None,
            leave_after_notify: None,
            leave_after_ack: None,
            subscription: None,
            refers: 0,
            nonce: None,
            reconnecting: false,
            armed: None,
        }
    }

    /// Gives the leg a port, opens its media and makes it ready to offer and answer. False when no port is spare, or
    /// the worker has no room.
    pub fn open_media(&mut self, t: &mut Turn<'_, '_>, worker: WorkerId) -> bool {
        if self.media.is_some() {
            return true;
        }
        if !t.desk.has_room(worker, 1) {
            return false;
        }
        let addr = t.cx.config.own_media_address_on(self.flow);
        let webrtc = self.webrtc(t);
        let shared = webrtc.as_ref().and(t.cx.config.media.shared_port_of(worker));
        let v6 = addr.is_ipv6();
        let port = match shared {
            Some(rtp) => Some(Port { rtp, v6 }),
            None => t.desk.stock.take(v6),
        };
        let Some(port) = port else { return false };
        let dtmf = dtmf(t.cx.config, &self.who);
        let media = MediaLeg::open(t, port, worker, dtmf, webrtc.as_ref().map(|_| addr));
        t.desk.add_media(media.id, self.id, worker);
        let ssrc = media.ssrc;
        self.media = Some(media);
        let mut can = capabilities(t.cx.config, &self.who);
        can.security = match webrtc {
            Some(_) => None,
            None => Security::new(srtp(t.cx.config, &self.who), |octets| t.cx.rng.fill_bytes(octets)),
        };
        can.webrtc = webrtc.map(|mut webrtc| {
            webrtc.speaks(ssrc);
            Box::new(webrtc)
        });
        self.oa = Some(OfferAnswer::new(addr, port.rtp, t.cx.random(), can));
        true
    }

    /// The address that the peer's signalling comes from, which latching of media trusts.
    pub fn signalling(&self) -> IpAddr {
        self.flow.peer.ip()
    }

    /// The confirmed dialog is in use.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// Nobody changes the session now, so that we may (RFC 3261 14.1, RFC 3311 5.1).
    pub fn is_stable(&self) -> bool {
        self.is_up()
            && self.unacked.is_none()
            && self.change == Change::None
            && self.oa.as_ref().is_some_and(|oa| !oa.is_offering())
    }

    /// Nothing of it is left: no transaction, no media.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Gone) && self.media.is_none() && self.sent.is_empty()
    }

    /// Tells the worker what was agreed last.
    pub fn negotiated(&mut self, t: &mut Turn<'_, '_>) {
        let (silence, is_up) = (t.cx.config.media.silence, self.is_up());
        if let (Some(media), Some(agreed)) = (&mut self.media, self.oa.as_ref().and_then(OfferAnswer::agreed)) {
            media.negotiated(t, agreed, silence, is_up);
        }
    }

    /// Arms the timer of everything in the dialog that time moves.
    pub fn arm(&mut self, t: &mut Turn<'_, '_>) {
        let waits = [
            self.unacked.as_ref().map(Unacknowledged::next_deadline),
            self.reliable.as_deref().and_then(Sender::next_deadline),
            self.timer.next_deadline().filter(|_| self.is_up()),
        ];
        let wanted = waits.into_iter().flatten().min();
        if wanted == self.armed {
            return;
        }
        self.armed = wanted;
        let timer = Timer::Leg(self.id, LegTimer::Dialog);
        match wanted {
            Some(at) => t.desk.timers.set(timer, at),
            None => {
                t.desk.timers.cancel(timer);
            }
        }
    }

    /// The timer of its dialog is due, and gone.
    pub fn disarmed(&mut self) {
        self.armed = None;
    }

    /// Who is heard and seen on it.
    pub fn identity(&self, config: &Config) -> Arc<Identity> {
        match (&self.identity, &self.who) {
            (Some(identity), _) => identity.clone(),
            (None, Who::User(name)) => Arc::new(Identity::of_user(config, name)),
            (None, Who::Trunk(..)) => Arc::default(),
        }
    }

    /// Nothing more is said on it: what it holds is given back and its dialog forgotten. Transactions may still end.
    pub fn gone(&mut self, t: &mut Turn<'_, '_>) {
        let state = std::mem::replace(&mut self.state, State::Gone);
        self.let_go(t, &state);
        // A peer that has said 100 to a re-INVITE may say nothing more (RFC 3261 15.1.2 asks it for 487): CANCEL ends that within 64*T1.
        for sent in self.sent.iter().filter(|sent| sent.what == What::Reinvite) {
            t.net.layer.cancel(t.cx, sent.tx, None);
        }
    }

    /// The same, after it was in this state.
    pub fn let_go(&mut self, t: &mut Turn<'_, '_>, state: &State) {
        match state {
            State::Incoming(incoming) => {
                t.desk.remove_server(incoming.tx);
            }
            State::Outgoing(outgoing) | State::Cancelled(outgoing) => {
                outgoing.forget_ways(t);
                for early in &outgoing.early {
                    t.desk.remove_dialog(&early.dialog.id);
                }
            }
            State::Up | State::Leaving | State::Gone => {}
        }
        if let Some(dialog) = &self.dialog {
            t.desk.remove_dialog(&dialog.id);
        }
        (self.unacked, self.reliable) = (None, None);
        self.set_claim(t, None);
        if let Some(media) = &mut self.media {
            media.close(t);
        }
    }

    /// What it holds of a limit from now on; what it held before is given back.
    pub fn set_claim(&mut self, t: &mut Turn<'_, '_>, claim: Option<Claim>) {
        if let Some(old) = std::mem::replace(&mut self.claim, claim) {
            t.release(old);
        }
    }

    /// All names under which something of it is asked for: its own, and those of its early dialogs.
    pub fn names(&self) -> Vec<LegId> {
        let early = match &self.state {
            State::Outgoing(outgoing) | State::Cancelled(outgoing) => outgoing.early.as_slice(),
            State::Incoming(_) | State::Up | State::Leaving | State::Gone => &[],
        };
        let early = early.iter().map(|early| early.seeker);
        std::iter::once(self.id).chain(early).collect()
    }
}

/// The flow of a leg before a way to its peer is found: nothing is sent over it.
pub const NOWHERE: Flow = Flow {
    transport: Transport::Udp,
    listener: ListenerId(0),
    connection: ConnectionId(0),
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
};

/// Whether media is protected with a peer.
fn srtp(config: &Config, who: &Who) -> Srtp {
    match who {
        Who::User(name) => config.user(name).map(|user| user.srtp).unwrap_or_default(),
        Who::Trunk(trunk, _) => config.trunks[usize::from(trunk.0)].srtp,
    }
}

/// How digits go to a peer and come from it.
fn dtmf(config: &Config, who: &Who) -> Dtmf {
    match who {
        Who::User(name) => config.user(name).map(|user| user.dtmf).unwrap_or_default(),
        Who::Trunk(trunk, _) => config.trunks[usize::from(trunk.0)].dtmf,
    }
}

/// What may be spoken with a peer.
pub fn capabilities(config: &Config, who: &Who) -> Capabilities {
    let (codecs, gain, comfort_noise) = match who {
        Who::User(name) => config
            .user(name)
            .map(|user| (&*user.codecs, user.gain, user.comfort_noise))
            .unwrap_or_default(),
        Who::Trunk(trunk, _) => {
            let trunk = &config.trunks[usize::from(trunk.0)];
            (&*trunk.codecs, trunk.gain, trunk.comfort_noise)
        }
    };
    Capabilities {
        events: dtmf(config, who).has_events(),
        gain,
        comfort_noise,
        ..super::offer::capabilities(codecs, config.media.opus())
    }
}
