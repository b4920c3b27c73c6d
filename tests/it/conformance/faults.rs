//! The faults that servers built on a general DNS library are known for, and what keeps them out of
//! ours; and the tests of the RFCs that no reference server can be asked for.

use std::fmt::Write as _;

use super::case::Chapter;
use crate::support::demo::package;

/// What keeps a fault out.
enum Guard {
    /// Cases: RFC, and what the case says.
    Cases(&'static [(&'static str, &'static str)]),
    /// A measurement: how to run it, its file, and what the file must hold for it.
    Bench(&'static str, &'static str, &'static str),
}

use Guard::{Bench, Cases};

/// Each fault, and its guard.
const FAULTS: &[(&str, Guard)] = &[
    (
        "owners of records are sent in full, not compressed",
        Cases(&[
            ("RFC 1035", "owners are compressed against the question"),
            ("RFC 1035", "names in data are compressed"),
        ]),
    ),
    (
        "a client subnet (ECS) is not looked at",
        Cases(&[("RFC 7871", "an answer for everybody has scope 0")]),
    ),
    (
        "ECS of family 0, of a prefix of 40 bits or of 2 octets is not FORMERR with question and OPT",
        Cases(&[
            ("RFC 7871", "family 0 with an address"),
            ("RFC 7871", "an IPv4 prefix of 40 bits"),
            ("RFC 7871", "an option too short"),
        ]),
    ),
    (
        "ECS with bits beyond the prefix, too many octets or a scope is not FORMERR",
        Cases(&[
            ("RFC 7871", "bits beyond the prefix"),
            ("RFC 7871", "an address longer than the prefix"),
            ("RFC 7871", "a scope in a query"),
        ]),
    ),
    (
        "FORMERR, for two OPT records as well, has lost its question and its OPT record",
        Cases(&[
            ("RFC 6891", "two OPT records"),
            ("RFC 6891", "an option that runs over its record"),
        ]),
    ),
    (
        "a client's size of 65535 is believed over UDP",
        Cases(&[("RFC 6891", "the largest size that a client can claim")]),
    ),
    (
        "an RRset is cut in its middle, or the OPT record is what gives way",
        Cases(&[
            ("RFC 2181", "an RRset is sent whole or not at all"),
            ("RFC 6891", "a truncated answer has its OPT"),
        ]),
    ),
    (
        "the SOA of a negative answer keeps its own TTL",
        Cases(&[(
            "RFC 2308",
            "the SOA's TTL is the smaller of its own and MINIMUM",
        )]),
    ),
    (
        "a wildcard without the type is NXDOMAIN",
        Cases(&[("RFC 4592", "a type that the wildcard has not: NODATA")]),
    ),
    (
        "a wildcard without any record is NXDOMAIN",
        Cases(&[(
            "RFC 4592",
            "a wildcard that is an empty non-terminal: NODATA",
        )]),
    ),
    (
        "a referral has AA, lacks glue, or the NS at a cut is answered as our own",
        Cases(&[
            (
                "RFC 1034",
                "below a zone cut the client is referred, with glue, without AA",
            ),
            ("RFC 1034", "the cut's own NS is a referral as well"),
        ]),
    ),
    (
        "an alias to a name without the type lacks the SOA",
        Cases(&[("RFC 2308", "NODATA at the end of an alias")]),
    ),
    (
        "DS at a cut is a referral",
        Cases(&[
            ("RFC 4035", "DS is answered by the parent"),
            ("RFC 4035", "no DS at a cut"),
        ]),
    ),
    (
        "class CH, HS or NONE is answered as IN",
        Cases(&[
            ("RFC 1035", "class CH has no such name"),
            ("RFC 1035", "class HS is not served"),
            ("RFC 1035", "class NONE is not served"),
        ]),
    ),
    (
        "IXFR over UDP is answered as any type, or not at all",
        Cases(&[("RFC 1995", "IXFR from where it is not allowed")]),
    ),
    (
        "NOTIFY is answered as a query, or not at all",
        Cases(&[("RFC 1996", "NOTIFY to a server that is no secondary")]),
    ),
    (
        "ANY brings all there is",
        Cases(&[
            ("RFC 8482", "ANY is answered with one RRset"),
            ("RFC 8482", "ANY over TCP as well"),
        ]),
    ),
    (
        "cookies and NSID are not known",
        Cases(&[
            ("RFC 7873", "a client cookie alone gets a full cookie"),
            ("RFC 5001", "a server that is asked says who it is"),
        ]),
    ),
    (
        "outside every zone is NXDOMAIN, or silence",
        Cases(&[
            ("RFC 1034", "outside every zone"),
            ("RFC 7873", "also where we refuse"),
        ]),
    ),
    (
        "a response, or less than a header, is answered",
        Cases(&[
            ("RFC 1035", "a response is not answered"),
            ("RFC 1035", "fewer octets than a header are not answered"),
        ]),
    ),
    (
        "no question, or two, is answered as one",
        Cases(&[
            ("RFC 1035", "a header without a question"),
            ("RFC 9619", "two questions"),
            ("RFC 9619", "a count of two and one question"),
        ]),
    ),
    (
        "NXDOMAIN costs more the more names a zone has",
        Bench(
            "cargo bench --bench engine",
            "tests/bench/engine.rs",
            "Workload::NxDomain",
        ),
    ),
];

/// RFCs that no reference can be asked for with the same zone, why, and the tests.
const ELSEWHERE: &[(&str, &str, &[&str])] = &[
    (
        "4035, 5155, 9824",
        "signatures and proofs of absence differ by server; validators judge them",
        &[
            "tests/it/e2e_dnssec.rs",
            "src/engine/tests/signed.rs",
            "src/engine/tests/signed_types.rs",
        ],
    ),
    (
        "7766, 7828, 7830, 7858, 8467, 8484, 9250",
        "connections: pipelining, idle times, TLS, HTTPS, QUIC, padding",
        &[
            "tests/it/e2e_tcp.rs",
            "tests/it/e2e_dot.rs",
            "tests/it/e2e_doh.rs",
            "tests/it/e2e_doq.rs",
            "tests/it/e2e_proxy.rs",
            "src/engine/tests/transports.rs",
        ],
    ),
    (
        "1995, 1996, 5936, 8945",
        "transfers have two sides: NSD and Knot follow as secondaries",
        &["tests/it/e2e_transfer.rs"],
    ),
    (
        "7873, 9018",
        "a server cookie is good at the server that made it only",
        &["tests/it/e2e_guard.rs", "src/engine/tests/guard.rs"],
    ),
    (
        "7871",
        "scopes follow from steering, which the references do not have",
        &["src/engine/tests/steered.rs", "src/engine/tests/edns.rs"],
    ),
];

/// The table of tests elsewhere, for the page's head.
///
/// # Panics
///
/// Where a test file is not there.
pub(super) fn elsewhere() -> String {
    let mut out = String::from("| RFC | why not here | tests |\n|---|---|---|\n");
    for (rfcs, why, files) in ELSEWHERE {
        let mut cell = Vec::new();
        for file in *files {
            assert!(package().join(file).is_file(), "{file} is not there");
            cell.push(format!("`{file}`"));
        }
        writeln!(out, "| {rfcs} | {why} | {} |", cell.join(", ")).unwrap();
    }
    out
}

/// The table of faults.
///
/// # Panics
///
/// Where a row names a case or a measurement that is not there.
pub(super) fn table(chapters: &[Chapter]) -> String {
    let mut out = String::from("| fault | what keeps it out |\n|---|---|\n");
    for (fault, guard) in FAULTS {
        let cell = match guard {
            Cases(cases) => {
                let told = cases
                    .iter()
                    .map(|(rfc, says)| case(chapters, fault, rfc, says));
                told.collect::<Vec<_>>().join("; ")
            }
            Bench(command, file, needle) => {
                let text = std::fs::read_to_string(package().join(file)).unwrap();
                assert!(text.contains(needle), "{fault:?}: {file} has no {needle}");
                format!("`{command}` (`{file}`)")
            }
        };
        writeln!(out, "| {fault} | {cell} |").unwrap();
    }
    out
}

fn case(chapters: &[Chapter], fault: &str, rfc: &str, says: &str) -> String {
    let found = chapters
        .iter()
        .filter(|chapter| chapter.rfc == rfc)
        .flat_map(|chapter| &chapter.cases)
        .find(|case| case.says == says)
        .unwrap_or_else(|| panic!("{fault:?} is guarded by {rfc}: {says:?}, which is not there"));
    format!(
        "{} §{}: {says}",
        rfc.trim_start_matches("RFC "),
        found.section
    )
}
