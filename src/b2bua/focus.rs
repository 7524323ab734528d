//! REFER to a room (RFC 4579 5.5, 5.11): in the dialog of somebody in it, and what one asks for wherever it comes.

use super::desk::Turn;
use super::hunt::reachable;
use super::leg::LegId;
use super::refer::{refer_to, wants_no_subscription};
use super::{Calls, Net};
use crate::config::Config;
use crate::cx::Cx;
use crate::dialog::Naming;
use crate::id::{Flow, ServerTx};
use crate::room::view::{Action, Asker, MemberId, Refused, RoomView};
use crate::room::{address, progress};
use crate::sip::{Draft, Message, Method, Uri};
use std::net::IpAddr;

/// What is asked of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// To call this number, or name.
    Call(String),
    /// To send whoever this URI means away.
    Remove(Uri),
}

impl Wanted {
    /// What it comes to in a room.
    ///
    /// # Errors
    /// `Refused` where nobody is meant.
    pub fn actions(self, view: &RoomView) -> Result<Vec<Action>, Refused> {
        match self {
            Wanted::Call(number) => Ok(vec![Action::Call(vec![number])]),
            Wanted::Remove(uri) => {
                let meant = address::meant(view, &uri);
                let kicks: Vec<Action> = meant.into_iter().map(Action::Kick).collect();
                (!kicks.is_empty()).then_some(kicks).ok_or(Refused::NoMember)
            }
        }
    }
}

/// Reads Refer-To. `own` is the address that the request came to.
///
/// # Errors
/// The status that its sender is owed.
pub fn wanted(request: &Message, config: &Config, own: IpAddr) -> Result<Wanted, u16> {
    let uri = refer_to(request)?;
    match uri.params.value("method").map(Method::from) {
        // Fields for the INVITE (Replaces among them) are not taken.
        None | Some(Method::Invite) if uri.headers.is_some() => Err(488),
        None | Some(Method::Invite) => reachable(&uri, config, own).map(Wanted::Call).ok_or(404),
        Some(Method::Bye) => Ok(Wanted::Remove(uri)),
        Some(_other) => Err(501),
    }
}

/// Somebody in a room who is told how it goes with somebody whom he had called.
#[derive(Clone, Debug)]
pub struct Referred {
    leg: LegId,
    room: String,
    called: MemberId,
    told: u16,
}

impl Calls {
    /// REFER in the dialog of somebody in a room: it is taken, and NOTIFY says what comes of it. Where that is not wanted (RFC 4488 4), the
    /// response says so, of what is known at once.
    pub fn room_refer(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        flow: Flow,
        tx: ServerTx,
        request: &Message,
        (room, member): (String, MemberId),
    ) {
        let Some(leg) = Naming::of_request(request).and_then(|naming| self.desk.by_naming(&naming)) else {
            return;
        };
        let home = self.desk.home(leg);
        let taken = self.turn(cx, net, home, |call, t| take(t, call.leg_mut(leg)?, flow, tx, request));
        let Some(Some((wanted, unsaid))) = taken else { return };
        let done = self.room_asked(cx, net, &room, Asker::Member(member), wanted);
        if let Some(accepted) = unsaid {
            let refused = |refused: Refused| Draft::response(request, refused.status(), None);
            let response = done.map_or_else(refused, |_called| accepted);
            return net.layer.respond(cx, tx, response);
        }
        let (status, is_last) = match done {
            Ok(Some(called)) => {
                let told = 100;
                self.referred.push(Referred {
                    leg,
                    room: room.clone(),
                    called,
                    told,
                });
                return self.room_progress(cx, net, &room);
            }
            Ok(None) => (200, true),
            Err(refused) => (refused.status(), true),
        };
        self.tell_referrer(cx, net, leg, status, is_last);
    }

