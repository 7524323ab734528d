//! The commands of the program. Each prints sentences and gives the exit code.

use super::clock::SystemClock;
use super::net::Keys;
use super::server::{Control, Server};
use super::sources::{self, Generated};
use super::store;
use crate::config::{self, Config, Log};
use crate::pii::Scrubbed;
use crate::routing;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Where the configuration is when nobody says.
const DEFAULT_FILE: &str = "config/tandem.yaml";
/// The same, for a program that runs outside of its source tree.
const DEFAULT_TEXT: &str = include_str!("../../config/tandem.yaml");

/// A configuration that is asked for: the file that was named, or the usual one, or what is built in where that is missing.
#[derive(Clone)]
struct Wanted {
    path: PathBuf,
    is_default: bool,
}

impl Wanted {
    fn of(file: Option<PathBuf>) -> Wanted {
        let is_default = file.is_none();
        let path = file.unwrap_or_else(|| DEFAULT_FILE.into());
        Wanted { path, is_default }
    }

    /// Nobody has named a file, and there is none.
    fn is_built_in(&self) -> bool {
        self.is_default && !self.path.exists()
    }

    /// As people are told of it.
    fn name(&self) -> PathBuf {
        match self.is_built_in() {
            true => "the configuration that is built in".into(),
            false => self.path.clone(),
        }
    }

    fn load(&self, sources: &config::Sources<'_>) -> Result<Config, Vec<config::Problem>> {
        match self.is_built_in() {
            true => config::parse(&self.path.display().to_string(), DEFAULT_TEXT, sources),
            false => config::load(&self.path, sources),
        }
    }

    fn refused(&self, problems: Vec<config::Problem>) -> ExitCode {
        complain(&config::report(&self.path, &Err(problems)));
        ExitCode::FAILURE
    }
}

/// `tandem run`.
pub fn run(file: Option<PathBuf>) -> ExitCode {
    let wanted = Wanted::of(file);
    let (loaded, generated) = sources::running(|sources| wanted.load(sources));
    let config = match loaded {
        Ok(config) => config,
        Err(problems) => return wanted.refused(problems),
    };
    let logging = match super::logging(&config.log) {
        Ok(logging) => logging,
        Err(why) => return failed(&why),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&format!("the system gives no event loop: {why}")),
    };
    let banner = super::listing::banner(&config, &wanted.name(), &generated);
    let ended = runtime.block_on(serve(config, wanted, &generated, &banner));
    // A name that is still being looked up keeps nobody waiting.
    runtime.shutdown_background();
    // What is said below is the last word.
    drop(logging);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

/// `tandem check`.
pub fn check(file: Option<PathBuf>) -> ExitCode {
    let wanted = Wanted::of(file);
    let config = match sources::checking(|sources| wanted.load(sources)) {
        Ok(config) => config,
        Err(problems) => return wanted.refused(problems),
    };
    // The certificate that a node has made for itself is in no line of the file.
    let now = SystemClock::start().now().wall;
    match Keys::load(&config, &config.store.path, now) {
        Ok((keys, _)) => {
            for sentence in keys.warnings(now) {
                complain(&format!("tandem: {sentence}\n"));
            }
        }
        Err(why) => return failed(&why),
    }
    say(&config::report(&wanted.name(), &Ok(config)));
    ExitCode::SUCCESS
}

/// `tandem calls`.
pub fn calls(file: Option<PathBuf>, number: usize) -> ExitCode {
    from_store(file, "calls", |database, store| {
        Ok(super::listing::calls(&database.recent_calls(store, number)?))
    })
}

/// `tandem guard`.
pub fn guard(file: Option<PathBuf>, number: usize) -> ExitCode {
    from_store(file, "bans", |database, store| {
        let now = SystemClock::start().now().wall;
        let (bans, cuts) = database
            .guard(now, number)
            .map_err(|error| format!("the store {} cannot be read: {error}", store.display()))?;
        Ok(super::listing::guard(&bans, &cuts))
    })
}

