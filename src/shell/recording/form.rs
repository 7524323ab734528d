//! A file's form: what is written for more samples, and how far it is then.

use crate::media::command::{Format, Recording};
use crate::recording::ogg::Ogg;
use crate::recording::wav::Wav;
use codecs::opus::{MAX_FRAME_OCTETS, OpusError, StereoEncoder};

/// How hard the Opus encoder works: more is hardly heard.
const COMPLEXITY: u8 = 5;
/// Bits per second in wide and in telephone band: with less libopus brings the sides nearer to each other.
const BITRATES: [u32; 2] = [48_000, 36_000];

/// Octets and where they go.
pub(super) type Write = (u64, Vec<u8>);

/// How far a file is once that is written.
pub(super) enum Then {
    Wav(Wav),
    Ogg(Ogg),
}

/// What makes octets of samples.
pub(super) enum Form {
    Wav(Wav),
    Opus(Box<Opus>),
}

/// An Ogg file with its encoder.
pub(super) struct Opus {
    ogg: Ogg,
    encoder: StereoEncoder,
    /// Samples of 20 ms, both sides.
    frame: usize,
    lookahead: usize,
    bytes: u64,
    /// Samples that are no whole frame yet.
    rest: Vec<i16>,
}

impl Form {
    /// Of a new recording, with what its file begins with.
    pub(super) fn new(recording: &Recording) -> Result<(Form, Vec<u8>), OpusError> {
        let rate = recording.rate();
        if recording.format == Format::Wav {
            let wav = Wav::new(rate);
            return Ok((Form::Wav(wav), wav.header().to_vec()));
        }
        let [wide, narrow] = BITRATES;
        let encoder = StereoEncoder::new(rate, if recording.is_wide { wide } else { narrow }, COMPLEXITY)?;
        let lookahead = encoder.lookahead()?;
        // Any number: a file of ours has one stream.
        let (ogg, begin) = Ogg::begin(u32::from(recording.number), rate, lookahead);
        let opus = Opus {
            ogg,
            encoder,
            frame: rate as usize / 50 * 2,
            lookahead: lookahead as usize,
            bytes: begin.len() as u64,
            rest: Vec::new(),
        };
        Ok((Form::Opus(Box::new(opus)), begin))
    }

    /// How long what is in the file lasts, in milliseconds.
    pub(super) fn millis(&self) -> u64 {
        match self {
            Form::Wav(wav) => wav.millis(),
            Form::Opus(opus) => opus.ogg.millis(),
        }
    }

    /// Octets of the file.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Form::Wav(wav) => wav.bytes(),
            Form::Opus(opus) => opus.bytes,
        }
    }

    /// What is to be written for these samples (16 bits, little-endian, left and right in turns), in this order, and how far the file is then.
    /// `last`: nothing comes after them.
    pub(super) fn add(&mut self, octets: &[u8], last: bool) -> Result<(Vec<Write>, Then), String> {
        match self {
            Form::Wav(wav) if octets.is_empty() => Ok((Vec::new(), Then::Wav(*wav))),
            Form::Wav(wav) => {
                let step = wav.grow(octets.len()).ok_or("a WAV cannot be longer")?;
                let writes = vec![(step.at, octets.to_vec()), (0, step.header.to_vec())];
                Ok((writes, Then::Wav(step.then)))
            }
            Form::Opus(opus) => {
                let (pages, then) = opus.add(octets, last).map_err(|error| error.to_string())?;
                let writes = if pages.is_empty() {
                    Vec::new()
                } else {
                    vec![(opus.bytes, pages)]
                };
                Ok((writes, Then::Ogg(then)))
            }
        }
    }

    /// All of that is written.
    pub(super) fn written(&mut self, octets: u64, then: Then) {
        match (self, then) {
            (Form::Wav(wav), Then::Wav(then)) => *wav = then,
            (Form::Opus(opus), Then::Ogg(then)) => (opus.ogg, opus.bytes) = (then, opus.bytes + octets),
            (Form::Wav(_), Then::Ogg(_)) | (Form::Opus(_), Then::Wav(_)) => unreachable!("a file stays what it is"),
        }
    }
}

impl Opus {
    fn add(&mut self, octets: &[u8], last: bool) -> Result<(Vec<u8>, Ogg), OpusError> {
        let mut ogg = self.ogg;
        let samples = octets.as_chunks::<2>().0;
        self.rest
            .extend(samples.iter().map(|sample| i16::from_le_bytes(*sample)));
        let mut samples = self.rest.len() / self.frame * self.frame / 2;
        if last {
            samples = self.rest.len() / 2;
            // The encoder is behind: what is still in it is pushed out by silence.
            let all = (self.rest.len() + 2 * self.lookahead).next_multiple_of(self.frame);
            self.rest.resize(all, 0);
        } else if samples == 0 {
            return Ok((Vec::new(), ogg));
        }
        let mut packets = Vec::new();
        let mut octets = [0; MAX_FRAME_OCTETS];
        for frame in self.rest.chunks_exact(self.frame) {
            let len = self.encoder.encode(frame, &mut octets)?;
            packets.push(octets[..len].to_vec());
        }
        self.rest.drain(..packets.len() * self.frame);
        let pages = ogg.add(&packets, samples as u64, last);
        Ok((pages, ogg))
    }
}
