//! `control`: where operators reach a running node.

use super::checked::Config;
use std::path::{Path, PathBuf};

/// `control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// `socket`: its path, relative to the working directory; none: there is none.
    pub socket: Option<PathBuf>,
    /// Nobody has written it: a node runs without it too.
    pub is_usual: bool,
}

impl Control {
    /// Beside the store: `data/tandem.sock` for `data/tandem.db`.
    pub fn beside(store: &Path) -> Control {
        Control {
            socket: Some(store.with_extension("sock")),
            is_usual: true,
        }
    }
}

impl Config {
    /// Takes over from `old` what only a restart can change of where others reach the node beside SIP.
    pub fn keep_doors(&mut self, old: &Config) {
        self.keep_ng(old);
        self.keep_turn(old);
        self.keep_api(old);
        self.control.clone_from(&old.control);
    }
}
