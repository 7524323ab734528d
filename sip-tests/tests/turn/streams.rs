//! Clients by TCP and TLS.

use sip_tests::ms;
use sip_tests::s;
use sip_tests::turn::wire::{attr, channel_data, kind};
use sip_tests::turn::{Lab, Raw, Via};
use tandem::relay::{End, Fact, StreamId};

#[test]
fn a_client_by_a_stream_reaches_a_peer_by_datagrams() {
    let mut lab = Lab::new(1, "");
    let mut alice = lab.stream(4, "203.0.113.5:4000", "alice", "swordfish");
    let (peer, other) = (lab.host("198.51.100.20:9000"), lab.host("198.51.100.20:9001"));
    let relayed = lab.allocate(&mut alice);
    assert_eq!(lab.bind(&mut alice, 0x4000, peer).error(), None);
    for length in [0, 1, 2, 3, 4, 1_400] {
        let data = vec![9; length];
        // Whole, in two, and octet by octet.
        let message = channel_data(0x4000, &data, true);
        for step in [message.len(), message.len() / 2 + 1, 1] {
            for part in message.chunks(step) {
                lab.say(alice.via, part);
            }
            lab.run(ms(20));
            assert_eq!(lab.heard(peer), [(relayed, data.clone())]);
        }
        lab.send(peer, relayed, &data);
        lab.send(other, relayed, &data);
        lab.run(ms(20));
        let told = lab.told(alice.via);
        assert_eq!(told[0], message, "filled up to whole words");
        assert_eq!(
            Raw::read(&told[1]).expect("an indication").get(attr::DATA),
            Some(&*data)
        );
    }
    // Several at once.
    let both = [channel_data(0x4000, b"one", true), channel_data(0x4000, b"two", true)].concat();
    lab.say(alice.via, &both);
    lab.run(ms(20));
    assert_eq!(lab.heard(peer).len(), 2);
}

#[test]
fn what_a_stream_has_ends_with_it() {
    let mut lab = Lab::new(2, "");
    let mut alice = lab.stream(4, "203.0.113.5:4000", "alice", "swordfish");
    lab.allocate(&mut alice);
    lab.hang_up(StreamId(4));
    assert_eq!((lab.server.allocations(), lab.open_ports().len()), (0, 0));
    assert!(matches!(lab.facts.last(), Some(Fact::Ended { why: End::Closed, .. })));
    // The next one with its number is another one.
    let mut bob = lab.stream(4, "203.0.113.9:4000", "bob", "builder");
    assert_eq!(lab.refresh(&mut bob, 600).error(), Some(437));
    // A stream that is no STUN is closed.
    lab.say(bob.via, b"GET / HTTP/1.1\r\n\r\n");
    assert!(lab.told(bob.via).is_empty());
    assert_eq!(
        lab.exchange(bob.via, [1; 12], &Raw::new(kind::BINDING, [1; 12]).write(None, false)),
        None
    );
}

#[test]
fn a_stream_without_an_allocation_is_not_kept() {
    let mut lab = Lab::new(3, "");
    let idle = lab.stream(1, "203.0.113.5:4000", "", "");
    let mut alice = lab.stream(2, "203.0.113.5:4001", "alice", "swordfish");
    lab.allocate(&mut alice);
    lab.run(s(29));
    let Via::Stream(id) = idle.via else { unreachable!() };
    assert!(lab.hung.is_empty());
    lab.run(s(2));
    assert_eq!(lab.hung, [id]);
    lab.run(s(575));
    assert_eq!(lab.server.allocations(), 0);
    assert_eq!(lab.hung, [id], "it may ask again");
    lab.run(s(31));
    assert_eq!(lab.hung, [id, StreamId(2)]);
}
