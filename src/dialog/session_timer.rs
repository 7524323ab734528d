//! Session timers (RFC 4028): both sides agree on an interval and on who refreshes; a session that nobody refreshes ends.
//!
//! ```text
//!                  2xx to INVITE or UPDATE, either direction
//!        +-----+ ------------------------------------------> +---------+
//!        | Off |                                             | Running | --+ 2xx: the interval
//!        +-----+                                             +---------+ <-+ begins again
//!                     interval/2, if we refresh: Due::Refresh  |     |
//!                                                              |     | interval - min(32 s, interval/3):
//!                                                              v     v
//!                                                 INVITE or UPDATE   Due::Expired: BYE
//! ```

use super::add_token;
use crate::sip::{Draft, Message, Name};
use crate::time::Instant;
use std::fmt;
use std::time::Duration;

/// The smallest interval that anybody may demand, in seconds, and the Min-SE of a message that has none (RFC 4028 5).
pub const SMALLEST: u32 = 90;
/// How long after a refresh was refused the next is tried.
const RETRY: Duration = Duration::from_secs(10);

/// Who refreshes, named by the roles in the transaction that says so (RFC 4028 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answered it.
    Uas,
}

/// `Session-Expires: 1800;refresher=uac` (RFC 4028 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// In seconds.
    pub interval: u32,
    /// `refresher`.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads the field; one that is no number counts as absent (RFC 4028 has no error for it).
    pub fn of(message: &Message) -> Option<SessionExpires> {
        let interval = message.number(Name::SessionExpires)?.ok()?;
        let text = message.get(Name::SessionExpires)?;
        let named = text.split(';').skip(1).find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim())
        });
        let refresher = named.and_then(|value| match value {
            _ if value.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            _ if value.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        });
        Some(SessionExpires { interval, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refresher {
            None => write!(f, "{}", self.interval),
            Some(Refresher::Uac) => write!(f, "{};refresher=uac", self.interval),
            Some(Refresher::Uas) => write!(f, "{};refresher=uas", self.interval),
        }
    }
}

/// A request asks for a shorter interval than we allow: answer 422 with this Min-SE (RFC 4028 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// Our minimum, in seconds.
    pub min_se: u32,
}

impl TooSmall {
    /// Adds Min-SE to the 422.
    pub fn write(&self, response: &mut Draft) {
        response.set(Name::MinSe, self.min_se);
    }
}

/// What time brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Half the interval is over: send UPDATE (if the peer allows it) or re-INVITE.
    Refresh,
    /// Nobody refreshed: send BYE.
    Expired,
}

/// The session timer of one dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// The interval that we would like, in seconds.
    wanted: u32,
    /// The shortest that we accept.
    minimum: u32,
    /// The largest Min-SE of 422s and requests so far (RFC 4028 7.4).
    min_se: Option<u32>,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Running {
    interval: u32,
    we_refresh: bool,
    peer_supports: bool,
    expires: Instant,
    refresh: Option<Instant>,
}

impl SessionTimer {
    /// Off at first. `calls.session_expires` and `calls.min_session_expires` of the configuration; nothing below 90 s is used.
    pub fn new(expires: Duration, minimum: Duration) -> SessionTimer {
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let minimum = seconds(minimum).max(SMALLEST);
        SessionTimer {
            wanted: seconds(expires).max(minimum),
            minimum,
            min_se: None,
            running: None,
        }
    }

    /// True while a session timer is in force and it is ours to refresh.
    pub fn we_refresh(&self) -> bool {
        self.running.is_some_and(|running| running.we_refresh)
    }

    /// Client: the fields of an INVITE or UPDATE that we send (RFC 4028 7.1, 7.4).
    pub fn write_request(&self, request: &mut Draft) {
        add_token(request, Name::Supported, "timer");
        let refresher = self
            .running
            .and_then(|running| match (running.we_refresh, running.peer_supports) {
                (true, _) => Some(Refresher::Uac),
                (false, true) => Some(Refresher::Uas),
                (false, false) => None,
            });
        request.set(
            Name::SessionExpires,
            SessionExpires {
                interval: self.asked(),
                refresher,
            },
        );
        let min_se = self.min_se.map_or(self.minimum, |seen| seen.max(self.minimum));
        if self.min_se.is_some() || min_se > SMALLEST {
            request.set(Name::MinSe, min_se);
        }
    }

