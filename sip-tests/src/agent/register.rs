//! Registration: of a phone with the node, and of the node with a carrier.

use super::transaction::{Purpose, key};
use super::{Agent, Ctx, Timer};
use crate::digest;
use crate::message::{self, Msg};
use std::time::Duration;

/// A phone's registration.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The last final status; 0 before any.
    pub last_status: u16,
    /// Contacts of the last 200, as the node wrote them.
    pub contacts: Vec<String>,
    /// Seconds that were granted to us.
    pub granted: Option<u64>,
    /// Renews before it expires.
    pub renews: bool,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    asked: u32,
}

/// The registrations that a carrier keeps.
#[derive(Clone, Debug)]
pub struct Server {
    /// Answers REGISTER.
    pub serves: bool,
    /// The realm of its challenge.
    pub realm: String,
    /// Accepted contacts.
    pub contacts: Vec<String>,
    /// REGISTERs that were accepted.
    pub accepted: usize,
    /// REGISTERs that came in all.
    pub seen: usize,
    /// What is granted, whatever was asked; seconds.
    pub grants: u64,
    /// Shorter wishes get 423 with this.
    pub min_expires: u64,
    /// Answers with this status in place of serving.
    pub refuses: Option<u16>,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            serves: false,
            realm: "carrier".into(),
            contacts: Vec::new(),
            accepted: 0,
            seen: 0,
            grants: 120,
            min_expires: 0,
            refuses: None,
        }
    }
}

impl Agent {
    /// REGISTER of our contact for so many seconds.
    pub fn register(&mut self, cx: &mut Ctx<'_>, expires: u32) {
        let contact = format!("{};expires={expires}", self.contact());
        self.registration.asked = expires;
        self.register_with(cx, &[&format!("Contact: {contact}")]);
    }

    /// REGISTER with any lines (`Contact: *`, `Expires: 0`, none: a fetch).
    pub fn register_with(&mut self, cx: &mut Ctx<'_>, lines: &[&str]) {
        if self.registration.call_id.is_empty() {
            self.registration.call_id = format!("{}@{}", cx.rng.token(), self.name);
        }
        self.registration.cseq += 1;
        self.registration.last_status = 0;
        let domain = self.identity.rsplit('@').next().unwrap_or_default().to_owned();
        let mut request = Msg::request("REGISTER", &format!("sip:{domain}"));
        request.push("Max-Forwards", "70");
        request.push("From", &format!("<{}>;tag={}", self.identity, cx.rng.token()));
        request.push("To", &format!("<{}>", self.identity));
        request.push("Call-ID", &self.registration.call_id.clone());
        request.push("CSeq", &format!("{} REGISTER", self.registration.cseq));
        for line in lines {
            match line.split_once(':') {
                Some((name, value)) if request.get(name).is_some() => request.set(name, value.trim()),
                _ => request.push_line(line),
            }
        }
        let wire = self.server;
        self.start(cx, wire, Purpose::Register, request);
    }

    pub(super) fn register_response(&mut self, cx: &mut Ctx<'_>, response: Msg) {
        let status = response.status();
        if status < 200 {
            return;
        }
        self.registration.last_status = status;
        if status != 200 {
            return;
        }
        self.registration.contacts = response
            .all("Contact")
            .iter()
            .map(|contact| (*contact).to_owned())
            .collect();
        let own = self.contact();
        let own = message::uri_of(&own);
        let ours = self
            .registration
            .contacts
            .iter()
            .find(|contact| message::uri_of(contact) == own);
        self.registration.granted = ours.and_then(|contact| message::param(contact, "expires")?.parse().ok());
        if let (true, Some(granted)) = (self.registration.renews, self.registration.granted) {
            cx.wake(Duration::from_secs(granted) / 2, Timer::Register);
        }
    }

    pub(super) fn reregister(&mut self, cx: &mut Ctx<'_>) {
        if self.registration.renews {
            let asked = self.registration.asked;
            self.register(cx, asked);
        }
    }

    /// Any request outside of dialogs, as the script wrote it: Via is put in front. Gives the key of its transaction.
    pub fn send_loose(&mut self, cx: &mut Ctx<'_>, request: Msg) -> String {
        let (wire, method) = (self.server, request.method().to_owned());
        let branch = self.start(cx, wire, Purpose::Loose, request);
        key(&branch, &method)
    }

    /// The status that a loose request has now.
    pub fn loose_status(&self, key: &str) -> u16 {
        let key = self.retried.get(key).map_or(key, String::as_str);
        self.clients.get(key).map_or(408, |client| client.status)
    }

    /// REGISTER from the node: with digest, as carriers do.
    pub(super) fn register_in(&mut self, cx: &mut Ctx<'_>, request: &Msg) {
        self.registrar.seen += 1;
        if let Some(status) = self.registrar.refuses {
            return self.reply(cx, request, Msg::response(request, status, "reg"));
        }
        if !self.registrar.serves {
            return self.reply(cx, request, Msg::response(request, 405, "reg"));
        }
        let credentials = request.text("Authorization");
        if !digest::verify(credentials, &self.password, "REGISTER") {
            let nonce = cx.rng.token();
            let challenge = format!(
                "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"",
                self.registrar.realm
            );
            let response = Msg::response(request, 401, "reg").with("WWW-Authenticate", &challenge);
            return self.reply(cx, request, response);
        }
        let contact = request.text("Contact").to_owned();
        let asked = message::param(&contact, "expires")
            .or(request.get("Expires"))
            .and_then(|text| text.parse::<u64>().ok());
        let asked = asked.unwrap_or(3600);
        let mut response = Msg::response(request, 200, "reg");
        if asked == 0 {
            self.registrar.contacts.clear();
        } else if asked < self.registrar.min_expires {
            let refusal =
                Msg::response(request, 423, "reg").with("Min-Expires", &self.registrar.min_expires.to_string());
            return self.reply(cx, request, refusal);
        } else {
            let uri = message::uri_of(&contact).to_owned();
            response.push(
                "Contact",
                &format!("<{uri}>;expires={}", self.registrar.grants.min(asked)),
            );
            self.registrar.contacts = vec![uri];
            self.registrar.accepted += 1;
        }
        self.reply(cx, request, response);
    }
}
