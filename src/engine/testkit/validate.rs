//! A small validator on another library: are the signatures good, and do the proofs prove it?

use std::collections::BTreeMap;

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC3};
use hickory_proto::dnssec::{Nsec3HashAlgorithm, PublicKeyBuf, Verifier};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::dnssec::{Denial, ZoneKeys};

use super::{Got, UNIX, World};

/// What a validated answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::engine) enum Outcome {
    /// These data of the asked type, or what the aliases end with.
    Data(Vec<String>),
    /// The name exists, not the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// To servers below; secure or not.
    Referral(bool),
    /// Not answered from a signed zone.
    Insecure,
}

/// Validates answers of a world.
pub(in crate::engine) struct Validator<'w> {
    world: &'w World,
    /// Seconds on the calendar.
    pub unix: u64,
}

type Sets<'m> = BTreeMap<(Name, RecordType), Vec<&'m Record>>;

impl<'w> Validator<'w> {
    pub(in crate::engine) fn new(world: &'w World) -> Validator<'w> {
        Validator { world, unix: UNIX }
    }

    /// The keys of the zone that holds a name; of a DS set, those of the zone above.
    fn keys_of(&self, owner: &Name, rtype: RecordType) -> Option<&'w ZoneKeys> {
        let at = match rtype {
            RecordType::DS => owner.base_name(),
            _ => owner.clone(),
        };
        let apexes = self.world.zones.iter().map(|(apex, _)| *apex);
        let apex = apexes
            .filter(|apex| Name::from_ascii(format!("{apex}.")).unwrap().zone_of(&at))
            .max_by_key(|apex| apex.len())?;
        self.world.keys.of(&apex.parse().unwrap()).map(|k| &**k)
    }

    fn verify(&self, owner: &Name, rtype: RecordType, set: &[&Record], sigs: &[&Record]) {
        let above = || self.keys_of(owner, RecordType::DS);
        let keys = match rtype {
            // The proof that there is no DS comes from above.
            RecordType::NSEC => self.keys_of(owner, rtype).or_else(above),
            _ => self.keys_of(owner, rtype),
        };
        let Some(keys) = keys else {
            assert!(
                sigs.is_empty(),
                "{owner} {rtype}: signed, but its zone is not"
            );
            return;
        };
        assert!(!sigs.is_empty(), "{owner} {rtype}: no signature");
        let apex = Name::from_ascii(format!("{}.", keys.apex)).unwrap();
        for sig in sigs {
            let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &sig.data else {
                panic!("not a signature");
            };
            let input = rrsig.input();
            assert_eq!(input.signer_name, apex, "{owner} {rtype}");
            assert_eq!(sig.ttl, set[0].ttl, "RFC 4034 section 3");
            assert!(set.iter().all(|r| r.ttl <= input.original_ttl));
            assert!(u64::from(input.sig_inception.get()) <= self.unix);
            assert!(self.unix + u64::from(set[0].ttl) <= u64::from(input.sig_expiration.get()));
            let labels = owner.iter().count() - usize::from(owner.is_wildcard());
            assert_eq!(
                usize::from(input.num_labels),
                labels,
                "RFC 9824 section 3.3"
            );
            let good = keys.dnskey.iter().any(|d| {
                let public = PublicKeyBuf::new(d[4..].to_vec(), input.algorithm);
                let key = DNSKEY::with_flags(u16::from_be_bytes([d[0], d[1]]), public);
                key.calculate_key_tag().unwrap() == input.key_tag
                    && key
                        .verify_rrsig(owner, DNSClass::IN, rrsig, set.iter().copied())
                        .is_ok()
            });
            assert!(good, "{owner} {rtype}: bogus signature {rrsig}");
        }
    }

