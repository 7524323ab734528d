//! The user agent of a client, which asks nobody: what waits for the client is answered when it is taken back, and when the call is over.

use super::bench::{ANSWER, OFFER, config};
use crate::api::line::{Lines, Told};
use crate::config::Config;
use crate::cx::{ChaCha12Rng, Cx, SeedableRng, Tickets};
use crate::effect::Output;
use crate::id::Flow;
use crate::keyed;
use crate::sip::{Draft, Message, Name, Uri};
use crate::time::{Instant, Wall};
use crate::transaction::Event;
use std::collections::VecDeque;
use std::sync::Arc;

struct Scene {
    lines: Lines,
    config: Arc<Config>,
    rng: ChaCha12Rng,
    tickets: Tickets,
    out: VecDeque<Output>,
    /// Of the client.
    tag: String,
}

impl Scene {
    fn with<R>(&mut self, work: impl FnOnce(&mut Lines, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now: Instant::ZERO,
            wall: Wall(1_800_000_000_000),
            rng: &mut self.rng,
            config: &self.config,
            out: &mut self.out,
            tickets: &mut self.tickets,
            marker: &crate::marker::Marker::UNKEYED,
        };
        work(&mut self.lines, &mut cx)
    }

    /// The node says this; what comes of it.
    fn say(&mut self, method: &str, (cseq, branch): (u32, u32), body: &str) -> Event {
        let text = format!(
            "{method} sip:client@client.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/WSS 192.0.2.1:8445;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>{}\r\nCall-ID: c\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:tandem@192.0.2.1:8445;transport=ws>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.tag,
            body.len()
        );
        let (local, peer) = ("192.0.2.1:8445".parse().unwrap(), "198.51.100.7:0".parse().unwrap());
        let flow = Flow::to_client(1, local, peer).other_end();
        let message = Message::parse(text.into_bytes().into()).expect("a request");
        self.with(|lines, cx| lines.receive(cx, flow, message));
        self.lines.poll().expect("something comes of it")
    }

    fn ask(&mut self, method: &str, cseq: u32, body: &str) -> Option<Told> {
        let Event::Request { flow, request } = self.say(method, (cseq, cseq), body) else {
            panic!("{method} is a request");
        };
        self.with(|lines, cx| lines.request(cx, 1, flow, &request))
    }

    /// The responses since the last time.
    fn responses(&mut self) -> Vec<Message> {
        let sent = self.out.drain(..).filter_map(|output| match output {
            Output::Send(_, bytes) => Some(Message::parse(bytes).expect("a response")),
            _other => None,
        });
        sent.collect()
    }

    fn statuses(&mut self) -> Vec<u16> {
        self.responses().iter().map(Message::status).collect()
    }
}

fn scene() -> Scene {
    Scene {
        lines: Lines::new(keyed::Key::new([7; 16])),
        config: config(""),
        rng: ChaCha12Rng::from_seed([1; 32]),
        tickets: Tickets::default(),
        out: VecDeque::new(),
        tag: String::new(),
    }
}

/// A call that the client has accepted.
fn up() -> Scene {
    let mut scene = scene();
    let Event::Request { flow, request } = scene.say("INVITE", (1, 1), OFFER) else {
        panic!("it is a request");
    };
    scene
        .with(|lines, cx| lines.ring(cx, 1, flow, request))
        .expect("it rings");
    let ringing = scene.responses().remove(0);
    scene.tag = format!(";tag={}", ringing.to().unwrap().tag().expect("a dialog"));
    scene.with(|lines, cx| lines.accept(cx, 1, ANSWER));
    assert_eq!(scene.statuses(), [200]);
    scene
}

#[test]
fn an_offer_that_is_taken_back_waits_no_more() {
    let mut scene = up();
    let offer = format!("{OFFER}s=other\r\n");
    assert_eq!(scene.ask("INVITE", 2, &offer), Some(Told::Offer(offer.clone())));
    let Event::Cancelled { tx, cancel } = scene.say("CANCEL", (2, 2), "") else {
        panic!("it meets the INVITE");
    };
    let told = scene.with(|lines, cx| lines.cancelled(cx, tx, &cancel));
    assert_eq!(told, Some((1, Told::Withdrawn)));
    let mut statuses = scene.statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 487], "of the CANCEL and of the INVITE");
    // The client may offer, and the same may be offered again.
    assert_eq!(scene.lines.may_change(1), Ok(()));
    assert_eq!(scene.ask("INVITE", 3, &offer), Some(Told::Offer(offer.clone())));
}

#[test]
fn an_offer_of_a_call_that_is_over_is_answered() {
    let mut scene = up();
    let offer = format!("{OFFER}s=other\r\n");
    assert_eq!(scene.ask("INVITE", 2, &offer), Some(Told::Offer(offer.clone())));
    assert!(scene.statuses().is_empty());
    assert_eq!(scene.ask("BYE", 3, ""), Some(Told::Bye(None, None)));
    assert_eq!(scene.statuses(), [487, 200]);
    assert_eq!(scene.lines.len(), 0);
}

/// What the client has offered leaves open who begins DTLS; said as an answer to a refresh, it says what was agreed.
#[test]
fn a_refresh_of_what_the_client_has_offered_is_answered() {
    for (theirs, ours) in [("passive", "active"), ("active", "passive")] {
        let mut scene = scene();
        let offer = format!("{OFFER}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=setup:actpass\r\n");
        let answer = offer.replace("actpass", theirs);
        let (local, peer) = ("192.0.2.1:8445".parse().unwrap(), "198.51.100.7:0".parse().unwrap());
        let flow = Flow::to_client(1, local, peer);
        let to = Uri::parse("sip:bob@example.com").unwrap();
        scene.with(|lines, cx| lines.call(cx, 1, flow, "<sip:alice@example.com>", to, offer));
        let invite = scene.responses().remove(0);
        let mut accepted = Draft::response(&invite, 200, Some("b"));
        accepted.push(Name::Contact, "<sip:tandem@192.0.2.1:8445;transport=ws>");
        accepted.set_body("application/sdp", answer.clone());
        let accepted = accepted.to_message().unwrap();
        scene.with(|lines, cx| lines.receive(cx, flow.other_end(), accepted));
        let Some(Event::Response { tx, response, .. }) = scene.lines.poll() else {
            panic!("it is answered");
        };
        let told = scene.with(|lines, cx| lines.response(cx, 1, tx, &response));
        assert_eq!(told, Some(Told::Accepted(answer.clone())));
        scene.responses();
        let head = (
            invite.from().unwrap().tag().unwrap().to_owned(),
            invite.call_id().to_owned(),
        );
        let text = format!(
            "INVITE sip:client@client.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/WSS 192.0.2.1:8445;branch=z9hG4bK9\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>;tag={}\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:tandem@192.0.2.1:8445;transport=ws>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{answer}",
            head.0,
            head.1,
            answer.len()
        );
        let refresh = Message::parse(text.into_bytes().into()).unwrap();
        scene.with(|lines, cx| lines.receive(cx, flow.other_end(), refresh));
        let Some(Event::Request { flow, request }) = scene.lines.poll() else {
            panic!("it is a request");
        };
        assert_eq!(scene.with(|lines, cx| lines.request(cx, 1, flow, &request)), None);
        let response = scene.responses().remove(0);
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        assert_eq!(response.status(), 200);
        assert!(body.ends_with(&format!("a=setup:{ours}\r\n")), "{body}");
    }
}
