//! What gossip counts, in the form of metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::counters::events;

events! {
    /// Something countable that happened to gossip.
    GossipEvent:
    /// An exchange with another member that this node began.
    Exchange => "tradewind_fleet_exchanges_total", "";
    /// A message sent.
    Sent => "tradewind_fleet_messages_total", r#"direction="out""#;
    /// A message received.
    Received => "tradewind_fleet_messages_total", r#"direction="in""#;
    /// Octets of messages sent.
    OctetsOut => "tradewind_fleet_message_bytes_total", r#"direction="out""#;
    /// Octets of messages received.
    OctetsIn => "tradewind_fleet_message_bytes_total", r#"direction="in""#;
    /// UDP payload sent, all of QUIC included.
    WireOut => "tradewind_fleet_wire_bytes_total", r#"direction="out""#;
    /// UDP payload received, all of QUIC included.
    WireIn => "tradewind_fleet_wire_bytes_total", r#"direction="in""#;
    /// A message given up because its queue was full.
    QueueFull => "tradewind_fleet_dropped_total", r#"reason="queue""#;
    /// A message given up because no connection to the member came about.
    Unreachable => "tradewind_fleet_dropped_total", r#"reason="unreachable""#;
    /// A peer that TLS refused: another authority, an expired certificate, none at all.
    RefusedTls => "tradewind_fleet_refused_peers_total", r#"reason="tls""#;
    /// A peer whose certificate is of the fleet, but not of a member: name or role.
    RefusedPeer => "tradewind_fleet_refused_peers_total", r#"reason="identity""#;
    /// A peer that refused this node.
    RefusedUs => "tradewind_fleet_refused_by_peers_total", "";
    /// A datagram that is no QUIC.
    BadDatagram => "tradewind_fleet_bad_messages_total", r#"reason="datagram""#;
    /// A stream of the wrong kind, cut off, too long or without a whole header.
    BadFrame => "tradewind_fleet_bad_messages_total", r#"reason="frame""#;
    /// A message of a version that this node does not speak.
    BadVersion => "tradewind_fleet_bad_messages_total", r#"reason="version""#;
    /// A message of another cluster.
    OtherCluster => "tradewind_fleet_bad_messages_total", r#"reason="cluster""#;
    /// A message whose content is broken.
    BadMessage => "tradewind_fleet_bad_messages_total", r#"reason="content""#;
    /// A key or a value that no node may write: characters, length.
    BadValue => "tradewind_fleet_unaccepted_keys_total", r#"reason="form""#;
    /// A key that the roles of its owner do not allow.
    Forbidden => "tradewind_fleet_unaccepted_keys_total", r#"reason="role""#;
    /// A node that the configuration does not know.
    Stranger => "tradewind_fleet_strangers_total", "";
    /// Two living nodes with one name.
    Duplicate => "tradewind_fleet_duplicate_names_total", "";
    /// A question of this node that a member answered.
    Answered => "tradewind_fleet_questions_total", r#"outcome="answered""#;
    /// A question of this node that got no answer.
    Unanswered => "tradewind_fleet_questions_total", r#"outcome="unanswered""#;
    /// A question of a member that this node answered.
    AnswerGiven => "tradewind_fleet_answers_total", "";
    /// The gossip task ended and was started anew.
    Respawn => "tradewind_fleet_gossip_restarts_total", "";
}

/// Counts of one node's gossip.
#[derive(Debug)]
pub struct GossipCounters {
    counts: [AtomicU64; GossipEvent::ALL.len()],
    digest_entries: AtomicU64,
}

impl Default for GossipCounters {
    fn default() -> GossipCounters {
        GossipCounters {
            counts: [const { AtomicU64::new(0) }; GossipEvent::ALL.len()],
            digest_entries: AtomicU64::new(0),
        }
    }
}

impl GossipCounters {
    /// Counts one.
    pub fn count(&self, event: GossipEvent) {
        self.add(event, 1);
    }

    /// Counts `n`.
    pub fn add(&self, event: GossipEvent, n: usize) {
        self.counts[event as usize].fetch_add(n as u64, Ordering::Relaxed);
    }

    /// How often it happened, or how many octets it were.
    pub fn get(&self, event: GossipEvent) -> u64 {
        self.counts[event as usize].load(Ordering::Relaxed)
    }

    /// Lives of nodes in the digest that every exchange carries, dead ones among them.
    pub fn digest_entries(&self) -> u64 {
        self.digest_entries.load(Ordering::Relaxed)
    }

    pub(super) fn set_digest_entries(&self, entries: usize) {
        self.digest_entries.store(entries as u64, Ordering::Relaxed);
    }
}
