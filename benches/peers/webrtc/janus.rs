//! Debian's Janus: its configuration, and the few requests by which browsers join its rooms (the Janus API over HTTP).

use super::browser::Browser;
use super::sdp;
use crate::peer::{self, Half, Hosts, Running};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of its API.
const PORT: u16 = 8088;
/// The one room of each plugin.
const ROOM: u32 = 3_000;
/// The publisher in a VideoRoom.
const FEED: u32 = 7;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

const AUDIOBRIDGE: &str = "janus.plugin.audiobridge";
const VIDEOROOM: &str = "janus.plugin.videoroom";

/// Starts it with these two plugins and HTTP alone. `loops`: threads that all connections share; 0: one for each connection, as it is by default.
pub fn start(folder: &Path, hosts: Hosts, loops: usize) -> Result<Running, String> {
    configure(folder, hosts.peer, loops).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut command = peer::command("janus", Some(Half::Peer));
    command.arg(format!("--configs-folder={}", folder.display()));
    peer::start(command, folder, || {
        let is_up = request(hosts.peer, "GET", "/janus/info", None).is_ok();
        if !is_up {
            std::thread::sleep(Duration::from_millis(100));
        }
        is_up
    })
}

fn configure(folder: &Path, host: Ipv4Addr, loops: usize) -> std::io::Result<()> {
    let installed = installed().ok_or_else(|| std::io::Error::other("no plugins of Janus in /usr/lib"))?;
    for kind in ["plugins", "transports", "events", "loggers"] {
        fs::create_dir_all(folder.join(kind))?;
    }
    let parts = [
        "plugins/libjanus_audiobridge.so",
        "plugins/libjanus_videoroom.so",
        "transports/libjanus_http.so",
    ];
    for part in parts {
        let link = folder.join(part);
        // The last run has left one.
        let _ = fs::remove_file(&link);
        symlink(installed.join(part), link)?;
    }
    let own = folder.display();
    let loops = if loops > 0 {
        format!("event_loops = {loops}\n")
    } else {
        String::new()
    };
    let main = format!(
        "general: {{
configs_folder = \"{own}\"
plugins_folder = \"{own}/plugins\"
transports_folder = \"{own}/transports\"
events_folder = \"{own}/events\"
loggers_folder = \"{own}/loggers\"
interface = \"{host}\"
session_timeout = 0
{loops}}}
media: {{ ipv6 = false }}
nat: {{ ice_enforce_list = \"{host}\" }}
"
    );
    let http = format!("general: {{ json = \"compact\", http = true, port = {PORT}, ip = \"{host}\" }}\n");
    let audio = format!("room-{ROOM}: {{ sampling_rate = 48000, default_bitrate = 32000, record = false }}\n");
    let video =
        format!("room-{ROOM}: {{ publishers = 2, bitrate = 0, fir_freq = 0, opus_fec = false, record = false }}\n");
    fs::write(folder.join("janus.jcfg"), main)?;
    fs::write(folder.join("janus.transport.http.jcfg"), http)?;
    fs::write(folder.join("janus.plugin.audiobridge.jcfg"), audio)?;
    fs::write(folder.join("janus.plugin.videoroom.jcfg"), video)
}

/// Where the package has its plugins: below the name of the machine's kind.
fn installed() -> Option<PathBuf> {
    let kinds = fs::read_dir("/usr/lib").ok()?;
    let folders = kinds.filter_map(|kind| Some(kind.ok()?.path().join("janus")));
    folders.into_iter().find(|folder| folder.join("plugins").is_dir())
}

/// A session with one handle.
pub struct Session {
    host: Ipv4Addr,
    session: u64,
    handle: u64,
    plugin: &'static str,
}

impl Session {
    fn new(host: Ipv4Addr, plugin: &'static str) -> Result<Session, String> {
        let number = |answer: &Value| {
            let number = answer["data"]["id"].as_u64();
            number.ok_or_else(|| format!("Janus answers {answer}"))
        };
        let create = json!({ "janus": "create", "transaction": "c" });
        let session = number(&request(host, "POST", "/janus", Some(&create))?)?;
        let attach = json!({ "janus": "attach", "transaction": "a", "plugin": plugin });
        let handle = number(&request(host, "POST", &format!("/janus/{session}"), Some(&attach))?)?;
        Ok(Session {
            host,
            session,
            handle,
            plugin,
        })
    }

