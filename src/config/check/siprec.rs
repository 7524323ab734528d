//! `recording.siprec`: the recording server.

use super::{Check, tls};
use crate::config::checked::Listen;
use crate::config::read::Map;
use crate::config::recording::Siprec;
use crate::config::{keys, values};
use crate::id::Transport;
use crate::media::command::Srtp;
use crate::sip::uri::{Scheme, Uri};

/// Reads `recording.siprec`.
pub(super) fn siprec(recording: &Map<'_>, listen: &[Listen], check: &mut Check<'_>) -> Option<Siprec> {
    let field = recording.get("siprec")?;
    let map = field.map(&keys::SIPREC, &mut check.problems);
    let ca = map.get("ca").and_then(|field| tls::authorities(&field, check));
    let problems = &mut check.problems;
    let srtp = map.value("srtp", Srtp::Off, problems, values::srtp);
    let files = map.value("files", false, problems, values::yes_or_no);
    let required = map.value("required", false, problems, values::yes_or_no);
    let at = map.require("server", problems)?;
    let server = at.parse(problems, values::server)?;
    let transport = transport(&server);
    if transport.is_some_and(|transport| !listen.iter().any(|listen| listen.transport == transport)) {
        let name = transport.map_or("", Transport::param);
        let text = format!(
            "it is reached by {name}, and listen has no {name}://, whose address stands in our Via and Contact. Add, for example, \
             {name}://0.0.0.0:{}",
            transport.map_or(0, Transport::default_port)
        );
        at.wrong(problems, text);
    }
    Some(Siprec {
        server,
        ca,
        srtp,
        files,
        required,
    })
}

/// How a server is reached, where its URI says so.
fn transport(server: &Uri) -> Option<Transport> {
    match server.scheme {
        Scheme::Sips => Some(Transport::Tls),
        Scheme::Sip | Scheme::Tel | Scheme::Other(_) => server.transport(),
    }
}
