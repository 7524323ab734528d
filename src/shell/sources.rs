//! What a configuration may refer to outside itself: environment, files, and passwords made at the first start.

use super::sounds;
use crate::config::Sources;
use crate::media::command::Sound;
use crate::pii::Secret;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// It was not in the file before.
    pub is_new: bool,
}

/// For a node that runs: passwords that do not exist yet are made and kept. Also tells which ones are of that kind.
pub fn running<T>(work: impl FnOnce(&Sources<'_>) -> T) -> (T, Vec<Generated>) {
    let list = RefCell::new(Vec::new());
    let generate = |path: &Path, user: &str| {
        let known = kept(path, user)?;
        let is_new = known.is_none();
        let password = match known {
            Some(password) => password,
            None => keep(path, user)?,
        };
        list.borrow_mut().push(Generated {
            user: user.to_owned(),
            kept_in: path.to_owned(),
            is_new,
        });
        Ok(password)
    };
    let result = with(&generate, work);
    (result, list.into_inner())
}

/// For `tandem check`: nothing is written.
pub fn checking<T>(work: impl FnOnce(&Sources<'_>) -> T) -> T {
    let generate = |path: &Path, user: &str| {
        let known = kept(path, user)?;
        known.map_or_else(|| password().map(Secret::new), Ok)
    };
    with(&generate, work)
}

/// For commands that use no secret, and must work where the node's are not at hand: only the file itself has to be there.
pub fn looking<T>(file: &Path, work: impl FnOnce(&Sources<'_>) -> T) -> T {
    let unknown = "unknown";
    work(&Sources {
        has_secrets: false,
        env: &|name| Some(std::env::var(name).unwrap_or_else(|_| unknown.to_owned())),
        read: &|path| match read(path) {
            Err(_) if path != file => Ok(unknown.to_owned()),
            result => result,
        },
        generate: &|_, _| Ok(Secret::new(unknown)),
        sound: &|_| Ok(Sound::silence(Duration::ZERO)),
        cores: 1,
    })
}

fn with<T>(generate: &dyn Fn(&Path, &str) -> Result<Secret, String>, work: impl FnOnce(&Sources<'_>) -> T) -> T {
    work(&Sources {
        has_secrets: true,
        env: &|name| std::env::var(name).ok(),
        read: &read,
        generate,
        sound: &sounds::read,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| plain(&error))
}

/// The password of a user from a file of `name password` lines.
fn kept(path: &Path, user: &str) -> Result<Option<Secret>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {}", path.display(), plain(&error))),
    };
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let known = lines.find(|(name, _)| *name == user);
    Ok(known.map(|(_, password)| Secret::new(password.trim())))
}

/// Makes one and keeps it.
fn keep(path: &Path, user: &str) -> Result<Secret, String> {
    let password = password()?;
    append(path, &format!("{user} {password}\n"))
        .map_err(|error| format!("{} cannot be written: {}", path.display(), plain(&error)))?;
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

pub(super) fn plain(error: &std::io::Error) -> String {
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
        let generate = |running: bool| {
            let ask = |sources: &Sources<'_>| (sources.generate)(&path, "alice").unwrap();
            if running { super::running(ask).0 } else { checking(ask) }
        };
        let looked = generate(false);
        assert!(!path.exists());
        let first = generate(true);
        assert_ne!(looked, first);
        assert_eq!(first.expose().len(), PASSWORD);
        assert_eq!(generate(true), first);
        assert_eq!(generate(false), first);
        assert_ne!(keep(&path, "bob").unwrap(), first);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&folder).unwrap();
    }
}