    /// Does what a REFER asks for; gives whom the room calls now, if that was asked for.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn room_asked(
        &mut self,
        cx: &mut Cx<'_>,
        net: &mut Net,
        room: &str,
        asker: Asker,
        wanted: Wanted,
    ) -> Result<Option<MemberId>, Refused> {
        let view = self.room_here(cx, room).ok_or(Refused::NoRoom)?;
        let calls = matches!(wanted, Wanted::Call(_));
        let mut actions = wanted.actions(&view)?;
        // Who is gone himself may send nobody away any more.
        actions.sort_by_key(|action| matches!((action, &asker), (Action::Kick(id), Asker::Member(own)) if id == own));
        for action in actions {
            self.room_act(cx, net, room, asker.clone(), action)?;
        }
        let is_new = |id: &MemberId| view.members.iter().all(|member| member.id != *id);
        let after = self.room_view(room);
        let members = after.into_iter().flat_map(|view| view.members);
        match members.map(|member| member.id).filter(is_new).max() {
            // The call is over before anybody could be told of it.
            None if calls => Err(Refused::Unreached),
            called => Ok(called),
        }
    }

    /// Tells those in a room who had somebody called how far it is.
    pub fn room_progress(&mut self, cx: &mut Cx<'_>, net: &mut Net, room: &str) {
        if self.referred.is_empty() {
            return;
        }
        let view = self.room_view(room);
        let all = std::mem::take(&mut self.referred).into_iter();
        let (own, others): (Vec<Referred>, Vec<Referred>) = all.partition(|referred| referred.room == room);
        self.referred = others;
        for mut referred in own {
            let (status, is_last) = progress::status(view.as_ref(), referred.called);
            if status > referred.told {
                referred.told = status;
                self.tell_referrer(cx, net, referred.leg, status, is_last);
            }
            let home = self.desk.home(referred.leg);
            let is_there = self
                .calls
                .get(&home)
                .is_some_and(|call| call.leg(referred.leg).is_some());
            if !is_last && is_there {
                self.referred.push(referred);
            }
        }
    }

    fn tell_referrer(&mut self, cx: &mut Cx<'_>, net: &mut Net, leg: LegId, status: u16, is_last: bool) {
        self.leg_turn(cx, net, leg, |call, t| {
            if let Some(leg) = call.leg_mut(leg) {
                leg.notify_refer(t, status, is_last);
            }
        });
    }
}

/// Answers a REFER; gives what it asks for, if it is taken. One at a time of those that are told by NOTIFY; of the others it gives the 202, too,
/// which is not sent.
fn take(
    t: &mut Turn<'_, '_>,
    leg: &mut super::leg::Leg,
    flow: Flow,
    tx: ServerTx,
    request: &Message,
) -> Option<(Wanted, Option<Draft>)> {
    if let Err(reject) = leg.receive(flow, request) {
        let response = Draft::response(request, reject.status, None).with_reason(reject.reason);
        t.net.layer.respond(t.cx, tx, response);
        return None;
    }
    let silent = wants_no_subscription(request);
    let wanted = match leg.subscription {
        Some(_) if !silent => Err(491),
        Some(_) | None => wanted(request, t.cx.config, leg.flow.local.ip()),
    };
    match wanted {
        Ok(wanted) if silent => {
            leg.refers = leg.refers.saturating_add(1);
            Some((wanted, Some(leg.accepting_refer(t.cx, request))))
        }
        Ok(wanted) => {
            leg.accept_refer(t, tx, request);
            Some((wanted, None))
        }
        Err(status) => {
            leg.reply(t, tx, request, status);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Sources};
    use bytes::Bytes;

    fn read(lines: &str) -> Result<Wanted, u16> {
        let text = "node: { name: t }\nlisten: [ \"udp://127.1.9.9:5060\" ]\ndomains: [ here.example ]\n";
        let config = config::parse("test", text, &Sources::NONE).unwrap_or_else(|problems| panic!("{problems:?}"));
        let text = format!(
            "REFER sip:3000@here.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: x\r\nCSeq: 1 REFER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        let request = Message::parse(Bytes::from(text)).unwrap();
        wanted(&request, &config, IpAddr::from([127, 1, 9, 9]))
    }

    #[test]
    fn what_refer_to_asks_for() {
        let call = |number: &str| Ok(Wanted::Call(number.into()));
        for (value, wanted) in [
            ("<sip:102@here.example>", call("102")),
            ("sip:102@127.1.9.9", call("102")),
            ("<sip:102@here.example;method=INVITE>", call("102")),
            ("<tel:+1-415-555-0101>", call("+14155550101")),
            ("<sip:102@elsewhere.example>", Err(404)),
            ("<sip:here.example>", Err(404)),
            ("<sip:102@here.example?Replaces=a%40b>", Err(488)),
            ("<sip:102@here.example;method=MESSAGE>", Err(501)),
            ("<mailto:a@b>", Err(416)),
            ("<sip:102@here.example", Err(400)),
            ("", Err(400)),
        ] {
            assert_eq!(read(&format!("Refer-To: {value}\r\n")), wanted, "{value}");
        }
        assert_eq!(read(""), Err(400));
        assert_eq!(
            read("Refer-To: <sip:1@here.example>\r\nRefer-To: <sip:2@here.example>\r\n"),
            Err(400)
        );
        let bye = read("Refer-To: <sip:bob@here.example;method=BYE>\r\n");
        assert!(matches!(bye, Ok(Wanted::Remove(uri)) if uri.user.as_deref() == Some("bob")));
    }
}
