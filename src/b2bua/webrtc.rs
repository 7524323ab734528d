//! Legs whose peer is a browser: which those are, and how their set-up goes. The set-up itself is `rtc`'s, beside the packet path.

use super::call::Call;
use super::cause::{self, q850};
use super::desk::Turn;
use super::leg::{Leg, LegId, State, Who};
use crate::config::{Config, Webrtc as Setting};
use crate::cx::RngCore;
use crate::dialog::way::is_private;
use crate::id::Transport;
use crate::media::command::{Setup, Unsecured};
use crate::sdp::{Session, Webrtc};
use crate::sip::Message;
use std::net::{IpAddr, SocketAddr};

/// Whether a peer may be a browser.
pub fn setting(config: &Config, who: &Who) -> Setting {
    match who {
        Who::User(name) => config.user(name).map(|user| user.webrtc).unwrap_or_default(),
        // No carrier is known that is one.
        Who::Trunk(..) => Setting::No,
    }
}

/// Where this node itself listens for signalling, NG or TURN: whose candidate that is would have checks of ours go there, from an address that
/// may be trusted there. `own` is that of our media; a listener on all addresses is at each that is private, too.
pub fn is_own_door(config: &Config, own: IpAddr, at: SocketAddr) -> bool {
    let of_turn = config.turn.iter().flat_map(|turn| &turn.doors.listen);
    let listen = config.listen.iter().chain(of_turn);
    let by_udp = listen.filter(|listen| listen.transport == Transport::Udp);
    let mut doors = by_udp
        .map(|listen| listen.addr)
        .chain(config.ng.as_ref().map(|ng| ng.listen));
    let ip = at.ip();
    let is_ours = ip == own || ip.is_loopback() || config.advertise == Some(ip);
    doors.any(|door| {
        let takes_in = door.ip() == ip || (door.ip().is_unspecified() && is_private(ip));
        door.port() == at.port() && (is_ours || takes_in)
    })
}

impl Leg {
    /// What is said to its peer, if that is a browser: what it offers tells, else how it is reached, or what is configured.
    pub fn webrtc(&self, t: &mut Turn<'_, '_>) -> Option<Webrtc> {
        let fingerprint = t.desk.fingerprint.filter(|_| self.looks_like_web(t))?;
        let tcp = t.cx.config.media.browser_tcp;
        Some(Webrtc::new(fingerprint, |octets| t.cx.rng.fill_bytes(octets)).listens(tcp))
    }

    /// Its peer is a browser, or will be taken for one.
    pub fn is_web(&self, t: &Turn<'_, '_>) -> bool {
        match &self.oa {
            Some(oa) => oa.is_web(),
            None => t.desk.fingerprint.is_some() && self.looks_like_web(t),
        }
    }

    fn looks_like_web(&self, t: &Turn<'_, '_>) -> bool {
        let setting = setting(t.cx.config, &self.who);
        let offered = match &self.state {
            State::Incoming(incoming) => incoming.offer.as_deref().and_then(|offer| Session::parse(offer).ok()),
            State::Outgoing(_) | State::Cancelled(_) | State::Up | State::Leaving | State::Gone => None,
        };
        let offers = offered.map(|offer| offer.has_dtls());
        match (setting, offers) {
            // What it does not protect would go to whatever address it names.
            _ if self.flow.is_inside() => true,
            (Setting::No, _) => false,
            (Setting::Auto | Setting::Yes, Some(offers)) => offers,
            (Setting::Yes, None) => true,
            (Setting::Auto, None) => self.is_on_web(),
        }
    }

    /// It is reached by a WebSocket, or by a proxy that has one to it (RFC 7118 5.3).
    fn is_on_web(&self) -> bool {
        let is_web = |transport| matches!(transport, Transport::Ws | Transport::Wss);
        let target = self.outgoing().and_then(|outgoing| outgoing.target.transport());
        is_web(self.flow.transport) || target.is_some_and(is_web)
    }
}

impl Call {
    /// How the set-up of a leg goes; what is still heard of one that is over is nothing any more.
    pub fn on_setup(&mut self, t: &mut Turn<'_, '_>, id: LegId, number: u32, setup: Setup) {
        let media = self.leg_mut(id).and_then(|leg| leg.media.as_mut());
        let Some(media) = media.filter(|media| media.is_set_up_by(number)) else {
            return;
        };
        match setup {
            Setup::Secured { peer, keys } => media.secured(t, peer, keys),
            Setup::Path(peer) => media.moved_to(t, peer),
            Setup::Failed(why) => self.unsecured(t, id, &why),
        }
    }

    /// A leg has no media and will have none. Who rings may take his time.
    fn unsecured(&mut self, t: &mut Turn<'_, '_>, id: LegId, why: &Unsecured) {
        if self.is_over() || (why.is_of_time() && !self.talks(id)) {
            return;
        }
        let mut cause = cause::cause(488, self.blame(id), why.to_string());
        cause.q850 = match why {
            Unsecured::NoCheck
            | Unsecured::NoCandidate
            | Unsecured::NoAnswer
            | Unsecured::NoHandshake
            | Unsecured::NoConsent
            | Unsecured::AnswersCeased => q850::NETWORK_OUT_OF_ORDER,
            Unsecured::Dtls(_) => cause.q850,
        };
        if self.waits_for_answer(id) || self.talks(id) {
            self.end(t, cause);
        } else {
            self.branch_unheard(t, id, cause);
        }
    }
}

/// A request's offer is a browser's: of others we take no ICE, and who requires it is to offer without (RFC 8840 5.1).
pub fn offers_ice(request: &Message) -> bool {
    let body = request.body();
    Session::parse(&body).is_ok_and(|offer| offer.has_dtls())
}
