//! The media side of a SIPp peer: a socket that sends a tone, or keys in its audio, and hears what comes.

use super::ear::{Ear, RATE};
use codecs::g711::{encode_alaw_slice, encode_ulaw_slice};
use codecs::opus::{Encoder, EncoderParams};
use codecs::tone::{Cadence, Sine};
use codecs::{Codec, Rate, g722};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// One packet.
const FRAME: Duration = Duration::from_millis(20);
/// Its samples at 8 kHz.
const SAMPLES: usize = 160;
/// The payload type that the scenarios give to Opus.
const OPUS: u8 = 111;
/// Where it listens: the scenarios write it into their SDP.
pub const PORT: u16 = 30_000;

/// An RTP peer that sends to whoever has sent to it (symmetric RTP, RFC 4961).
pub struct Sink {
    /// What it hears.
    pub ear: Ear,
    /// What it says in place of its tone.
    sound: Arc<Mutex<VecDeque<i16>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Opens the port of this address and plays a tone of `hz`.
    pub fn open(address: Ipv4Addr, codec: Codec, hz: f32) -> Sink {
        Sink::bind(address, PORT, |sound| Some(Player::new(codec, hz, sound)))
    }

    /// One that says nothing, on any port.
    pub fn listen(address: Ipv4Addr, port: u16) -> Sink {
        Sink::bind(address, port, |_| None)
    }

    fn bind(address: Ipv4Addr, port: u16, player: impl FnOnce(Arc<Mutex<VecDeque<i16>>>) -> Option<Player>) -> Sink {
        let socket = UdpSocket::bind((address, port)).expect("the address is this test's own");
        let (ear, stop) = (Ear::new(), Arc::new(AtomicBool::new(false)));
        let sound = Arc::new(Mutex::new(VecDeque::new()));
        let player = player(sound.clone());
        let (heard, stopped) = (ear.clone(), stop.clone());
        let thread = thread::spawn(move || run(&socket, player, &heard, &stopped));
        Sink {
            ear,
            sound,
            stop,
            thread: Some(thread),
        }
    }

    /// Presses a key in its audio: these two tones for 80 ms, and as much of silence.
    pub fn press(&self, hz: [f32; 2]) {
        let mut pcm = [0; 8 * SAMPLES];
        Cadence::new(hz, -10.0, 80, 80, RATE).fill(&mut pcm);
        self.sound.lock().expect("nobody panics with it").extend(pcm);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

fn run(socket: &UdpSocket, mut player: Option<Player>, ear: &Ear, stop: &AtomicBool) {
    let mut peer: Option<SocketAddr> = None;
    let mut buffer = [0; 1500];
    let mut due = Instant::now() + FRAME;
    while !stop.load(Ordering::Relaxed) {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            due += FRAME;
            if let (Some(peer), Some(player)) = (peer, &mut player) {
                // A peer that is gone is no matter of the sound.
                let _ = socket.send_to(&player.next(), peer);
            }
            continue;
        }
        socket.set_read_timeout(Some(left)).expect("it is not zero");
        if let Ok((count, from)) = socket.recv_from(&mut buffer)
            && ear.take(&buffer[..count])
        {
            peer = Some(from);
        }
    }
}

/// A tone as RTP packets (RFC 3550 5.1).
struct Player {
    codec: Codec,
    tone: Sine,
    sound: Arc<Mutex<VecDeque<i16>>>,
    opus: Encoder,
    g722: g722::Encoder,
    sequence: u16,
    timestamp: u32,
}

impl Player {
    fn new(codec: Codec, hz: f32, sound: Arc<Mutex<VecDeque<i16>>>) -> Player {
        let opus = Encoder::new(RATE, EncoderParams::default()).expect("libopus");
        Player {
            codec,
            tone: Sine::new(hz, -10.0, RATE),
            sound,
            opus,
            g722: g722::Encoder::new(Rate::Narrow),
            sequence: 0,
            timestamp: 0,
        }
    }

    fn next(&mut self) -> Vec<u8> {
        let mut pcm = [0; SAMPLES];
        self.tone.fill(&mut pcm);
        let mut sound = self.sound.lock().expect("nobody panics with it");
        let count = sound.len().min(SAMPLES);
        for (sample, other) in pcm.iter_mut().zip(sound.drain(..count)) {
            *sample = other;
        }
        drop(sound);
        let mut payload = [0; 400];
        let (payload_type, count) = match self.codec {
            Codec::Pcmu => (0, encode_ulaw_slice(&pcm, &mut payload)),
            Codec::Pcma => (8, encode_alaw_slice(&pcm, &mut payload)),
            Codec::G722 => (9, self.g722.encode(&pcm, &mut payload)),
            Codec::Opus => (OPUS, self.opus.encode(&pcm, &mut payload).expect("20 ms")),
        };
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(0x7e57_0000_u32.to_be_bytes());
        packet.extend(&payload[..count]);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock() / 50);
        packet
    }
}
