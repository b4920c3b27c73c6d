//! The node's identity in the fleet at start and reload: read, and told what is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compile::FleetNode;
use crate::config::spec::{NodeFleetSpec, NodeSpec};
use crate::config::{Diagnostic, Marked, Spec};
use crate::fleet::Identity;
use crate::fleet::identity::material::Which;
use crate::fleet::identity::roster::roles_of;
use crate::fleet::identity::{Files, Material, MaterialError, Roster};
use crate::time::Clock;

use super::clock::RealClock;

/// Reads the identity of the node called `node`, and says what is wrong with it.
///
/// For no node in particular, those of all nodes are checked as far as they are on this machine: an
/// identity is needed on its own node only, and its key should be nowhere else.
pub(super) fn check(spec: &Spec, node: Option<&str>) -> (Option<Material>, Vec<Diagnostic>) {
    let clock = RealClock::start();
    let now = clock.wall().unix(clock.now());
    let mut found = None;
    let mut diagnostics = Vec::new();
    for n in &spec.nodes {
        if node.is_some_and(|wanted| wanted != n.name.value) {
            continue;
        }
        let Some(fleet) = &n.fleet else { continue };
        let (Some(certificate), Some(key), Some(ca)) =
            (&fleet.certificate, &fleet.key, &spec.fleet.ca)
        else {
            continue; // what is missing is reported
        };
        let roles = roles_of(n.roles.iter().map(|r| &r.value));
        match Material::read(
            &files(certificate, key, ca),
            &spec.fleet.name,
            &n.name.value,
            roles,
        ) {
            Ok(material) => {
                if let Some(trouble) = material.trouble_at(now) {
                    diagnostics.push(
                        Diagnostic::warning(
                            certificate.span,
                            format!("`fleet.certificate` of node `{}` {trouble}", n.name.value),
                        )
                        .help(format!(
                            "renew it with `tradewind fleet issue {}`; a changed file is noticed by \
                             itself",
                            n.name.value
                        )),
                    );
                }
                found = Some(material);
            }
            // Without a node nothing needs to be here.
            Err(e) if node.is_none() && !e.is_here => {}
            Err(e) => diagnostics.push(told(n, fleet, ca, &e)),
        }
    }
    (found.filter(|_| node.is_some()), diagnostics)
}

fn told(
    node: &NodeSpec,
    fleet: &NodeFleetSpec,
    ca: &Marked<PathBuf>,
    error: &MaterialError,
) -> Diagnostic {
    let span = |file: &Option<Marked<PathBuf>>| file.as_ref().map_or(fleet.span, |f| f.span);
    let name = &node.name.value;
    let (span, option) = match error.file {
        Which::Certificate => (
            span(&fleet.certificate),
            format!("`fleet.certificate` of node `{name}`"),
        ),
        Which::Key => (span(&fleet.key), format!("`fleet.key` of node `{name}`")),
        Which::Ca => (ca.span, "`[fleet] ca`".to_owned()),
    };
    let help = if error.is_here {
        "`tradewind fleet show FILE` says what is in it"
    } else {
        "paths are relative to the file that says them; `tradewind fleet init` makes the CA, \
         `tradewind fleet issue` the certificate and key of a node"
    };
    Diagnostic::error(span, format!("{option}: {error}")).help(help)
}

fn files(certificate: &Path, key: &Path, ca: &Path) -> Files {
    Files {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        ca: ca.to_owned(),
    }
}

/// The identity of node `name`, of what was read when the configuration was.
///
/// # Errors
/// When the TLS library does not take it.
pub fn start(
    name: &str,
    fleet: &FleetNode,
    material: Material,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Identity>, String> {
    let own = fleet.members.iter().find(|m| m.name == name);
    let roles = roles_of(own.map_or(&[][..], |m| &m.roles));
    let files = files(&fleet.certificate, &fleet.key, &fleet.ca);
    let roster = Roster::new(fleet);
    Identity::new(
        (&fleet.cluster, name, roles),
        files,
        material,
        roster,
        clock,
    )
}
