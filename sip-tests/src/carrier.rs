//! Carriers: the same core with another identity, known by address or by registration; strangers, too.

use crate::script::Peer;
use crate::world::World;
use tandem::id::Transport;

impl World {
    /// A carrier's peer at an address, over UDP. Its calls come from numbers: set `identity`.
    pub fn carrier(&mut self, name: &str, addr: &str) -> Peer {
        let addr = addr.parse().expect("an address of the test");
        self.add_agent(name, "sip:+14155559999@carrier.example", addr, Transport::Udp, "")
    }

    /// The same over TCP.
    pub fn tcp_carrier(&mut self, name: &str, addr: &str) -> Peer {
        let addr = addr.parse().expect("an address of the test");
        self.add_agent(name, "sip:+14155559999@carrier.example", addr, Transport::Tcp, "")
    }

    /// A recording server.
    pub fn recorder(&mut self, addr: &str) -> Peer {
        let addr = addr.parse().expect("an address of the test");
        let peer = self.add_agent("recorder", "sip:srs@recorder.example", addr, Transport::Udp, "");
        // It says nothing itself.
        self.agent(peer).tone = None;
        self.policy(peer).ring = None;
        peer
    }

    /// Somebody whom the configuration does not know.
    pub fn stranger(&mut self, name: &str, addr: &str) -> Peer {
        let addr = addr.parse().expect("an address of the test");
        self.add_agent(name, "sip:somebody@elsewhere.example", addr, Transport::Udp, "")
    }
}
