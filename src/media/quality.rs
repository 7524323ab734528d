//! How good a leg sounds: the E-model in its short form, ITU-T G.107 for narrow band and G.107.1 for wide band, with the default values of
//! their tables.
//!
//! `R = Ro - Id - Ie,eff`: Ro is 93.2 in narrow band (G.107 clause 7.7) and 129 in wide band (G.107.1 clause 7.7), for the defaults with no
//! delay; the advantage factor A is 0.
//!
//! - `Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)`, `d` the one-way delay in ms: the approximation of G.107's delay
//!   curve by Cole and Rosenbluth, "Voice over IP performance monitoring" (2001), section 4.
//! - `Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl)` (G.107 clause 7.5), BurstR by how the losses of the stream lie.
//! - `Ie` and `Bpl` per codec: G.711 with concealment 0 and 25.1 (ITU-T G.113 table I.2). G.113 has no values for Opus. In narrow band we
//!   take 0 and 20: it sounds as G.711 does at our bit rates, and its concealment is somewhat weaker in bursts. In wide band, whose scale
//!   begins at a faultless wide-band channel, we take 8, as of the best wide-band codecs in G.113's Appendix IV, and the same 20. G.722 at 64 kbit/s is impaired
//!   less than G.711 (13 against 36 on the wide-band scale, G.113 table IV.1), which is 0 in narrow band, and is concealed likewise.
//! - MOS from R by G.107 Annex B, in wide band from R / 1.29 (G.107.1 Annex A): the scores of both scales are alike in what they
//!   say of a call among those of its own band, and cannot be held against one another.

use codecs::Codec;

/// Milliseconds of one-way delay that are not the network's: packet of 20 ms, look-ahead and the far jitter buffer.
const FIXED_DELAY_MS: f32 = 60.0;
/// R of a faultless call in narrow band, in wide band.
const NARROW_BAND: f32 = 93.2;
const WIDE_BAND: f32 = 129.0;
/// The scale of wide band by that of narrow band, on which MOS is defined.
const WIDE_BY_NARROW: f32 = 1.29;

/// What a stream went through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Journey {
    /// In which codec.
    pub codec: Codec,
    /// It is heard in wide band.
    pub wide_band: bool,
    /// Share of packets that were lost or came too late, 0 to 1.
    pub loss: f32,
    /// BurstR: 1 for losses by chance, more where they come together.
    pub burst_ratio: f32,
    /// Interarrival jitter.
    pub jitter_us: u32,
    /// If it is known.
    pub round_trip_us: Option<u32>,
}

/// A transmission rating R on the scale of narrow band or of wide band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rating {
    r: f32,
    wide_band: bool,
}

impl Journey {
    /// Equipment impairment and robustness against loss.
    const fn impairment(&self) -> (f32, f32) {
        match (self.codec, self.wide_band) {
            (Codec::Pcmu | Codec::Pcma, _) => (0.0, 25.1),
            (Codec::G722, false) => (0.0, 25.1),
            (Codec::G722, true) => (13.0, 25.1),
            (Codec::Opus, false) => (0.0, 20.0),
            (Codec::Opus, true) => (8.0, 20.0),
        }
    }

    /// As those hear it who only listen: without what delay does.
    pub fn listening(&self) -> Rating {
        let (equipment, robustness) = self.impairment();
        let percent = self.loss.clamp(0.0, 1.0) * 100.0;
        let lost = (95.0 - equipment) * percent / (percent / self.burst_ratio.max(1.0) + robustness);
        let start = if self.wide_band { WIDE_BAND } else { NARROW_BAND };
        Rating {
            r: start - equipment - lost,
            wide_band: self.wide_band,
        }
    }

    /// As those hear it who talk with one another.
    pub fn conversation(&self) -> Rating {
        let network_ms = self.round_trip_us.unwrap_or(0) as f32 / 2_000.0;
        // The far buffer grows with the jitter: twice its mean holds most packets.
        let delay = network_ms + 2.0 * self.jitter_us as f32 / 1_000.0 + FIXED_DELAY_MS;
        let impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
        let listening = self.listening();
        Rating {
            r: listening.r - impairment,
            ..listening
        }
    }
}

impl Rating {
    /// R on the scale of narrow band, where 93.2 is the best of it and 100 that of wide band.
    pub fn narrow(&self) -> f32 {
        let scale = if self.wide_band { WIDE_BY_NARROW } else { 1.0 };
        (self.r / scale).clamp(0.0, 100.0)
    }

    /// Mean opinion score, 1 to 4.5 (G.107 Annex B).
    pub fn mos(&self) -> f32 {
        let r = self.narrow();
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Journey = Journey {
        codec: Codec::Pcma,
        wide_band: false,
        loss: 0.0,
        burst_ratio: 1.0,
        jitter_us: 0,
        round_trip_us: Some(20_000),
    };

    fn mos(journey: Journey) -> f32 {
        journey.conversation().mos()
    }

    #[test]
    fn annex_b_at_its_fixed_points() {
        // G.107 Annex B table B.1.
        let of = |r| Rating { r, wide_band: false }.mos();
        for (r, want) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((of(r) - want).abs() < 0.01, "R {r}: {}", of(r));
        }
        assert_eq!((of(-5.0), of(120.0)), (1.0, 4.5));
        // G.107.1: the best of wide band has the best score, and a narrow-band call on its scale 3.7 or so.
        let wide = |r| Rating { r, wide_band: true }.mos();
        assert_eq!(wide(129.0), 4.5);
        assert!((wide(93.2) - of(72.2)).abs() < 0.01);
    }

    #[test]
    fn loss_and_delay_only_make_it_worse() {
        assert!(mos(CLEAN) > 4.3, "{}", mos(CLEAN));
        for codec in [
            CLEAN,
            Journey {
                codec: Codec::Opus,
                ..CLEAN
            },
            Journey {
                codec: Codec::Opus,
                wide_band: true,
                ..CLEAN
            },
        ] {
            let mut last = f32::MAX;
            for loss in [0.0, 0.01, 0.05, 0.2, 1.0] {
                let rating = Journey { loss, ..codec }.conversation();
                assert!(rating.narrow() < last, "{rating:?}");
                last = rating.narrow();
            }
            let far = Journey {
                round_trip_us: Some(800_000),
                ..codec
            };
            assert!(mos(far) < 3.2, "{}", mos(far));
            assert!(far.listening().mos() > mos(codec));
        }
    }

    #[test]
    fn what_is_lost_in_bursts_is_worse_than_what_is_lost_by_chance() {
        let chance = Journey { loss: 0.2, ..CLEAN };
        let bursts = Journey {
            burst_ratio: 3.2,
            ..chance
        };
        // 95 * 20 / (20 + 25.1) and 95 * 20 / (20 / 3.2 + 25.1).
        assert!((CLEAN.listening().r - chance.listening().r - 42.13).abs() < 0.01);
        assert!((CLEAN.listening().r - bursts.listening().r - 60.61).abs() < 0.01);
    }

    #[test]
    fn wide_band_has_a_scale_of_its_own() {
        let wide = Journey {
            codec: Codec::Opus,
            wide_band: true,
            ..CLEAN
        };
        assert_eq!(wide.listening().r, 121.0);
        assert!((4.3..4.5).contains(&mos(wide)), "{}", mos(wide));
        assert!(mos(Journey { loss: 0.05, ..wide }) < mos(wide) - 0.3);
    }
}
