//! Hold with music: a side that wants to hear nothing holds the other (RFC 3264 8.4), which hears the music of who holds it.
//!
//! The music is ours, so the held side is told nothing: its session stays as it is, both ways, and its leg plays. Without music the hold goes
//! through to it, and what the holder sends, if it sends something, is heard. A hold is a state of offer and answer (`OfferAnswer::wish`)
//! and nothing is remembered besides: whatever ends it, a re-INVITE, a transfer, a pick-up, brings the bridge back.

use super::call::{Call, Other, Stage};
use super::leg::{LegId, Who};
use crate::config::Config;
use crate::media::command::Music;

/// What those hear whom a peer holds.
fn music<'c>(config: &'c Config, who: &Who) -> &'c Music {
    let own = match who {
        Who::User(name) => config.user(name).and_then(|user| user.music_on_hold.as_ref()),
        Who::Trunk(trunk, _) => config.trunk(*trunk).and_then(|trunk| trunk.music_on_hold.as_ref()),
    };
    own.unwrap_or(&config.music_on_hold)
}

impl Call {
    /// The peer of a leg wants to hear nothing.
    pub fn holds(&self, id: LegId) -> bool {
        let oa = self.leg(id).and_then(|leg| leg.oa.as_ref());
        // The direction of a fax is its own affair.
        oa.is_some_and(|oa| !oa.wish().receives() && !oa.is_fax())
    }

    /// What the peer of a leg hears because its partner holds it.
    pub fn music_for(&self, id: LegId) -> Option<&Music> {
        let Stage::Talk {
            other: Other::Leg(_), ..
        } = self.stage
        else {
            return None;
        };
        let holder = self.partner(id).filter(|partner| self.holds(*partner))?;
        let music = music(&self.config, &self.leg(holder)?.who);
        Some(music).filter(|music| !music.is_empty())
    }
}
