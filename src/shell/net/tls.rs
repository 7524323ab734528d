//! Certificates: who we are, and whom we trust. The one door to `rustls` and `rcgen`.
//!
//! Everything is read at once and takes effect for connections that are opened from then on; those that are open keep what they
//! began with.

use super::der;
use super::session::Session;
use super::verify::{Clients, Servers};
use crate::config::{Config, KeyPair, Listen, TrunkTls, Unfit};
use crate::effect::Hook;
use crate::id::Identity;
use crate::pii::Secret;
use crate::shell::sources;
use crate::time::Wall;
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The certificate that a node makes for itself, in the folder of the store.
const OWN_CERTIFICATE: &str = "tls-certificate.pem";
/// Its key.
const OWN_KEY: &str = "tls-key.pem";
/// How long it lasts, in years.
const OWN_YEARS: i32 = 10;

/// What is needed to accept and to open connections under TLS.
#[derive(Debug, Default)]
pub struct Keys {
    /// None where nobody listens on TLS.
    server: Option<Server>,
    strangers: Option<Arc<ClientConfig>>,
    /// By the host of a trunk's peer.
    trunks: HashMap<String, Carrier>,
    /// How URLs that are told something are met.
    hooks: BTreeMap<Hook, Arc<ClientConfig>>,
    /// Our certificates: the file, and when it ends.
    ends: Vec<(PathBuf, Wall)>,
    warn_before: Duration,
}

/// How those who come are met.
#[derive(Debug)]
struct Server {
    /// Asks for certificates where somebody may vouch for them.
    config: Arc<ServerConfig>,
    /// Asks for none: a browser would bother its user.
    for_browsers: Arc<ServerConfig>,
    clients: Arc<Clients>,
}

/// How a carrier is met.
#[derive(Clone, Debug)]
struct Carrier {
    config: Arc<ClientConfig>,
    name: Option<String>,
}

impl Keys {
    /// Reads every file that the configuration names. Where it names no certificate, and none is kept beside `store`, one is made: it is
    /// given, too, for its first start to keep. The error is a sentence with the file and the key of the configuration.
    pub fn load(config: &Config, store: &Path, wall: Wall) -> Result<(Keys, Option<OwnCertificate>), String> {
        let mut keys = Keys {
            warn_before: config.tls.min_expiry_warning,
            ..Keys::default()
        };
        let mut made = None;
        if config.api.is_some() || listeners(config).any(|listen| listen.transport.is_secure()) {
            let (pair, certified) = match &config.tls.certificate {
                Some(pair) => (pair.clone(), certified(pair).map_err(sentence)?),
                None => {
                    let (pair, certified, new) = own_certificate(config, store, wall)?;
                    made = new;
                    (pair, certified)
                }
            };
            let (clients, certified) = (Arc::new(clients(config)?), Arc::new(certified));
            keys.note_end(&pair, &certified);
            keys.server = Some(Server {
                config: Arc::new(server(certified.clone(), Some(clients.clone()))?),
                for_browsers: Arc::new(server(certified, None)?),
                clients,
            });
        }
        let own = config.tls.certificate.as_ref();
        keys.strangers = Some(Arc::new(client(&TrunkTls::default(), own)?));
        for trunk in config.trunks.iter().filter(|trunk| trunk.tls != TrunkTls::default()) {
            let carrier = Carrier {
                config: Arc::new(client(&trunk.tls, own).map_err(|why| format!("trunk {}: {why}", trunk.name))?),
                name: trunk.tls.name.clone(),
            };
            if let Some(pair) = &trunk.tls.certificate {
                keys.note_end(pair, &certified(pair).map_err(sentence)?);
            }
            for peer in &trunk.peers {
                keys.trunks
                    .insert(plain(&peer.host.to_string()).to_owned(), carrier.clone());
            }
        }
        let clients = config.api.as_ref().and_then(|api| api.push.as_ref());
        for (hook, key, ca) in [
            (Hook::Phones, "push", config.push.as_ref().map(|push| &push.ca)),
            (Hook::Clients, "api.push", clients.map(|push| &push.ca)),
        ] {
            let Some(ca) = ca.cloned() else { continue };
            let tls = TrunkTls {
                ca,
                ..TrunkTls::default()
            };
            let service = client(&tls, None).map_err(|why| format!("{why} (key `{key}.ca`)"))?;
            keys.hooks.insert(hook, Arc::new(service));
        }
        if let Some(siprec) = config.recording.siprec.as_ref().filter(|siprec| siprec.ca.is_some()) {
            let tls = TrunkTls {
                ca: siprec.ca.clone(),
                ..TrunkTls::default()
            };
            let host = siprec.server.host.to_string();
            let server = Carrier {
                config: Arc::new(client(&tls, own).map_err(|why| format!("recording.siprec: {why}"))?),
                name: None,
            };
            keys.trunks.entry(plain(&host).to_owned()).or_insert(server);
        }
        Ok((keys, made))
    }

