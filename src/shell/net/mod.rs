//! Sockets: datagrams and connections in, messages out; questions to the DNS.

mod aside;
mod dns;
mod places;
mod post;
mod taken;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_post;
#[cfg(test)]
mod tests_secure;
#[cfg(test)]
mod tests_stun;
mod tls;
mod udp;
mod ws;

use crate::config::{Dns, Listen};
use crate::effect::{Answer, Post, Question};
use crate::id::{ConnectionId, Flow, ListenerId, Target, Ticket, Transport};
use crate::limits;
use crate::time::Wall;
use aside::Aside;
use bytes::Bytes;
use dns::Resolver;
use places::Places;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
pub use tls::Keys;
use tokio::sync::{Semaphore, mpsc};

/// Messages that wait for the signalling machine: datagrams beyond it are dropped, connections wait.
const QUEUE: usize = 8192;
/// Questions to the DNS at once; further ones wait, at most `limits::RESOLVING` together with these.
const RESOLVING: usize = 256;

/// What the sockets have to tell.
#[derive(Debug)]
pub enum NetEvent {
    /// A framed message.
    Message(Flow, Bytes),
    /// A connection that somebody opened to us, or that we opened: for [`Net::opened`].
    Opened(Flow, tcp::Handle),
    /// No connection to this target could be opened: for [`Net::failed`].
    Failed(Target),
    /// A connection ended.
    Closed(Flow),
    /// What the DNS says.
    Answered(Ticket, Answer),
    /// Whether a POST was taken.
    Posted(Ticket, bool),
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
    /// Connections that ended before the first message could come: in the TLS handshake or the upgrade to a WebSocket.
    pub handshakes_failed: AtomicU64,
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

/// All sockets of signalling.
pub struct Net {
    listeners: HashMap<ListenerId, Listener>,
    next_listener: u16,
    connections: HashMap<ConnectionId, (Flow, tcp::Handle)>,
    /// Connections by where they lead. One that was opened to us has proved no name, so it is never taken where one is wanted.
    by_peer: HashMap<Target, ConnectionId>,
    /// Connections that are being opened, and who waits for them.
    opening: HashMap<Target, Vec<Ticket>>,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
    resolver: Option<Resolver>,
    resolving: Arc<Semaphore>,
    asked: Arc<Semaphore>,
    posting: Arc<Semaphore>,
}

/// What the socket tasks share.
pub(super) struct Context {
    pub counters: NetCounters,
    /// Where connection numbers come from: never the same again, also over restarts, since bindings remember them.
    next_connection: AtomicU64,
    places: Arc<Places>,
    half_open: Arc<Places>,
    keys: Mutex<Arc<Keys>>,
    aside: Aside,
    patience: tcp::Patience,
}

impl Context {
    fn connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Those in force for connections that are opened now.
    fn keys(&self) -> Arc<Keys> {
        self.keys.lock().expect("nobody panics while copying").clone()
    }
}

impl Net {
    /// Nothing open yet. `epoch` is the wall clock in milliseconds, from which connection numbers begin.
    pub fn new(epoch: u64) -> (Net, mpsc::Receiver<NetEvent>) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let context = Arc::new(Context {
            counters: NetCounters::default(),
            next_connection: AtomicU64::new(epoch << 16),
            places: Places::new(limits::CONNECTIONS, limits::CONNECTIONS_PER_HOST),
            half_open: Places::new(limits::HALF_OPEN, limits::HALF_OPEN_PER_HOST),
            keys: Mutex::default(),
            aside: Aside::default(),
            patience: tcp::Patience::default(),
        });
        let net = Net {
            listeners: HashMap::new(),
            next_listener: 0,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            opening: HashMap::new(),
            events,
            context,
            resolver: None,
            resolving: Arc::new(Semaphore::new(RESOLVING)),
            asked: Arc::new(Semaphore::new(limits::RESOLVING)),
            posting: Arc::new(Semaphore::new(limits::POSTS)),
        };
        (net, receiver)
    }

    /// Certificates for connections that are opened from now on.
    pub fn set_keys(&self, keys: Keys) {
        *self.context.keys.lock().expect("nobody panics while copying") = Arc::new(keys);
    }

    /// A sentence for each of our certificates that has ended or ends soon.
    pub fn expiring(&self, wall: Wall) -> Vec<String> {
        self.context.keys().warnings(wall)
    }

