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
    /// INVITEs that the node sent: by Call-ID and CSeq, and when the first 2xx came.
    invited: BTreeMap<(String, u32), Option<Instant>>,
    /// 2xx that came to the node and wait for its ACK or BYE; 2xx that it sent and that wait for ACK or BYE of either side.
    owed: BTreeMap<(Dialog, u32), &'static str>,
    /// Dialogs that a BYE has ended.
    over: BTreeSet<Dialog>,
}

impl Ledger {
    /// The node sends this.
    pub fn sent(&mut self, bytes: &[u8]) {
        let Some(msg) = read(bytes) else { return };
        match msg.method() {
            "INVITE" if msg.is_request() => {
                self.invited
                    .entry((msg.call_id().to_owned(), msg.cseq().0))
                    .or_default();
            }
            "ACK" | "BYE" => self.settled(&msg),
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
                let Some(first) = self.invited.get_mut(&(msg.call_id().to_owned(), msg.cseq().0)) else {
                    return;
                };
                if now.since(*first.get_or_insert(now)) < KNOWN {
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

/// The messages that count: requests INVITE, ACK, BYE, and a 2xx to INVITE.
fn read(bytes: &[u8]) -> Option<Msg> {
    let counts = [&b"INVITE "[..], b"ACK ", b"BYE ", b"SIP/2.0 2"]
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
            ledger.sent(&message(
                "INVITE sip:p",
                "From: <sip:n@h>;tag=n\r\nTo: <sip:p@h>\r\n",
                "1 INVITE",
            ));
            ledger.came(now, &ok);
            assert!(ledger.unpaid().is_some_and(|why| why.contains("neither ACK nor BYE")));
            ledger.sent(&message("ACK sip:p", NODE, "7 ACK"));
            ledger.sent(&message("BYE sip:p", &NODE.replace("=p", "=fork"), "2 BYE"));
            assert!(ledger.unpaid().is_some());
            ledger.sent(&payment);
            assert_eq!(ledger.unpaid(), None);
        }
        let mut late = Ledger::default();
        late.sent(&message("INVITE sip:p", NODE, "1 INVITE"));
        late.came(now, &ok);
        late.sent(&message("ACK sip:p", NODE, "1 ACK"));
        late.came(now + KNOWN, &ok);
        assert_eq!(late.unpaid(), None, "nobody is there any more");
    }

    #[test]
    fn an_answer_of_the_node_is_paid_by_the_peer_s_ack_or_its_own_bye() {
        let ok = message("200", PEER, "1 INVITE");
        let mut ledger = Ledger::default();
        ledger.sent(&ok);
        assert!(ledger.unpaid().is_some_and(|why| why.contains("never acknowledged")));
        ledger.came(Instant::ZERO, &message("ACK sip:n", PEER, "1 ACK"));
        assert_eq!(ledger.unpaid(), None);
        ledger.sent(&ok);
        ledger.sent(&message("BYE sip:p", NODE, "2 BYE"));
        ledger.sent(&ok);
        assert_eq!(ledger.unpaid(), None, "a copy after the end owes nothing");
    }
}
