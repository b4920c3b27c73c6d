//! A fleet for tests: an authority, and nodes with real certificates in a folder.

use std::fs;
use std::sync::Arc;

use super::claims::add_role;
use super::*;
use crate::fleet::credentials::Roles;
use crate::time::{Clock, SimClock};

/// Start of [`SimClock`]'s calendar.
pub(crate) const START: u64 = 1_767_225_600;

pub(crate) fn roles(words: &str) -> Roles {
    let mut roles = Roles::default();
    for word in words.split(',') {
        assert!(add_role(&mut roles, word), "{word}");
    }
    roles
}

/// A fleet's authority, and nodes made by it, each in a folder of its own.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) ca: Issued,
    pub(crate) cluster: &'static str,
}

impl World {
    pub(crate) fn new(cluster: &'static str) -> World {
        World {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
            ca: Authority::make(cluster, START, 3650).unwrap(),
            cluster,
        }
    }

    pub(crate) fn files(&self, node: &str) -> Files {
        let path = |ending: &str| self.dir.path().join(format!("{node}.{ending}"));
        Files {
            certificate: path("pem"),
            key: path("key"),
            ca: path("ca"),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.wall().unix(self.clock.now())
    }

    /// Writes a node's files, signed by `ca` and trusting `trusted`.
    pub(crate) fn write(&self, ca: &Issued, trusted: &str, node: &str, has: &str, days: u32) {
        let authority = Authority::read(ca.certificate.as_bytes(), &ca.key).unwrap();
        let made = authority.issue(node, roles(has), self.now(), days).unwrap();
        let files = self.files(node);
        fs::write(&files.certificate, made.certificate).unwrap();
        fs::write(&files.key, made.key).unwrap();
        fs::write(&files.ca, trusted).unwrap();
    }

    pub(crate) fn read(&self, node: &str, has: &str) -> Result<Material, MaterialError> {
        Material::read(&self.files(node), self.cluster, node, roles(has))
    }

    /// The identity of a node whose files are there; `roster` knows these nodes.
    pub(crate) fn identity(&self, node: &str, has: &str, roster: &[(&str, &str)]) -> Arc<Identity> {
        let material = self.read(node, has).unwrap();
        Identity::new(
            (self.cluster, node, roles(has)),
            self.files(node),
            material,
            roster.iter().map(|(n, r)| (*n, roles(r))).collect(),
            self.clock.clone(),
        )
        .unwrap()
    }

    /// A node with a new certificate for a year.
    pub(crate) fn node(&self, node: &str, has: &str, roster: &[(&str, &str)]) -> Arc<Identity> {
        self.write(&self.ca, &self.ca.certificate, node, has, 365);
        self.identity(node, has, roster)
    }
}
