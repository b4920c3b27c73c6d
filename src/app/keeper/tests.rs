//! The keeper on virtual time and a real disk.

use super::*;
use crate::compile::ImportedKey;
use crate::dnssec::rollover::Phase;
use crate::dnssec::{Algorithm, Layout, Policy, Role, SigningKey};
use crate::units::Ttl;

const START: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn zone(policy: Policy) -> SignedZone {
    SignedZone {
        apex: "gslb.example".parse().unwrap(),
        policy: Arc::new(policy),
        zone_ttl: Ttl::from_secs(300),
        imported: Vec::new(),
    }
}

fn imported(role: Role) -> ImportedKey {
    let pkcs8 = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    let pair = SigningKey::from_pkcs8(Algorithm::EcdsaP256, role.flags(), &pkcs8).unwrap();
    ImportedKey {
        role,
        pair: Arc::new(pair),
        file: "key.pem".into(),
    }
}

fn keeper(dir: &Path) -> (Keeper, Arc<AtomicU64>) {
    let troubles = Arc::new(AtomicU64::new(0));
    (Keeper::new(Some(dir), troubles.clone()), troubles)
}

fn only(keys: &Keys) -> Arc<ZoneKeys> {
    assert_eq!(keys.zones.len(), 1);
    keys.zones.values().next().unwrap().clone()
}

#[test]
fn o10_a_zsk_rolls_on_its_own_and_generations_grow() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, _) = keeper(dir.path());
    let policy = Policy {
        layout: Layout::KskZsk,
        zsk_lifetime: Some(Duration::from_secs(30 * DAY)),
        ..Policy::default()
    };
    let first = only(&keeper.adopt(&[zone(policy)], &[], START).unwrap());
    assert_eq!((first.dnskey.len(), first.zone_signing.len()), (2, 1));
    assert!(first.cds.is_empty(), "not before every cache has the key");
    let mut now = START;
    let mut states = vec![first];
    while now < START + 32 * DAY {
        now += 600;
        states.extend(keeper.tick(now).map(|keys| only(&keys)));
    }
    assert!(states.windows(2).all(|w| w[0].generation < w[1].generation));
    let tag = |k: &Arc<ZoneKeys>| k.zone_signing[0].tag();
    let last = states.last().unwrap();
    assert_ne!(tag(&states[0]), tag(last));
    assert_eq!(
        (last.dnskey.len(), last.cds.len(), last.cdnskey.len()),
        (2, 1, 1)
    );
    assert!(states.iter().any(|k| k.dnskey.len() == 3));
    assert!(states.iter().all(|k| k.zone_signing.len() == 1));
}

#[test]
fn o10_a_restart_goes_on_with_the_same_keys_and_one_directory_has_one_keeper() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, _) = keeper(dir.path());
    let before = only(&one.adopt(&[zone(Policy::default())], &[], START).unwrap());
    let (mut two, _) = keeper(dir.path());
    let e = two
        .adopt(&[zone(Policy::default())], &[], START)
        .unwrap_err();
    assert!(e.0.contains("is in use by another process"), "{e}");
    drop(one);
    let after = only(
        &two.adopt(&[zone(Policy::default())], &[], START + 9)
            .unwrap(),
    );
    assert_eq!(before.dnskey, after.dnskey);
    assert_eq!(before.zone_signing[0].tag(), after.zone_signing[0].tag());
}

#[test]
fn o10_a_clock_that_is_behind_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, _) = keeper(dir.path());
    one.adopt(&[zone(Policy::default())], &[], START).unwrap();
    drop(one);
    let (mut two, troubles) = keeper(dir.path());
    let keys = two.adopt(&[zone(Policy::default())], &[], 1_000).unwrap();
    assert_eq!(
        only(&keys).dnskey.len(),
        1,
        "it goes on with the keys it has"
    );
    assert_eq!(troubles.load(Ordering::Relaxed), 1);
    assert!(two.tick(1_000 + DAY).is_none());
    let kept = two.zones.values().next().unwrap();
    assert_eq!(kept.state.keys[0].dnskey.phase, Phase::Rumoured);
    assert!(two.tick(START + DAY).is_some());
    assert_eq!(troubles.load(Ordering::Relaxed), 0);
}

#[test]
fn a_key_file_that_is_still_needed_must_stay_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, _) = keeper(dir.path());
    let (a, b) = (imported(Role::Csk), imported(Role::Csk));
    let with = |list: &[&ImportedKey]| SignedZone {
        imported: list.iter().map(|k| (*k).clone()).collect(),
        ..zone(Policy::default())
    };
    let keys = keeper.adopt(&[with(&[&a])], &[], START).unwrap();
    assert_eq!(only(&keys).zone_signing[0].tag(), a.pair.tag());
    for list in [&[&b][..], &[]] {
        let e = keeper.adopt(&[with(list)], &[], START + 1).unwrap_err();
        let want = format!("CSK {} is still in use", a.pair.tag());
        assert!(e.0.contains(&want) && e.0.contains("key-files"), "{e}");
    }
    // Beside the old one it takes over.
    keeper.adopt(&[with(&[&a, &b])], &[], START + 2).unwrap();
    let keys = keeper.tick(START + DAY).unwrap();
    assert_eq!(only(&keys).zone_signing[0].tag(), b.pair.tag());
    assert_eq!(only(&keys).dnskey.len(), 2);
    // No secret of the operator's is written anywhere.
    let entries = std::fs::read_dir(dir.path().join("keys/gslb.example")).unwrap();
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for tag in [a.pair.tag(), b.pair.tag()] {
            assert!(!name.contains(&format!("{tag:05}")), "{name}");
        }
    }
}

#[test]
fn an_unsigned_zone_on_its_way_to_unsigned_is_just_unsigned() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, _) = keeper(dir.path());
    let keys = keeper
        .adopt(&[zone(Policy::insecure())], &[], START)
        .unwrap();
    assert!(keys.zones.is_empty());
    assert!(keeper.adopt(&[], &[], START).unwrap().zones.is_empty());
}
