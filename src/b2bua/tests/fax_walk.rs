//! Two peers that ask for faxes and for audio, answer as they like, give up and wait, at random: in the end both are in the same thing, and
//! nothing is left.

use super::bench::*;
use super::fax::{SDP, fax, told};
use crate::dialog::Dialog;
use crate::sip::{Message, Method};
use std::time::Duration;

/// Walks, and steps of each.
const WALKS: u64 = 300;
const STEPS: usize = 25;

/// Chance, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

struct Side {
    peer: &'static str,
    dialog: Dialog,
    /// INVITEs that it has not answered.
    asked: Vec<Message>,
    is_over: bool,
}

impl Side {
    fn new(peer: &'static str, dialog: Dialog) -> Side {
        Side {
            peer,
            dialog,
            asked: Vec::new(),
            is_over: false,
        }
    }

    fn description(of_fax: bool, dice: &mut Dice) -> String {
        let port = 4_000 + 2 * dice.roll(50) as u16;
        match of_fax {
            true => fax(port, ["", "a=T38FaxMaxBuffer:72\r\n"][dice.roll(2) as usize]),
            false => sdp(port, ["", "a=sendonly\r\n", "", ""][dice.roll(4) as usize]),
        }
    }

    fn ask(&mut self, b: &mut Bench, dice: &mut Dice) {
        let body = match dice.roll(8) {
            0 => None,
            n => Some((SDP, Side::description(n < 5, dice))),
        };
        b.ask(self.peer, &mut self.dialog, Method::Invite, body);
    }

    /// Takes an INVITE of the node in kind.
    fn take(&mut self, b: &mut Bench, dice: &mut Dice) {
        if let Some(invite) = self.asked.pop() {
            let body = Side::description(is_fax(&invite), dice);
            b.answer(self.peer, &invite, 200, Some(body));
        }
    }

    fn answer(&mut self, b: &mut Bench, dice: &mut Dice) {
        let Some(invite) = self.asked.last().cloned() else {
            return;
        };
        let (status, body) = match dice.roll(10) {
            0..=3 => return self.take(b, dice),
            4 => (200, Some(Side::description(!is_fax(&invite), dice))),
            5 => (200, None),
            6 => (491, None),
            7 => return drop(b.answer(self.peer, &invite, 100, None)),
            _ => (488, None),
        };
        self.asked.pop();
        b.answer(self.peer, &invite, status, body);
    }

    /// Does what every peer does with what it is sent.
    fn listen(&mut self, b: &mut Bench, dice: &mut Dice) {
        for message in b.heard(self.peer) {
            match (message.is_request(), message.method()) {
                (true, Method::Invite) => {
                    let number = |message: &Message| message.cseq().unwrap().number;
                    self.asked.retain(|asked| number(asked) != number(&message));
                    self.asked.push(message);
                }
                (true, Method::Cancel) => {
                    b.answer(self.peer, &message, 200, None);
                    match self.asked.pop() {
                        // Its answer crosses the CANCEL.
                        Some(invite) if dice.roll(2) == 0 => {
                            self.asked.push(invite);
                            self.take(b, dice);
                        }
                        Some(invite) => drop(b.answer(self.peer, &invite, 487, None)),
                        None => {}
                    }
                }
                (true, Method::Ack) => {}
                (true, method) => {
                    self.is_over |= method == Method::Bye;
                    b.answer(self.peer, &message, 200, None);
                }
                (false, Method::Invite) if (200..300).contains(&message.status()) => {
                    let mut ack = self.dialog.ack(message.cseq().unwrap().number);
                    // Where it had made no offer, this is its answer to the node's. Elsewhere it is looked at by nobody.
                    ack.set_body(SDP, Side::description(is_fax(&message), dice));
                    b.say(self.peer, ack);
                }
                (false, _) => {}
            }
        }
    }
}

fn is_fax(message: &Message) -> bool {
    String::from_utf8_lossy(&message.body()).contains("m=image 2")
}

fn walk(seed: u64) {
    let (mut b, mut dice) = (Bench::new(), Dice(seed));
    let (alice, bob) = b.talk();
    let mut sides = [Side::new(ALICE, alice), Side::new(BOB, bob)];
    for _ in 0..STEPS {
        let side = &mut sides[dice.roll(2) as usize];
        match dice.roll(8) {
            0..=2 if !side.is_over => side.ask(&mut b, &mut dice),
            3..=5 => side.answer(&mut b, &mut dice),
            6 => b.wait(Duration::from_millis(100 + dice.roll(5_000))),
            // So long that the node gives up what was answered by 100 alone.
            7 if dice.roll(4) == 0 => b.wait(Duration::from_secs(30)),
            _ => {}
        }
        for side in &mut sides {
            side.listen(&mut b, &mut dice);
        }
    }
    // From here on everybody is willing.
    for _ in 0..90 {
        for side in &mut sides {
            side.listen(&mut b, &mut dice);
            side.take(&mut b, &mut dice);
        }
        b.wait(Duration::from_secs(1));
    }
    if b.ended().is_empty() {
        let told = told(&b);
        assert_eq!(
            told[0].1.udptl, told[1].1.udptl,
            "walk {seed}: one is in a fax, the other is not"
        );
        let side = &mut sides[dice.roll(2) as usize];
        b.ask(side.peer, &mut side.dialog, Method::Bye, None);
    }
    for side in &mut sides {
        side.listen(&mut b, &mut dice);
    }
    b.rest();
    assert_eq!(b.ended().len(), 1, "walk {seed}");
}

#[test]
fn both_are_in_the_same_thing_in_the_end() {
    for seed in 0..WALKS {
        walk(seed);
    }
}