    /// Client: a 2xx to our INVITE or UPDATE (RFC 4028 7.2). A peer that says nothing of timers leaves the refreshing to us.
    pub fn on_success(&mut self, now: Instant, response: &Message) {
        let supports = response.has_token(Name::Require, "timer") || response.has_token(Name::Supported, "timer");
        let (interval, we_refresh) = match SessionExpires::of(response) {
            Some(agreed) => (agreed.interval, agreed.refresher != Some(Refresher::Uas)),
            None => (self.asked(), true),
        };
        self.start(now, interval, we_refresh, supports);
    }

    /// Client: a 422 to our INVITE or UPDATE (RFC 4028 7.3). True: send the request again, with new fields; false: it would be
    /// refused again.
    pub fn on_too_small(&mut self, response: &Message) -> bool {
        let Some(Ok(min_se)) = response.number(Name::MinSe) else {
            return false;
        };
        if min_se <= self.asked() {
            return false;
        }
        self.min_se = Some(min_se);
        true
    }

    /// Client: our refresh got a final response that neither refreshed the session nor ended the dialog: it is tried again
    /// before the session expires.
    pub fn on_refresh_failed(&mut self, now: Instant) {
        if let Some(running) = self.running.as_mut().filter(|running| running.we_refresh) {
            running.refresh = Some(now + RETRY);
        }
    }

    /// Server: judges an INVITE or UPDATE before anything else is done with it (RFC 4028 9).
    pub fn judge(&mut self, request: &Message) -> Result<(), TooSmall> {
        if let Some(Ok(min_se)) = request.number(Name::MinSe) {
            self.min_se = Some(self.min_se.map_or(min_se, |seen| seen.max(min_se)));
        }
        let supports = request.has_token(Name::Supported, "timer");
        match SessionExpires::of(request) {
            Some(asked) if supports && asked.interval < self.minimum => Err(TooSmall { min_se: self.minimum }),
            Some(_) | None => Ok(()),
        }
    }

    /// Server: adds to the 2xx of an INVITE or UPDATE what is agreed, and begins the interval (RFC 4028 9, table 2). A peer that
    /// leaves the choice refreshes itself, from behind whatever NAT it has.
    pub fn answer(&mut self, now: Instant, request: &Message, response: &mut Draft) {
        let supports = request.has_token(Name::Supported, "timer");
        let asked = SessionExpires::of(request);
        let floor = request
            .number(Name::MinSe)
            .and_then(Result::ok)
            .unwrap_or(SMALLEST)
            .max(SMALLEST);
        let ours = self.wanted.max(floor);
        let interval = asked.map_or(ours, |asked| asked.interval.min(ours)).max(SMALLEST);
        let kept = match self.running {
            Some(running) if running.we_refresh => Refresher::Uas,
            Some(_) | None => Refresher::Uac,
        };
        let refresher = match (supports, asked.and_then(|asked| asked.refresher)) {
            (false, _) => Refresher::Uas,
            (true, None) => kept,
            (true, Some(named)) => named,
        };
        add_token(response, Name::Supported, "timer");
        if supports {
            add_token(response, Name::Require, "timer");
        }
        response.set(
            Name::SessionExpires,
            SessionExpires {
                interval,
                refresher: Some(refresher),
            },
        );
        self.start(now, interval, refresher == Refresher::Uas, supports);
    }

    /// When `poll` has something.
    pub fn next_deadline(&self) -> Option<Instant> {
        let running = self.running?;
        Some(
            running
                .refresh
                .map_or(running.expires, |refresh| refresh.min(running.expires)),
        )
    }

