//! Memory that the allocator holds back. It gives what is free to the system a while later, when something else is freed that is as
//! large: after the reading of a long configuration, or after a flood, that is perhaps never.
#![allow(unsafe_code, reason = "the allocator is C")]

/// Gives all that is free now back to the system: of this thread, and of those that have ended.
pub fn give_back() {
    collect(true);
}

/// The same for what has been free for a while: a burst must not keep its memory.
pub fn give_back_old() {
    collect(false);
}

fn collect(all: bool) {
    // SAFETY: `mi_collect` takes no pointer and may be called by any thread at any time (mimalloc.h); where another allocator is the
    // program's own, as in tests, it finds nothing.
    unsafe { libmimalloc_sys::mi_collect(all) }
}
