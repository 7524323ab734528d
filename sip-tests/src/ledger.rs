//! Every 2xx to an INVITE is acknowledged or its dialog ended (RFC 3261 13.2.2.4, 13.3.1.4): a ledger of what is on the wire.

use crate::message::Msg;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tandem::time::Instant;

/// A 2xx that comes later than this after the first to its INVITE meets nobody any more (64*T1).
const KNOWN: Duration = Duration::from_secs(32);

/// Call-ID and both tags, the lesser first: one dialog, whoever speaks.
type Dialog = (String, String, String);

/// What is owed in the dialogs of the node that runs now.
#[derive(Debug, Default)]
pub struct Ledger {
    /// INVITEs that the node sent: by Call-ID and CSeq.
    invited: BTreeMap<(String, u32), Invited>,
    /// 2xx that came to the node and wait for its ACK or BYE; 2xx that it sent and that wait for ACK or BYE of either side.
    owed: BTreeMap<(Dialog, u32), &'static str>,
    /// Dialogs that a BYE has ended.
    over: BTreeSet<Dialog>,
}

/// What became of an INVITE.
#[derive(Clone, Copy, Debug)]
struct Invited {
    since: Instant,
    /// A provisional response came in time.
    goes_on: bool,
    /// When the first 2xx came.
    answered: Option<Instant>,
}

impl Invited {
    /// Something comes back. False where nobody is there any more: so long after the first 2xx, or after the INVITE where nothing had come yet
    /// (timer B, RFC 3261 17.1.1.2).
    fn hears(&mut self, now: Instant, status: u16) -> bool {
        let is_late = now.since(self.since) >= KNOWN && !self.goes_on && self.answered.is_none();
        if is_late {
            return false;
        }
        self.goes_on = true;
        status < 200 || now.since(*self.answered.get_or_insert(now)) < KNOWN
    }
}

impl Ledger {
    /// The node sends this.
    pub fn sent(&mut self, now: Instant, bytes: &[u8]) {
        let Some(msg) = read(bytes) else { return };
        match msg.method() {
            "INVITE" if msg.is_request() => {
                let invite = (msg.call_id().to_owned(), msg.cseq().0);
                self.invited.entry(invite).or_insert(Invited {
                    since: now,
                    goes_on: false,
                    answered: None,
                });
            }
            "ACK" | "BYE" => self.settled(&msg),
            _ if msg.status() < 200 => {}
            _ => self.owe(
                &msg,
                "a 2xx that the node sent was never acknowledged, and it sent no BYE",
            ),
        }
    }

    /// This arrives at the node.
    pub fn came(&mut self, now: Instant, bytes: &[u8]) {
        let Some(msg) = read(bytes) else { return };
        match msg.method() {
            "INVITE" if msg.is_request() => {}
            "ACK" | "BYE" => self.settled(&msg),
            _ => {
                let Some(invite) = self.invited.get_mut(&(msg.call_id().to_owned(), msg.cseq().0)) else {
                    return;
                };
                if invite.hears(now, msg.status()) && msg.status() >= 200 {
                    self.owe(&msg, "a 2xx that came to the node got neither ACK nor BYE");
                }
            }
        }
    }

    fn owe(&mut self, msg: &Msg, what: &'static str) {
        let dialog = dialog(msg);
        if !self.over.contains(&dialog) {
            self.owed.insert((dialog, msg.cseq().0), what);
        }
    }

    fn settled(&mut self, msg: &Msg) {
        let dialog = dialog(msg);
        if msg.is("ACK") {
            self.owed.remove(&(dialog, msg.cseq().0));
        } else if msg.is("BYE") {
            self.owed.retain(|(owed, _), _| *owed != dialog);
            self.over.insert(dialog);
        }
    }

    /// The node is gone, and what it owed with it.
    pub fn forget(&mut self) {
        *self = Ledger::default();
    }

    /// What is owed still, in words.
    pub fn unpaid(&self) -> Option<String> {
        let (((call_id, ..), cseq), what) = self.owed.first_key_value()?;
        Some(format!("{what}: Call-ID {call_id}, CSeq {cseq}"))
    }
}

