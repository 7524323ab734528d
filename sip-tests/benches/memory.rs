//! Bytes of memory for each call and each registration, beside their budgets.

use sip_tests::counting::Counting;
use sip_tests::memory::{self, CALL_BUDGET, REGISTRATION_BUDGET, Weight};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    // What cargo and criterion hand to benchmarks (`--bench`, a filter) changes nothing here.
    println!("memory, in bytes for each:");
    tell("an idle relayed call, of 1,000", memory::call(1_000, true), CALL_BUDGET);
    tell(
        "the signalling of a call, of 10,000",
        memory::call(10_000, false),
        CALL_BUDGET,
    );
    for count in [10_000, 100_000] {
        let name = format!("a registration, of {count}");
        tell(&name, memory::registration(count), REGISTRATION_BUDGET);
    }
}

fn tell(what: &str, each: Weight, budget: isize) {
    let Weight {
        signalling,
        media,
        bindings,
    } = each;
    let verdict = if each.all() <= budget { "within" } else { "BEYOND" };
    println!(
        "{what:<36} {:>7} (signalling {signalling}, media {media}, bindings {bindings}): {verdict} the budget of {budget}",
        each.all()
    );
}
