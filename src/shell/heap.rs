//! Memory that the allocator holds back. It gives what is free to the system a while later, when something else is freed that is as
//! large: after the reading of a long configuration, or after a burst of calls, that is perhaps never.
#![allow(unsafe_code, reason = "the allocator is C")]

/// Gives all that is free now back to the system. It takes a while: not for a thread that others wait for.
pub fn give_back() {
    collect(true);
}

/// Sets free what this thread has kept for itself, for `give_back` by another.
pub fn give_back_own() {
    collect(false);
}

fn collect(at_once: bool) {
    // SAFETY: `mi_collect` takes no pointer and may be called by any thread at any time (mimalloc.h); where another allocator is the
    // program's own, as in tests, it finds nothing.
    unsafe { libmimalloc_sys::mi_collect(at_once) }
}
