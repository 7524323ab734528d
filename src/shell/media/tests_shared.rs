//! The port that browsers share, with real sockets: whose a datagram is, and legs that live on another worker than the one that has their port.

use super::super::gate;
use super::super::ports::PortRange;
use super::{Bench, SOON};
use crate::config;
use crate::id::{MediaLegId, WorkerId};
use crate::media::command::{Command, Connect, Credentials, DtlsRole, Event, Function, Keys, MasterKey, Port, Suite};
use crate::media::srtp::{Opener, Sealer};
use crate::pii::Secret;
use crate::stun::integrity::{Key, Seal};
use crate::stun::message::{BINDING, Class, Message, Writer, kind};
use rustix::event::epoll;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::time::timeout;

const PWD: &str = "ourPasswordOf22Characters";

fn keys(seal: u8, open: u8) -> Keys {
    let key = |first: u8| MasterKey::new(Suite::AeadAes256Gcm, &[first; 44]).unwrap();
    Keys::new(key(seal), vec![key(open)]).unwrap()
}

/// A browser's end, with its keys.
pub struct Web {
    pub leg: MediaLegId,
    pub name: String,
    socket: UdpSocket,
    to: SocketAddr,
    sealer: Sealer,
    pub opener: Opener,
    sequence: u16,
    checks: u8,
}

impl Web {
    pub fn check(&mut self) -> Vec<u8> {
        self.check_of(0)
    }

    /// One of at least so many octets.
    pub fn check_of(&mut self, octets: usize) -> Vec<u8> {
        self.checks += 1;
        let mut writer = Writer::new(Class::Request, BINDING, [self.checks; 12]);
        writer.attribute(kind::USERNAME, format!("{}:them", self.name).as_bytes());
        writer.attribute(kind::PRIORITY, &[0, 0, 0, 1]);
        writer.attribute(kind::ICE_CONTROLLING, &[7; 8]);
        writer.attribute(kind::USE_CANDIDATE, &[]);
        let plain = 20 + 8 + (self.name.len() + 5).next_multiple_of(4) - 4 + 8 + 12 + 4 + 24 + 8;
        if let Some(more) = octets.checked_sub(plain + 4) {
            writer.attribute(kind::SOFTWARE, &vec![b'x'; more]);
        }
        writer.seal(Seal::Sha1, &Key::short_term(PWD));
        writer.fingerprint();
        writer.finish()
    }

    /// Sends a check until it is answered, from where it went.
    fn is_answered(&mut self) {
        let mut buffer = [0; 1_500];
        self.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        for _ in 0..100 {
            let check = self.check();
            self.socket.send_to(&check, self.to).unwrap();
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                let answer = Message::parse(&buffer[..length]).filter(|answer| answer.class == Class::Success);
                let Some(answer) = answer else { continue };
                assert_eq!(from, self.to);
                assert_eq!(answer.xor_mapped_address(), self.socket.local_addr().ok());
                return;
            }
        }
        panic!("no check was answered");
    }

    pub fn sealed(&mut self) -> Vec<u8> {
        self.sequence += 1;
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(7u32.to_be_bytes());
        packet.extend([0xd5; 160]);
        let plain = packet.len();
        packet.extend([0; 32]);
        let length = self.sealer.rtp(&mut packet, plain).unwrap();
        packet.truncate(length);
        packet
    }

    fn speak(&mut self) {
        let packet = self.sealed();
        self.socket.send_to(&packet, self.to).unwrap();
    }

    /// Speaks until it hears itself, from where it sends to; false when it never does.
    fn hears_itself(&mut self, tries: usize) -> bool {
        let mut buffer = [0; 1_500];
        self.socket.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
        for _ in 0..tries {
            self.speak();
            while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                if from == self.to && length >= 172 && self.opener.rtp(&mut buffer[..length]).is_ok() {
                    return true;
                }
            }
        }
        false
    }
}

fn bench(ip: &'static str, first_port: u16) -> Bench {
    let media = config::Media {
        shared_port: Some(first_port),
        ..super::media(Some(ip.parse().unwrap()), first_port)
    };
    Bench::of(ip, &media, &[])
}

