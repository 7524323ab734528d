//! How much a thread takes in one turn, whatever waits on a socket.

use super::*;
use crate::config;
use crate::id::MediaLegId;
use crate::keyed::Key;
use crate::media::command::{Command, LegSpec};
use crate::media::prepare::Preparer;
use crate::shell::media::ports::PortRange;
use crate::shell::rtc::Setup;
use std::net::IpAddr;

const IP: &str = "127.0.82.51";

struct Bench {
    thread: Thread,
    setup: Setup,
    media: config::Media,
    ports: PortRange,
    /// Whoever sends to it.
    peer: UdpSocket,
    _events: mpsc::Receiver<MediaEvent>,
    _commands: rtrb::Producer<Message>,
}

/// One that does not run: it takes what it is told to.
fn bench(first_port: u16) -> Bench {
    let media = config::Media {
        first_port,
        last_port: first_port + 9,
        browser_tcp: None,
        shared_port: Some(first_port + 8),
        address: Some(IP.parse().unwrap()),
        workers: 1,
        silence: None,
        opus_bitrate: 24_000,
        opus_complexity: 5,
        opus_dtx: false,
    };
    let (clock, (sender, events)) = (SystemClock::start(), mpsc::channel(8));
    let (setup, mut doors) = Setup::start(clock, 1, sender.clone()).unwrap();
    let (producer, commands) = rtrb::RingBuffer::new(8);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let wake = Wake::new().unwrap().0;
    let (both, ways) = ((epoll, wake), (commands, sender));
    Bench {
        thread: Thread::new(WorkerId(0), clock, both, ways, Arc::default(), doors.remove(0)),
        setup,
        ports: PortRange::new(&media, std::iter::empty()),
        media,
        peer: UdpSocket::bind("127.0.82.52:0").unwrap(),
        _events: events,
        _commands: producer,
    }
}

impl Bench {
    fn flood(&self, port: u16, datagrams: usize) {
        for _ in 0..datagrams {
            let to = (IP.parse::<IpAddr>().unwrap(), port);
            self.peer.send_to(&[0x7f; 40], to).unwrap();
        }
    }
}

/// Of a leg's own port it takes one datagram, and then the other legs have their turn.
#[test]
fn a_flood_on_one_port_is_taken_one_by_one() {
    let mut bench = bench(22_660);
    let now = bench.thread.clock.instant();
    let port = bench.ports.bind(1, now)[0];
    bench.thread.coming = bench.ports.take(port).map(Way::Own);
    let spec = LegSpec {
        id: MediaLegId(1),
        port,
        ssrc: 1,
        first_sequence: 1,
        first_timestamp: 1,
        cname: String::new(),
        rtc: false,
    };
    let open = Command::Open(Box::new(spec));
    for input in Preparer::default().prepare(WorkerId(0), open, 1).unwrap() {
        let thread = &mut bench.thread;
        thread
            .worker
            .on_input(now, input, &mut thread.batch, &mut thread.outputs);
    }
    bench.thread.take_outputs();
    let at = bench.thread.worker.place(MediaLegId(1)).unwrap();
    let token = u64::try_from(at.index() << 1).unwrap();
    bench.flood(port.rtp, 5);
    let turns = (0..20).filter(|_| bench.thread.receive(token).is_some()).count();
    assert_eq!((turns, bench.thread.worker.strays().unknown), (5, 5));
    bench.setup.stop();
}

/// Of a port that browsers share it takes some, and leaves the rest for the next turn.
#[test]
fn a_flood_on_a_shared_port_is_taken_in_turns() {
    let mut bench = bench(22_670);
    let shared = bench.ports.shared(&bench.media).unwrap();
    let wake = Wake(bench.thread.wake.clone());
    let (mut gates, _heard) = gate::gates(&shared, &[wake], Key::new([1; 16]));
    bench.thread.gate = Some(Box::new(gates.remove(0)));
    bench.flood(bench.media.shared_port.unwrap(), 2 * limits::SHARED_TURN + 1);
    let mut taken = Vec::new();
    for _ in 0..4 {
        let next = bench.thread.clock.instant() + TICK;
        // The first token of such a port.
        bench.thread.take_shared(COMMANDS - 1, next);
        let strays = bench.thread.gate.as_ref().unwrap().whose.strays();
        taken.push(strays.no_leg + strays.unknown + strays.stun + strays.dtls);
    }
    let turn = limits::SHARED_TURN as u64;
    assert_eq!(taken, [turn, 2 * turn, 2 * turn + 1, 2 * turn + 1]);
    bench.setup.stop();
}
