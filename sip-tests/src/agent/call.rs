//! One call of a peer: its dialog, and the requests within it.

use super::transaction::{LONG, Purpose, T1, T2};
use super::{Agent, Ctx, Timer, Wire};
use crate::description::{self, Description};
use crate::message::{self, Msg};
use crate::tone::Voice;
use bytes::Bytes;
use std::time::Duration;
use tandem::time::Instant;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// INVITE sent or received, nothing more than 100.
    Calling,
    /// A provisional response above 100.
    Ringing,
    /// 2xx sent or received.
    Up,
    /// Over, with the status that ended it (200: BYE).
    Ended(u16),
}

/// What a re-INVITE or UPDATE is to change.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Our new direction.
    pub direction: Option<&'static str>,
    /// Hold as in RFC 2543: `c=0.0.0.0`.
    pub zero_address: bool,
    /// Another RTP port.
    pub new_port: bool,
    /// Other formats.
    pub formats: Option<Vec<description::Format>>,
    /// Without an offer.
    pub no_offer: bool,
    /// The same description again (session refresh).
    pub same: bool,
    /// More header lines.
    pub lines: Vec<String>,
}

/// A response that is repeated until it is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Repeated {
    pub(super) bytes: Bytes,
    pub(super) status: u16,
    pub(super) interval: Duration,
    pub(super) since: Instant,
    pub(super) rseq: u32,
}

/// One call.
pub struct Call {
    /// We called.
    pub outgoing: bool,
    /// Where it is.
    pub state: State,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The other side's tag.
    pub remote_tag: String,
    /// Our From or To without tag.
    pub local: String,
    /// The other side's.
    pub remote: String,
    /// The remote target: the URI of its Contact.
    pub target: String,
    /// The route set.
    pub routes: Vec<String>,
    /// Our last CSeq.
    pub cseq: u32,
    /// Its last CSeq.
    pub remote_cseq: u32,
    /// The INVITE that began it, as sent or received.
    pub invite: Msg,
    /// The final and provisional statuses of that INVITE, in order.
    pub statuses: Vec<u16>,
    /// Final responses to our requests within the call, by method.
    pub answers: Vec<(String, u16)>,
    /// Requests of the other side within the call, by method.
    pub requests: Vec<String>,
    /// Our SDP.
    pub sdp: Description,
    /// We hold: what we answer does not receive either (RFC 3264 8.4).
    pub holding: bool,
    /// Its SDP.
    pub remote_sdp: Option<Description>,
    /// The ACK of our 2xx has come.
    pub acked: bool,
    /// When it was answered.
    pub up_since: Option<Instant>,
    /// The `Reason` of the BYE or CANCEL that ended it.
    pub reason: Option<String>,
    /// Bodies of NOTIFYs.
    pub notified: Vec<String>,
    /// Its media.
    pub voice: Option<Voice>,
    /// The streams of a recording server.
    pub recorded: Vec<Voice>,
    /// Copies of 2xx that came without our ACK having been sent.
    pub repeated_answers: usize,
    pub(super) cancel_wanted: bool,
    pub(super) cancel_sent: bool,
    pub(super) invite_key: String,
    pub(super) pending_change: Option<u32>,
    pub(super) last_change: Option<Change>,
    pub(super) final_response: Option<Repeated>,
    pub(super) reliable: Option<Repeated>,
    pub(super) rseq: u32,
    pub(super) served_branch: String,
    pub(super) change_request: Option<Msg>,
}

