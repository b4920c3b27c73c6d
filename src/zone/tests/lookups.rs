//! Lookup, rule by rule.

use super::*;
use crate::zone::BuildRule;

const EXAMPLE: &str = "\
ns1 A 192.0.2.1
a.b.c A 192.0.2.2
alias CNAME A.B.C
both A 192.0.2.3
both TXT hi
both HTTPS 1 .
*.wild A 192.0.2.4
x.wild TXT only
y.ent.wild A 192.0.2.5
*.txt TXT t
*.al CNAME alias
sub NS ns.sub
sub NS ns1
sub DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000005
ns.sub A 192.0.2.6
*.deep.sub A 192.0.2.7
";

fn table(set: &ZoneSet, cases: &[(&str, &str, &str)]) {
    for (qname, qtype, want) in cases {
        assert_eq!(ask(set, qname, qtype), *want, "{qname} {qtype}");
    }
}

#[test]
fn a1_a6_static_data_and_negatives() {
    let set = set(&[("example", EXAMPLE)], &[]);
    table(
        &set,
        &[
            ("a.b.c.example", "A", "answer A 2 @example"),
            ("a.b.c.example", "AAAA", "nodata @example"),
            ("b.c.example", "A", "nodata @example"),
            ("c.example", "ANY", "nodata @example"),
            ("x.c.example", "A", "nxdomain @example"),
            ("x.a.b.c.example", "A", "nxdomain @example"),
            ("nope.example", "A", "nxdomain @example"),
            ("both.example", "ANY", "any A TXT HTTPS @example"),
            ("both.example", "MX", "nodata @example"),
            ("alias.example", "A", "cname a.b.c.example @example"),
            ("alias.example", "MX", "cname a.b.c.example @example"),
            ("alias.example", "CNAME", "answer CNAME 0 @example"),
            ("alias.example", "ANY", "any CNAME @example"),
            ("other", "A", "outside"),
            (".", "NS", "outside"),
        ],
    );
}

#[test]
fn a2_the_apex_always_answers() {
    let set = set(&[("example", "")], &[steered("example", 3, false)]);
    table(
        &set,
        &[
            ("example", "SOA", "answer SOA 60 @example"),
            ("example", "NS", "answer NS 0 @example"),
            ("example", "A", "steered 3 @example"),
            ("example", "ANY", "any NS SOA @example"),
            ("example", "MX", "nodata @example"),
            ("example", "DS", "nodata @example"),
        ],
    );
}

#[test]
fn a3_zones_match_on_label_boundaries_and_the_longest_wins() {
    let set = set(
        &[
            (
                "example",
                "child NS ns.other.\nchild DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000009\nns.child A 192.0.2.8\nx.child A 192.0.2.9\n",
            ),
            ("child.example", "ns1 A 192.0.2.1\n"),
            ("deep.gap.example", "ns1 A 192.0.2.2\n"),
            ("in.cut.example", "ns1 A 192.0.2.2\n"),
            ("b.in.cut.example", "ns1 A 192.0.2.2\n"),
        ],
        &[],
    );
    table(
        &set,
        &[
            ("ns1.child.example", "A", "answer A 1 @child.example"),
            ("child.example", "NS", "answer NS 0 @child.example"),
            ("child.example", "DS", "answer DS 9 @example"),
            ("x.child.example", "A", "nxdomain @child.example"),
            ("ns.child.example", "A", "nxdomain @child.example"),
            ("achild.example", "A", "nxdomain @example"),
            ("aexample", "A", "outside"),
            ("gap.example", "A", "nodata @example"),
            ("deep.gap.example", "DS", "nodata @example"),
            ("x.gap.example", "A", "nxdomain @example"),
            ("b.in.cut.example", "DS", "nodata @in.cut.example"),
        ],
    );
    assert!(set.rrset(n("ns.child.example").as_bytes(), 1).is_none());
    assert_eq!(set.zone_count(), 5);
}

