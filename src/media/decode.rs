//! From a peer's packets to PCM: jitter buffer, decoder, concealment.

use super::jitter::{Content, Jitter, Offer, Pop};
use super::pause::{Pause, Sound, step_samples};
use super::ratio::Ratio;
use super::voice::Voice;
use crate::time::Instant;
use codecs::noise::Noise;
use codecs::{Codec, Rate, opus};
use std::time::Duration;

/// PCM rate of what is not bridged: tones, what a phone hears and says. Every decoder gives it, and every encoder takes it. Between two
/// legs it is `bridge::rate`.
pub const OWN_RATE: Rate = Rate::Narrow;
/// How much later than its time the next packet may be expected, of the time that a packet takes: clocks differ by a tenth of it.
const DRIFT: u32 = 1_000;
/// A timestamp that goes ahead by more than this is a new start, not a pause.
const PAUSE_SECONDS: u32 = 10;

/// How a piece joins what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Without a gap.
    Joined,
    /// After this many samples in which the peer sent nothing (DTX, an event, more loss than concealment fills).
    After(u32),
    /// The source began anew.
    Anew,
}

/// PCM that is ready; the samples are in `Decode::pcm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What lies before it.
    pub lead: Lead,
    /// How many samples.
    pub samples: usize,
    /// Frames in it that concealment made.
    pub concealed: u16,
}

/// The decoding half of a leg that is not just relayed.
pub struct Decode {
    voice: Voice,
    jitter: Jitter,
    pcm: Box<[i16]>,
    /// Samples of the last packet.
    frame: usize,
    /// The timestamp that continues what was decoded.
    expected: Option<u32>,
    rate: Rate,
    ratio: Ratio,
    /// When the next packet comes if it comes as fast as the fastest.
    due: Option<Instant>,
    underruns: u64,
    /// The peer says nothing, and said so.
    pause: Option<Pause>,
    /// Losses are filled with what may have been said, else with silence.
    conceals: bool,
}