impl Call {
    pub(super) fn new(outgoing: bool, invite: Msg, local_tag: String, sdp: Description) -> Call {
        let (local, remote) = if outgoing { ("From", "To") } else { ("To", "From") };
        let without_tag = |value: &str| value.split(";tag=").next().unwrap_or_default().to_owned();
        Call {
            outgoing,
            state: State::Calling,
            call_id: invite.call_id().to_owned(),
            local: without_tag(invite.text(local)),
            remote: without_tag(invite.text(remote)),
            local_tag,
            remote_tag: if outgoing {
                String::new()
            } else {
                invite.from_tag().to_owned()
            },
            target: message::uri_of(invite.text("Contact")).to_owned(),
            routes: invite
                .all("Record-Route")
                .iter()
                .map(|route| (*route).to_owned())
                .collect(),
            cseq: if outgoing { invite.cseq().0 } else { 100 },
            remote_cseq: if outgoing { 0 } else { invite.cseq().0 },
            statuses: Vec::new(),
            answers: Vec::new(),
            requests: Vec::new(),
            sdp,
            holding: false,
            remote_sdp: None,
            acked: false,
            up_since: None,
            reason: None,
            notified: Vec::new(),
            voice: None,
            recorded: Vec::new(),
            repeated_answers: 0,
            cancel_wanted: false,
            cancel_sent: false,
            invite_key: String::new(),
            pending_change: None,
            last_change: None,
            final_response: None,
            reliable: None,
            rseq: 0,
            served_branch: invite.branch(),
            change_request: None,
            invite,
        }
    }

    /// True until it is over.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, State::Ended(_))
    }

    /// The last status of one of our requests within the call.
    pub fn answer_to(&self, method: &str) -> Option<u16> {
        self.answers
            .iter()
            .rev()
            .find(|(m, _)| m == method)
            .map(|(_, status)| *status)
    }

    /// A request of ours within the dialog, without Via.
    pub fn request(&self, method: &str, cseq: u32) -> Msg {
        let mut request = Msg::request(method, &self.target);
        for route in &self.routes {
            request.push("Route", route);
        }
        request.push("Max-Forwards", "70");
        request.push("From", &format!("{};tag={}", self.local, self.local_tag));
        let tag = if self.remote_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={}", self.remote_tag)
        };
        request.push("To", &format!("{}{tag}", self.remote));
        request.push("Call-ID", &self.call_id);
        request.push("CSeq", &format!("{cseq} {method}"));
        request
    }
}

impl Agent {
    /// The next hop within a call: its first route, else its target.
    pub(super) fn next_hop(&self, call: usize) -> Wire {
        let call = &self.calls[call];
        let uri = call
            .routes
            .first()
            .map_or(call.target.as_str(), |route| message::uri_of(route));
        wire_of(uri).unwrap_or(self.server)
    }

    /// Sends any request within a call. Gives its CSeq.
    pub fn send_in_call(
        &mut self,
        cx: &mut Ctx<'_>,
        call: usize,
        method: &str,
        lines: &[&str],
        body: Option<&str>,
    ) -> u32 {
        let wire = self.next_hop(call);
        let cseq = self.calls[call].cseq + 1;
        self.calls[call].cseq = cseq;
        let mut request = self.calls[call].request(method, cseq);
        lines.iter().for_each(|line| request.push_line(line));
        if let Some(body) = body {
            request.body = body.to_owned();
        }
        self.start(cx, wire, Purpose::InCall(call), request);
        cseq
    }

    /// Hangs up: CANCEL, BYE or a refusal, whatever fits.
    pub fn hang_up(&mut self, cx: &mut Ctx<'_>, call: usize) {
        let (state, outgoing) = (self.calls[call].state, self.calls[call].outgoing);
        match state {
            State::Ended(_) => {}
            State::Up => self.bye(cx, call),
            State::Calling | State::Ringing if outgoing => self.cancel(cx, call),
            State::Calling | State::Ringing => self.respond(cx, call, 486, false, &[]),
        }
    }

    /// BYE, whatever the state is.
    pub fn bye(&mut self, cx: &mut Ctx<'_>, call: usize) {
        self.send_in_call(cx, call, "BYE", &[], None);
        // A 2xx of ours that is not acknowledged yet is repeated still: only its ACK or the BYE's answer stops that.
        if self.calls[call].final_response.is_none() {
            self.ended(cx, call, 200);
        } else {
            self.calls[call].state = State::Ended(200);
        }
    }

    /// re-INVITE.
    pub fn reinvite(&mut self, cx: &mut Ctx<'_>, call: usize, change: Change) {
        self.change(cx, call, "INVITE", change);
    }