    /// What is due at `now`. `Refresh` comes once; then a 2xx or [`SessionTimer::on_refresh_failed`] is awaited.
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        let running = self.running.as_mut()?;
        if now >= running.expires {
            self.running = None;
            return Some(Due::Expired);
        }
        running.refresh.take_if(|at| now >= *at).map(|_| Due::Refresh)
    }

    /// The interval that our next request asks for.
    fn asked(&self) -> u32 {
        self.running
            .map_or(self.wanted, |running| running.interval)
            .max(self.min_se.unwrap_or(SMALLEST))
    }

    fn start(&mut self, now: Instant, interval: u32, we_refresh: bool, peer_supports: bool) {
        let interval = interval.max(SMALLEST);
        let whole = Duration::from_secs(interval.into());
        self.running = Some(Running {
            interval,
            we_refresh,
            peer_supports,
            expires: now + whole.saturating_sub(Duration::from_secs(32).min(whole / 3)),
            refresh: we_refresh.then(|| now + whole / 2),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::tests::{message, request};
    use crate::sip::Method;

    fn timer() -> SessionTimer {
        SessionTimer::new(Duration::from_secs(1800), Duration::from_secs(90))
    }

    fn seconds(at: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(at)
    }

    /// An INVITE with these lines more.
    fn invite(lines: &str) -> Message {
        let text = String::from_utf8_lossy(request("INVITE", 7, "").bytes())
            .replace("\r\nCall-ID", &format!("\r\n{lines}Call-ID"));
        message(&text)
    }

    fn response(status: u16, lines: &[(Name, &str)]) -> Message {
        let mut draft = Draft::response(&request("INVITE", 7, ""), status, Some("l"));
        for (name, value) in lines {
            draft.push(*name, value);
        }
        draft.to_message().unwrap()
    }

    fn written(timer: &SessionTimer) -> (Option<String>, Option<String>) {
        let mut draft = Draft::request(Method::Invite, request("INVITE", 7, "").request_uri().unwrap());
        draft.push(Name::Supported, "100rel");
        timer.write_request(&mut draft);
        assert_eq!(draft.get(Name::Supported), Some("100rel, timer"));
        (
            draft.get(Name::SessionExpires).map(str::to_owned),
            draft.get(Name::MinSe).map(str::to_owned),
        )
    }

    /// What a timer that is off answers: Session-Expires, Require, and whether we refresh.
    fn answered(lines: &str) -> (String, bool, bool) {
        let (mut timer, request) = (timer(), invite(lines));
        assert_eq!(timer.judge(&request), Ok(()));
        let mut draft = Draft::response(&request, 200, Some("l"));
        timer.answer(Instant::ZERO, &request, &mut draft);
        let agreed = draft.get(Name::SessionExpires).unwrap().to_owned();
        (agreed, draft.get(Name::Require) == Some("timer"), timer.we_refresh())
    }

    #[test]
    fn the_server_side_follows_table_2() {
        let uas = |interval: &str| (format!("{interval};refresher=uas"), false, true);
        assert_eq!(answered(""), uas("1800"));
        assert_eq!(answered("Session-Expires: 600\r\n"), uas("600"));
        let agreed =
            |interval: &str, refresher: &str| (format!("{interval};refresher={refresher}"), true, refresher == "uas");
        assert_eq!(answered("Supported: timer\r\n"), agreed("1800", "uac"));
        assert_eq!(answered("k: timer\r\nx: 3600;refresher=uas\r\n"), agreed("1800", "uas"));
        assert_eq!(
            answered("Supported: timer\r\nSession-Expires: 600 ; refresher=UAC\r\n"),
            agreed("600", "uac")
        );
        assert_eq!(
            answered("Supported: timer\r\nSession-Expires: 3600\r\nMin-SE: 2400\r\n"),
            agreed("2400", "uac")
        );
    }

    #[test]
    fn too_small_an_interval_is_refused_with_ours_unless_the_peer_would_not_understand() {
        let mut timer = timer();
        let mut draft = Draft::response(&request("INVITE", 7, ""), 422, Some("l"));
        timer
            .judge(&invite("Supported: timer\r\nSession-Expires: 60\r\n"))
            .unwrap_err()
            .write(&mut draft);
        assert_eq!(draft.get(Name::MinSe), Some("90"));
        assert_eq!(timer.judge(&invite("Session-Expires: 60\r\n")), Ok(()));
    }

    #[test]
    fn the_refresher_refreshes_at_half_and_both_give_up_before_the_end() {
        let mut ours = timer();
        ours.on_success(
            Instant::ZERO,
            &response(
                200,
                &[(Name::SessionExpires, "1800;refresher=uac"), (Name::Require, "timer")],
            ),
        );
        assert_eq!(ours.next_deadline(), Some(seconds(900)));
        assert_eq!(
            (
                ours.poll(seconds(899)),
                ours.poll(seconds(900)),
                ours.poll(seconds(900))
            ),
            (None, Some(Due::Refresh), None)
        );
        ours.on_refresh_failed(seconds(901));
        assert_eq!(ours.poll(seconds(911)), Some(Due::Refresh));
        assert_eq!(ours.next_deadline(), Some(seconds(1768)), "32 s before 1800 s");
        assert_eq!(
            (ours.poll(seconds(1768)), ours.next_deadline()),
            (Some(Due::Expired), None)
        );

        let mut theirs = timer();
        theirs.on_success(
            Instant::ZERO,
            &response(200, &[(Name::SessionExpires, "90;refresher=uas")]),
        );
        assert_eq!(theirs.next_deadline(), Some(seconds(60)), "a third before 90 s");
        theirs.on_refresh_failed(seconds(1));
        assert_eq!(theirs.next_deadline(), Some(seconds(60)), "we do not refresh");
    }

    #[test]
    fn the_roles_stay_over_a_refresh_in_either_direction() {
        let mut timer = timer();
        timer.on_success(
            Instant::ZERO,
            &response(
                200,
                &[(Name::SessionExpires, "600;refresher=uac"), (Name::Supported, "timer")],
            ),
        );
        assert_eq!(written(&timer).0.as_deref(), Some("600;refresher=uac"));
        let request = invite("Supported: timer\r\nSession-Expires: 600\r\n");
        let mut draft = Draft::response(&request, 200, Some("l"));
        timer.answer(seconds(10), &request, &mut draft);
        assert_eq!(draft.get(Name::SessionExpires), Some("600;refresher=uas"));
        assert_eq!(timer.next_deadline(), Some(seconds(310)));
        timer.on_success(
            seconds(20),
            &response(
                200,
                &[(Name::SessionExpires, "600;refresher=uas"), (Name::Supported, "timer")],
            ),
        );
        assert_eq!(written(&timer).0.as_deref(), Some("600;refresher=uas"));
    }

    #[test]
    fn a_peer_without_timer_is_refreshed_by_us() {
        let mut timer = timer();
        assert_eq!(written(&timer), (Some("1800".to_owned()), None));
        timer.on_success(Instant::ZERO, &response(200, &[]));
        assert!(timer.we_refresh());
        assert_eq!(timer.next_deadline(), Some(seconds(900)));
        assert_eq!(written(&timer).0.as_deref(), Some("1800;refresher=uac"));
    }

    #[test]
    fn a_422_raises_what_is_asked_for_once() {
        let mut timer = timer();
        let refusal = response(422, &[(Name::MinSe, "3600")]);
        assert!(timer.on_too_small(&refusal));
        assert_eq!(written(&timer), (Some("3600".to_owned()), Some("3600".to_owned())));
        assert!(!timer.on_too_small(&refusal), "the same again would be refused again");
        assert!(!timer.on_too_small(&response(422, &[])));
    }

    #[test]
    fn nobody_is_made_to_refresh_all_the_time() {
        let mut timer = SessionTimer::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(written(&timer).0.as_deref(), Some("90"));
        timer.on_success(
            Instant::ZERO,
            &response(200, &[(Name::SessionExpires, "1;refresher=uac")]),
        );
        assert_eq!(timer.next_deadline(), Some(seconds(45)));
    }
}