#[test]
fn a6_ds_of_an_apex_whose_real_parent_is_elsewhere_is_the_childs_nodata() {
    let set = set(
        &[("example", "cut NS ns.other.\n"), ("in.cut.example", "")],
        &[],
    );
    table(
        &set,
        &[
            ("in.cut.example", "DS", "nodata @in.cut.example"),
            ("x.cut.example", "A", "referral cut.example 1 @example"),
            ("in.cut.example", "NS", "answer NS 0 @in.cut.example"),
        ],
    );
}

#[test]
fn a6_wildcards_as_rfc_4592() {
    let set = set(&[("example", EXAMPLE)], &[]);
    table(
        &set,
        &[
            ("q.wild.example", "A", "answer A 4 @example"),
            ("p.q.wild.example", "A", "answer A 4 @example"),
            ("*.wild.example", "A", "answer A 4 @example"),
            ("q.wild.example", "AAAA", "nodata @example"),
            ("q.wild.example", "ANY", "any A @example"),
            ("x.wild.example", "A", "nodata @example"),
            ("q.x.wild.example", "A", "nxdomain @example"),
            ("ent.wild.example", "A", "nodata @example"),
            ("q.ent.wild.example", "A", "nxdomain @example"),
            ("q.*.wild.example", "A", "nxdomain @example"),
            ("wild.example", "A", "nodata @example"),
            ("q.txt.example", "A", "nodata @example"),
            ("q.al.example", "A", "cname alias.example @example"),
            ("q.deep.sub.example", "A", "referral sub.example 2 @example"),
        ],
    );
}

#[test]
fn a6_delegations_and_glue() {
    let set = set(&[("example", EXAMPLE)], &[]);
    let referral = "referral sub.example 2 @example";
    table(
        &set,
        &[
            ("sub.example", "NS", referral),
            ("sub.example", "A", referral),
            ("sub.example", "ANY", referral),
            ("ns.sub.example", "A", referral),
            ("x.y.sub.example", "A", referral),
            ("x.sub.example", "DS", referral),
            ("sub.example", "DS", "answer DS 5 @example"),
        ],
    );
    assert_eq!(
        last_octets(set.rrset(n("ns.sub.example").as_bytes(), 1).unwrap()),
        "6"
    );
    let no_ds = super::set(&[("example", "sub NS ns.other.\n")], &[]);
    table(&no_ds, &[("sub.example", "DS", "nodata @example")]);
}

#[test]
fn the_topmost_cut_wins() {
    let set = set(&[("example", "b NS ns.other.\na.b NS ns.other.\n")], &[]);
    table(
        &set,
        &[
            ("x.a.b.example", "A", "referral b.example 1 @example"),
            ("a.b.example", "DS", "referral b.example 1 @example"),
        ],
    );
}

#[test]
fn steered_names_beside_static_data() {
    let set = set(
        &[("example", "www HTTPS 1 .\nwww TXT hi\n")],
        &[
            steered("www.example", 0, false),
            steered("*.w.example", 1, false),
            steered("bare.e.example", 2, false),
            steered("c.example", 4, true),
        ],
    );
    table(
        &set,
        &[
            ("www.example", "A", "steered 0 @example"),
            ("www.example", "AAAA", "steered 0 @example"),
            ("www.example", "HTTPS", "answer HTTPS 0 @example"),
            ("www.example", "MX", "nodata @example"),
            ("www.example", "ANY", "any TXT HTTPS @example"),
            ("x.www.example", "A", "nxdomain @example"),
            ("q.w.example", "A", "steered 1 @example"),
            ("q.w.example", "TXT", "nodata @example"),
            ("w.example", "A", "nodata @example"),
            ("bare.e.example", "ANY", "steered 2 @example"),
            ("e.example", "A", "nodata @example"),
            ("c.example", "A", "steered 4 @example"),
            ("c.example", "MX", "steered 4 @example"),
            ("c.example", "CNAME", "steered 4 @example"),
            ("c.example", "ANY", "steered 4 @example"),
        ],
    );
}

#[test]
fn the_root_can_be_a_zone() {
    let set = set(&[(".", "a A 192.0.2.1\n"), ("b", "")], &[]);
    table(
        &set,
        &[
            (".", "NS", "answer NS 0 @."),
            ("a", "A", "answer A 1 @."),
            ("c", "A", "nxdomain @."),
            ("x.b", "A", "nxdomain @b"),
            ("b", "DS", "nodata @."),
        ],
    );
}

