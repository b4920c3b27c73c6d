//! Hellos of libraries and made by hand, cut in every way.

use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;

/// A hello as the tests want it.
struct Made {
    version: u16,
    session: usize,
    suites: Vec<u8>,
    compression: Vec<u8>,
    /// `None`: it ends before them.
    extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl Default for Made {
    fn default() -> Made {
        Made {
            version: 0x0303,
            session: 32,
            suites: vec![0x13, 0x01, 0x13, 0x02],
            compression: vec![0],
            extensions: Some(Vec::new()),
        }
    }
}

fn vector16(data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&len.to_be_bytes()[..], data].concat()
}

/// The extension for one host.
fn sni(host: &str) -> (u16, Vec<u8>) {
    sni_list(&[(0, host.as_bytes())])
}

fn sni_list(names: &[(u8, &[u8])]) -> (u16, Vec<u8>) {
    let names = names.iter();
    let list: Vec<u8> = names
        .flat_map(|(kind, name)| [&[*kind][..], &vector16(name)].concat())
        .collect();
    (0, vector16(&list))
}

fn alpn(protocols: &[&[u8]]) -> (u16, Vec<u8>) {
    let list: Vec<u8> = protocols
        .iter()
        .flat_map(|p| [&[p.len() as u8][..], p].concat())
        .collect();
    (16, vector16(&list))
}

impl Made {
    fn with(extensions: Vec<(u16, Vec<u8>)>) -> Made {
        Made {
            extensions: Some(extensions),
            ..Made::default()
        }
    }

    /// The message, head included.
    fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(self.session as u8);
        body.extend(vec![9; self.session]);
        body.extend(vector16(&self.suites));
        body.push(self.compression.len() as u8);
        body.extend(&self.compression);
        if let Some(extensions) = &self.extensions {
            let list: Vec<u8> = extensions
                .iter()
                .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &vector16(data)].concat())
                .collect();
            body.extend(vector16(&list));
        }
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1], &len[1..], &body].concat()
    }

    fn octets(&self) -> Vec<u8> {
        records(&self.message(), &[])
    }

    fn read(&self) -> Result<Hello, HelloError> {
        read(&self.octets(), MESSAGE)
    }
}

/// The message in records with so many octets each, the last with the rest.
fn records(mut message: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut sizes = sizes.iter();
    while !message.is_empty() {
        let most = sizes.next().map_or(1 << 14, |size| (*size).max(1));
        let (part, rest) = message.split_at(message.len().min(most));
        octets.extend([22, 3, 1]);
        octets.extend(vector16(part));
        message = rest;
    }
    octets
}

/// What a browser of this year sends, by its shape: GREASE at both ends, an outer hello of ECH, a
/// post-quantum key share, padding.
fn browser(host: &str) -> Made {
    Made::with(vec![
        (0x3a3a, vec![]),
        (51, vec![5; 1_263]),
        sni(host),
        (0xfe0d, vec![6; 218]),
        alpn(&[b"\x1a\x1a", b"h2", b"http/1.1"]),
        (43, vec![6, 0x7a, 0x7a, 3, 4, 3, 3]),
        (0xcaca, vec![0]),
        (21, vec![0; 400]),
    ])
}

