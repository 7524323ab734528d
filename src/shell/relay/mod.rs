//! STUN and TURN on the network: a thread of its own with all sockets, and tasks that accept streams. What is relayed, and to whom, is decided
//! by [`crate::relay`].

mod accept;
mod pipe;
mod stream;
#[cfg(test)]
mod tests;
mod thread;
mod told;

use super::bell::Bell;
use super::clock::{self, SystemClock};
use super::media::MediaThreads;
use super::net::{self, Aside, Keys};
use super::within::Counts;
use crate::config::{Config, Listen, Turn};
use crate::id::Transport;
use crate::limits;
use crate::relay::{COUNTERS, Counters, Server};
use accept::Door;
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use thread::{Command, Gauges, Thread};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// What all clients on one socket may send while the thread does something else: a tenth of a second of 30,000 packets.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Counters that are told of.
const TOLD: usize = COUNTERS + 8;

/// The relay of a node; nothing where none is configured.
#[derive(Default)]
pub struct Relay(Option<Running>);

struct Running {
    turn: Turn,
    commands: mpsc::Sender<Command>,
    bell: Arc<Bell>,
    gauges: Arc<Gauges>,
    door: Arc<Door>,
    thread: Option<JoinHandle<()>>,
    /// The addresses of this machine, as the thread knows them.
    interfaces: Vec<IpAddr>,
    /// Of what does not go by the network.
    within: Arc<Counts>,
    /// What was told of the counters.
    told: [u64; TOLD],
    _aside: Aside,
}

impl Relay {
    /// Opens the sockets and starts the thread, if `turn` is configured, and joins it to media. Must run within a tokio runtime. The error is
    /// a sentence.
    pub fn start(
        config: &Config,
        keys: Arc<Keys>,
        clock: SystemClock,
        media: &mut MediaThreads,
    ) -> Result<Relay, String> {
        let Some(turn) = &config.turn else {
            return Ok(Relay::default());
        };
        let none = |error: io::Error| format!("TURN cannot be started: {error}");
        let (commands, receiver) = mpsc::channel(limits::RELAY_COMMANDS);
        let (facts, told) = mpsc::channel(limits::RELAY_FACTS);
        let bell = Bell::new().map_err(none)?;
        let (gauges, door) = (
            Arc::new(Gauges::default()),
            Door::new(keys, commands.clone(), bell.clone()),
        );
        let aside = Aside::default();
        let mut listeners = Vec::new();
        for listen in &turn.doors.listen {
            let failed = |error: io::Error| net::explain(&error, *listen, "turn.listen");
            if listen.transport == Transport::Udp {
                listeners.push(datagrams(listen).map_err(failed)?);
                continue;
            }
            let runtime = aside.handle();
            let _within = runtime.enter();
            let listener = net::bind_stream(listen.addr).and_then(TcpListener::from_std);
            runtime.spawn(accept::accept(
                listener.map_err(failed)?,
                listen.transport,
                door.clone(),
            ));
        }
        let seed = clock::seed().map_err(none)?;
        let interfaces = net::interfaces().map_err(none)?;
        let server = Server::new(turn, &interfaces, seed);
        let parts = (clock, server, bell.clone());
        let end = media.join(&bell, &turn.doors.addresses);
        let within = end.counts();
        let thread = Thread::new(parts, listeners, receiver, (facts, Some(end)), gauges.clone()).map_err(none)?;
        let builder = std::thread::Builder::new().name("relay".to_owned());
        let thread = builder.spawn(move || thread.run()).map_err(none)?;
        tokio::spawn(told::tell(told));
        Ok(Relay(Some(Running {
            turn: turn.clone(),
            commands,
            bell,
            gauges,
            door,
            thread: Some(thread),
            interfaces,
            within,
            told: [0; TOLD],
            _aside: aside,
        })))
    }

    /// Where clients come and what they get, if TURN is configured, as a sentence.
    pub fn opened(&self) -> Option<String> {
        let running = self.0.as_ref()?;
        Some(told::opened(&running.turn.doors))
    }

    /// Another configuration, certificates that were read again. Where it is reached stays.
    pub fn set(&mut self, config: &Config, keys: Arc<Keys>) {
        let Some(running) = &mut self.0 else { return };
        running.door.set_keys(keys);
        let Some(turn) = config.turn.as_ref().filter(|turn| **turn != running.turn) else {
            return;
        };
        // Where the system does not say what this machine's addresses are, they are those that they were.
        let interfaces = net::interfaces().unwrap_or_else(|_| running.interfaces.clone());
        if !running.configure(turn.clone(), interfaces) {
            warn!("TURN has too much to do to take the new configuration; send SIGHUP again");
        }
    }

    /// False if its thread has ended by a bug.
    pub fn is_alive(&self) -> bool {
        let thread = self.0.as_ref().and_then(|running| running.thread.as_ref());
        thread.is_none_or(|thread| !thread.is_finished())
    }

    /// Tells what was only counted, since it was told last. Addresses that this machine has got or lost since then are looked for too.
    pub fn tell(&mut self) {
        let Some(running) = &mut self.0 else { return };
        if let Ok(interfaces) = net::interfaces()
            && interfaces != running.interfaces
        {
            // Where it has too much to do, it is told the next time.
            running.configure(running.turn.clone(), interfaces);
        }
        let gauges = &running.gauges;
        let words = Counters::default().words();
        let counted = gauges
            .counters
            .iter()
            .zip(words)
            .map(|(gauge, (_, words))| (gauge, words));
        let door = &running.door;
        let within = &running.within;
        let others = [
            (&within.to_media, "packets to media of this node, past the network"),
            (&within.to_relay, "packets back"),
            (
                &within.full,
                "packets between the two that went by the network, since too many waited",
            ),
            (&gauges.unsent, "packets that the system would not send"),
            (
                &gauges.no_files,
                "times that a peer's connection (`tcp_peers`) had to wait, since this process may open no more files: raise its limit by ulimit -n, or by \
                 LimitNOFILE= in its systemd unit",
            ),
            (&gauges.slow, "packets whose client reads too slowly"),
            (&door.refused, "connections refused because there were too many"),
            (&door.failed, "TLS handshakes that failed or were given up"),
        ];
        let mut news = Vec::new();
        for ((gauge, words), told) in counted.chain(others).zip(&mut running.told) {
            let now = gauge.load(Ordering::Relaxed);
            if now > *told {
                news.push(format!("{} {words}", now - *told));
            }
            *told = now;
        }
        if !news.is_empty() {
            let allocations = gauges.allocations.load(Ordering::Relaxed);
            let news = news.join(", ");
            info!("TURN has {allocations} allocations; since the last line of this kind: {news}");
        }
    }

    /// Ends it with all that it relays.
    pub fn stop(&mut self) {
        self.tell();
        let Some(running) = &mut self.0 else { return };
        running.gauges.stop.store(true, Ordering::Release);
        running.bell.ring();
        if let Some(thread) = running.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Running {
    /// False if the thread has no room for it.
    fn configure(&mut self, turn: Turn, interfaces: Vec<IpAddr>) -> bool {
        let command = Command::Configure(Box::new(turn.clone()), interfaces.clone());
        let taken = self.commands.try_send(command).is_ok();
        if taken {
            (self.turn, self.interfaces) = (turn, interfaces);
        }
        self.bell.ring();
        taken
    }
}

fn datagrams(listen: &Listen) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen.addr)?;
    socket.set_nonblocking(true)?;
    // The system may grant less.
    let _ = SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER);
    Ok(socket)
}
