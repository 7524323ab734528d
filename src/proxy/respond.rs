//! RFC 3261 16.7: what comes back on a branch, and what of it goes to the caller.

use super::best::{self, Final};
use super::branch::{Aim, Branch, Stage};
use super::context::{Context, Ending, State};
use super::targets::aim_of;
use super::{Missed, Timer, Turn};
use crate::effect::{Blame, Cause, q850};
use crate::limits;
use crate::sip::{Draft, Message, Method, Name};
use crate::transaction::{Destination, Failure};

/// Q.850: no answer from user.
const NO_ANSWER: u8 = 19;
/// The Reason of a CANCEL to those who did not answer first (RFC 3326 3.1): no missed call is shown.
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Context {
    /// A response of a branch.
    pub fn on_response(&mut self, t: &mut Turn<'_, '_>, no: u16, response: Message) {
        let Some(place) = self.place(no) else { return };
        match response.status() {
            0..=199 => self.provisional(t, place, &response),
            200..=299 => self.success(t, place, &response),
            _failure => self.failure(t, place, response),
        }
    }

    /// 16.7 steps 2 and 5: all but 100 go to the caller at once, and start timer C anew.
    fn provisional(&mut self, t: &mut Turn<'_, '_>, place: usize, response: &Message) {
        let branch = &mut self.branches[place];
        let no = branch.no;
        match branch.stage {
            Stage::Asked(tx) | Stage::Proceeding(tx) => branch.stage = Stage::Proceeding(tx),
            Stage::Asking | Stage::Reaching | Stage::Over(_) | Stage::Done => return,
        }
        if response.status() == 100 {
            return;
        }
        let tag = response.to_tag().map(Box::<str>::from);
        let ended = response.status() == 199;
        branch.early.retain(|early| !ended || Some(&*early) != tag.as_ref());
        if let Some(tag) = tag.filter(|tag| !ended && !branch.early.contains(tag))
            && branch.early.len() < limits::EARLY_DIALOGS
        {
            branch.early.push(tag);
        }
        if self.is_invite {
            self.start_timer_c(t, no);
        }
        if matches!(self.state, State::Forking | State::Ending(_)) {
            t.layer.relay(t.cx, self.tx, response, Vec::new());
            if let Some(call) = self.call.filter(|_| matches!(response.status(), 180 | 183)) {
                t.desk.call_rings(t.cx, call);
            }
        }
    }

    /// 16.7 steps 5 and 10: a 2xx goes to the caller at once, whatever went before, and the other branches are cancelled. Those of
    /// other methods than INVITE can't be, and what they still say is of no use.
    fn success(&mut self, t: &mut Turn<'_, '_>, place: usize, response: &Message) {
        self.branches[place].stage = Stage::Done;
        t.layer.relay(t.cx, self.tx, response, Vec::new());
        if let Some(call) = self.call {
            t.desk.call_answered(t.cx, call, response);
        }
        self.within_ends(t, response.status(), Some(response));
        self.state = State::Answered;
        self.waiting.clear();
        self.cancel_all(t, Some(ELSEWHERE.to_owned()));
        if !self.is_invite {
            self.close();
        }
    }

    /// 16.7 steps 4 to 6 for a final failure of one branch.
    fn failure(&mut self, t: &mut Turn<'_, '_>, place: usize, response: Message) {
        if !self.branches[place].is_pending() {
            return;
        }
        let (no, status) = (self.branches[place].no, response.status());
        t.desk.timers.cancel(Timer::C(self.id, no));
        // RFC 3263 4.3: another server of that name may have room.
        if status == 503 && self.state == State::Forking && self.next_address(t, place) {
            return;
        }
        let rang = !self.branches[place].early.is_empty();
        if (status == 430 || (status == 408 && !rang)) && self.next_flow(t, place) {
            return;
        }
        let left = match status {
            300..=399 => self.recurse(t, response),
            _failure => Some(response),
        };
        self.tell_ended_dialogs(t, place, status);
        let is_phone = matches!(self.branches[place].aim, Aim::Target { flow: Some(_), .. });
        self.branches[place].stage = match left {
            None => Stage::Done,
            // No flow of the device is left; what failed is between us and it (RFC 5626 11.5).
            Some(_) if status == 430 && is_phone => Stage::Over(Box::new(Final::Own(480))),
            Some(response) => Stage::Over(Box::new(Final::Theirs(response))),
        };
        if status >= 600 {
            self.end_forking(t, Ending::Declined, None);
        }
        self.advance(t);
    }

    /// No response will come: 408 for a silent peer (16.7, 16.8), 503 for one without a way (16.9). Another address of it is tried
    /// first (RFC 3263 4.3), and for a phone whose connection is gone, the place that its contact names.
    pub fn on_failed(&mut self, t: &mut Turn<'_, '_>, no: u16, failure: Failure) {
        let Some(place) = self.place(no).filter(|place| self.branches[*place].is_pending()) else {
            return;
        };
        t.desk.timers.cancel(Timer::C(self.id, no));
        let rang = matches!(self.branches[place].stage, Stage::Proceeding(_));
        if self.state == State::Forking
            && !rang
            && (self.next_address(t, place)
                || self.without_path(t, place)
                || self.next_flow(t, place)
                || (failure == Failure::Transport && self.without_flow(t, place)))
        {
            return;
        }
        let status = self.failed_as(place, failure);
        self.branches[place].stage = Stage::Over(Box::new(Final::Own(status)));
        self.advance(t);
    }

    /// The status that stands for a failure without a response.
    fn failed_as(&self, place: usize, failure: Failure) -> u16 {
        let aim = &self.branches[place].aim;
        let in_dialog = matches!(aim, Aim::Target { uri: None, .. });
        match (failure, aim.beyond()) {
            (Failure::Timeout, _) => 408,
            // RFC 5626 5.3.1: the flow that our own Route value names exists no longer.
            (Failure::Transport | Failure::Unresolved, Some(beyond)) if beyond.lost && in_dialog => 430,
            (Failure::Transport | Failure::Unresolved, Some(beyond)) if beyond.outbound => 480,
            (Failure::Transport | Failure::Unresolved, _) => 503,
        }
    }

    /// One flow of a device said nothing at all: the next one.
    pub fn on_silent_flow(&mut self, t: &mut Turn<'_, '_>, no: u16) {
        if let Some(place) = self.place(no)
            && let Stage::Asked(tx) = self.branches[place].stage
            && self.next_flow(t, place)
        {
            t.desk.timers.cancel(Timer::C(self.id, no));
            t.layer.cancel(t.cx, tx, None);
        }
    }

    /// The device's next flow is asked in place of this one (RFC 5626 7).
    fn next_flow(&mut self, t: &mut Turn<'_, '_>, place: usize) -> bool {
        if self.state != State::Forking || self.branches.len() >= limits::PROXY_BRANCHES {
            return false;
        }
        let branch = &mut self.branches[place];
        let Aim::Target {
            beyond: Some(beyond), ..
        } = &mut branch.aim
        else {
            return false;
        };
        let Ok(aim) = aim_of(std::mem::take(&mut beyond.next), self.prepared.is_secure()) else {
            return false;
        };
        // What it may still say is no failure of the device.
        branch.stage = Stage::Done;
        let breadth = branch.breadth;
        self.start(t, aim, breadth);
        true
    }

    /// The proxies on the way to a phone cannot be found by their names: the registration came by a flow that leads there, too.
    fn without_path(&mut self, t: &mut Turn<'_, '_>, place: usize) -> bool {
        let Aim::Target {
            flow: Some(flow),
            beyond: Some(beyond),
            ..
        } = &mut self.branches[place].aim
        else {
            return false;
        };
        if beyond.path.is_empty() || beyond.pathless {
            return false;
        }
        beyond.pathless = true;
        let flow = *flow;
        self.branches[place].stage = Stage::Reaching;
        let owner = self.owner(self.branches[place].no);
        t.layer.reach(t.cx, owner, Destination::Flow(flow));
        true
    }

    fn next_address(&mut self, t: &mut Turn<'_, '_>, place: usize) -> bool {
        let rest = std::mem::take(&mut self.branches[place].rest);
        if rest.is_empty() {
            return false;
        }
        self.branches[place].stage = Stage::Reaching;
        let owner = self.owner(self.branches[place].no);
        t.layer.reach(t.cx, owner, Destination::Targets(rest));
        true
    }

    /// The phone's connection is gone: where its contact says that it listens (RFC 3261 18.1.1), unless it is known to be reached by
    /// its flows only.
    fn without_flow(&mut self, t: &mut Turn<'_, '_>, place: usize) -> bool {
        let next = match &mut self.branches[place].aim {
            Aim::Target { uri, flow, beyond } if flow.is_some_and(|flow| flow.transport.is_reliable()) => {
                let next = uri.as_ref().unwrap_or(&self.prepared.uri).clone();
                let beyond = beyond.get_or_insert_default();
                beyond.lost = true;
                *flow = None;
                // RFC 5626 4.3: what has `ob` is no place to connect to.
                if beyond.outbound || !beyond.path.is_empty() || next.params.get("ob").is_some() {
                    return false;
                }
                next
            }
            Aim::Target { .. } | Aim::User(..) => return false,
        };
        self.branches[place].stage = Stage::Reaching;
        let owner = self.owner(self.branches[place].no);
        t.layer.reach(t.cx, owner, Destination::Uri(next));
        true
    }

    /// RFC 6228 6: a branch failed that had early dialogs, and its failure does not go to the caller now.
    fn tell_ended_dialogs(&mut self, t: &mut Turn<'_, '_>, place: usize, status: u16) {
        let ended = std::mem::take(&mut self.branches[place].early);
        let others = (0..self.branches.len()).any(|other| other != place && self.branches[other].is_pending());
        // After a 6xx those who wait are not asked.
        let goes_on = others || (status < 600 && !self.waiting.is_empty());
        let request = &self.request;
        let reliable = request.has_token(Name::Require, "100rel");
        if !self.is_invite
            || !goes_on
            || self.state != State::Forking
            || reliable
            || !request.has_token(Name::Supported, "199")
        {
            return;
        }
        for tag in ended {
            let mut told = Draft::response(request, 199, Some(&tag)).with_reason("Early Dialog Terminated");
            told.push(Name::Reason, format!("SIP;cause={status}"));
            t.layer.respond(t.cx, self.tx, told);
        }
    }

    /// Every branch is over: the best response goes to the caller (16.7 steps 6 to 9), unless the call is bridged instead.
    pub fn finish(&mut self, t: &mut Turn<'_, '_>) {
        let ending = match self.state {
            State::Ending(ending) => Some(ending),
            State::Forking | State::Answered | State::Closed => None,
        };
        let finals = || {
            self.branches.iter().filter_map(|branch: &Branch| match &branch.stage {
                Stage::Over(last) => Some(&**last),
                Stage::Asking | Stage::Reaching | Stage::Asked(_) | Stage::Proceeding(_) | Stage::Done => None,
            })
        };
        let chosen = match ending {
            Some(Ending::Cancelled) => finals()
                .find(|last| last.status() == 487)
                .cloned()
                .unwrap_or(Final::Own(487)),
            Some(Ending::NoAnswer) => Final::Own(480),
            Some(Ending::Stopped) => Final::Own(503),
            Some(Ending::Declined) | None => best::best(finals()).cloned().unwrap_or(Final::Own(self.nothing_came())),
        };
        let extra = match &chosen {
            Final::Theirs(response) => best::challenges(response, finals()),
            Final::Own(_) => Vec::new(),
        };
        // Whoever did not answer in his time has said what is to become of his calls then.
        let is_provided = ending == Some(Ending::NoAnswer) && self.bridges.contains(&Missed::NoAnswer);
        let not_acceptable = !is_provided && finals().any(|last| last.status() == 488);
        if let Some(missed) = missed(ending, &chosen, not_acceptable).filter(|missed| self.bridges.contains(missed)) {
            self.bridges.clear();
            if self.hand_over(t, missed) {
                return;
            }
        }
        let status = self.send_final(t, &chosen, extra);
        if let Some(call) = self.call.take() {
            t.desk.end_call(t.cx, call, cause_of(ending, status));
        }
        self.within_ends(t, status, None);
        self.close();
    }

    /// 16.7 step 6: what is said where every branch redirected in a circle. The client of another method than INVITE gets no 408 at
    /// all (RFC 4320 4.2).
    const fn nothing_came(&self) -> u16 {
        if self.is_invite { 408 } else { 480 }
    }

    /// Sends the final failure; gives its status.
    fn send_final(&mut self, t: &mut Turn<'_, '_>, chosen: &Final, extra: Vec<(Name, String)>) -> u16 {
        // 16.7 step 6: a 503 says that the whole server is overloaded, which it need not be.
        let status = match (chosen.status(), self.state) {
            (503, State::Forking | State::Answered | State::Closed) => 500,
            (503, State::Ending(Ending::Stopped)) => 503,
            (503, State::Ending(_)) => 500,
            (status, _) => status,
        };
        match chosen {
            Final::Theirs(response) if response.status() == status => t.layer.relay(t.cx, self.tx, response, extra),
            Final::Theirs(_) | Final::Own(_) => {
                let mut response = Draft::response(&self.request, status, Some(&t.cx.tag()));
                response.push(Name::Server, crate::USER_AGENT);
                // RFC 5630 5.3: nobody was asked, since no phone may be called by SIPS.
                let asked = |branch: &Branch| matches!(branch.aim, Aim::Target { .. });
                if status == 480 && self.insecure && !self.branches.iter().any(asked) {
                    response.push(Name::Warning, "380 tandem \"SIPS Not Allowed\"");
                }
                t.layer.respond(t.cx, self.tx, response);
            }
        }
        status
    }

    /// What the outcome of a request within a call's dialog means to the call.
    fn within_ends(&mut self, t: &mut Turn<'_, '_>, status: u16, response: Option<&Message>) {
        let Some(within) = &self.within else { return };
        match (self.request.method(), response) {
            // One that was only asked for credentials comes again.
            (Method::Bye, _) if !matches!(status, 401 | 407) => t.desk.call_hung_up(t.cx, within),
            (Method::Invite | Method::Update, Some(response)) => t.desk.call_refreshed(t.cx, within.call, response),
            (_other, _) => {}
        }
    }
}

