//! The machine that sets legs up, browsers that it is connected with, and the port that they share, where they do.

use sip_tests::browser::{self, Browser, Manners};
use sip_tests::description::{Description, opus};
use sip_tests::ms;
use std::net::SocketAddr;
use tandem::id::{MediaLegId, WorkerId};
use tandem::keyed::Key;
use tandem::media::command::{CheckName, Connect, Credentials, DtlsRole, Event, Fingerprint, Lite, Setup};
use tandem::media::shared::SharedPort;
use tandem::pii::Secret;
use tandem::rtc::{self, Machine};
use tandem::time::Instant;

/// Of the node's side.
pub const PASSWORD: &str = "nodePasswordOf22Characters";
/// The only leg of a machine that shares no port.
pub const LEG: MediaLegId = MediaLegId(1);

pub fn at() -> SocketAddr {
    "203.0.113.5:5000".parse().unwrap()
}

pub fn elsewhere() -> SocketAddr {
    "203.0.113.66:6000".parse().unwrap()
}

/// What the node and a browser say to one another, by this name of ours: for the machine, and for the browser.
fn both(role: DtlsRole, manners: Manners, ufrag: &str) -> (Connect, Browser) {
    let setup = if role == DtlsRole::Server { "passive" } else { "active" };
    let mut node = Description::new(at(), vec![opus()]);
    node.lines = vec![
        format!("a=ice-ufrag:{ufrag}"),
        format!("a=ice-pwd:{PASSWORD}"),
        format!("a=fingerprint:sha-256 {}", browser::node_identity().fingerprint()),
        format!("a=setup:{setup}"),
    ];
    let mut own = Description::new(at(), vec![opus()]);
    own.lines = browser::lines(ufrag, 7, 0, "actpass");
    let said = |name: &str| {
        own.lines
            .iter()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    let connect = Connect {
        ours: Credentials {
            ufrag: ufrag.into(),
            pwd: Secret::new(PASSWORD),
        },
        theirs: Credentials {
            ufrag: said("a=ice-ufrag:").into(),
            pwd: Secret::new(said("a=ice-pwd:")),
        },
        fingerprints: vec![Fingerprint::parse(&said("a=fingerprint:sha-256 ")).unwrap()],
        role,
        lite: manners.is_lite.then(|| Lite {
            candidates: vec![elsewhere(), at()],
            trickles: false,
        }),
    };
    (connect, Browser::new(manners, &own, &node).unwrap())
}

/// What is sent to an address comes to the last browser that has it.
pub struct Bench {
    pub machine: Machine,
    pub shared: Option<SharedPort>,
    pub browsers: Vec<(MediaLegId, Browser, SocketAddr)>,
    pub now: Instant,
    pub events: Vec<(MediaLegId, Setup)>,
    /// Checks of ours.
    pub checks: usize,
    /// Those of them that went to where no browser is.
    pub astray: usize,
}

impl Bench {
    fn new(shared: Option<SharedPort>) -> Bench {
        Bench {
            machine: Machine::new(browser::node_identity()),
            shared,
            browsers: Vec::new(),
            now: Instant::from_nanos(1_000_000_000),
            events: Vec::new(),
            checks: 0,
            astray: 0,
        }
    }

    /// With a port that legs share.
    pub fn sharing() -> Bench {
        Bench::new(Some(SharedPort::new(8, Key::UNKEYED)))
    }

    /// One browser, which has a port of its own.
    pub fn alone(role: DtlsRole, manners: Manners) -> Bench {
        let mut bench = Bench::new(None);
        let (connect, browser) = both(role, manners, "nodeUfrag");
        bench.machine.connect(bench.now, LEG, 0, connect);
        bench.browsers.push((LEG, browser, at()));
        bench
    }

    /// One more leg by the port that is shared.
    pub fn open(&mut self, leg: u64, role: DtlsRole, from: SocketAddr) -> MediaLegId {
        self.open_with(leg, role, from, Manners::default())
    }

    pub fn open_with(&mut self, leg: u64, role: DtlsRole, from: SocketAddr, manners: Manners) -> MediaLegId {
        let (leg, name) = (MediaLegId(leg), format!("ofLeg{leg}"));
        let (connect, browser) = both(role, manners, &name);
        self.machine.share(leg, WorkerId(0));
        self.port().name(leg, CheckName::of(name.as_bytes()).unwrap());
        self.machine.connect(self.now, leg, 0, connect);
        self.browsers.push((leg, browser, from));
        leg
    }

    pub fn port(&mut self) -> &mut SharedPort {
        self.shared.as_mut().expect("legs share a port")
    }

    /// The first browser.
    pub fn browser(&mut self) -> &mut Browser {
        &mut self.browsers[0].1
    }

    /// It is somewhere else from now on.
    pub fn moves(&mut self, to: SocketAddr) {
        self.browsers[0].2 = to;
    }

    pub fn come(&mut self, from: SocketAddr, octets: &[u8]) {
        let leg = match &mut self.shared {
            Some(shared) => shared.leg(from, octets),
            None => Some(LEG),
        };
        if let Some(leg) = leg {
            self.machine.datagram(self.now, leg, from, octets);
        }
        self.drain();
    }

    pub fn step(&mut self) {
        self.now += ms(20);
        for nth in 0..self.browsers.len() {
            let (_, browser, from) = &mut self.browsers[nth];
            let (from, datagrams) = (*from, browser.step(self.now));
            for datagram in datagrams {
                self.come(from, &datagram);
            }
        }
        self.machine.on_time(self.now);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                rtc::Output::Send { to, octets, .. } => {
                    let is_check = octets.starts_with(&[0, 1]);
                    let there = self.browsers.iter_mut().rev().find(|(_, _, from)| *from == to);
                    self.checks += usize::from(is_check);
                    self.astray += usize::from(is_check && there.is_none());
                    if let Some((_, browser, _)) = there {
                        browser.take(self.now, &octets, false);
                    }
                }
                rtc::Output::Event(Event::Setup(leg, _, setup)) => self.events.push((leg, setup)),
                rtc::Output::Event(other) => panic!("{other:?}"),
                rtc::Output::Source { leg, from, is_its } => self.port().source(leg, from, is_its),
            }
        }
    }

    /// Whose media is that comes from there.
    pub fn owner(&mut self, from: SocketAddr) -> Option<MediaLegId> {
        self.port().leg(from, &[0x80, 111, 0, 1])
    }

    pub fn secured(&self, leg: MediaLegId) -> Vec<SocketAddr> {
        let of = |(own, setup): &(MediaLegId, Setup)| match setup {
            Setup::Secured { peer, .. } if *own == leg => Some(*peer),
            Setup::Secured { .. } | Setup::Path(_) | Setup::Failed(_) => None,
        };
        self.events.iter().filter_map(of).collect()
    }
}
