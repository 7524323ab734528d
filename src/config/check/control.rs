//! `control`.

use super::Check;
use crate::config::control::Control;
use crate::config::read::{Map, Wrong};
use crate::config::{keys, values};
use crate::limits;
use std::path::Path;

/// Reads `control`.
pub(super) fn control(root: &Map<'_>, store: &Path, check: &mut Check<'_>) -> Control {
    let section = root.section("control", &keys::CONTROL, &mut check.problems);
    let usual = Control::beside(store);
    section.value("socket", usual, &mut check.problems, |text| {
        let socket = match values::yes_or_no(text) {
            Ok(false) => None,
            Ok(true) => return Err(Wrong::Form),
            Err(_) if text.len() > limits::CONTROL_PATH_BYTES => {
                let most = limits::CONTROL_PATH_BYTES;
                return Err(Wrong::Because(format!("a socket's path has at most {most} octets.")));
            }
            Err(_) => Some(text.into()),
        };
        let is_usual = false;
        Ok(Control { socket, is_usual })
    })
}
