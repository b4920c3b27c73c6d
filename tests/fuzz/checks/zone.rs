//! A master file: every problem is told with its line, and what is read can be served.

use tradewind::dns::name::WireName;
use tradewind::zone::{ZoneSet, parse::parse};

/// The text of the zone `fuzz.test`.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let apex = WireName::from_wire(b"\x04fuzz\x04test\0").expect("a name");
    let lines = text.lines().count() + 1;
    match parse(text, &apex) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                assert!(!problem.to_string().is_empty());
                assert!(problem.line as usize <= lines);
            }
        }
        Ok(zone) => {
            let (zones, _problems) = ZoneSet::join(vec![zone], &[]);
            for qname in [
                b"\x04fuzz\x04test\0".as_slice(),
                b"\x01a\x04fuzz\x04test\0",
                b"\x01b\x01a\x04fuzz\x04test\0",
                b"\x01*\x04fuzz\x04test\0",
            ] {
                for qtype in [1, 2, 5, 6, 16, 28, 43, 65, 255] {
                    let _ = zones.lookup(qname, qtype);
                }
            }
        }
    }
}
