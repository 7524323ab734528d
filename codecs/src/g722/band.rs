//! The ADPCM of the two halves (ITU-T G.722 3 and 4, in its integer arithmetic; capitals are the names there): quantisers, scale, predictor.
//!
//! The lower half's decoder hears all six bits, but scale and predictor learn from the upper four, which are those that no mode takes away.

use super::{limited, saturated};

/// The decision levels of the lower half, in parts of the scale (Q6).
const LOW_LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219, 1_339,
    1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// The sizes that six bits stand for, the smallest first (OQ6 times 8).
const LOW_SIZES: [i32; 30] = [
    136, 432, 728, 1_040, 1_360, 1_688, 2_032, 2_400, 2_776, 3_168, 3_576, 4_008, 4_464, 4_944, 5_456, 6_000, 6_576,
    7_192, 7_856, 8_576, 9_360, 10_232, 11_192, 12_280, 13_512, 14_984, 16_704, 19_008, 21_904, 24_808,
];
/// The sizes that their upper four stand for (OQ4 times 8).
const LOW_COARSE_SIZES: [i32; 8] = [0, 1_200, 2_584, 4_240, 6_288, 8_968, 12_896, 20_456];
/// What each of these adds to the logarithm of the scale (WL).
const LOW_STEPS: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1_198, 3_042];
/// The most that it becomes.
const LOW_LOG_MAX: i32 = 18_432;

/// The one decision level of the upper half (Q2).
const HIGH_LEVEL: i32 = 564;
/// The sizes that its two bits stand for (OQ2 times 8).
const HIGH_SIZES: [i32; 2] = [1_616, 7_408];
/// What they add to the logarithm of the scale (WH).
const HIGH_STEPS: [i32; 2] = [-214, 798];
/// The most that it becomes.
const HIGH_LOG_MAX: i32 = 22_528;

/// 2,048 times the powers of two of the 32nd parts from 0 to 31 (ILB).
const POWERS: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// Six bits to a part of the scale (QM6): the codes from 4 to 31 are below zero, the largest first, and likewise those from 32 to 61
/// above. 62 and 63 are the two smallest below. 0 to 3 are never sent, and where they come all the same they are the smallest.
static LOW_PARTS: [i32; 64] = {
    let mut parts = [0; 64];
    let mut code = 0;
    while code < 64 {
        parts[code] = match code {
            0..4 => -LOW_SIZES[0],
            4..32 => -LOW_SIZES[33 - code],
            32..62 => LOW_SIZES[61 - code],
            _ => -LOW_SIZES[63 - code],
        };
        code += 1;
    }
    parts
};

/// The upper four of the six: to the place of their size (RIL4).
const fn coarse(code: u8) -> usize {
    let four = (code >> 2) as usize & 15;
    match four {
        0 | 15 => 0,
        1..8 => 8 - four,
        _ => 15 - four,
    }
}

/// And to a part of the scale (QM4).
static LOW_COARSE_PARTS: [i32; 16] = {
    let mut parts = [0; 16];
    let mut four = 0;
    while four < 16 {
        let size = LOW_COARSE_SIZES[coarse((four as u8) << 2)];
        parts[four] = if four < 8 { -size } else { size };
        four += 1;
    }
    parts
};

/// The lower half.
#[derive(Clone, Debug)]
pub struct Low {
    scale: Scale,
    predictor: Predictor,
}

impl Low {
    /// As both ends begin.
    pub const fn new() -> Self {
        Self {
            scale: Scale { log: 0, now: 32 },
            predictor: Predictor::new(),
        }
    }

    /// A sample of 15 bits to its code.
    pub fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturated(sample - self.predictor.expected);
        let size = if difference < 0 { !difference } else { difference };
        let reaches = |level: &i32| size >= (level * self.scale.now) >> 12;
        let above = LOW_LEVELS.partition_point(reaches) as u8;
        let code = match (difference < 0, above) {
            (false, _) => 61 - above,
            (true, 0..2) => 63 - above,
            (true, _) => 33 - above,
        };
        self.learn(code);
        code
    }

    /// A code to its sample; what else is in the octet does not count.
    pub fn decode(&mut self, code: u8) -> i32 {
        let difference = (LOW_PARTS[usize::from(code & 63)] * self.scale.now) >> 15;
        let sample = limited(saturated(self.predictor.expected + difference));
        self.learn(code);
        sample
    }

    fn learn(&mut self, code: u8) {
        let difference = (LOW_COARSE_PARTS[usize::from((code >> 2) & 15)] * self.scale.now) >> 15;
        self.scale.learn(LOW_STEPS[coarse(code)], LOW_LOG_MAX, 8);
        self.predictor.learn(difference);
    }
}

