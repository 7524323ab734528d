//! Spare RTP ports: a call takes bound ones from here, so that it never waits for a socket.

use crate::cx::Cx;
use crate::effect::Output;
use crate::limits;
use crate::media::command::Port;

/// The ports that the shell has bound and nobody uses. Each is used once: the shell frees it after the leg is closed.
#[derive(Debug, Default)]
pub struct Ports {
    v4: Vec<Port>,
    v6: Vec<Port>,
    /// The last question was answered; the first one is the node's own, at its start.
    may_ask: bool,
}

impl Ports {
    /// Takes a port of this address family.
    pub fn take(&mut self, v6: bool) -> Option<Port> {
        if v6 { self.v6.pop() } else { self.v4.pop() }
    }

    /// Those that the shell brought.
    pub fn add(&mut self, ports: Vec<Port>) {
        self.may_ask = true;
        for port in ports {
            if port.v6 {
                self.v6.push(port)
            } else {
                self.v4.push(port)
            }
        }
    }

    /// Asks for more when fewer than three quarters are left: one question at a time.
    pub fn top_up(&mut self, cx: &mut Cx<'_>) {
        let spare = self.v4.len() + self.v6.len();
        if self.may_ask && spare < limits::SPARE_PORTS - limits::SPARE_PORTS / 4 {
            self.may_ask = false;
            cx.emit(Output::Ports(limits::SPARE_PORTS - spare));
        }
    }
}
