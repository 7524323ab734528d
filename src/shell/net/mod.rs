//! Sockets: datagrams and connections in, messages out, names to addresses.

mod taken;
mod tcp;
mod udp;

use crate::config::Listen;
use crate::id::{ConnectionId, Flow, ListenerId, Target, Ticket, Transport};
use crate::limits;
use crate::sip::Uri;
use crate::sip::uri::{Host, Scheme};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, mpsc};

/// Messages that wait for the signalling machine: datagrams beyond it are dropped, connections wait.
const QUEUE: usize = 8192;
/// Names being resolved at once; further ones wait.
const RESOLVING: usize = 256;

/// What the sockets have to tell.
#[derive(Debug)]
pub enum NetEvent {
    /// A framed message.
    Message(Flow, Bytes),
    /// A connection that somebody opened to us, or that we opened for the ticket.
    Opened(Option<Ticket>, Flow, tcp::Handle),
    /// A connection that could not be opened.
    Failed(Ticket),
    /// A connection ended.
    Closed(Flow),
    /// A name was resolved; empty if it has no address.
    Resolved(Ticket, Vec<Target>),
}

/// Counters of what never reached the machine.
#[derive(Debug, Default)]
pub struct NetCounters {
    /// Datagrams dropped because the queue was full.
    pub dropped_full: AtomicU64,
    /// Datagrams that are no SIP.
    pub not_sip: AtomicU64,
    /// Datagrams that the system would not send.
    pub send_failed: AtomicU64,
    /// Connections refused because there were too many.
    pub refused_connections: AtomicU64,
}

enum Socket {
    Udp(UdpSocket, tokio::task::JoinHandle<()>),
    Tcp(tokio::task::JoinHandle<()>),
}

struct Listener {
    listen: Listen,
    bound: SocketAddr,
    socket: Socket,
}

impl Drop for Listener {
    fn drop(&mut self) {
        match &self.socket {
            Socket::Udp(_, task) | Socket::Tcp(task) => task.abort(),
        }
    }
}

/// All sockets of signalling.
pub struct Net {
    listeners: HashMap<ListenerId, Listener>,
    next_listener: u16,
    connections: HashMap<ConnectionId, (Flow, tcp::Handle)>,
    by_peer: HashMap<SocketAddr, ConnectionId>,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
    resolving: Arc<Semaphore>,
}

/// What the socket tasks share.
pub(super) struct Context {
    pub counters: NetCounters,
    /// Where connection numbers come from: never the same again, also over restarts, since bindings remember them.
    next_connection: AtomicU64,
    open_connections: AtomicU64,
}

impl Context {
    fn connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }
}

