//! The table of client prefixes, over reloads and as metrics.

use std::sync::Arc;

use crate::health::clients::{ClientTable, Order};
use crate::telemetry::Page;
use crate::traffic::ClientRules;

/// The table under these rules. What is known goes on; in a smaller table, what has most samples.
pub fn adopt(old: Option<Arc<ClientTable>>, rules: &ClientRules) -> Option<Arc<ClientTable>> {
    let capacity = rules.prefixes as usize;
    if capacity == 0 {
        return None;
    }
    let Some(old) = old else {
        return Some(Arc::new(ClientTable::new(capacity)));
    };
    if old.capacity() == capacity {
        return Some(old);
    }
    let table = ClientTable::new(capacity);
    let (mut known, _) = old.first(Order::Samples, None, capacity);
    // What comes last stays longest.
    known.reverse();
    for (prefix, path) in &known {
        table.merge(*prefix, path);
    }
    Some(Arc::new(table))
}

/// Renders how much is known.
pub fn render(table: &ClientTable, page: &mut Page) {
    let name = "tradewind_proxy_client_prefixes";
    let help = "Prefixes of clients of which round-trip times are remembered.";
    page.family(name, "gauge", help);
    page.sample(name, "", table.len());
    let name = "tradewind_proxy_client_prefixes_displaced_total";
    let help = "Prefixes of clients that gave way to others.";
    page.family(name, "counter", help);
    page.sample(name, "", table.displaced());
    let name = "tradewind_proxy_client_samples_total";
    let help = "Connections of clients that the kernel was asked about.";
    page.family(name, "counter", help);
    page.sample(name, "", table.samples());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::health::clients::PathSample;
    use crate::time::Moment;

    use super::*;

    fn rules(prefixes: u32) -> ClientRules {
        ClientRules {
            prefixes,
            ..ClientRules::default()
        }
    }

    #[test]
    fn what_is_known_outlives_a_reload_with_another_size() {
        assert!(adopt(None, &rules(0)).is_none());
        let table = adopt(None, &rules(1000)).unwrap();
        let sample = PathSample {
            rtt: Duration::from_millis(5),
            min_rtt: Duration::from_millis(5),
            first: true,
            ..PathSample::default()
        };
        for n in 0..50_u8 {
            let client = std::net::Ipv4Addr::new(10, 0, n, 1).into();
            for _ in 0..=n {
                table.note(client, &sample, Moment::ZERO);
            }
        }
        let same = adopt(Some(table.clone()), &rules(1000)).unwrap();
        assert!(Arc::ptr_eq(&same, &table));
        let larger = adopt(Some(table.clone()), &rules(2000)).unwrap();
        assert_eq!((larger.len(), larger.capacity()), (50, 2000));
        let smaller = adopt(Some(larger), &rules(10)).unwrap();
        assert!(smaller.len() <= 10);
        let most = smaller.first(Order::Samples, None, 1).0;
        assert_eq!(most[0].0.to_string(), "10.0.49.0/24");
        assert!(adopt(Some(smaller), &rules(0)).is_none());
    }
}
