//! The peers' transactions: retransmission, and answers for retransmissions (RFC 3261 17, in its plainest form).

use super::{Agent, Ctx, Timer, Wire};
use crate::digest;
use crate::message::Msg;
use bytes::Bytes;
use std::time::Duration;
use tandem::time::Instant;

/// T1 and T2 of RFC 3261 17.1.1.1.
pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
/// 64 * T1.
pub(super) const LONG: Duration = Duration::from_secs(32);

/// Why a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The INVITE that makes a call.
    Invite(usize),
    /// An INVITE within a call.
    Change(usize),
    /// Any other request of a call.
    InCall(usize),
    /// CANCEL.
    Cancel,
    /// REGISTER.
    Register,
    /// Any request outside of calls, written by the script.
    Loose,
}

/// One client transaction.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) purpose: Purpose,
    pub(super) request: Msg,
    pub(super) wire: Wire,
    bytes: Bytes,
    interval: Duration,
    due: Instant,
    ends: Instant,
    /// The last response's status.
    pub(super) status: u16,
    /// The ACK of an INVITE's final response, for retransmissions.
    pub(super) ack: Option<(Wire, Bytes)>,
    authorised: bool,
}

impl Client {
    pub(super) fn is_open(&self) -> bool {
        self.status < 200
    }

    fn is_invite(&self) -> bool {
        self.request.is("INVITE")
    }
}

/// What was answered to one request.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) wire: Wire,
    pub(super) last: Option<Bytes>,
    pub(super) since: Instant,
}

impl Agent {
    /// Puts Via in front, sends a request and takes care of its retransmission. Gives the branch.
    pub(super) fn start(&mut self, cx: &mut Ctx<'_>, wire: Wire, purpose: Purpose, mut request: Msg) -> String {
        let (via, branch) = self.via(wire);
        request.headers.insert(0, ("Via".into(), via));
        self.start_as(cx, wire, purpose, request, &branch);
        branch
    }

    /// The same for a request that has its Via already.
    pub(super) fn start_as(&mut self, cx: &mut Ctx<'_>, wire: Wire, purpose: Purpose, request: Msg, branch: &str) {
        let bytes = request.write();
        self.note(cx.now, true, &request);
        cx.send(wire, bytes.clone());
        let key = key(branch, request.method());
        let due = cx.now + T1;
        let client = Client {
            purpose,
            request,
            wire,
            bytes,
            interval: T1,
            due,
            ends: cx.now + LONG,
            status: 0,
            ack: None,
            authorised: false,
        };
        self.clients.insert(key.clone(), client);
        cx.wake(T1, Timer::Client(key));
    }

