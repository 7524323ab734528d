//! What the node holds in memory for a call and for a registration: weighed by what is freed when it is dropped after everything
//! else of a simulated world. Needs [`Counting`](crate::counting::Counting) as the allocator of the program.

use crate::counting::bytes_of;
use crate::media::Media;
use crate::script::{EDGE, Peer, ms, s};
use crate::world::World;
use crate::{Answer, State};

/// The budget of an idle relayed call: signalling, dialogs and two media legs, in bytes.
pub const CALL_BUDGET: isize = 64 * 1024;
/// The budget of a registration in memory, in bytes.
pub const REGISTRATION_BUDGET: isize = 1024;
/// After this no transaction of a call's beginning is left (64*T1, and what a transaction lingers).
const IDLE: std::time::Duration = s(100);
/// Calls of one user: the most that a configuration allows.
const CALLS_PER_USER: usize = 100;

/// Bytes on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The signalling machine.
    pub signalling: isize,
    /// The media workers with their legs, and what prepares these.
    pub media: isize,
    /// The table of bindings.
    pub bindings: isize,
}

impl Weight {
    /// All of it.
    pub fn all(self) -> isize {
        self.signalling + self.media + self.bindings
    }

    /// What one of `count` takes that are in this one and not in `without`.
    fn each(self, without: Weight, count: usize) -> Weight {
        let each = |with: isize, without: isize| (with - without) / count as isize;
        Weight {
            signalling: each(self.signalling, without.signalling),
            media: each(self.media, without.media),
            bindings: each(self.bindings, without.bindings),
        }
    }
}

/// What one of `count` idle relayed calls takes: G.711 between phones, answered and silent since the last transaction ended.
/// Without `media` only the signalling is weighed, which is quicker.
pub fn call(count: usize, media: bool) -> Weight {
    let pairs = count.div_ceil(CALLS_PER_USER);
    weigh(office(count, pairs, media)).each(weigh(office(0, pairs, media)), count)
}

/// What one of `count` registrations takes, each of another user.
pub fn registration(count: usize) -> Weight {
    weigh(registered(count, count)).each(weigh(registered(0, count)), count)
}

/// `count` calls between `pairs` of users.
fn office(count: usize, pairs: usize, media: bool) -> World {
    let config = EDGE
        .replace("workers: 2", "workers: 3")
        .replace("silence: 5m", "silence: 1h")
        .replace(
            "media: ",
            "guard: { exempt: [ 0.0.0.0/1, 128.0.0.0/1 ], per_user: 10000 }\nmedia: ",
        )
        .replace("ports: 20000-20999", "ports: 20000-60999");
    let mut w = world(&config, 2 * pairs, CALLS_PER_USER, media);
    let phones: Vec<Peer> = (0..2 * pairs).map(|n| w.phone(&format!("user{n}"))).collect();
    for phone in &phones {
        w.agent(*phone).tone = None;
        w.policy(*phone).answer = Answer::After(ms(100));
        w.register(*phone);
    }
    for n in 0..count {
        let pair = n % pairs;
        w.call(phones[pair], &format!("user{}", pair + pairs));
        w.run(ms(1));
    }
    w.run(IDLE);
    let up = phones.iter().flat_map(|phone| &w.agents[phone.0].calls);
    assert_eq!(
        up.filter(|call| call.state == State::Up).count(),
        2 * count,
        "every call is up"
    );
    w
}

/// `count` of `users` are registered.
fn registered(count: usize, users: usize) -> World {
    let mut w = world(EDGE, users, 2, false);
    for n in 0..count {
        let phone = w.phone(&format!("user{n}"));
        // As baresip writes them.
        let contact = format!(
            "Contact: <sip:user{n}-0x55d2a63c12a0@{}>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"",
            w.agents[phone.0].addr
        );
        let status = w.register_with(phone, &[&contact, "User-Agent: baresip v3.16.0 (x86_64/linux)"]);
        assert_eq!(status, 200, "user{n} is registered");
        // The room of a transaction is used again by others: it is not the registration's.
        w.run(ms(200));
    }
    w.run(IDLE);
    w
}

fn world(config: &str, users: usize, calls: usize, media: bool) -> World {
    let users: String = (0..users)
        .map(|n| format!("  - {{ name: user{n}, password: secret, number: \"+1415{n:07}\", calls: {calls} }}\n"))
        .collect();
    let builder = World::builder(1)
        .config(&config.replace("users:\n", &format!("users:\n{users}")))
        .quiet();
    let mut w = if media {
        builder.media_of(tandem::limits::LEGS_PER_WORKER).build()
    } else {
        builder.build()
    };
    // A hundred addresses in each message would cost more than the calls.
    w.checks.leaks = false;
    w.checks.every = 20;
    w
}

/// The node goes last: what others hold together with it is its own then.
fn weigh(mut world: World) -> Weight {
    let node = world.node.take();
    let ip = world.node_ip;
    let none = Media::new(ip, &world.config.media, 0, 0);
    let workers = std::mem::replace(&mut world.media, none).into_workers();
    let table = std::mem::take(&mut world.store).into_table();
    drop(world);
    Weight {
        media: -bytes_of(|| drop(workers)).0,
        bindings: -bytes_of(|| drop(table)).0,
        signalling: -bytes_of(|| drop(node)).0,
    }
}
