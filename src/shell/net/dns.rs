//! Questions to the DNS. The one door to `hickory-resolver`, which asks them on the wire and follows aliases; it keeps nothing,
//! since the machine keeps answers for as long as they say.

use crate::config::Dns;
use crate::effect::{Answer, Kind, Question, Record};
use crate::limits;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long one server may take before it is asked again, or the next one.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// How often that happens. With the first it is less than `limits::RESOLVE` leaves for all questions.
const ATTEMPTS: usize = 1;

/// How long a server that does not answer to NAPTR is taken to have none.
const DUMB: Duration = Duration::from_secs(60);

/// Who is asked.
#[derive(Clone)]
pub(super) struct Resolver(Option<TokioResolver>);

impl Resolver {
    /// The servers of the configuration, or else those of /etc/resolv.conf. The error is a sentence; then every answer is empty.
    pub(super) fn new(config: &Dns) -> (Resolver, Option<String>) {
        let provider = TokioRuntimeProvider::default();
        let builder = if config.servers.is_empty() {
            TokioResolver::builder(provider)
        } else {
            let servers = config.servers.iter().map(|server| {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections
                    .iter_mut()
                    .for_each(|connection| connection.port = server.port());
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            Ok(TokioResolver::builder_with_config(config, provider))
        };
        let built = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.cache_size = 0;
            options.timeout = PATIENCE;
            options.attempts = ATTEMPTS;
            builder.build()
        });
        match built {
            Ok(resolver) => (Resolver(Some(resolver)), None),
            Err(why) => {
                let sentence = format!(
                    "names cannot be resolved: {why}. Name a server in /etc/resolv.conf or with the key `dns.servers`, and send SIGHUP"
                );
                (Resolver(None), Some(sentence))
            }
        }
    }

    /// Asks one question. Whatever goes wrong is an empty answer that must not be kept.
    pub(super) async fn ask(&self, question: &Question) -> Answer {
        let Some(resolver) = &self.0 else {
            return Answer::default();
        };
        // With the dot at its end: no search list makes another name of it.
        let Ok(name) = Name::from_utf8(format!("{}.", question.name)) else {
            return Answer::default();
        };
        let kind = match question.kind {
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
            Kind::Srv => RecordType::SRV,
            Kind::Naptr => RecordType::NAPTR,
        };
        match timeout(limits::RESOLVE, resolver.lookup(name, kind)).await {
            // It says that there is no such name, and what it has (RFC 2308 2.1): neither is to be believed.
            Ok(Ok(found)) if found.message().response_code == ResponseCode::NXDomain => Answer::default(),
            Ok(Ok(found)) => Answer {
                records: found
                    .answers()
                    .iter()
                    .filter_map(|entry| record(&entry.data))
                    .take(limits::DNS_RECORDS)
                    .collect(),
                ttl: found.valid_until().saturating_duration_since(Instant::now().into_std()),
            },
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(nothing)))) => Answer {
                records: Vec::new(),
                ttl: Duration::from_secs(nothing.negative_ttl.unwrap_or_default().into()),
            },
            // Some servers never answer what they do not know: that is not waited for at each call (RFC 2308 7.2).
            Ok(Err(_)) | Err(_) if question.kind == Kind::Naptr => Answer {
                records: Vec::new(),
                ttl: DUMB,
            },
            Ok(Err(_)) | Err(_) => Answer::default(),
        }
    }
}

fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    let host = |name: &Name| {
        name.to_ascii()
            .trim_end_matches('.')
            .to_ascii_lowercase()
            .into_boxed_str()
    };
    Some(match data {
        RData::A(ip) => Record::Address(ip.0.into()),
        RData::AAAA(ip) => Record::Address(ip.0.into()),
        RData::SRV(srv) => Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: host(&srv.target),
        },
        RData::NAPTR(naptr) => Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            services: text(&naptr.services),
            replacement: host(&naptr.replacement),
        },
        _ => return None,
    })
}