#[test]
fn bytes_that_are_no_name_find_nothing() {
    let set = set(&[("example", EXAMPLE)], &[]);
    for bytes in [
        &b""[..],
        b"\x07example",
        b"\x09a",
        b"\xc0\x0c",
        b"\x01a\x07example",
    ] {
        assert_eq!(set.lookup(bytes, 1).found, Found::OutOfZone, "{bytes:?}");
    }
    let mut deep = b"\x01a".repeat(120);
    deep.extend_from_slice(n("example").as_bytes());
    assert_eq!(set.lookup(&deep, 1).found, Found::NxDomain);
}

#[test]
fn rfc_2308_negative_ttl_is_the_smaller_of_ttl_and_minimum() {
    let of = |ttl: u32, minimum: u32| {
        let text = format!("@ {ttl} SOA a b 1 2 3 4 {minimum}\n@ 5 NS a\n");
        let parsed = parse::parse(&text, &n("example")).unwrap();
        let set = ZoneSet::build(vec![parsed], &[]).unwrap();
        set.zones()[0].negative_ttl.secs()
    };
    assert_eq!((of(3600, 60), of(30, 60)), (60, 30));
}

#[test]
fn build_reports_every_breach_by_name() {
    use BuildRule::*;
    let problems = build(
        &[
            ("example", "a A 192.0.2.1\nt TXT t\nsub NS ns.other.\n"),
            ("example", ""),
        ],
        &[
            steered("www.other", 0, false),
            steered("a.example", 1, false),
            steered("t.example", 2, true),
            steered("x.sub.example", 3, false),
            steered("example", 4, true),
            steered("ok.example", 5, false),
            steered("ok.example", 6, false),
        ],
    )
    .unwrap_err();
    let seen: Vec<_> = problems
        .iter()
        .map(|p| (p.rule, p.owner.to_string(), p.steered.map(|s| s.0)))
        .collect();
    let want = [
        (DuplicateApex, "example", None),
        (SteeredInNoZone, "www.other", Some(0)),
        (SteeredHasStaticData, "a.example", Some(1)),
        (SteeredHasStaticData, "t.example", Some(2)),
        (SteeredCnameAtApex, "example", Some(4)),
        (SteeredTwice, "ok.example", Some(6)),
        (SteeredBelowCut, "x.sub.example", Some(3)),
    ]
    .map(|(rule, owner, at)| (rule, owner.to_owned(), at));
    assert_eq!(seen, want);
}

#[test]
fn o8_cname_loops_are_refused_within_and_across_zones_and_through_wildcards() {
    let loops = |zones: &[(&str, &str)]| -> Vec<String> {
        let problems = build(zones, &[]).unwrap_err();
        assert!(problems.iter().all(|p| p.rule == BuildRule::CnameLoop));
        problems
            .iter()
            .map(|p| format!("{}: {p}", p.line.unwrap()))
            .collect()
    };
    let own = loops(&[("example", "a CNAME a\n")]);
    assert!(own[0].starts_with("4: CNAME records go in a circle: a.example → a.example;"));
    let two = loops(&[
        ("x", "in CNAME b.x\na CNAME b.y.\n"),
        ("y", "b CNAME a.x.\n"),
    ]);
    assert_eq!(two.len(), 1, "{two:?}");
    let wild = loops(&[("example", "*.w CNAME q.w\n")]);
    assert!(wild[0].contains("*.w.example → *.w.example"), "{wild:?}");
    let long: String = (0..50)
        .map(|i| format!("a{i} CNAME a{}\n", (i + 1) % 50))
        .collect();
    assert!(loops(&[("example", &long)])[0].contains("… 41 more …"));
    // A chain, a wildcard that leads out of itself, and an alias into a delegation are no loops.
    set(
        &[(
            "example",
            "a CNAME b\nb CNAME c\n*.w CNAME w\nd CNAME d.sub\nsub NS ns.other.\nd.sub CNAME d\n",
        )],
        &[],
    );
}
