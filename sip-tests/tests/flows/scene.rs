//! What a flow is run with: who stands where, and what is not as the RFC shows it.

/// By what a participant is reached, as its Via says in the RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Udp,
    Tcp,
    Tls,
}

/// One who is played by the test.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// As the RFC's labels say; and other spellings there.
    pub name: &'static str,
    pub also: &'static [&'static str],
    /// As the RFC's `received` says.
    pub ip: &'static str,
    pub wire: Wire,
}

/// What is registered before the flow begins.
#[derive(Clone, Copy, Debug)]
pub struct Phone {
    pub aor: &'static str,
    /// Who registers it.
    pub at: &'static str,
    /// The value of Contact.
    pub contact: &'static str,
}

/// What is other than the RFC shows.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// The message is neither sent nor awaited.
    Skip,
    /// The label says the wrong ends.
    Ends(&'static str),
    /// The RFC's text, and what stands for it.
    Text(&'static str, &'static str),
    /// This field of what comes out differs.
    Field(&'static str),
    /// A message that the RFC does not show comes out here: to whom, and how it begins.
    Also(&'static str, &'static str),
}

/// One of these, in which message, and why: a slip of the RFC, or the sentence that makes us right.
#[derive(Clone, Copy, Debug)]
pub struct Slip(pub &'static str, pub What, pub &'static str);

/// A flow with the node in one of its places.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub rfc: &'static str,
    pub section: &'static str,
    /// Whom the node plays, as the labels say; nobody where the RFC leaves the proxy between the participants out.
    pub us: &'static [&'static str],
    /// What the RFC sends from one participant to the other goes through the node: it is the proxy that is not shown, or it stays on
    /// the way of a dialog that the RFC's proxy leaves.
    pub through: bool,
    /// By which names the RFC's messages call it.
    pub hosts: &'static [&'static str],
    pub ip: &'static str,
    /// The realm in the RFC's credentials for it.
    pub realm: &'static str,
    /// `domains`, `users`, `trunks`, `routes`.
    pub file: &'static str,
    pub peers: &'static [At],
    pub phones: &'static [Phone],
    /// Names of hosts.
    pub names: &'static [(&'static str, &'static str)],
    /// Calls that are in the records at the end.
    pub calls: usize,
    pub slips: &'static [Slip],
}

pub const fn at(name: &'static str, ip: &'static str, wire: Wire) -> At {
    At {
        name,
        also: &[],
        ip,
        wire,
    }
}

pub const fn phone(aor: &'static str, at: &'static str, contact: &'static str) -> Phone {
    Phone { aor, at, contact }
}

impl Scene {
    pub fn title(&self) -> String {
        let role = self.us.first().copied().unwrap_or("the proxy that is not shown");
        format!("{} {} as {role}", self.rfc, self.section)
    }
}