    pub(super) fn client_timer(&mut self, cx: &mut Ctx<'_>, key: &str) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if cx.now < client.due {
            return;
        }
        if cx.now >= client.ends {
            let client = self.clients.remove(key).expect("it was just there");
            if client.is_open() && !(client.is_invite() && client.status > 0) {
                self.timed_out(cx, &client);
            }
            return;
        }
        let repeats =
            matches!(client.wire, Wire::Udp(_)) && client.is_open() && !(client.is_invite() && client.status > 0);
        if repeats {
            cx.send(client.wire, client.bytes.clone());
            let grown = client.interval * 2;
            client.interval = if client.is_invite() { grown } else { grown.min(T2) };
        } else {
            client.interval = LONG;
        }
        client.due = (cx.now + client.interval).min(client.ends);
        let after = client.due.since(cx.now);
        // A ringing INVITE may take minutes: its transaction lives as long as the call rings.
        if client.is_invite() && client.status > 0 && client.is_open() {
            client.ends = cx.now + LONG * 2;
        }
        cx.wake(after, Timer::Client(key.to_owned()));
    }

    /// A stream broke: requests without an answer are sent again, over a new one.
    pub fn stream_broken(&mut self, cx: &mut Ctx<'_>, wire: Wire) {
        for client in self
            .clients
            .values()
            .filter(|client| client.wire == wire && client.status == 0)
        {
            cx.send(wire, client.bytes.clone());
        }
    }

    fn timed_out(&mut self, cx: &mut Ctx<'_>, client: &Client) {
        match client.purpose {
            Purpose::Invite(call) => self.ended(cx, call, 408),
            Purpose::Change(call) => self.calls[call].pending_change = None,
            Purpose::InCall(call) => {
                if client.request.is("BYE") {
                    self.ended(cx, call, 408);
                }
                self.calls[call].answers.push((client.request.method().to_owned(), 408));
            }
            Purpose::Register => self.registration.last_status = 408,
            Purpose::Cancel | Purpose::Loose => {}
        }
    }

    pub(super) fn response_in(&mut self, cx: &mut Ctx<'_>, response: Msg) {
        let key = key(&response.branch(), response.method());
        let Some(client) = self.clients.get_mut(&key) else {
            return self.complain_unless_late(&response);
        };
        let status = response.status();
        let was_final = !client.is_open();
        client.status = client.status.max(status);
        if was_final {
            // A retransmission of a final response: its ACK is repeated.
            if let (true, Some((wire, ack))) = (client.is_invite(), client.ack.clone()) {
                cx.send(wire, ack);
            } else if client.is_invite() && status / 100 == 2 {
                self.invite_response(cx, &key, response);
            }
            return;
        }
        if status >= 200 {
            client.ends = cx.now + LONG;
            client.due = client.ends;
            cx.wake(LONG, Timer::Client(key.clone()));
        }
        if (status == 401 || status == 407) && self.retry_with_credentials(cx, &key, &response) {
            return;
        }
        let purpose = self.clients[&key].purpose.clone();
        match purpose {
            Purpose::Invite(_) => self.invite_response(cx, &key, response),
            Purpose::Change(_) => self.change_response(cx, &key, response),
            Purpose::InCall(call) => self.in_call_response(cx, call, &key, response),
            Purpose::Register => self.register_response(cx, response),
            Purpose::Cancel | Purpose::Loose => {}
        }
    }

    fn complain_unless_late(&mut self, response: &Msg) {
        // A transaction of ours may be over when a copy of its response arrives; one that never was is a fault.
        let ours = response.branch().starts_with(&format!("z9hG4bK-{}-", self.name));
        if !ours {
            self.complain(format!("a response to nothing: {}", response.start));
        }
    }

    /// Repeats a request with credentials (RFC 3261 22.2): a new branch, the next CSeq.
    fn retry_with_credentials(&mut self, cx: &mut Ctx<'_>, key: &str, response: &Msg) -> bool {
        let client = &self.clients[key];
        if self.password.is_empty()
            || client.authorised
            || !matches!(client.purpose, Purpose::Register) && response.status() == 0
        {
            return false;
        }
        let (ask, give) = if response.status() == 401 {
            ("WWW-Authenticate", "Authorization")
        } else {
            ("Proxy-Authenticate", "Proxy-Authorization")
        };
        let Some(challenge) = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(ask)) else {
            return false;
        };
        let challenge = challenge.1.clone();
        let (mut request, wire, purpose) = (client.request.clone(), client.wire, client.purpose.clone());
        let stale = digest::field(&challenge, "stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        if request.get(give).is_some() && !stale {
            return false;
        }
        if request.is("INVITE") {
            self.ack_failure(cx, key, response);
        }
        request.headers.remove(0);
        request.remove(give);
        let credentials = digest::answer(
            &challenge,
            &self.user,
            &self.password,
            request.method(),
            request.uri(),
            1,
        );
        request.headers.push((give.into(), credentials));
        let cseq = request.cseq().0 + 1;
        let method = request.method().to_owned();
        request.set("CSeq", &format!("{cseq} {method}"));
        if let Purpose::Invite(call) | Purpose::Change(call) | Purpose::InCall(call) = purpose {
            self.calls[call].cseq = self.calls[call].cseq.max(cseq);
        }
        let branch = self.start(cx, wire, purpose.clone(), request.clone());
        match purpose {
            Purpose::Invite(call) => {
                self.calls[call].invite = self.clients[&self::key(&branch, "INVITE")].request.clone();
            }
            Purpose::Change(call) => self.calls[call].pending_change = Some(cseq),
            Purpose::Loose => {
                self.retried
                    .insert(key.to_owned(), self::key(&branch, request.method()));
            }
            Purpose::InCall(_) | Purpose::Cancel => {}
            Purpose::Register => self.registration.cseq = cseq,
        }
        true
    }

    /// The ACK of a failed INVITE: same branch (RFC 3261 17.1.1.3).
    pub(super) fn ack_failure(&mut self, cx: &mut Ctx<'_>, key: &str, response: &Msg) {
        let client = self.clients.get_mut(key).expect("the transaction of the response");
        let mut ack = Msg::request("ACK", client.request.uri());
        let via = client.request.all("Via")[0].to_owned();
        ack.push("Via", &via);
        for name in ["Route", "Max-Forwards", "From", "Call-ID"] {
            for (n, value) in client.request.headers.iter().filter(|(n, _)| n == name) {
                ack.push(n, value);
            }
        }
        ack.push("To", response.text("To"));
        ack.push("CSeq", &format!("{} ACK", client.request.cseq().0));
        let bytes = ack.write();
        client.ack = Some((client.wire, bytes.clone()));
        let wire = client.wire;
        self.note(cx.now, true, &ack);
        cx.send(wire, bytes);
    }

    /// Answers a request and remembers the answer for its retransmissions.
    pub(super) fn reply(&mut self, cx: &mut Ctx<'_>, request: &Msg, response: Msg) {
        let key = (request.branch(), request.method().to_owned());
        let bytes = response.write();
        let Some(served) = self.served.get_mut(&key) else {
            return;
        };
        served.last = Some(bytes.clone());
        let wire = served.wire;
        self.note(cx.now, true, &response);
        cx.send(wire, bytes);
    }

    /// Forgets what was answered to requests that nobody repeats any more.
    pub fn forget_served(&mut self, now: Instant) {
        self.served.retain(|_, served| now.since(served.since) < LONG * 2);
    }

    /// True for a retransmission, which is answered here.
    pub(super) fn is_copy(&mut self, cx: &mut Ctx<'_>, from: Wire, request: &Msg) -> bool {
        let key = (request.branch(), request.method().to_owned());
        if let Some(served) = self.served.get(&key) {
            if let Some(last) = &served.last {
                cx.send(from, last.clone());
            }
            return true;
        }
        if self.served.len() >= self.served_bound {
            self.served_bound = self.served.len() * 2;
            self.forget_served(cx.now);
        }
        self.served.insert(
            key,
            Served {
                wire: from,
                last: None,
                since: cx.now,
            },
        );
        false
    }
}

/// A transaction's key: a CANCEL has the branch of its INVITE.
pub(super) fn key(branch: &str, method: &str) -> String {
    let method = if method == "ACK" { "INVITE" } else { method };
    format!("{branch} {method}")
}