    /// A sentence for each of our certificates that has ended or ends soon.
    pub fn warnings(&self, wall: Wall) -> Vec<String> {
        let soon = self.ends.iter().filter(|(_, end)| *end < wall + self.warn_before);
        let sentence = |(path, end): &(PathBuf, Wall)| match end.since(wall).as_secs() {
            0 => format!(
                "the certificate in {} ended on {}: peers refuse it. Put a new one there and send SIGHUP",
                path.display(),
                end.civil()
            ),
            left => format!(
                "the certificate in {} ends on {}, in {} days. Put a new one there and send SIGHUP",
                path.display(),
                end.civil(),
                left / 86_400
            ),
        };
        soon.map(sentence).collect()
    }

    fn note_end(&mut self, pair: &KeyPair, certified: &CertifiedKey) {
        self.ends
            .extend(end(certified).map(|end| (pair.certificate.clone(), end)));
    }

    /// Also gives who came, if they have shown a certificate.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Identity>)> {
        let server = self.server.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let stream = TlsAcceptor::from(server.config.clone()).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let who = shown.map(|chain| server.clients.identity(chain));
        Ok((stream.into(), who))
    }

    pub(super) async fn accept_anybody(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let server = self.server.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        Ok(TlsAcceptor::from(server.for_browsers.clone())
            .accept(stream)
            .await?
            .into())
    }

    /// The same for who serves the connection by hand: its socket, which does not block, and its keys.
    pub(in crate::shell) async fn accept_by_hand(&self, stream: TcpStream) -> io::Result<(TcpStream, Session)> {
        let server = self.server.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let stream = TlsAcceptor::from(server.for_browsers.clone()).accept(stream).await?;
        let (socket, connection) = stream.into_inner();
        Ok((socket, Session::new(connection)))
    }

    /// `host` is the name that the certificate must be for; a trunk may say that it is another.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let carrier = self.trunks.get(plain(host));
        let config = carrier
            .map(|carrier| carrier.config.clone())
            .or_else(|| self.strangers.clone());
        let name = carrier
            .and_then(|carrier| carrier.name.as_deref())
            .unwrap_or(plain(host));
        let name = ServerName::try_from(name.to_owned()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let connector = TlsConnector::from(config.ok_or(io::ErrorKind::Unsupported)?);
        Ok(connector.connect(name, stream).await?.into())
    }

    /// To the host of a URL that is told something.
    pub(super) async fn connect_hook(
        &self,
        hook: Hook,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = self.hooks.get(&hook).or(self.strangers.as_ref());
        let name = ServerName::try_from(plain(host).to_owned()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let connector = TlsConnector::from(config.cloned().ok_or(io::ErrorKind::Unsupported)?);
        Ok(connector.connect(name, stream).await?.into())
    }
}

/// All where somebody may come.
fn listeners(config: &Config) -> impl Iterator<Item = &Listen> {
    let turn = config.turn.iter().flat_map(|turn| &turn.doors.listen);
    config.listen.iter().chain(turn)
}

/// An IPv6 address without its brackets.
fn plain(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Who may vouch for those who come.
fn clients(config: &Config) -> Result<Clients, String> {
    let mut clients = Clients::new(config.tls.client_required, provider());
    if let Some(path) = &config.tls.client_ca {
        let named = |why| format!("{} is no list of CAs: {why} (key `tls.client_ca`)", path.display());
        clients.add(Some(path.clone()), roots(path)?).map_err(named)?;
    }
    for trunk in config.trunks.iter().filter(|trunk| !trunk.tls.accept.is_empty()) {
        let named = |why| {
            format!(
                "trunk {}: its CAs cannot be used: {why} (key `trunks[].tls.ca`)",
                trunk.name
            )
        };
        clients.add(trunk.tls.ca.clone(), trusted(&trunk.tls)?).map_err(named)?;
    }
    Ok(clients)
}

/// Who may have signed a carrier's certificate.
fn trusted(tls: &TrunkTls) -> Result<Arc<RootCertStore>, String> {
    match &tls.ca {
        Some(path) => roots(path),
        None => Ok(Arc::new(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        })),
    }
}

