//! What the shell tells the signalling machine.

use crate::api::wire::Request;
use crate::config::Config;
use crate::effect::{Answer, Aor, Binding, Reply};
use crate::id::{ApiId, ControlId, Flow, Identity, Ticket};
use crate::media::command::{Event, Fingerprint, Port};
use crate::sip::auth::NonceKey;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// One input of [`super::Node`]. Values only, so that a log of them replays a run.
#[derive(Clone, Debug)]
pub enum Input {
    /// One framed message (`sip::frame`), not parsed yet.
    Sip(Flow, Bytes),
    /// The peer of a connection that was opened to us has shown a certificate that somebody vouches for. Before its first message.
    Identified(Flow, Identity),
    /// Answer to `Output::Connect`.
    FlowOpened(Ticket, Flow),
    /// Answer to `Output::Connect`: it could not be opened.
    FlowFailed(Ticket),
    /// A stream flow closed, or a flow could not take a message.
    FlowClosed(Flow),
    /// Answer to `Output::Query`.
    Answered(Ticket, Answer),
    /// Answer to `Output::Store`.
    Store(Ticket, Reply),
    /// Answer to `Output::Post`: whether it was taken (2xx).
    Posted(Ticket, bool),
    /// The key that stays the same over restarts, so that temporary GRUUs do (RFC 5627 5.1): before anything of the network.
    Secret(NonceKey),
    /// Of the certificate by which we are known to browsers: before anything of the network.
    Fingerprint(Fingerprint),
    /// Bindings that were there before this process, and whose phones have to be woken before they end (`push::sleeps`).
    Sleepers(Vec<(Aor, Vec<Binding>)>),
    /// A command of NG, and who sent it.
    Ng(SocketAddr, Bytes),
    /// A line, without its end, of somebody who is connected to the control socket: who may that is an operator.
    Control(ControlId, Bytes),
    /// Such a connection is gone.
    ControlClosed(ControlId),
    /// A request of the HTTP API: answered with `Output::Api`.
    Api(ApiId, Box<Request>),
    /// Nobody waits for its answer any more, or listens to its stream.
    ApiClosed(ApiId),
    /// From a media worker.
    Media(Event),
    /// Answer to `Output::Ports`: bound and waiting.
    Ports(Vec<Port>),
    /// The messages that come next have waited for so long since the system had them, the node's own pause apart; for ever where it had
    /// to drop some. Told once for each batch.
    Waited(Duration),
    /// At the start: the sources of bindings from before, and for how long they still hold.
    Bound(Vec<(IpAddr, Duration)>),
    /// A new configuration is in force.
    Config(Arc<Config>),
    /// No new calls from now on; calls that are up end after the grace time.
    Stop(Duration),
    /// Nothing but time has passed.
    Time,
}
