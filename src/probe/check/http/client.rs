//! The client that carries one target's requests, and its errors in words.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use reqwest::{Certificate, Client, redirect};

use crate::health::{Failure, HttpCheck};

/// The host of the URL: with TLS the name to verify and to send as SNI, else the address itself, so
/// that nothing is ever resolved.
///
/// # Errors
/// When TLS is to verify an address other than the target's, which the library could only do by
/// connecting there.
pub(super) fn url_host(check: &HttpCheck, addr: SocketAddr) -> Result<String, Failure> {
    let literal = match addr.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if !check.tls {
        return Ok(literal);
    }
    let name = match (&check.server_name, &check.host) {
        (Some(name), _) => name.as_ref(),
        (None, Some(host)) => without_port(host),
        (None, None) => return Ok(literal),
    };
    match name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        Err(_) => Ok(name.to_owned()),
        Ok(ip) if ip == addr.ip() || !check.verify => Ok(literal),
        Ok(ip) => Err(Failure::Tls(format!(
            "the certificate of {} cannot be verified for the other address {ip}; give a DNS name as \
             `server-name`",
            addr.ip()
        ))),
    }
}

/// `host` without `:port`, brackets kept.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Builds the client of one target. `url_host` always leads to `addr`.
pub(super) async fn build(
    check: &HttpCheck,
    url_host: &str,
    addr: SocketAddr,
) -> Result<Client, Failure> {
    let (check, url_host) = (check.clone(), url_host.to_owned());
    // Reads and parses the system's trust anchors.
    tokio::task::spawn_blocking(move || build_now(&check, &url_host, addr))
        .await
        .map_err(|e| Failure::Http(format!("cannot make ready: {e}")))?
}

fn build_now(check: &HttpCheck, url_host: &str, addr: SocketAddr) -> Result<Client, Failure> {
    // Fails only when one is installed already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(0);
    if check.tls {
        builder = builder.resolve(url_host, addr);
        if !check.verify {
            // With no verification a trust anchor has no meaning.
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(pem) = &check.ca_pem {
            let anchors =
                Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| ca_failure(&e))?;
            if anchors.is_empty() {
                return Err(Failure::Tls(
                    "the `ca` file holds no certificate".to_owned(),
                ));
            }
            builder = builder.tls_certs_merge(anchors);
        }
    }
    builder.build().map_err(|e| {
        if check.ca_pem.is_some() {
            ca_failure(&e)
        } else {
            Failure::Tls(chain(&e))
        }
    })
}

fn ca_failure(e: &reqwest::Error) -> Failure {
    Failure::Tls(format!("the `ca` file cannot be used: {}", chain(e)))
}

/// A failed request in words.
pub(super) fn failure(e: reqwest::Error) -> Failure {
    let tls = std::iter::successors(Some(&e as &dyn Error), |e| source(*e))
        .find_map(|e| e.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => Failure::Tls(format!("certificate: {why}")),
        Some(other) => Failure::Tls(other.to_string()),
        None if e.is_connect() => Failure::Connect(chain(&e)),
        None => Failure::Http(chain(&e)),
    }
}

/// An I/O error hides what it wraps from `source`, which gives the wrapped error's own source.
fn source<'a>(e: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match e
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => e.source(),
    }
}

/// The innermost two causes: the outer ones say no more than that a request to a URL failed.
fn chain(e: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in std::iter::successors(e.source(), |e| source(*e)) {
        let text = cause.to_string();
        // Wrappers often repeat what they wrap.
        if let Some(last) = causes.last_mut()
            && last.ends_with(&text)
        {
            continue;
        }
        causes.push(text);
    }
    match causes.len() {
        0 => e.to_string(),
        n => causes[n.saturating_sub(2)..].join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_cut_off_a_host_and_nothing_else() {
        let table = [
            ("www.gslb.example", "www.gslb.example"),
            ("www.gslb.example:8443", "www.gslb.example"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]:80", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("2001:db8::1", "2001:db8::1"),
        ];
        for (host, name) in table {
            assert_eq!(without_port(host), name);
        }
    }
}
