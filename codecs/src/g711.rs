//! G.711 mu-law and A-law: one octet a sample, 8 kHz (ITU-T G.711; the arithmetic is that of ITU-T G.191's `g711`).
//!
//! Negative samples are taken by their one's complement, as G.191 does: the decision levels of both signs are then mirror
//! images around -0.5. The widespread variant that negates instead differs by one code step at 508 of the 65,536 samples.

/// The mu-law octet of silence as it is on the wire.
pub const ULAW_SILENCE: u8 = 0xff;
/// The A-law octet of silence as it is on the wire.
pub const ALAW_SILENCE: u8 = 0xd5;

/// What mu-law adds to a 14-bit magnitude, so that each segment is twice as wide as the one below.
const ULAW_BIAS: u16 = 33;
/// The largest biased 14-bit magnitude that mu-law can say.
const ULAW_CLIP: u16 = 0x1fff;
/// G.711 sends A-law with its even bits inverted.
const ALAW_INVERSION: u8 = 0x55;
/// Set in a code for samples of zero and above.
const POSITIVE: u8 = 0x80;

static ULAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = ulaw_to_linear(code as u8);
        code += 1;
    }
    table
};

static ALAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = alaw_to_linear(code as u8);
        code += 1;
    }
    table
};

const fn ulaw_to_linear(code: u8) -> i16 {
    let bits = !code;
    let segment = (bits >> 4) & 7;
    let step = (bits & 15) as i16;
    let magnitude = (((step << 1) | ULAW_BIAS as i16) << segment) - ULAW_BIAS as i16;
    // 14 bits, left-justified in 16.
    if code & POSITIVE == 0 {
        -(magnitude << 2)
    } else {
        magnitude << 2
    }
}

const fn alaw_to_linear(code: u8) -> i16 {
    let bits = code ^ ALAW_INVERSION;
    let segment = (bits >> 4) & 7;
    let step = (bits & 15) as i16;
    let magnitude = if segment == 0 {
        (step << 1) | 1
    } else {
        ((step << 1) | 33) << (segment - 1)
    };
    // 13 bits, left-justified in 16.
    if code & POSITIVE == 0 {
        -(magnitude << 3)
    } else {
        magnitude << 3
    }
}

/// One sample to its mu-law octet.
#[inline]
pub const fn encode_ulaw(sample: i16) -> u8 {
    let positive = sample >= 0;
    let magnitude = ((if positive { sample } else { !sample }) as u16 >> 2) + ULAW_BIAS;
    let magnitude = if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude };
    // The bias makes bit 5 the lowest leading bit, which is segment 0.
    let segment = 10 - magnitude.leading_zeros() as u16;
    let bits = (segment << 4) | ((magnitude >> (segment + 1)) & 15);
    !(bits as u8) & !POSITIVE | if positive { POSITIVE } else { 0 }
}

/// One mu-law octet to its sample.
#[inline]
pub fn decode_ulaw(code: u8) -> i16 {
    ULAW_TO_LINEAR[usize::from(code)]
}

/// One sample to its A-law octet.
#[inline]
pub const fn encode_alaw(sample: i16) -> u8 {
    let positive = sample >= 0;
    let magnitude = (if positive { sample } else { !sample }) as u16 >> 4;
    // Bit 4 is the lowest leading bit that counts: segments 0 and 1 have the same step.
    let segment = 12u16.saturating_sub(magnitude.leading_zeros() as u16);
    let bits = (segment << 4) | ((magnitude >> segment.saturating_sub(1)) & 15);
    (bits as u8 | if positive { POSITIVE } else { 0 }) ^ ALAW_INVERSION
}

/// One A-law octet to its sample.
#[inline]
pub fn decode_alaw(code: u8) -> i16 {
    ALAW_TO_LINEAR[usize::from(code)]
}

/// Encodes as many samples as both slices hold and says how many that were.
pub fn encode_ulaw_slice(pcm: &[i16], out: &mut [u8]) -> usize {
    out.iter_mut()
        .zip(pcm)
        .map(|(code, sample)| *code = encode_ulaw(*sample))
        .count()
}

/// Decodes as many octets as both slices hold and says how many that were.
pub fn decode_ulaw_slice(codes: &[u8], out: &mut [i16]) -> usize {
    out.iter_mut()
        .zip(codes)
        .map(|(sample, code)| *sample = decode_ulaw(*code))
        .count()
}

/// Encodes as many samples as both slices hold and says how many that were.
pub fn encode_alaw_slice(pcm: &[i16], out: &mut [u8]) -> usize {
    out.iter_mut()
        .zip(pcm)
        .map(|(code, sample)| *code = encode_alaw(*sample))
        .count()
}

