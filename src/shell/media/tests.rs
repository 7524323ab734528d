//! Media threads with real sockets: legs come, move and go, and so do their descriptors.

use super::thread::{Message, Wake};
use super::{Handle, MediaEvent, MediaThreads};
use crate::config;
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{Command, Dtmf, Event, Function, LegSpec, LegStats, OpusParams, Port, Remote, Stream, Xr};
use crate::media::worker::Strays;
use crate::shell::clock::SystemClock;
use codecs::Codec;
use std::collections::VecDeque;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long anything may take before the test fails.
const SOON: Duration = Duration::from_secs(20);

struct Bench {
    threads: MediaThreads,
    events: mpsc::Receiver<MediaEvent>,
    ip: &'static str,
}

impl Bench {
    fn new(ip: &'static str, first_port: u16) -> Bench {
        Bench::at(ip, Some(ip.parse().unwrap()), first_port, &[])
    }

    fn at(ip: &'static str, address: Option<IpAddr>, first_port: u16, listeners: &[SocketAddr]) -> Bench {
        Bench::of(ip, &media(address, first_port), listeners)
    }

    fn of(ip: &'static str, media: &config::Media, listeners: &[SocketAddr]) -> Bench {
        let clock = SystemClock::start();
        let (threads, events) = MediaThreads::start(media, listeners.iter().copied(), clock).unwrap();
        Bench { threads, events, ip }
    }

    /// Opens an echo on worker 0 and tells where it listens.
    fn echo(&mut self, number: u64, peer: &UdpSocket) -> SocketAddr {
        let port = self.threads.bind_ports(1)[0];
        self.open(number, port, peer, Function::Echo);
        SocketAddr::new(self.ip.parse().unwrap(), port.rtp)
    }

    /// Opens a leg on worker 0.
    fn open(&mut self, number: u64, port: Port, peer: &UdpSocket, function: Function) {
        self.open_on(WorkerId(0), number, port, peer, function, false);
    }

    fn open_on(&mut self, worker: WorkerId, number: u64, port: Port, peer: &UdpSocket, function: Function, rtc: bool) {
        let id = MediaLegId(number);
        let addr = peer.local_addr().unwrap();
        let spec = LegSpec {
            id,
            port,
            ssrc: 1,
            first_sequence: 1,
            first_timestamp: 1,
            cname: "c".into(),
            rtc,
        };
        let (remote, stream) = (remote(addr), stream());
        for command in [
            Command::Open(Box::new(spec)),
            Command::Negotiated {
                leg: id,
                remote,
                stream,
            },
            Command::Function { leg: id, function },
        ] {
            self.command(worker, command);
        }
    }

    fn command(&mut self, worker: WorkerId, command: Command) {
        assert_eq!(self.threads.command(worker, command), None);
        self.threads.flush();
    }

    /// Waits for a stream that is over.
    async fn hears_of_a_stream(&mut self) {
        let search = async {
            while let Some(event) = self.events.recv().await {
                let is_stream = event.output.is_none() && event.streams.iter().any(|stream| stream.is_over);
                let _told = self.threads.event(event);
                self.threads.flush();
                if is_stream {
                    return;
                }
            }
            panic!("the threads are gone");
        };
        timeout(SOON, search).await.expect("it never came");
    }

    /// Waits for an event that signalling hears.
    async fn hears(&mut self, wanted: impl Fn(&Event) -> bool) {
        let search = async {
            while let Some(event) = self.events.recv().await {
                let heard = self.threads.event(event);
                self.threads.flush();
                if heard.is_some_and(|event| wanted(&event)) {
                    return;
                }
            }
            panic!("the threads are gone");
        };
        timeout(SOON, search).await.expect("it never came");
    }
}

fn media(address: Option<IpAddr>, first_port: u16) -> config::Media {
    config::Media {
        first_port,
        last_port: first_port + 39,
        browser_tcp: None,
        shared_port: None,
        address,
        workers: 2,
        silence: None,
        opus_bitrate: 24_000,
        opus_complexity: 5,
        opus_dtx: false,
    }
}

