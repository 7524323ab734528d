//! The program on real sockets, signals and disk: what the machines in the simulated world cannot show.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/journal.rs"]
mod journal;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests with real peers use the rest of it"
)]
#[path = "interop/process.rs"]
mod process;
#[path = "interop/program.rs"]
mod program;

#[path = "shell/told.rs"]
mod told;
#[path = "shell/turn_tcp.rs"]
mod turn_tcp;
#[path = "shell/within.rs"]
mod within;

use process::Process;
use program::program;
use rusqlite::Connection;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tandem::config::Algorithm;
use tandem::pii::Secret;
use tandem::sip::{Message, Method, Name, auth};

/// How long anything may take before a test fails.
const SOON: Duration = Duration::from_secs(20);

/// A node with an address and a folder of its own.
struct Node {
    process: Process,
    folder: PathBuf,
    ip: String,
}

impl Node {
    /// `number` is the test's: its addresses are 127.82.`number`.x.
    fn start(number: u8, rest: &str) -> Node {
        let folder = std::env::temp_dir().join(format!("tandem-shell-{number}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("as this test has set it up");
        let ip = format!("127.82.{number}.1");
        let file = folder.join("t.yaml");
        fs::write(&file, configuration(&folder, &ip, rest)).expect("as this test has set it up");
        let mut command = Command::new(program());
        command.arg("run").arg(&file).env("NO_COLOR", "1").current_dir(&folder);
        let process = Process::start("tandem", "this repository", &mut command);
        process.wait_for("Ready.", SOON);
        Node { process, folder, ip }
    }

    fn reload(&self, text: &str) {
        fs::write(self.folder.join("t.yaml"), text).expect("as this test has set it up");
        self.process.signal("HUP");
    }

    /// Found by its arguments: its configuration is its own.
    fn pid(&self) -> String {
        let file = self.folder.join("t.yaml");
        let is_ours = |pid: &String| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(file.to_str().expect("as this test has set it up"))
        };
        let all = fs::read_dir("/proc").expect("as this test has set it up").map(|entry| {
            entry
                .expect("as this test has set it up")
                .file_name()
                .into_string()
                .expect("as this test has set it up")
        });
        all.into_iter().find(is_ours).expect("it runs")
    }

    fn says(&self, what: &str) {
        self.process.wait_for(what, SOON);
    }

    fn configuration(&self, rest: &str) -> String {
        configuration(&self.folder, &self.ip, rest)
    }

    fn number(&self, query: &str) -> i64 {
        let connection = Connection::open(self.folder.join("t.db")).expect("as this test has set it up");
        connection.busy_timeout(SOON).expect("as this test has set it up");
        connection
            .query_row(query, [], |row| row.get(0))
            .expect("as this test has set it up")
    }

    /// Ends it by SIGTERM with code 0 and no error in its log.
    fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit(SOON), Some(0));
        assert_eq!(self.process.journal.count("ERROR"), 0);
    }

    /// Waits until a query gives this.
    fn comes_to(&self, query: &str, wanted: i64) {
        let (_never, wait) = std::sync::mpsc::channel::<()>();
        for _ in 0..400 {
            if self.number(query) == wanted {
                return;
            }
            let _ = wait.recv_timeout(Duration::from_millis(50));
        }
        panic!("{query} never came to {wanted}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configuration(folder: &std::path::Path, ip: &str, rest: &str) -> String {
    format!(
        "node: {{ name: t }}\nlisten: [ \"udp://{ip}:5060\", \"tcp://{ip}:5060\" ]\ndomains: [ example.com ]\n\
         store: {{ path: {} }}\n{rest}",
        folder.join("t.db").display()
    )
}

/// A user agent of a few lines: requests one after the other, each challenge answered.
struct Ua {
    socket: UdpSocket,
    /// Where it has its media.
    media: SocketAddr,
    user: &'static str,
    /// Whose registration it asks for.
    aor: &'static str,
    password: Secret,
    cseq: u32,
    /// The last challenge's algorithms, as they came.
    offered: Vec<Algorithm>,
}

/// A call that is up.
struct Talk {
    call_id: String,
    to: String,
    target: String,
}

impl Ua {
    fn new(node: &Node, host: u8, user: &'static str, password: &str) -> Ua {
        let ip = node.ip.rsplit_once('.').expect("as this test has set it up").0;
        let socket = UdpSocket::bind(format!("{ip}.{host}:5060")).expect("as this test has set it up");
        socket
            .connect(format!("{}:5060", node.ip))
            .expect("as this test has set it up");
        socket.set_read_timeout(Some(SOON)).expect("as this test has set it up");
        let ip = socket.local_addr().expect("as this test has set it up").ip();
        Ua {
            socket,
            media: SocketAddr::new(ip, 40_000),
            user,
            aor: user,
            password: Secret::new(password),
            cseq: 0,
            offered: Vec::new(),
        }
    }

    fn receive(&self) -> Message {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("the node says something");
        Message::parse(bytes::Bytes::copy_from_slice(&buffer[..length])).expect("it is SIP")
    }

    /// Sends a request and gives its final response; a challenge is answered with `algorithm`.
    fn ask(&mut self, method: Method, uri: &str, call_id: &str, algorithm: Algorithm) -> Message {
        let (mut fields, body) = match method {
            Method::Invite => ("Content-Type: application/sdp\r\n".to_owned(), self.offer()),
            _ => ("Expires: 600\r\n".to_owned(), String::new()),
        };
        for _ in 0..2 {
            let response = self.try_once(&method, uri, call_id, &fields, &body);
            if response.status() != 401 {
                return response;
            }
            let challenges = auth::challenges(&response);
            self.offered = challenges.iter().map(|(_, challenge)| challenge.algorithm).collect();
            let (_, challenge) = challenges
                .iter()
                .find(|(_, challenge)| challenge.algorithm == algorithm)
                .expect("the algorithm is offered");
            let answer = auth::answer(challenge, self.user, &self.password, &method, uri, "cn", 1);
            fields.push_str(&format!("Authorization: {answer}\r\n"));
        }
        panic!("challenged twice");
    }

    fn try_once(&mut self, method: &Method, uri: &str, call_id: &str, fields: &str, body: &str) -> Message {
        self.cseq += 1;
        let (cseq, user, local) = (
            self.cseq,
            self.user,
            self.socket.local_addr().expect("as this test has set it up"),
        );
        let to = if *method == Method::Register {
            format!("sip:{}@example.com", self.aor)
        } else {
            uri.to_owned()
        };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{call_id}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=t\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{user}@{local}>\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket.send(text.as_bytes()).expect("as this test has set it up");
        loop {
            let message = self.receive();
            if !message.is_request()
                && message.status() >= 200
                && message.cseq().expect("as this test has set it up").number == cseq
            {
                if *method == Method::Invite && message.status() >= 300 {
                    self.ack(uri, call_id, &message);
                }
                return message;
            }
        }
    }

    fn ack(&self, uri: &str, call_id: &str, response: &Message) {
        let (local, cseq) = (
            self.socket.local_addr().expect("as this test has set it up"),
            response.cseq().expect("as this test has set it up").number,
        );
        let branch = if response.status() < 300 {
            format!("z9hG4bKack{call_id}{cseq}")
        } else {
            format!("z9hG4bK{call_id}{cseq}")
        };
        let text = format!(
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{}@example.com>;tag=t\r\nTo: {}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} ACK\r\n\
             Content-Length: 0\r\n\r\n",
            self.user,
            response.get(Name::To).expect("as this test has set it up")
        );
        self.socket.send(text.as_bytes()).expect("as this test has set it up");
    }

    fn offer(&self) -> String {
        let (ip, port) = (self.media.ip(), self.media.port());
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
    }

    fn register(&mut self) -> Message {
        self.ask(Method::Register, "sip:example.com", "reg", Algorithm::Md5)
    }

    /// Calls a number: the call, or the status that refused it.
    fn call(&mut self, number: &str, call_id: &str) -> Result<Talk, u16> {
        let uri = format!("sip:{number}@example.com");
        let response = self.ask(Method::Invite, &uri, call_id, Algorithm::Md5);
        if response.status() != 200 {
            return Err(response.status());
        }
        let target = response.addresses(Name::Contact).expect("as this test has set it up")[0]
            .uri
            .to_string();
        self.ack(&target, call_id, &response);
        Ok(Talk {
            call_id: call_id.to_owned(),
            to: response.get(Name::To).expect("as this test has set it up").into_owned(),
            target,
        })
    }

    fn hang_up(&mut self, talk: &Talk) {
        self.cseq += 1;
        let (cseq, local) = (self.cseq, self.socket.local_addr().expect("as this test has set it up"));
        let text = format!(
            "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKbye{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:{}@example.com>;tag=t\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} BYE\r\nContent-Length: 0\r\n\r\n",
            talk.target, self.user, talk.to, talk.call_id
        );
        self.socket.send(text.as_bytes()).expect("as this test has set it up");
        while self.receive().is_request() {}
    }
}

