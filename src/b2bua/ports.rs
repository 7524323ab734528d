//! Spare RTP ports: a call takes bound ones from here, so that it never waits for a socket.

use crate::cx::Cx;
use crate::effect::Output;
use crate::limits;
use crate::media::command::Port;

/// The ports that the shell has bound and nobody uses. Each is used once: the shell frees it after the leg is closed.
#[derive(Debug, Default)]
pub struct Ports {
    v4: Family,
    v6: Family,
    /// The last question was answered; the first one is the node's own, at its start.
    may_ask: bool,
}

/// The ports of one address family.
#[derive(Debug, Default)]
struct Family {
    spare: Vec<Port>,
    /// The shell has this family: it brought one.
    known: bool,
}

impl Ports {
    /// Takes a port of this address family.
    pub fn take(&mut self, v6: bool) -> Option<Port> {
        let family = if v6 { &mut self.v6 } else { &mut self.v4 };
        family.spare.pop()
    }

    /// Those that the shell brought.
    pub fn add(&mut self, ports: Vec<Port>) {
        self.may_ask = true;
        for port in ports {
            let family = if port.v6 { &mut self.v6 } else { &mut self.v4 };
            family.known = true;
            family.spare.push(port);
        }
    }

    /// Forgets all, since they are of a range or address that is no longer configured, and asks for new ones.
    pub fn renew(&mut self, cx: &mut Cx<'_>) {
        *self = Ports::default();
        cx.emit(Output::Ports(limits::SPARE_PORTS));
    }

    /// Asks for more when a family has fewer than three quarters of its share left: one question at a time. The shell brings as
    /// many of each family as of the other.
    pub fn top_up(&mut self, cx: &mut Cx<'_>) {
        if !self.may_ask {
            return;
        }
        let known = || [&self.v4, &self.v6].into_iter().filter(|family| family.known);
        let families = known().count().max(1);
        let share = limits::SPARE_PORTS / families;
        let least = known().map(|family| family.spare.len()).min().unwrap_or(0);
        if least < share - share / 4 {
            self.may_ask = false;
            cx.emit(Output::Ports((share - least) * families));
        }
    }
}
