//! How good a leg sounds: the E-model (ITU-T G.107) in its short form, with the default values of G.107 table 2.
//!
//! `R = 93.2 - Id - Ie,eff`: 93.2 is G.107's R for its defaults with no delay (clause 7.7), the advantage factor A is 0.
//!
//! - `Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)`, `d` the one-way delay in ms: the approximation of G.107's delay
//!   curve by Cole and Rosenbluth, "Voice over IP performance monitoring" (2001), section 4.
//! - `Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl)` (G.107 clause 7.5.1), loss taken as random (BurstR = 1).
//! - `Ie` and `Bpl` per codec: G.711 with concealment 0 and 25.1 (ITU-T G.113 table I.2). G.113 has no values for Opus in narrow band; we
//!   take 0 and 20: it sounds as G.711 does at our bit rates, and its concealment is somewhat weaker in bursts.
//! - MOS from R by G.107 Annex B.

use codecs::Codec;

/// Milliseconds of one-way delay that are not the network's: packet of 20 ms, look-ahead and the far jitter buffer.
const FIXED_DELAY_MS: f32 = 60.0;

/// Equipment impairment and robustness against loss.
const fn impairment(codec: Codec) -> (f32, f32) {
    match codec {
        Codec::Pcmu | Codec::Pcma => (0.0, 25.1),
        Codec::Opus => (0.0, 20.0),
    }
}

/// The transmission rating R, for a share of lost packets (0 to 1), interarrival jitter and round trip.
pub fn rating(codec: Codec, loss: f32, jitter_us: u32, round_trip_us: Option<u32>) -> f32 {
    let network_ms = round_trip_us.unwrap_or(0) as f32 / 2_000.0;
    // The far buffer grows with the jitter: twice its mean holds most packets.
    let delay = network_ms + 2.0 * jitter_us as f32 / 1_000.0 + FIXED_DELAY_MS;
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let (equipment, robustness) = impairment(codec);
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let equipment_effective = equipment + (95.0 - equipment) * percent / (percent + robustness);
    93.2 - delay_impairment - equipment_effective
}

/// Mean opinion score, 1 to 4.5, of a rating (ITU-T G.107 Annex B).
pub fn mos(rating: f32) -> f32 {
    let r = rating.clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annex_b_at_its_fixed_points() {
        // G.107 Annex B table B.1.
        for (r, want) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((mos(r) - want).abs() < 0.01, "R {r}: {}", mos(r));
        }
        assert_eq!((mos(-5.0), mos(120.0)), (1.0, 4.5));
    }

    #[test]
    fn loss_and_delay_only_make_it_worse() {
        let clean = rating(Codec::Pcma, 0.0, 0, Some(20_000));
        assert!(mos(clean) > 4.3, "{}", mos(clean));
        let mut last = clean;
        for loss in [0.01, 0.05, 0.2, 1.0] {
            let rating = rating(Codec::Pcma, loss, 0, Some(20_000));
            assert!(rating < last);
            last = rating;
        }
        assert!(mos(rating(Codec::Opus, 0.0, 0, Some(800_000))) < 3.2);
    }
}