/// Decodes as many octets as both slices hold and says how many that were.
pub fn decode_alaw_slice(codes: &[u8], out: &mut [i16]) -> usize {
    out.iter_mut()
        .zip(codes)
        .map(|(sample, code)| *sample = decode_alaw(*code))
        .count()
}

/// Sum of the squares of the samples that these mu-law octets stand for.
pub fn energy_ulaw(codes: &[u8]) -> u64 {
    energy(codes, &ULAW_TO_LINEAR)
}

/// Sum of the squares of the samples that these A-law octets stand for.
pub fn energy_alaw(codes: &[u8]) -> u64 {
    energy(codes, &ALAW_TO_LINEAR)
}

fn energy(codes: &[u8], table: &[i16; 256]) -> u64 {
    let square = |code: &u8| u64::from(table[usize::from(*code)].unsigned_abs()).pow(2);
    codes.iter().map(square).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_near_zero() {
        assert_eq!(encode_ulaw(0), ULAW_SILENCE);
        assert_eq!(encode_alaw(0), ALAW_SILENCE);
        assert_eq!(decode_ulaw(ULAW_SILENCE), 0);
        assert_eq!(decode_alaw(ALAW_SILENCE), 8);
    }

    #[test]
    fn extremes() {
        for (sample, ulaw, alaw) in [(i16::MAX, 0x80, 0xaa), (i16::MIN, 0x00, 0x2a), (-1, 0x7f, 0x55)] {
            assert_eq!(encode_ulaw(sample), ulaw, "mu-law of {sample}");
            assert_eq!(encode_alaw(sample), alaw, "A-law of {sample}");
        }
        assert_eq!((decode_ulaw(0x80), decode_ulaw(0x00)), (32_124, -32_124));
        assert_eq!((decode_alaw(0xaa), decode_alaw(0x2a)), (32_256, -32_256));
    }

    /// Transcoding back must not change a code, or a chain of gateways would wander. Mu-law has two codes for zero.
    #[test]
    fn every_code_survives_decode_and_encode() {
        for code in 0..=u8::MAX {
            assert_eq!(encode_alaw(decode_alaw(code)), code);
            let expected = if code == 0x7f { ULAW_SILENCE } else { code };
            assert_eq!(encode_ulaw(decode_ulaw(code)), expected);
        }
    }

    /// ITU-T G.712's mask for the whole path wants 33 dB from -30 to 0 dBm0; the law alone gives some more.
    #[test]
    fn a_tone_keeps_its_distance_to_the_noise() {
        for dbm0 in [0.0, -10.0, -20.0, -30.0] {
            let mut pcm = [0; 4_000];
            crate::tone::Sine::new(1_013.0, dbm0, 8_000).fill(&mut pcm);
            for (name, back) in [
                ("mu-law", pcm.map(|s| decode_ulaw(encode_ulaw(s)))),
                ("A-law", pcm.map(|s| decode_alaw(encode_alaw(s)))),
            ] {
                let found = crate::spectrum::dominant(&back, 8_000).expect("a tone");
                assert!(found.is(1_013.0, 35.0), "{name} at {dbm0} dBm0: {found:?}");
                assert!(
                    (found.level_dbm0 - dbm0).abs() < 0.1,
                    "{name} at {dbm0} dBm0: {found:?}"
                );
            }
        }
    }

    #[test]
    fn the_energy_of_octets_is_that_of_their_samples() {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        for (decode, energy) in [
            (decode_ulaw as fn(u8) -> i16, energy_ulaw as fn(&[u8]) -> u64),
            (decode_alaw, energy_alaw),
        ] {
            let pcm: Vec<i16> = codes.iter().map(|code| decode(*code)).collect();
            assert_eq!(energy(&codes), crate::level::energy(&pcm));
        }
    }

    #[test]
    fn slices_stop_at_the_shorter() {
        let pcm = [0, 1_000, -1_000, 32_000];
        let mut codes = [0; 3];
        assert_eq!(encode_ulaw_slice(&pcm, &mut codes), 3);
        assert_eq!(codes, [encode_ulaw(0), encode_ulaw(1_000), encode_ulaw(-1_000)]);
        assert_eq!(encode_alaw_slice(&pcm[..2], &mut codes), 2);
        let mut back = [7; 2];
        assert_eq!(decode_alaw_slice(&codes, &mut back), 2);
        assert_eq!(back, [decode_alaw(codes[0]), decode_alaw(codes[1])]);
        assert_eq!(decode_ulaw_slice(&[], &mut back), 0);
    }
}
