//! Valid traffic of 200 calls per second, of a trunk and of a user, and a flood beside it: no call fails, and after five seconds the
//! flood costs next to nothing.

use super::flood::{Flood, From};
use super::host::Host;
use super::process::Process;
use super::program::program;
use super::scene::{SOON, Scene, eventually};
use std::fs;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const NODE: u8 = 1;
const ALICE: u8 = 2;
const BOB: u8 = 3;
const CARRIER: u8 = 4;
const STRANGER: u8 = 40;
const STRANGERS: std::ops::Range<u8> = 50..250;
/// Calls per second of the carrier, which calls all users of one phone, and of alice, who calls one: a user may be in so many calls that
/// a generator that falls behind for some seconds makes nobody busy.
const RATES: [u64; 2] = [180, 20];
/// The users whom the carrier calls.
const CALLED: [&str; 10] = ["u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9"];
/// How long a flood may take until it is cut.
const SETTLE: Duration = Duration::from_secs(5);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// What a program has used of the processor: user and system time (proc_pid_stat(5), fields 14 and 15), in ticks of 10 ms.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let behind_name = stat.rsplit(')').next().unwrap();
    let ticks = |field: usize| -> u64 { behind_name.split_whitespace().nth(field - 3).unwrap().parse().unwrap() };
    Duration::from_millis(10 * (ticks(14) + ticks(15)))
}

