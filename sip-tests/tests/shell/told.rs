//! What a node tells at its start and in its log.

use super::{Node, USERS, Ua};
use tandem::config::Algorithm;
use tandem::sip::Method;

#[test]
fn who_starts_it_sees_every_door() {
    let ip = "127.82.33.1";
    let doors = format!(
        "api: {{ listen: \"{ip}:8445\", keys: [ {{ tenant: a, key: 0123456789abcdef0123456789abcdef }} ] }}\nng: {{ listen: \"{ip}:2223\" }}\n\
         advertise: {ip}\nturn: {{ listen: [ \"udp://{ip}:3478\" ], secret: north }}\n"
    );
    let node = Node::start(33, &format!("{USERS}{doors}"));
    let text = node.process.journal.text();
    let listed = text.split("Listening on:").nth(1).expect("the list");
    for line in [
        "udp://127.82.33.1:5060",
        "tcp://127.82.33.1:5060",
        "https://127.82.33.1:8445 (the API, and a telephone at /phone)",
        "udp://127.82.33.1:3478 (STUN and TURN)",
        "udp://127.82.33.1:2223 (NG)",
    ] {
        assert!(listed.contains(line), "{line}: {text}");
    }
    node.stop();
}

/// Somebody whose phone does not register asks why: the log has his name, what was asked for and from where; of a number its ends.
#[test]
fn a_wrong_password_is_told_with_user_method_and_source() {
    let users = USERS.replace("number: \"102\"", "numbers: [ \"102\", \"+14155550102\" ]");
    let node = Node::start(
        34,
        &format!("{users}trunks: [ {{ name: acme, peers: [ \"sip:127.82.34.4\" ] }} ]\n"),
    );
    let mut alice = Ua::new(&node, 2, "alice", "wrong");
    assert_eq!(alice.register().status(), 403);
    node.says("refused REGISTER of alice@example.com from 127.82.34.2:5060: wrong user name or password");
    let response = alice.ask(Method::Invite, "sip:600@example.com", "c1", Algorithm::Md5);
    assert_eq!(response.status(), 403);
    node.says("refused INVITE of alice@example.com from 127.82.34.2:5060: wrong user name or password");
    let mut bob = Ua::new(&node, 3, "bob", "wrong");
    bob.aor = "+14155550102";
    assert_eq!(bob.register().status(), 403);
    node.says("refused REGISTER of +1415***102@example.com from 127.82.34.3:5060: wrong user name or password");
    // Behind the address of a carrier.
    let mut guest = Ua::new(&node, 4, "bob", "wrong");
    assert_eq!(guest.register().status(), 403);
    node.says("refused REGISTER of bob@example.com by trunk/acme from 127.82.34.4:5060: wrong");
    node.stop();
}

#[test]
fn one_problem_is_one() {
    let node = Node::start(35, USERS);
    node.reload(&node.configuration(&USERS.replace("calls: 50", "cals: 50")));
    node.says("reload refused, nothing was changed: 1 problem");
    assert_eq!(node.process.journal.count("1 problems"), 0);
    node.stop();
}
