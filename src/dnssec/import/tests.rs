//! Keys that were made here, in the clothes of others; tests/it reads what others really wrote.

use data_encoding::BASE64;

use super::*;
use crate::dnssec::Algorithm;

fn zone() -> WireName {
    "gslb.example".parse().unwrap()
}

fn pem(name: &str, head: &str, pkcs8: &[u8], layout: Layout) -> Result<(Role, SigningKey), String> {
    let text = format!(
        "{head}-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64.encode(pkcs8)
    );
    let file = KeyFile {
        name,
        private: text.as_bytes(),
        public: None,
    };
    read(file, &zone(), layout)
}

/// A pair as BIND writes it, of a key of ours.
fn pair(algorithm: Algorithm, flags: u16) -> (String, String, Box<[u8]>) {
    let pkcs8 = SigningKey::generate(algorithm).unwrap();
    let key = SigningKey::from_pkcs8(algorithm, flags, &pkcs8).unwrap();
    // Where ring writes the private number.
    let secret = match algorithm {
        Algorithm::Ed25519 => &pkcs8[16..48],
        _ => &pkcs8[36..68],
    };
    let private = format!(
        "Private-key-format: v1.3\nAlgorithm: {} (NAME)\nPrivateKey: {}\nCreated: 20260101000000\n",
        algorithm.number(),
        BASE64.encode(secret)
    );
    let encoded = BASE64.encode(&key.dnskey()[4..]);
    let (a, b) = encoded.split_at(20);
    let public = format!(
        "; This is a key, keyid {}\ngslb.example. 3600 IN DNSKEY {flags} 3 {} {a} {b}\n",
        key.tag(),
        algorithm.number()
    );
    (private, public, key.dnskey().into())
}

fn bind(private: &str, public: &str, layout: Layout) -> Result<(Role, SigningKey), String> {
    let file = KeyFile {
        name: "Kgslb.example.+013+00001.private",
        private: private.as_bytes(),
        public: Some(public.as_bytes()),
    };
    read(file, &zone(), layout)
}

#[test]
fn bind_pairs_of_both_curves_read_as_the_same_key() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        for (flags, layout, role) in [
            (257, Layout::Csk, Role::Csk),
            (257, Layout::KskZsk, Role::Ksk),
            (256, Layout::KskZsk, Role::Zsk),
        ] {
            let (private, public, dnskey) = pair(algorithm, flags);
            let (found, key) = bind(&private, &public, layout).unwrap();
            assert_eq!((found, key.dnskey()), (role, &*dnskey));
        }
    }
}

#[test]
fn bind_pairs_that_are_wrong_say_so_without_telling_secrets() {
    let (private, public, _) = pair(Algorithm::EcdsaP256, 257);
    let (_, other, _) = pair(Algorithm::EcdsaP256, 257);
    let told = |private: &str, public: &str, want: &str| {
        let e = bind(private, public, Layout::Csk).unwrap_err();
        assert!(e.contains(want), "{e}");
        let secret = private.split("PrivateKey: ").nth(1).unwrap_or("-----");
        assert!(!e.contains(&secret[..5]), "{e}");
    };
    told(&private, &other, "not a private key for EcdsaP256");
    told(&private, "", "holds no DNSKEY record");
    told(
        &private,
        &public.replace("gslb.", "other."),
        "is a key of zone `other.example",
    );
    told(
        &private,
        &public.replace(" 257 ", " 256 "),
        "is a ZSK, but the zone's policy wants CSK",
    );
    told(&private, &public.replace(" 257 ", " 385 "), "is revoked");
    told(
        &private,
        &public.replace(" 257 ", " 0 "),
        "has DNSKEY flags 0",
    );
    told(
        &private.replace("v1.3", "v2.0"),
        &public,
        "read are v1.2 and v1.3",
    );
    told(
        &private.replace(": 13", ": 5"),
        &public,
        "has algorithm `5`",
    );
    told(
        &private.replace("PrivateKey", "Public"),
        &public,
        "lacks the field `PrivateKey`",
    );
    told(
        &private.replace("PrivateKey: ", "PrivateKey: !"),
        &public,
        "that is not base64",
    );
    told(
        &private.replace("PrivateKey: ", "PrivateKey: AAAA"),
        &public,
        "of 35 octets; wanted are 32",
    );
    let file = KeyFile {
        name: "x.private",
        private: private.as_bytes(),
        public: None,
    };
    let e = read(file, &zone(), Layout::Csk).unwrap_err();
    assert!(e.contains("has no `.key` file beside it"), "{e}");
}

