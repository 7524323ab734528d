//! What must be known of a codec to forward it: where a key frame begins, and which numbers count pictures.

use crate::media::command::VideoCodec;

/// True where a key frame begins with this packet.
pub(super) fn begins_key_frame(codec: VideoCodec, payload: &[u8]) -> bool {
    match codec {
        VideoCodec::Vp8 => Vp8::read(payload).is_some_and(|vp8| vp8.begins_key),
        VideoCodec::H264 => has_parameters(payload),
    }
}

/// The parameter sets of a sequence stand before each picture that can be decoded alone (RFC 6184 8.4): type 7, alone, or in an aggregate.
fn has_parameters(payload: &[u8]) -> bool {
    const SEQUENCE: u8 = 7;
    const AGGREGATE: u8 = 24;
    match payload.split_first() {
        Some((head, _)) if head & 0x1f == SEQUENCE => true,
        Some((head, mut units)) if head & 0x1f == AGGREGATE => {
            while let Some((len, rest)) = units.split_first_chunk::<2>() {
                let Some((unit, behind)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))) else {
                    return false;
                };
                if unit.first().is_some_and(|head| head & 0x1f == SEQUENCE) {
                    return true;
                }
                units = behind;
            }
            false
        }
        Some(_) | None => false,
    }
}

/// A number in a payload descriptor: where it stands, how many bits it has, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    at: usize,
    bits: u8,
    pub value: u16,
}

impl Count {
    fn mask(self) -> u16 {
        (1 << self.bits) - 1
    }

    /// The number by which one must be moved so that it becomes this one.
    pub fn offset_to(self, wanted: u16) -> u16 {
        wanted.wrapping_sub(self.value)
    }

    /// What it becomes.
    pub fn moved(self, by: u16) -> u16 {
        self.value.wrapping_add(by) & self.mask()
    }

    /// Writes what it becomes into the payload that it was read from.
    pub fn write(self, payload: &mut [u8], by: u16) {
        let new = self.moved(by);
        match (self.bits, payload.get_mut(self.at..)) {
            (15, Some([high, low, ..])) => (*high, *low) = (0x80 | (new >> 8) as u8, new as u8),
            (_, Some([octet, ..])) => *octet = new as u8,
            (_, Some([]) | None) => {}
        }
    }
}

/// The payload descriptor of VP8 (RFC 7741 4.2).
///
/// ```text
///   |X|R|N|S|R| PID |   X: the next octet    S: a partition begins    PID: which
///   |I|L|T|K| RSV   |   I: picture identifier    L: TL0PICIDX    T, K: layer and key index
///   |M| picture id  |   M: 15 bits
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vp8 {
    pub begins_key: bool,
    pub picture: Option<Count>,
    /// Counts the frames of the base layer in time.
    pub base: Option<Count>,
}

impl Vp8 {
    pub fn read(payload: &[u8]) -> Option<Vp8> {
        let first = *payload.first()?;
        let mut at = 1;
        let (mut picture, mut base) = (None, None);
        if first & 0x80 != 0 {
            let has = *payload.get(1)?;
            at = 2;
            if has & 0x80 != 0 {
                let octet = *payload.get(at)?;
                let (bits, value) = match octet & 0x80 {
                    0 => (7, u16::from(octet)),
                    _ => (15, u16::from(octet & 0x7f) << 8 | u16::from(*payload.get(at + 1)?)),
                };
                picture = Some(Count { at, bits, value });
                at += if bits == 15 { 2 } else { 1 };
            }
            if has & 0x40 != 0 {
                let value = u16::from(*payload.get(at)?);
                base = Some(Count { at, bits: 8, value });
                at += 1;
            }
            at += usize::from(has & 0x30 != 0);
        }
        // RFC 7741 4.3: the first bit of the frame itself is 0 in key frames.
        let begins = first & 0x10 != 0 && first & 0x07 == 0;
        let begins_key = begins && payload.get(at).is_some_and(|octet| octet & 1 == 0);
        Some(Vp8 {
            begins_key,
            picture,
            base,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_of_vp8_begins_with_its_first_partition() {
        let key = |payload: &[u8]| begins_key_frame(VideoCodec::Vp8, payload);
        assert!(key(&[0x10, 0x00]) && key(&[0x90, 0x80, 0x05, 0x00]) && key(&[0x90, 0xf0, 0x81, 0x02, 9, 0, 0x50]));
        assert!(!key(&[0x10, 0x01]), "another frame");
        assert!(!key(&[0x00, 0x00]), "not its beginning");
        assert!(!key(&[0x11, 0x00]), "another partition");
        assert!(!key(&[]) && !key(&[0x90]) && !key(&[0x90, 0x80]) && !key(&[0x90, 0x80, 0x81]) && !key(&[0x10]));
    }

    #[test]
    fn a_key_frame_of_h264_begins_with_its_parameter_sets() {
        let key = |payload: &[u8]| begins_key_frame(VideoCodec::H264, payload);
        assert!(
            key(&[0x67, 0x42]) && key(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]) && key(&[0x78, 0, 1, 0x68, 0, 1, 0x67])
        );
        assert!(
            !key(&[0x65, 0x88]) && !key(&[0x7c, 0x85, 1]) && !key(&[0x78, 0, 9, 0x67]) && !key(&[]) && !key(&[0x78])
        );
    }

    #[test]
    fn numbers_of_pictures_are_moved_in_their_width() {
        let mut payload = [0x90, 0xc0, 0xff, 0xff, 0xfe, 0x01, 0x02];
        let vp8 = Vp8::read(&payload).unwrap();
        let (picture, base) = (vp8.picture.unwrap(), vp8.base.unwrap());
        assert_eq!((picture.value, base.value), (0x7fff, 0xfe));
        picture.write(&mut payload, picture.offset_to(3));
        base.write(&mut payload, 4);
        assert_eq!(payload, [0x90, 0xc0, 0x80, 0x03, 0x02, 0x01, 0x02]);
        let mut narrow = [0x90, 0x80, 0x7e, 0x01];
        let picture = Vp8::read(&narrow).unwrap().picture.unwrap();
        picture.write(&mut narrow, 3);
        assert_eq!(narrow, [0x90, 0x80, 0x01, 0x01]);
    }
}
