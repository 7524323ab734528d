//! The octets of a stereo WAV of 16 bits that grows: samples are put behind those that are there, and then the header says so. Whenever it
//! ends, the file can be played up to what its header says.

/// Octets of the header.
pub const HEADER_BYTES: u64 = 44;
/// The most that the header can say, in whole frames: 4 GiB, which are 37 hours at 8 kHz.
const MOST: u64 = (u32::MAX as u64 - HEADER_BYTES) / 4 * 4;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wav {
    rate: u32,
    data: u64,
}

/// What is to be written for more samples: these first, at this place, and then the header at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the samples go.
    pub at: u64,
    /// What the file begins with once they are there.
    pub header: [u8; HEADER_BYTES as usize],
    /// How far the file is then.
    pub then: Wav,
}

impl Wav {
    /// An empty file: its header is all of it.
    pub const fn new(rate: u32) -> Wav {
        Wav { rate, data: 0 }
    }

    /// The step to a file with so many octets of samples more; none where a WAV cannot be as long.
    pub fn grow(&self, octets: usize) -> Option<Step> {
        let data = self.data.checked_add(octets as u64).filter(|data| *data <= MOST)?;
        let then = Wav { data, ..*self };
        Some(Step {
            at: self.bytes(),
            header: then.header(),
            then,
        })
    }

    /// Octets of the file.
    pub const fn bytes(&self) -> u64 {
        HEADER_BYTES + self.data
    }

    /// How long it lasts, in milliseconds.
    pub const fn millis(&self) -> u64 {
        self.data / 4 * 1_000 / self.rate as u64
    }

    /// RIFF, with one chunk for the format (PCM, two channels) and one for the samples.
    pub fn header(&self) -> [u8; HEADER_BYTES as usize] {
        let mut header = *b"RIFF....WAVEfmt \x10\0\0\0\x01\0\x02\0rateeach\x04\0\x10\0data....";
        let data = u32::try_from(self.data).unwrap_or(u32::MAX);
        let numbers = [
            (4, data.saturating_add(36)),
            (24, self.rate),
            (28, self.rate * 4),
            (40, data),
        ];
        for (at, number) in numbers {
            header[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_an_empty_file_and_of_one_second() {
        let empty = Wav::new(8_000);
        assert_eq!((empty.bytes(), &empty.header()[36..]), (44, &b"data\0\0\0\0"[..]));
        let step = empty.grow(32_000).unwrap();
        let mut want = Vec::new();
        want.extend(b"RIFF");
        want.extend(32_036u32.to_le_bytes());
        want.extend(b"WAVEfmt ");
        want.extend(16u32.to_le_bytes());
        want.extend([1, 0, 2, 0]);
        want.extend(8_000u32.to_le_bytes());
        want.extend(32_000u32.to_le_bytes());
        want.extend([4, 0, 16, 0]);
        want.extend(b"data");
        want.extend(32_000u32.to_le_bytes());
        assert_eq!((step.at, &step.header[..]), (44, &want[..]));
        assert_eq!((empty.millis(), step.then.millis()), (0, 1_000));
        assert_eq!(step.then.grow(4).unwrap().at, 32_044);
    }

    #[test]
    fn a_file_ends_before_its_header_cannot_say_its_length() {
        let full = Wav {
            rate: 16_000,
            data: MOST - 4,
        };
        let last = full.grow(4).unwrap();
        assert_eq!(last.then.grow(4), None);
        assert_eq!(u32::from_le_bytes(last.header[40..].try_into().unwrap()) % 4, 0);
        assert!(u32::from_le_bytes(last.header[4..8].try_into().unwrap()) > u32::MAX - 16);
    }
}
