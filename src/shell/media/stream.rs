//! Browsers that cannot send UDP (RFC 6544): they connect by TCP, and packets stand behind their length there (RFC 4571).
//!
//! ```text
//!   listener --> the first packet, a check with a name of ours, in time --> the thread of its leg: as if a datagram of the leg's port
//!   the leg  --> a packet, whole, or not at all: what a slow reader has not taken is lost, as a network loses it
//! ```
//!
//! A stream is one leg's for all its life, and moves with it to another worker. Nothing that comes by it counts more than a datagram does.

use super::MediaEvent;
use crate::id::MediaLegId;
use crate::limits;
use crate::media::command::{CheckName, stream};
use crate::media::frames::{HEAD, Inbox, TooLong};
use crate::media::packet::{Packet, TAIL_ROOM};
use crate::shell::net::{KEEP_ALIVE, Place, Places};
use crate::shell::rtc::Answer;
use crate::time::Instant;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use smallvec::SmallVec;
use socket2::SockRef;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What the system keeps of what a client has not taken: half a second of 2 Mbit/s.
const SEND_BUFFER: usize = 128 * 1024;
/// How long nothing is accepted after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest packet as it is sent.
const FRAME: usize = HEAD + limits::RTP_PACKET_BYTES + TAIL_ROOM;

/// One connection.
#[derive(Debug)]
pub(in crate::shell) struct Stream {
    pub(super) socket: TcpStream,
    /// Whose.
    pub(super) leg: MediaLegId,
    /// Where its peer is, for all that speaks with it.
    pub(super) from: SocketAddr,
    inbox: Inbox,
    /// The rest of a packet whose beginning was taken.
    rest: Box<[u8; FRAME]>,
    waits: std::ops::Range<usize>,
    /// Since when.
    since: Instant,
    /// It is to be closed, where that may take its time.
    pub(super) is_over: bool,
    /// It could not be taken.
    pub(super) is_refused: bool,
    _place: Place,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way.
    Whole,
    /// Its beginning is.
    Part,
    /// Something before it waits, or there is no room.
    Lost,
    /// The connection is of no use any more.
    Broken,
}

impl Stream {
    /// To be closed by signalling's thread, which has time for that.
    pub fn over(mut self: Box<Self>) -> MediaEvent {
        self.is_over = true;
        MediaEvent::stream(self)
    }

    /// The same of one that could not be taken, which is counted.
    pub fn refused(mut self: Box<Self>) -> MediaEvent {
        self.is_refused = true;
        self.over()
    }