fn remote(addr: SocketAddr) -> Remote {
    Remote {
        rtp: addr,
        rtcp: addr,
        rtcp_mux: true,
        signalling: addr.ip(),
        xr: Xr::default(),
        forks: false,
    }
}

fn stream() -> Stream {
    Stream {
        codec: Codec::Pcmu,
        payload_type_tx: 0,
        payload_type_rx: 0,
        ptime_ms: 20,
        events_tx: None,
        events_rx: None,
        dtmf: Dtmf::default(),
        opus: OpusParams::default(),
        gain: Default::default(),
        comfort_noise: false,
        sends: true,
        receives: true,
        udptl: false,
        carries_data: false,
    }
}

/// Sends packets until one comes back.
fn is_echoed(peer: &UdpSocket, to: SocketAddr, first: u16) {
    is_passed_on((peer, to), (peer, to), first);
}

/// Sends packets from one peer to its address here until one comes to another from its own.
fn is_passed_on((peer, to): (&UdpSocket, SocketAddr), (other, ours): (&UdpSocket, SocketAddr), first: u16) {
    let mut buffer = [0; 1500];
    // What was on its way before tells nothing.
    other.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    while other.recv_from(&mut buffer).is_ok() {}
    other.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
    for sequence in first..first + 200 {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend(7u32.to_be_bytes());
        packet.extend([0xd5; 160]);
        peer.send_to(&packet, to).unwrap();
        if other
            .recv_from(&mut buffer)
            .is_ok_and(|(length, from)| length >= 172 && from == ours)
        {
            return;
        }
    }
    panic!("what goes to {to} does not come from {ours}");
}

fn open_at(ip: &str) -> usize {
    let address: u32 = ip.parse::<std::net::Ipv4Addr>().unwrap().into();
    let own = format!(" {:08X}:", address.swap_bytes());
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    table.lines().filter(|line| line.contains(&own)).count()
}

#[tokio::test]
async fn a_leg_that_moves_to_another_worker_keeps_its_port_and_goes_on() {
    let mut bench = Bench::new("127.0.82.1", 21_100);
    let peer = UdpSocket::bind("127.0.82.2:0").unwrap();
    let to = bench.echo(1, &peer);
    is_echoed(&peer, to, 1);
    bench.hears(|event| matches!(event, Event::Started(..))).await;
    let (leg, to_worker) = (MediaLegId(1), WorkerId(1));
    bench.command(WorkerId(0), Command::Move { leg, to: to_worker });
    bench
        .hears(|event| *event == Event::Moved(MediaLegId(1), WorkerId(1)))
        .await;
    let function = Function::Echo;
    bench.command(to_worker, Command::Function { leg, function });
    is_echoed(&peer, to, 300);
    bench.command(to_worker, Command::Close(leg));
    bench.hears(|event| matches!(event, Event::Closed(..))).await;
    assert!(bench.threads.is_alive());
    bench.threads.stop();
}

/// What comes by IPv4 goes out by IPv6, and back.
#[tokio::test]
async fn a_call_between_ipv4_and_ipv6_is_heard_both_ways() {
    let listeners: [SocketAddr; 2] = ["127.0.82.11:5060".parse().unwrap(), "[::1]:5060".parse().unwrap()];
    let mut bench = Bench::at("127.0.82.11", None, 21_600, &listeners);
    let ports = bench.threads.bind_ports(2);
    let port = |v6| *ports.iter().find(|port| port.v6 == v6).expect("this machine has both");
    let peers = ["127.0.82.12:0", "[::1]:0"].map(|addr| UdpSocket::bind(addr).unwrap());
    bench.open(1, port(false), &peers[0], Function::Idle);
    bench.open(2, port(true), &peers[1], Function::Bridge(MediaLegId(1)));
    let at = [("127.0.82.11", port(false)), ("::1", port(true))]
        .map(|(ip, port)| SocketAddr::new(ip.parse().unwrap(), port.rtp));
    for (from, to) in [(0, 1), (1, 0)] {
        is_passed_on((&peers[from], at[from]), (&peers[to], at[to]), 1);
    }
    bench.threads.stop();
}

