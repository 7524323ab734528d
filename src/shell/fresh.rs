//! Files and folders that a start makes: one that fails leaves none of them behind.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What was made. Unless [`Fresh::stays`] is called, it goes again when this is dropped.
#[derive(Debug, Default)]
pub struct Fresh(Vec<Made>);

#[derive(Debug)]
enum Made {
    Folder(PathBuf),
    File(PathBuf),
    /// To a file of this length before.
    Appended(PathBuf, u64),
}

impl Fresh {
    /// Makes a folder and those above it, where they are missing.
    pub fn folder(&mut self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => self.0.push(Made::Folder(folder.to_owned())),
                // Somebody else has made it meanwhile, and it is his.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        match path.is_dir() || path.as_os_str().is_empty() {
            true => Ok(()),
            false => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Writes a file, in place of one that may be there, and its folder.
    pub fn file(&mut self, path: &Path, mode: u32, text: &str) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        let was_there = path.exists();
        let mut file = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(mode)
            .open(path)?;
        if !was_there {
            self.0.push(Made::File(path.to_owned()));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Adds a line to a file that only its owner reads; makes it, and its folder, where they are missing.
    pub fn line(&mut self, path: &Path, line: &str) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        let length = fs::metadata(path).ok().map(|found| found.len());
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        self.0.push(match length {
            Some(length) => Made::Appended(path.to_owned(), length),
            None => Made::File(path.to_owned()),
        });
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }

    /// The start has succeeded.
    pub fn stays(mut self) {
        self.0.clear();
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        for made in self.0.drain(..).rev() {
            // What somebody has removed or used meanwhile is no longer ours.
            let _ = match made {
                Made::Folder(path) => fs::remove_dir(path),
                Made::File(path) => fs::remove_file(path),
                Made::Appended(path, length) => fs::OpenOptions::new()
                    .write(true)
                    .open(path)
                    .and_then(|file| file.set_len(length)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_start_has_made_goes_and_what_was_there_stays() {
        let own = std::env::temp_dir().join(format!("tandem-fresh-{}", std::process::id()));
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("kept"), "alice a\n").unwrap();
        let make = |fresh: &mut Fresh| {
            fresh.folder(&own.join("a/b")).unwrap();
            fresh.file(&own.join("a/c/d.pem"), 0o600, "x").unwrap();
            fresh.line(&own.join("kept"), "bob b\n").unwrap();
            fresh.line(&own.join("new"), "bob b\n").unwrap();
        };
        let mut fresh = Fresh::default();
        make(&mut fresh);
        assert_eq!(fs::read_to_string(own.join("kept")).unwrap(), "alice a\nbob b\n");
        drop(fresh);
        let left: Vec<_> = fs::read_dir(&own)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["kept"]);
        assert_eq!(fs::read_to_string(own.join("kept")).unwrap(), "alice a\n");
        let mut fresh = Fresh::default();
        make(&mut fresh);
        fresh.stays();
        assert!(own.join("a/b").is_dir() && own.join("a/c/d.pem").exists());
        assert_eq!(fs::read_to_string(own.join("new")).unwrap(), "bob b\n");
        assert!(Fresh::default().folder(&own.join("kept/below")).is_err());
        fs::remove_dir_all(&own).unwrap();
    }
}
