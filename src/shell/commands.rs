//! The commands of the program. Each prints sentences and gives the exit code.

use super::server::{Control, Server};
use super::sources::{self, Generated};
use super::store;
use crate::config::{self, Config, Log};
use crate::routing;
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
        Err(problems) => {
            eprint!("{}", config::report(&path, &Err(problems)));
            return ExitCode::FAILURE;
        }
    };
    super::logging(&config.log);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&format!("the system gives no event loop: {why}")),
    };
    let banner = super::listing::banner(&config, &path, &generated);
    match runtime.block_on(serve(config, path, file.is_none(), &banner)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

/// `tandem check`.
pub fn check(file: &Path) -> ExitCode {
    let result = sources::checking(|sources| config::load(file, sources));
    let report = config::report(file, &result);
    if result.is_ok() {
        print!("{report}");
        ExitCode::SUCCESS
    } else {
        eprint!("{report}");
        ExitCode::FAILURE
    }
}

/// `tandem calls`.
pub fn calls(file: Option<PathBuf>, number: usize) -> ExitCode {
    let path = file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let config = match sources::checking(|sources| load_with(&path, file.is_none(), sources)) {
        Ok(config) => config,
        Err(problems) => {
            eprint!("{}", config::report(&path, &Err(problems)));
            return ExitCode::FAILURE;
        }
    };
    if !config.store.path.exists() {
        println!(
            "No calls yet: the store {} does not exist.",
            config.store.path.display()
        );
        return ExitCode::SUCCESS;
    }
    match store::Database::read(&config.store.path).and_then(|database| database.recent_calls(number)) {
        Ok(calls) => {
            print!("{}", super::listing::calls(&calls));
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}

/// `tandem route`.
pub fn route(file: &Path, from: &str, to: &str) -> ExitCode {
    match sources::checking(|sources| config::load(file, sources)) {
        Err(problems) => {
            eprint!("{}", config::report(file, &Err(problems)));
            ExitCode::FAILURE
        }
        Ok(config) => match routing::Source::parse(&config, from) {
            Ok(source) => {
                print!("{}", routing::explain(&config, &source, to));
                ExitCode::SUCCESS
            }
            Err(why) => failed(&why),
        },
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("tandem: {why}");
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
    println!("{banner}{}", super::listing::listening(&server.bound()));
    tokio::spawn(obey(signals, control, path, is_default));
    server.run().await;
    Ok(())
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

/// SIGHUP reads the file again; SIGTERM and SIGINT stop, asked twice at once.
async fn obey(mut signals: Signals, control: mpsc::Sender<Control>, path: PathBuf, is_default: bool) {
    loop {
        let order = tokio::select! {
            _ = signals.hangup.recv() => reload(&path, is_default),
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

fn reload(path: &Path, is_default: bool) -> Option<Control> {
    match load(path, is_default).0 {
        Ok(config) => {
            info!("SIGHUP: {} is read again", path.display());
            Some(Control::Reload(Box::new(config)))
        }
        Err(problems) => {
            for problem in &problems {
                warn!("reload refused: {problem}");
            }
            warn!("reload refused, nothing was changed: {} problems", problems.len());
            None
        }
    }
}

/// `tandem demo`.
pub fn demo(out: &Path) -> ExitCode {
    super::logging(&Log {
        json: false,
        level: "error".to_owned(),
    });
    match super::demo::run(out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => failed(&why),
    }
}