fn malformed(made: &Made) -> Malformed {
    match made.read() {
        Err(HelloError::Malformed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn name_and_protocols_are_read() {
    let hello = browser("WWW.Example.COM").read().unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("www.example.com"));
    let offered: Vec<&[u8]> = hello.alpn.iter().collect();
    assert_eq!(offered, [&b"\x1a\x1a"[..], b"h2", b"http/1.1"]);
    assert!(hello.alpn.offers(b"h2") && !hello.alpn.offers(b"h3"));
    for (host, name) in [
        ("a.example.", Some("a.example")),
        (
            "_dmarc.xn--mnchen-3ya.example",
            Some("_dmarc.xn--mnchen-3ya.example"),
        ),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
    ] {
        let hello = Made::with(vec![sni(host)]).read().unwrap();
        assert_eq!(hello.server_name.as_deref(), name, "{host}");
        assert!(hello.alpn.is_empty());
    }
    // A type that does not exist yet is skipped.
    let newer = Made::with(vec![sni_list(&[(1, b"?"), (0, b"a.example")])]);
    assert_eq!(
        newer.read().unwrap().server_name.as_deref(),
        Some("a.example")
    );
    // TLS 1.2 and older may end before the extensions, and say an older version.
    let old = Made {
        version: 0x0301,
        session: 0,
        extensions: None,
        ..Made::default()
    };
    assert_eq!(old.read(), Ok(Hello::default()));
}

#[test]
fn the_hello_of_rustls_is_read() {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"imap".to_vec()];
    let name = ServerName::try_from("mail.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut octets = Vec::new();
    client.write_tls(&mut octets).unwrap();
    let hello = read(&octets, MESSAGE).unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("mail.example"));
    assert!(hello.alpn.offers(b"imap"));
}

#[test]
fn other_protocols_are_told_by_their_first_octets() {
    for octets in [
        &b"G"[..],
        b"\x80\x2e\x01\x03\x01", // SSL 2
        b"\x15",                 // an alert
        b"\x16\x02",
        b"\x16\x03\x05",
        b"SSH-2.0-x",
        b"PROXY TCP4 ",
        b"\r\n\r\n\0\r\nQUIT\n",
    ] {
        assert_eq!(read(octets, MESSAGE), Err(HelloError::NotTls), "{octets:?}");
    }
    assert_eq!(read(b"", MESSAGE), Err(HelloError::Incomplete(1)));
}

#[test]
fn what_breaks_the_rules_is_refused() {
    use Malformed::{HostName, Torn, Twice, TwoNames, Version};
    let twice = Made::with(vec![sni("a.example"), (5, vec![]), (5, vec![])]);
    assert_eq!(malformed(&twice), Twice(5));
    let names = Made::with(vec![sni("a.example"), sni("b.example")]);
    assert_eq!(malformed(&names), Twice(0));
    let names = Made::with(vec![sni_list(&[(0, b"a.example"), (0, b"b.example")])]);
    assert_eq!(malformed(&names), TwoNames);
    for host in [
        "",
        ".",
        "a..b",
        "a b",
        "m\u{fc}nchen.example",
        "a\0.example",
        "*.a",
    ] {
        let why = malformed(&Made::with(vec![sni(host)]));
        assert_eq!(why, HostName, "{host:?}");
    }
    let long = format!("{}a", "a.".repeat(127));
    assert_eq!(malformed(&Made::with(vec![sni(&long)])), HostName);
    assert_eq!(malformed(&Made::with(vec![sni(&"a".repeat(64))])), HostName);
    for (extension, part) in [
        ((0, vec![]), Part::ServerName),
        ((0, vec![0, 0]), Part::ServerName),
        ((0, vec![0, 4, 0, 0, 9, b'a']), Part::ServerName),
        ((0, vec![0, 4, 0, 0, 1, b'a', 0]), Part::ServerName),
        ((16, vec![]), Part::Alpn),
        ((16, vec![0, 0]), Part::Alpn),
        ((16, vec![0, 1, 0]), Part::Alpn),
        ((16, vec![0, 3, 3, b'h', b'2']), Part::Alpn),
    ] {
        let made = Made::with(vec![extension.clone()]);
        assert_eq!(malformed(&made), Torn(part), "{extension:?}");
    }
    let made = |change: fn(&mut Made)| {
        let mut made = Made::default();
        change(&mut made);
        malformed(&made)
    };
    assert_eq!(made(|m| m.version = 0x0204), Version(0x0204));
    assert_eq!(made(|m| m.session = 33), Torn(Part::Message));
    assert_eq!(made(|m| m.suites.clear()), Torn(Part::Message));
    assert_eq!(made(|m| m.suites.truncate(3)), Torn(Part::Message));
    assert_eq!(made(|m| m.compression.clear()), Torn(Part::Message));
    // Something behind the extensions, or a list that ends in the middle of one.
    let mut message = Made::default().message();
    message.push(0);
    message[3] += 1;
    let why = read(&records(&message, &[]), MESSAGE).unwrap_err();
    assert_eq!(why, HelloError::Malformed(Torn(Part::Extensions)));
}

#[test]
fn records_that_break_the_rules_are_refused() {
    use Malformed::{EmptyRecord, Long, LongRecord, OtherMessage, OtherRecord, Scattered};
    let whole = browser("a.example").message();
    let refused = |octets: &[u8], most| match read(octets, most) {
        Err(HelloError::Malformed(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut octets = records(&whole, &[100]);
    octets[105] = 23;
    assert_eq!(refused(&octets, MESSAGE), OtherRecord(23));
    let empty = [&records(&whole[..50], &[])[..], &[22, 3, 3, 0, 0]].concat();
    assert_eq!(refused(&empty, MESSAGE), EmptyRecord);
    assert_eq!(refused(&[22, 3, 1, 0x40, 1], MESSAGE), LongRecord(16_385));
    assert_eq!(refused(&records(&[2], &[]), MESSAGE), OtherMessage(2));
    let long = refused(&records(&[1, 0, 0x40, 1], &[]), MESSAGE);
    assert_eq!(
        long,
        Long {
            octets: 16_385,
            most: 16_384
        }
    );
    // A message of the largest size passes in large records and not in tiny ones.
    let size = MESSAGE
        - Made::with(vec![sni("a.example"), (21, vec![])])
            .message()
            .len()
        + 4;
    let largest = Made::with(vec![sni("a.example"), (21, vec![0; size])]).message();
    assert_eq!(largest.len(), 4 + MESSAGE);
    let name = |octets: &[u8]| read(octets, MESSAGE).map(|h| h.server_name);
    let expected = Ok(Some("a.example".into()));
    assert_eq!(name(&records(&largest, &[])), expected);
    assert_eq!(name(&records(&largest, &[6; 3_000])), expected);
    let tiny = records(&largest, &[1; 20_000]);
    assert_eq!(refused(&tiny, MESSAGE), Scattered(window(MESSAGE)));
    assert_eq!(
        name(&records(&browser("a.example").message(), &[1; 5_000])),
        expected
    );
}

/// Reads as a proxy does that looks again when there are as many octets as it was told to wait for;
/// also says how often it looked.
fn waiting(octets: &[u8], most: usize) -> (Result<Hello, HelloError>, usize) {
    let (mut seen, mut looks) = (0, 0);
    loop {
        looks += 1;
        match read(&octets[..seen], most) {
            Err(HelloError::Incomplete(need)) => {
                assert!(need > seen, "it waits for what is there");
                if need > octets.len() {
                    return (Err(HelloError::Incomplete(need)), looks);
                }
                seen = need;
            }
            other => return (other, looks),
        }
    }
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_answer(
        sizes in prop::collection::vec(1usize..400, 0..30), dull in any::<bool>()
    ) {
        let made = if dull { Made::with(vec![sni("a.example")]) } else { browser("a.example") };
        let octets = records(&made.message(), &sizes);
        let whole = read(&octets, MESSAGE);
        prop_assert!(whole.is_ok());
        for n in 0..octets.len() {
            match read(&octets[..n], MESSAGE) {
                Err(HelloError::Incomplete(need)) => {
                    prop_assert!(n < need && need <= octets.len(), "{} {}", n, need);
                }
                other => prop_assert!(false, "{}: {:?}", n, other),
            }
        }
        // What follows has no say in it.
        let more = [&octets[..], b"\x17\x03\x03 more"].concat();
        prop_assert_eq!(&read(&more, MESSAGE), &whole);
        let (waited, looks) = waiting(&octets, MESSAGE);
        prop_assert_eq!(&waited, &whole);
        prop_assert!(looks <= 4 + 2 * sizes.len(), "{} looks", looks);
    }

    #[test]
    fn an_answer_is_final(
        mut octets in prop::collection::vec(any::<u8>(), 0..600),
        begin in prop::sample::select(vec![0usize, 3, 6, 11, 80]),
        flips in prop::collection::vec((0usize..200, any::<u8>()), 0..3),
    ) {
        // Noise behind a beginning that is more or less sound.
        let sound = Made::with(vec![sni("a.example")]).octets();
        let mut whole = sound[..begin].to_vec();
        whole.append(&mut octets);
        for (at, with) in flips {
            if let Some(octet) = whole.get_mut(at) {
                *octet = with;
            }
        }
        let last = read(&whole, MESSAGE);
        for n in 0..=whole.len() {
            match read(&whole[..n], MESSAGE) {
                Err(HelloError::Incomplete(need)) => prop_assert!(need > n),
                answer => prop_assert_eq!(&answer, &last, "{}", n),
            }
        }
    }

    #[test]
    fn a_whole_window_has_an_answer(
        sizes in prop::collection::vec(1usize..40, 0..600), most in 1_024usize..4_096
    ) {
        let message = [&[1, 0][..], &(most as u16).to_be_bytes(), &vec![3; most]].concat();
        let octets = records(&message, &sizes);
        if octets.len() >= window(most) {
            let answer = read(&octets[..window(most)], most);
            prop_assert!(!matches!(answer, Err(HelloError::Incomplete(_))), "{:?}", answer);
        }
    }
}