impl std::fmt::Debug for Decode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decode")
            .field("frame", &self.frame)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl Decode {
    /// A decoder for a codec, to PCM at this rate or the highest that the codec has, with so many blocks of packets that wait
    /// (`limits::JITTER_BLOCKS`).
    ///
    /// # Errors
    /// As `opus::Decoder::new`: libopus has no memory.
    pub fn new(codec: Codec, rate: Rate, blocks: usize) -> Result<Self, opus::OpusError> {
        let rate = rate.min(codec.rate());
        Ok(Self {
            voice: Voice::new(codec, rate)?,
            jitter: Jitter::new(blocks),
            pcm: vec![0; longest_piece(rate)].into(),
            frame: rate.hz() as usize / 50,
            expected: None,
            rate,
            ratio: Ratio::new(codec, rate),
            due: None,
            underruns: 0,
            pause: None,
            conceals: true,
        })
    }

    /// How long a gap waits now.
    pub fn target(&self) -> Duration {
        self.jitter.target()
    }

    /// Whether losses are filled with what may have been said, or with silence: a modem is better off with that.
    pub fn conceal(&mut self, is_on: bool) {
        self.conceals = is_on;
    }

    /// How often audio came later than a player that waits for the target could have played it: it ran dry.
    pub fn underruns(&self) -> u64 {
        self.underruns
    }

    /// A new source: nothing of the old one continues.
    pub fn restart(&mut self) {
        self.jitter.clear();
        self.expected = None;
        self.due = None;
        self.pause = None;
        self.voice.restart();
    }

    /// Takes a packet.
    pub fn offer(&mut self, sequence: u16, timestamp: u32, content: Content<'_>) -> Offer {
        self.jitter.offer(sequence, timestamp, content)
    }

    /// Leaves out a packet in which nothing is to be heard; false where others wait before it.
    pub fn skip(&mut self, sequence: u16) -> bool {
        self.jitter.skip(sequence)
    }

    /// When a waiting gap must be looked at again, or a pause has to be filled.
    pub fn deadline(&self) -> Option<Instant> {
        let pause = self.pause.as_ref().map(Pause::due);
        [self.jitter.deadline(), pause].into_iter().flatten().min()
    }

    /// Of the PCM.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The samples of the last piece.
    pub fn pcm(&self, piece: Piece) -> &[i16] {
        &self.pcm[..piece.samples]
    }

    /// The samples of the last piece, to be changed.
    pub fn pcm_mut(&mut self, piece: Piece) -> &mut [i16] {
        &mut self.pcm[..piece.samples]
    }

    /// The next 20 ms of a pause that goes on, once it is time for them; called on the tick, after `pull`.
    pub fn fill(&mut self, now: Instant) -> Option<Piece> {
        let (sound, skipped) = self.pause.as_mut()?.step(now)?;
        let samples = step_samples(self.rate);
        self.voice.rest(&mut self.pause, sound, &mut self.pcm[..samples]);
        let skipped = skipped.saturating_mul(samples as u32);
        // What ends the pause continues this.
        let gone = self.ratio.ticks(skipped.wrapping_add(samples as u32));
        self.expected = self.expected.map(|expected| expected.wrapping_add(gone));
        self.due = None;
        Some(Piece {
            lead: if skipped > 0 {
                Lead::After(skipped)
            } else {
                Lead::Joined
            },
            samples,
            concealed: 0,
        })
    }

    /// How far a timestamp lies ahead of what was decoded, in samples; `None` when it does not continue it.
    pub fn ahead(&self, timestamp: u32) -> Option<u32> {
        let ahead = self.ratio.samples(timestamp.wrapping_sub(self.expected?));
        (ahead <= PAUSE_SECONDS * self.rate.hz()).then_some(ahead)
    }

    /// How far a timestamp lies behind what was decoded, in samples; `None` when that is long ago.
    pub fn behind(&self, timestamp: u32) -> Option<u32> {
        let behind = self.ratio.samples(self.expected?.wrapping_sub(timestamp));
        (behind <= self.rate.hz()).then_some(behind)
    }

    /// Something else was played up to this timestamp, in place of what the packets say.
    pub fn played_until(&mut self, timestamp: u32) {
        if let (Some(samples), Some(pause)) = (self.ahead(timestamp), &mut self.pause) {
            pause.put_off(time_of(samples as usize, self.rate));
        }
        self.expected = Some(timestamp);
    }

    /// A pause that goes on is nobody's business any more.
    pub fn end_pause(&mut self) {
        self.pause = None;
    }

    /// Samples that wait to be decoded, if all packets are as long as the last.
    pub fn waiting(&self) -> usize {
        self.jitter.held() * self.frame
    }

    /// The peer says nothing, and said so.
    pub fn is_resting(&self) -> bool {
        self.pause.is_some()
    }

    /// Decodes the next packet for a player that can wait no longer; `None` when none is there. Of a gap before it, so many samples were made up
    /// already (`make_up`).
    pub fn pull_due(&mut self, now: Instant, made: u32) -> Option<Piece> {
        self.next(now, Some(made))
    }

    /// A player ran dry.
    pub fn ran_dry(&mut self) {
        self.underruns += 1;
    }

    /// Fills `out`, of whole 2.5 ms up to 120 ms, with what may have been said now that nothing has come; or with the pause that the peer
    /// makes.
    pub fn make_up(&mut self, out: &mut [i16]) {
        match self.pause {
            Some(Pause { sound, .. }) => {
                self.voice.rest(&mut self.pause, sound, out);
                let gone = self.ratio.ticks(out.len() as u32);
                self.expected = self.expected.map(|expected| expected.wrapping_add(gone));
            }
            None => self.voice.conceal(!self.conceals, None, out),
        }
    }

    /// Decodes what is ready; `None` when nothing is.
    pub fn pull(&mut self, now: Instant) -> Option<Piece> {
        let piece = self.next(now, None)?;
        let is_run = piece.lead == Lead::Joined;
        let due = self.due.filter(|_| is_run).unwrap_or(now);
        // What is lost is counted as lost, and a gap has waited by our own will.
        let is_lost = piece.concealed > 0;
        let is_dry = !is_lost && now.since(due) > self.target();
        self.underruns += u64::from(is_dry);
        let lasts = time_of(piece.samples, self.rate);
        // Who has run dry plays later from then on.
        let after = if is_dry || is_lost { now } else { due.min(now) };
        self.due = Some(after + lasts + lasts / DRIFT);
        Some(piece)
    }

    /// `made` is of a player: what it has made of a gap already.
    fn next(&mut self, now: Instant, made: Option<u32>) -> Option<Piece> {
        let most = self.pcm.len();
        loop {
            let popped = match made {
                Some(_) => self.jitter.pop_due(),
                None => self.jitter.pop(now),
            };
            match popped? {
                Pop::Silent => {}
                Pop::Noise(timestamp, payload) => {
                    let level = Noise::level_of(payload);
                    self.expected.get_or_insert(timestamp);
                    let noise = || Pause::new(now, time_of(self.frame, self.rate), Sound::Noise(Noise::new(level)));
                    self.pause.get_or_insert_with(noise).set_level(level);
                }
                // It only keeps a way open (RFC 6263 4.1).
                Pop::Audio(_, []) => {}
                Pop::Audio(timestamp, payload) => {
                    let mut lead = lead(self.expected, timestamp, self.ratio, self.rate);
                    let mut head = 0;
                    if let (Some(pause), Lead::After(left)) = (self.pause, lead)
                        && left as usize <= most / 2
                        && self.voice.longest(payload, self.rate) <= most / 2
                    {
                        // What is left of the pause is heard too.
                        head = left as usize;
                        self.voice.rest(&mut self.pause, pause.sound, &mut self.pcm[..head]);
                        (lead, self.due) = (Lead::Joined, None);
                    }
                    let out = &mut self.pcm[head..most];
                    let (samples, concealed) = self.voice.take(!self.conceals, payload, out, self.frame);
                    let is_dtx = self.voice.rests_with(payload);
                    self.pause = is_dtx.then(|| Pause::new(now, time_of(samples, self.rate), Sound::Decoder));
                    self.frame = samples;
                    self.expected = Some(timestamp.wrapping_add(self.ratio.ticks(samples as u32)));
                    return Some(Piece {
                        lead,
                        samples: head + samples,
                        concealed,
                    });
                }
                Pop::Lost(packets, timestamp, following) => {
                    let Some(expected) = self.expected else { continue };
                    // More of the pause was made than there was of it.
                    if self.pause.is_some() && (timestamp.wrapping_sub(expected) as i32) <= 0 {
                        continue;
                    }
                    let by_time = self.ratio.samples(timestamp.wrapping_sub(expected));
                    let whole = gap(usize::from(packets) * self.frame, by_time as usize);
                    let made = whole.min(made.unwrap_or(0) as usize);
                    let (gap, expected) = (whole - made, expected.wrapping_add(self.ratio.ticks(made as u32)));
                    self.expected = Some(expected);
                    let samples = in_units(gap.min(most), self.rate);
                    if samples == 0 {
                        continue;
                    }
                    let copy = following.filter(|_| samples == gap);
                    let lost = &mut self.pcm[..samples];
                    self.voice.conceal(!self.conceals, copy, lost);
                    self.expected = Some(expected.wrapping_add(self.ratio.ticks(samples as u32)));
                    return Some(Piece {
                        lead: Lead::Joined,
                        samples,
                        concealed: samples.div_ceil(self.frame) as u16,
                    });
                }
            }
        }
    }
}