/// Lists `what` from the store that a configuration names.
fn from_store(
    file: Option<PathBuf>,
    what: &str,
    list: impl FnOnce(&store::Database, &Path) -> Result<String, String>,
) -> ExitCode {
    let config = match configured(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let store = &config.store.path;
    if !store.exists() {
        say(&format!(
            "No {what} yet: the store {} does not exist.\n",
            store.display()
        ));
        return ExitCode::SUCCESS;
    }
    match store::Database::read(store).and_then(|database| list(&database, store)) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}

/// `tandem route`.
pub fn route(file: Option<PathBuf>, from: &str, to: &str) -> ExitCode {
    let config = match configured(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match routing::Source::parse(&config, from) {
        Ok(source) => {
            say(&routing::explain(&config, &source, to));
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}

/// The configuration of a node that somebody wants to look at; its errors are told.
pub fn configured(file: Option<PathBuf>) -> Result<Config, ExitCode> {
    let wanted = Wanted::of(file);
    let loaded = sources::looking(&wanted.path, |sources| wanted.load(sources));
    loaded.map_err(|problems| wanted.refused(problems))
}

/// To standard output. Whoever reads it may have gone (`| head`), and that is no fault of ours.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// A sentence to standard error.
pub fn failed(why: &str) -> ExitCode {
    complain(&format!("tandem: {why}\n"));
    ExitCode::FAILURE
}

async fn serve(config: Config, wanted: Wanted, generated: &[Generated], banner: &str) -> Result<(), String> {
    let (control, controls) = mpsc::channel(8);
    // Before anybody reads that we are ready: a signal that is sent then must not find its default action.
    let signals = Signals::open().map_err(|error| format!("the system does not let us hear signals: {error}"))?;
    let server = Server::start(config, controls, generated)?;
    say(&format!(
        "{banner}{}",
        super::listing::listening(&server.bound(), &server.doors(), super::net::own_address())
    ));
    tokio::spawn(obey(signals, control, wanted));
    server.run().await
}

/// The signals that an operator sends.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they are kept for us.
    fn open() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// SIGHUP reads the file again; SIGTERM and SIGINT stop.
async fn obey(mut signals: Signals, control: mpsc::Sender<Control>, wanted: Wanted) {
    loop {
        let order = tokio::select! {
            _ = signals.hangup.recv() => reload(&wanted).await,
            _ = signals.terminate.recv() => Some(Control::Stop),
            _ = signals.interrupt.recv() => Some(Control::Stop),
        };
        if let Some(order) = order
            && control.send(order).await.is_err()
        {
            return;
        }
    }
}

/// Reads the file beside the signalling loop: a large one takes its time, and calls must not wait for it.
async fn reload(wanted: &Wanted) -> Option<Control> {
    let own = wanted.clone();
    let read = move || {
        let (loaded, generated) = sources::running(|sources| own.load(sources));
        let kept = loaded
            .as_ref()
            .map_or(Ok(()), |_| generated.iter().try_for_each(Generated::keep));
        (loaded, kept, generated)
    };
    let (loaded, kept, generated) = tokio::task::spawn_blocking(read).await.ok()?;
    match (loaded, kept) {
        (Ok(config), Ok(())) => {
            info!("SIGHUP: {} is read again", wanted.name().display());
            for made in generated.iter().filter(|made| made.new.is_some()) {
                info!(
                    "a password was made for user {}, kept in {}",
                    Scrubbed(&made.user),
                    made.kept_in.display()
                );
            }
            Some(Control::Reload(Box::new(config)))
        }
        (Ok(_), Err(why)) => {
            warn!("reload refused, nothing was changed: {why}");
            None
        }
        (Err(problems), _) => {
            for problem in &problems {
                warn!("reload refused: {}", Scrubbed(&problem.to_string()));
            }
            let count = config::count(problems.len(), "problem");
            warn!("reload refused, nothing was changed: {count}");
            None
        }
    }
}

/// `tandem demo`.
pub fn demo(out: &Path) -> ExitCode {
    let level = "error".to_owned();
    let played = super::logging(&Log { json: false, level }).and_then(|_logging| super::demo::run(out));
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => failed(&why),
    }
}
