//! The commands of the program. Each prints sentences and gives the exit code.

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

/// `tandem run`.
pub fn run(file: Option<PathBuf>) -> ExitCode {
    let path = file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let (loaded, generated) = load(&path, file.is_none());
    let config = match loaded {
        Ok(config) => config,
        Err(problems) => return refused(&path, problems),
    };
    let logging = match super::logging(&config.log) {
        Ok(logging) => logging,
        Err(why) => return failed(&why),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&format!("the system gives no event loop: {why}")),
    };
    let banner = super::listing::banner(&config, &path, &generated);
    let ended = runtime.block_on(serve(config, path, file.is_none(), &banner));
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
pub fn check(file: &Path) -> ExitCode {
    match sources::checking(|sources| config::load(file, sources)) {
        Ok(config) => {
            say(&config::report(file, &Ok(config)));
            ExitCode::SUCCESS
        }
        Err(problems) => refused(file, problems),
    }
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
        let now = super::clock::SystemClock::start().now().wall;
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
pub fn route(file: &Path, from: &str, to: &str) -> ExitCode {
    match sources::looking(file, |sources| config::load(file, sources)) {
        Err(problems) => refused(file, problems),
        Ok(config) => match routing::Source::parse(&config, from) {
            Ok(source) => {
                say(&routing::explain(&config, &source, to));
                ExitCode::SUCCESS
            }
            Err(why) => failed(&why),
        },
    }
}

/// The configuration of a node that somebody wants to look at; its errors are told.
pub fn configured(file: Option<PathBuf>) -> Result<Config, ExitCode> {
    let path = file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let loaded = sources::looking(&path, |sources| load_with(&path, file.is_none(), sources));
    loaded.map_err(|problems| refused(&path, problems))
}

/// To standard output. Whoever reads it may have gone (`| head`), and that is no fault of ours.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn refused(path: &Path, problems: Vec<config::Problem>) -> ExitCode {
    complain(&config::report(path, &Err(problems)));
    ExitCode::FAILURE
}

/// A sentence to standard error.
pub fn failed(why: &str) -> ExitCode {
    complain(&format!("tandem: {why}\n"));
    ExitCode::FAILURE
}

fn load(path: &Path, is_default: bool) -> (Result<Config, Vec<config::Problem>>, Vec<Generated>) {
    sources::running(|sources| load_with(path, is_default, sources))
}

fn load_with(path: &Path, is_default: bool, sources: &config::Sources<'_>) -> Result<Config, Vec<config::Problem>> {
    if is_default && !path.exists() {
        return config::parse(&path.display().to_string(), DEFAULT_TEXT, sources);
    }
    config::load(path, sources)
}

async fn serve(config: Config, path: PathBuf, is_default: bool, banner: &str) -> Result<(), String> {
    let (control, controls) = mpsc::channel(8);
    // Before anybody reads that we are ready: a signal that is sent then must not find its default action.
    let signals = Signals::open().map_err(|error| format!("the system does not let us hear signals: {error}"))?;
    let server = Server::start(config, controls)?;
    say(&format!(
        "{banner}{}",
        super::listing::listening(&server.bound(), super::net::own_address())
    ));
    tokio::spawn(obey(signals, control, path, is_default));
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
async fn obey(mut signals: Signals, control: mpsc::Sender<Control>, path: PathBuf, is_default: bool) {
    loop {
        let order = tokio::select! {
            _ = signals.hangup.recv() => reload(&path, is_default).await,
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
async fn reload(path: &Path, is_default: bool) -> Option<Control> {
    let own = path.to_owned();
    let read = move || load(&own, is_default);
    let (loaded, generated) = tokio::task::spawn_blocking(read).await.ok()?;
    match loaded {
        Ok(config) => {
            info!("SIGHUP: {} is read again", path.display());
            for made in generated.iter().filter(|made| made.is_new) {
                info!(
                    "a password was made for user {}, kept in {}",
                    Scrubbed(&made.user),
                    made.kept_in.display()
                );
            }
            Some(Control::Reload(Box::new(config)))
        }
        Err(problems) => {
            for problem in &problems {
                warn!("reload refused: {}", Scrubbed(&problem.to_string()));
            }
            warn!("reload refused, nothing was changed: {} problems", problems.len());
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