    /// Reads what is there; false at its end.
    pub fn read(&mut self) -> bool {
        match self.socket.read(self.inbox.space()) {
            Ok(0) => false,
            Ok(octets) => {
                self.inbox.came(octets);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// The next packet.
    pub fn next(&mut self, into: &mut Packet) -> Result<bool, TooLong> {
        self.inbox.next(into)
    }

    /// Sends a packet whole, or not at all.
    pub fn send(&mut self, now: Instant, packet: &[u8]) -> Sent {
        match self.flush() {
            Ok(true) => {}
            Ok(false) if now.since(self.since) > limits::STREAM_STUCK => return Sent::Broken,
            Ok(false) => return Sent::Lost,
            Err(_) => return Sent::Broken,
        }
        let length = HEAD + packet.len();
        let Some(frame) = self.rest.get_mut(..length) else {
            return Sent::Lost;
        };
        frame[..HEAD].copy_from_slice(&(packet.len() as u16).to_be_bytes());
        frame[HEAD..].copy_from_slice(packet);
        match self.socket.write(frame) {
            Ok(taken) if taken == length => Sent::Whole,
            Ok(taken) => {
                (self.waits, self.since) = (taken..length, now);
                Sent::Part
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Lost,
            Err(_) => Sent::Broken,
        }
    }

    /// True if nothing waits any longer.
    pub fn flush(&mut self) -> io::Result<bool> {
        while !self.waits.is_empty() {
            match self.socket.write(&self.rest[self.waits.clone()]) {
                Ok(taken) => self.waits.start += taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Whose a check is.
#[derive(Debug, Default)]
struct Names {
    legs: BTreeMap<CheckName, MediaLegId>,
    of_leg: BTreeMap<MediaLegId, [Option<CheckName>; 2]>,
}

/// What acceptors share with signalling.
#[derive(Debug)]
pub(super) struct StreamDoor {
    names: Mutex<Names>,
    places: Arc<Places>,
    last: AtomicU32,
    /// Connections that were refused: too many, or what came first was none of ours, or not in time.
    pub(super) refused: AtomicU64,
}

impl StreamDoor {
    pub fn new() -> Arc<StreamDoor> {
        Arc::new(StreamDoor {
            names: Mutex::default(),
            places: Places::new(limits::STREAMS, limits::STREAMS_PER_HOST),
            last: AtomicU32::new(0),
            refused: AtomicU64::new(0),
        })
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().expect("nobody panics while looking")
    }

    /// Checks with this name are the leg's, and those with the name before.
    pub fn name(&self, leg: MediaLegId, name: CheckName) {
        let names = &mut *self.names();
        let own = names.of_leg.entry(leg).or_default();
        if own[0] != Some(name) {
            let [last, old] = *own;
            *own = [Some(name), last];
            old.and_then(|old| names.legs.remove(&old));
            names.legs.insert(name, leg);
        }
    }

    /// A leg is gone.
    pub fn forget(&self, leg: MediaLegId) {
        let names = &mut *self.names();
        for name in names.of_leg.remove(&leg).into_iter().flatten().flatten() {
            names.legs.remove(&name);
        }
    }

    /// One more was refused.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads the first packet, and gives the stream if a leg knows its name.
    async fn welcome(&self, mut socket: tokio::net::TcpStream, peer: SocketAddr, place: Place) -> Option<Stream> {
        let mut first = vec![0; HEAD + limits::STREAM_FIRST];
        socket.read_exact(&mut first[..HEAD]).await.ok()?;
        let length = usize::from(u16::from_be_bytes([first[0], first[1]]));
        let check = first.get_mut(HEAD..HEAD + length)?;
        socket.read_exact(check).await.ok()?;
        let name = CheckName::said_by(check)?;
        let leg = self.names().legs.get(&name).copied()?;
        let mut inbox = Inbox::default();
        inbox.space()[..HEAD + length].copy_from_slice(&first[..HEAD + length]);
        inbox.came(HEAD + length);
        socket.set_nodelay(true).ok()?;
        let socket = socket.into_std().ok()?;
        SockRef::from(&socket).set_tcp_keepalive(&KEEP_ALIVE).ok()?;
        // The system may have it otherwise.
        let _ = SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER);
        let number = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let number = NonZeroU32::new(number)?;
        Some(Stream {
            socket,
            leg,
            from: stream::of_stream(number, peer),
            inbox,
            rest: Box::new([0; FRAME]),
            waits: 0..0,
            since: Instant::ZERO,
            is_over: false,
            is_refused: false,
            _place: place,
        })
    }
}

/// The next connection. An error is one of the system, such as being out of descriptors, and would come again at once.
async fn next_of<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    loop {
        match accept().await {
            Ok(next) => return next,
            // Give others a chance to close.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Accepts for ever.
pub(super) async fn accept(listener: TcpListener, door: Arc<StreamDoor>, events: mpsc::Sender<MediaEvent>) {
    loop {
        let (socket, peer) = next_of(|| listener.accept()).await;
        let Some(place) = door.places.take(peer.ip()) else {
            door.refuse();
            continue;
        };
        let (door, events) = (door.clone(), events.clone());
        tokio::spawn(async move {
            match timeout(limits::STREAM_BEGINS, door.welcome(socket, peer, place)).await {
                Ok(Some(stream)) => {
                    // Where signalling is behind, it comes later.
                    let _ = events.send(MediaEvent::stream(Box::new(stream))).await;
                }
                Ok(None) | Err(_) => door.refuse(),
            }
        });
    }
}

/// Those of one worker's legs.
pub(super) struct Streams {
    list: Box<[Option<Box<Stream>>]>,
    free: Vec<usize>,
    by_number: HashMap<NonZeroU32, usize, foldhash::fast::FixedState>,
    /// The places of each leg's, the oldest first.
    by_leg: HashMap<MediaLegId, SmallVec<[usize; limits::STREAMS_PER_LEG]>, foldhash::fast::FixedState>,
    /// From who sets up legs.
    answers: rtrb::Consumer<Answer>,
}

/// Epoll tokens of streams have this bit, and a place below it: legs and their channels have lower ones.
const TOKEN: u64 = 1 << 32;

/// The place of a stream, if the token is one's.
pub(super) fn place_of(token: u64) -> Option<usize> {
    (token >> 32 == 1).then_some((token & (TOKEN - 1)) as usize)
}

impl Streams {
    pub fn new(answers: rtrb::Consumer<Answer>) -> Streams {
        Streams {
            answers,
            list: (0..limits::STREAMS).map(|_| None).collect(),
            free: (0..limits::STREAMS).rev().collect(),
            // A table that is half empty never grows.
            by_number: HashMap::with_capacity_and_hasher(2 * limits::STREAMS, foldhash::fast::FixedState::default()),
            by_leg: HashMap::with_capacity_and_hasher(2 * limits::STREAMS, foldhash::fast::FixedState::default()),
        }
    }

    /// The next packet of who sets up legs.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answers.pop().ok()
    }

    /// One more, which is waited on; its place. It comes back where there is none, or it cannot be waited on.
    pub fn add(&mut self, epoll: &OwnedFd, stream: Box<Stream>) -> Result<usize, Box<Stream>> {
        let Some(place) = self.free.pop() else {
            return Err(stream);
        };
        let data = epoll::EventData::new_u64(TOKEN | place as u64);
        if epoll::add(epoll, &stream.socket, data, epoll::EventFlags::IN).is_err() {
            self.free.push(place);
            return Err(stream);
        }
        self.by_number
            .extend(stream::connection(stream.from).map(|number| (number, place)));
        self.by_leg.entry(stream.leg).or_default().push(place);
        self.list[place] = Some(stream);
        Ok(place)
    }

    /// That at a place.
    pub fn at(&mut self, place: usize) -> Option<&mut Stream> {
        self.list.get_mut(place)?.as_deref_mut()
    }

    /// Takes it out.
    pub fn remove(&mut self, epoll: &OwnedFd, place: usize) -> Option<Box<Stream>> {
        let stream = self.list.get_mut(place)?.take()?;
        let _ = epoll::delete(epoll, &stream.socket);
        stream::connection(stream.from).and_then(|number| self.by_number.remove(&number));
        if let Some(places) = self.by_leg.get_mut(&stream.leg) {
            places.retain(|own| *own != place);
            if places.is_empty() {
                self.by_leg.remove(&stream.leg);
            }
        }
        self.free.push(place);
        Some(stream)
    }

    /// Takes out one of a leg's: the oldest.
    pub fn remove_of(&mut self, epoll: &OwnedFd, leg: MediaLegId) -> Option<Box<Stream>> {
        let oldest = *self.by_leg.get(&leg)?.first()?;
        self.remove(epoll, oldest)
    }

    /// How many a leg has.
    pub fn count(&self, leg: MediaLegId) -> usize {
        self.by_leg.get(&leg).map_or(0, |places| places.len())
    }

    /// Sends a packet to the peer of a stream; gives it back when that is of no use any more.
    pub fn send(&mut self, epoll: &OwnedFd, now: Instant, to: SocketAddr, packet: &[u8]) -> Option<Box<Stream>> {
        let place = *self.by_number.get(&stream::connection(to)?)?;
        let sent = self.at(place)?.send(now, packet);
        match sent {
            Sent::Whole | Sent::Lost => None,
            // Who cannot be waited for is of no use either: its rest would never go.
            Sent::Part if self.wait(epoll, place, epoll::EventFlags::IN | epoll::EventFlags::OUT) => None,
            Sent::Part | Sent::Broken => self.remove(epoll, place),
        }
    }

    /// The socket takes more; false where it is of no use any more.
    pub fn flush(&mut self, epoll: &OwnedFd, place: usize) -> bool {
        match self.at(place).map(Stream::flush) {
            Some(Ok(true)) => self.wait(epoll, place, epoll::EventFlags::IN),
            Some(Ok(false)) | None => true,
            Some(Err(_)) => false,
        }
    }

    /// False if the system cannot do that.
    fn wait(&mut self, epoll: &OwnedFd, place: usize, for_what: epoll::EventFlags) -> bool {
        let data = epoll::EventData::new_u64(TOKEN | place as u64);
        self.at(place)
            .is_none_or(|stream| epoll::modify(epoll, &stream.socket, data, for_what).is_ok())
    }
}

#[cfg(test)]
mod tests;
