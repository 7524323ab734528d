//! What travels: datagrams and streams between the node's listeners and the peers, as the shell's sockets would carry them.

use crate::agent::{Act, Agent, Ctx, Wire};
use crate::message;
use crate::net::{Arrival, Owner};
use crate::streams::{AGAIN, StreamEvent};
use crate::world::{Event, World};
use bytes::Bytes;
use std::net::SocketAddr;
use tandem::id::{ConnectionId, Flow, ListenerId, Target, Ticket, Transport};
use tandem::node::Input;
use tandem::sip::frame::{self, Frame};

impl World {
    /// Sends a datagram into the network.
    pub fn send_udp(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        for arrival in self.net.send(self.now, &mut self.rng, from, to, bytes.len()) {
            self.push(arrival.at, Event::Udp(arrival, bytes.clone()));
        }
    }

    pub(crate) fn datagram(&mut self, arrival: Arrival, bytes: Bytes) {
        match self.net.owner(arrival.to.ip()) {
            Some(Owner::Node) => {
                let listens = |listen: &tandem::config::Listen| {
                    listen.transport == Transport::Udp
                        && listen.addr.port() == arrival.to.port()
                        && listen.addr.is_ipv4() == arrival.to.is_ipv4()
                };
                let Some(listener) = self.config.listen.iter().position(listens) else {
                    let effects = self.media.packet(self.now, arrival.to.port(), arrival.from, &bytes);
                    return self.media_effects(effects);
                };
                let flow = Flow {
                    transport: Transport::Udp,
                    listener: ListenerId(listener as u16),
                    connection: ConnectionId(0),
                    local: arrival.to,
                    peer: arrival.from,
                };
                if let Some(message) = frame::datagram(&bytes) {
                    self.ledger.came(self.now, message);
                    self.inputs.push_back(Input::Sip(flow, bytes.slice_ref(message)));
                }
            }
            Some(Owner::Peer(agent)) => {
                let (now, port) = (self.now, arrival.to.port());
                if port == self.agents[agent].addr.port() {
                    self.act(agent, |agent, cx| agent.receive(cx, Wire::Udp(arrival.from), &bytes));
                } else {
                    self.agents[agent].media_in(now, port, arrival.from, &bytes);
                }
            }
            None => {}
        }
    }

    pub(crate) fn node_sends(&mut self, flow: Flow, bytes: Bytes) {
        self.check_wire(flow, &bytes);
        self.ledger.sent(self.now, &bytes);
        if let Some(wiretap) = &mut self.wiretap {
            wiretap.push((flow.peer, bytes.clone()));
        }
        let to = if self.ladder.quiet {
            String::new()
        } else {
            self.name_of(flow.peer)
        };
        match flow.transport {
            Transport::Udp => {
                let arrivals = self
                    .net
                    .send(self.now, &mut self.rng, flow.local, flow.peer, bytes.len());
                self.ladder.message(self.now, "node", &to, &bytes, arrivals.is_empty());
                for arrival in arrivals {
                    self.push(arrival.at, Event::Udp(arrival, bytes.clone()));
                }
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                self.ladder.message(self.now, "node", &to, &bytes, false);
                let number = flow.connection.0 as usize - 1;
                if self
                    .streams
                    .list
                    .get(number)
                    .is_some_and(|connection| connection.open && !connection.closed)
                {
                    let end = self.streams.end_of(number, Owner::Node);
                    self.write_stream(number, end, &bytes);
                } else {
                    self.inputs.push_back(Input::FlowClosed(flow));
                }
            }
        }
    }

    pub(crate) fn node_connects(&mut self, ticket: Ticket, target: Target) {
        let fits = |listen: &tandem::config::Listen| {
            listen.transport == target.transport && listen.addr.is_ipv4() == target.addr.is_ipv4()
        };
        let Some(listener) = self.config.listen.iter().position(fits) else {
            return self.inputs.push_back(Input::FlowFailed(ticket));
        };
        if target.transport == Transport::Udp {
            let local = self.local(listener);
            let listener = ListenerId(listener as u16);
            let flow = Flow {
                transport: Transport::Udp,
                listener,
                connection: ConnectionId(0),
                local,
                peer: target.addr,
            };
            return self.inputs.push_back(Input::FlowOpened(ticket, flow));
        }
        match self.streams.find(Owner::Node, target.addr) {
            Some(number)
                if self.streams.list[number].open && self.streams.list[number].transport == target.transport =>
            {
                let flow = self.stream_flow(number);
                self.inputs.push_back(Input::FlowOpened(ticket, flow));
            }
            _ => {
                let port = 33_000 + (self.streams.list.len() % 30_000) as u16;
                let from = SocketAddr::new(self.node_ip, port);
                let number = self.open_stream(Owner::Node, from, target.addr, Some(ticket));
                self.streams.list[number].transport = target.transport;
            }
        }
    }

