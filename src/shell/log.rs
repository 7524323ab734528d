//! Log lines on their way to standard error. They gather for a little, and a thread of their own writes them: a terminal, a pipe or
//! a disk that is slow keeps no call waiting, and a line costs no system call.

use crate::limits;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{Level, Metadata, warn};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather. What a kill takes of them is this old at most; warnings and errors wait for nothing.
const GATHER: Duration = Duration::from_millis(100);
/// How long the end of the node waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Where lines are put.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    gathered: Mutex<Gathered>,
    /// For the thread: there is something to write.
    news: Condvar,
    /// For who waits: all is written.
    written: Condvar,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// Lines that found no room.
    dropped: u64,
    /// The thread waits for a first line.
    is_idle: bool,
    is_urgent: bool,
    is_writing: bool,
    is_closed: bool,
}

/// One line on its way.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl Lines {
    /// Starts the thread.
    pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<(Lines, JoinHandle<()>)> {
        let lines = Lines(Arc::default());
        let own = lines.clone();
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || own.run(to))?;
        Ok((lines, thread))
    }

    /// Returns when what was put here before is written, or cannot be in time.
    pub(super) fn flush(&self) {
        let mut gathered = self.lock();
        gathered.is_urgent = true;
        self.0.news.notify_one();
        let is_left = |gathered: &mut Gathered| gathered.is_writing || !gathered.bytes.is_empty();
        // Standard error may be gone, and nobody can be told of that.
        let _ = self.0.written.wait_timeout_while(gathered, LAST_LINES, is_left);
    }

    /// The thread writes what is left and ends.
    #[cfg(test)]
    fn close(&self) {
        self.lock().is_closed = true;
        self.0.news.notify_one();
    }

    fn put(&self, line: &[u8], is_urgent: bool) {
        let mut gathered = self.lock();
        if gathered.bytes.len() + line.len() > limits::LOG_BYTES {
            gathered.dropped += 1;
            return;
        }
        gathered.bytes.extend_from_slice(line);
        gathered.is_urgent |= is_urgent;
        if gathered.is_idle || is_urgent {
            gathered.is_idle = false;
            self.0.news.notify_one();
        }
    }

    fn run(&self, mut to: impl Write) {
        let mut bytes = Vec::new();
        loop {
            let mut gathered = self.lock();
            gathered.is_idle = gathered.bytes.is_empty();
            let is_empty = |gathered: &mut Gathered| gathered.bytes.is_empty() && !gathered.is_closed;
            gathered = self.0.news.wait_while(gathered, is_empty).expect(UNPOISONED);
            gathered.is_idle = false;
            let is_early = |gathered: &mut Gathered| !gathered.is_urgent && !gathered.is_closed;
            let waited = self.0.news.wait_timeout_while(gathered, GATHER, is_early);
            gathered = waited.expect(UNPOISONED).0;
            if gathered.bytes.is_empty() && gathered.is_closed {
                return;
            }
            std::mem::swap(&mut bytes, &mut gathered.bytes);
            let dropped = std::mem::take(&mut gathered.dropped);
            (gathered.is_urgent, gathered.is_writing) = (false, true);
            drop(gathered);
            // Standard error may be gone, and nobody can be told of that.
            let _ = to.write_all(&bytes).and_then(|()| to.flush());
            bytes.clear();
            // A burst must not keep its memory.
            bytes.shrink_to(limits::LOG_BYTES / 64);
            if dropped > 0 {
                warn!("{dropped} log lines before this one were dropped: standard error takes them too slowly");
            }
            let mut gathered = self.lock();
            gathered.is_writing = false;
            if gathered.bytes.is_empty() {
                self.0.written.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.gathered.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "nobody panics while lines are moved";

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.put(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            is_urgent: true,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line {
            lines: self,
            is_urgent: *meta.level() <= Level::WARN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Somebody who reads only when asked to.
    struct Slow {
        go: mpsc::Receiver<()>,
        read: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.read.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_gather_while_nobody_reads_and_beyond_the_bound_they_are_counted() {
        let (ask, go) = mpsc::channel();
        let (read, written) = mpsc::channel();
        let (lines, thread) = Lines::start(Slow { go, read }).unwrap();
        let line = [b'x'; 1024];
        let whole = limits::LOG_BYTES / line.len();
        lines.put(b"first\n", true);
        ask.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"first\n");
        lines.flush();
        for _ in 0..whole + 5 {
            lines.put(&line, false);
        }
        // The thread may have taken some before it got stuck: there was room for as many more.
        let dropped = lines.lock().dropped;
        assert!(dropped <= 5 && lines.lock().bytes.len() <= limits::LOG_BYTES);
        // What it takes with it is told; from here on it takes no more.
        while !lines.lock().is_writing {
            std::thread::yield_now();
        }
        for _ in 0..2 * whole {
            lines.put(&line, false);
        }
        assert!(lines.lock().dropped >= whole as u64);
        ask.send(()).unwrap();
        assert!(written.recv().unwrap().len() <= limits::LOG_BYTES);
        drop(ask);
        lines.close();
        thread.join().unwrap();
    }
}
