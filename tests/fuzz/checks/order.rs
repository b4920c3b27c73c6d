//! The text of an operator's order: read by every node from what others told, before its signature is
//! looked at.

use tradewind::overrides::{MAX_TEXT, Record};

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(record) = Record::parse(text) {
        // What a signature covers is what was read, and there is one text for it.
        assert_eq!(record.text(), text);
        assert!(text.len() <= MAX_TEXT && text.is_ascii());
        assert!(record.check().is_ok());
        assert!(text.starts_with(&record.signed_text()));
    }
}
