//! One record out of those of several nodes. Pure.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::admin::audit::Recorded;
use crate::admin::desk::AuditLine;

/// What several nodes write of one thing, they write within this time of each other, in milliseconds: the
/// way of an order, and what their calendars differ.
const NEAR_MS: u64 = 60_000;

/// The last `limit` lines of all records, latest first. A line that several nodes wrote is one, as old as the
/// first of them; one that a node wrote twice is two.
pub(super) fn merge(records: Vec<(Arc<str>, Vec<AuditLine>)>, limit: usize) -> Vec<Recorded> {
    let mut lines: Vec<(Arc<str>, AuditLine)> = Vec::new();
    for (node, all) in records {
        lines.extend(all.into_iter().rev().map(|line| (node.clone(), line)));
    }
    // The sort is stable: lines of one node and one time stay as they were written.
    lines.sort_by(|(a, x), (b, y)| (x.at_ms, a).cmp(&(y.at_ms, b)));
    let mut merged: Vec<Recorded> = Vec::new();
    let mut same: HashMap<[String; 4], Vec<usize>> = HashMap::new();
    for (node, line) in lines {
        let words = [&line.event, &line.owner, &line.node, &line.text];
        let places = same.entry(words.map(String::clone)).or_default();
        let fits = |at: &&usize| {
            let known: &Recorded = &merged[**at];
            line.at_ms - known.line.at_ms <= NEAR_MS && !known.records.iter().any(|n| **n == *node)
        };
        if let Some(at) = places.iter().find(fits).copied() {
            merged[at].records.push(node.to_string());
            continue;
        }
        places.push(merged.len());
        merged.push(Recorded {
            line,
            records: vec![node.to_string()],
        });
    }
    merged.reverse();
    merged.truncate(limit);
    for line in &mut merged {
        line.records.sort();
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(at_ms: u64, event: &str, node: &str, text: &str) -> AuditLine {
        AuditLine {
            at_ms,
            event: event.to_owned(),
            owner: "ann".to_owned(),
            node: node.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_several_nodes_wrote_is_one_line_and_what_one_wrote_twice_is_two() {
        let records = vec![
            (
                "n1".into(),
                vec![
                    line(9_000, "refused", "n1", "GET /x"),
                    line(8_000, "refused", "n1", "GET /x"),
                    line(1_000, "ordered", "n1", "drain of region eu"),
                ],
            ),
            (
                "n2".into(),
                vec![line(1_400, "received", "n1", "drain of region eu")],
            ),
            (
                "n3".into(),
                vec![line(1_300, "received", "n1", "drain of region eu")],
            ),
        ];
        let merged = merge(records.clone(), 10);
        let told: Vec<_> = merged
            .iter()
            .map(|r| (r.line.at_ms, &*r.line.event, r.records.join(" ")))
            .collect();
        assert_eq!(
            told,
            [
                (9_000, "refused", "n1".to_owned()),
                (8_000, "refused", "n1".to_owned()),
                (1_300, "received", "n2 n3".to_owned()),
                (1_000, "ordered", "n1".to_owned()),
            ]
        );
        assert_eq!(merge(records, 2), merged[..2]);
    }

    #[test]
    fn the_same_words_an_hour_later_are_another_line() {
        let records = vec![
            ("n1".into(), vec![line(0, "expired", "n1", "x")]),
            ("n2".into(), vec![line(3_600_000, "expired", "n1", "x")]),
        ];
        assert_eq!(merge(records, 10).len(), 2);
    }

    fn records() -> impl Strategy<Value = Vec<(Arc<str>, Vec<AuditLine>)>> {
        let line = (0..200_000u64, "[ab]", "n[1-3]", "[xy]")
            .prop_map(|(at, event, node, text)| line(at, &event, &node, &text));
        let record = prop::collection::vec(line, 0..12).prop_map(|mut all| {
            all.sort_by_key(|l| std::cmp::Reverse(l.at_ms));
            all
        });
        prop::collection::vec(record, 1..5).prop_map(|all| {
            let named = all.into_iter().enumerate();
            named
                .map(|(n, lines)| (format!("n{n}").as_str().into(), lines))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn no_line_is_lost_or_told_twice_whoever_answers_first(
            (records, shuffled) in records().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
            limit in 1..40usize,
        ) {
            let all: usize = records.iter().map(|(_, lines)| lines.len()).sum();
            let merged = merge(records.clone(), usize::MAX);
            prop_assert_eq!(merged.iter().map(|r| r.records.len()).sum::<usize>(), all);
            prop_assert!(merged.windows(2).all(|w| w[0].line.at_ms >= w[1].line.at_ms));
            for line in &merged {
                prop_assert!(line.records.windows(2).all(|w| w[0] < w[1]), "{:?}", line);
            }
            prop_assert_eq!(&merge(shuffled, usize::MAX), &merged);
            prop_assert_eq!(&merge(records.clone(), limit)[..], &merged[..limit.min(merged.len())]);
            // One record alone stays what it is.
            let (node, lines) = records[0].clone();
            let alone = merge(vec![(node, lines.clone())], usize::MAX);
            let mut told: Vec<AuditLine> = alone.into_iter().map(|r| r.line).collect();
            told.sort_by_key(|l| std::cmp::Reverse(l.at_ms));
            prop_assert_eq!(told.len(), lines.len());
        }
    }
}
