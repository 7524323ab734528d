//! WAV files that are played to callers: read once, mixed to one channel, brought to our rates and to one level.

use super::sources::plain;
use crate::limits;
use crate::media::command::Sound;
use codecs::Rate;
use codecs::convert::{Converter, RATES, even};
use hound::{SampleFormat, WavReader};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// Samples that are converted at a time.
const CHUNK: usize = 4_096;
/// Full scale of 16 bits.
const FULL: f32 = 32_768.0;

/// The sound of a file; or why there is none, as half a sentence.
pub(super) fn read(path: &Path) -> Result<Sound, String> {
    let is_file = fs::metadata(path).map_err(|error| plain(&error))?.is_file();
    if !is_file {
        return Err("it is no file".to_owned());
    }
    let reader = WavReader::open(path).map_err(|error| words(&error))?;
    let (spec, frames) = (reader.spec(), u64::from(reader.duration()));
    if !(1..=2).contains(&spec.channels) {
        return Err(format!("it has {} channels, and one or two are played", spec.channels));
    }
    let converter = Converter::new(spec.sample_rate, Rate::Wide.hz()).ok_or_else(|| {
        format!(
            "it has {} samples a second, and from {} to {} are played",
            spec.sample_rate,
            RATES.start(),
            RATES.end()
        )
    })?;
    let length = Duration::from_secs(frames / u64::from(spec.sample_rate));
    if length > limits::SOUND {
        return Err(format!(
            "it is {} s long, and {} s are the most",
            length.as_secs(),
            limits::SOUND.as_secs()
        ));
    }
    let channels = usize::from(spec.channels);
    let pcm = match spec.sample_format {
        SampleFormat::Int => {
            let scale = FULL / (1u64 << spec.bits_per_sample.clamp(1, 32).saturating_sub(1)) as f32;
            let samples = reader.into_samples::<i32>();
            mix(
                samples.map(|sample| sample.map(|value| value as f32 * scale)),
                channels,
                converter,
            )
        }
        SampleFormat::Float => {
            let samples = reader.into_samples::<f32>();
            mix(
                samples.map(|sample| sample.map(|value| value * FULL)),
                channels,
                converter,
            )
        }
    };
    Sound::new(even(&pcm?)).ok_or_else(|| "it is shorter than 20 ms".to_owned())
}

/// One channel of all, at 16 kHz.
fn mix(
    samples: impl Iterator<Item = hound::Result<f32>>,
    channels: usize,
    mut converter: Converter,
) -> Result<Vec<f32>, String> {
    let (mut out, mut chunk) = (Vec::new(), Vec::with_capacity(CHUNK));
    let (mut sum, mut count) = (0.0, 0);
    for sample in samples {
        let sample = sample.map_err(|error| words(&error))?;
        // What is no number, or more than there is, is nothing that can be played.
        sum += if sample.is_finite() {
            sample.clamp(-FULL, FULL)
        } else {
            0.0
        };
        count += 1;
        if count == channels {
            chunk.push(sum / channels as f32);
            (sum, count) = (0.0, 0);
        }
        if chunk.len() == CHUNK {
            converter.push(&chunk, &mut out);
            chunk.clear();
        }
    }
    converter.push(&chunk, &mut out);
    converter.finish(&mut out);
    Ok(out)
}