    /// Checks every signature of the sections; gives the sets.
    fn section<'m>(&self, records: &'m [Record], referral: bool) -> Sets<'m> {
        let mut sets: Sets<'m> = BTreeMap::new();
        let mut sigs: Sets<'m> = BTreeMap::new();
        for r in records {
            let key = |t| (r.name.to_lowercase(), t);
            match &r.data {
                RData::DNSSEC(DNSSECRData::RRSIG(s)) => {
                    sigs.entry(key(s.input().type_covered)).or_default().push(r);
                }
                _ => sets.entry(key(r.record_type())).or_default().push(r),
            }
        }
        for ((owner, rtype), set) in &sets {
            if referral && *rtype == RecordType::NS {
                assert!(
                    !sigs.contains_key(&(owner.clone(), *rtype)),
                    "signed NS of a cut"
                );
                continue;
            }
            // RFC 6672 section 5.3.1: the CNAME that a DNAME means is not signed.
            let redirected = sets.keys().any(|(above, t)| {
                *t == RecordType::DNAME && above != owner && above.zone_of(owner)
            });
            if redirected && *rtype == RecordType::CNAME {
                assert!(!sigs.contains_key(&(owner.clone(), *rtype)));
                continue;
            }
            let of = sigs.get(&(owner.clone(), *rtype));
            self.verify(owner, *rtype, set, of.map_or(&[][..], |s| s));
        }
        for key in sigs.keys() {
            assert!(sets.contains_key(key), "signature of nothing: {key:?}");
        }
        sets
    }

    /// What the answer says; panics where it is bogus.
    pub(in crate::engine) fn validate(&self, got: &Got, qtype: RecordType) -> Outcome {
        let m = &got.message;
        let asked = m.queries[0].name().to_lowercase();
        let answers = self.section(&m.answers, false);
        let mut at = asked;
        while let Some(next) = answers.get(&(at.clone(), RecordType::CNAME))
            && !answers.contains_key(&(at.clone(), qtype))
        {
            let RData::CNAME(target) = &next[0].data else {
                panic!("not a CNAME");
            };
            at = target.0.to_lowercase();
        }
        if let Some(set) = answers.get(&(at.clone(), qtype)) {
            let mut data: Vec<_> = set.iter().map(|r| r.data.to_string()).collect();
            data.sort();
            self.section(&m.additionals, false);
            return Outcome::Data(data);
        }
        let is_cut = |r: &&Record| {
            r.record_type() == RecordType::NS
                && !m
                    .authorities
                    .iter()
                    .any(|s| s.record_type() == RecordType::SOA)
        };
        let cut = m
            .authorities
            .iter()
            .find(is_cut)
            .map(|r| r.name.to_lowercase());
        let authorities = self.section(&m.authorities, cut.is_some());
        self.section(
            &m.additionals
                .iter()
                .filter(|_| cut.is_none())
                .cloned()
                .collect::<Vec<_>>(),
            false,
        );
        if let Some(cut) = cut {
            let Some(keys) = self.keys_of(&cut, RecordType::DS) else {
                return Outcome::Insecure;
            };
            if authorities.contains_key(&(cut.clone(), RecordType::DS)) {
                return Outcome::Referral(true);
            }
            let types = matched(&authorities, &cut, keys).expect("proof of the missing DS");
            assert!(types.contains(&RecordType::NS));
            assert!(!types.contains(&RecordType::DS) && !types.contains(&RecordType::SOA));
            return Outcome::Referral(false);
        }
        let Some(keys) = self.keys_of(&at, qtype) else {
            return Outcome::Insecure;
        };
        if m.authorities.is_empty() {
            // A chain that goes out of our zones, or ANY.
            return Outcome::Insecure;
        }
        match matched(&authorities, &at, keys) {
            Some(types) if types.contains(&RecordType::Unknown(128)) => {
                assert_eq!(types.len(), 3, "RFC 9824 section 3.1: RRSIG NSEC NXNAME");
                Outcome::NxDomain
            }
            Some(types) => {
                assert!(!types.contains(&qtype), "{at} {qtype}: bitmap {types:?}");
                assert!(
                    !types.contains(&RecordType::CNAME),
                    "{at}: bitmap {types:?}"
                );
                assert_eq!(m.metadata.response_code, ResponseCode::NoError);
                Outcome::NoData
            }
            None => {
                assert_eq!(keys.denial, Denial::Nsec3, "{at}: no proof");
                assert_eq!(m.metadata.response_code, ResponseCode::NXDomain, "{at}");
                closest_encloser(&authorities, &at, keys);
                Outcome::NxDomain
            }
        }
    }
}

/// Types at a name by the record that matches it.
fn matched(sets: &Sets<'_>, name: &Name, keys: &ZoneKeys) -> Option<Vec<RecordType>> {
    match keys.denial {
        Denial::Compact => {
            let set = sets.get(&(name.clone(), RecordType::NSEC))?;
            let RData::DNSSEC(DNSSECRData::NSEC(nsec)) = &set[0].data else {
                panic!("not NSEC");
            };
            assert_eq!(set.len(), 1);
            assert!(
                nsec.next_domain_name() > name
                    && nsec.next_domain_name().iter().next() == Some(b"\0")
            );
            Some(nsec.type_bit_maps().collect())
        }
        Denial::Nsec3 => {
            let hash = hash(name);
            nsec3s(sets)
                .find(|(from, _)| *from == hash)
                .map(|(_, n)| n.type_bit_maps().collect())
        }
    }
}

/// RFC 5155 section 8.4.
fn closest_encloser(sets: &Sets<'_>, name: &Name, keys: &ZoneKeys) {
    let mut next_closer = name.clone();
    let encloser = loop {
        let up = next_closer.base_name();
        assert!(!up.is_root(), "no closest encloser of {name}");
        if matched(sets, &up, keys).is_some() {
            break up;
        }
        next_closer = up;
    };
    let covers = |name: &Name| {
        let hash = hash(name);
        nsec3s(sets).any(|(from, n)| from < hash && hash.as_slice() < n.next_hashed_owner_name())
    };
    assert!(covers(&next_closer), "next closer {next_closer}");
    let wildcard = encloser.prepend_label("*").unwrap();
    assert!(covers(&wildcard), "wildcard {wildcard}");
}

fn nsec3s<'m>(sets: &'m Sets<'_>) -> impl Iterator<Item = (Vec<u8>, &'m NSEC3)> {
    sets.iter()
        .filter(|((_, t), _)| *t == RecordType::NSEC3)
        .map(|((owner, _), set)| {
            let RData::DNSSEC(DNSSECRData::NSEC3(n)) = &set[0].data else {
                panic!("not NSEC3");
            };
            assert_eq!(
                (set.len(), n.iterations(), n.salt(), n.opt_out()),
                (1, 0, &[][..], false)
            );
            (base32(owner.iter().next().unwrap()), n)
        })
}

fn hash(name: &Name) -> Vec<u8> {
    let digest = Nsec3HashAlgorithm::SHA1.hash(&[], name, 0).unwrap();
    digest.as_ref().to_vec()
}

fn base32(label: &[u8]) -> Vec<u8> {
    let mut bits = 0u128;
    let mut have = 0;
    let mut out = Vec::new();
    for c in label {
        let v = match c.to_ascii_lowercase() {
            d @ b'0'..=b'9' => d - b'0',
            l => l - b'a' + 10,
        };
        bits = bits << 5 | u128::from(v);
        have += 5;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    out
}
