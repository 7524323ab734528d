//! What a call and a registration take of memory, against their budgets. In its own program, since it counts every allocation.

use sip_tests::counting::Counting;
use sip_tests::memory::{self, CALL_BUDGET, REGISTRATION_BUDGET};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_idle_relayed_call_takes_at_most_64_kibibytes() {
    let each = memory::call(200, true);
    println!("{each:?}");
    assert!(
        each.signalling > 1_000 && each.media > 1_000,
        "{each:?}: the scales work"
    );
    assert!(each.all() <= CALL_BUDGET, "{each:?} for each call");
}

#[test]
fn a_registration_takes_at_most_a_kibibyte() {
    let each = memory::registration(1_000);
    println!("{each:?}");
    assert!(each.bindings > 200, "{each:?}: the scales work");
    assert!(each.all() <= REGISTRATION_BUDGET, "{each:?} for each registration");
}