fn words(error: &hound::Error) -> String {
    match error {
        // So it says that there are no more octets.
        hound::Error::IoError(error) if matches!(error.kind(), ErrorKind::Other | ErrorKind::UnexpectedEof) => {
            "it ends before its header says so".to_owned()
        }
        hound::Error::IoError(error) => plain(error),
        hound::Error::FormatError(why) => format!("it is no WAV file that we can read ({why})"),
        hound::Error::TooWide
        | hound::Error::UnfinishedSample
        | hound::Error::Unsupported
        | hound::Error::InvalidSampleFormat => {
            "it holds something else than PCM of 8, 16, 24 or 32 bits or floating, perhaps A-law or mu-law; \
             sox IN.wav -e signed-integer -b 16 OUT.wav makes it such"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::convert::LEVEL_DBOV;
    use codecs::goertzel::level_dbm0;
    use codecs::spectrum::dominant;
    use codecs::tone::Sine;
    use hound::{WavSpec, WavWriter};
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("tandem-sounds-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, bytes).unwrap();
            path
        }

        /// A file of so many seconds with a tone for each channel.
        fn tones(&self, spec: WavSpec, hz: &[f32], seconds: f32) -> PathBuf {
            let path = self.0.join("tones.wav");
            let mut writer = WavWriter::create(&path, spec).unwrap();
            let mut tones: Vec<Sine> = hz.iter().map(|hz| Sine::new(*hz, -10.0, spec.sample_rate)).collect();
            for _ in 0..(spec.sample_rate as f32 * seconds) as usize {
                for tone in &mut tones {
                    let sample = tone.next_sample() / FULL;
                    match spec.sample_format {
                        SampleFormat::Float => writer.write_sample(sample).unwrap(),
                        SampleFormat::Int => {
                            let full = (1u64 << (spec.bits_per_sample - 1)) as f32;
                            writer.write_sample((sample * full) as i32).unwrap();
                        }
                    }
                }
            }
            writer.finalize().unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn spec(sample_rate: u32, bits_per_sample: u16, channels: u16) -> WavSpec {
        WavSpec {
            channels,
            sample_rate,
            bits_per_sample,
            sample_format: SampleFormat::Int,
        }
    }

    fn float(sample_rate: u32) -> WavSpec {
        WavSpec {
            sample_format: SampleFormat::Float,
            ..spec(sample_rate, 32, 1)
        }
    }

    #[test]
    fn files_of_all_kinds_sound_alike() {
        let folder = Folder::new("kinds");
        let rates = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000];
        let kinds = rates.map(|rate| spec(rate, 16, 1)).into_iter();
        let kinds = kinds.chain([8, 24, 32].map(|bits| spec(44_100, bits, 1)));
        for spec in kinds.chain([float(44_100), float(8_000), spec(48_000, 16, 2)]) {
            let sound = read(&folder.tones(spec, &[1_000.0; 2][..usize::from(spec.channels)], 0.5)).unwrap();
            assert!(sound.duration().abs_diff(Duration::from_millis(500)) < Duration::from_millis(1));
            for rate in [Rate::Narrow, Rate::Wide] {
                let pcm = sound.samples(rate);
                let middle = &pcm[pcm.len() / 8..pcm.len() * 7 / 8];
                let level = level_dbm0(middle, 1_000.0, rate.hz()) - 6.15;
                assert!((level - LEVEL_DBOV).abs() < 0.3, "{spec:?}: {level} dBov at {rate:?}");
                assert!(
                    dominant(middle, rate.hz()).is_some_and(|tone| tone.is(1_000.0, 30.0)),
                    "{spec:?}"
                );
            }
        }
    }

    #[test]
    fn both_channels_are_heard() {
        let folder = Folder::new("stereo");
        let sound = read(&folder.tones(spec(44_100, 16, 2), &[600.0, 1_500.0], 0.5)).unwrap();
        let pcm = sound.samples(Rate::Wide);
        let level = |hz| level_dbm0(&pcm[800..7_000], hz, 16_000);
        assert!((level(600.0) - level(1_500.0)).abs() < 0.5 && level(600.0) > -25.0);
    }

    /// A header of 16 bits, mono, at 8 kHz, that claims so many octets.
    fn header(octets: u32) -> Vec<u8> {
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((octets + 36).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        bytes.extend(8_000u32.to_le_bytes());
        bytes.extend(16_000u32.to_le_bytes());
        bytes.extend(b"\x02\0\x10\0data");
        bytes.extend(octets.to_le_bytes());
        bytes
    }

    #[test]
    fn what_cannot_be_played_says_why() {
        let folder = Folder::new("broken");
        let why = |path: &Path| read(path).map(|_| ()).unwrap_err();
        assert_eq!(why(&folder.0.join("none.wav")), "it does not exist");
        assert_eq!(why(&folder.0), "it is no file");
        assert_eq!(
            why(&folder.bytes("text.wav", b"music to my ears, and more of it than a header has")),
            "it is no WAV file that we can read (no RIFF tag found)"
        );
        assert!(why(&folder.bytes("empty.wav", b"")).starts_with("it "));
        let cut = [header(16_000), vec![0; 8_000]].concat();
        assert_eq!(why(&folder.bytes("cut.wav", &cut)), "it ends before its header says so");
        assert_eq!(
            why(&folder.bytes("long.wav", &header(601 * 16_000))),
            "it is 601 s long, and 600 s are the most"
        );
        assert_eq!(
            why(&folder.tones(spec(4_000, 16, 1), &[440.0], 0.1)),
            "it has 4000 samples a second, and from 8000 to 96000 are played"
        );
        assert_eq!(
            why(&folder.tones(spec(8_000, 16, 3), &[440.0; 3], 0.1)),
            "it has 3 channels, and one or two are played"
        );
        assert_eq!(
            why(&folder.tones(spec(8_000, 16, 1), &[440.0], 0.01)),
            "it is shorter than 20 ms"
        );
        // Truly nothing in it.
        assert_eq!(why(&folder.bytes("none.wav", &header(0))), "it is shorter than 20 ms");
    }

    #[test]
    fn samples_that_are_no_numbers_are_silence() {
        let folder = Folder::new("nan");
        let path = folder.0.join("nan.wav");
        let mut writer = WavWriter::create(&path, float(16_000)).unwrap();
        for sample in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
            for _ in 0..400 {
                writer.write_sample(sample).unwrap();
            }
        }
        writer.finalize().unwrap();
        assert!(read(&path).is_ok());
    }
}
