//! An answer as text, so that two can be compared and read.

use std::fmt::Write as _;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// One line for the header, one for the OPT record, one for each record; the records of a section are
/// sorted, because the order inside an RRset means nothing (RFC 2181 section 5). An extended error is
/// told only where `ede` asks for it: everywhere else it is advice that one server gives and another
/// does not.
pub(super) fn told(bytes: &[u8], query: &[u8], ede: bool) -> String {
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
        if edns.flags().z != 0 {
            write!(out, " flags {:04x}", edns.flags().z).unwrap();
        }
        let mut options: Vec<String> = edns
            .options()
            .as_ref()
            .iter()
            .filter_map(|(code, option)| told_option(u16::from(*code), option, query, ede))
            .collect();
        options.sort_unstable();
        for option in options {
            write!(out, " {option}").unwrap();
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

/// An option's code, and of its value what does not depend on the server.
fn told_option(code: u16, option: &EdnsOption, query: &[u8], ede: bool) -> Option<String> {
    match (code, option) {
        // RFC 7873 section 4: the client's 8 octets come back in front of the server's.
        (10, EdnsOption::Unknown(_, cookie)) => {
            let sent = |part: &[u8]| query.windows(part.len()).any(|w| w == part);
            let whose = match cookie.get(..8) {
                Some(client) if sent(client) => "",
                _ => " foreign",
            };
            // A server cookie that comes back as it went is one that the server takes for good.
            let kept = if cookie.len() > 8 && sent(&cookie[8..]) {
                " kept"
            } else {
                ""
            };
            Some(format!("option 10 of {} octets{whose}{kept}", cookie.len()))
        }
        // RFC 8914 section 2: the code, then words for people.
        (15, EdnsOption::Unknown(_, error)) => {
            ede.then(|| format!("ede {}", u16::from_be_bytes([error[0], error[1]])))
        }
        _ => Some(format!("option {code}")),
    }
}

/// Data that the library prints so that two different things look alike, or no one can read it.
fn data(data: &RData) -> Option<String> {
    match data {
        RData::TXT(txt) => {
            let strings = txt.txt_data.iter();
            let quoted = strings.map(|s| format!("\"{}\"", String::from_utf8_lossy(s)));
            Some(quoted.collect::<Vec<_>>().join(" "))
        }
        RData::Unknown { code, rdata } if u16::from(*code) == 39 => {
            let target = Name::read(&mut BinDecoder::new(&rdata.anything));
            Some(target.map_or("(not a name)".into(), |name| name.to_string()))
        }
        RData::Unknown { rdata, .. } => {
            let octets = &rdata.anything;
            let hex: String = octets.iter().map(|o| format!("{o:02X}")).collect();
            Some(format!("\\# {} {hex}", octets.len()))
        }
        _ => None,
    }
}

fn record(record: &Record) -> String {
    let text = match data(&record.data) {
        Some(data) => {
            let rtype = match u16::from(record.record_type()) {
                39 => "DNAME".to_owned(),
                16 => "TXT".to_owned(),
                other => format!("TYPE{other}"),
            };
            let (name, class) = (&record.name, record.dns_class);
            format!("{name} {} {class} {rtype} {data}", record.ttl)
        }
        None => record.to_string(),
    };
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
