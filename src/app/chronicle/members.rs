//! Tells when other nodes of the fleet come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Chronicle;
use crate::fleet::StateBus;
use crate::history::What;

/// How often it is looked who lives.
const LOOK: Duration = Duration::from_millis(500);

/// Tells of members until `stopped` turns true.
pub async fn watch(
    bus: Arc<dyn StateBus>,
    chronicle: Chronicle,
    mut stopped: watch::Receiver<bool>,
) {
    let mut known: Option<BTreeMap<Arc<str>, bool>> = None;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = look.tick() => {}
        }
        let members = bus.members();
        let mut now: BTreeMap<Arc<str>, bool> = BTreeMap::new();
        for member in members.iter().filter(|m| !m.own) {
            // Of several lives of one node, any that is heard of counts.
            *now.entry(member.node.clone()).or_default() |= member.alive;
        }
        if let Some(before) = &known {
            for (node, step) in news(before, &now) {
                chronicle.record(&What::Member {
                    node: node.to_string(),
                    step,
                });
            }
        }
        known = Some(now);
    }
}

/// Who came, went silent, came back or is forgotten.
fn news<'m>(
    before: &'m BTreeMap<Arc<str>, bool>,
    now: &'m BTreeMap<Arc<str>, bool>,
) -> impl Iterator<Item = (&'m Arc<str>, &'static str)> {
    let here = now.iter().filter_map(|(node, alive)| {
        let step = match (before.get(node), alive) {
            (None, true) => "joined",
            (Some(false), true) => "is heard again",
            (Some(true), false) => "silent",
            _ => return None,
        };
        Some((node, step))
    });
    let gone = before
        .iter()
        .filter(|(node, alive)| **alive && !now.contains_key(*node));
    here.chain(gone.map(|(node, _)| (node, "silent")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_and_goes_is_told_once() {
        let all = |list: &[(&str, bool)]| -> BTreeMap<Arc<str>, bool> {
            list.iter()
                .map(|(n, alive)| ((*n).into(), *alive))
                .collect()
        };
        let before = all(&[
            ("a", true),
            ("b", false),
            ("c", true),
            ("d", false),
            ("e", true),
        ]);
        let now = all(&[
            ("a", false),
            ("b", true),
            ("d", false),
            ("e", true),
            ("f", true),
            ("g", false),
        ]);
        let told: Vec<_> = news(&before, &now).map(|(n, s)| (&**n, s)).collect();
        assert_eq!(
            told,
            [
                ("a", "silent"),
                ("b", "is heard again"),
                ("f", "joined"),
                ("c", "silent")
            ]
        );
        assert_eq!(news(&now, &now).count(), 0);
    }
}
