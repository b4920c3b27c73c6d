//! The audit record: one line for whatever happens to an order, appended, never changed.

use std::collections::VecDeque;

use crate::admin::desk::AuditLine;
use crate::app::chronicle::Chronicle;
use crate::history::What;
use crate::overrides::{Record, Subject};

/// Lines kept in memory, to be shown; the store keeps more.
const SHOWN: usize = 1_000;

/// The latest lines, and those that the store has yet to get.
#[derive(Debug, Default)]
pub(super) struct Audit {
    next: u64,
    lines: VecDeque<AuditLine>,
    unstored: Vec<(u64, String)>,
    /// Where it is told as well.
    pub(super) chronicle: Chronicle,
}

impl Audit {
    /// The record as it was stored.
    pub(super) fn load(stored: Vec<(u64, String)>) -> Audit {
        let mut audit = Audit {
            next: stored.last().map_or(1, |(number, _)| number + 1),
            ..Audit::default()
        };
        let skip = stored.len().saturating_sub(SHOWN);
        let lines = stored.iter().skip(skip);
        audit.lines = lines.filter_map(|(_, text)| read(text)).collect();
        audit
    }

    /// Appends a line about a record.
    pub(super) fn note(&mut self, at_ms: u64, event: &str, record: &Record, text: String) {
        let subjects: Vec<String> = record.entries.iter().map(|e| of(&e.subject)).collect();
        let line = AuditLine {
            at_ms,
            event: event.to_owned(),
            owner: record.owner.to_string(),
            node: record.author().to_string(),
            text,
        };
        self.chronicle.record(&What::Order {
            step: step(event),
            owner: line.owner.clone(),
            subject: subjects.join(", "),
            text: format!("{} (on {})", line.text, line.node),
        });
        self.keep(line);
    }

    /// Appends a line, to the log as well.
    pub(super) fn append(&mut self, line: AuditLine) {
        tracing::info!(
            owner = %line.owner, node = %line.node,
            "audit: {}: {}", line.event, line.text
        );
        self.keep(line);
    }

    fn keep(&mut self, line: AuditLine) {
        self.unstored.push((self.next, write(&line)));
        self.next += 1;
        self.lines.push_back(line);
        if self.lines.len() > SHOWN {
            self.lines.pop_front();
        }
    }

    /// What the store has yet to get.
    pub(super) fn take_unstored(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.unstored)
    }

    /// The last lines that `is_wanted`, latest first.
    pub(super) fn last(
        &self,
        limit: usize,
        is_wanted: impl Fn(&AuditLine) -> bool,
    ) -> Vec<AuditLine> {
        let lines = self.lines.iter().rev().filter(|line| is_wanted(line));
        lines.take(limit).cloned().collect()
    }
}

/// The word for what happened to an order.
fn step(event: &str) -> &'static str {
    const STEPS: [&str; 8] = [
        "ordered",
        "received",
        "expired",
        "replaced",
        "lost",
        "quarantined",
        "believed",
        "cleared",
    ];
    STEPS.into_iter().find(|s| *s == event).unwrap_or("noted")
}

/// A record in words: `drain of region eu, weight 5 of pool web: kernel update (until …)`.
pub(super) fn describe(record: &Record) -> String {
    let said: Vec<String> = said(record).collect();
    let mut text = said.join(", ");
    if !record.reason.is_empty() {
        text.push_str(": ");
        text.push_str(&record.reason);
    }
    if let Some(end) = record.expires {
        text.push_str(&format!(" (until {})", crate::time::utc::show(end / 1000)));
    }
    if let Some(broke) = &record.broke {
        text.push_str(&format!(" [break-glass: {broke}]"));
    }
    text
}

/// What a record says of each subject.
pub(super) fn said(record: &Record) -> impl Iterator<Item = String> + '_ {
    record.entries.iter().map(|e| {
        let of = of(&e.subject);
        match e.kind {
            Some(kind) => format!("{kind} of {of}"),
            None => format!("{} of {of} cleared", e.subject.class.word()),
        }
    })
}

/// `region eu`.
pub(super) fn of(subject: &Subject) -> String {
    format!("{} {}", subject.scope.word(), subject.name)
}

/// A line as it is stored, and as it is told other nodes.
pub(in crate::app) fn write(line: &AuditLine) -> String {
    // A record of another node may hold any text.
    let clean = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let fields = [&line.event, &line.owner, &line.node, &line.text];
    let fields = fields.map(|f| clean(f)).join("\t");
    format!("{}\t{fields}", line.at_ms)
}

/// Reads what [`write`] wrote.
pub(in crate::app) fn read(text: &str) -> Option<AuditLine> {
    let mut fields = text.splitn(5, '\t');
    let mut field = || fields.next();
    Some(AuditLine {
        at_ms: field()?.parse().ok()?,
        event: field()?.to_owned(),
        owner: field()?.to_owned(),
        node: field()?.to_owned(),
        text: field()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_numbers_go_on() {
        let line = |n: u64| AuditLine {
            at_ms: n,
            event: "ordered".to_owned(),
            owner: "bob\tsmith".to_owned(),
            node: "eu1".to_owned(),
            text: "drain of region eu:\nnew kernel".to_owned(),
        };
        let mut audit = Audit::load(Vec::new());
        (0..3).for_each(|n| audit.append(line(n)));
        let stored = audit.take_unstored();
        assert!(audit.take_unstored().is_empty());
        assert_eq!(
            stored.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        let mut again = Audit::load(stored);
        assert_eq!(again.last(1, |_| true)[0].owner, "bob smith");
        assert_eq!(
            again
                .last(9, |_| true)
                .iter()
                .map(|l| l.at_ms)
                .collect::<Vec<_>>(),
            [2, 1, 0]
        );
        assert_eq!(again.last(1, |l| l.at_ms < 2)[0].at_ms, 1);
        again.append(line(9));
        assert_eq!(again.take_unstored()[0].0, 4);
    }
}