fn lead(expected: Option<u32>, timestamp: u32, ratio: Ratio, rate: Rate) -> Lead {
    match expected.map(|expected| ratio.samples(timestamp.wrapping_sub(expected))) {
        Some(0) => Lead::Joined,
        Some(pause) if pause <= PAUSE_SECONDS * rate.hz() => Lead::After(pause),
        Some(_) | None => Lead::Anew,
    }
}

/// The most that one piece holds, and the most that concealment makes of one gap: 120 ms, the longest Opus packet.
const fn longest_piece(rate: Rate) -> usize {
    rate.hz() as usize / 25 * 3
}

/// Whole 2.5 ms, as libopus counts.
const fn in_units(samples: usize, rate: Rate) -> usize {
    let unit = rate.hz() as usize / 400;
    samples / unit * unit
}

/// How long so many samples last.
fn time_of(samples: usize, rate: Rate) -> Duration {
    Duration::from_secs(1) * samples as u32 / rate.hz()
}

/// The samples of a gap. The timestamp knows better than the number of packets, unless there is a pause in it as well, or it has jumped.
fn gap(by_count: usize, by_time: usize) -> usize {
    if by_time > 0 { by_count.min(by_time) } else { by_count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use codecs::g711;

    #[test]
    fn what_is_lost_of_data_is_silence() {
        let mut loud = [0; 160];
        codecs::tone::Sine::new(1_100.0, -10.0, 8_000).fill(&mut loud);
        let mut frame = [0; 160];
        g711::encode_alaw_slice(&loud, &mut frame);
        for carries_data in [false, true] {
            let mut decode = Decode::new(Codec::Pcma, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
            decode.conceal(!carries_data);
            for (sequence, timestamp) in [(1, 0), (2, 160), (4, 480)] {
                decode.offer(sequence, timestamp, Content::Audio(&frame));
            }
            let now = |ms| Instant::ZERO + Duration::from_millis(ms);
            while decode.pull(now(0)).is_some() {}
            let piece = decode.pull(now(200)).unwrap();
            assert_eq!((piece.samples, piece.concealed), (160, 1));
            let silent = decode.pcm(piece).iter().all(|sample| *sample == 0);
            assert_eq!(silent, carries_data);
            // What comes is what was sent.
            let piece = decode.pull(now(200)).unwrap();
            let mut sent = [0; 160];
            g711::decode_alaw_slice(&frame, &mut sent);
            assert!(!carries_data || decode.pcm(piece) == sent);
        }
    }

    fn pieces(decode: &mut Decode, ms: u64) -> Vec<Piece> {
        let now = Instant::ZERO + Duration::from_millis(ms);
        std::iter::from_fn(|| decode.pull(now)).collect()
    }

    fn heard(lead: Lead, samples: usize, concealed: u16) -> Piece {
        Piece {
            lead,
            samples,
            concealed,
        }
    }

    #[test]
    fn loss_pause_and_restart_have_their_own_lead() {
        let mut decode = Decode::new(Codec::Pcma, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        let frame = [g711::ALAW_SILENCE; 160];
        decode.offer(1, 1_000, Content::Audio(&frame));
        assert_eq!(pieces(&mut decode, 0), [heard(Lead::Anew, 160, 0)]);
        // Two lost.
        decode.offer(4, 1_480, Content::Audio(&frame));
        assert_eq!(pieces(&mut decode, 60), []);
        assert_eq!(
            pieces(&mut decode, 100),
            [heard(Lead::Joined, 320, 2), heard(Lead::Joined, 160, 0)]
        );
        // A pause without loss.
        decode.offer(5, 2_640, Content::Audio(&frame));
        assert_eq!(pieces(&mut decode, 200), [heard(Lead::After(1_000), 160, 0)]);
        // Ten lost: 120 ms are made, the rest is a pause.
        decode.offer(16, 4_400, Content::Audio(&frame));
        pieces(&mut decode, 400);
        assert_eq!(
            pieces(&mut decode, 440),
            [heard(Lead::Joined, 960, 6), heard(Lead::After(640), 160, 0)]
        );
        // The timestamp goes back.
        decode.offer(17, 100, Content::Audio(&frame));
        assert_eq!(pieces(&mut decode, 460), [heard(Lead::Anew, 160, 0)]);
    }

    /// 100 ppm of skew in either direction, and a path that is slower or faster by up to 19 ms from packet to packet.
    #[test]
    fn an_hour_of_skew_makes_nothing_late_and_lets_nothing_run_dry() {
        for ppm in [-100i64, 100] {
            let mut decode = Decode::new(Codec::Pcma, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
            let frame = [g711::ALAW_SILENCE; 160];
            for n in 0..180_000u64 {
                let nominal = n * 20_000;
                let skewed = nominal as i64 + nominal as i64 * ppm / 1_000_000;
                let jitter = n.wrapping_mul(2_654_435_761) % 19_000;
                let now = Instant::ZERO + Duration::from_micros(skewed as u64 + jitter);
                assert_eq!(
                    decode.offer(n as u16, n as u32 * 160, Content::Audio(&frame)),
                    Offer::Taken
                );
                let piece = decode.pull(now).unwrap();
                assert_eq!((piece.samples, piece.concealed), (160, 0));
                assert_eq!(decode.pull(now), None);
            }
            assert_eq!(decode.underruns(), 0, "{ppm} ppm");
        }
    }

    #[test]
    fn what_comes_later_than_the_target_has_let_a_player_run_dry_once() {
        let mut decode = Decode::new(Codec::Pcma, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        let frame = [g711::ALAW_SILENCE; 160];
        let mut come = |sequence: u16, ms: u64| {
            decode.offer(sequence, u32::from(sequence) * 160, Content::Audio(&frame));
            pieces(&mut decode, ms);
            decode.underruns()
        };
        let dry = [(0, 0), (1, 20), (2, 79), (3, 80), (4, 141), (5, 161), (6, 221)].map(|(n, ms)| come(n, ms));
        assert_eq!(dry, [0, 0, 0, 0, 1, 1, 1], "61 ms too late, and from then on in time");
        // A pause is none.
        decode.offer(7, 7 * 160 + 80_000, Content::Audio(&frame));
        pieces(&mut decode, 20_000);
        assert_eq!(decode.underruns(), 1);
    }

    /// Comfort noise: made from 40 ms after its time on, at the level that was said, and up to what ends it.
    #[test]
    fn a_pause_is_filled_up_to_what_ends_it() {
        for (codec, rate) in [(Codec::Pcma, Rate::Narrow), (Codec::G722, Rate::Wide)] {
            let mut decode = Decode::new(codec, rate, limits::JITTER_BLOCKS).unwrap();
            let scale = rate.hz() / 8_000;
            let step = step_samples(rate);
            let frame = [0xd5; 160];
            decode.offer(1, 0, Content::Audio(&frame));
            assert_eq!(pieces(&mut decode, 0), [heard(Lead::Anew, step, 0)]);
            decode.offer(2, 160, Content::Noise(&[40]));
            assert_eq!(pieces(&mut decode, 20), []);
            let at = |ms: u64| Instant::ZERO + Duration::from_millis(ms);
            assert_eq!(decode.fill(at(79)), None);
            assert_eq!(decode.deadline(), Some(at(80)));
            let mut made = 0;
            for ms in [80, 100, 120, 140, 160, 180] {
                let piece = decode.fill(at(ms)).unwrap();
                assert_eq!(piece, heard(Lead::Joined, step, 0));
                assert_eq!(decode.fill(at(ms)), None);
                let level = codecs::level::Level::of(decode.pcm(piece)).rms_dbov();
                assert!((level + 40.0).abs() < 2.0, "{level}");
                made += step;
            }
            // It ended at 180 ms: what is left of it comes before the word.
            decode.offer(3, 8 * 180, Content::Audio(&frame));
            let rest = 160 * 8 * scale as usize - made;
            assert_eq!(pieces(&mut decode, 180), [heard(Lead::Joined, rest + step, 0)]);
            assert_eq!((decode.fill(at(400)), decode.deadline()), (None, None), "{codec:?}");
        }
    }

    /// Who was held up goes on where it would be, and does not make up for it.
    #[test]
    fn what_was_not_made_in_time_is_left_out() {
        let mut decode = Decode::new(Codec::Pcmu, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        decode.offer(1, 0, Content::Audio(&[g711::ULAW_SILENCE; 160]));
        decode.offer(2, 160, Content::Noise(&[50]));
        pieces(&mut decode, 0);
        let at = |ms: u64| Instant::ZERO + Duration::from_millis(ms);
        assert_eq!(decode.fill(at(5_065)), Some(heard(Lead::After(250 * 160), 160, 0)));
        assert_eq!((decode.fill(at(5_065)), decode.deadline()), (None, Some(at(5_080))));
        assert_eq!(decode.ahead(160 + 251 * 160), Some(0));
        // A digit was heard for 200 ms.
        decode.played_until(160 + 261 * 160);
        assert_eq!(decode.deadline(), Some(at(5_280)));
    }

    /// More of it was made than there was: what comes is a run of its own, by the clock.
    #[test]
    fn a_pause_that_was_made_too_long_shifts_nothing() {
        let mut decode = Decode::new(Codec::Pcmu, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        let frame = [g711::ULAW_SILENCE; 160];
        decode.offer(1, 0, Content::Audio(&frame));
        decode.offer(2, 160, Content::Noise(&[50]));
        pieces(&mut decode, 0);
        for ms in (60..=300).step_by(20) {
            assert!(decode.fill(Instant::ZERO + Duration::from_millis(ms)).is_some(), "{ms}");
        }
        decode.offer(3, 480, Content::Audio(&frame));
        assert_eq!(pieces(&mut decode, 300), [heard(Lead::Anew, 160, 0)]);
    }

    /// An Opus packet of one octet begins a pause that libopus knows the sound of.
    #[test]
    fn opus_that_ceases_to_send_is_filled_too() {
        let mut decode = Decode::new(Codec::Opus, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        decode.offer(1, 0, Content::Audio(&[0x48]));
        assert_eq!(pieces(&mut decode, 0), [heard(Lead::Anew, 160, 0)]);
        assert_eq!(decode.fill(Instant::ZERO + Duration::from_millis(59)), None);
        assert_eq!(
            decode.fill(Instant::ZERO + Duration::from_millis(60)),
            Some(heard(Lead::Joined, 160, 0))
        );
        assert_eq!(decode.ahead(1_920), Some(0));
        decode.restart();
        assert_eq!(decode.fill(Instant::ZERO + Duration::from_secs(9)), None);
    }

    #[test]
    fn an_event_between_is_no_loss() {
        let mut decode = Decode::new(Codec::Pcmu, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        let frame = [g711::ULAW_SILENCE; 160];
        decode.offer(1, 0, Content::Audio(&frame));
        decode.offer(2, 160, Content::Nothing);
        decode.offer(3, 320, Content::Audio(&frame));
        assert_eq!(
            pieces(&mut decode, 0),
            [heard(Lead::Anew, 160, 0), heard(Lead::After(160), 160, 0)]
        );
    }

    /// G.722's clock has one tick for two samples at 16 kHz, and for one at 8 kHz.
    #[test]
    fn each_rate_counts_its_own_samples() {
        for (codec, rate, ticks, samples) in [
            (Codec::G722, Rate::Wide, 160, 320),
            (Codec::G722, Rate::Narrow, 160, 160),
            (Codec::Opus, Rate::Wide, 960, 320),
            (Codec::Pcma, Rate::Wide, 160, 160),
        ] {
            let mut decode = Decode::new(codec, rate, limits::JITTER_BLOCKS).unwrap();
            // 20 ms of each: of Opus a frame that is a pause (RFC 6716 3.1).
            let frame: &[u8] = if codec == Codec::Opus { &[0x48] } else { &[0xff; 160] };
            decode.offer(1, 1_000, Content::Audio(frame));
            assert_eq!(
                pieces(&mut decode, 0),
                [heard(Lead::Anew, samples, 0)],
                "{codec:?} {rate:?}"
            );
            decode.offer(2, 1_000 + ticks, Content::Audio(frame));
            // Two lost, then a pause of 100 ms.
            decode.offer(5, 1_000 + 4 * ticks, Content::Audio(frame));
            decode.offer(6, 1_000 + 10 * ticks, Content::Audio(frame));
            assert_eq!(
                pieces(&mut decode, 0),
                [heard(Lead::Joined, samples, 0)],
                "{codec:?} {rate:?}"
            );
            let pause = Lead::After(5 * samples as u32);
            let want = [
                heard(Lead::Joined, 2 * samples, 2),
                heard(Lead::Joined, samples, 0),
                heard(pause, samples, 0),
            ];
            assert_eq!(pieces(&mut decode, 40), want, "{codec:?} {rate:?}");
            assert_eq!(decode.ahead(1_000 + 12 * ticks), Some(samples as u32));
            assert_eq!(decode.ahead(1_000), None);
        }
    }

    #[test]
    fn garbage_in_opus_is_concealed() {
        let mut decode = Decode::new(Codec::Opus, Rate::Narrow, limits::JITTER_BLOCKS).unwrap();
        decode.offer(1, 0, Content::Audio(&[0xff; 3]));
        assert_eq!(pieces(&mut decode, 0), [heard(Lead::Anew, 160, 1)]);
        // One without audio is none.
        decode.offer(2, 960, Content::Audio(&[]));
        assert_eq!((pieces(&mut decode, 0), decode.deadline()), (Vec::new(), None));
    }
}