    /// Sends a message to the plugin and waits for what it says of it.
    fn ask(&self, body: Value, jsep: Option<Value>) -> Result<Value, String> {
        let Session {
            host, session, handle, ..
        } = *self;
        let mut message = json!({ "janus": "message", "transaction": "m", "body": body });
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        let acknowledged = request(host, "POST", &format!("/janus/{session}/{handle}"), Some(&message))?;
        if acknowledged["janus"] == "error" {
            return Err(format!("Janus answers {acknowledged}"));
        }
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let event = request(host, "GET", &format!("/janus/{session}?maxev=1"), None)?;
            let events = event.as_array().cloned().unwrap_or_else(|| vec![event]);
            for event in events {
                let data = &event["plugindata"]["data"];
                if !data["error"].is_null() {
                    return Err(format!("{} answers {data}", self.plugin));
                }
                if event["janus"] == "event" && event["transaction"] == "m" {
                    return Ok(event);
                }
            }
        }
        Err(format!("{} does not answer {}", self.plugin, message["body"]))
    }

    /// An offer that the plugin answers.
    fn offer(&self, body: Value, browser: &mut Browser, offer: &str) -> Result<(), String> {
        let said = self.ask(body, Some(json!({ "type": "offer", "sdp": offer })))?;
        let answer = said["jsep"]["sdp"].as_str();
        browser.described(
            answer.ok_or_else(|| format!("no answer of {}: {said}", self.plugin))?,
            true,
        )
    }
}

/// Joins the AudioBridge with an offer.
pub fn bridge(hosts: Hosts, browser: &mut Browser, offer: &str) -> Result<Session, String> {
    let session = Session::new(hosts.peer, AUDIOBRIDGE)?;
    // As hard as Tandem's encoder works.
    session.ask(
        json!({ "request": "join", "room": ROOM, "muted": false, "quality": 5 }),
        None,
    )?;
    session.offer(json!({ "request": "configure", "muted": false }), browser, offer)?;
    Ok(session)
}

/// Publishes in the VideoRoom.
pub fn publish(hosts: Hosts, browser: &mut Browser, offer: &str) -> Result<Session, String> {
    let session = Session::new(hosts.peer, VIDEOROOM)?;
    session.ask(
        json!({ "request": "join", "ptype": "publisher", "room": ROOM, "id": FEED }),
        None,
    )?;
    session.offer(json!({ "request": "publish" }), browser, offer)?;
    Ok(session)
}

/// Subscribes to the publisher of the VideoRoom; gives the payload type, too.
pub fn subscribe(hosts: Hosts, browser: &mut Browser) -> Result<(Session, u8), String> {
    let session = Session::new(hosts.peer, VIDEOROOM)?;
    let join = json!({ "request": "join", "ptype": "subscriber", "room": ROOM, "streams": [ { "feed": FEED } ] });
    let begin = Instant::now();
    let said = loop {
        // The publisher is one once it has keys, and the plugin has heard of that.
        match session.ask(join.clone(), None) {
            Err(why) if why.contains("No such feed") && begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            said => break said?,
        }
    };
    let offer = said["jsep"]["sdp"].as_str();
    let offer = offer.ok_or_else(|| format!("no offer of {VIDEOROOM}: {said}"))?;
    let (answer, payload_type) = sdp::answer(browser, offer)?;
    browser.described(offer, false)?;
    session.ask(
        json!({ "request": "start" }),
        Some(json!({ "type": "answer", "sdp": answer })),
    )?;
    Ok((session, payload_type))
}

/// One request on a connection of its own. To HTTP/1.0 the answer is in one piece (RFC 9112 7.1).
fn request(host: Ipv4Addr, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let told = |error: std::io::Error| format!("Janus over HTTP: {error}");
    let mut stream = TcpStream::connect((host, PORT)).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let text = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    let (_, json) = answer.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(json).map_err(|error| format!("Janus answers {answer:?}: {error}"))
}
