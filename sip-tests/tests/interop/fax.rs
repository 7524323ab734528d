//! Faxes (T.38) between two carriers (SIPp on both sides, their datagrams in the test): a call becomes one and audio again, begins as one,
//! is refused.

use super::node::Node;
use super::phones::all_hung_up;
use super::scene::{SOON, Scene, eventually};
use super::sipp::{Setup, Sipp};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const CALLER: u8 = 4;
const CALLEE: u8 = 5;
const STRANGER: u8 = 66;
/// Where the fax machines listen: elsewhere than the audio of their calls.
const PORT: u16 = 31_000;
/// The node's ports.
const OURS: std::ops::Range<u16> = 20_000..20_400;
const DATAGRAMS: u16 = 60;

fn configuration(scene: &Scene, callers: &str) -> String {
    let trunk = |name: &str, host: u8, more: &str| {
        let peer = scene.sip(host);
        format!(
            "  - {{ name: {name}, peers: [ \"sip:{peer}\" ], options: never, numbers: {{ country: US, send: e164 }}{more} }}\n"
        )
    };
    format!(
        "trunks:\n{}{}routes:\n  - {{ to: \"+\", from: trunk/acme, do: trunk/boom }}\n",
        trunk("acme", CALLER, callers),
        trunk("boom", CALLEE, "")
    )
}

/// A SIPp whose descriptions name a fax machine at its host.
fn setup<'a>(scene: &'a Scene, scenario: &'a str, host: u8) -> Setup<'a> {
    Setup::new(scene, scenario, host)
        .key("fax_port", &PORT.to_string())
        .key("number", "+14155550101")
        .key("caller", "+14155550199")
}

/// Our port in the last description with a fax that this SIPp was sent.
fn fax_port(sipp: &Sipp) -> u16 {
    let find = || {
        let messages = sipp.messages();
        let mut ports = messages
            .lines()
            .filter_map(|line| line.trim().strip_prefix("m=image ")?.split(' ').next()?.parse().ok());
        ports.rfind(|port| OURS.contains(port))
    };
    eventually("the node has described a fax", SOON, || find().is_some());
    find().expect("it has")
}

/// Something that sends and receives UDPTL.
struct Machine {
    socket: UdpSocket,
    node: SocketAddr,
    name: u8,
}

impl Machine {
    fn open(scene: &Scene, host: u8, sipp: &Sipp) -> Machine {
        let address: Ipv4Addr = scene.host(host);
        let socket = UdpSocket::bind((address, PORT)).expect("the address is this test's own");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a socket");
        Machine {
            socket,
            node: (scene.host(1), fax_port(sipp)).into(),
            name: host,
        }
    }

    /// Begins with a sequence number, as UDPTL does; the rest is whatever T.38 says.
    fn datagram(&self, number: u16) -> Vec<u8> {
        // Over the range that looks like RTP, RTCP, STUN and DTLS.
        let sequence = number.wrapping_mul(1_097);
        let mut octets = sequence.to_be_bytes().to_vec();
        octets.extend(vec![self.name; 6 + usize::from(number) % 200]);
        octets
    }

    fn send(&self, number: u16) {
        let sent = self.socket.send_to(&self.datagram(number), self.node);
        sent.expect("loopback takes it");
    }

    /// All that the other one sent came, in order, from where the node said; and nothing else.
    fn hears(&self, other: &Machine) {
        let mut buffer = [0; 2_000];
        for number in 0..DATAGRAMS {
            let (count, from) = self.socket.recv_from(&mut buffer).expect("a datagram comes");
            assert_eq!(from, self.node);
            assert_eq!(buffer[..count], other.datagram(number), "datagram {number}");
        }
        let wait = Duration::from_millis(200);
        self.socket.set_read_timeout(Some(wait)).expect("a socket");
        assert!(self.socket.recv_from(&mut buffer).is_err(), "something else came");
    }
}

