//! The control socket (`control.socket`): operators on this machine ask the node, a line each, and are answered in lines. Tasks of their own
//! read and write the connections; the signalling loop has their lines as inputs and gives answers as outputs.

use super::sources::plain;
use crate::config;
use crate::id::ControlId;
use crate::limits;
use bytes::Bytes;
use rustix::fs::Mode;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{debug, warn};

/// What happens on the socket.
#[derive(Debug)]
pub enum Spoken {
    /// Somebody has come, and is told this way.
    Opened(ControlId, mpsc::Sender<Said>),
    /// He asks this.
    Line(ControlId, Bytes),
    /// He is gone.
    Closed(ControlId),
}

/// What somebody is told; true where nothing comes behind it.
pub type Said = (Bytes, bool);

/// Who is connected.
#[derive(Default)]
pub struct Operators {
    /// The socket's path, if it is open.
    path: Option<PathBuf>,
    open: HashMap<ControlId, mpsc::Sender<Said>>,
}

impl Operators {
    /// Opens the socket. Must run within a tokio runtime. The error is a sentence for the operator; where nobody has asked for the
    /// socket, it is only told.
    pub fn open(control: &config::Control) -> Result<(Operators, mpsc::Receiver<Spoken>), String> {
        let (sender, receiver) = mpsc::channel(limits::CONTROL_QUEUE);
        let Some(path) = &control.socket else {
            return Ok((Operators::default(), receiver));
        };
        let why = match listen(path) {
            Ok(listener) => {
                tokio::spawn(accept(listener, sender));
                let operators = Operators {
                    path: Some(path.clone()),
                    open: HashMap::new(),
                };
                return Ok((operators, receiver));
            }
            Err(why) => format!("control.socket: {} cannot be opened: {why}", path.display()),
        };
        if !control.is_usual {
            return Err(why);
        }
        warn!("{why}; `tandem room` does not reach this node");
        Ok((Operators::default(), receiver))
    }

    /// Where they come, if they can.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What has happened: a line of somebody, or that he is gone, is the machine's.
    pub fn spoken(&mut self, spoken: Spoken) -> Option<(ControlId, Option<Bytes>)> {
        match spoken {
            Spoken::Opened(id, tell) => {
                self.open.insert(id, tell);
                None
            }
            Spoken::Line(id, line) => Some((id, Some(line))),
            Spoken::Closed(id) => {
                self.open.remove(&id);
                Some((id, None))
            }
        }
    }

    /// Tells somebody something. Who is too slow is told no more.
    pub fn say(&mut self, to: ControlId, lines: Bytes, last: bool) {
        let Some(tell) = self.open.get(&to) else { return };
        if tell.try_send((lines, last)).is_err() {
            debug!("somebody on the control socket does not take what he is told: his connection is closed");
            self.open.remove(&to);
        }
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Whoever finds it left over replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Opens a socket that nobody else can open at any moment. The error is half a sentence.
fn listen(path: &Path) -> Result<tokio::net::UnixListener, String> {
    make_way(path)?;
    // What is made from here to the next line but one has these rights; other threads make nothing while the node starts.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let opened = bound.and_then(|listener| {
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    });
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "its folder does not exist".to_owned(),
        _ => plain(&error),
    })
}

/// Removes a socket that a node has left behind, and nothing else.
fn make_way(path: &Path) -> Result<(), String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(plain(&error)),
    };
    if !found.file_type().is_socket() {
        return Err("there is a file that is no socket".to_owned());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("another node listens there".to_owned()),
        Err(_) => fs::remove_file(path).map_err(|error| plain(&error)),
    }
}

async fn accept(listener: tokio::net::UnixListener, events: mpsc::Sender<Spoken>) {
    let places = Arc::new(Semaphore::new(limits::CONTROL_CONNECTIONS));
    let mut last = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open: it is tried again when others have had their turn.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        last += 1;
        let (id, events) = (ControlId(last), events.clone());
        tokio::spawn(async move {
            serve(stream, id, &events).await;
            // The loop has ended if it does not take it.
            let _ = events.send(Spoken::Closed(id)).await;
            drop(place);
        });
    }
}

/// One connection: one line in, lines out. Nothing where a peer is slow, says too much, or goes.
async fn serve(stream: tokio::net::UnixStream, id: ControlId, events: &mpsc::Sender<Spoken>) -> Option<()> {
    let (tell, mut told) = mpsc::channel::<Said>(limits::CONTROL_QUEUE);
    let (mut reader, mut writer) = stream.into_split();
    let line = timeout(limits::CONTROL_PATIENCE, line(&mut reader)).await.ok()??;
    events.send(Spoken::Opened(id, tell)).await.ok()?;
    events.send(Spoken::Line(id, line)).await.ok()?;
    let (mut is_heard, mut is_answered) = (true, false);
    let mut rest = [0; 64];
    loop {
        let said = tokio::select! {
            said = told.recv() => said?,
            read = reader.read(&mut rest), if is_heard => {
                match read {
                    // Nobody listens to more.
                    Ok(1..) => {}
                    // Who has no more to say may still want his answer.
                    Ok(0) if !is_answered => is_heard = false,
                    Ok(0) | Err(_) => return None,
                }
                continue;
            }
        };
        let (lines, last) = said;
        timeout(limits::CONTROL_PATIENCE, writer.write_all(&lines))
            .await
            .ok()?
            .ok()?;
        if last {
            return Some(());
        }
        is_answered = true;
        if !is_heard {
            return None;
        }
    }
}

/// The first line, without its end; none where it does not come, or is too long.
async fn line(reader: &mut OwnedReadHalf) -> Option<Bytes> {
    let mut line = Vec::with_capacity(128);
    loop {
        let mut part = [0; 256];
        let read = reader.read(&mut part).await.ok().filter(|read| *read > 0)?;
        let end = part[..read].iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&part[..end.unwrap_or(read)]);
        if line.len() > limits::CONTROL_LINE_BYTES {
            return None;
        }
        if end.is_some() {
            return Some(line.into());
        }
    }
}
