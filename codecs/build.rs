//! Finds libopus, or says in a sentence that it is missing.
//!
//! The bindings (`audiopus_sys`) would look for it themselves and, finding none, build an old copy with cmake: without cmake that is a
//! page of its words, and cargo runs their build script before ours. So `.cargo/config.toml` tells them not to look, and we do.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

const MISSING: &str = "Opus is missing: pkg-config does not find libopus. Install it and build again: \
    apt-get install pkg-config libopus-dev (Debian, Ubuntu), dnf install pkgconf opus-devel (Fedora), \
    brew install pkg-config opus (macOS). If it is in a folder of its own, set PKG_CONFIG_PATH to its lib/pkgconfig.";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in [
        "PATH",
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "LIBOPUS_LIB_DIR",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // A user's own LIBOPUS_LIB_DIR wins over the one of .cargo/config.toml, whose `lib` does not exist.
    if env::var("LIBOPUS_LIB_DIR").is_ok_and(|folder| Path::new(&folder).join("lib").is_dir()) {
        return;
    }
    match search_folders() {
        Some(folders) => {
            for folder in folders
                .split_whitespace()
                .filter_map(|option| option.strip_prefix("-L"))
            {
                println!("cargo::rustc-link-search=native={folder}");
            }
        }
        None => println!("cargo::error={MISSING}"),
    }
}

/// The `-L` options of libopus (none, where it is in a folder of the system's); `None` if pkg-config is missing or knows no libopus.
fn search_folders() -> Option<String> {
    let pkg_config = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(pkg_config)
        .args(["--libs-only-L", "opus"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