/// Both machines send, and so does somebody else; each hears the other one.
fn fax(scene: &Scene, caller: &Sipp, callee: &Sipp) {
    let (one, other) = (
        Machine::open(scene, CALLER, caller),
        Machine::open(scene, CALLEE, callee),
    );
    let stranger = UdpSocket::bind((scene.host(STRANGER), PORT)).expect("the address is this test's own");
    for number in 0..DATAGRAMS {
        for machine in [&one, &other] {
            let stolen = stranger.send_to(&machine.datagram(number), machine.node);
            stolen.expect("loopback takes it");
            machine.send(number);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    one.hears(&other);
    other.hears(&one);
}

#[test]
fn a_call_becomes_a_fax_and_audio_again() {
    let scene = Scene::new("fax");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let callee = setup(&scene, "fax-callee", CALLEE).listen();
    let caller = setup(&scene, "fax-caller", CALLER).call(node.sip);
    fax(&scene, &caller, &callee);
    let (to_caller, to_callee) = (caller.messages(), callee.messages());
    caller.finish();
    callee.finish();
    // Each is told what the other says of its fax.
    for (messages, own, others) in [(to_caller, "4 4 4", "5 5 5"), (to_callee, "5 5 5", "4 4 4")] {
        let says = |what: &str| messages.contains(&format!("a=T38VendorInfo:{what}"));
        assert!(says(own) && says(others), "{messages}");
    }
    all_hung_up(&node, 1);
    node.wait_log("the callee has made it a fax (T.38)", 1);
    node.wait_log("the caller has made it a call in audio again", 1);
    let legs =
        "SELECT count(*) FROM legs WHERE codec = 'PCMA, T.38' AND received = 60 AND sent = 60 AND strangers = 60";
    assert_eq!(node.number(legs), 2, "{}", node.calls());
    node.stop();
}

#[test]
fn a_call_begins_as_a_fax() {
    let scene = Scene::new("fax-at-once");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let callee = setup(&scene, "fax-callee-at-once", CALLEE).listen();
    let caller = setup(&scene, "fax-caller-at-once", CALLER).call(node.sip);
    fax(&scene, &caller, &callee);
    caller.finish();
    callee.finish();
    all_hung_up(&node, 1);
    assert_eq!(
        node.number("SELECT count(*) FROM legs WHERE codec = 'T.38' AND received = 60"),
        2
    );
    node.stop();
}

#[test]
fn a_fax_is_refused_by_the_other_side() {
    let scene = Scene::new("fax-refused");
    let node = Node::start(&scene, &configuration(&scene, ""));
    let callee = setup(&scene, "fax-callee-refused", CALLEE).listen();
    let caller = setup(&scene, "fax-caller-refuses", CALLER).call(node.sip);
    caller.finish();
    callee.finish();
    all_hung_up(&node, 1);
    node.wait_log("a fax (T.38) was refused: the call goes on in audio", 1);
    assert_eq!(node.number("SELECT count(*) FROM legs WHERE codec = 'PCMA'"), 2);
    node.stop();
}

#[test]
fn a_fax_is_refused_by_the_configuration() {
    let scene = Scene::new("fax-not-let");
    let node = Node::start(&scene, &configuration(&scene, ", t38: no"));
    let callee = setup(&scene, "fax-callee-refused", CALLEE).listen();
    let caller = setup(&scene, "caller-hangs-up", CALLER)
        .with(&["-d", "1500"])
        .call(node.sip);
    let end = || (caller.messages(), callee.messages());
    eventually("the callee is refused", SOON, || end().1.contains("SIP/2.0 488"));
    let (to_caller, to_callee) = end();
    caller.finish();
    callee.finish();
    assert!(
        !to_caller.contains("m=image") && to_callee.contains("takes no fax"),
        "{to_callee}"
    );
    all_hung_up(&node, 1);
    node.stop();
}