/// The messages that count: requests INVITE, ACK, BYE, and a provisional response or a 2xx to INVITE.
fn read(bytes: &[u8]) -> Option<Msg> {
    let counts = [&b"INVITE "[..], b"ACK ", b"BYE ", b"SIP/2.0 1", b"SIP/2.0 2"]
        .iter()
        .any(|start| bytes.starts_with(start));
    let msg = if counts { Msg::read(bytes).ok()? } else { return None };
    (msg.is_request() || msg.cseq().1 == "INVITE").then_some(msg)
}

fn dialog(msg: &Msg) -> Dialog {
    let (one, other) = (msg.from_tag().to_owned(), msg.to_tag().to_owned());
    (msg.call_id().to_owned(), one.clone().min(other.clone()), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "From: <sip:n@h>;tag=n\r\nTo: <sip:p@h>;tag=p\r\n";
    const PEER: &str = "From: <sip:p@h>;tag=p\r\nTo: <sip:n@h>;tag=n\r\n";

    fn message(start: &str, sides: &str, cseq: &str) -> Vec<u8> {
        format!("{start} SIP/2.0\r\n{sides}Call-ID: c\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n")
            .replace("200 SIP/2.0", "SIP/2.0 200 OK")
            .into_bytes()
    }

    #[test]
    fn an_answer_to_the_node_is_paid_by_its_ack_or_a_bye_in_that_dialog() {
        let (now, ok) = (Instant::ZERO, message("200", NODE, "1 INVITE"));
        for payment in [message("ACK sip:p", NODE, "1 ACK"), message("BYE sip:p", NODE, "2 BYE")] {
            let mut ledger = Ledger::default();
            ledger.came(now, &ok);
            assert_eq!(ledger.unpaid(), None, "it asked for nothing");
            ledger.sent(
                now,
                &message("INVITE sip:p", "From: <sip:n@h>;tag=n\r\nTo: <sip:p@h>\r\n", "1 INVITE"),
            );
            ledger.came(now, &ok);
            assert!(ledger.unpaid().is_some_and(|why| why.contains("neither ACK nor BYE")));
            ledger.sent(now, &message("ACK sip:p", NODE, "7 ACK"));
            ledger.sent(now, &message("BYE sip:p", &NODE.replace("=p", "=fork"), "2 BYE"));
            assert!(ledger.unpaid().is_some());
            ledger.sent(now, &payment);
            assert_eq!(ledger.unpaid(), None);
        }
        let mut late = Ledger::default();
        late.sent(now, &message("INVITE sip:p", NODE, "1 INVITE"));
        late.came(now, &ok);
        late.sent(now, &message("ACK sip:p", NODE, "1 ACK"));
        late.came(now + KNOWN, &ok);
        assert_eq!(late.unpaid(), None, "nobody is there any more");
    }

    /// Nothing came within 64*T1: the node has forgotten the INVITE; where it was told to wait, it has not.
    #[test]
    fn an_answer_after_the_time_out_is_nobody_s() {
        let (now, ok) = (Instant::ZERO, message("200", NODE, "1 INVITE"));
        for (ringing, owes) in [(None, false), (Some(KNOWN / 2), true), (Some(KNOWN), false)] {
            let mut ledger = Ledger::default();
            ledger.sent(now, &message("INVITE sip:p", NODE, "1 INVITE"));
            if let Some(after) = ringing {
                let text = String::from_utf8(ok.clone())
                    .expect("our own")
                    .replace("200 OK", "180 Ringing");
                ledger.came(now + after, text.as_bytes());
            }
            ledger.came(now + KNOWN + KNOWN / 4, &ok);
            assert_eq!(ledger.unpaid().is_some(), owes, "{ringing:?}");
        }
    }

    #[test]
    fn an_answer_of_the_node_is_paid_by_the_peer_s_ack_or_its_own_bye() {
        let now = Instant::ZERO;
        let ok = message("200", PEER, "1 INVITE");
        let mut ledger = Ledger::default();
        ledger.sent(now, &ok);
        assert!(ledger.unpaid().is_some_and(|why| why.contains("never acknowledged")));
        ledger.came(Instant::ZERO, &message("ACK sip:n", PEER, "1 ACK"));
        assert_eq!(ledger.unpaid(), None);
        ledger.sent(now, &ok);
        ledger.sent(now, &message("BYE sip:p", NODE, "2 BYE"));
        ledger.sent(now, &ok);
        assert_eq!(ledger.unpaid(), None, "a copy after the end owes nothing");
    }
}
