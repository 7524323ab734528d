//! Calls: two independent dialogs and what joins them.

use crate::cx::Cx;
use crate::effect::Reply;
use crate::id::{CallId, Flow, LegNo, ServerTx, TrunkIx};
use crate::media::command::{Event as MediaEvent, Port};
use crate::sip::Message;
use crate::time::Instant;
use crate::transaction::{Event, Layer};
use crate::trunk::Trunks;
use std::time::Duration;

/// The machines that a call works with.
pub struct Net<'a> {
    /// Transactions and flows.
    pub layer: &'a mut Layer,
    /// Carriers.
    pub trunks: &'a mut Trunks,
}

/// Who sent a request, as admission found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An authenticated user, by name.
    User(String),
    /// A carrier.
    Trunk(TrunkIx),
}

/// All calls of a node.
#[derive(Debug, Default)]
pub struct Calls {}

impl Calls {
    /// A new INVITE (no To tag) from an admitted source; `tx` is its transaction. Routing is decided here.
    pub fn invite(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net<'_>,
        source: Source,
        flow: Flow,
        tx: ServerTx,
        request: Message,
    ) {
        let _ = (cx, net, source, flow, tx, request);
        todo!()
    }

    /// True if a request with a To tag (or an INVITE with Replaces, or a CANCEL'd transaction) belongs to a dialog of ours.
    pub fn owns(&self, request: &Message) -> bool {
        let _ = request;
        todo!()
    }

    /// A request in a dialog that `owns` said is ours.
    pub fn request(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>, flow: Flow, tx: ServerTx, request: Message) {
        let _ = (cx, net, flow, tx, request);
        todo!()
    }

    /// The ACK of a 2xx that we sent.
    pub fn ack(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>, flow: Flow, ack: Message) {
        let _ = (cx, net, flow, ack);
        todo!()
    }

    /// An event of the transaction layer whose owner is `leg`, or whose server transaction is a call's.
    pub fn event(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>, event: Event) {
        let _ = (cx, net, event);
        todo!()
    }

    /// The store's answer to a leg's question.
    pub fn store(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>, call: CallId, leg: LegNo, reply: Reply) {
        let _ = (cx, net, call, leg, reply);
        todo!()
    }

    /// An event of a media worker.
    pub fn media(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>, event: MediaEvent) {
        let _ = (cx, net, event);
        todo!()
    }

    /// Spare ports.
    pub fn add_ports(&mut self, ports: Vec<Port>) {
        let _ = ports;
        todo!()
    }

    /// Runs the timers that are due.
    pub fn on_time(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>) {
        let _ = (cx, net);
        todo!()
    }

    /// When `on_time` is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// No new calls; those that are up get a BYE after `grace`.
    pub fn stop(&mut self, cx: &mut Cx<'_>, net: &mut Net<'_>, grace: Duration) {
        let _ = (cx, net, grace);
        todo!()
    }

    /// Calls that are up or being set up.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
