//! An internet of network namespaces: in its middle the node, around it two clients, each behind a router with NAT, and a phone.
//!
//! ```text
//!   alice 10.1.0.2 --- 10.1.0.1 router 198.51.100.2 ---+
//!                                                      +--- 192.0.2.10 the node --- 192.0.2.130 a phone
//!   carol 10.2.0.2 --- 10.2.0.1 router 203.0.113.2 ----+
//! ```
//!
//! What the clients send one another is forwarded in the middle, and what is for the node arrives there: two chains, in which it is counted.

use crate::network::Network;

/// The node's address.
pub const NODE: &str = "192.0.2.10";
/// The phone's.
pub const PHONE: &str = "192.0.2.130";
/// Ports of the node's media.
pub const MEDIA_PORTS: &str = "20000:20199";
/// Ports of relayed addresses.
pub const RELAYED_PORTS: &str = "50000:50199";
/// Where TURN is taken by TLS: a port that firewalls leave open.
pub const TLS_PORT: u16 = 443;

/// How a router translates (RFC 4787 4.1); both drop what nobody behind them has asked for.
#[derive(Clone, Copy)]
pub enum Nat {
    /// The mapping is the same whoever the other is, as long as the port is free.
    Common,
    /// Each other address gets a mapping of its own.
    Symmetric,
}

/// What a router lets out.
#[derive(Clone, Copy)]
pub enum Firewall {
    /// Everything.
    Open,
    /// No UDP.
    NoUdp,
    /// TCP to the API, to SIP by WebSockets, and to the relay by its usual port.
    RelayOnly,
    /// TCP to the API, to SIP by WebSockets and to port 443.
    WebOnly,
    /// TCP to the API.
    ApiOnly,
    /// Nothing.
    Shut,
}

/// A client, and the router before it.
pub struct Site {
    /// The client's network.
    pub client: Network,
    router: Network,
    number: u8,
}

/// All of it. It is gone with its processes.
pub struct Internet {
    /// Where the node is.
    pub middle: Network,
    /// Where the phone is.
    pub phone: Network,
    /// Two sites.
    pub alice: Site,
    /// See `alice`.
    pub carol: Site,
}

impl Internet {
    pub fn new() -> Internet {
        let middle = format!(
            "ip link set lo up; ip address add {NODE}/32 dev lo
             echo 1 > /proc/sys/net/ipv4/ip_forward"
        );
        let middle = Network::made_by(&middle, NODE.to_owned());
        let phone = Network::made_by("ip link set lo up", PHONE.to_owned());
        middle.run(&format!(
            "ip link add phone type veth peer name eth0 netns {}
             ip address add 192.0.2.129/30 dev phone; ip link set phone up",
            phone.pid
        ));
        phone.run(&format!(
            "ip address add {PHONE}/30 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.129"
        ));
        let (alice, carol) = (Site::new(&middle, 1, "198.51.100"), Site::new(&middle, 2, "203.0.113"));
        let mut rules = vec![
            "FORWARD -i site1 -o site2 -p udp".to_owned(),
            "FORWARD -i site2 -o site1 -p udp".to_owned(),
            format!("INPUT -p udp --dport {MEDIA_PORTS}"),
            format!("INPUT -p udp --dport {RELAYED_PORTS}"),
        ];
        rules.extend((1..=2).map(|number| format!("INPUT -i site{number} -p udp")));
        let names = [
            "alice-carol",
            "carol-alice",
            "media",
            "relayed",
            "alice-node",
            "carol-node",
        ];
        for (rule, name) in rules.iter().zip(names) {
            middle.run(&format!("iptables -A {rule} -m comment --comment {name}"));
        }
        Internet {
            middle,
            phone,
            alice,
            carol,
        }
    }

    /// Counts from 0 again.
    pub fn count_anew(&self) {
        self.middle.run("iptables -Z");
    }

    /// Datagrams since then.
    pub fn counted(&self, name: &str) -> u64 {
        let listed = self.middle.run("iptables -nvxL");
        let rule = listed.lines().find(|line| line.contains(&format!("/* {name} */")));
        let count = rule.and_then(|rule| rule.split_whitespace().next()?.parse().ok());
        count.unwrap_or_else(|| panic!("no rule counts {name}:\n{listed}"))
    }
}

impl Site {
    fn new(middle: &Network, number: u8, outside: &str) -> Site {
        let router = Network::made_by(
            "ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward",
            String::new(),
        );
        let client = Network::made_by("ip link set lo up", format!("10.{number}.0.2"));
        middle.run(&format!(
            "ip link add site{number} type veth peer name outside netns {}
             ip address add {outside}.1/24 dev site{number}; ip link set site{number} up",
            router.pid
        ));
        router.run(&format!(
            "ip address add {outside}.2/24 dev outside; ip link set outside up; ip route add default via {outside}.1
             ip link add inside type veth peer name eth0 netns {}
             ip address add 10.{number}.0.1/24 dev inside; ip link set inside up
             iptables -A INPUT -i outside -m conntrack --ctstate NEW -j DROP",
            client.pid
        ));
        let site = Site { client, router, number };
        site.moves(2);
        site.translates(Nat::Common);
        site
    }

    /// The client has this address from now on, and no other.
    pub fn moves(&self, host: u8) {
        let network = format!("10.{}.0", self.number);
        self.client.run(&format!(
            "ip address flush dev eth0; ip address add {network}.{host}/24 dev eth0
             ip link set eth0 up; ip route replace default via {network}.1"
        ));
    }

    /// The cable of the client, in or out.
    pub fn plugged(&self, is_in: bool) {
        let way = if is_in { "up" } else { "down" };
        self.router.run(&format!("ip link set inside {way}"));
    }

    /// How it is translated.
    pub fn translates(&self, nat: Nat) {
        let ports = match nat {
            Nat::Common => "",
            Nat::Symmetric => "--random-fully",
        };
        self.router.run(&format!(
            "iptables -t nat -F POSTROUTING; iptables -t nat -A POSTROUTING -o outside -j MASQUERADE {ports}"
        ));
    }

    /// What is let out, of connections that are open too.
    pub fn lets_out(&self, firewall: Firewall) {
        let only = |ports: &str| {
            format!(
                "iptables -A FORWARD -i inside -p tcp -m multiport --dports {ports} -j ACCEPT
                 iptables -A FORWARD -i inside -j DROP"
            )
        };
        let rules = match firewall {
            Firewall::Open => String::new(),
            Firewall::NoUdp => "iptables -A FORWARD -p udp -j DROP".to_owned(),
            Firewall::RelayOnly => only("3478,8443,8445"),
            Firewall::WebOnly => only(&format!("{TLS_PORT},8443,8445")),
            Firewall::ApiOnly => only("8445"),
            Firewall::Shut => "iptables -A FORWARD -j DROP".to_owned(),
        };
        self.router.run(&format!("iptables -F FORWARD\n{rules}"));
    }
}
