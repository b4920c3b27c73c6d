//! Orders about backends as the store keeps them: a key for each backend, a line for each part.

use std::sync::Arc;

use crate::traffic::BackendOrders;
use crate::traffic::orders::{Added, BackendOrder, Given, Place, Presence, Word};

/// The key of a backend's orders. Neither name has a slash.
pub(super) fn key(place: &Place) -> String {
    format!("{}/{}", place.upstream, place.backend)
}

/// The orders about one backend.
pub(super) fn write(order: &BackendOrder) -> String {
    let mut lines = Vec::new();
    if let Some(presence) = &order.presence {
        let what = match &presence.what {
            Presence::Removed => "removed".to_owned(),
            Presence::Added(added) => format!(
                "added\t{}\t{}\t{}\t{}",
                added.address,
                u8::from(added.backup),
                added.zone.as_deref().unwrap_or("-"),
                added.max_connections.unwrap_or(0)
            ),
        };
        lines.push(line(&what, presence));
    }
    if let Some(word) = &order.word {
        lines.push(line(&format!("word\t{}", word.what), word));
    }
    if let Some(weight) = &order.weight {
        lines.push(line(&format!("weight\t{}", weight.what), weight));
    }
    lines.join("\n")
}

fn line<T>(what: &str, given: &Given<T>) -> String {
    let clean = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let (owner, reason) = (clean(&given.owner), clean(&given.reason));
    format!("{what}\t{}\t{owner}\t{reason}", given.at_ms)
}

/// All orders out of a store. What cannot be read is left out, with a line in the log.
pub(in crate::app) fn read(stored: &[(String, String)]) -> BackendOrders {
    let mut orders = BackendOrders::default();
    for (key, text) in stored {
        let place = key.split_once('/').map(|(u, b)| Place::new(u, b));
        match (place, order(text)) {
            (Some(place), Some(order)) if !order.is_empty() => drop(orders.0.insert(place, order)),
            _ => tracing::error!(%key, "an order about a backend cannot be read and is left out"),
        }
    }
    orders
}

fn order(text: &str) -> Option<BackendOrder> {
    let mut order = BackendOrder::default();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        match next()? {
            "removed" => order.presence = Some(given(Presence::Removed, &mut next)?),
            "added" => {
                let added = Added {
                    address: next()?.parse().ok()?,
                    backup: next()? == "1",
                    zone: Some(next()?).filter(|z| *z != "-").map(Into::into),
                    max_connections: Some(next()?.parse().ok()?).filter(|n| *n > 0),
                };
                order.presence = Some(given(Presence::Added(added), &mut next)?);
            }
            "word" => {
                let word = match next()? {
                    "drain" => Word::Drain,
                    "disable" => Word::Disable,
                    _ => return None,
                };
                order.word = Some(given(word, &mut next)?);
            }
            "weight" => {
                let weight = next()?.parse().ok()?;
                order.weight = Some(given(weight, &mut next)?);
            }
            _ => return None,
        }
    }
    Some(order)
}

fn given<'t, T>(what: T, next: &mut impl FnMut() -> Option<&'t str>) -> Option<Given<T>> {
    let at_ms = next()?.parse().ok()?;
    let text = |t: &str| -> Arc<str> { t.into() };
    Some(Given {
        what,
        at_ms,
        owner: text(next()?),
        reason: text(next()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn given_of<T>(what: T) -> Given<T> {
        Given {
            what,
            owner: "ann".into(),
            reason: "kernel update".into(),
            at_ms: 1_767_225_600_000,
        }
    }

    #[test]
    fn orders_read_back_as_written() {
        let added = Added {
            address: "[2001:db8::1]:8080".parse().unwrap(),
            backup: true,
            zone: Some("a".into()),
            max_connections: Some(7),
        };
        let all = BackendOrder {
            presence: Some(given_of(Presence::Added(added))),
            word: Some(given_of(Word::Drain)),
            weight: Some(given_of(0)),
        };
        let bare = BackendOrder {
            presence: Some(given_of(Presence::Removed)),
            ..BackendOrder::default()
        };
        for order in [all, bare] {
            let place = Place::new("api", "b1");
            let stored = [(key(&place), write(&order))];
            let back = read(&stored);
            assert_eq!(back.0.get(&place), Some(&order));
        }
    }

    proptest! {
        #[test]
        fn s4_any_text_is_read_or_left_out(key in ".{0,20}", text in "(added|word|weight|removed)?[\t\na-z0-9.:]{0,60}") {
            drop(read(&[(key, text)]));
        }
    }
}
