//! The section on how operators reach a running node.

use super::{Section, key};

/// `control`.
pub static CONTROL: Section = Section {
    path: "control",
    about: "`tandem rooms` and `tandem room` ask the node that runs, by a socket on the same machine.",
    keys: &[key(
        "socket",
        "the path of a socket, or no",
        "/run/tandem/control.sock",
        "beside the store: data/tandem.sock",
        "Only the user whom the node runs as, and root, can open it. A relative path begins at the working directory, of the node and of the \
         command alike, and at most 107 octets are possible. A socket that is left over is replaced. A change needs a restart.",
    )],
};
