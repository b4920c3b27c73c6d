//! An answer as text, so that two can be compared and read.

use std::fmt::Write as _;

use hickory_proto::op::Message;
use hickory_proto::rr::Record;

/// One line for the header, one for the OPT record, one for each record; the records of a section are
/// sorted, because the order inside an RRset means nothing (RFC 2181 section 5).
pub(super) fn told(bytes: &[u8], query: &[u8]) -> String {
    let mut out = String::new();
    if bytes.len() < 12 {
        return format!("{} octets\n", bytes.len());
    }
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let flags = word(2);
    if bytes[..2] != query[..2] {
        out += "(wrong id) ";
    }
    if flags & 0x8000 == 0 {
        out += "(no response) ";
    }
    let Ok(message) = Message::from_vec(bytes) else {
        return format!("{out}rcode {} and not readable\n", flags & 15);
    };
    let high = message
        .edns
        .as_ref()
        .map_or(0, |e| u16::from(e.rcode_high()));
    out += rcode(high << 4 | flags & 15);
    for (bit, name) in [
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
        (0x0020, "ad"),
        (0x0010, "cd"),
    ] {
        if flags & bit != 0 {
            out.push(' ');
            out += name;
        }
    }
    if flags >> 11 & 15 != 0 {
        write!(out, " opcode {}", flags >> 11 & 15).unwrap();
    }
    // The question comes back octet by octet (RFC 5452 section 9.1, and the case of its name).
    let asked = query.get(12..).unwrap_or_default();
    match message.queries.len() {
        0 => out += " no-question",
        1 => {
            let len = question(bytes);
            if asked.get(..len) != bytes.get(12..12 + len) {
                out += " other-question";
            }
        }
        n => write!(out, " {n} questions").unwrap(),
    }
    out.push('\n');
    if let Some(edns) = &message.edns {
        write!(out, "edns {} size {}", edns.version(), edns.max_payload()).unwrap();
        if edns.flags().dnssec_ok {
            out += " do";
        }
        let mut codes: Vec<u16> = edns
            .options()
            .as_ref()
            .iter()
            .map(|(code, _)| u16::from(*code))
            // Extended errors are words for people; what they say is tested elsewhere.
            .filter(|code| *code != 15)
            .collect();
        codes.sort_unstable();
        for code in codes {
            write!(out, " option {code}").unwrap();
        }
        out.push('\n');
    }
    for (section, records) in [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ] {
        let mut lines: Vec<String> = records.iter().map(record).collect();
        if section == "answer" && lines.windows(2).any(|two| owner(&two[0]) != owner(&two[1])) {
            // A chain has an order.
        } else {
            lines.sort();
        }
        for line in lines {
            writeln!(out, "{section} {line}").unwrap();
        }
    }
    out
}

fn record(record: &Record) -> String {
    let text = record.to_string();
    // A very long string says nothing more than its beginning.
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn owner(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// Octets of the question at 12.
fn question(bytes: &[u8]) -> usize {
    let mut at = 12;
    while let Some(&len) = bytes.get(at) {
        if len == 0 {
            return at + 5 - 12;
        }
        at += 1 + usize::from(len);
    }
    0
}

fn rcode(code: u16) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        9 => "NOTAUTH",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        _ => "another code",
    }
}

/// What differs, line by line.
pub(super) fn diff(expected: &str, got: &str) -> String {
    let mut out = String::new();
    for line in expected.lines().filter(|l| !got.lines().any(|g| g == *l)) {
        writeln!(out, "    - {line}").unwrap();
    }
    for line in got.lines().filter(|l| !expected.lines().any(|e| e == *l)) {
        writeln!(out, "    + {line}").unwrap();
    }
    if out.is_empty() {
        out += "    the same lines in another order\n";
    }
    out
}
