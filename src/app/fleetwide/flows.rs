//! One table of flows out of those of several nodes. Pure.

use hashbrown::HashMap;

use super::super::flows::{Flow, facts, sort};
use crate::admin::flows::FlowFacts;

/// Adds up what this node and others saw, the most first. Every query came to one node, so none is counted
/// twice; each table holds queries as its own sampling estimates them, so all weigh alike.
pub(super) fn merge(own: Vec<(Flow, f64)>, others: &[Vec<(Flow, f64)>]) -> Vec<FlowFacts> {
    let mut sums: HashMap<Flow, f64> = own.into_iter().collect();
    for (flow, queries) in others.iter().flatten() {
        match sums.get_mut(flow) {
            Some(sum) => *sum += queries,
            None => drop(sums.insert(flow.clone(), *queries)),
        }
    }
    let mut all: Vec<(Flow, f64)> = sums.into_iter().collect();
    sort(&mut all);
    all.into_iter()
        .map(|(flow, queries)| facts(flow, queries))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flows() -> impl Strategy<Value = Vec<(Flow, f64)>> {
        let flow =
            ("[ab]", 0..6u32, "[ep]?", 1..1000u32).prop_map(|(name, net, region, queries)| {
                let flow = Flow {
                    name: format!("{name}.example.").as_str().into(),
                    network: format!("192.0.{net}.0/24").parse().unwrap(),
                    region: region.as_str().into(),
                    pool: region.as_str().into(),
                };
                (flow, f64::from(queries))
            });
        prop::collection::vec(flow, 0..30).prop_map(|all| {
            // A table has a flow once.
            all.into_iter()
                .collect::<HashMap<_, _>>()
                .into_iter()
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_query_counts_once_whoever_answers_first(
            own in flows(), others in prop::collection::vec(flows(), 0..4),
        ) {
            let tables = || others.iter().chain([&own]).flatten();
            let sum: f64 = tables().map(|(_, q)| q).sum();
            let merged = merge(own.clone(), &others);
            prop_assert_eq!(merged.iter().map(|f| f.queries).sum::<f64>(), sum);
            for f in &merged {
                let of = tables().filter(|(o, _)| *o.name == *f.name && o.network == f.network
                    && *o.region == *f.region && *o.pool == *f.pool);
                prop_assert_eq!(of.map(|(_, q)| q).sum::<f64>(), f.queries);
            }
            prop_assert!(merged.windows(2).all(|w| w[0].queries >= w[1].queries));
            let mut turned = others.clone();
            turned.reverse();
            prop_assert_eq!(merge(own, &turned), merged);
        }
    }
}
