//! Every record type that a master file may hold: its text, and its octets as another
//! implementation (dnspython 2.9) writes them.

use super::*;

/// Text of the record at `x.example` with the origin `example`, and its data.
const TYPES: &[(&str, &str)] = &[
    (r#"A 192.0.2.7"#, "c0000207"),
    (r#"NS ns1"#, "036e7331076578616d706c6500"),
    (r#"CNAME www.other."#, "03777777056f7468657200"),
    (r#"PTR 0/25.a_b"#, "04302f323503615f62076578616d706c6500"),
    (r#"HINFO PC "my os""#, "025043056d79206f73"),
    (r#"MX 10 mail"#, "000a046d61696c076578616d706c6500"),
    (r#"TXT "a" "b c" "\200\"""#, "01610362206302c822"),
    (
        r#"RP admin txt.other."#,
        "0561646d696e076578616d706c650003747874056f7468657200",
    ),
    (r#"AFSDB 1 afs"#, "000103616673076578616d706c6500"),
    (r#"X25 "311061700956""#, "0c333131303631373030393536"),
    (
        r#"ISDN "150862028003217" "004""#,
        "0f31353038363230323830303332313703303034",
    ),
    (r#"RT 10 relay"#, "000a0572656c6179076578616d706c6500"),
    (
        r#"PX 50 mail.other. x400.other."#,
        "0032046d61696c056f74686572000478343030056f7468657200",
    ),
    (
        r#"GPOS -32.6882 116.8652 10.0"#,
        "082d33322e36383832083131362e383635320431302e30",
    ),
    (r#"AAAA 2001:db8::7"#, "20010db8000000000000000000000007"),
    (
        r#"LOC 42 21 54.500 N 71 06 18 W -24m 30m"#,
        "0033161389172fc470be15f000988d20",
    ),
    (r#"LOC 52 S 0 E 0.5"#, "0012161374d78e0080000000009896b2"),
    (
        r#"LOC 31 0 0 S 106 28 29 E 10m 1m 10000m 10m"#,
        "0012161379591e8096d8d4c800989a68",
    ),
    (
        r#"LOC 90 N 180 W 42849672.95m 90000000m 0.01m 0m"#,
        "00991000934fd90059604e00ffffffff",
    ),
    (
        r#"SRV 1 2 443 host"#,
        "0001000201bb04686f7374076578616d706c6500",
    ),
    (
        r#"NAPTR 100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.gatech.edu."#,
        "0064003201730d7a333935302b49324c2b49324300065f7a33393530045f746370066761746563680365647500",
    ),
    (r#"KX 10 kx"#, "000a026b78076578616d706c6500"),
    (r#"CERT 1 12345 8 MTIzNDU2"#, "0001303908313233343536"),
    (r#"CERT PKIX 1 RSASHA256 AQIDBA=="#, "000100010801020304"),
    (r#"DNAME new.other."#, "036e6577056f7468657200"),
    (
        r#"DS 60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118"#,
        "ec4508012bb183af5f22588179a53b0a98631fad1a292118",
    ),
    (
        r#"DS 12345 13 2 3490A6806D47F17A34C29E2CE80E8A999FFBE4BE3490A6806D47F17A34C29E2C"#,
        "30390d023490a6806d47f17a34c29e2ce80e8a999ffbe4be3490a6806d47f17a34c29e2c",
    ),
    (
        r#"SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"#,
        "0402123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
    ),
    (
        r#"DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="#,
        "000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40",
    ),
    (
        r#"TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"#,
        "030101d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    ),
    (r#"SMIMEA 3 0 0 0123456789abcdef"#, "0300000123456789abcdef"),
    (r#"CSYNC 66 3 A NS AAAA"#, "000000420003000460000008"),
    (
        r#"CSYNC 0 0 MX TYPE1000"#,
        "00000000000000020001031e000000000000000000000000000000000000000000000000000000000080",
    ),
    (r#"OPENPGPKEY AQIDBAUGBwgJ"#, "010203040506070809"),
    (
        r#"SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1"#,
        "001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d313900040004c0000201",
    ),
    (
        r#"SVCB 1 foo port=53"#,
        "000103666f6f076578616d706c6500000300020035",
    ),
    (r#"SVCB 0 alias"#, "000005616c696173076578616d706c6500"),
    (
        r#"HTTPS 1 . alpn=h2 no-default-alpn port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=AEn+DQBFKwAgACABWIHUGj4u+PIggYXcR5JF0gYk3dCRioBW8uJq9H4mKAAIAAEAAQABAANAEnB1YmxpYy50bHMtZWNoLmRldgAA ipv6hint=2001:db8::1"#,
        "00010000010003026832000200000003000220fb00040008c0000201c00002020005004b0049fe0d00452b00200020015881d41a3e2ef8f2208185dc479245d20624ddd0918a8056f2e26af47e26280008000100010001000340127075626c69632e746c732d6563682e64657600000006001020010db8000000000000000000000001",
    ),
    (
        r#"HTTPS 1 foo key667=hello"#,
        "000103666f6f076578616d706c6500029b000568656c6c6f",
    ),
    (
        r#"HTTPS 3 svc4 ( alpn="h3" port="8003" )"#,
        "00030473766334076578616d706c650000010003026833000300021f43",
    ),
    (r#"SPF "v=spf1 -all""#, "0b763d73706631202d616c6c"),
    (r#"NINFO "one" two"#, "036f6e650374776f"),
    (r#"NID 10 0014:4fff:ff20:ee64"#, "000a00144fffff20ee64"),
    (r#"L32 10 10.1.2.0"#, "000a0a010200"),
    (r#"L64 10 2001:0DB8:1140:1000"#, "000a20010db811401000"),
    (
        r#"LP 10 l64-subnet1"#,
        "000a0b6c36342d7375626e657431076578616d706c6500",
    ),
    (r#"EUI48 00-00-5e-00-53-2a"#, "00005e00532a"),
    (r#"EUI64 00-00-5e-ef-10-00-00-2a"#, "00005eef1000002a"),
    (
        r#"URI 10 1 "ftp://ftp1.example/public""#,
        "000a00016674703a2f2f667470312e6578616d706c652f7075626c6963",
    ),
    (
        r#"CAA 0 issue "ca.example; account=1""#,
        "0005697373756563612e6578616d706c653b206163636f756e743d31",
    ),
    (r#"CAA 128 tbs Unknown"#, "8003746273556e6b6e6f776e"),
    (
        r#"AVC "app-name:WOLFGANG""#,
        "116170702d6e616d653a574f4c4647414e47",
    ),
    (
        r#"RESINFO qnamemin exterr=15,16,17 infourl=https://resolver.example.com/guide"#,
        "08716e616d656d696e0f6578746572723d31352c31362c31372a696e666f75726c3d68747470733a2f2f7265736f6c7665722e6578616d706c652e636f6d2f6775696465",
    ),
    (r#"WALLET BTC "wxyz""#, "03425443047778797a"),
    (
        r#"DLV 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"#,
        "ec4505012bb183af5f22588179a53b0a98631fad1a292118",
    ),
    (r#"TYPE65280 \# 3 abcdef"#, "abcdef"),
    (r#"TYPE1 \# 4 c0000207"#, "c0000207"),
    // RFC 9461 and RFC 9540, by hand.
    (
        r#"SVCB 1 dns alpn=h2 dohpath=/q{?dns} ohttp"#,
        "000103646e73076578616d706c650000010003026832000700082f717b3f646e737d00080000",
    ),
    // Types that dnspython does not know, by RFC 1035 sections 3.3.3 to 3.3.8 and the registry.
    (r#"MB a.b."#, "0161016200"),
    (r#"MG a.b."#, "0161016200"),
    (r#"MR a.b."#, "0161016200"),
    (r#"MINFO a.b. ."#, "016101620000"),
    (r#"TALINK a.b. ."#, "016101620000"),
    (
        r#"TA 1 2 1 2BB183AF5F22588179A53B0A98631FAD1A292118"#,
        "000102012bb183af5f22588179a53b0a98631fad1a292118",
    ),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Type, data in hexadecimal digits, and the names in it that may be compressed.
type Read = (u16, String, Vec<(u16, u16)>);

/// The record `x LINE`.
fn read(line: &str) -> Result<Read, String> {
    // A DS stands beside a delegation.
    let cut = if line.contains("DS ") || line.to_uppercase().contains("TYPE43 ") {
        "x NS ns.other.\n"
    } else {
        ""
    };
    let text = format!("{HEAD}{cut}x {line}\n");
    let zone = parse::parse(&text, &n("example")).map_err(|e| format!("{line}: {e:?}"))?;
    let mut found = zone.rrsets.iter().filter(|(o, _, _)| *o == n("x.example"));
    let (_, set, _) = found.next_back().unwrap();
    let data = &set.records[0];
    Ok((set.rtype, hex(&data.bytes), data.names.to_vec()))
}

#[test]
fn each_type_is_read_as_others_read_it() {
    let mut wrong = Vec::new();
    for (line, want) in TYPES {
        match read(line) {
            Ok((_, got, _)) if got == *want => {}
            other => wrong.push(format!("{line}: {other:?}\n  want {want}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// RFC 3597 section 5: the same data as octets, under the type's name and its number.
#[test]
fn rfc3597_5_each_type_may_be_written_as_octets() {
    let mut wrong = Vec::new();
    for (line, want) in TYPES {
        let (code, _, names) = read(line).unwrap();
        let word = line.split(' ').next().unwrap();
        let len = want.len() / 2;
        for rtype in [
            word.to_owned(),
            format!("TYPE{code}"),
            format!("type{code}"),
        ] {
            let again = read(&format!("CLASS1 {rtype} \\# {len} {want}"));
            if again != Ok((code, (*want).to_owned(), names.clone())) {
                wrong.push(format!("{rtype} {line}: {again:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of a type that is known, octets that are cut off or too many are refused.
#[test]
fn rfc3597_5_octets_of_known_types_must_be_sound() {
    for (line, want) in TYPES {
        let word = line.split(' ').next().unwrap();
        // Strings and digits to the end of the data end anywhere.
        let open = "TXT SPF NINFO AVC RESINFO WALLET ISDN URI CAA SSHFP TLSA SMIMEA DHCID OPENPGPKEY CERT DLV TA DS";
        if word.starts_with("TYPE6") || open.split(' ').any(|t| t == word) {
            continue;
        }
        let len = want.len() / 2;
        let short = format!("{word} \\# {} {}", len - 1, &want[..want.len() - 2]);
        assert!(read(&short).is_err(), "{short}");
        let long = format!("{word} \\# {} {want}00", len + 1);
        assert!(read(&long).is_err(), "{long}");
    }
}

/// RFC 3597 section 4: only names in types of RFC 1035 may be compressed.
#[test]
fn rfc3597_4_names_of_later_types_are_written_in_full() {
    for (line, _) in TYPES {
        let (code, _, names) = read(line).unwrap();
        let old = code < 17;
        let named = "NS CNAME PTR MX MB MG MR MINFO TYPE15".split(' ');
        let word = line.split(' ').next().unwrap();
        assert_eq!(
            !names.is_empty(),
            old && named.into_iter().any(|t| t == word),
            "{line}"
        );
    }
}

#[test]
fn every_type_with_a_name_is_read_or_refused_with_a_reason() {
    use crate::dns::rtype;
    let tested: Vec<u16> = TYPES
        .iter()
        .map(|(line, _)| read(line).unwrap().0)
        .collect();
    for t in rtype::known() {
        if tested.contains(&t.0) || t.0 == rtype::SOA {
            continue;
        }
        let why = read(&format!("{t} \\# 0")).unwrap_err();
        assert!(
            why.contains("cannot come from a zone file") || why.contains("not a type of data"),
            "{t}: {why}"
        );
    }
}

#[test]
fn generate_makes_records() {
    let zone = zone(
        "example",
        "$GENERATE 1-3 h$ 60 A 192.0.2.${10}\n$GENERATE 0-4/2 ${0,2,n}.r IN PTR h$.x\n$ORIGIN sub\n$GENERATE 7-7 @ TXT \"a $ \\$\"\n",
    );
    let all: Vec<String> = zone
        .rrsets
        .iter()
        .filter(|(_, set, _)| !matches!(set.rtype, 2 | 6))
        .map(|(owner, set, _)| format!("{owner} {} {}", set.ttl.secs(), hex(&set.records[0].bytes)))
        .collect();
    assert_eq!(
        all,
        [
            "h1.example 60 c000020b",
            "h2.example 60 c000020c",
            "h3.example 60 c000020d",
            "0.r.example 300 0268300178076578616d706c6500",
            "2.r.example 300 0268320178076578616d706c6500",
            "4.r.example 300 0268340178076578616d706c6500",
            "sub.example 300 056120372024",
        ]
    );
}
