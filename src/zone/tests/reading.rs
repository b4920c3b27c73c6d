//! Master files as RFC 1035 section 5 and its successors allow them to be written.

use super::*;
use crate::zone::RrSet;
use proptest::prelude::*;

fn find<'z>(zone: &'z ParsedZone, owner: &str, rtype: &str) -> &'z RrSet {
    let (owner, rtype) = (n(owner), code(rtype));
    let found = zone
        .rrsets
        .iter()
        .find(|(o, s, _)| *o == owner && s.rtype == rtype);
    &found.unwrap().1
}

/// The data of the first record that a line gives at `x.example`.
fn data(line: &str) -> Vec<u8> {
    let zone = zone("example", &format!("x {line}\n"));
    let found = zone.rrsets.iter().find(|(o, _, _)| *o == n("x.example"));
    found.unwrap().1.records[0].bytes.to_vec()
}

#[test]
fn owners_ttls_classes_and_origins_carry_over() {
    let zone = parse::parse(
        "\
$ORIGIN Example.
@ IN 1h SOA ns1 host\\.master ( 1 ; serial
        2h 3m 1w
        1d30s ) ; done
  IN NS ns1
$TTL 5m
NS1 in 60 A 192.0.2.1
    AAAA 2001:db8::1
$ORIGIN sub
a A 192.0.2.2
$ORIGIN other.example.
b\tCLASS1\tA\t192.0.2.3",
        &n("example"),
    )
    .unwrap();
    assert!(zone.warnings.is_empty(), "{:?}", zone.warnings);
    let ttl = |owner: &str, rtype: &str| find(&zone, owner, rtype).ttl.secs();
    assert_eq!(ttl("example", "SOA"), 3600);
    assert_eq!(ttl("example", "NS"), 3600);
    assert_eq!(ttl("ns1.example", "A"), 60);
    assert_eq!(ttl("ns1.example", "AAAA"), 300);
    assert_eq!(ttl("a.sub.example", "A"), 300);
    assert_eq!(ttl("b.other.example", "A"), 300);
    let soa = &find(&zone, "example", "SOA").records[0];
    assert_eq!(soa.name(0).unwrap().to_string(), "ns1.example");
    assert_eq!(soa.name(1).unwrap().to_string(), "host\\.master.example");
    let numbers: Vec<u32> = soa.bytes[soa.bytes.len() - 20..]
        .chunks(4)
        .map(|c| u32::from_be_bytes(c.try_into().unwrap()))
        .collect();
    assert_eq!(numbers, [1, 7200, 180, 604_800, 86_430]);
}

#[test]
fn each_type_has_its_wire_form() {
    let name = |t: &str| n(t).as_bytes().to_vec();
    let cat = |parts: &[&[u8]]| parts.concat();
    for (line, want) in [
        ("A 192.0.2.7", vec![192, 0, 2, 7]),
        ("AAAA ::1", cat(&[&[0; 15], &[1]])),
        ("CNAME Y", name("y.example")),
        ("PTR y.", name("y")),
        ("PTR 0/25.a_b", name("0/25.a_b.example")),
        ("MX 10 @", cat(&[&[0, 10], &name("example")])),
        ("MX 0 .", vec![0, 0, 0]),
        (
            "SRV 1 2 443 y",
            cat(&[&[0, 1, 0, 2, 1, 187], &name("y.example")]),
        ),
        (
            "TXT a \"b \\\" c\" \\065\\;",
            b"\x01a\x05b \" c\x02A;".to_vec(),
        ),
        (
            "TXT (\"a b\"\n\"\\200\" \"\")",
            b"\x03a b\x01\xc8\x00".to_vec(),
        ),
        ("TXT \\# 2 0161", b"\x01a".to_vec()),
        ("HINFO PC \"my os\"", b"\x02PC\x05my os".to_vec()),
        (
            "CAA 128 Issue \"ca.example; a=b\"",
            b"\x80\x05issueca.example; a=b".to_vec(),
        ),
        (
            "NAPTR 1 2 u sip+E2U \"!^.*$!sip:a@b!\" .",
            b"\x00\x01\x00\x02\x01u\x07sip+E2U\x0e!^.*$!sip:a@b!\x00".to_vec(),
        ),
        ("TYPE65280 \\# 3 AB CDef", vec![0xab, 0xcd, 0xef]),
        ("TYPE65280 \\# 0", vec![]),
        ("TYPE1 192.0.2.7", vec![192, 0, 2, 7]),
        ("HTTPS 0 svc_1", cat(&[&[0, 0], &name("svc_1.example")])),
        (
            "HTTPS 1 . port=443 alpn=\"h2,h3\" ipv4hint=192.0.2.1",
            b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x01\xbb\0\x04\0\x04\xc0\0\x02\x01"
                .to_vec(),
        ),
        (
            "SSHFP 1 1 0123456789abcdef0123456789abcdef01234567",
            cat(&[
                &[1, 1],
                &[
                    1, 35, 69, 103, 137, 171, 205, 239, 1, 35, 69, 103, 137, 171, 205, 239, 1, 35,
                    69, 103,
                ],
            ]),
        ),
        ("TLSA 3 1 1 ( 0123\n4567 )", vec![3, 1, 1, 1, 35, 69, 103]),
    ] {
        assert_eq!(data(line), want, "{line}");
    }
}

