//! Phones: users of the configuration, each on a host of its own, possibly behind a NAT.

use crate::agent::{Agent, Wire};
use crate::net::{Link, Owner};
use crate::script::Peer;
use crate::world::World;
use std::net::SocketAddr;
use tandem::id::Transport;

impl World {
    /// The phone of a user of the configuration, made at the first call: UDP, A-law first, a tone of its own.
    pub fn phone(&mut self, name: &str) -> Peer {
        if let Some(number) = self.names.get(name) {
            return Peer(*number);
        }
        self.device(name, name, Transport::Udp)
    }

    /// The same over TCP.
    pub fn tcp_phone(&mut self, name: &str) -> Peer {
        self.device(name, name, Transport::Tcp)
    }

    /// One more phone of a user, with a name of its own.
    pub fn device(&mut self, name: &str, user: &str, transport: Transport) -> Peer {
        let number = self.agents.len();
        let [_, high, middle, low] = (number as u32 + 10).to_be_bytes();
        let addr = SocketAddr::from(([203, high, middle, low], 5060));
        let config = self
            .config
            .user(user)
            .map(|user| (user.password.expose().to_owned(), user.domain.clone()));
        let (password, domain) = config.unwrap_or_else(|| (String::new(), "nowhere.example".into()));
        let identity = format!("sip:{user}@{domain}");
        self.add_agent(name, &identity, addr, transport, &password)
    }

    /// Puts a peer behind a home router with this address.
    pub fn nat(&mut self, peer: Peer, public: &str) {
        let ip = self.agents[peer.0].addr.ip();
        self.net.behind_nat(ip, public.parse().expect("an address of the test"));
    }

    pub(crate) fn add_agent(
        &mut self,
        name: &str,
        identity: &str,
        addr: SocketAddr,
        transport: Transport,
        password: &str,
    ) -> Peer {
        let number = self.agents.len();
        let port = self.config.listen[0].addr.port();
        let server = SocketAddr::new(self.node_ip, port);
        let server = if transport == Transport::Tcp {
            Wire::Tcp(server)
        } else {
            Wire::Udp(server)
        };
        let mut agent = Agent::new(name, identity, addr, server, password);
        agent.quiet = self.ladder.quiet;
        agent.tone = self.media.is_real().then_some(400.0 + 200.0 * number as f32);
        self.net.add(addr.ip(), Owner::Peer(number), Link::default());
        self.agents.push(agent);
        self.names.insert(name.to_owned(), number);
        Peer(number)
    }
}