    /// The node's own address at a listener: of a family that it has beside the first, the listener's own.
    fn local(&self, listener: usize) -> SocketAddr {
        let addr = self.config.listen[listener].addr;
        if addr.is_ipv4() == self.node_ip.is_ipv4() {
            SocketAddr::new(self.node_ip, addr.port())
        } else {
            addr
        }
    }

    fn stream_flow(&self, number: usize) -> Flow {
        let transport = self.streams.list[number].transport;
        let fits = |listen: &tandem::config::Listen| listen.transport == transport;
        let listener = self.config.listen.iter().position(fits).unwrap_or(0);
        let end = self.streams.end_of(number, Owner::Node);
        Flow {
            transport,
            listener: ListenerId(listener as u16),
            connection: ConnectionId(number as u64 + 1),
            local: SocketAddr::new(self.node_ip, self.config.listen[listener].addr.port()),
            peer: self.streams.list[number].ends[1 - end].seen,
        }
    }

    fn open_stream(&mut self, owner: Owner, from: SocketAddr, to: SocketAddr, ticket: Option<Ticket>) -> usize {
        let seen = self.net.outside(from, to.ip());
        let other = self.net.inside(to, seen.ip()).and_then(|to| self.net.owner(to.ip()));
        let number = self
            .streams
            .open((owner, from), seen, (other.unwrap_or(Owner::Node), to), ticket);
        // Nobody there: the opening is never answered.
        if other.is_some() {
            let delay = self
                .net
                .stream_delay(&mut self.rng, from.ip(), to.ip())
                .unwrap_or(AGAIN);
            self.push(self.now + delay, Event::Stream(number, StreamEvent::Opening));
        }
        number
    }

    fn write_stream(&mut self, number: usize, end: usize, bytes: &Bytes) {
        let events = self
            .streams
            .write(self.now, &self.net, &mut self.rng, number, end, bytes);
        for (at, event) in events {
            self.push(at, Event::Stream(number, event));
        }
    }

    /// By what the called end takes the connection; TLS is carried as it is under the seal.
    fn listens(&self, number: usize) -> Option<Transport> {
        let connection = &self.streams.list[number];
        let end = &connection.ends[1];
        match end.owner {
            Owner::Node => {
                let at = |l: &&tandem::config::Listen| l.transport.is_reliable() && l.addr.port() == end.addr.port();
                let found = self.config.listen.iter().find(at).map(|listen| listen.transport);
                found.filter(|_| self.node.is_some())
            }
            Owner::Peer(agent) => {
                let agent = &self.agents[agent];
                let takes = agent.addr == end.addr && matches!(agent.server, Wire::Tcp(_));
                takes.then_some(connection.transport)
            }
        }
    }

    pub(crate) fn stream(&mut self, number: usize, event: StreamEvent) {
        let (a, b) = (
            self.streams.list[number].ends[0].addr.ip(),
            self.streams.list[number].ends[1].addr.ip(),
        );
        match event {
            StreamEvent::Opening => {
                let Some(delay) = self.net.stream_delay(&mut self.rng, a, b) else {
                    return self.push(self.now + AGAIN, Event::Stream(number, StreamEvent::Opening));
                };
                let listens = self.listens(number);
                self.streams.list[number].open = listens.is_some();
                self.streams.list[number].closed = listens.is_none();
                let event = match listens {
                    Some(transport) => {
                        self.streams.list[number].transport = transport;
                        StreamEvent::Opened
                    }
                    None => StreamEvent::Refused,
                };
                self.push(self.now + delay, Event::Stream(number, event));
            }
            StreamEvent::Opened => {
                if let Some(ticket) = self.streams.list[number].ticket.take() {
                    let flow = self.stream_flow(number);
                    self.inputs.push_back(Input::FlowOpened(ticket, flow));
                }
                for bytes in std::mem::take(&mut self.streams.list[number].waiting) {
                    self.write_stream(number, 0, &bytes);
                }
            }
            StreamEvent::Refused => {
                if let Some(ticket) = self.streams.list[number].ticket.take() {
                    self.inputs.push_back(Input::FlowFailed(ticket));
                }
            }
            StreamEvent::Again(end) => {
                if !self.streams.list[number].closed {
                    for (at, event) in self.streams.again(self.now, &self.net, &mut self.rng, number, end) {
                        self.push(at, Event::Stream(number, event));
                    }
                }
            }
            StreamEvent::Data(end, bytes) => self.stream_data(number, end, &bytes),
            StreamEvent::Closed(end) => match self.streams.list[number].ends[end].owner {
                Owner::Node => {
                    let flow = self.stream_flow(number);
                    self.inputs.push_back(Input::FlowClosed(flow));
                }
                Owner::Peer(agent) => {
                    let wire = Wire::Tcp(self.streams.list[number].ends[1 - end].seen);
                    self.act(agent, |agent, cx| agent.stream_broken(cx, wire));
                }
            },
        }
    }

