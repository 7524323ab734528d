//! What there is of the media workers for those who open legs: names, places, and spare RTP ports, of which a call takes bound ones, so
//! that it never waits for a socket.

use crate::config::Config;
use crate::cx::Cx;
use crate::effect::Output;
use crate::id::{MediaLegId, WorkerId};
use crate::limits;
use crate::media::command::{LegSpec, Port};

/// The ports that the shell has bound and nobody uses (each is used once: the shell frees it after the leg is closed), and how many
/// legs each worker has.
#[derive(Debug, Default)]
pub struct Stock {
    v4: Family,
    v6: Family,
    /// The last question was answered; the first one is the node's own, at its start.
    may_ask: bool,
    /// Media legs of each worker.
    load: Vec<usize>,
    last_leg: u64,
    next_worker: u16,
}

/// The ports of one address family.
#[derive(Debug, Default)]
struct Family {
    spare: Vec<Port>,
    /// The shell has this family: it brought one.
    known: bool,
}

impl Stock {
    /// A new media leg on this port, as it is opened.
    pub fn new_leg(&mut self, cx: &mut Cx<'_>, port: Port) -> LegSpec {
        self.last_leg += 1;
        LegSpec {
            id: MediaLegId(self.last_leg),
            port,
            ssrc: cx.random() as u32,
            // Of the lower half, so that who loses the first packets still knows the roll-over counter (RFC 4568 6.4).
            first_sequence: cx.random() as u16 >> 1,
            first_timestamp: cx.random() as u32,
            cname: cx.token(8),
            rtc: false,
        }
    }

    /// The worker for a new call's legs: each in turn, unless it has no room for two more. `None` when none has.
    pub fn next_worker(&mut self, config: &Config) -> Option<WorkerId> {
        let workers = u16::try_from(config.media.workers).unwrap_or(u16::MAX).max(1);
        (1..=workers)
            .map(|step| WorkerId((self.next_worker + step) % workers))
            .find(|worker| self.has_room(*worker, 2))
            .inspect(|worker| self.next_worker = worker.0)
    }

    /// True if a worker can take so many more legs.
    pub fn has_room(&self, worker: WorkerId, legs: usize) -> bool {
        let load = self.load.get(usize::from(worker.0)).copied().unwrap_or(0);
        load + legs <= limits::LEGS_PER_WORKER
    }

    /// A leg goes to a worker.
    pub fn enter(&mut self, worker: WorkerId) {
        *self.load_of(worker) += 1;
    }

    /// A leg of a worker is closed, or has left it.
    pub fn leave(&mut self, worker: WorkerId) {
        *self.load_of(worker) -= 1;
    }

    fn load_of(&mut self, worker: WorkerId) -> &mut usize {
        let place = usize::from(worker.0);
        if self.load.len() <= place {
            self.load.resize(place + 1, 0);
        }
        &mut self.load[place]
    }

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
        (self.v4, self.v6, self.may_ask) = (Family::default(), Family::default(), false);
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
