//! What happens to members.

use super::Chaos;
use super::plan::{ASKED, DIALLED, KEYS, REFERRED, ROOMS, formats};
use sip_tests::agent::State;
use sip_tests::{CallRef, Change, Msg, Peer, World, ms};

impl Chaos {
    pub fn action(&mut self) {
        match self.rng.below(100) {
            0..32 => self.new_call(),
            32..38 => self.hang_up(),
            38..50 => self.keys(),
            50..62 => self.change(),
            62..69 => self.refer(),
            69..74 => self.attended(),
            74..77 => self.pick_up(),
            77..86 => self.operator(),
            86..91 => self.crash(),
            91..94 => self.watch(),
            94..97 => self.cut_link(),
            97..99 => self.reload(),
            _ => self.node_ends(),
        }
    }

    /// Seldom, since it ends all calls.
    fn node_ends(&mut self) {
        let grace = self.rng.millis(0, 5000);
        match self.rng.below(6) {
            0 => self.w.restart(),
            1 => self.w.stop_and_start(grace),
            _ => {}
        }
    }

    /// Somebody who is not dead.
    fn anybody(&mut self) -> Option<Peer> {
        let peer = *self.rng.pick(&self.peers);
        (!self.w.agents[peer.0].policy.deaf).then_some(peer)
    }

    /// Most who call a room press what they know of its PIN after a while.
    fn new_call(&mut self) {
        let call = if self.rng.chance(0.2) {
            let number = *self.rng.pick(&["+14155553000", "+14155553000", "3001", "102"]);
            self.w.call(self.carrier, number)
        } else {
            let Some(from) = self.anybody() else { return };
            let to = *self.rng.pick(&DIALLED);
            self.w.call(from, to)
        };
        if self.rng.chance(0.8) {
            let (after, media) = (self.rng.millis(1500, 6000), self.media);
            self.w.after(after, move |w| press(w, call, "4711", media));
        }
    }

    fn live(&mut self) -> Option<CallRef> {
        self.w.any_live(&mut self.rng)
    }

    fn up(&mut self) -> Option<CallRef> {
        self.live().filter(|call| self.w.state(*call) == State::Up)
    }

    fn hang_up(&mut self) {
        if let Some(call) = self.live() {
            self.w.hang_up(call);
        }
    }

    fn keys(&mut self) {
        let Some(call) = self.up() else { return };
        let keys = *self.rng.pick(&KEYS);
        press(&mut self.w, call, keys, self.media);
    }

    /// Hold, another codec, another port, no offer: by re-INVITE or UPDATE.
    fn change(&mut self) {
        let Some(call) = self.up() else { return };
        let rng = &mut self.rng;
        let is_hold = rng.chance(0.5);
        let change = Change {
            direction: is_hold.then(|| *rng.pick(&["sendonly", "inactive", "sendrecv", "recvonly"])),
            zero_address: rng.chance(0.1),
            new_port: rng.chance(0.1),
            formats: (!is_hold).then(|| formats(rng)),
            no_offer: rng.chance(0.1),
            ..Change::default()
        };
        if self.rng.chance(0.3) && !change.no_offer {
            self.w.on(call, |agent, cx, call| agent.update(cx, call, change));
        } else {
            self.w.on(call, |agent, cx, call| agent.reinvite(cx, call, change));
        }
    }

    fn refer_to(&mut self, call: CallRef, line: &str) {
        self.w.on(call, |agent, cx, call| {
            agent.send_in_call(cx, call, "REFER", &[line], None);
        });
    }

    /// In a call of two its other side goes to a room; in a room somebody is called, or sent away.
    fn refer(&mut self) {
        let Some(call) = self.up() else { return };
        let to = *self.rng.pick(&REFERRED);
        self.refer_to(call, &format!("Refer-To: <{to}>"));
    }

    /// A place in a room is given to somebody with whom the member talks, or the other way round (RFC 5589 7).
    fn attended(&mut self) {
        let Some(from) = self.up() else { return };
        let to = *self.rng.pick(&["3000", "7001", "carol"]);
        if let Some(line) = self.w.refer_to_another(&mut self.rng, from, to) {
            self.refer_to(from, &line);
        }
    }

    /// Somebody takes over a call that is in a room, or elsewhere (RFC 3891 3).
    fn pick_up(&mut self) {
        let (Some(taken), Some(from)) = (self.live(), self.anybody()) else {
            return;
        };
        let line = format!("Replaces: {}", self.w.replaces(taken));
        self.w.call_with(from, "3000", &[&line, "Require: replaces"]);
    }

    fn operator(&mut self) {
        let (asked, room) = (*self.rng.pick(&ASKED), *self.rng.pick(&ROOMS));
        let lines = self.w.control(&format!("room {room}")).unwrap_or_default();
        let members = lines
            .iter()
            .filter_map(|line| line.strip_prefix("member ")?.split(' ').next());
        let members: Vec<&str> = members.chain(["7"]).collect();
        let member = *self.rng.pick(&members);
        // Whether it is refused is up to the moment.
        let _ = self.w.control(&format!("room {room} {}", asked.replace('N', member)));
    }

    /// Some do so for good.
    fn crash(&mut self) {
        let Some(peer) = self.anybody() else { return };
        self.w.crash(peer);
        if self.rng.chance(0.7) {
            let back = self.rng.millis(500, 40_000);
            self.w.after(back, move |w| w.start_again(peer));
        }
    }

    /// A subscription that its phone forgets, or refuses to be told of (RFC 4575).
    fn watch(&mut self) {
        let Some(from) = self.anybody() else { return };
        let (identity, room) = (self.w.agents[from.0].identity.clone(), *self.rng.pick(&ROOMS));
        let contact = format!("<sip:watch@{}>", self.w.agents[from.0].addr);
        let uri = format!("sip:{room}@example.com");
        let message = Msg::request("SUBSCRIBE", &uri)
            .with("Max-Forwards", "70")
            .with("From", &format!("<{identity}>;tag=w"))
            .with("To", &format!("<{uri}>"))
            .with("Call-ID", &format!("{}@watch", self.rng.token()))
            .with("CSeq", "1 SUBSCRIBE")
            .with("Contact", &contact)
            .with("Event", "conference")
            .with("Expires", "60");
        self.w.act(from.0, |agent, cx| agent.send_loose(cx, message));
    }

    fn cut_link(&mut self) {
        let Some(peer) = self.anybody() else { return };
        let ip = self.w.agents[peer.0].addr.ip();
        self.w.net.link(ip).cut = true;
        let back = self.rng.millis(100, 20_000);
        self.w
            .after(back, move |w| w.net.link(ip).cut = w.agents[peer.0].policy.deaf);
    }
}

/// Keys of a call that is up: by telephone-event, or without RTP by INFO, one every 150 ms.
fn press(w: &mut World, call: CallRef, keys: &'static str, media: bool) {
    if w.state(call) != State::Up {
        return;
    }
    if media {
        if let Some(voice) = w.agents[call.peer.0].calls[call.call].voice.as_mut() {
            voice.dial(keys);
        }
        return;
    }
    for (n, key) in (0u64..).zip(keys.chars()) {
        w.after(ms(150 * n), move |w| {
            if w.state(call) == State::Up {
                let body = format!("Signal={key}\r\nDuration=100\r\n");
                let lines = ["Content-Type: application/dtmf-relay"];
                w.on(call, |agent, cx, call| {
                    agent.send_in_call(cx, call, "INFO", &lines, Some(&body));
                });
            }
        });
    }
}