/// The upper half.
#[derive(Clone, Debug)]
pub struct High {
    scale: Scale,
    predictor: Predictor,
}

impl High {
    /// As both ends begin.
    pub const fn new() -> Self {
        Self {
            scale: Scale { log: 0, now: 8 },
            predictor: Predictor::new(),
        }
    }

    /// A sample of 15 bits to its code: 3 and 2 for small and large above zero, 1 and 0 below.
    pub fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturated(sample - self.predictor.expected);
        let size = if difference < 0 { !difference } else { difference };
        let large = u8::from(size >= (HIGH_LEVEL * self.scale.now) >> 12);
        let code = if difference < 0 { 1 - large } else { 3 - large };
        self.learn(code);
        code
    }

    /// A code of two bits to its sample.
    pub fn decode(&mut self, code: u8) -> i32 {
        limited(self.learn(code))
    }

    /// The sample that the code stands for.
    fn learn(&mut self, code: u8) -> i32 {
        let large = usize::from(!code & 1);
        let part = if code & 2 == 0 {
            -HIGH_SIZES[large]
        } else {
            HIGH_SIZES[large]
        };
        let difference = (part * self.scale.now) >> 15;
        self.scale.learn(HIGH_STEPS[large], HIGH_LOG_MAX, 10);
        self.predictor.learn(difference)
    }
}

/// How large a difference is to be expected (blocks 3L and 3H).
#[derive(Clone, Debug)]
struct Scale {
    /// Its logarithm: 2,048 to the power of two.
    log: i32,
    now: i32,
}

impl Scale {
    fn learn(&mut self, step: i32, max: i32, shift: i32) {
        self.log = (((self.log * 127) >> 7) + step).clamp(0, max);
        let power = POWERS[((self.log >> 6) & 31) as usize];
        // At most one above the shift.
        self.now = ((power << 1) >> (shift + 1 - (self.log >> 11))) << 2;
    }
}

/// What is to be expected next: two poles and six zeros, which follow the signs of what came (block 4).
#[derive(Clone, Debug)]
struct Predictor {
    /// The sample, and what of it the zeros say.
    expected: i32,
    by_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last samples, what zeros and difference alone made of them, and the differences: the newest first.
    samples: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
}

impl Predictor {
    const fn new() -> Self {
        Self {
            expected: 0,
            by_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            samples: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
        }
    }

    /// Takes the difference from what was expected, and gives the sample that this makes.
    fn learn(&mut self, difference: i32) -> i32 {
        let sample = saturated(self.expected + difference);
        let partial = saturated(self.by_zeros + difference);
        self.move_poles(partial);
        self.move_zeros(difference);
        self.samples = [sample, self.samples[0]];
        self.partial = [partial, self.partial[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        // The oldest first: where a sum saturates, the order counts.
        let mut by_zeros = 0;
        for (zero, difference) in self.zeros.iter().zip(&self.differences).rev() {
            by_zeros = saturated(by_zeros + product(*zero, *difference));
        }
        let by_poles = product(self.poles[0], self.samples[0]) + product(self.poles[1], self.samples[1]);
        self.by_zeros = by_zeros;
        self.expected = saturated(saturated(by_poles) + by_zeros);
        sample
    }

    /// UPPOL2 and UPPOL1.
    fn move_poles(&mut self, partial: i32) {
        let agree = self.partial.map(|before| (before < 0) == (partial < 0));
        let fourfold = saturated(self.poles[0] << 2);
        let turned = if agree[0] { saturated(-fourfold) } else { fourfold };
        let step = if agree[1] { 128 } else { -128 };
        let second = (turned >> 7) + step + ((self.poles[1] * 32_512) >> 15);
        self.poles[1] = second.clamp(-12_288, 12_288);
        let step = if agree[0] { 192 } else { -192 };
        let most = 15_360 - self.poles[1];
        self.poles[0] = (step + ((self.poles[0] * 32_640) >> 15)).clamp(-most, most);
    }

    /// UPZERO. The leak keeps them within 16 bits.
    fn move_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(&self.differences) {
            let step = if (*before < 0) == (difference < 0) { step } else { -step };
            *zero = ((*zero * 32_640) >> 15) + step;
        }
    }
}

/// A coefficient times twice a sample.
fn product(coefficient: i32, sample: i32) -> i32 {
    (coefficient * saturated(2 * sample)) >> 15
}