pub fn open(bench: &mut Bench, number: u64, worker: WorkerId, port: u16, socket: UdpSocket) -> Web {
    let (leg, name) = (MediaLegId(number), format!("leg{number}"));
    let to = SocketAddr::new(bench.ip.parse().unwrap(), port);
    bench.open_on(
        worker,
        number,
        Port { rtp: port, v6: false },
        &socket,
        Function::Echo,
        true,
    );
    let credentials = |ufrag: &str, pwd: &str| Credentials {
        ufrag: ufrag.into(),
        pwd: Secret::new(pwd),
    };
    let connect = Box::new(Connect {
        ours: credentials(&name, PWD),
        theirs: credentials("them", "theirPasswordOf22Characters"),
        fingerprints: Vec::new(),
        role: DtlsRole::Server,
        lite: None,
    });
    let number = 0;
    bench.command(worker, Command::Connect { leg, number, connect });
    let own = Some(Box::new(keys(1, 2)));
    bench.command(worker, Command::Protect { leg, keys: own });
    Web {
        leg,
        name,
        socket,
        to,
        sealer: Sealer::new(&keys(2, 1)),
        opener: Opener::new(&keys(2, 1)),
        sequence: 0,
        checks: 0,
    }
}

#[tokio::test]
async fn browsers_on_one_port_are_told_apart_and_one_that_nobody_knows_is_counted() {
    let mut bench = bench("127.0.82.31", 22_000);
    let sockets = ["127.0.82.32:0", "127.0.82.32:0"].map(|at| UdpSocket::bind(at).unwrap());
    let mut number = 0;
    let mut webs = sockets.map(|socket| {
        number += 1;
        open(&mut bench, number, WorkerId(0), 22_000, socket)
    });
    assert!(!webs[0].hears_itself(5), "it has not shown where it is");
    for web in &mut webs {
        web.is_answered();
        assert!(web.hears_itself(50));
    }
    assert!(bench.threads.strays().no_leg >= 5, "{:?}", bench.threads.strays());
    let before = bench.threads.strays();
    let stranger = UdpSocket::bind("127.0.82.33:0").unwrap();
    for octets in [&[22, 254, 253, 0][..], &[0x80, 0, 0, 1], &[0, 1, 0, 0, 0x21, 0x12]] {
        stranger.send_to(octets, webs[0].to).unwrap();
    }
    assert!(webs[0].hears_itself(50) && webs[1].hears_itself(50));
    let counted = async {
        while bench.threads.strays().dtls == before.dtls {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, counted).await.expect("it is counted");
    // One that ends leaves the port to the other, and its own source to nobody.
    let leg = webs[0].leg;
    bench.command(WorkerId(0), Command::Close(leg));
    bench.hears(|event| matches!(event, Event::Closed(..))).await;
    assert!(!webs[0].hears_itself(5) && webs[1].hears_itself(50));
    bench.threads.stop();
}

/// It keeps its port: the worker before hands over what comes, and what goes out comes from there.
#[tokio::test]
async fn a_leg_that_moves_keeps_the_port_of_its_first_worker() {
    let mut bench = bench("127.0.82.34", 22_100);
    let mut web = open(
        &mut bench,
        1,
        WorkerId(0),
        22_100,
        UdpSocket::bind("127.0.82.35:0").unwrap(),
    );
    web.is_answered();
    assert!(web.hears_itself(50));
    for (from, to) in [(0, 1), (1, 0), (0, 1)] {
        let (from, to, leg) = (WorkerId(from), WorkerId(to), web.leg);
        bench.command(from, Command::Move { leg, to });
        bench.hears(|event| *event == Event::Moved(leg, to)).await;
        let function = Function::Echo;
        bench.command(to, Command::Function { leg, function });
        assert!(web.hears_itself(100), "on worker {to}");
        web.is_answered();
    }
    bench.command(WorkerId(1), Command::Close(web.leg));
    bench.hears(|event| matches!(event, Event::Closed(..))).await;
    assert!(!web.hears_itself(5));
    bench.threads.stop();
}

/// A socket that cannot be waited on is an error where the node starts, and not silence.
#[test]
fn a_port_that_cannot_be_waited_on_is_told_of() {
    let media = config::Media {
        shared_port: Some(22_150),
        ..super::media(Some("127.0.82.36".parse().unwrap()), 22_150)
    };
    let shared = PortRange::new(&media, std::iter::empty()).shared(&media).unwrap();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    gate::watch(WorkerId(0), &shared, &epoll).unwrap();
    gate::watch(WorkerId(1), &shared, &epoll).unwrap();
    // It is there already.
    assert!(gate::watch(WorkerId(0), &shared, &epoll).is_err());
}
