//! Arguments in, exit code out.

use clap::builder::{RangedU64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tandem::shell::{commands, rooms};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Tandem: SIP proxy and registrar, B2BUA and media processor in one program, with one configuration file.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which configuration: two ways to say it.
#[derive(Args)]
struct File {
    /// The configuration; without it config/tandem.yaml, or the same built in where that file is missing
    file: Option<PathBuf>,
    /// The same as [FILE]
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl File {
    fn path(self) -> Option<PathBuf> {
        self.file.or(self.config)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Start a node and run it until SIGTERM; SIGHUP reads the file again
    Run {
        #[command(flatten)]
        file: File,
    },
    /// Check a configuration: print everything that is wrong with it and exit with 1, or one line that sums it up
    Check {
        #[command(flatten)]
        file: File,
    },
    /// Show a whole node at work in under a minute, on loopback and with nobody at the keyboard
    Demo {
        /// Where the sound files go
        #[arg(long, default_value = "demo-out")]
        out: PathBuf,
    },
    /// List recent calls from the store, the newest first
    Calls {
        #[command(flatten)]
        file: File,
        /// How many
        #[arg(short, long, default_value_t = 20, value_parser = some())]
        number: usize,
    },
    /// List who is banned and was, and what was dropped or refused unheard, from the store; counts are up to a minute old
    Guard {
        #[command(flatten)]
        file: File,
        /// How many bans
        #[arg(short, long, default_value_t = 20, value_parser = some())]
        number: usize,
    },
    /// List the rooms of the running node in which somebody is
    Rooms {
        #[command(flatten)]
        file: File,
    },
    /// Show who is in a room of the running node, or do something with it
    Room {
        /// Its number or its name
        name: String,
        /// The configuration with which the node runs; without it config/tandem.yaml, or the same built in
        #[arg(value_parser = file_of_room)]
        file: Option<PathBuf>,
        /// The same as [FILE], also behind the command
        #[arg(short, long, global = true, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(subcommand)]
        order: Option<Order>,
    },
    /// Tell what would happen to a call, and which line of the configuration decides
    Route {
        #[command(flatten)]
        file: File,
        /// Who calls: user/alice or trunk/acme
        #[arg(long)]
        from: String,
        /// Who is called: a number, a name or a URI (102, bob@example.com, sip:102@example.com, tel:+14155550199)
        #[arg(long)]
        to: String,
    },
}

/// How many lines: not none.
fn some() -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(1..=1_000_000)
}

/// Where a file may stand, an order may be misspelt.
fn file_of_room(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text.contains(['/', '.']) || path.exists() {
        return Ok(path);
    }
    Err("it is no command for a room (tandem room --help lists them), and there is no such file".to_owned())
}

/// What is done with a room. Members are numbers, as `tandem room NAME` lists them.
#[derive(Subcommand)]
enum Order {
    /// A member is not heard any more; all: everybody but moderators
    Mute {
        /// A number, or all
        member: String,
    },
    /// A member is heard again; who was a listener is a speaker then
    Unmute {
        /// A number, or all
        member: String,
    },
    /// A member hears nobody
    Deafen {
        /// A number, or all
        member: String,
    },
    /// A member hears the others again
    Undeafen {
        /// A number, or all
        member: String,
    },
    /// A member hears music, and nobody hears him
    Hold {
        /// A number, or all
        member: String,
    },
    /// A member hears the others again, and they him
    Unhold {
        /// A number, or all
        member: String,
    },
    /// Send a member away
    Kick {
        /// A number, as `tandem room NAME` lists it
        member: String,
    },
    /// Nobody else may join
    Lock,
    /// All may join again
    Unlock,
    /// Have the room call somebody, who joins by pressing 1
    Call {
        /// What a user would dial: numbers or names, at most ten
        #[arg(required = true)]
        numbers: Vec<String>,
    },
    /// Record the mix to a file, from now on
    Record,
    /// Record it no longer
    StopRecording,
    /// Give a member another role
    Promote {
        /// A number, as `tandem room NAME` lists it
        member: String,
        /// moderator, speaker or listener
        role: String,
    },
    /// Move both sides of a call that is up into the room, without ending it
    Take {
        /// The call, as `tandem calls` and the log write it: c1a2b, for example
        call: String,
    },
    /// Send everybody away
    End,
    /// Tell what happens, a line each, until it is interrupted
    Watch,
}

impl Order {
    /// As the node is asked.
    fn words(self) -> Vec<String> {
        let with = |verb: &str, member: String| vec![verb.to_owned(), member];
        let alone = |verb: &str| vec![verb.to_owned()];
        match self {
            Order::Mute { member } => with("mute", member),
            Order::Unmute { member } => with("unmute", member),
            Order::Deafen { member } => with("deafen", member),
            Order::Undeafen { member } => with("undeafen", member),
            Order::Hold { member } => with("hold", member),
            Order::Unhold { member } => with("unhold", member),
            Order::Kick { member } => with("kick", member),
            Order::Lock => alone("lock"),
            Order::Unlock => alone("unlock"),
            Order::Call { numbers } => ["call".to_owned()].into_iter().chain(numbers).collect(),
            Order::Record => alone("record"),
            Order::StopRecording => alone("stop-recording"),
            Order::Promote { member, role } => ["promote".to_owned(), member, role].into(),
            Order::Take { call } => with("take", call),
            Order::End => alone("end"),
            Order::Watch => alone("watch"),
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { file } => commands::run(file.path()),
        Command::Check { file } => commands::check(file.path()),
        Command::Demo { out } => commands::demo(&out),
        Command::Calls { file, number } => commands::calls(file.path(), number),
        Command::Guard { file, number } => commands::guard(file.path(), number),
        Command::Rooms { file } => rooms::ask(file.path(), &["rooms"]),
        Command::Room {
            name,
            file,
            config,
            order,
        } => {
            if file.is_some() && config.is_some() {
                return commands::failed("two configurations are named: one is enough");
            }
            let words = order.map_or_else(Vec::new, Order::words);
            let words = words.iter().map(String::as_str);
            let words: Vec<&str> = ["room", name.as_str()].into_iter().chain(words).collect();
            rooms::ask(config.or(file), &words)
        }
        Command::Route { file, from, to } => commands::route(file.path(), &from, &to),
    }
}
