//! The start of a node. Ports come first, since another node may have them; then what is kept on disk: the store, which one node has at a time, and
//! behind it the certificate and passwords that were made. At last it is told what is served.

use super::super::api::Api;
use super::super::bell::Bell;
use super::super::clock::SystemClock;
use super::super::control::{Operators, Spoken};
use super::super::files::enough_files;
use super::super::media::MediaThreads;
use super::super::net::{Keys, Net, NetEvent, OwnCertificate};
use super::super::ng::NgSocket;
use super::super::pace::Pace;
use super::super::record::Recorder;
use super::super::recording::Recordings;
use super::super::relay::Relay;
use super::super::sources::Generated;
use super::super::store::{Store, Written};
use super::reload::forget_strangers;
use super::{Control, Queues, Server};
use crate::config::Config;
use crate::node::{Input, Node};
use crate::time::Wall;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{info, warn};

impl Server {
    /// Opens every socket and the store, and keeps the passwords of `generated` that are new. Must run within a tokio runtime, which then serves
    /// connections. The error is a sentence for the operator.
    pub fn start(config: Config, control: mpsc::Receiver<Control>, generated: &[Generated]) -> Result<Server, String> {
        let clock = SystemClock::start();
        let now = clock.now();
        enough_files(&config);
        let bell = Bell::new().map_err(no_events)?;
        let (net, net_events, own) = listening(&config, now.wall)?;
        let (api, asked) = Api::open(config.api.as_ref(), net.secure())?;
        let (ng, commands) = NgSocket::open(config.ng.as_ref().map(|ng| ng.listen))?;
        let (recordings, recorded) = Recordings::start(&config.recording, clock)?;
        let (mut media, media_events) = MediaThreads::start(&config.media, net.bound().iter().map(|l| l.addr), clock)?;
        media.record_by(recordings.sinks());
        let relay = Relay::start(&config, net.keys(), clock, &mut media)?;
        let seed = super::super::clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
        let pace = Pace::new(now.now, net.room());
        let mut disk = Disk::open(&config, own.as_ref(), generated, now.wall)?;
        forget_strangers(&mut disk.store, &config);
        let config = Arc::new(config);
        let kept = [
            Input::Secret(disk.store.secret()),
            Input::Bound(disk.store.sources(now.wall)),
            Input::Fingerprint(media.fingerprint()),
            Input::Sleepers(disk.store.sleepers()),
        ];
        let node = Node::new(config.clone(), seed, now);
        let queues = Queues {
            net: net_events,
            written: disk.written,
            media: media_events,
            recorded,
            ng: commands,
            spoken: disk.spoken,
            asked,
            control,
            taken: Default::default(),
        };
        let server = Server {
            config,
            clock,
            node,
            net,
            ng,
            operators: disk.operators,
            api,
            store: disk.store,
            media,
            recordings,
            relay,
            recorder: Recorder::default(),
            inputs: VecDeque::from(kept),
            runtime: Handle::current(),
            bell,
            queues,
            timed: now.now,
            woke: now.now,
            pace,
            taken: Vec::new(),
            paused: Duration::ZERO,
            is_more: false,
            stopping: None,
            bugs: 0,
            told_day: 0,
        };
        server.tell_served();
        Ok(server)
    }

    /// Who reads the log finds there what the node serves besides SIP.
    fn tell_served(&self) {
        if let Some(addr) = self.api.bound() {
            info!("the API is served at https://{addr}, with a telephone at /phone");
        }
        if let Some(addr) = self.ng.bound() {
            info!("NG is taken at udp://{addr}");
        }
        if let Some(sentence) = self.relay.opened() {
            info!("{sentence}");
        }
        if let Some(path) = self.operators.path() {
            info!("operators reach this node by {}", path.display());
        }
    }
}

/// What a node has of the disk.
struct Disk {
    store: Store,
    written: mpsc::Receiver<Vec<Written>>,
    operators: Operators,
    spoken: mpsc::Receiver<Spoken>,
}

impl Disk {
    /// Opens it, and keeps what was made. The error is a sentence.
    fn open(config: &Config, own: Option<&OwnCertificate>, generated: &[Generated], now: Wall) -> Result<Disk, String> {
        let (store, written, closed) = Store::open(&config.store, now)?;
        let (operators, spoken) = Operators::open(&config.control)?;
        // Who has the store is alone in its folder: nobody else writes these, and no start that fails earlier.
        generated.iter().try_for_each(Generated::keep)?;
        if let Some(own) = own {
            info!("{}", own.keep()?);
        }
        if closed > 0 {
            warn!("calls that were up when the node was killed: {closed}; their records are closed now");
        }
        Ok(Disk {
            store,
            written,
            operators,
            spoken,
        })
    }
}

fn no_events(error: std::io::Error) -> String {
    format!("the system gives no events of sockets: {error}")
}

/// All that the configuration has of SIP's sockets, and the certificate that was made for them, if one was. The error is a sentence.
fn listening(config: &Config, now: Wall) -> Result<(Net, mpsc::Receiver<NetEvent>, Option<OwnCertificate>), String> {
    let (mut net, events) = Net::new(now.0).map_err(no_events)?;
    let (keys, own) = Keys::load(config, &config.store.path, now)?;
    net.set_keys(keys);
    if let Some(complaint) = net.set_dns(&config.dns) {
        warn!("{complaint}");
    }
    for listen in &config.listen {
        net.listen(*listen)?;
    }
    Ok((net, events, own))
}
