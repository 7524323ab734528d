//! The ladder: what went over the wire, for the one who reads a failed test.

use crate::message::Msg;
use std::collections::VecDeque;
use std::fmt;
use tandem::time::Instant;

/// Lines that are kept.
const KEEP: usize = 5_000;

/// The last messages, and what happened to them.
#[derive(Debug, Default)]
pub struct Ladder {
    lines: VecDeque<(Instant, String)>,
    /// Writes nothing down (large runs).
    pub quiet: bool,
}

impl Ladder {
    /// An empty one.
    pub fn new(quiet: bool) -> Ladder {
        Ladder {
            lines: VecDeque::new(),
            quiet,
        }
    }

    /// A message from one name to another.
    pub fn message(&mut self, at: Instant, from: &str, to: &str, bytes: &[u8], lost: bool) {
        if self.quiet {
            return;
        }
        let what = match Msg::read(bytes) {
            Ok(msg) => {
                let sdp = if msg.has_sdp() { " +sdp" } else { "" };
                let cseq = if msg.is_request() {
                    String::new()
                } else {
                    format!(" ({})", msg.text("CSeq"))
                };
                let call = msg.call_id().chars().take(8).collect::<String>();
                format!("{}{cseq}{sdp}  [{call}]", msg.start.trim_end_matches(" SIP/2.0"))
            }
            Err(_) => format!("{} octets that are not a SIP message", bytes.len()),
        };
        let mark = if lost { "--x" } else { "-->" };
        self.note(at, || format!("{from:>10} {mark} {to:<10} {what}"));
    }

    /// Anything else.
    pub fn note(&mut self, at: Instant, text: impl FnOnce() -> String) {
        if self.quiet {
            return;
        }
        if self.lines.len() >= KEEP {
            self.lines.pop_front();
        }
        self.lines.push_back((at, text()));
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in &self.lines {
            writeln!(f, "{:>10.3} {line}", at.as_nanos() as f64 / 1e9)?;
        }
        Ok(())
    }
}
