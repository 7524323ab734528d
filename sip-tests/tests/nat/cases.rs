//! What the clients do, case by case.

use crate::Stage;
use crate::driver::Driver;
use crate::internet::{Firewall, Nat};
use crate::node::Turn;

/// Packets of the second and a half in which all of them speak, each way, at the least.
pub const SPEECH: u64 = 70;

/// RFC 8489, RFC 8445: both behind NAT, they learn their outside addresses from the node and talk past it; one of them then has another
/// address, and the call goes on.
pub fn by_stun(stage: &mut Stage) {
    let Stage { internet, node, driver } = stage;
    internet.count_anew();
    let pairs = driver.pairs("talk");
    assert!(pairs.iter().all(|pair| pair.is_direct()), "{pairs:?}");
    for way in ["alice-carol", "carol-alice"] {
        assert!(internet.counted(way) > SPEECH, "{way}");
    }
    internet.alice.moves(3);
    let pairs = driver.pairs("moved");
    assert!(pairs.iter().all(|pair| pair.is_direct()), "{pairs:?}");
    driver.does("end");
    assert_eq!((internet.counted("media"), internet.counted("relayed")), (0, 0));
    assert_eq!(node.allocations(), 0);
}

/// RFC 8828 3.2: a page without permission for a microphone tells names of mDNS in place of its addresses. They say nothing to the node, which
/// learns the way from the checks.
pub fn without_a_microphone(stage: &mut Stage) {
    let Stage { internet, driver, .. } = stage;
    internet.count_anew();
    let steps = driver.does("dial silent sip:bob@example.com 440");
    assert_eq!(steps, ["offered NAME.local", "alice prflx host udp -"]);
    // The rules that are to count nothing elsewhere do count.
    assert!(internet.counted("media") > SPEECH && internet.counted("alice-node") > SPEECH);
}

/// RFC 8656: where each other gets another mapping, media goes by the node's relay, whose keys the clients have asked for.
pub fn by_turn(stage: &mut Stage) {
    let Stage { internet, node, driver } = stage;
    node.tells(Turn::Everything);
    for site in [&internet.alice, &internet.carol] {
        site.translates(Nat::Symmetric);
    }
    internet.count_anew();
    let pairs = driver.pairs("talk");
    for pair in &pairs {
        let relays = [&pair.local, &pair.remote]
            .into_iter()
            .filter(|kind| **kind == "relay")
            .count();
        assert!(relays > 0 && pair.protocol == "udp", "{pairs:?}");
    }
    assert!(pairs.iter().any(|pair| pair.relay == "udp"), "{pairs:?}");
    let keys = driver.does("keys");
    assert!(keys[0].ends_with(":acme:alice"), "{keys:?}");
    // Before the keys end the call has gone on to others.
    let pairs = driver.pairs("moved");
    assert!(
        pairs.iter().any(|pair| pair.local == "relay" || pair.remote == "relay"),
        "{pairs:?}"
    );
    driver.does("end");
    assert!(internet.counted("relayed") > SPEECH);
    assert!(node.allocations() > 1);
    assert_eq!(internet.counted("media"), 0);
}

/// A client that can send no UDP reaches the relay by TCP, or by TLS on a port of the web; the other has UDP.
pub fn without_udp(stage: &mut Stage) {
    let Stage { internet, driver, .. } = stage;
    internet.carol.translates(Nat::Common);
    for (firewall, relay) in [(Firewall::NoUdp, "tcp"), (Firewall::WebOnly, "tls")] {
        internet.alice.lets_out(firewall);
        internet.count_anew();
        let [alice, carol] = driver.pairs("talk");
        assert_eq!((&*alice.local, &*alice.relay), ("relay", relay), "{alice:?}");
        assert_eq!(carol.remote, "relay", "{carol:?}");
        driver.does("end");
        assert_eq!(
            (internet.counted("alice-node"), internet.counted("alice-carol")),
            (0, 0)
        );
        assert!(internet.counted("carol-node") > SPEECH);
    }
}

