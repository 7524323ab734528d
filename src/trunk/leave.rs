//! The end of a registration: one REGISTER with `Expires: 0` (RFC 3261 10.2.2), a challenge answered, and not long waited for.

use super::register::{Registration, request};
use super::{LEAVE, REGISTER, Timer, Trunks, owner};
use crate::cx::Cx;
use crate::id::{ClientTx, Flow, TrunkSlot};
use crate::sip::Uri;
use crate::transaction::{Event, Layer};
use std::time::Duration;

/// How long the carrier has to answer; its registration expires by itself if it does not.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// A registration on its way out.
#[derive(Debug)]
pub(super) struct Leaving {
    registration: Registration,
    peer: Uri,
    tx: ClientTx,
    challenged: bool,
}

impl Trunks {
    /// Ends the registration, if there is one; with `leaving` set there is an answer to wait for.
    pub(super) fn end_registration(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot) {
        self.deadlines.cancel(Timer::Register(slot));
        layer.forget(owner(slot, REGISTER));
        let Some(state) = self.slots.get_mut(&slot) else { return };
        let Some(mut registration) = state.registration.take() else {
            return;
        };
        let peer = state
            .peers
            .get(usize::from(registration.place()))
            .map(|peer| peer.uri().clone());
        if let (Some(flow), Some(peer)) = (registration.flow(), peer) {
            let tx = ask(cx, layer, slot, &mut registration, &peer, flow);
            state.leaving = Some(Leaving {
                registration,
                peer,
                tx,
                challenged: false,
            });
            self.deadlines.set(Timer::Leave(slot), cx.now + LIMIT);
        }
    }

    pub(super) fn leave_event(&mut self, cx: &mut Cx<'_>, layer: &mut Layer, slot: TrunkSlot, event: Event) {
        let Some(leaving) = self.slots.get_mut(&slot).and_then(|state| state.leaving.as_mut()) else {
            return;
        };
        match event {
            Event::Response { tx, flow, response, .. } if tx == leaving.tx => match response.status() {
                0..=199 => {}
                401 | 407 if !leaving.challenged && leaving.registration.challenged(&response).is_ok() => {
                    leaving.challenged = true;
                    leaving.tx = ask(cx, layer, slot, &mut leaving.registration, &leaving.peer, flow);
                }
                _ => self.left(cx, slot),
            },
            Event::Failed { tx, .. } if tx == leaving.tx => self.left(cx, slot),
            Event::Response { .. } | Event::Failed { .. } => {}
            Event::Reached { .. } | Event::Unreachable { .. } => {}
            Event::Request { .. } | Event::Cancelled { .. } | Event::Ack { .. } | Event::ServerGone { .. } => {}
        }
    }

    /// The carrier has answered, or had its time.
    pub(super) fn left(&mut self, cx: &mut Cx<'_>, slot: TrunkSlot) {
        self.deadlines.cancel(Timer::Leave(slot));
        let Some(state) = self.slots.get_mut(&slot) else { return };
        state.leaving = None;
        if state.registration.is_some() {
            self.deadlines.set(Timer::Register(slot), cx.now);
        }
        self.forget_if_drained(slot);
    }
}

fn ask(
    cx: &mut Cx<'_>,
    layer: &mut Layer,
    slot: TrunkSlot,
    registration: &mut Registration,
    peer: &Uri,
    flow: Flow,
) -> ClientTx {
    let draft = request(cx, registration, peer, flow, Duration::ZERO);
    layer.request(cx, owner(slot, LEAVE), flow, draft)
}