fn server(certified: Arc<CertifiedKey>, clients: Option<Arc<Clients>>) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = match clients.filter(|clients| clients.is_asked()) {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients),
    };
    Ok(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
}

/// `own` is our certificate where the trunk has no other one for us.
fn client(tls: &TrunkTls, own: Option<&KeyPair>) -> Result<ClientConfig, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(trusted(tls)?, provider())
        .build()
        .map_err(|error| format!("the CAs that `ca` names cannot be used: {error}"))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Servers(verifier)));
    match tls.certificate.as_ref().or(own) {
        None => Ok(builder.with_no_client_auth()),
        Some(pair) => {
            let certified = certified(pair).map_err(sentence)?;
            Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
        }
    }
}

/// Whether a certificate and its private key can be used together; when the certificate ends, where it says so.
pub fn usable(pair: &KeyPair) -> Result<Option<Wall>, Unfit> {
    certified(pair).map(|certified| end(&certified))
}

/// Whether CAs can be read from a file. The error is a sentence.
pub fn authorities(path: &Path) -> Result<(), String> {
    roots(path).map(|_| ())
}

fn certified(pair: &KeyPair) -> Result<CertifiedKey, Unfit> {
    let (chain, key) = (
        certificates(&pair.certificate).map_err(Unfit::Certificate)?,
        private_key(&pair.key).map_err(Unfit::Key)?,
    );
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| unfit(pair, &error))
}

fn unfit(pair: &KeyPair, error: &rustls::Error) -> Unfit {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    match error {
        rustls::Error::InvalidCertificate(_) => {
            Unfit::Certificate(format!("the certificate in {certificate} cannot be used: {error}"))
        }
        rustls::Error::InconsistentKeys(_) => Unfit::Key(format!(
            "the private key in {key} is not that of the certificate in {certificate}; where that file holds several, the node's own comes \
             first"
        )),
        _other => Unfit::Key(format!("the private key in {key} cannot be used: {error}")),
    }
}

fn sentence(unfit: Unfit) -> String {
    match unfit {
        Unfit::Certificate(why) | Unfit::Key(why) => why,
    }
}

/// When a certificate ends.
fn end(certified: &CertifiedKey) -> Option<Wall> {
    certified.cert.first().and_then(|first| der::not_after(first))
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| format!("a certificate in {} cannot be trusted as a CA: {error}", path.display()))?;
    }
    Ok(Arc::new(store))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!(
            "there is no certificate in {}: it must be PEM, with -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Err(error) => Err(format!(
            "the certificates in {} cannot be read: {error}",
            path.display()
        )),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        format!(
            "there is no private key that can be read in {}: {error}",
            path.display()
        )
    })
}

/// A certificate that a node has made for itself, and that is on no disk yet.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    pair: KeyPair,
    certificate: String,
    key: Secret,
}

impl OwnCertificate {
    /// Keeps it for the starts to come, and tells so in a sentence; so is the error.
    pub fn keep(&self) -> Result<String, String> {
        let KeyPair { certificate, key } = &self.pair;
        sources::write(key, 0o600, self.key.expose())
            .and_then(|()| sources::write(certificate, 0o644, &self.certificate))
            .map_err(|why| {
                format!(
                    "the certificate that was made for tls and wss cannot be kept in {}: {}. The folder is that of the store (key `store.path`); \
                     one that you have goes into the key `tls`, and then none is made",
                    certificate.display(),
                    sources::plain(&why)
                )
            })?;
        Ok(format!(
            "a self-signed certificate was made for tls and wss and is kept in {}. Phones and browsers must be told to trust it; one \
             that they trust already goes into the key `tls`",
            certificate.display()
        ))
    }
}