    /// UPDATE (RFC 3311).
    pub fn update(&mut self, cx: &mut Ctx<'_>, call: usize, change: Change) {
        self.change(cx, call, "UPDATE", change);
    }

    fn change(&mut self, cx: &mut Ctx<'_>, call: usize, method: &str, change: Change) {
        let wire = self.next_hop(call);
        let contact = self.contact();
        let supported = self.policy.supported.clone();
        let target = &mut self.calls[call];
        target.cseq += 1;
        let cseq = target.cseq;
        apply(target, &change);
        let mut request = target.request(method, cseq);
        request.push("Contact", &contact);
        request.push("Supported", &supported);
        change.lines.iter().for_each(|line| request.push_line(line));
        if !change.no_offer {
            request = request.with_sdp(&target.sdp.write());
        }
        target.last_change = Some(change);
        let purpose = if method == "INVITE" {
            target.pending_change = Some(cseq);
            Purpose::Change(call)
        } else {
            Purpose::InCall(call)
        };
        self.start(cx, wire, purpose, request);
    }

    pub(super) fn retry_change(&mut self, cx: &mut Ctx<'_>, call: usize) {
        let again = self.calls[call].last_change.clone();
        if let (State::Up, None, Some(change)) = (self.calls[call].state, self.calls[call].pending_change, again) {
            self.reinvite(cx, call, change);
        }
    }

    pub(super) fn refresh(&mut self, cx: &mut Ctx<'_>, call: usize) {
        if self.calls[call].state == State::Up {
            let lines = self
                .policy
                .session
                .iter()
                .map(|session| format!("Session-Expires: {session}"))
                .collect();
            self.reinvite(
                cx,
                call,
                Change {
                    same: true,
                    lines,
                    ..Change::default()
                },
            );
        }
    }

    /// Takes the other side's SDP over, and speaks when there is a tone.
    pub(super) fn remote_sdp(&mut self, cx: &mut Ctx<'_>, call: usize, msg: &Msg) {
        if !msg.has_sdp() {
            return;
        }
        let Some(remote) = Description::read(&msg.body) else {
            return self.complain(format!("SDP that cannot be read: {:?}", msg.body));
        };
        self.calls[call].remote_sdp = Some(remote);
        self.talk(cx, call);
    }

    /// Begins or changes the media of a call.
    pub(super) fn talk(&mut self, cx: &mut Ctx<'_>, call: usize) {
        let (Some(hz), Some(remote)) = (self.tone, self.calls[call].remote_sdp.clone()) else {
            return;
        };
        let hz = hz + self.tone_step * (call % 8) as f32;
        let ssrc = cx.rng.number() as u32;
        let target = &mut self.calls[call];
        match &mut target.voice {
            Some(voice) => {
                voice.port = target.sdp.at.port();
                voice.negotiated(&remote, &target.sdp);
            }
            None => target.voice = Voice::new(target.sdp.at.port(), &remote, &target.sdp, hz, ssrc),
        }
        if let (Some(manners), Some(voice)) = (self.policy.browser, &mut target.voice) {
            voice.browse(manners, &target.sdp, &remote);
        }
        if let Some(voice) = target.voice.as_mut().filter(|voice| !voice.running) {
            voice.running = true;
            cx.wake(voice.interval(), Timer::Voice(call));
        }
    }

    pub(super) fn speak(&mut self, cx: &mut Ctx<'_>, call: usize) {
        let live = self.calls[call].is_live();
        let Some(voice) = self.calls[call].voice.as_mut() else {
            return;
        };
        if !live {
            voice.running = false;
            return;
        }
        let (port, to) = (voice.port, voice.remote);
        for datagram in voice.beside(cx.now) {
            cx.acts.push(super::Act::Media(port, to, datagram));
        }
        if let Some(packet) = voice.next_packet() {
            cx.acts.push(super::Act::Media(port, to, packet));
        }
        cx.wake(voice.interval(), Timer::Voice(call));
    }

