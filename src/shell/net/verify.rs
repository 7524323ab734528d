//! Whose certificates are believed. Chains are checked by `rustls`; what SIP wants besides is here (RFC 5922).

use super::der;
use crate::id::{Authority, Identity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// A certificate of a server is for a domain by a DNS name in it or by a SIP URI (RFC 5922 7.1). A wildcard counts, against RFC 5922
/// 7.2: large carriers have one certificate for all their customers.
#[derive(Debug)]
pub(super) struct Servers(pub(super) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The name is looked at last: all else is in order.
        let only_the_name = matches!(
            checked,
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ))
        );
        let name = server_name.to_str().to_ascii_lowercase();
        if only_the_name && der::domains(end_entity).iter().any(|domain| **domain == *name) {
            return Ok(ServerCertVerified::assertion());
        }
        checked
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whose certificates are asked for from those who come.
#[derive(Debug)]
pub(super) struct Clients {
    authorities: Vec<Vouching>,
    /// What a client may choose among its certificates by; empty where the public CAs are among us, who are too many.
    hints: Vec<DistinguishedName>,
    required: bool,
    provider: Arc<CryptoProvider>,
}

/// One list of CAs.
#[derive(Debug)]
struct Vouching {
    authority: Authority,
    roots: Arc<RootCertStore>,
    checker: Arc<dyn ClientCertVerifier>,
}

impl Clients {
    /// With nobody who vouches. `required`: who is vouched for by nobody is refused.
    pub(super) fn new(required: bool, provider: Arc<CryptoProvider>) -> Clients {
        Clients {
            authorities: Vec::new(),
            hints: Vec::new(),
            required,
            provider,
        }
    }

    /// True where it makes sense to ask.
    pub(super) fn is_asked(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// These vouch too. The error is a sentence's end.
    pub(super) fn add(&mut self, authority: Authority, roots: Arc<RootCertStore>) -> Result<(), String> {
        if self.authorities.iter().any(|known| known.authority == authority) {
            return Ok(());
        }
        let checker = WebPkiClientVerifier::builder_with_provider(roots.clone(), self.provider.clone()).build();
        let checker = checker.map_err(|error| error.to_string())?;
        self.authorities.push(Vouching {
            authority,
            roots,
            checker,
        });
        let named = self.authorities.iter().all(|known| known.authority.is_some());
        let subjects = self.authorities.iter().flat_map(|known| known.roots.subjects());
        self.hints = if named { subjects.collect() } else { Vec::new() };
        Ok(())
    }

    /// What the chain that a client has shown, and of whose key it has given proof, is good for.
    pub(super) fn identity(&self, chain: &[CertificateDer<'_>]) -> Identity {
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return Identity::default();
        };
        let vouching = self
            .authorities
            .iter()
            .filter(|by| self.vouches(by, end_entity, intermediates, UnixTime::now()));
        let by: Vec<Authority> = vouching.map(|by| by.authority.clone()).collect();
        let names = if by.is_empty() {
            Vec::new()
        } else {
            der::domains(end_entity)
        };
        Identity { names, by }
    }

    /// Public CAs no longer sign certificates for both roles, and a SIP server has both: one that may only be used by servers is
    /// taken from a client too.
    fn vouches(
        &self,
        by: &Vouching,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> bool {
        let as_server = || {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, &by.roots, intermediates, now, algorithms)
        };
        match by.checker.verify_client_cert(end_entity, intermediates, now) {
            Ok(_) => true,
            Err(Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            )) => as_server().is_ok(),
            Err(_) => false,
        }
    }

    fn any(&self) -> Result<&Vouching, Error> {
        let none = PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon;
        self.authorities.first().ok_or(Error::PeerIncompatible(none))
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.is_asked()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// Phones show certificates of their makers to whoever asks: who is vouched for by nobody comes as if he had shown none, unless
    /// somebody must vouch.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let vouched = || {
            self.authorities
                .iter()
                .any(|by| self.vouches(by, end_entity, intermediates, now))
        };
        if self.required && !vouched() {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()?.checker.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()?.checker.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