#[test]
fn a6_only_names_of_rfc_1035_types_may_be_compressed() {
    let names = |line: &str| {
        let zone = zone("example", &format!("x {line}\n"));
        let found = zone.rrsets.iter().find(|(o, _, _)| *o == n("x.example"));
        found.unwrap().1.records[0].names.to_vec()
    };
    assert_eq!(names("MX 10 ab"), [(2, 12)]);
    assert_eq!(names("CNAME ab"), [(0, 12)]);
    assert_eq!(names("SRV 1 2 3 ab"), []);
    assert_eq!(names("HTTPS 1 ab"), []);
    let zone = zone("example", "");
    assert_eq!(
        find(&zone, "example", "SOA").records[0].names.to_vec(),
        [(0, 13), (13, 20)]
    );
}

#[test]
fn records_of_one_owner_and_type_share_the_smallest_ttl() {
    let zone = zone(
        "example",
        "a 100 A 192.0.2.1\na 50 A 192.0.2.2\na 50 A 192.0.2.1\n",
    );
    let set = find(&zone, "a.example", "A");
    assert_eq!((set.ttl.secs(), set.records.len()), (50, 2));
    let lines: Vec<_> = zone.warnings.iter().map(|w| w.line).collect();
    assert_eq!(lines, [5, 6]);
}

#[test]
fn o4_all_problems_of_a_file_come_at_once_in_order() {
    let text =
        format!("{HEAD}a A 1.2.3\nb AAAA x\n  TXT ok\nc..d A 192.0.2.1\n  A 192.0.2.1\ne FOO x\n");
    let lines: Vec<_> = parse::parse(&text, &n("example"))
        .unwrap_err()
        .iter()
        .map(|p| (p.line, p.column))
        .collect();
    assert_eq!(lines, [(4, 5), (5, 8), (7, 1), (9, 3)]);
}

#[test]
fn building_is_linear_in_the_number_of_names() {
    // No time is asserted: anything quadratic in 200,000 names would simply not come to an end.
    let records: String = (0..200_000)
        .map(|i| format!("h{i}.g{} A 192.0.2.1\n", i % 40_000))
        .collect();
    let set = set(&[("example", &records)], &[]);
    assert_eq!(set.names(), 1 + 200_000 + 40_000);
}

/// Text that is nearly a zone: the words that matter, in any order.
fn nearly() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "a",
        "@",
        "*",
        "IN",
        "CH",
        "300",
        "1h",
        "99999999w",
        "A",
        "AAAA",
        "NS",
        "SOA",
        "MX",
        "TXT",
        "CAA",
        "HTTPS",
        "SVCB",
        "SRV",
        "NAPTR",
        "TLSA",
        "SSHFP",
        "CERT",
        "CSYNC",
        "OPENPGPKEY",
        "SMIMEA",
        "DS",
        "TYPE1",
        "TYPE65280",
        "\\#",
        "1",
        "4",
        "0a0b0c0d",
        "192.0.2.1",
        "::1",
        ".",
        "..",
        "\\",
        "\\300",
        "(",
        ")",
        "\"",
        "\"x y\"",
        ";",
        "$ORIGIN",
        "$TTL",
        "$INCLUDE",
        "alpn=h2",
        "alpn=\"",
        "port=x",
        "key1=\\",
        "ipv4hint=",
        "ech=AA",
        "mandatory=alpn",
        "\n",
        "\n",
        "\n ",
        "é",
        "\u{0}",
        "CNAME",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|w| w.join(" "))
}

fn sound(text: &str) -> Result<(), TestCaseError> {
    let lines = text.split('\n').count() as u32;
    match parse::parse(text, &n("example")) {
        Ok(zone) => {
            let _ = ZoneSet::build(vec![zone], &[]);
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for p in problems {
                prop_assert!(p.line >= 1 && p.line <= lines && p.column >= 1, "{p}");
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in any::<String>()) {
        sound(&text)?;
    }

    #[test]
    fn nearly_right_text_is_read_or_refused_without_panic(text in nearly()) {
        sound(&text)?;
        sound(&format!("{HEAD}{text}"))?;
    }
}
