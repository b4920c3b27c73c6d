//! Files as they really are.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::dnssec::Algorithm;
use crate::dnssec::rollover::KeyState;

fn apex() -> WireName {
    "gslb.example".parse().unwrap()
}

fn made(store: &Store, algorithm: Algorithm) -> KeyState {
    let pkcs8 = SigningKey::generate(algorithm).unwrap();
    let pair = SigningKey::from_pkcs8(algorithm, Role::Csk.flags(), &pkcs8).unwrap();
    store.save_key(&apex(), Role::Csk, &pair, &pkcs8).unwrap();
    KeyState::new(Role::Csk, algorithm, pair.dnskey().into(), 7)
}

#[test]
fn s3_keys_read_back_and_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    assert_eq!(store.load(&apex()), Ok(None));
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = made(&store, algorithm);
        let read = store.load_key(&apex(), &key).unwrap();
        assert_eq!(read.dnskey(), &*key.dnskey_rdata);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.key_path(&apex(), &key)), 0o600);
        assert_eq!(mode(&store.dir(&apex())), 0o700);
        let state = ZoneState {
            keys: vec![key.clone()],
            ..ZoneState::default()
        };
        store.save(&apex(), &state).unwrap();
        assert_eq!(store.load(&apex()), Ok(Some(state)));
        store.delete_key(&apex(), &key).unwrap();
        store.delete_key(&apex(), &key).unwrap();
        assert!(store.load_key(&apex(), &key).is_err());
    }
}

#[test]
fn what_is_there_but_unreadable_is_never_taken_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let key = made(&store, Algorithm::EcdsaP256);
    let e = store.load(&apex()).unwrap_err().0;
    assert!(e.contains("state.json` is missing, but key"), "{e}");
    fs::write(store.dir(&apex()).join("state.json"), "{\"format\": 1").unwrap();
    let e = store.load(&apex()).unwrap_err().0;
    assert!(e.contains("state.json` is damaged"), "{e}");
    let other = made(&store, Algorithm::EcdsaP256);
    fs::rename(
        store.key_path(&apex(), &other),
        store.key_path(&apex(), &key),
    )
    .unwrap();
    let e = store.load_key(&apex(), &key).unwrap_err().0;
    assert!(e.contains(&format!("is not CSK {}", key.tag())), "{e}");
    let text = fs::read_to_string(store.key_path(&apex(), &key)).unwrap();
    for (damaged, why) in [
        ("rubbish", "` holds no PKCS #8 key in PEM; restore"),
        (&text[..20], "` is cut off or is no PEM file; restore"),
        (
            &text[..text.len() / 2],
            "` is cut off or is no PEM file; restore",
        ),
        (
            &text.replace('M', "!"),
            "` is cut off or is no PEM file; restore",
        ),
    ] {
        fs::write(store.key_path(&apex(), &key), damaged).unwrap();
        let e = store.load_key(&apex(), &key).unwrap_err().0;
        assert!(e.contains(why), "{e}");
    }
}

#[test]
fn a_left_over_of_a_crash_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(dir.path().join("file.new"), "half").unwrap();
    replace(&path, b"whole", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert!(!dir.path().join("file.new").exists());
    let e = replace(&dir.path().join("none/file"), b"", 0o600)
        .unwrap_err()
        .0;
    assert!(e.contains("cannot write") && e.contains("none/file"), "{e}");
}

#[test]
fn folders_of_odd_zones() {
    for (name, want) in [
        ("gslb.example", "gslb.example"),
        (".", "@"),
        ("a\\.b.example", "a%2Eb.example"),
        ("a/b.example", "a%2Fb.example"),
        ("_dns.xn--e1afmkfd", "_dns.xn--e1afmkfd"),
    ] {
        assert_eq!(dir_name(&name.parse().unwrap()), want);
    }
}
