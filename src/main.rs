//! Arguments in, exit code out.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tandem::shell::commands;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Tandem: SIP proxy and registrar, B2BUA and media processor in one program, with one configuration file.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a node and run it until SIGTERM; SIGHUP reads the file again
    Run {
        /// The configuration; without it config/tandem.yaml, or the same built in where that file is missing
        file: Option<PathBuf>,
    },
    /// Check a configuration: print everything that is wrong with it and exit with 1, or one line that sums it up
    Check {
        /// The configuration
        file: PathBuf,
    },
    /// Show a whole node at work in under a minute, on loopback and with nobody at the keyboard
    Demo {
        /// Where the sound files go
        #[arg(long, default_value = "demo-out")]
        out: PathBuf,
    },
    /// List recent calls from the store, the newest first
    Calls {
        /// The configuration that names the store
        file: Option<PathBuf>,
        /// How many
        #[arg(short, long, default_value_t = 20)]
        number: usize,
    },
    /// List who is banned and was, and what was dropped or refused unheard, from the store
    Guard {
        /// The configuration that names the store
        file: Option<PathBuf>,
        /// How many bans
        #[arg(short, long, default_value_t = 20)]
        number: usize,
    },
    /// Tell what would happen to a call, and which line of the configuration decides
    Route {
        /// The configuration
        file: PathBuf,
        /// Who calls: user/alice or trunk/acme
        #[arg(long)]
        from: String,
        /// The number or name that is called
        #[arg(long)]
        to: String,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { file } => commands::run(file),
        Command::Check { file } => commands::check(&file),
        Command::Demo { out } => commands::demo(&out),
        Command::Calls { file, number } => commands::calls(file, number),
        Command::Guard { file, number } => commands::guard(file, number),
        Command::Route { file, from, to } => commands::route(&file, &from, &to),
    }
}