/// Percent of a core that the program uses while `work` waits so long.
fn load(pid: u32, seconds: u64) -> f64 {
    let (begin, before) = (Instant::now(), cpu(pid));
    std::thread::sleep(Duration::from_secs(seconds));
    100.0 * (cpu(pid) - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

fn node(scene: &Scene) -> Process {
    let file = scene.folder().join("tandem.yaml");
    let user = |name: &&str| format!("  - {{ name: {name}, password: secret-{name}, calls: 100 }}\n");
    let users: String = ["alice", "bob", "carol"].iter().chain(&CALLED).map(user).collect();
    let text = format!(
        "listen: [ \"udp://{}\" ]
domains: [ {{ name: example.com, do: proxy }} ]
store: {{ path: {} }}
users:
{users}trunks:
  - {{ name: acme, peers: [ \"sip:{}\" ], options: never, limits: {{ calls: 10000, calls_per_second: 1000 }} }}
guard: {{ per_source: 500, per_user: 500 }}
",
        scene.sip(NODE),
        scene.folder().join("tandem.db").display(),
        scene.sip(CARRIER),
    );
    fs::write(&file, text).expect("our own folder");
    let mut command = Command::new(program());
    command.arg("run").arg(&file).env("NO_COLOR", "1");
    let process = Process::start("tandem", "this repository", &mut command);
    process.wait_for("Ready.", SOON);
    process
}

/// A SIPp at this address by a scenario of `fixtures/sipp`.
fn sipp(scene: &Scene, scenario: &str, at: SocketAddr, work: impl FnOnce(&mut Command)) -> Process {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/sipp")
        .join(format!("{scenario}.xml"));
    let errors = scene.folder().join(format!("{scenario}-{at}.log"));
    let mut command = Command::new("sipp");
    command.current_dir(scene.folder()).arg("-sf").arg(fixture);
    command.args(["-i", &at.ip().to_string(), "-p", &at.port().to_string(), "-nostdin"]);
    command.args(["-trace_err", "-error_file"]).arg(errors);
    command.args(["-buff_size", "1048576", "-timeout", "600"]);
    work(&mut command);
    Process::start(&format!("{scenario} at {at}"), "the package sip-tester", &mut command)
}

/// One that calls these users in turn, at this rate for so many seconds.
fn caller(
    scene: &Scene,
    scenario: &str,
    at: SocketAddr,
    from: &str,
    called: &[&str],
    (rate, seconds): (u64, u64),
) -> Process {
    let list = scene.folder().join(format!("{scenario}.csv"));
    let lines: String = called.iter().map(|user| format!("{user};\n")).collect();
    fs::write(&list, format!("SEQUENTIAL\n{lines}")).expect("our own folder");
    sipp(scene, scenario, at, |command| {
        command.arg("-inf").arg(list);
        command.args(["-key", "caller", from, "-key", "agent", "Exchange 3.1"]);
        // What the digest is computed over, where the one who is called is always the same.
        command.args(["-auth_uri", &format!("{}@example.com", called[0])]);
        let calls = rate * seconds;
        command.args([
            "-r",
            &rate.to_string(),
            "-m",
            &calls.to_string(),
            "-d",
            "100",
            "-timeout_error",
        ]);
        command.arg(scene.sip(NODE).to_string());
    })
}

/// The valid traffic.
struct Traffic {
    callers: Vec<Process>,
    /// They answer until they are killed.
    callees: Vec<Process>,
    carol: Host,
}

impl Traffic {
    /// Lasts so many seconds.
    fn start(scene: &Scene, seconds: u64) -> Traffic {
        let at = |host, port| SocketAddr::from((scene.host(host), port));
        let phone = |user| (ALICE, user);
        let called = CALLED.into_iter().map(phone);
        for (host, user) in called.chain([phone("alice"), (BOB, "bob")]) {
            assert_eq!(Host::new(scene.sip(host), scene.sip(NODE), user).register(false), 200);
        }
        let callees = [ALICE, BOB].map(|host| sipp(scene, "flood-callee", scene.sip(host), |_| {}));
        for host in [ALICE, BOB] {
            eventually("a callee listens", SOON, || UdpSocket::bind(scene.sip(host)).is_err());
        }
        let number = format!("+14155550199@{}", scene.host(CARRIER));
        let [carrier, alice] = RATES.map(|rate| (rate, seconds));
        let callers = vec![
            caller(scene, "flood-trunk", scene.sip(CARRIER), &number, &CALLED, carrier),
            caller(
                scene,
                "flood-user",
                at(ALICE, 5070),
                "alice@example.com",
                &["bob"],
                alice,
            ),
        ];
        Traffic {
            callers,
            callees: callees.into(),
            carol: Host::new(at(ALICE, 5090), scene.sip(NODE), "carol"),
        }
    }

    /// All calls went as their scenarios say. Gives the callees, who still have to answer the last BYE: the node ends when they have.
    fn finish(self) -> Vec<Process> {
        for mut caller in self.callers {
            assert_eq!(caller.exit(SOON * 3), Some(0), "a valid call has failed");
        }
        self.callees
    }
}

/// Whose names are forged: the trunk, and alice's phones.
fn others(scene: &Scene) -> Vec<SocketAddrV4> {
    let at = |host, port| SocketAddrV4::new(scene.host(host), port);
    vec![at(CARRIER, 5060), at(ALICE, 5060), at(ALICE, 5070)]
}

fn own(scene: &Scene, hosts: impl Iterator<Item = u8>) -> From {
    From::Own(hosts.map(|host| UdpSocket::bind(scene.sip(host)).unwrap()).collect())
}

#[test]
fn a_flood_fails_no_valid_call_and_costs_next_to_nothing() {
    let seconds = setting("FLOOD_SECONDS", 5);
    let rate = setting("FLOOD_RATE", 20_000);
    let limit = setting("FLOOD_LIMIT", 40) as f64;
    let scene = Scene::new("flood");
    let SocketAddr::V4(target) = scene.sip(NODE) else {
        unreachable!("a scene has IPv4")
    };
    let forms = [
        ("one source", Some(own(&scene, std::iter::once(STRANGER)))),
        ("200 sources", Some(own(&scene, STRANGERS))),
        ("the trunk's and alice's names", From::forged(others(&scene))),
    ];
    let mut node = node(&scene);
    let each = SETTLE.as_secs() + seconds + 2;
    let mut traffic = Traffic::start(&scene, 3 + seconds + 3 * each);
    // The first calls: whoever has been here before is known when the flood comes.
    std::thread::sleep(Duration::from_secs(3));
    let without = load(node.id(), seconds);
    let mut costs = Vec::new();
    for (form, from) in forms {
        let Some(from) = from else {
            eprintln!("skipped: a flood with {form} needs raw sockets, and only root has them");
            continue;
        };
        let flood = Flood::start(from, target, rate);
        let begin = Instant::now();
        // Registered users refresh, with the nonce that they have and with a new one.
        for again in [false, true, true] {
            assert_eq!(traffic.carol.register(again), 200, "{form}");
        }
        std::thread::sleep(SETTLE.saturating_sub(begin.elapsed()));
        let sent = flood.sent();
        let cost = load(node.id(), seconds) - without;
        let reached = (flood.sent() - sent) / seconds;
        drop(flood);
        println!("flood from {form}: {cost:.1} % of a core for {reached} messages per second ({without:.1} % without)");
        costs.push((form, cost, reached));
    }
    let _callees = traffic.finish();
    for (form, cost, reached) in costs {
        assert!(reached > rate / 2, "the generator has sent {reached} per second only");
        assert!(
            cost <= limit,
            "a flood from {form} costs {cost:.1} % of a core, and {limit} % is the most"
        );
    }
    node.signal("TERM");
    assert_eq!(node.exit(SOON), Some(0));
    assert_eq!(
        node.journal.count(" is banned for "),
        0,
        "a source that may be forged was banned"
    );
    let lines = node.journal.count("refused a request");
    assert!(lines < 200, "{lines} lines for requests that were refused");
}
