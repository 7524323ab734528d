//! The `tandem` program that the tests start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program: `TANDEM_BIN`, which `make test` sets, or what `cargo build` makes of the sources beside these tests.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var_os("TANDEM_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tandem", "--bin", "tandem"])
        .current_dir(root)
        .status();
    assert!(built.expect("cargo").success(), "`cargo build --bin tandem` failed");
    // This test is target/debug/deps/NAME-..., and `cargo build` without a profile builds into target/debug.
    let test = std::env::current_exe().expect("this program");
    let target = test.ancestors().nth(3).expect("a target folder").join("debug/tandem");
    assert!(
        target.exists(),
        "there is no {}: build it, or name it by TANDEM_BIN",
        target.display()
    );
    target
}