const USERS: &str = "
media: { ports: 20000-20199, workers: 2 }
users:
  - { name: alice, password: secret-alice, number: \"101\", calls: 50 }
  - { name: bob, password: secret-bob, number: \"102\" }
routes:
  - { to: \"600\", do: echo }
calls: { stop_grace: 60s }
";

#[test]
fn a_second_sigterm_ends_the_calls_at_once_with_bye_and_record() {
    let mut node = Node::start(1, USERS);
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    let talk = alice.call("600", "c1").expect("the echo answers");
    node.process.signal("TERM");
    node.says("stopping: no new calls; those that are up (1)");
    node.process.signal("TERM");
    let bye = std::iter::repeat_with(|| alice.receive())
        .find(Message::is_request)
        .unwrap();
    assert_eq!((bye.method(), bye.call_id()), (Method::Bye, talk.call_id.as_str()));
    // It is not answered: the node does not wait for long.
    assert_eq!(node.process.exit(SOON), Some(0));
    assert_eq!(
        node.number("SELECT count(*) FROM calls WHERE ended IS NOT NULL AND ended_by = 'node'"),
        1
    );
}

/// A port comes back when the media thread has closed its leg, which is a moment after the call.
#[allow(clippy::disallowed_methods, reason = "a real program is polled")]
fn called_soon(alice: &mut Ua, call_id: &str) -> Talk {
    let mut tries = 0..50;
    tries
        .find_map(|nth| {
            let talk = alice.call("600", &format!("{call_id}.{nth}")).ok();
            if talk.is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
            talk
        })
        .expect("a port comes back")
}

#[test]
fn when_ports_run_out_calls_get_503_and_they_come_back_with_every_descriptor() {
    let config = USERS.replace("20000-20199", "20000-20003");
    let node = Node::start(2, &format!("{config}guard: {{ per_user: 10000 }}\n"));
    let process = node.pid();
    let descriptors = || fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let before = descriptors();
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    for round in 0..5 {
        let first = called_soon(&mut alice, &format!("a{round}"));
        let second = called_soon(&mut alice, &format!("b{round}"));
        assert_eq!(alice.call("600", &format!("c{round}")).err(), Some(503));
        alice.hang_up(&first);
        alice.hang_up(&second);
        // A record is closed when the ports of its call have come back.
        node.comes_to("SELECT count(*) FROM calls WHERE ended_by = 'caller'", 2 * (round + 1));
    }
    // The range may be bound and spare at one time and not at the other: four sockets.
    assert!(
        descriptors().abs_diff(before) <= 4,
        "{} descriptors, before {before}",
        descriptors()
    );
    node.stop();
}

#[test]
fn a_reload_moves_listeners_and_ports_and_refuses_what_it_cannot_open_by_name() {
    let node = Node::start(3, USERS);
    let good = node.configuration(USERS);
    // Taken: nothing changes, not even what could have.
    let taken = TcpListener::bind(format!("{}:5070", node.ip)).unwrap();
    let more = good.replace("listen: [ ", &format!("listen: [ \"tcp://{}:5070\", ", node.ip));
    node.reload(&more.replace("name: bob", "name: carol"));
    node.says(&format!(
        "reload refused, nothing was changed: tcp://{}:5070 is taken by ",
        node.ip
    ));
    let mut bob = Ua::new(&node, 3, "bob", "secret-bob");
    assert_eq!(bob.register().status(), 200);
    drop(taken);
    // A wildcard in place of an address: the old listener is in the way and goes first.
    let listening = |addr: &str| good.replace("listen: [ ", &format!("listen: [ \"udp://{addr}:5983\", "));
    node.reload(&listening(&node.ip));
    node.says("reloaded: 1 listener to open");
    let moved = listening("0.0.0.0").replace("20000-20199", "21000-21199");
    node.reload(&moved.replace("workers: 2", "workers: 1"));
    node.says("reloaded: New calls take media ports 21000-21199");
    node.says("media.workers changed, which takes effect at the next start");
    UdpSocket::bind((node.ip.as_str(), 5983)).expect_err("the wildcard has it");
    assert_eq!(bob.register().status(), 200);
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    let response = alice.ask(Method::Invite, "sip:600@example.com", "call", Algorithm::Md5);
    let answer = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(answer.contains("m=audio 21"), "{answer}");
    node.process.signal("TERM");
    node.process.signal("TERM");
}

#[test]
fn a_reload_of_anything_else_leaves_calls_their_media() {
    let node = Node::start(10, USERS);
    node.reload(&node.configuration(&USERS.replace("name: bob", "name: carol")));
    node.says("reloaded: ");
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    let response = alice.ask(Method::Invite, "sip:600@example.com", "call", Algorithm::Md5);
    let answer = String::from_utf8(response.body().to_vec()).unwrap();
    let port = answer.split_once("m=audio ").and_then(|(_, rest)| rest.split_once(' '));
    let port: u16 = port.expect("an answer").0.parse().unwrap();
    UdpSocket::bind((node.ip.as_str(), port)).expect_err("the node has it");
    // What waits for a restart is as it was before: nobody is told of it again when it is put back.
    let carol = node.configuration(&USERS.replace("name: bob", "name: carol"));
    node.reload(&format!("{carol}log: {{ format: json }}\n"));
    node.says("log.format changed, which takes effect at the next start");
    node.reload(&carol);
    node.says("reloaded: nothing is different");
    node.process.signal("TERM");
    node.process.signal("TERM");
}

#[test]
fn a_user_who_is_gone_loses_the_bindings_in_memory_and_on_disk() {
    let node = Node::start(4, USERS);
    let mut bob = Ua::new(&node, 3, "bob", "secret-bob");
    assert_eq!(bob.register().status(), 200);
    assert_eq!(node.number("SELECT count(*) FROM bindings"), 1);
    node.reload(&node.configuration(&USERS.replace("name: bob", "name: carol")));
    node.says("the bindings of bob@example.com are removed");
    node.comes_to("SELECT count(*) FROM bindings", 0);
    assert_eq!(bob.register().status(), 403);
    node.stop();
}

#[test]
fn sha_256_comes_first_where_it_is_configured_and_both_are_taken() {
    let node = Node::start(
        5,
        &USERS.replace("number: \"101\"", "number: \"101\", digest: [ sha-256, md5 ]"),
    );
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        let response = alice.ask(Method::Register, "sip:example.com", "reg", algorithm);
        assert_eq!(response.status(), 200);
        assert!(response.get(Name::Date).is_some(), "RFC 3261 10.3 step 8");
    }
    assert_eq!(alice.offered, [Algorithm::Sha256, Algorithm::Md5]);
    node.stop();
}

#[test]
fn a_name_that_does_not_exist_a_wrong_password_and_a_stranger_s_name_get_the_same_answer() {
    let node = Node::start(6, USERS);
    let mut answers = Vec::new();
    for (host, user, password) in [(2, "alice", "wrong"), (3, "nobody", "secret-alice")] {
        let mut ua = Ua::new(&node, host, user, password);
        let response = ua.register();
        answers.push((ua.offered.clone(), response.status(), response.reason().to_owned()));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].1, 403);
    // Alice's own credentials do not open bob's address of record.
    let mut alice = Ua::new(&node, 4, "alice", "secret-alice");
    alice.aor = "bob";
    assert_eq!(alice.register().status(), 403);
    assert_eq!(node.number("SELECT count(*) FROM bindings"), 0);
    node.stop();
}

#[test]
fn waits_that_are_interrupted_cost_no_packet_and_no_call() {
    let node = Node::start(7, USERS);
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    let response = alice.ask(Method::Invite, "sip:600@example.com", "eintr", Algorithm::Md5);
    assert_eq!(response.status(), 200);
    let target = response.addresses(Name::Contact).unwrap()[0].uri.to_string();
    alice.ack(&target, "eintr", &response);
    let answer = String::from_utf8(response.body().to_vec()).unwrap();
    let port: u16 = answer
        .split("m=audio ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|port| port.parse().ok())
        .unwrap();
    let ip = alice.socket.local_addr().unwrap().ip();
    let media = UdpSocket::bind((ip, 40_000)).unwrap();
    media.connect((node.ip.as_str(), port)).unwrap();
    media.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for round in 0..20u16 {
        // Every thread that waits for packets comes back with EINTR (signal(7), "Interruption of system calls").
        node.process.signal("STOP");
        node.process.signal("CONT");
        let comes_back = (0..20).any(|again| {
            let sequence = round * 20 + again;
            let mut packet = vec![0x80, 0];
            packet.extend(sequence.to_be_bytes());
            packet.extend((u32::from(sequence) * 160).to_be_bytes());
            packet.extend(7u32.to_be_bytes());
            packet.extend([0xd5; 160]);
            media.send(&packet).unwrap();
            media.recv(&mut [0; 1500]).is_ok_and(|length| length == 172)
        });
        assert!(comes_back, "the echo is silent after interruption {round}");
    }
    assert_eq!(alice.register().status(), 200, "signalling too");
    let to = response.get(Name::To).unwrap().into_owned();
    let call_id = "eintr".to_owned();
    alice.hang_up(&Talk { call_id, to, target });
    node.stop();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what is promised is real time"
)]
fn the_start_of_a_call_is_on_disk_soon_after_the_invite() {
    let node = Node::start(8, USERS);
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    let mut took = Vec::new();
    for round in 0..5 {
        let start = std::time::Instant::now();
        let talk = alice.call("600", &format!("d{round}")).expect("the echo answers");
        while node.number("SELECT count(*) FROM calls") <= round {
            assert!(start.elapsed() < SOON, "it is never written");
        }
        took.push(start.elapsed());
        alice.hang_up(&talk);
    }
    took.sort();
    // Promised are 100 ms of the node; the rest is for a machine that is busy with other tests.
    assert!(took[0] < Duration::from_millis(100), "{took:?}");
    assert!(took[2] < Duration::from_millis(300), "{took:?}");
    node.stop();
}

#[test]
fn json_logs_are_one_object_a_line_with_time_level_and_event() {
    let mut node = Node::start(9, &format!("{USERS}log: {{ format: json }}\n"));
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    assert_eq!(alice.register().status(), 200);
    let talk = alice.call("600", "json").expect("the echo answers");
    alice.hang_up(&talk);
    node.process.signal("TERM");
    assert_eq!(node.process.exit(SOON), Some(0));
    let said = node.process.journal.text();
    let (logged, printed): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with('{'));
    let mut events = Vec::new();
    for line in logged {
        // JSON is YAML.
        let value: serde_yaml::Value = serde_yaml::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let text = |value: &serde_yaml::Value| value.as_str().map(str::to_owned).unwrap_or_else(|| panic!("{line}"));
        assert!(text(&value["timestamp"]).ends_with('Z'), "{line}");
        assert!(["INFO", "WARN"].contains(&text(&value["level"]).as_str()), "{line}");
        events.push(text(&value["fields"]["message"]));
    }
    for event in [
        "call from alice (user/alice) to 600, routed to echo by ",
        "answered by ",
        "stopped after ",
    ] {
        assert!(
            events.iter().any(|told| told.starts_with(event)),
            "{event:?} in {events:?}"
        );
    }
    // The banner goes to standard output; nothing of the log is in another form.
    let is_log = |line: &&&str| line.contains(" INFO ") || line.contains(" WARN ");
    assert_eq!(printed.iter().find(is_log), None);
}

#[test]
fn a_reload_while_the_node_stops_is_refused_and_nobody_is_registered_with() {
    let mut node = Node::start(7, USERS);
    let mut alice = Ua::new(&node, 2, "alice", "secret-alice");
    let talk = alice.call("600", "c1").expect("the echo answers");
    node.process.signal("TERM");
    node.says("stopping: no new calls; those that are up (1)");
    let carrier = UdpSocket::bind("127.82.7.9:5060").unwrap();
    let trunk =
        "trunks:\n  - { name: acme, peers: [ \"sip:127.82.7.9:5060\" ], register: { username: u, password: p } }\n";
    node.reload(&node.configuration(&format!("{USERS}{trunk}")));
    node.says("reload refused, nothing was changed: the node is stopping");
    alice.hang_up(&talk);
    assert_eq!(node.process.exit(SOON), Some(0));
    carrier.set_nonblocking(true).unwrap();
    assert!(carrier.recv(&mut [0; 9]).is_err(), "the carrier was spoken to");
}
