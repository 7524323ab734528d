//! Registration: RFC 3261 10.3 step by step, digest, restart, a store that fails.

use sip_tests::{World, s};

/// RFC 3665 2.1: challenged, then accepted with the contact and what is granted.
#[test]
fn a_phone_registers_with_digest() {
    let mut w = World::new(1);
    let alice = w.phone("alice");
    w.register(alice);
    assert_eq!(w.received(alice, |m| m.answers("REGISTER", 401)).len(), 1);
    assert_eq!(w.agent(alice).registration.granted, Some(3600));
    assert_eq!(w.store.durable("alice@example.com"), 1);
    w.run(s(3601));
    assert_eq!(w.register_with(alice, &[]), 200);
    assert!(w.agent(alice).registration.contacts.is_empty(), "it has expired");
    w.finish();
}