    pub(super) fn ended(&mut self, _cx: &mut Ctx<'_>, call: usize, status: u16) {
        let call = &mut self.calls[call];
        if call.is_live() {
            call.state = State::Ended(status);
        }
        call.reliable = None;
    }

    pub(super) fn up(&mut self, cx: &mut Ctx<'_>, call: usize) {
        if self.calls[call].state == State::Up {
            return;
        }
        self.calls[call].state = State::Up;
        self.calls[call].up_since = Some(cx.now);
        if let Some(after) = self.policy.hangup {
            cx.wake(after, Timer::Hangup(call));
        }
    }

    /// The final response of an INVITE is repeated until its ACK comes (RFC 3261 13.3.1.4, 17.2.1).
    pub(super) fn final_timer(&mut self, cx: &mut Ctx<'_>, call: usize) {
        let Some(repeated) = self.calls[call].final_response.as_mut() else {
            return;
        };
        if cx.now.since(repeated.since) >= LONG {
            let status = repeated.status;
            self.calls[call].final_response = None;
            if status < 300 && self.calls[call].is_live() {
                self.complain(format!("no ACK and no BYE came within 64*T1 of our {status}"));
                self.bye(cx, call);
            }
            return;
        }
        repeated.interval = (repeated.interval * 2).min(T2);
        let (bytes, after) = (repeated.bytes.clone(), repeated.interval);
        let wire = self.served_wire(call);
        cx.send(wire, bytes);
        cx.wake(after, Timer::Final(call));
    }

    /// RFC 3262 3: repeated until PRACK comes.
    pub(super) fn reliable_timer(&mut self, cx: &mut Ctx<'_>, call: usize) {
        let Some(repeated) = self.calls[call].reliable.as_mut() else {
            return;
        };
        if cx.now.since(repeated.since) >= LONG {
            self.calls[call].reliable = None;
            return self.complain("no PRACK came within 64*T1 of our reliable provisional response".to_owned());
        }
        repeated.interval *= 2;
        let (bytes, after) = (repeated.bytes.clone(), repeated.interval);
        let wire = self.served_wire(call);
        cx.send(wire, bytes);
        cx.wake(after, Timer::Reliable(call));
    }

    fn served_wire(&self, call: usize) -> Wire {
        let key = (self.calls[call].served_branch.clone(), "INVITE".to_owned());
        self.served.get(&key).map_or(self.server, |served| served.wire)
    }
}

impl Repeated {
    pub(super) fn new(bytes: Bytes, status: u16, now: Instant, rseq: u32) -> Repeated {
        Repeated {
            bytes,
            status,
            interval: T1,
            since: now,
            rseq,
        }
    }
}

/// `sip:user@192.0.2.1:5060;transport=tcp`, `sips:user@192.0.2.1`; `None` where the host is a name.
fn wire_of(uri: &str) -> Option<Wire> {
    let (scheme, rest) = uri
        .split_once(':')
        .filter(|(scheme, _)| matches!(*scheme, "sip" | "sips"))?;
    let lower = rest.to_ascii_lowercase();
    // TLS is a stream as TCP is.
    let tls = scheme == "sips" || lower.contains("transport=tls");
    let tcp = tls || lower.contains("transport=tcp");
    let port = if tls { 5061 } else { 5060 };
    let host = rest.split(';').next()?.rsplit('@').next()?;
    let addr = host
        .parse()
        .ok()
        .or_else(|| Some((host.parse::<std::net::IpAddr>().ok()?, port).into()))?;
    Some(if tcp { Wire::Tcp(addr) } else { Wire::Udp(addr) })
}

fn apply(call: &mut Call, change: &Change) {
    if change.same {
        return;
    }
    call.sdp.version += 1;
    if let Some(direction) = change.direction {
        call.sdp.direction = direction.to_owned();
        call.holding = matches!(direction, "sendonly" | "inactive");
    }
    if let Some(formats) = &change.formats {
        call.sdp.formats = formats.clone();
    }
    if change.new_port {
        let port = call.sdp.at.port() + 10_000;
        call.sdp.at.set_port(port);
    }
    call.sdp.zero = change.zero_address;
}
