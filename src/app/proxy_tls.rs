//! The TLS files of listeners and upstreams: judged when a configuration is loaded, so that every fault is
//! told with its place in the file, and looked at again while the node runs.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::spec::{NodeSpec, Role, TlsFile};
use crate::config::{Diagnostic, Marked, Span, Spec};
use crate::proxy::tls::material::{Fault, Material, UpstreamMaterial};
use crate::time::Clock;

use super::clock::RealClock;
use super::proxy::Carrier;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(5);

/// Takes up changed files until told to stop, or the proxy is gone.
pub(super) async fn watch(carrier: Weak<Carrier>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let Some(carrier) = carrier.upgrade() else {
            return;
        };
        // A file system may be slow.
        let looked = tokio::task::spawn_blocking(move || carrier.proxy().look_at_files()).await;
        if let Err(error) = looked {
            tracing::error!(%error, "looking at the TLS files of the proxy failed");
        }
    }
}

/// Says what is wrong with the TLS files that the node called `node` needs.
///
/// For no node in particular all files are judged as far as they are on this machine: they are needed on
/// their own nodes only, and keys should be nowhere else.
pub(super) fn check(spec: &Spec, node: Option<&str>) -> Vec<Diagnostic> {
    let this: Option<&NodeSpec> =
        node.and_then(|name| spec.nodes.iter().find(|n| n.name.value == name));
    let carries = |n: &NodeSpec| n.roles.iter().any(|r| r.value == Role::Proxy);
    if node.is_some() && !this.is_some_and(carries) {
        return Vec::new();
    }
    let is_used = |listener: &str| match this.and_then(|n| n.proxy.listeners.as_ref()) {
        None => true,
        Some(some) => some.iter().any(|l| l.value == listener),
    };
    let clock = RealClock::start();
    let mut desk = Desk {
        is_needed: node.is_some(),
        now: clock.wall().unix(clock.now()),
        found: Vec::new(),
    };
    for listener in spec.listeners.iter().filter(|l| is_used(&l.name)) {
        if let Some(settings) = &listener.settings.tls {
            let what = format!("listener `{}`", listener.name.value);
            match Material::read(settings) {
                Ok(material) => desk.listener(&what, &material, &listener.files, &listener.name),
                Err(faults) => desk.faults(&what, &faults, &listener.files),
            }
        }
    }
    for upstream in &spec.upstreams {
        if let Some(settings) = &upstream.settings.tls {
            let what = format!("upstream `{}`", upstream.name.value);
            match UpstreamMaterial::read(settings) {
                Ok(material) => {
                    let own = material.certificate.iter();
                    desk.validity(&what, own, "tls.certificate", &upstream.files);
                }
                Err(faults) => desk.faults(&what, &faults, &upstream.files),
            }
        }
    }
    desk.found
}

/// What is found.
struct Desk {
    is_needed: bool,
    now: u64,
    found: Vec<Diagnostic>,
}

impl Desk {
    fn faults(&mut self, what: &str, faults: &[Fault], files: &[TlsFile]) {
        for fault in faults {
            if fault.unreadable && !self.is_needed {
                continue;
            }
            let Some(file) = files.iter().find(|f| f.path.value == fault.path) else {
                continue;
            };
            let help = if fault.unreadable {
                "paths are relative to the file that says them; the server must be allowed to read it"
            } else {
                kind_of(file.option)
            };
            let option = file.option;
            self.found.push(
                Diagnostic::error(file.path.span, format!("`{option}` of {what}: {fault}"))
                    .help(help),
            );
        }
    }

