//! Who the configuration says is in the fleet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compile::FleetNode;
use crate::config::spec::Role;
use crate::fleet::credentials::Roles;

/// The nodes of the fleet with the roles that the configuration gives them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roster {
    roles: BTreeMap<Arc<str>, Roles>,
}

impl Roster {
    /// The nodes of a configuration.
    pub fn new(fleet: &FleetNode) -> Roster {
        let members = fleet.members.iter();
        members
            .map(|m| (m.name.as_str(), roles_of(&m.roles)))
            .collect()
    }

    /// The node of that name, as the roster spells it, and its roles.
    pub fn get(&self, node: &str) -> Option<(Arc<str>, Roles)> {
        let (name, roles) = self.roles.get_key_value(node)?;
        Some((name.clone(), *roles))
    }
}

impl<'a> FromIterator<(&'a str, Roles)> for Roster {
    fn from_iter<T: IntoIterator<Item = (&'a str, Roles)>>(nodes: T) -> Roster {
        Roster {
            roles: nodes.into_iter().map(|(n, r)| (n.into(), r)).collect(),
        }
    }
}

/// The roles of a node of the configuration.
pub fn roles_of<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Roles {
    let mut all = Roles::default();
    for role in roles {
        match role {
            Role::Dns => all.dns = true,
            Role::Probe => all.probe = true,
            Role::Proxy => all.proxy = true,
            Role::Admin => all.admin = true,
        }
    }
    all
}
