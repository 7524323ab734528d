//! Whatever the code under test logs as ERROR, and every panic that it catches itself, fails the test.

use std::cell::{Cell, RefCell};
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static ERRORS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

static ONCE: Once = Once::new();

/// Begins to watch this process; errors are kept by thread, as tests run by thread.
pub fn watch() {
    ONCE.call_once(|| {
        // Another subscriber in this process is as good: it prints.
        let _ = tracing::subscriber::set_global_default(Watcher);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|count| count.set(count.get() + 1));
            before(info);
        }));
    });
}

/// What was logged as ERROR in this thread since the last call.
pub fn take() -> Vec<String> {
    ERRORS.with(|errors| std::mem::take(&mut *errors.borrow_mut()))
}

/// Panics in this thread so far.
pub fn panics() -> usize {
    PANICS.with(Cell::get)
}

struct Watcher;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Watcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        ERRORS.with(|errors| errors.borrow_mut().push(text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
