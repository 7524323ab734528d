//! What a configuration may refer to outside itself: environment, files, and passwords made at the first start.

use super::clock::{self, SystemClock};
use super::{net, sounds};
use crate::config::{KeyPair, Sources, Unfit};
use crate::media::command::Sound;
use crate::pii::Secret;
use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
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
    /// The password, where it is not in the file yet.
    pub new: Option<Secret>,
}

impl Generated {
    /// Keeps it for the starts to come, if it is new. The error is a sentence.
    pub fn keep(&self) -> Result<(), String> {
        let Some(password) = &self.new else { return Ok(()) };
        let (user, path) = (&self.user, &self.kept_in);
        append(path, &format!("{user} {}\n", password.expose())).map_err(|error| {
            format!(
                "the password that was made for user {user} cannot be kept in {}: {} (key `users[].password.generate`)",
                path.display(),
                plain(&error)
            )
        })
    }
}

/// For a node that runs: passwords that do not exist yet are made. Also tells which ones are of that kind; those that are new are to be kept.
pub fn running<T>(work: impl FnOnce(&Sources<'_>) -> T) -> (T, Vec<Generated>) {
    let list = RefCell::new(Vec::new());
    let generate = |path: &Path, user: &str| {
        let known = kept(path, user)?;
        let is_new = known.is_none();
        let password = known.map_or_else(password, Ok)?;
        list.borrow_mut().push(Generated {
            user: user.to_owned(),
            kept_in: path.to_owned(),
            new: is_new.then(|| password.clone()),
        });
        Ok(password)
    };
    // Who only serves SIP by UDP goes on with a certificate that has ended: it is told of.
    let pair = |pair: &KeyPair| net::usable(pair).map(|_| ());
    let result = with(&generate, &pair, work);
    (result, list.into_inner())
}

/// For `tandem check`: nothing is written.
pub fn checking<T>(work: impl FnOnce(&Sources<'_>) -> T) -> T {
    let generate = |path: &Path, user: &str| {
        let known = kept(path, user)?;
        known.map_or_else(password, Ok)
    };
    let now = SystemClock::start().now().wall;
    let pair = |pair: &KeyPair| match net::usable(pair)? {
        Some(end) if end <= now => {
            let file = pair.certificate.display();
            let why = format!("the certificate in {file} ended on {}: peers refuse it", end.civil());
            Err(Unfit::Certificate(why))
        }
        Some(_) | None => Ok(()),
    };
    with(&generate, &pair, work)
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
        pair: &|_| Ok(()),
        authorities: &|_| Ok(()),
        cores: 1,
    })
}

fn with<T>(
    generate: &dyn Fn(&Path, &str) -> Result<Secret, String>,
    pair: &dyn Fn(&KeyPair) -> Result<(), Unfit>,
    work: impl FnOnce(&Sources<'_>) -> T,
) -> T {
    work(&Sources {
        has_secrets: true,
        env: &|name| std::env::var(name).ok(),
        read: &read,
        generate,
        sound: &sounds::read,
        pair,
        authorities: &net::authorities,
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {}", path.display(), plain(&error))),
    };
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let known = lines.find(|(name, _)| *name == user);
    Ok(known.map(|(_, password)| Secret::new(password.trim())))
}

fn password() -> Result<Secret, String> {
    let seed = clock::seed().map_err(|error| format!("no randomness from the system: {error}"))?;
    let letters = seed.iter().take(PASSWORD);
    let text: String = letters
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    Ok(Secret::new(text))
}

/// Adds a line to a file that only its owner reads; makes it, and its folder, where they are missing.
fn append(path: &Path, line: &str) -> io::Result<()> {
    folder(path)?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).append(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Writes a file, whose folder may be missing.
pub(super) fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    folder(path)?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes the folder of a file, where it is missing.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), fs::create_dir_all)
}

/// Why something was not done with a file, as half a sentence.
pub(super) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "we may not read or write it".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::NotADirectory => "a part of its path is no folder".to_owned(),
        io::ErrorKind::AlreadyExists => "there is something else of that name".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "nothing can be written to that disk".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once_and_kept_only_by_a_node_that_runs() {
        let folder = std::env::temp_dir().join(format!("tandem-sources-{}", std::process::id()));
        let path = folder.join("passwords");
        let generate = |running: bool| {
            let ask = |sources: &Sources<'_>| (sources.generate)(&path, "alice").unwrap();
            if !running {
                return checking(ask);
            }
            let (password, generated) = super::running(ask);
            generated.iter().for_each(|made| made.keep().unwrap());
            password
        };
        let looked = generate(false);
        assert!(!path.exists());
        let first = generate(true);
        assert_ne!(looked, first);
        assert_eq!(first.expose().len(), PASSWORD);
        assert_eq!(generate(true), first);
        assert_eq!(generate(false), first);
        let (bob, _never_kept) = running(|sources| (sources.generate)(&path, "bob").unwrap());
        assert_ne!(bob, first);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("alice {}\n", first.expose())
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&folder).unwrap();
    }
}