/// The certificate that the node made earlier, or a new one.
fn own_certificate(
    config: &Config,
    store: &Path,
    wall: Wall,
) -> Result<(KeyPair, CertifiedKey, Option<OwnCertificate>), String> {
    let folder = store.parent().unwrap_or_else(|| Path::new(""));
    let pair = KeyPair {
        certificate: folder.join(OWN_CERTIFICATE),
        key: folder.join(OWN_KEY),
    };
    let (has_certificate, has_key) = (pair.certificate.exists(), pair.key.exists());
    if has_certificate != has_key {
        let (is, is_not) = match has_key {
            true => (&pair.key, &pair.certificate),
            false => (&pair.certificate, &pair.key),
        };
        return Err(format!(
            "{} is there without {}: put that back, or remove the one that is left, and the node makes both (key `tls`)",
            is.display(),
            is_not.display()
        ));
    }
    if has_certificate {
        let certified = certified(&pair).map_err(|unfit| {
            format!(
                "{}. This node made {} and {} for itself: where they are broken remove both, and it makes new ones (key `tls`)",
                sentence(unfit),
                pair.certificate.display(),
                pair.key.display()
            )
        })?;
        return Ok((pair, certified, None));
    }
    let failed = |why: &dyn std::fmt::Display| format!("no certificate can be made for this node: {why} (key `tls`)");
    let key = rcgen::KeyPair::generate().map_err(|why| failed(&why))?;
    let certificate = own_params(config, wall).self_signed(&key).map_err(|why| failed(&why))?;
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let certified = CertifiedKey::from_der(vec![certificate.der().clone()], private, &provider());
    let made = OwnCertificate {
        pair: pair.clone(),
        certificate: certificate.pem(),
        key: Secret::new(key.serialize_pem()),
    };
    Ok((pair, certified.map_err(|why| failed(&why))?, Some(made)))
}

/// A certificate for media with browsers, and its key (PKCS #8), both as DER: of one process, and signed by itself, since it is known by its
/// fingerprint in descriptions (RFC 8827 6.5). The error is a sentence.
pub fn browser_certificate() -> Result<(Vec<u8>, Vec<u8>), String> {
    let failed = |why: rcgen::Error| format!("no certificate can be made for media with browsers: {why}");
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "tandem");
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.der().to_vec(), key.serialize_der()))
}

/// For all names and addresses by which we are called.
pub(super) fn own_params(config: &Config, wall: Wall) -> CertificateParams {
    let mut names: Vec<SanType> = Vec::new();
    let mut add = |name: &str| {
        let name = plain(name);
        let found = match name.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => None,
            Ok(ip) => Some(SanType::IpAddress(ip)),
            Err(_) => name.try_into().ok().map(SanType::DnsName),
        };
        if let Some(found) = found.filter(|found| !names.contains(found)) {
            names.push(found);
        }
    };
    config.domains.iter().for_each(|domain| add(&domain.name));
    add(&config.node_name);
    let api = config.api.iter().map(|api| api.listen.ip());
    let turn = config.turn.iter().flat_map(|turn| turn.doors.external.iter().copied());
    let addresses = listeners(config).map(|listen| listen.addr.ip()).chain(api).chain(turn);
    for ip in addresses.chain(config.advertise).chain(super::own_address()) {
        add(&ip.to_string());
    }
    let is_any = |ip: IpAddr| ip.is_unspecified();
    let listens = config.listen.iter().any(|listen| is_any(listen.addr.ip()));
    if listens || config.api.as_ref().is_some_and(|api| is_any(api.listen.ip())) {
        ["localhost", "127.0.0.1", "::1"].into_iter().for_each(&mut add);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, config.node_name.clone());
    params.subject_alt_names = names;
    let this_year = i32::try_from(wall.civil().year).unwrap_or(2026);
    // Clocks of phones that were just switched on lag behind.
    params.not_before = rcgen::date_time_ymd(this_year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(this_year + OWN_YEARS, 1, 1);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_warned_of() {
        let day = |days: u64| Wall(days * 86_400_000);
        let keys = Keys {
            ends: vec![("a.pem".into(), day(100)), ("b.pem".into(), day(1000))],
            warn_before: Duration::from_secs(14 * 86_400),
            ..Keys::default()
        };
        assert!(keys.warnings(day(80)).is_empty());
        let soon = keys.warnings(day(90));
        assert_eq!(soon.len(), 1);
        assert!(soon[0].contains("a.pem") && soon[0].contains("in 10 days"), "{soon:?}");
        assert!(keys.warnings(day(101))[0].contains("a.pem ended on"));
    }
}
