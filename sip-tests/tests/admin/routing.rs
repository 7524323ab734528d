//! The dial plan in calls: the first route that matches, decides; our own users; who may call the world.

use crate::tools::{fails, incoming, works, world};
use sip_tests::World;

const PLAN: &str = "users:
  - { name: alice, password: \"wonder land\", number: \"+14155550101\" }
  - { name: bob, password: builder, numbers: [ \"+14155550102\", \"102\" ] }
  - { name: carol, password: xmas, number: \"+14155550103\" }
trunks:
  - { name: acme, peers: [ \"sip:198.51.100.1:5060\" ], options: never, numbers: { country: US } }
  - { name: blue, peers: [ \"sip:198.51.100.2:5060\" ], options: never, numbers: { country: US } }
routes:
  - { to: \"*\", from: user/carol, do: reject/403 }
  - { to: \"+44*\", from: user/alice, do: trunk/blue }
  - { to: \"+4420*\", from: user/alice, do: reject/603 }
  - { to: \"+14155550102\", from: user/alice, do: trunk/blue }
  - { to: \"700\", do: user/bob }
  - { to: \"+14155550100\", from: trunk/acme, do: user/alice }
  - { to: \"+1900*\", from: trunk/blue, do: trunk/acme }
  - { to: \"102\", do: reject/486 }
  - { to: \"+\", do: trunk/acme }
";

/// Order decides, not length: the first route that matches the number and the caller.
#[test]
fn the_first_route_that_matches_decides() {
    let mut w = world(1, PLAN);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (acme, blue) = (
        w.carrier("acme", "198.51.100.1:5060"),
        w.carrier("blue", "198.51.100.2:5060"),
    );
    let mut to = |from, number: &str| {
        works(&mut w, from, number);
        w.cdr().to.clone()
    };
    assert_eq!(to(alice, "+442079460000"), "trunk/blue", "+44* stands before +4420*");
    assert_eq!(to(bob, "+442079460000"), "trunk/acme", "the route was for alice");
    assert_eq!(to(alice, "700"), "user/bob");
    assert_eq!(to(acme, "+14155550100"), "user/alice");
    assert_eq!(to(bob, "alice"), "user/alice", "no route, but she is ours");
    fails(&mut w, carol, "+442079460000", 403);
    fails(&mut w, carol, "alice", 403);
    fails(&mut w, bob, "102", 486);
    assert_eq!(
        (
            incoming(&w, blue).len(),
            incoming(&w, acme).len(),
            incoming(&w, bob).len()
        ),
        (1, 1, 1)
    );
    w.finish();
}

/// Our users reach each other by number without a route, also beside a route for all numbers, unless a route names the very
/// number; from a carrier the same.
#[test]
fn our_own_numbers_stay_inside() {
    let mut w = world(2, PLAN);
    let (alice, bob, carol) = (w.registered("alice"), w.registered("bob"), w.registered("carol"));
    let (acme, blue) = (
        w.carrier("acme", "198.51.100.1:5060"),
        w.carrier("blue", "198.51.100.2:5060"),
    );
    works(&mut w, bob, "+14155550101");
    works(&mut w, bob, "+14155550103");
    works(&mut w, acme, "+14155550102");
    assert_eq!(
        (
            incoming(&w, alice).len(),
            incoming(&w, carol).len(),
            incoming(&w, bob).len()
        ),
        (1, 1, 1)
    );
    assert!(incoming(&w, acme).is_empty());
    works(&mut w, alice, "+14155550102");
    assert_eq!(
        (incoming(&w, blue).len(), incoming(&w, bob).len()),
        (1, 1),
        "a route names it for her"
    );
    w.finish();
}

/// Nobody calls the world at our cost: a route joins two trunks only where its `from` says so.
#[test]
fn trunks_are_joined_only_where_a_route_says_so() {
    let mut w = world(3, PLAN);
    let (acme, blue) = (
        w.carrier("acme", "198.51.100.1:5060"),
        w.carrier("blue", "198.51.100.2:5060"),
    );
    fails(&mut w, acme, "+442079460000", 404);
    fails(&mut w, blue, "+442079460000", 404);
    works(&mut w, blue, "+19005550000");
    assert_eq!((incoming(&w, acme).len(), incoming(&w, blue).len()), (1, 0));
    assert_eq!(w.census().trunk_places, 0, "both places are given back");
    w.finish();
}

/// What nobody has is 404; what names nobody is 484 (RFC 3261 21.4.22); a domain of somebody else's is 404.
#[test]
fn what_nobody_has_is_not_found() {
    let mut w = World::builder(4).config(&crate::tools::yaml(PLAN)).build();
    let alice = w.registered("alice");
    fails(&mut w, alice, "nobody", 404);
    fails(&mut w, alice, "999", 404);
    fails(&mut w, alice, "sip:example.com", 484);
    fails(&mut w, alice, "sip:bob@other.example", 404);
    // The host's letters do not matter, the user's do (RFC 3261 19.1.4).
    let bob = w.registered("bob");
    works(&mut w, alice, "sip:bob@Example.COM");
    works(&mut w, alice, "sip:bob@192.0.2.1");
    fails(&mut w, alice, "sip:Bob@example.com", 404);
    assert_eq!(incoming(&w, bob).len(), 2);
    w.finish();
}
