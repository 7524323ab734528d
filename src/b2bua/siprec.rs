//! What a recording server is told of a call: who speaks in it now, what they speak, who hears whom (RFC 7865).
//!
//! It is held against what was told last whenever the call has settled. Who keeps the sessions with the server is `crate::siprec`; what it does
//! with a server that does not answer is no matter of the call, unless `recording.siprec.required` says so.

use super::call::{Call, Other, Stage};
use super::cause::{self, q850};
use super::desk::Turn;
use super::leg::{Leg, LegId};
use super::media::MediaLeg;
use super::offer::OfferAnswer;
use crate::effect::Blame;
use crate::media::command::Side;
use crate::sip::Message;
use crate::siprec::order::{Order, Speaker, Subject};

impl Call {
    /// Tells what is recorded now, if that is new.
    pub fn brief(&mut self, t: &mut Turn<'_, '_>) {
        if self.config.recording.siprec.is_none() {
            return;
        }
        let subject = self.subject(t).map(Box::new);
        if subject == self.recorder.told {
            return;
        }
        t.desk.orders.push_back(match &subject {
            Some(subject) => Order::Record(self.config.clone(), subject.clone()),
            None => Order::Stop(self.id),
        });
        self.recorder.told = subject;
    }

    /// What is recorded, while that is to go to a server.
    fn subject(&self, t: &Turn<'_, '_>) -> Option<Subject> {
        let Stage::Talk { .. } = self.stage else {
            return None;
        };
        let (recording, sides) = self.recorder.going()?;
        let speakers = [Side::Caller, Side::Callee].map(|side| self.speaker(t, sides[side.index()]?));
        Some(Subject {
            recording,
            session_id: self.session_id.clone(),
            speakers,
        })
    }

    fn speaker(&self, t: &Turn<'_, '_>, id: LegId) -> Option<Speaker> {
        let leg = self.leg(id)?;
        let stream = leg.oa.as_ref().and_then(OfferAnswer::agreed)?.stream;
        let host = leg.own_host(t.cx).to_string();
        let (aor, name) = leg.identity(&self.config).recorded(&host);
        let media = leg.media.as_ref().filter(|media| media.is_settled());
        let place = |media: &MediaLeg| Some((media.id, media.worker()?));
        Some(Speaker {
            who: (id.call, id.no),
            aor,
            name,
            media: media.and_then(place),
            codec: stream.codec,
            comfort_noise: stream.comfort_noise,
            sends: stream.receives,
            hears: stream.sends && self.hears_partner(id),
        })
    }

    /// A leg's partner says something, and it is not music that is heard in its place.
    fn hears_partner(&self, id: LegId) -> bool {
        let partner = match self.stage {
            Stage::Talk {
                other: Other::Leg(_), ..
            } => self.partner(id).and_then(|partner| self.leg(partner)),
            Stage::Talk { .. } | Stage::Setup { .. } | Stage::DialOut(_) | Stage::Over { .. } => None,
        };
        let speaks = |leg: &Leg| {
            leg.oa
                .as_ref()
                .and_then(OfferAnswer::agreed)
                .is_some_and(|agreed| agreed.stream.receives)
        };
        partner.is_some_and(speaks) && self.music_for(id).is_none()
    }

    /// It does not reach the server any more.
    pub fn unrecorded(&mut self, t: &mut Turn<'_, '_>, why: &str) {
        self.recorder.give_up();
        if self
            .config
            .recording
            .siprec
            .as_ref()
            .is_some_and(|siprec| siprec.required)
        {
            let text = format!("a call that could not be recorded: {why}");
            self.end(t, cause::exact(503, q850::SERVICE_NOT_AVAILABLE, Blame::Node, text));
        }
    }
}

/// `Session-ID` of an INVITE (RFC 7989 5): its UUID, and the other side's where it has one.
pub fn session_id(invite: &Message) -> Option<Box<str>> {
    let field = invite.all_named("Session-ID").into_iter().next()?;
    let (own, rest) = field.split_once(';').unwrap_or((&field, ""));
    let is_uuid = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let own = own.trim();
    let remote = rest.split(';').find_map(|param| param.trim().strip_prefix("remote="));
    is_uuid(own).then(|| match remote.filter(|remote| is_uuid(remote)) {
        Some(remote) => format!("{own};remote={remote}").into(),
        None => own.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_session_id_is_a_uuid_and_nothing_else() {
        let uuid = "ab30317f1a784dc48ff824d0d3715d86";
        for (field, wanted) in [
            (uuid.to_owned(), Some(uuid.to_owned())),
            (format!("{uuid};remote={uuid}"), Some(format!("{uuid};remote={uuid}"))),
            (format!(" {uuid} ;remote=<x>"), Some(uuid.to_owned())),
            ("<sipSessionID/>".to_owned(), None),
            (format!("{uuid}0"), None),
        ] {
            let text = format!("INVITE sip:a@b SIP/2.0\r\nSession-ID: {field}\r\n\r\n");
            let invite = Message::parse(Bytes::from(text)).unwrap();
            assert_eq!(session_id(&invite).map(String::from), wanted, "{field}");
        }
    }
}
