//! What a configuration may refer to outside itself: environment, files, and passwords made at the first start.

use crate::config::Sources;
use crate::pii::Secret;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Letters and digits that are not taken for one another when they are read aloud.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789x";
/// 16 characters of 5 bits: 80 bits.
const PASSWORD: usize = 16;

/// A user whose password was made here, for the banner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The user's name.
    pub user: String,
    /// The file that keeps the password.
    pub kept_in: PathBuf,
}

/// For a node that runs: passwords that do not exist yet are made and kept. Also tells which ones are of that kind.
pub fn running<T>(work: impl FnOnce(&Sources<'_>) -> T) -> (T, Vec<Generated>) {
    let list = RefCell::new(Vec::new());
    let generate = |path: &Path, user: &str| {
        let password = generated(path, user, true)?;
        list.borrow_mut().push(Generated {
            user: user.to_owned(),
            kept_in: path.to_owned(),
        });
        Ok(password)
    };
    let result = with(&generate, work);
    (result, list.into_inner())
}

/// For commands that only look: nothing is written.
pub fn checking<T>(work: impl FnOnce(&Sources<'_>) -> T) -> T {
    with(&|path, user| generated(path, user, false), work)
}

fn with<T>(generate: &dyn Fn(&Path, &str) -> Result<Secret, String>, work: impl FnOnce(&Sources<'_>) -> T) -> T {
    let sources = Sources {
        env: &|name| std::env::var(name).ok(),
        read: &|path| fs::read_to_string(path).map_err(|error| plain(&error)),
        generate,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    };
    work(&sources)
}

/// The password of a user from a file of `name password` lines.
fn generated(path: &Path, user: &str, keep: bool) -> Result<Secret, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{} cannot be read: {}", path.display(), plain(&error))),
    };
    let known = text
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(name, _)| *name == user));
    if let Some((_, password)) = known {
        return Ok(Secret::new(password.trim()));
    }
    let password = password()?;
    if keep {
        append(path, &format!("{user} {password}\n"))
            .map_err(|error| format!("{} cannot be written: {}", path.display(), plain(&error)))?;
    }
    Ok(Secret::new(password))
}

fn password() -> Result<String, String> {
    let seed = super::clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
    Ok(seed
        .iter()
        .take(PASSWORD)
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "we may not read or write it".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once_and_only_by_a_node_that_runs() {
        let folder = std::env::temp_dir().join(format!("tandem-sources-{}", std::process::id()));
        let path = folder.join("passwords");
        let looked = generated(&path, "alice", false).unwrap();
        assert!(!path.exists());
        let first = generated(&path, "alice", true).unwrap();
        assert_ne!(looked, first);
        assert_eq!(first.expose().len(), PASSWORD);
        assert_eq!(generated(&path, "alice", true).unwrap(), first);
        assert_ne!(generated(&path, "bob", true).unwrap(), first);
        fs::remove_dir_all(&folder).unwrap();
    }
}
