//! Browsers that come by TCP, with real sockets (RFC 6544, RFC 4571).

use super::shared::{Web, open};
use super::{Bench, MediaEvent, Message as Told, SOON, remote, stream};
use crate::config;
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{Command, Event, Function, stream::of_stream};
use crate::media::frames::Inbox;
use crate::media::packet::Packet;
use crate::stun::message::{Class, Message};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::timeout;

/// The stream of a browser.
struct Tcp {
    socket: TcpStream,
    inbox: Inbox,
}

impl Tcp {
    fn to(addr: SocketAddr) -> Tcp {
        let socket = TcpStream::connect(addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
        Tcp {
            socket,
            inbox: Inbox::default(),
        }
    }

    fn send(&mut self, packet: &[u8]) {
        let frame = [&(packet.len() as u16).to_be_bytes()[..], packet].concat();
        self.socket.write_all(&frame).unwrap();
    }

    /// The next packet that comes soon; none at the end too.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut packet = Packet::default();
        loop {
            if self.inbox.next(&mut packet).unwrap() {
                return Some(packet.as_slice().to_vec());
            }
            match self.socket.read(self.inbox.space()) {
                Ok(octets) if octets > 0 => self.inbox.came(octets),
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Waits for its end.
    fn is_closed(&mut self) -> bool {
        self.socket.set_read_timeout(Some(SOON)).unwrap();
        loop {
            match self.socket.read(&mut [0; 2_048]) {
                Ok(0) => return true,
                // What was on its way.
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }

    fn is_answered(&mut self, web: &mut Web) -> bool {
        for _ in 0..50 {
            let check = web.check();
            self.send(&check);
            while let Some(packet) = self.next() {
                let answer = Message::parse(&packet).filter(|answer| answer.class == Class::Success);
                if let Some(answer) = answer {
                    assert_eq!(answer.xor_mapped_address(), self.socket.local_addr().ok());
                    return true;
                }
            }
        }
        false
    }

    fn hears_itself(&mut self, web: &mut Web) -> bool {
        for _ in 0..100 {
            let packet = web.sealed();
            self.send(&packet);
            while let Some(mut packet) = self.next() {
                if packet.len() >= 172 && web.opener.rtp(&mut packet).is_ok() {
                    return true;
                }
            }
        }
        false
    }
}

fn bench(ip: &'static str, first_port: u16, tcp: u16) -> (Bench, SocketAddr) {
    let media = config::Media {
        browser_tcp: Some(tcp),
        ..super::media(Some(ip.parse().unwrap()), first_port)
    };
    (Bench::of(ip, &media, &[]), SocketAddr::new(ip.parse().unwrap(), tcp))
}

/// A leg on worker 0, with a port of its own.
fn leg(bench: &mut Bench, number: u64) -> Web {
    let port = bench.threads.bind_ports(1)[0];
    open(
        bench,
        number,
        WorkerId(0),
        port.rtp,
        UdpSocket::bind("127.0.82.42:0").unwrap(),
    )
}

/// A browser has come by TCP, and its leg has not been told of it.
async fn is_there(bench: &mut Bench, door: SocketAddr, web: &mut Web) -> (Tcp, MediaEvent) {
    let mut tcp = Tcp::to(door);
    let check = web.check();
    tcp.send(&check);
    loop {
        let event = timeout(SOON, bench.events.recv()).await.unwrap().unwrap();
        if !event.streams.is_empty() {
            return (tcp, event);
        }
        let _told = bench.threads.event(event);
    }
}

/// It has come, and is answered.
async fn comes(bench: &mut Bench, door: SocketAddr, web: &mut Web) -> Tcp {
    let (mut tcp, event) = is_there(bench, door, web).await;
    assert_eq!(bench.threads.event(event), None);
    bench.threads.flush();
    assert!(tcp.is_answered(web));
    tcp
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_browser_that_comes_by_tcp_is_heard_and_its_stream_moves_with_its_leg() {
    let (mut bench, door) = bench("127.0.82.41", 22_200, 22_241);
    let mut web = leg(&mut bench, 1);
    let mut tcp = comes(&mut bench, door, &mut web).await;
    // What signalling says when the set-up tells where the browser is.
    let peer = of_stream(NonZeroU32::MIN, tcp.socket.local_addr().unwrap());
    let (leg, remote, stream) = (web.leg, remote(peer), stream());
    bench.command(WorkerId(0), Command::Negotiated { leg, remote, stream });
    assert!(tcp.hears_itself(&mut web));
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (WorkerId(from), WorkerId(to));
        bench.command(from, Command::Move { leg, to });
        bench.hears(|event| *event == Event::Moved(leg, to)).await;
        let function = Function::Echo;
        bench.command(to, Command::Function { leg, function });
        assert!(tcp.hears_itself(&mut web), "on worker {to}");
        assert!(tcp.is_answered(&mut web), "on worker {to}");
    }
    bench.command(WorkerId(0), Command::Close(leg));
    bench.hears(|event| matches!(event, Event::Closed(..))).await;
    assert!(tcp.is_closed());
    bench.threads.stop();
}

/// One that has come while its leg was between two workers comes there with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_that_comes_while_its_leg_moves_is_not_lost() {
    let (mut bench, door) = bench("127.0.82.48", 22_600, 22_648);
    let mut web = leg(&mut bench, 1);
    let (leg, to) = (web.leg, WorkerId(1));
    let (mut tcp, came) = is_there(&mut bench, door, &mut web).await;
    bench.command(WorkerId(0), Command::Move { leg, to });
    assert_eq!(bench.threads.event(came), None);
    bench.threads.flush();
    bench.hears(|event| *event == Event::Moved(leg, to)).await;
    assert!(tcp.is_answered(&mut web));
    assert_eq!(bench.threads.strays().no_leg, 0);
    assert!(bench.threads.moving.is_empty());
    bench.threads.stop();
}

/// What does not begin with a check of ours, in time, is closed; of one host not too many are taken, nor of one leg.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn strangers_on_tcp_are_refused_and_bounded() {
    let (mut bench, door) = bench("127.0.82.43", 22_300, 22_343);
    let mut web = leg(&mut bench, 1);
    let mut other = leg(&mut bench, 2);
    other.name = "nobody".to_owned();
    let unknown = other.check();
    for first in [&unknown[..], b"GET / HTTP/1.1\r\n\r\n", &[0x80, 0, 0, 1], &[0; 600]] {
        let mut tcp = Tcp::to(door);
        tcp.send(first);
        assert!(tcp.is_closed(), "{first:?}");
    }
    // A check, but for its length.
    let long = web.check_of(limits::STREAM_FIRST + 4);
    assert_eq!(long.len(), limits::STREAM_FIRST + 4);
    let mut tcp = Tcp::to(door);
    tcp.send(&long);
    assert!(tcp.is_closed());
    let mut silent = Tcp::to(door);
    assert!(silent.is_closed());
    let counted = async {
        while bench.threads.strays().no_leg < 6 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, counted).await.expect("all are counted");
    let mut streams: Vec<Tcp> = Vec::new();
    for _ in 0..=limits::STREAMS_PER_LEG {
        streams.push(comes(&mut bench, door, &mut web).await);
    }
    bench.hears_of_a_stream().await;
    assert!(streams[0].is_closed(), "the oldest makes room");
    assert!(streams[1].is_answered(&mut web));
    let mut crowd: Vec<Tcp> = (0..limits::STREAMS_PER_HOST + 1).map(|_| Tcp::to(door)).collect();
    assert!(crowd.last_mut().unwrap().is_closed());
    assert!(streams[1].is_answered(&mut web), "whoever was there is still heard");
    bench.threads.stop();
}

/// A length that no packet has ends a stream, and nothing behind it is taken (RFC 4571 2).
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_with_a_packet_that_is_too_long_is_closed() {
    let (mut bench, door) = bench("127.0.82.45", 22_400, 22_445);
    let mut web = leg(&mut bench, 1);
    let mut tcp = comes(&mut bench, door, &mut web).await;
    let longest = vec![0x80; limits::RTP_PACKET_BYTES];
    tcp.send(&longest);
    assert!(tcp.is_answered(&mut web), "the longest is none of those");
    tcp.send(&[&longest[..], &[0]].concat());
    bench.hears_of_a_stream().await;
    assert!(tcp.is_closed());
    bench.threads.stop();
}

/// One whose leg is not where it was brought, or has ended, is closed and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_that_no_leg_takes_is_closed_and_counted() {
    let (mut bench, door) = bench("127.0.82.46", 22_500, 22_546);
    let mut web = leg(&mut bench, 1);
    for is_known in [true, false] {
        let before = bench.threads.strays().no_leg;
        let (mut tcp, mut event) = is_there(&mut bench, door, &mut web).await;
        event.streams[0].leg = MediaLegId(99);
        if is_known {
            let stream = event.streams.pop().unwrap();
            bench.threads.send(WorkerId(0), Told::Stream(stream));
            bench.threads.flush();
            bench.hears_of_a_stream().await;
        } else {
            assert_eq!(bench.threads.event(event), None);
        }
        assert!(tcp.is_closed());
        assert_eq!(bench.threads.strays().no_leg, before + 1);
    }
    bench.threads.stop();
}