impl Net {
    /// Nothing open yet. `epoch` is the wall clock in milliseconds, from which connection numbers begin.
    pub fn new(epoch: u64) -> (Net, mpsc::Receiver<NetEvent>) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let context = Arc::new(Context {
            counters: NetCounters::default(),
            next_connection: AtomicU64::new(epoch << 16),
            open_connections: AtomicU64::new(0),
        });
        let net = Net {
            listeners: HashMap::new(),
            next_listener: 0,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            events,
            context,
            resolving: Arc::new(Semaphore::new(RESOLVING)),
        };
        (net, receiver)
    }

    /// Opens one listener and tells where it is bound. The error names who holds the port, if that can be seen.
    pub fn listen(&mut self, listen: Listen) -> Result<SocketAddr, String> {
        let id = ListenerId(self.next_listener);
        let opened = match listen.transport {
            Transport::Udp => udp::listen(id, listen.addr, self.events.clone(), self.context.clone()),
            Transport::Tcp => tcp::listen(id, listen.addr, self.events.clone(), self.context.clone()),
        };
        let (bound, socket) = opened.map_err(|error| explain(&error, listen))?;
        self.next_listener += 1;
        self.listeners.insert(id, Listener { listen, bound, socket });
        Ok(bound)
    }

    /// Closes the listener of this configuration entry. Connections that came by it stay.
    pub fn unlisten(&mut self, listen: Listen) {
        self.listeners.retain(|_, listener| listener.listen != listen);
    }

    /// Where we listen.
    pub fn bound(&self) -> Vec<Listen> {
        let mut bound: Vec<(ListenerId, Listen)> = self
            .listeners
            .iter()
            .map(|(id, l)| {
                (
                    *id,
                    Listen {
                        transport: l.listen.transport,
                        addr: l.bound,
                    },
                )
            })
            .collect();
        bound.sort_by_key(|(id, _)| *id);
        bound.into_iter().map(|(_, listen)| listen).collect()
    }

    /// The counters.
    pub fn counters(&self) -> &NetCounters {
        &self.context.counters
    }

    /// Sends a message; false if the flow is gone.
    pub fn send(&mut self, flow: Flow, bytes: Bytes) -> bool {
        match flow.transport {
            Transport::Udp => {
                let Some(socket) = self.udp_socket(flow) else {
                    return false;
                };
                if socket.send_to(&bytes, flow.peer).is_err() {
                    // As if it was lost on the way: the transaction layer repeats it.
                    self.context.counters.send_failed.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            Transport::Tcp => self
                .connections
                .get(&flow.connection)
                .is_some_and(|(_, handle)| handle.send(bytes)),
        }
    }

    /// A flow to a target: at once, or `None` and an event later.
    pub fn connect(&mut self, ticket: Ticket, target: Target) -> Option<Result<Flow, ()>> {
        let Some((id, bound)) = self.listener_for(target.transport, target.addr.ip()) else {
            return Some(Err(()));
        };
        let local = SocketAddr::new(udp::local_ip(bound.ip(), target.addr), bound.port());
        match target.transport {
            Transport::Udp => Some(Ok(Flow {
                transport: Transport::Udp,
                listener: id,
                connection: ConnectionId(0),
                local,
                peer: target.addr,
            })),
            Transport::Tcp => {
                if let Some((flow, _)) = self.by_peer.get(&target.addr).and_then(|id| self.connections.get(id)) {
                    return Some(Ok(*flow));
                }
                let flow = Flow {
                    transport: Transport::Tcp,
                    listener: id,
                    connection: self.context.connection_id(),
                    local,
                    peer: target.addr,
                };
                tcp::connect(ticket, flow, bound.ip(), self.events.clone(), self.context.clone());
                None
            }
        }
    }

    /// Asks the system's resolver; answered by an event.
    pub fn resolve(&self, ticket: Ticket, uri: &Uri) {
        let (events, slots, uri) = (self.events.clone(), self.resolving.clone(), uri.clone());
        tokio::spawn(async move {
            let _slot = slots.acquire().await;
            let targets = tokio::time::timeout(limits::RESOLVE, lookup(&uri))
                .await
                .unwrap_or_default();
            let _ = events.send(NetEvent::Resolved(ticket, targets)).await;
        });
    }

    /// Keeps the table of connections: to be told of every `Opened`.
    pub fn opened(&mut self, flow: Flow, handle: tcp::Handle) {
        self.by_peer.insert(flow.peer, flow.connection);
        self.connections.insert(flow.connection, (flow, handle));
    }

    /// Keeps the table of connections: to be told of every `Closed`.
    pub fn closed(&mut self, flow: Flow) {
        self.connections.remove(&flow.connection);
        if self.by_peer.get(&flow.peer) == Some(&flow.connection) {
            self.by_peer.remove(&flow.peer);
        }
    }

    /// The socket of a UDP flow; a flow from before a restart or reload goes by a listener of its family.
    fn udp_socket(&self, flow: Flow) -> Option<&UdpSocket> {
        let fits = |listener: &&Listener| {
            matches!(listener.socket, Socket::Udp(..)) && listener.bound.is_ipv4() == flow.peer.is_ipv4()
        };
        let own = self.listeners.get(&flow.listener).filter(fits);
        match own
            .or_else(|| self.listeners.values().find(fits))
            .map(|listener| &listener.socket)
        {
            Some(Socket::Udp(socket, _)) => Some(socket),
            Some(Socket::Tcp(_)) | None => None,
        }
    }

    /// The first listener by which a peer can be reached: loopback addresses by a loopback or wildcard socket only.
    fn listener_for(&self, transport: Transport, peer: IpAddr) -> Option<(ListenerId, SocketAddr)> {
        let mut fit: Vec<(ListenerId, SocketAddr)> = self
            .listeners
            .iter()
            .filter(|(_, l)| l.listen.transport == transport && l.bound.is_ipv4() == peer.is_ipv4())
            .filter(|(_, l)| l.bound.ip().is_unspecified() || l.bound.ip().is_loopback() == peer.is_loopback())
            .map(|(id, l)| (*id, l.bound))
            .collect();
        fit.sort();
        fit.first().copied()
    }
}

/// A and AAAA of a host (RFC 3263 4.2), with the transport and port of the URI or their defaults.
async fn lookup(uri: &Uri) -> Vec<Target> {
    let (Host::Name(name), Scheme::Sip | Scheme::Sips) = (&uri.host, &uri.scheme) else {
        return Vec::new();
    };
    let transport = uri.transport().unwrap_or(Transport::Udp);
    match tokio::net::lookup_host((&**name, uri.port.unwrap_or(5060))).await {
        Ok(addrs) => addrs
            .take(limits::TARGETS)
            .map(|addr| Target { transport, addr })
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// Opening a listener failed: what to do about it.
fn explain(error: &io::Error, listen: Listen) -> String {
    let url = format!("{}://{}", listen.transport.param(), listen.addr);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = taken::holder(listen.transport, listen.addr).unwrap_or_else(|| "another program".to_owned());
            format!("{url} is taken by {holder}: stop it, or choose another port with the key `listen`")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "{url}: this machine has no such address; correct the key `listen` (0.0.0.0 means every IPv4 address)"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "{url}: ports below 1024 need root or CAP_NET_BIND_SERVICE; or choose another port with the key `listen`"
            )
        }
        _ => format!("{url}: {error} (key `listen`)"),
    }
}

/// The address that a socket must be bound to before it connects: the listener's own, unless that is a wildcard.
pub(super) fn source(bound: IpAddr) -> IpAddr {
    if bound.is_unspecified() && bound.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        bound
    }
}