/// Why nobody has the call, as far as that is a reason to bridge it. `not_acceptable` where a phone said 488: bridged, it could take the
/// call, whatever the others said, unless one declined for all of them. Else a challenge and a redirection are for the caller.
fn missed(ending: Option<Ending>, chosen: &Final, not_acceptable: bool) -> Option<Missed> {
    match (ending, chosen) {
        (Some(Ending::Cancelled | Ending::Stopped), _) => None,
        (Some(Ending::NoAnswer) | None, _) if not_acceptable => Some(Missed::Media),
        (Some(Ending::NoAnswer), _) => Some(Missed::NoAnswer),
        (Some(Ending::Declined) | None, Final::Own(480 | 503)) => Some(Missed::Offline),
        (Some(Ending::Declined) | None, last) => match last.status() {
            488 | 606 => Some(Missed::Media),
            486 | 600 | 603 => Some(Missed::Busy),
            300..=399 | 401 | 407 => None,
            _other => Some(Missed::NoAnswer),
        },
    }
}

fn cause_of(ending: Option<Ending>, status: u16) -> Cause {
    let mut cause = match ending {
        Some(Ending::Cancelled) => Cause::of_status(487, Blame::Caller, "the caller gave up"),
        Some(Ending::NoAnswer) => Cause::of_status(480, Blame::Callee, "nobody answered in time"),
        Some(Ending::Stopped) => Cause::of_status(503, Blame::Node, "the node is stopped"),
        Some(Ending::Declined) | None => Cause::of_status(status, Blame::Callee, "the call was not taken"),
    };
    match ending {
        Some(Ending::Cancelled) => cause.q850 = q850::NORMAL_CLEARING,
        Some(Ending::NoAnswer) => cause.q850 = NO_ANSWER,
        Some(Ending::Stopped | Ending::Declined) | None => {}
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_nobody_took_goes_on_where_the_user_wants() {
        let theirs = |status: u16| {
            Message::parse(Bytes::from(format!("SIP/2.0 {status} x\r\n\r\n")))
                .map(Final::Theirs)
                .unwrap()
        };
        for (ending, last, expected) in [
            (None, theirs(488), Some(Missed::Media)),
            (Some(Ending::Declined), theirs(606), Some(Missed::Media)),
            (None, theirs(486), Some(Missed::Busy)),
            (Some(Ending::Declined), theirs(603), Some(Missed::Busy)),
            (None, Final::Own(480), Some(Missed::Offline)),
            (None, Final::Own(503), Some(Missed::Offline)),
            (None, Final::Own(408), Some(Missed::NoAnswer)),
            (None, theirs(480), Some(Missed::NoAnswer)),
            (Some(Ending::NoAnswer), Final::Own(480), Some(Missed::NoAnswer)),
            (None, theirs(407), None),
            (None, theirs(302), None),
            (Some(Ending::Cancelled), theirs(487), None),
            (Some(Ending::Stopped), Final::Own(503), None),
        ] {
            let with_another = match ending {
                Some(Ending::NoAnswer) | None => Some(Missed::Media),
                Some(Ending::Cancelled | Ending::Stopped | Ending::Declined) => expected,
            };
            let got = [last.status() == 488, true].map(|not_acceptable| missed(ending, &last, not_acceptable));
            assert_eq!(got, [expected, with_another], "{ending:?} {}", last.status());
        }
    }
}
