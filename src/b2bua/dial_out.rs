//! A call that a room makes: it has no caller, only somebody who is searched.

use super::call::Call;
use super::desk::Turn;
use super::hunt::{Hunt, Step};
use super::identity::Identity;
use super::leg::LegId;
use crate::effect::{Fact, Output};
use crate::id::LegNo;
use crate::routing::{self, Source};
use crate::sdp::Direction;
use crate::sip::write::MAX_FORWARDS;

impl Call {
    /// Somebody is searched by the rights of a user. Its record begins here.
    pub fn call_out(&mut self, t: &mut Turn<'_, '_>, number: &str, rights: String) {
        let Some(room) = self.room.as_ref() else { return };
        let identity = self.identity_of_room(&room.number, &rights);
        let source = Source::User(rights);
        let decision = routing::decide(&self.config, &source, number);
        t.cx.emit(Output::Record(Fact::CallStarted {
            call: self.id,
            at: t.cx.wall,
            from: room.party(),
            caller: room.number.to_string(),
            called: decision.number.clone(),
            sip_call_id: String::new(),
        }));
        self.hunt = Some(Box::new(Hunt {
            no: LegId {
                call: self.id,
                no: LegNo(0),
            },
            source,
            number: String::new(),
            identity: identity.into(),
            hops: 0,
            step: Step::Deciding,
            best: None,
            claim: None,
            codecs: Vec::new(),
            image: None,
            want: Direction::SendRecv,
            max_forwards: MAX_FORWARDS,
            passed: Vec::new(),
            not: None,
            rang: false,
            secure: false,
            which: None,
        }));
        self.follow(t, decision);
    }

    /// Phones are called by the room, so that who missed it can call it; a carrier is shown the number of the user whose rights pay for it.
    fn identity_of_room(&self, number: &str, rights: &str) -> Identity {
        let own = Identity::of_user(&self.config, rights);
        let domain = self.config.domains.first().map_or("", |domain| domain.name.as_str());
        let name = self
            .config
            .room_settings(number)
            .map(|room| room.name_of(number).to_owned());
        Identity {
            display: Some(name.unwrap_or_else(|| number.to_owned())),
            vouched: true,
            user: Some((number.to_owned(), domain.to_owned())),
            number: own.number,
            private: false,
        }
    }
}
