//! The fleet as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::fleet::{FleetStatus, Life};

/// The counts that say that something is wrong with somebody.
const TROUBLES: [&str; 7] = [
    "tradewind_fleet_refusals_total",
    "tradewind_fleet_refused_peers_total",
    "tradewind_fleet_refused_by_peers_total",
    "tradewind_fleet_bad_messages_total",
    "tradewind_fleet_unaccepted_keys_total",
    "tradewind_fleet_strangers_total",
    "tradewind_fleet_duplicate_names_total",
];

/// All nodes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Fleet {
    /// The fleet's name; absent where this node is alone.
    pub cluster: Option<String>,
    /// This node.
    pub node: String,
    /// Digest of the configuration this node runs.
    pub config: String,
    /// All nodes of the configuration, by name.
    pub members: Vec<Member>,
    /// Nodes that run another configuration, in words.
    pub differing: Vec<String>,
    /// What was refused or not believed since the start, where there was any.
    pub refused: Vec<Refused>,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FleetMember)]
pub struct Member {
    /// Name.
    pub node: String,
    /// Region.
    pub region: String,
    /// Roles.
    pub roles: Vec<&'static str>,
    /// `this node`, `alive`, `silent`, `left` or `never heard`.
    pub state: &'static str,
    /// Seconds since its heartbeat last moved here.
    pub heard_seconds_ago: Option<f64>,
    /// Its prober does not trust what it sees, and has no vote.
    pub blind: bool,
    /// Digest of the configuration it runs.
    pub config: Option<String>,
    /// The view it serves, as it last said.
    pub generation: Option<u64>,
    /// Checks it votes on.
    pub votes: usize,
}

/// A count.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusedCount)]
pub struct Refused {
    /// What: the metric and its labels.
    pub what: String,
    /// How often.
    pub count: u64,
}

impl From<FleetStatus> for Fleet {
    fn from(status: FleetStatus) -> Fleet {
        let own = status.members.iter().find(|m| m.life == Life::Own);
        let own_generation = own.and_then(|m| m.generation);
        let differing = status.members.iter().filter_map(|m| {
            let theirs = m.config.as_deref().filter(|c| *c != status.config)?;
            let mut text = format!(
                "{} runs configuration {theirs}, this node {}",
                m.node, status.config
            );
            if let (Some(there), Some(here)) = (m.generation, own_generation) {
                text.push_str(&format!(" (generation {there} there, {here} here)"));
            }
            Some(text)
        });
        Fleet {
            differing: differing.collect(),
            cluster: status.cluster,
            node: status.node,
            config: status.config,
            members: status
                .members
                .into_iter()
                .map(|m| Member {
                    node: m.node,
                    region: m.region,
                    roles: m.roles,
                    state: m.life.text(),
                    heard_seconds_ago: m.heard_seconds_ago,
                    blind: m.blind,
                    config: m.config,
                    generation: m.generation,
                    votes: m.votes,
                })
                .collect(),
            refused: status
                .counts
                .into_iter()
                .filter(|(name, _, count)| *count > 0 && TROUBLES.contains(name))
                .map(|(name, labels, count)| Refused {
                    what: format!("{name}{{{labels}}}"),
                    count,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fleet::MemberStatus;

    #[test]
    fn a_node_with_another_configuration_is_shown_by_name_with_the_difference_in_generation() {
        let member = |node: &str, life, config: &str, generation| MemberStatus {
            node: node.to_owned(),
            life,
            config: Some(config.to_owned()),
            generation: Some(generation),
            ..MemberStatus::default()
        };
        let shown = Fleet::from(FleetStatus {
            config: "aa".to_owned(),
            members: vec![
                member("eu1", Life::Own, "aa", 19),
                member("eu2", Life::Alive, "bb", 17),
                member("us1", Life::Silent, "aa", 19),
            ],
            ..FleetStatus::default()
        });
        assert_eq!(
            shown.differing,
            ["eu2 runs configuration bb, this node aa (generation 17 there, 19 here)"]
        );
    }
}
