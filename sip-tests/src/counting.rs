//! The system's allocator with a count for each thread: what tests and benchmarks of allocations and memory install.
//!
//! ```text
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// To be the global allocator of a program.
#[derive(Debug)]
pub struct Counting;

/// What this thread asked of the allocator since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Blocks taken, those that changed their size included.
    pub taken: usize,
    /// Blocks given back.
    pub freed: usize,
    /// Bytes taken less bytes given back: below zero where another thread took them.
    pub bytes: isize,
}

thread_local! {
    /// Of this thread only: the test harness has its own.
    static COUNT: Cell<Count> = const { Cell::new(Count { taken: 0, freed: 0, bytes: 0 }) };
}

/// The counts of this thread.
pub fn count() -> Count {
    COUNT.with(Cell::get)
}

/// What `work` took less what it gave back, in bytes.
pub fn bytes_of<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = count().bytes;
    let result = work();
    (count().bytes - before, result)
}

fn note(taken: usize, freed: usize, bytes: isize) {
    COUNT.with(|count| {
        let Count {
            taken: t,
            freed: f,
            bytes: b,
        } = count.get();
        count.set(Count {
            taken: t + taken,
            freed: f + freed,
            bytes: b + bytes,
        });
    });
}

// SAFETY: every method hands its arguments unchanged to `System`, which fulfils the contract; the count is a constant
// thread-local without a destructor, so counting never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, 1, -(layout.size() as isize));
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, 0, size as isize - layout.size() as isize);
        // SAFETY: `pointer` came from `System` with this layout, and the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
