//! Who may use the admin API of a node, and whether strangers can reach it at all.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Spec;
use crate::config::spec::{AdminRole, CertificateIs, NodeSpec, Role, Sha256};
use crate::net::Prefix;

use super::Problems;
use super::node::{ADMIN, has};

/// Who may use the admin API, and how much of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// The tokens.
    pub tokens: Vec<TokenAccess>,
    /// The client certificates.
    pub certificates: Vec<CertificateAccess>,
    /// The role of who asks from this machine without credentials.
    pub loopback: Option<AdminRole>,
    /// Whether everybody may read `/metrics`.
    pub metrics_open: bool,
    /// Requests of one source in a second; 0: no limit.
    pub requests_per_second: u32,
    /// Refused credentials of one source in a minute, at least 1.
    pub failures_per_minute: u32,
    /// Octets of the longest body of somebody who is known.
    pub body_limit: usize,
    /// How long a browser stays signed in.
    pub session: Duration,
    /// Authorities of client certificates, PEM.
    pub client_ca: Option<PathBuf>,
}

/// A token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenAccess {
    /// Whose it is, for the audit record.
    pub name: Arc<str>,
    /// SHA-256 of the token.
    pub hash: Sha256,
    /// What it is for.
    pub holder: Holder,
    /// When it ends to be valid, in seconds since 1970-01-01T00:00:00Z.
    pub expires: Option<u64>,
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateAccess {
    /// Whose it is, for the audit record.
    pub name: Arc<str>,
    /// Which certificates are meant.
    pub is: CertificateIs,
    /// What it is for.
    pub holder: Holder,
}

/// What the holder of a token or certificate may do, and from where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The role.
    pub role: AdminRole,
    /// Where from; empty: anywhere.
    pub from: Vec<Prefix>,
}

impl Holder {
    /// Whether the credentials may be used from `source`.
    pub fn may_come_from(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.from.is_empty() || self.from.iter().any(|p| p.contains(source))
    }
}

impl Default for Access {
    /// That of a configuration without `[admin]`.
    fn default() -> Access {
        Access {
            tokens: Vec::new(),
            certificates: Vec::new(),
            loopback: Some(AdminRole::Admin),
            metrics_open: false,
            requests_per_second: 1_000,
            failures_per_minute: 10,
            body_limit: 8 << 20,
            session: Duration::from_secs(12 * 3_600),
            client_ca: None,
        }
    }
}

/// Who may use the admin API, as `[admin]` says.
pub(super) fn access(spec: &Spec) -> Access {
    let admin = &spec.admin;
    let tokens = admin.tokens.iter().map(|t| TokenAccess {
        name: t.name.as_str().into(),
        hash: t.hash.value,
        holder: Holder {
            role: t.role,
            from: t.from.clone(),
        },
        expires: t.expires.as_ref().map(|e| e.value),
    });
    let certificates = admin.certificates.iter().map(|c| CertificateAccess {
        name: c.name.as_str().into(),
        is: c.is.clone(),
        holder: Holder {
            role: c.role,
            from: c.from.clone(),
        },
    });
    Access {
        tokens: tokens.collect(),
        certificates: certificates.collect(),
        loopback: admin.loopback,
        metrics_open: admin.metrics_open,
        requests_per_second: admin.requests_per_second,
        failures_per_minute: admin.failures_per_minute,
        body_limit: admin.body_limit,
        session: admin.session,
        client_ca: admin.client_ca.as_ref().map(|f| f.value.clone()),
    }
}

/// Checks who can reach the API of each node, and whether anybody could use it.
pub(super) fn check(spec: &Spec, p: &mut Problems) {
    let admin = &spec.admin;
    match (&admin.client_ca, admin.certificates.first()) {
        (None, Some(first)) => {
            p.error(
                first.name.span,
                format!(
                    "client certificate `{}` has a role, but `[admin] client-ca` is missing: no \
                     certificate could be trusted",
                    first.name.value
                ),
            )
            .help = Some("add `client-ca = \"admin-clients.pem\"` to `[admin]`".to_owned());
        }
        (Some(file), None) if admin.complete => {
            p.warning(
                file.span,
                "`[admin] client-ca` is used by nobody: no client certificate has a role",
            )
            .help = Some(
                "add `[admin.certificates.NAME]` with `subject`, `san` or `fingerprint` and a role"
                    .to_owned(),
            );
        }
        _ => {}
    }
    let serves = |n: &&NodeSpec| has(n, Role::Admin);
    for node in spec.nodes.iter().filter(serves) {
        reach(spec, node, p);
    }
}

/// Elsewhere than on loopback the API needs TLS, and somebody who can prove who they are (requirement S1).
fn reach(spec: &Spec, node: &NodeSpec, p: &mut Problems) {
    let name = &node.name.value;
    let at = node.admin_listen.as_ref();
    let address: SocketAddr = at.map_or(ADMIN, |a| a.value);
    let span = at.map_or(node.name.span, |a| a.span);
    let credentials = spec.admin.tokens.len() + spec.admin.certificates.len();
    let has_tls = node.admin.certificate.is_some() || node.admin.key.is_some();
    if address.ip().to_canonical().is_loopback() {
        if spec.admin.loopback.is_none() && credentials == 0 && spec.admin.complete {
            p.warning(
                span,
                format!(
                    "nobody can use the admin API of node `{name}`: `[admin] loopback` is `none`, and \
                     there is neither a token nor a client certificate"
                ),
            )
            .help = Some("`tradewind admin token NAME` makes a token".to_owned());
        }
        return;
    }
    if !has_tls {
        p.error(
            span,
            format!(
                "`admin.listen` of node `{name}` is {address}, which is not a loopback address, and the \
                 node has no `admin.certificate`: tokens and orders would cross the network unencrypted"
            ),
        )
        .help = Some(format!(
            "add `certificate = \"admin.pem\"` and `key = \"admin.key\"` to `[nodes.{name}.admin]`, or \
             listen on 127.0.0.1:{0} or [::1]:{0}",
            address.port()
        ));
    } else if credentials == 0 && spec.admin.complete {
        p.error(
            span,
            format!(
                "`admin.listen` of node `{name}` is {address}, which is not a loopback address, but \
                 `[admin]` has neither a token nor a client certificate: nobody could use it from there"
            ),
        )
        .help = Some(format!(
            "`tradewind admin token NAME` makes a token and prints what to add; or listen on 127.0.0.1:{}",
            address.port()
        ));
    }
}