/// RFC 3550 6: RTCP is about RTP. What came before that is thrown away, since it would be taken for new.
#[tokio::test]
async fn rtcp_is_heard_from_the_first_packet_on_and_where_the_leg_moves() {
    let mut bench = Bench::new("127.0.82.9", 21_500);
    let peer = UdpSocket::bind("127.0.82.10:0").unwrap();
    let to = bench.echo(1, &peer);
    let rtcp = SocketAddr::new(to.ip(), to.port() + 1);
    // What is no RTCP is counted, if it is heard.
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    peer.send_to(&stun, rtcp).unwrap();
    is_echoed(&peer, to, 1);
    bench.hears(|event| matches!(event, Event::Started(..))).await;
    let heard = |bench: &Bench, first: u16| {
        peer.send_to(&stun, rtcp).unwrap();
        // When media comes back twice more, the thread has seen what came before.
        is_echoed(&peer, to, first);
        is_echoed(&peer, to, first + 300);
        bench.threads.strays().stun
    };
    assert_eq!(heard(&bench, 300), 1, "the first one came too early");
    let (leg, home) = (MediaLegId(1), WorkerId(1));
    bench.command(WorkerId(0), Command::Move { leg, to: home });
    bench
        .hears(|event| *event == Event::Moved(MediaLegId(1), WorkerId(1)))
        .await;
    let function = Function::Echo;
    peer.send_to(&stun, rtcp).unwrap();
    bench.command(home, Command::Function { leg, function });
    assert_eq!(heard(&bench, 1200), 3, "before any RTP on its new worker, too");
    bench.threads.stop();
}

#[tokio::test]
async fn a_thousand_legs_one_after_the_other_leave_no_socket_and_no_port_behind() {
    let mut bench = Bench::new("127.0.82.3", 21_200);
    let peer = UdpSocket::bind("127.0.82.4:0").unwrap();
    for number in 0..1000 {
        bench.echo(number, &peer);
        bench.command(WorkerId(0), Command::Close(MediaLegId(number)));
        bench.hears(|event| matches!(event, Event::Closed(..))).await;
    }
    let resting = open_at("127.0.82.3") / 2;
    assert!(resting <= 10, "half of the range rests at most");
    assert_eq!(
        bench.threads.bind_ports(99).len(),
        20 - resting,
        "the whole range is free"
    );
    bench.threads.stop();
    assert_eq!(open_at("127.0.82.3"), 0);
}

#[tokio::test]
async fn stop_ends_threads_with_legs_open_and_commands_waiting() {
    let mut bench = Bench::new("127.0.82.5", 21_300);
    let peer = UdpSocket::bind("127.0.82.6:0").unwrap();
    for number in 0..10 {
        bench.echo(number, &peer);
    }
    // More than the ring takes, and nobody reads the answers.
    for _ in 0..50_000 {
        bench.threads.command(WorkerId(0), Command::ReadStats(MediaLegId(1)));
    }
    bench.threads.stop();
    assert_eq!(open_at("127.0.82.5"), 0);
}

/// A worker that takes nothing any more.
fn stuck() -> (Handle, rtrb::Consumer<Message>) {
    let (ring, commands) = rtrb::RingBuffer::new(limits::MEDIA_COMMANDS);
    let handle = Handle {
        ring,
        backlog: VecDeque::new(),
        has_news: false,
        wake: Wake::new().unwrap(),
        gauges: Default::default(),
        thread: None,
    };
    (handle, commands)
}