    fn stream_data(&mut self, number: usize, end: usize, bytes: &Bytes) {
        if self.streams.list[number].closed {
            return;
        }
        self.streams.list[number].ends[end].buffer.extend_from_slice(bytes);
        match self.streams.list[number].ends[end].owner {
            Owner::Node => loop {
                match frame::next(&mut self.streams.list[number].ends[end].buffer) {
                    Ok(Some(Frame::Message(bytes))) => {
                        let flow = self.stream_flow(number);
                        self.ledger.came(self.now, &bytes);
                        self.inputs.push_back(Input::Sip(flow, bytes));
                    }
                    Ok(Some(Frame::Ping)) => self.write_stream(number, end, &Bytes::from_static(b"\r\n")),
                    Ok(Some(Frame::Pong)) => {}
                    Ok(None) => return,
                    Err(_) => return self.cut_stream(number),
                }
            },
            Owner::Peer(agent) => {
                let from = Wire::Tcp(self.streams.list[number].ends[1 - end].seen);
                while let Some(bytes) = message::cut(&mut self.streams.list[number].ends[end].buffer) {
                    self.act(agent, |agent, cx| agent.receive(cx, from, &bytes));
                }
            }
        }
    }

    /// Cuts a connection: both ends learn of it.
    pub fn cut_stream(&mut self, number: usize) {
        let connection = &mut self.streams.list[number];
        if connection.closed {
            return;
        }
        connection.closed = true;
        connection.open = false;
        for end in 0..2 {
            self.push(self.now, Event::Stream(number, StreamEvent::Closed(end)));
        }
    }

    /// One step of a peer, and what it asks for.
    pub fn act<T>(&mut self, agent: usize, work: impl FnOnce(&mut Agent, &mut Ctx<'_>) -> T) -> T {
        let mut acts = std::mem::take(&mut self.acts);
        let mut cx = Ctx {
            now: self.now,
            rng: &mut self.rng,
            acts: &mut acts,
        };
        let result = work(&mut self.agents[agent], &mut cx);
        for act in acts.drain(..) {
            match act {
                Act::Send(wire, bytes) => self.peer_sends(agent, wire, bytes),
                Act::Timer(at, timer) => self.push(at, Event::Timer(agent, timer)),
                Act::Media(port, to, bytes) => {
                    let from = SocketAddr::new(self.agents[agent].addr.ip(), port);
                    self.send_udp(from, to, bytes);
                }
            }
        }
        self.acts = acts;
        result
    }

    fn peer_sends(&mut self, agent: usize, wire: Wire, bytes: Bytes) {
        let from = self.agents[agent].addr;
        let to = if self.ladder.quiet {
            String::new()
        } else {
            self.name_of(wire.addr())
        };
        match wire {
            Wire::Udp(addr) => {
                let arrivals = self.net.send(self.now, &mut self.rng, from, addr, bytes.len());
                self.ladder
                    .message(self.now, &self.agents[agent].name, &to, &bytes, arrivals.is_empty());
                for arrival in arrivals {
                    self.push(arrival.at, Event::Udp(arrival, bytes.clone()));
                }
            }
            Wire::Tcp(addr) => {
                self.ladder
                    .message(self.now, &self.agents[agent].name, &to, &bytes, false);
                let owner = Owner::Peer(agent);
                let number = self.streams.find(owner, addr).unwrap_or_else(|| {
                    let port = 40_000 + (self.streams.list.len() % 20_000) as u16;
                    self.open_stream(owner, SocketAddr::new(from.ip(), port), addr, None)
                });
                let end = self.streams.end_of(number, owner);
                if self.streams.list[number].open {
                    self.write_stream(number, end, &bytes);
                } else {
                    self.streams.list[number].waiting.push(bytes);
                }
            }
        }
    }

    fn name_of(&self, addr: SocketAddr) -> String {
        match self
            .net
            .inside(addr, self.node_ip)
            .and_then(|addr| self.net.owner(addr.ip()))
        {
            Some(Owner::Node) => "node".to_owned(),
            Some(Owner::Peer(agent)) => self.agents[agent].name.clone(),
            None => addr.to_string(),
        }
    }
}