#[test]
fn pem_says_its_role_in_a_line_or_its_name() {
    let pkcs8 = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    let role = |name: &str, head: &str, layout| {
        pem(name, head, &pkcs8, layout).map(|(role, key)| (role, key.flags()))
    };
    assert_eq!(role("a.pem", "", Layout::Csk), Ok((Role::Csk, 257)));
    assert_eq!(role("a.zsk.pem", "", Layout::KskZsk), Ok((Role::Zsk, 256)));
    assert_eq!(
        role("ksk-013-1.pem", "", Layout::KskZsk),
        Ok((Role::Ksk, 257))
    );
    let head = "A key.\nRole: ksk\n";
    assert_eq!(
        role("a.zsk.pem", head, Layout::KskZsk),
        Ok((Role::Ksk, 257))
    );
    let e = role("a.pem", "", Layout::KskZsk).unwrap_err();
    assert!(e.contains("write a line `role: ksk`"), "{e}");
    let e = role("a.pem", "role: main\n", Layout::KskZsk).unwrap_err();
    assert!(e.contains("says `role: main`"), "{e}");
    let e = role("a.ksk.pem", "", Layout::Csk).unwrap_err();
    assert!(
        e.contains("is a KSK, but the zone's policy wants CSK"),
        "{e}"
    );
}

#[test]
fn p256_keys_whose_number_begins_with_zeros_read_with_and_without_them() {
    let (whole, short, public) = (0..100_000)
        .find_map(|_| {
            let whole = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
            let (private, point) = der::p256_parts(&whole).unwrap();
            let short = der::p256(private.strip_prefix(&[0])?, point);
            let point = point.to_vec();
            Some((whole, short, point))
        })
        .expect("one key in 256 begins with a zero");
    for pkcs8 in [whole, short] {
        let (_, key) = pem("x.csk.pem", "", &pkcs8, Layout::Csk).unwrap();
        assert_eq!(key.dnskey()[4..], public[..]);
    }
}

#[test]
fn bind_writes_numbers_that_begin_with_zeros_without_them() {
    let (shorter, public) = (0..100_000)
        .find_map(|_| {
            let (private, public, _) = pair(Algorithm::EcdsaP256, 257);
            let (head, tail) = private.split_once("PrivateKey: ").unwrap();
            let (number, tail) = tail.split_once('\n').unwrap();
            let number = BASE64.decode(number.as_bytes()).unwrap();
            let number = BASE64.encode(number.strip_prefix(&[0])?);
            Some((format!("{head}PrivateKey: {number}\n{tail}"), public))
        })
        .expect("one key in 256 begins with a zero");
    assert_eq!(
        bind(&shorter, &public, Layout::Csk).unwrap().0,
        Role::Csk,
        "{public}"
    );
}

#[test]
fn ed25519_without_its_public_half_reads_too() {
    let pkcs8 = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let whole = SigningKey::from_pkcs8(Algorithm::Ed25519, 257, &pkcs8).unwrap();
    let (_, bare) = pem("a.pem", "", &der::ed25519(&pkcs8[16..48]), Layout::Csk).unwrap();
    assert_eq!(bare.dnskey(), whole.dnskey());
}

#[test]
fn what_is_no_key_says_what_is_wanted() {
    let told = |bytes: &[u8], want: &str| {
        let file = KeyFile {
            name: "a.pem",
            private: bytes,
            public: None,
        };
        let e = read(file, &zone(), Layout::Csk).unwrap_err();
        assert!(e.contains(want), "{e}");
    };
    told(b"\xff\xfe", "is no text");
    told(b"hello", "has neither `-----BEGIN PRIVATE KEY-----`");
    for cut_off in [
        &b"-----BEGIN PRIVATE KEY-----\nAAAA\n"[..],
        b"-----BEGIN PRIV",
    ] {
        told(cut_off, "is cut off or is no PEM file");
    }
    told(
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "holds no private key in PEM",
    );
    told(
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "of an algorithm that does not sign here",
    );
    told(
        b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
        "openssl pkcs8 -topk8",
    );
    told(
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "is encrypted",
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_files_never_panic(private in ".{0,200}", public in ".{0,80}") {
        let _ = bind(&private, &public, Layout::Csk);
        let _ = bind(&format!("Private-key-format: v1.3\nAlgorithm: 15\nPrivateKey: {private}"), &public, Layout::KskZsk);
        let _ = pem(&public, &private, private.as_bytes(), Layout::KskZsk);
    }
}
