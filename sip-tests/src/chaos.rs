//! What runs by chance have in common: their seeds, and what happens in them whatever they are about.

use crate::agent::State;
use crate::net::Owner;
use crate::rng::Rng;
use crate::script::{CallRef, Peer};
use crate::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After its grace time a node that stops waits for last answers: two transactions of 64*T1 after each other, at most.
const LAST: Duration = Duration::from_secs(75);
/// Broken seeds after which no further one is tried.
const ENOUGH: usize = 3;

/// Runs `CHAOS_SEED` alone and with its ladder, else `CHAOS_SEEDS` of them, else as many as are usual, on all cores. A run is given its seed,
/// and whether it is to be quiet. Gives how many ran.
pub fn seeds(test: &str, usual: u64, run: impl Fn(u64, bool) + Sync) -> u64 {
    if let Some(seed) = number("CHAOS_SEED") {
        run(seed, false);
        return 1;
    }
    let seeds = number("CHAOS_SEEDS").unwrap_or(usual);
    let next = AtomicU64::new(0);
    let broken = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || broken.lock().expect("no panic inside").len() >= ENOUGH {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| run(seed, true))).is_err() {
                        broken.lock().expect("no panic inside").push(seed);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("no panic inside");
    assert!(
        broken.is_empty(),
        "broken seeds {broken:?}: CHAOS_SEED={} cargo test -p sip-tests --test {test}",
        broken[0]
    );
    seeds
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

impl World {
    /// One of the calls that are not over, as one of their peers sees it.
    pub fn any_live(&self, rng: &mut Rng) -> Option<CallRef> {
        let mut live = Vec::new();
        for (peer, agent) in self.agents.iter().enumerate() {
            let calls = agent.calls.iter().enumerate().filter(|(_, call)| call.is_live());
            live.extend(calls.map(|(call, _)| CallRef { peer: Peer(peer), call }));
        }
        (!live.is_empty()).then(|| *rng.pick(&live))
    }

    /// How a dialog is named to others, as the peer that is called sees it (RFC 3891 3).
    pub fn replaces(&self, call: CallRef) -> String {
        let call = self.at(call);
        format!(
            "{};to-tag={};from-tag={}",
            call.call_id, call.remote_tag, call.local_tag
        )
    }

    /// The same within a URI, as REFER has it: another call of this peer, where it has one, is named to `to`; else somebody else's, which must do no harm (RFC 5589 7).
    pub fn refer_to_another(&self, rng: &mut Rng, from: CallRef, to: &str) -> Option<String> {
        let others = &self.agents[from.peer.0].calls;
        let own = (0..others.len())
            .rev()
            .find(|call| *call != from.call && others[*call].is_live());
        let replaced = match own {
            Some(call) => CallRef { call, ..from },
            None => self.any_live(rng)?,
        };
        let replaces = self
            .replaces(replaced)
            .replace('@', "%40")
            .replace(';', "%3B")
            .replace('=', "%3D");
        Some(format!("Refer-To: <sip:{to}@example.com?Replaces={replaces}>"))
    }

    /// SIGTERM; the node ends in time, and another is started.
    pub fn stop_and_start(&mut self, grace: Duration) {
        self.stop(grace);
        let kills = self.kills();
        self.after(grace + LAST, move |w| {
            if w.kills() == kills {
                if !w.is_stopped() {
                    w.fail(&format!(
                        "the node was told to stop and is still there: {:?}",
                        w.census()
                    ));
                }
                w.restart();
            }
        });
    }

    /// A peer dies in the midst of whatever it does: nothing comes from it any more, and it answers nothing.
    pub fn crash(&mut self, peer: Peer) {
        let ip = self.agents[peer.0].addr.ip();
        self.net.link(ip).cut = true;
        let agent = self.agent(peer);
        agent.policy.deaf = true;
        for call in agent.calls.iter_mut().filter(|call| call.is_live()) {
            call.state = State::Ended(0);
            // Whoever asks for it when the peer is there again hears 481.
            call.up_since = None;
        }
    }

    /// It is there again, knows of no call, and registers.
    pub fn start_again(&mut self, peer: Peer) {
        let ip = self.agents[peer.0].addr.ip();
        self.net.link(ip).cut = false;
        let owner = Owner::Peer(peer.0);
        for number in 0..self.streams.list.len() {
            if self.streams.list[number].ends.iter().any(|end| end.owner == owner) {
                self.cut_stream(number);
            }
        }
        self.agent(peer).policy.deaf = false;
        self.act(peer.0, |agent, cx| agent.register(cx, 600));
    }
}