    /// Opens one listener and tells where it is bound. The error names who holds the port, if that can be seen.
    pub fn listen(&mut self, listen: Listen) -> Result<SocketAddr, String> {
        let id = ListenerId(self.next_listener);
        let opened = match listen.transport {
            Transport::Udp => udp::listen(id, listen.addr, self.events.clone(), self.context.clone()),
            transport => tcp::listen(id, transport, listen.addr, self.events.clone(), self.context.clone()),
        };
        let (bound, socket) = opened.map_err(|error| explain(&error, listen))?;
        self.next_listener += 1;
        self.listeners.insert(id, Listener { listen, bound, socket });
        Ok(bound)
    }

    /// Closes the listener of this configuration entry; its port is free when this returns. Connections that came by it stay.
    pub async fn unlisten(&mut self, listen: Listen) {
        let closed: Vec<ListenerId> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.listen == listen)
            .map(|(id, _)| *id)
            .collect();
        for listener in closed.iter().filter_map(|id| self.listeners.remove(id)) {
            let (Socket::Udp(_, task) | Socket::Tcp(task)) = listener.socket;
            task.abort();
            // The task holds the socket until it is gone.
            let _ = task.await;
        }
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

    /// Sends a message; false if the flow is gone, or its peer reads so slowly that the connection is closed now.
    pub fn send(&mut self, flow: Flow, bytes: Bytes) -> bool {
        match flow.transport {
            Transport::Udp => {
                let Some((socket, bound)) = self.udp_socket(flow) else {
                    return false;
                };
                if udp::send(socket, bound, flow, &bytes).is_err() {
                    // As if it was lost on the way: the transaction layer repeats it.
                    self.context.counters.send_failed.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let Some((_, handle)) = self.connections.get(&flow.connection) else {
                    return false;
                };
                let sent = handle.send(bytes);
                if !sent {
                    self.closed(flow);
                }
                sent
            }
        }
    }

    /// A flow to a target: at once, or `None` and an event later. Those who want the same connection share it.
    pub fn connect(&mut self, ticket: Ticket, target: Target) -> Option<Result<Flow, ()>> {
        if let Some((flow, _)) = self.by_peer.get(&target).and_then(|id| self.connections.get(id)) {
            return Some(Ok(*flow));
        }
        let Some((listener, bound, local)) = self.listener_for(&target) else {
            return Some(Err(()));
        };
        let flow = |connection| Flow {
            transport: target.transport,
            listener,
            connection,
            local,
            peer: target.addr,
        };
        match target.transport {
            Transport::Udp => Some(Ok(flow(ConnectionId(0)))),
            Transport::Tcp | Transport::Tls => {
                let waiting = self.opening.entry(target.clone()).or_default();
                waiting.push(ticket);
                if waiting.len() == 1 {
                    let flow = flow(self.context.connection_id());
                    tcp::connect(flow, target, bound, self.events.clone(), &self.context);
                }
                None
            }
            // A browser connects to us, never we to it.
            Transport::Ws | Transport::Wss => Some(Err(())),
        }
    }

    /// Who is asked for names from now on. Gives a sentence where nobody can be asked.
    pub fn set_dns(&mut self, config: &Dns) -> Option<String> {
        let (resolver, complaint) = Resolver::new(config);
        self.resolver = Some(resolver);
        complaint
    }

    /// Asks the DNS; answered by an event.
    /// False if too many questions wait already.
    pub fn query(&self, ticket: Ticket, question: Question) -> bool {
        let Ok(place) = self.asked.clone().try_acquire_owned() else {
            return false;
        };
        let (events, slots, resolver) = (self.events.clone(), self.resolving.clone(), self.resolver.clone());
        tokio::spawn(async move {
            let ask = async {
                let _slot = slots.acquire().await;
                match resolver {
                    Some(resolver) => resolver.ask(&question).await,
                    None => Answer::default(),
                }
            };
            // Whoever asked waits no longer than this, so neither does the question for its turn.
            let answer = tokio::time::timeout(limits::RESOLVE, ask).await.unwrap_or_default();
            drop(place);
            let _ = events.send(NetEvent::Answered(ticket, answer)).await;
        });
        true
    }

    /// Tells a URL something; answered by an event. False if too many are being told already.
    pub fn post(&self, ticket: Ticket, post: Post) -> bool {
        let Ok(place) = self.posting.clone().try_acquire_owned() else {
            return false;
        };
        let (events, context) = (self.events.clone(), self.context.clone());
        let runs_on = if post.url.secure {
            self.context.aside.handle()
        } else {
            tokio::runtime::Handle::current()
        };
        runs_on.spawn(async move {
            let taken = post::post(&post, &context).await;
            drop(place);
            let _ = events.send(NetEvent::Posted(ticket, taken)).await;
        });
        true
    }

    /// The peer of this flow is no stranger.
    pub fn known(&self, flow: Flow) {
        if let Some((_, handle)) = self.connections.get(&flow.connection) {
            handle.know();
        }
    }

    /// To be told of every `Opened`; gives the tickets that waited for it.
    pub fn opened(&mut self, flow: Flow, handle: tcp::Handle) -> Vec<Ticket> {
        let target = led_to(flow, &handle);
        let waited = self.opening.remove(&target).unwrap_or_default();
        self.by_peer.insert(target, flow.connection);
        self.connections.insert(flow.connection, (flow, handle));
        waited
    }

    /// To be told of every `Failed`; gives the tickets that waited for it.
    pub fn failed(&mut self, target: Target) -> Vec<Ticket> {
        self.opening.remove(&target).unwrap_or_default()
    }

    /// To be told of every `Closed`.
    pub fn closed(&mut self, flow: Flow) {
        let Some((flow, handle)) = self.connections.remove(&flow.connection) else {
            return;
        };
        let target = led_to(flow, &handle);
        if self.by_peer.get(&target) == Some(&flow.connection) {
            self.by_peer.remove(&target);
        }
    }

    /// Closes everything. Connections have this long to write what they were handed.
    pub async fn close(mut self, limit: Duration) {
        for (_, listener) in self.listeners.drain() {
            let (Socket::Udp(_, task) | Socket::Tcp(task)) = listener.socket;
            task.abort();
        }
        self.connections.clear();
        let _ = tokio::time::timeout(limit, self.context.places.all_free()).await;
    }

    /// The socket of a UDP flow and the address that it is bound to: its own listener, or after a restart or reload one that
    /// is bound to the flow's address, or else one of its family.
    fn udp_socket(&self, flow: Flow) -> Option<(&UdpSocket, IpAddr)> {
        let is_own = |bound: SocketAddr| {
            bound == flow.local || (bound.ip().is_unspecified() && bound.port() == flow.local.port())
        };
        let fit = |(id, listener): &(&ListenerId, &Listener)| {
            let is_family = listener.bound.is_ipv4() == flow.peer.is_ipv4();
            let rank = (is_own(listener.bound), **id == flow.listener, Reverse(**id));
            (matches!(listener.socket, Socket::Udp(..)) && is_family).then_some(rank)
        };
        let (_, listener) = self.listeners.iter().filter(|l| fit(l).is_some()).max_by_key(fit)?;
        match &listener.socket {
            Socket::Udp(socket, _) => Some((socket, listener.bound.ip())),
            Socket::Tcp(_) => None,
        }
    }

    /// The listener by which a target can be reached, its bound address, and our address as the target sees it. The listener
    /// on the address that the system's routes choose comes first, then a wildcard. Loopback and the world do not mix.
    fn listener_for(&self, target: &Target) -> Option<(ListenerId, IpAddr, SocketAddr)> {
        let peer = target.addr.ip();
        let reaches = |ip: IpAddr| {
            ip.is_ipv4() == peer.is_ipv4() && (ip.is_unspecified() || ip.is_loopback() == peer.is_loopback())
        };
        let mut fit = self
            .listeners
            .iter()
            .filter(|(_, l)| l.listen.transport == target.transport && reaches(l.bound.ip()))
            .map(|(id, l)| (*id, l.bound));
        let (mut id, mut bound) = fit.next()?;
        let route = udp::route(target.addr);
        let rank = |id: ListenerId, ip: IpAddr| (Some(ip) == route, ip.is_unspecified(), Reverse(id));
        for (other, addr) in fit {
            if rank(other, addr.ip()) > rank(id, bound.ip()) {
                (id, bound) = (other, addr);
            }
        }
        let local = route.filter(|_| bound.ip().is_unspecified()).unwrap_or(bound.ip());
        Some((id, bound.ip(), SocketAddr::new(local, bound.port())))
    }
}

/// What a connection is good for.
fn led_to(flow: Flow, handle: &tcp::Handle) -> Target {
    Target {
        transport: flow.transport,
        addr: flow.peer,
        name: handle.name.clone(),
    }
}

/// The address by which this machine reaches the world, for what people read. Nothing is sent: 192.0.2.1 is nobody's (RFC 5737).
pub fn own_address() -> Option<IpAddr> {
    udp::route(SocketAddr::from(([192, 0, 2, 1], 9))).filter(|ip| !ip.is_loopback())
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
