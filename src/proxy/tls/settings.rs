//! From a policy to what rustls is given.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

use crate::traffic::tls::{CIPHERS, TlsPolicy, TlsVersion};

/// ring, with all of its cipher suites.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// The provider with everything.
pub(super) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// The provider with the cipher suites of a policy, in its order.
pub(super) fn provider_of(policy: &TlsPolicy) -> Arc<CryptoProvider> {
    if policy.ciphers.is_empty() {
        return provider();
    }
    let all = &PROVIDER.cipher_suites;
    let chosen = policy.ciphers.iter().filter_map(|name| {
        all.iter()
            .find(|suite| cipher_name(suite.suite()) == *name)
            .copied()
    });
    Arc::new(CryptoProvider {
        cipher_suites: chosen.collect(),
        ..ring::default_provider()
    })
}

/// The versions of a policy, as rustls wants them.
pub(super) fn versions(policy: &TlsPolicy) -> Vec<&'static SupportedProtocolVersion> {
    [(TlsVersion::V13, &TLS13), (TlsVersion::V12, &TLS12)]
        .into_iter()
        .filter_map(|(version, known)| policy.allows(version).then_some(known))
        .collect()
}

/// A suite's name in the IANA registry.
pub(super) fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => CIPHERS[0].0,
        CipherSuite::TLS13_AES_128_GCM_SHA256 => CIPHERS[1].0,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => CIPHERS[2].0,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => CIPHERS[3].0,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => CIPHERS[4].0,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => CIPHERS[5].0,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => CIPHERS[6].0,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => CIPHERS[7].0,
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => CIPHERS[8].0,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cipher_that_may_be_configured_is_there() {
        let ciphers: Vec<&str> = CIPHERS.iter().rev().map(|(name, _)| *name).collect();
        let provider = provider_of(&TlsPolicy {
            ciphers: ciphers.clone(),
            ..TlsPolicy::default()
        });
        let got: Vec<&str> = provider
            .cipher_suites
            .iter()
            .map(|s| cipher_name(s.suite()))
            .collect();
        assert_eq!(got, ciphers);
        assert_eq!(PROVIDER.cipher_suites.len(), CIPHERS.len());
    }
}
