//! One file that grows, and the folder of all.
//!
//! Nothing is forced to the disk: what was written is in the system's hands, as the store's commits are. It outlives the process however
//! that ends; when the machine itself loses power, the last half minute may be missing, and the file can be played up to there.

use super::form::Form;
use crate::media::command::Recording;
use crate::recording::retention::{Kept, is_file, is_folder, surplus};
use crate::time::Wall;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// What a file is written by.
pub(super) trait Disk {
    /// Writes all of it at a place.
    fn put(&self, octets: &[u8], at: u64) -> io::Result<()>;
    /// Cuts off what is behind this many octets.
    fn cut(&self, octets: u64) -> io::Result<()>;
}

impl Disk for File {
    fn put(&self, octets: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(octets, at)
    }

    fn cut(&self, octets: u64) -> io::Result<()> {
        self.set_len(octets)
    }
}

/// A file that grows: whenever the process ends, it can be played as far as it came.
pub(super) struct Growing<D> {
    disk: D,
    form: Form,
}

/// Makes the file of a recording, and the folders above it. Nobody else may look into them.
pub(super) fn create(folder: &Path, recording: &Recording) -> Result<Growing<File>, String> {
    let path = folder.join(recording.file());
    let create = || {
        let day = folder.join(recording.folder());
        DirBuilder::new().recursive(true).mode(0o700).create(day)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)
    };
    // Once more where retention has removed the folder while it was empty.
    let file = create().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => create(),
        _ => Err(error),
    });
    let file = file.map_err(|error| format!("its file cannot be made: {error}"))?;
    let begun = Growing::begin(file, recording);
    if begun.is_err() {
        // It is empty, and no player takes it.
        let _ = std::fs::remove_file(path);
    }
    begun
}

impl<D: Disk> Growing<D> {
    pub(super) fn begin(disk: D, recording: &Recording) -> Result<Growing<D>, String> {
        let (form, octets) = Form::new(recording).map_err(|error| format!("it cannot be encoded: {error}"))?;
        disk.put(&octets, 0).map_err(|error| full(&error))?;
        Ok(Growing { disk, form })
    }

    /// How long what is in it lasts, in milliseconds.
    pub(super) fn millis(&self) -> u64 {
        self.form.millis()
    }

    /// Adds samples, and at the `last` ends the file. After an error it is as it was before.
    pub(super) fn add(&mut self, octets: &[u8], last: bool) -> Result<(), String> {
        let (writes, then) = self.form.add(octets, last)?;
        let mut put = 0;
        for (at, octets) in &writes {
            if let Err(error) = self.disk.put(octets, *at) {
                // The rest would only fill the disk; where it cannot be cut off, no player looks at it.
                let _ = self.disk.cut(self.form.bytes());
                return Err(full(&error));
            }
            put += octets.len() as u64;
        }
        self.form.written(put, then);
        Ok(())
    }
}

fn full(error: &io::Error) -> String {
    format!("its file cannot be written: {error}")
}

/// Removes what is too old or too much, and folders that are empty then. Gives how many files went and their octets.
pub(super) fn sweep(folder: &Path, now: Wall, keep: Option<Duration>, most: Option<u64>) -> io::Result<(usize, u64)> {
    let mut files = Vec::new();
    let mut days = Vec::new();
    // One that cannot be looked at or removed does not keep the others.
    let mut fault = None;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // Nothing was recorded yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(error) => return Err(error),
    };
    for day in entries {
        let day = day?;
        let Some(name) = day
            .file_name()
            .to_str()
            .filter(|name| is_folder(name))
            .map(str::to_owned)
        else {
            continue;
        };
        // Not through a link: only what is below is ours.
        if !day.file_type()?.is_dir() {
            continue;
        }
        match std::fs::read_dir(day.path()) {
            Ok(inside) => files.extend(inside.filter_map(|file| kept(&name, &file.ok()?))),
            Err(error) => fault = Some(error),
        }
        days.push(day.path());
    }
    let gone = surplus(files, now, keep, most);
    let (mut count, mut octets) = (0, 0);
    for file in &gone {
        match std::fs::remove_file(folder.join(&file.file)) {
            Ok(()) => (count, octets) = (count + 1, octets + file.bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => fault = Some(error),
        }
    }
    if count > 0 {
        for day in days {
            // It fails where something is left in it.
            let _ = std::fs::remove_dir(day);
        }
    }
    fault.map_or(Ok((count, octets)), Err)
}

fn kept(day: &str, file: &std::fs::DirEntry) -> Option<Kept> {
    let name = file.file_name().to_str().filter(|name| is_file(name))?.to_owned();
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let millis = about.mtime().max(0).unsigned_abs() * 1_000 + about.mtime_nsec().unsigned_abs() / 1_000_000;
    Some(Kept {
        file: format!("{day}/{name}"),
        bytes: about.len(),
        changed: Wall(millis),
    })
}
