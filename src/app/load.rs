//! Files → configuration → snapshot, for start, reload and check alike.

use std::path::PathBuf;
use std::sync::Arc;

use crate::compile::{Compiled, compile};
use crate::config::load::kept::{Files, load_keeping};
use crate::config::overlay::Overlay;
use crate::config::{ConfigDigest, Effective, Report, Severity};
use crate::fleet::identity::Material;
use crate::snapshot::Tried;

use super::admin;
use super::certificates::{self, Certificate};
use super::identity;
use super::proxy_tls;

/// What is loaded, and what the command line puts over it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A file, or a folder of `*.toml` files.
    pub config: PathBuf,
    /// The node to be; `None` only checks.
    pub node: Option<String>,
    /// Ports given on the command line.
    pub overlay: Overlay,
}

/// A configuration that may be served.
#[derive(Debug)]
pub struct Loaded {
    /// The compiled configuration.
    pub compiled: Compiled,
    /// The certificate of its encrypted listeners.
    pub certificate: Option<Certificate>,
    /// Certificate and authorities of its admin API.
    pub admin: Option<admin::Files>,
    /// Its identity in the fleet.
    pub identity: Option<Material>,
    /// What is doubtful in it.
    pub warnings: Report,
    /// Its short name.
    pub digest: ConfigDigest,
    /// Its options, to be shown; none where nobody can ask for them.
    pub effective: Arc<Effective>,
    /// Its files.
    pub files: Files,
}

/// Tries the expectations of a configuration, also where some are broken. Looks at no certificates, which
/// may be nowhere else.
///
/// # Errors
/// The report of whatever else is wrong with it.
pub fn try_expectations(wanted: &Wanted) -> Result<Arc<[Tried]>, Report> {
    let (loaded, _) = load_keeping(&wanted.config)?;
    let node = wanted.node.as_deref();
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, node);
    let tried = compiled.map(|c| c.snapshot.settings.expectations.clone());
    let broken = |t: &Arc<[Tried]>| t.iter().filter(|t| !t.holds()).count();
    let errors = found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    match tried {
        // Nothing is wrong but what was tried.
        Some(tried) if !loaded.has_errors() && errors == broken(&tried) => Ok(tried),
        _ => {
            let mut all = loaded.diagnostics;
            all.extend(found);
            Err(Report::new(all, loaded.sources))
        }
    }
}

/// Loads and compiles; every error at once (requirement O4). Changes nothing that runs.
///
/// # Errors
/// The report of all errors and warnings.
pub fn load_all(wanted: &Wanted) -> Result<Loaded, Report> {
    let (mut loaded, files) = load_keeping(&wanted.config)?;
    loaded.spec.apply(&wanted.overlay);
    let (compiled, diagnostics) = compile(
        &loaded.spec,
        &loaded.inputs,
        &loaded.sources,
        wanted.node.as_deref(),
    );
    let digest = loaded.digest();
    let asked = compiled
        .as_ref()
        .and_then(|c| c.node.as_ref())
        .is_some_and(|n| n.admin_listen.is_some());
    let mut effective = match asked {
        true => std::mem::take(&mut loaded.effective),
        false => Effective::default(),
    };
    effective.overlaid(&wanted.overlay, &loaded.spec);
    let mut all = loaded.diagnostics;
    all.extend(diagnostics);
    let (certificate, diagnostics) = certificates::check(&loaded.spec, wanted.node.as_deref());
    all.extend(diagnostics);
    let (admin, diagnostics) = admin::check(&loaded.spec, wanted.node.as_deref());
    all.extend(diagnostics);
    all.extend(proxy_tls::check(&loaded.spec, wanted.node.as_deref()));
    let (identity, diagnostics) = identity::check(&loaded.spec, wanted.node.as_deref());
    all.extend(diagnostics);
    let warnings = Report::new(all, loaded.sources);
    match compiled {
        Some(compiled) if !warnings.has_errors() => Ok(Loaded {
            compiled,
            certificate,
            admin,
            identity,
            warnings,
            digest,
            effective: Arc::new(effective),
            files,
        }),
        _ => Err(warnings),
    }
}

/// Logs every finding of a report, each at its own level.
pub fn log(report: &Report) {
    for finding in report.findings() {
        let text = finding.without_severity();
        if finding.severity == Severity::Error.as_str() {
            tracing::error!("{text}");
        } else {
            tracing::warn!("{text}");
        }
    }
}