#[tokio::test]
async fn a_worker_that_is_stuck_gets_no_more_calls_and_nobody_waits_for_it() {
    let mut bench = Bench::new("127.0.82.7", 21_400);
    let peer = UdpSocket::bind("127.0.82.8:0").unwrap();
    let (handle, mut commands) = stuck();
    let lively = std::mem::replace(&mut bench.threads.workers[0], handle);
    bench.echo(1, &peer);
    for _ in 0..limits::MEDIA_COMMANDS + limits::MEDIA_BACKLOG / 2 {
        bench.threads.command(WorkerId(0), Command::ReadStats(MediaLegId(1)));
    }
    assert!(bench.threads.bind_ports(1).is_empty(), "a new call is refused");
    let watch = || Command::Watch {
        leg: MediaLegId(1),
        silence: None,
        troubles: false,
    };
    for _ in 0..limits::MEDIA_BACKLOG {
        bench.threads.command(WorkerId(0), watch());
    }
    assert_eq!(bench.threads.workers[0].backlog.len(), limits::MEDIA_BACKLOG);
    bench.threads.command(WorkerId(0), Command::Close(MediaLegId(1)));
    assert_eq!(
        bench.threads.workers[0].backlog.len(),
        limits::MEDIA_BACKLOG + 1,
        "what goes is told even so"
    );
    // It goes on: everything that was kept comes in order, and there are ports again.
    let mut taken = 0;
    while commands.pop().is_ok() {
        bench.threads.flush();
        taken += 1;
    }
    assert_eq!(taken, limits::MEDIA_COMMANDS + limits::MEDIA_BACKLOG + 1);
    assert_eq!(bench.threads.bind_ports(1).len(), 1);
    bench.threads.workers[0] = lively;
    bench.threads.stop();
}

#[tokio::test]
async fn strays_are_counted_where_the_log_line_looks() {
    let mut bench = Bench::new("127.0.83.9", 25_200);
    let peer = UdpSocket::bind("127.0.83.10:0").unwrap();
    let to = bench.echo(1, &peer);
    is_echoed(&peer, to, 1);
    assert_eq!(bench.threads.strays(), Strays::default());
    // A STUN binding request, then media again: when that comes back, the thread has seen both.
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    peer.send_to(&stun, to).unwrap();
    for first in (300..1500).step_by(300) {
        is_echoed(&peer, to, first);
    }
    let expected = Strays {
        stun: 1,
        ..Strays::default()
    };
    assert_eq!(bench.threads.strays(), expected);
    bench.threads.stop();
}

/// Signalling is told at once: its call ends, rather than go on without media.
#[tokio::test]
async fn a_leg_on_a_port_that_is_not_bound_is_closed() {
    let mut bench = Bench::new("127.0.82.17", 21_500);
    let id = MediaLegId(1);
    let spec = LegSpec {
        id,
        port: Port { rtp: 21_502, v6: false },
        ssrc: 1,
        first_sequence: 1,
        first_timestamp: 1,
        cname: "c".into(),
        rtc: false,
    };
    let ended = bench.threads.command(WorkerId(0), Command::Open(Box::new(spec)));
    assert_eq!(ended, Some(Event::Closed(id, LegStats::default())));
    assert_eq!(bench.threads.command(WorkerId(0), Command::Close(id)), None);
    bench.threads.stop();
}

/// In real time, where the system lets us: CAP_SYS_NICE is bit 23 (capabilities(7)).
#[tokio::test]
async fn media_threads_run_in_real_time() {
    const NORMAL: &str = "0";
    const ROUND_ROBIN: &str = "2";
    let bench = Bench::new("127.0.82.19", 21_700);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may = u64::from_str_radix(effective.trim(), 16).unwrap() >> 23 & 1 == 1;
    let want = if may { ROUND_ROBIN } else { NORMAL };
    let has_it = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
        // Behind the name: proc(5) numbers its fields from 1, and this is field 41 where the state is field 3.
        stats.into_iter().any(|stat| {
            stat.contains("(media-1)")
                && stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(38)) == Some(want)
        })
    };
    let comes = async {
        while !has_it() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, comes).await.expect("a media thread has this policy");
    bench.threads.stop();
}

#[path = "tests_shared.rs"]
mod shared;
#[path = "tests_stream.rs"]
mod stream;