/// The same client calls a phone: between relay and media processor there are datagrams.
pub fn without_udp_to_a_phone(stage: &mut Stage) {
    let Stage { internet, driver, .. } = stage;
    for (firewall, relay) in [(Firewall::RelayOnly, "tcp"), (Firewall::WebOnly, "tls")] {
        internet.alice.lets_out(firewall);
        internet.count_anew();
        let steps = driver.does("dial relayed sip:bob@example.com 440");
        assert_eq!(steps[1], format!("alice relay host udp {relay}"), "{steps:?}");
        assert_eq!(internet.counted("alice-node"), 0);
        assert!(internet.counted("media") > SPEECH);
    }
}

/// RFC 6544: nor has it a relay, and media comes by TCP to the node itself.
pub fn without_udp_by_tcp_to_the_node(stage: &mut Stage) {
    let Stage { internet, node, driver } = stage;
    internet.alice.lets_out(Firewall::NoUdp);
    node.tells(Turn::StunOnly);
    internet.count_anew();
    let steps = driver.does("dial silent sip:bob@example.com 440");
    let pair: Vec<&str> = steps[1].split(' ').collect();
    assert_eq!((pair[0], pair[2], pair[3]), ("alice", "host", "tcp"), "{steps:?}");
    assert_eq!((internet.counted("alice-node"), internet.counted("relayed")), (0, 0));
}

/// Without a relay such a client cannot talk. Both are told why: a page by its event, who sits at the telephone in the page in words.
pub fn turn_is_off(stage: &mut Stage) {
    let Stage { internet, node, driver } = stage;
    internet.alice.lets_out(Firewall::NoUdp);
    node.tells(Turn::StunOnly);
    let words = told(driver, "off");
    let apart = "a firewall keeps the two apart, and the operator has no TURN server (api.turn). From another network it may work.";
    assert_eq!(words, [apart, apart]);
}

/// One does not reach the relay, and the other is refused: what the node hands out is not of the relay's secret.
pub fn turn_does_not_help(stage: &mut Stage) {
    let Stage { internet, node, driver } = stage;
    internet.alice.lets_out(Firewall::ApiOnly);
    node.tells(Turn::WrongSecret);
    let [alice, carol] = told(driver, "refused");
    let apart =
        "a firewall keeps the two apart, and lets nothing through to the TURN server either, be it UDP, TCP or TLS.";
    assert_eq!(alice, apart);
    let apart = "a firewall keeps the two apart, and the TURN server has refused to help (401";
    assert!(carol.starts_with(apart), "{carol}");
    node.tells(Turn::StunOnly);
    internet.alice.lets_out(Firewall::Open);
    internet.alice.translates(Nat::Common);
}

/// What Alice's page and Carol's telephone say of a call that finds no way.
fn told(driver: &mut Driver, why: &str) -> [String; 2] {
    let steps = driver.does(&format!("nowhere {why}"));
    let ways = ["alice trouble no-way:", "carol"].map(|who| format!("{who} No way to the other was found: "));
    assert_eq!(steps.len(), 2, "{steps:?}");
    [0, 1].map(|side| {
        let words = steps[side].strip_prefix(&ways[side]);
        words.unwrap_or_else(|| panic!("{steps:?}")).to_owned()
    })
}

/// What else may go wrong is said in words by the telephone in the page: who has no network, or does not reach the node, is told so, and not
/// any more when that is over.
pub fn troubles_in_words(stage: &mut Stage) {
    let Stage { internet, driver, .. } = stage;
    let words = "The browser plays nothing before it is asked to: press \"Hear the call\".";
    assert_eq!(driver.does("blocked"), [format!("blocked {words}")]);
    let words = "The microphone is not allowed. Allow it beside the address of the page.";
    assert_eq!(
        driver.does("refused"),
        [format!("calls {words}"), format!("accepts {words}")]
    );
    driver.does("sits");
    internet.carol.plugged(false);
    assert_eq!(driver.does("told offline offline"), ["offline This device is offline."]);
    internet.carol.plugged(true);
    driver.does("back");
    driver.does("types");
    internet.carol.lets_out(Firewall::Shut);
    driver.does("enters");
    let words = "The node cannot be reached. It is tried again.";
    assert_eq!(
        driver.does("told unreachable reached"),
        [format!("unreachable {words}")]
    );
    internet.carol.lets_out(Firewall::Open);
    driver.does("back");
}