    fn listener(
        &mut self,
        what: &str,
        material: &Material,
        files: &[TlsFile],
        name: &Marked<String>,
    ) {
        let place = |path: &std::path::Path| files.iter().find(|f| f.path.value == path);
        for doubt in &material.doubts {
            if doubt.unreadable && !self.is_needed {
                continue;
            }
            let span = place(&doubt.path).map_or(name.span, |f| f.path.span);
            self.found.push(
                Diagnostic::warning(span, format!("{what} staples no OCSP response: {doubt}"))
                    .help("a response in DER, as `openssl ocsp -respout` writes it; a changed file is noticed by itself"),
            );
        }
        let credentials = material.certificates.iter().map(|c| &c.credentials);
        self.validity(what, credentials, CERTIFICATE, files);
        self.duplicates(what, material, files);
        for (at, certificate) in material.certificates.iter().enumerate() {
            let ocsp = certificate.ocsp.as_ref();
            if ocsp.is_some_and(|ocsp| !ocsp.is_valid_at(self.now)) {
                let span = nth(files, CERTIFICATE, at).unwrap_or(name.span);
                self.found.push(
                    Diagnostic::warning(
                        span,
                        format!("the OCSP response of certificate {} of {what} has expired: it is not stapled", at + 1),
                    )
                    .help("fetch a new one; a changed file is noticed by itself"),
                );
            }
        }
        let renewal = material.client.as_ref().and_then(|c| c.renewal);
        if renewal.is_some_and(|due| due < self.now)
            && let Some(span) = nth(files, "tls.client-crl", 0)
        {
            self.found.push(
                Diagnostic::warning(
                    span,
                    format!("`tls.client-crl` of {what} should have been renewed: what was revoked since is not known"),
                )
                .help("fetch a new list; a changed file is noticed by itself"),
            );
        }
    }

    fn validity<'c>(
        &mut self,
        what: &str,
        all: impl Iterator<Item = &'c crate::tls::Credentials>,
        option: &'static str,
        files: &[TlsFile],
    ) {
        for (at, credentials) in all.enumerate() {
            if let (Some(why), Some(span)) =
                (credentials.invalid_at(self.now), nth(files, option, at))
            {
                self.found.push(
                    Diagnostic::warning(
                        span,
                        format!("`{option}` of {what} {why}: it will be refused"),
                    )
                    .help("renew it; a changed file is noticed by itself"),
                );
            }
        }
    }

    /// One that stands behind another of the same kind for the same names is never shown.
    fn duplicates(&mut self, what: &str, material: &Material, files: &[TlsFile]) {
        let kind = |at: usize| {
            material.certificates[at]
                .credentials
                .chain()
                .key
                .algorithm()
        };
        let names = |at: usize| material.certificates[at].credentials.names();
        for at in 0..material.certificates.len() {
            let first = (0..at).find(|f| kind(*f) == kind(at) && names(*f) == names(at));
            if let Some(first) = first
                && let (Some(span), Some(other)) =
                    (nth(files, CERTIFICATE, at), nth(files, CERTIFICATE, first))
            {
                self.found.push(
                    Diagnostic::warning(
                        span,
                        format!(
                            "certificate {} of {what} is never shown: certificate {} is for the \
                             same names with the same kind of key",
                            at + 1,
                            first + 1
                        ),
                    )
                    .related(other, "the one that is shown")
                    .help("remove one of them"),
                );
            }
        }
    }
}

const CERTIFICATE: &str = "tls.certificates[].certificate";

/// Where the file of the option's `at`-th value is named.
fn nth(files: &[TlsFile], option: &str, at: usize) -> Option<Span> {
    let mut named = files.iter().filter(|f| f.option == option);
    named.nth(at).map(|f| f.path.span)
}

/// What an option takes.
fn kind_of(option: &str) -> &'static str {
    match option {
        "tls.tickets.secrets" => {
            "write one secret of 64 hexadecimal digits a line: `openssl rand -hex 32`"
        }
        "tls.client-crl" => "give revocation lists, PEM or DER",
        "tls.client-ca" | "tls.ca" => "give the authorities' certificates, PEM",
        _ => {
            "a certificate is a PEM chain, the own certificate first; a key is its private key, PEM, \
             not encrypted"
        }
    }
}
