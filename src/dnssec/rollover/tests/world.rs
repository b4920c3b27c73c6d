//! A world of caches around one zone: what validators may hold at any time.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dnssec::rollover::{
    DsPhase, Event, KeyState, Phase, Terms, ZoneState, awaits_parent, ds_seen, ds_seen_as_asked,
    ds_wanted, order_roll, step,
};
use crate::dnssec::{Algorithm, Layout, Policy, Role};

/// Something that happens to the zone.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Wait,
    /// The parent does all that it is asked, and it is told.
    ParentSwaps,
    /// The parent adds, and removes nothing.
    ParentAdds,
    /// Somebody looks at the parent's DS set.
    Report,
    Roll(Role),
    Layout(Layout),
    Algorithm(Algorithm),
    DnskeyTtl(u64),
    ZoneTtl(u64),
    ZskLifetime(Option<u64>),
    KskLifetime(Option<u64>),
    Import(Role),
    DropImports,
}

/// A key as validators know it: DNSKEY RDATA, and its algorithm.
type Known = (Box<[u8]>, Algorithm);

/// What one cache may hold, and until when.
#[derive(Clone, Debug)]
struct Held<T> {
    what: T,
    /// Some cache may hold it up to and including then; `None`: it is still served.
    until: Option<u64>,
    /// Cache time of it.
    keeps: u64,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct DnskeySet {
    keys: BTreeSet<Known>,
    signers: BTreeSet<Known>,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) policy: Policy,
    pub(super) zone_ttl: u64,
    pub(super) state: ZoneState,
    pub(super) imported: Vec<(Role, Algorithm, Box<[u8]>)>,
    /// All events so far, with their times.
    pub(super) told: Vec<(u64, Event)>,
    pub(super) due: Option<u64>,
    made: u16,
    parent: BTreeSet<Known>,
    dnskeys: Vec<Held<DnskeySet>>,
    data: Vec<Held<BTreeSet<Known>>>,
    ds: Vec<Held<BTreeSet<Known>>>,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn known(k: &KeyState) -> Known {
    (k.dnskey_rdata.clone(), k.algorithm)
}

/// Adds what is served now to what caches hold.
fn serve<T: PartialEq>(held: &mut Vec<Held<T>>, what: T, keeps: u64, now: u64, prop: u64) {
    // At the very instant of `until` the TTL is 0: no cache serves it any more.
    held.retain(|h| h.until.is_none_or(|u| u > now));
    if let Some(last) = held.last_mut() {
        if last.what == what && last.keeps == keeps {
            return;
        }
        last.until = Some(now + prop + last.keeps);
    }
    held.push(Held {
        what,
        until: None,
        keeps,
    });
}

impl World {
    /// `times`: propagation delay, parent's DS TTL, parent's propagation delay, zone TTL.
    pub(super) fn new([propagation, ds_ttl, parent_propagation, zone_ttl]: [u64; 4]) -> World {
        let policy = Policy {
            dnskey_ttl: seconds(7),
            propagation_delay: seconds(propagation),
            parent_ds_ttl: seconds(ds_ttl),
            parent_propagation_delay: seconds(parent_propagation),
            ..Policy::default()
        };
        World::with(policy, zone_ttl)
    }

    pub(super) fn with(policy: Policy, zone_ttl: u64) -> World {
        let mut world = World {
            now: 1_000_000,
            policy,
            zone_ttl,
            state: ZoneState::default(),
            imported: Vec::new(),
            told: Vec::new(),
            due: None,
            made: 0,
            parent: BTreeSet::new(),
            dnskeys: Vec::new(),
            data: Vec::new(),
            ds: Vec::new(),
        };
        // Before it was signed.
        world.publish();
        world.step();
        world
    }

    fn key(&mut self, role: Role, algorithm: Algorithm) -> Box<[u8]> {
        self.made += 1;
        let mut rdata = role.flags().to_be_bytes().to_vec();
        rdata.extend([3, algorithm.number()]);
        // No two tags are alike, whatever the flags.
        rdata.extend((self.made * 16).to_be_bytes());
        rdata.push(0);
        rdata.into()
    }

    fn step(&mut self) {
        let mut state = self.state.clone();
        let imported = self.imported.clone();
        let policy = self.policy.clone();
        let terms = Terms {
            policy: &policy,
            zone_ttl: self.zone_ttl,
            imported: &imported,
        };
        let now = self.now;
        let outcome = step(&mut state, &terms, now, &mut |role, algorithm| {
            Ok(self.key(role, algorithm))
        });
        assert_eq!(outcome.failed, None);
        assert!(outcome.due.is_none_or(|d| d > now), "{:?}", outcome.due);
        self.state = state;
        self.due = outcome.due;
        self.told
            .extend(outcome.events.into_iter().map(|e| (now, e)));
        self.publish();
        self.check();
    }

    fn publish(&mut self) {
        let prop = self.policy.propagation_delay.as_secs();
        let live = || self.state.live();
        let published = |k: &&KeyState| k.dnskey.phase.is_published();
        let set = DnskeySet {
            keys: live().filter(published).map(known).collect(),
            signers: live()
                .filter(published)
                .filter(|k| k.role.signs_keys())
                .map(known)
                .collect(),
        };
        let signers = live().filter(|k| k.is_signing()).map(known).collect();
        let ttl = self.policy.dnskey_ttl.as_secs();
        serve(&mut self.dnskeys, set, ttl, self.now, prop);
        serve(&mut self.data, signers, self.zone_ttl, self.now, prop);
        serve(
            &mut self.ds,
            self.parent.clone(),
            self.policy.parent_ds_ttl.as_secs(),
            self.now,
            self.policy.parent_propagation_delay.as_secs(),
        );
    }

    /// Every combination of what caches may hold now validates, also for a validator that insists on
    /// every algorithm (RFC 4035 section 2.2).
    fn check(&self) {
        for ds in &self.ds {
            for keys in &self.dnskeys {
                for data in &self.data {
                    if let Err(e) = validate(&ds.what, &keys.what, &data.what) {
                        panic!(
                            "at {}: {e}\nDS {:?}\nDNSKEY {:?}\ndata signed by {:?}\nstate {:#?}\n\
                             told {:#?}",
                            self.now, ds.what, keys.what, data.what, self.state, self.told
                        );
                    }
                }
            }
        }
    }

    /// Lets time pass, with every step at its time.
    pub(super) fn pass(&mut self, seconds: u64) {
        let end = self.now + seconds;
        while let Some(due) = self.due.filter(|d| *d <= end) {
            self.now = due;
            self.step();
        }
        self.now = end;
        self.publish();
        self.check();
    }

    /// The parent's DS set becomes `set`.
    fn parent_has(&mut self, set: BTreeSet<Known>) {
        self.parent = set;
        self.publish();
        self.check();
    }

    fn asked(&self) -> BTreeSet<Known> {
        ds_wanted(&self.state).map(known).collect()
    }

    pub(super) fn apply(&mut self, op: &Op) {
        let now = self.now;
        match op {
            Op::Wait => {}
            Op::ParentSwaps => {
                if !awaits_parent(&self.state) {
                    return;
                }
                self.parent_has(self.asked());
                let events = ds_seen_as_asked(&mut self.state, now).unwrap();
                self.told.extend(events.into_iter().map(|e| (now, e)));
            }
            Op::ParentAdds => {
                let mut set = self.parent.clone();
                set.extend(self.asked());
                self.parent_has(set);
            }
            Op::Report => {
                let parent = self.parent.clone();
                let events = ds_seen(&mut self.state, now, |k| parent.contains(&known(k)));
                self.told.extend(events.into_iter().map(|e| (now, e)));
            }
            Op::Roll(role) => {
                if let Ok(event) = order_roll(&mut self.state, *role, now) {
                    self.told.push((now, event));
                }
            }
            Op::Layout(layout) => {
                self.policy.layout = *layout;
                // With imported keys the files say which roles there are.
                self.imported.clear();
            }
            Op::Algorithm(algorithm) => self.policy.algorithm = *algorithm,
            Op::DnskeyTtl(ttl) => self.policy.dnskey_ttl = seconds(*ttl),
            Op::ZoneTtl(ttl) => self.zone_ttl = *ttl,
            Op::ZskLifetime(l) => self.policy.zsk_lifetime = l.map(seconds),
            Op::KskLifetime(l) => self.policy.ksk_lifetime = l.map(seconds),
            Op::Import(role) => self.import(*role),
            Op::DropImports => self.imported.clear(),
        }
        self.step();
    }

    /// A further file of the role, and of the other roles that are needed.
    fn import(&mut self, role: Role) {
        let algorithm = self.policy.algorithm;
        for needed in self.policy.layout.roles() {
            let has = self
                .imported
                .iter()
                .any(|(r, a, _)| r == needed && *a == algorithm);
            if *needed == role || !has {
                let rdata = self.key(*needed, algorithm);
                self.imported.push((*needed, algorithm, rdata));
            }
        }
    }

    /// Until nothing is due and the parent has all that it is asked.
    pub(super) fn settle(&mut self) {
        for _ in 0..200 {
            if awaits_parent(&self.state) {
                self.apply(&Op::ParentSwaps);
            } else if let Some(due) = self.due {
                self.pass(due - self.now);
            } else {
                return;
            }
        }
        panic!("never ends: {:#?}", self.state);
    }

    /// The parent follows; then time passes.
    pub(super) fn settle_for(&mut self, seconds: u64) {
        let end = self.now + seconds;
        while self.now < end {
            if awaits_parent(&self.state) {
                self.apply(&Op::ParentSwaps);
            }
            let next = self.due.map_or(end, |d| d.min(end));
            self.pass(next - self.now);
        }
    }

    pub(super) fn assert_settled(&self) {
        let keys: Vec<&KeyState> = self.state.live().collect();
        let mut roles: Vec<Role> = keys.iter().map(|k| k.role).collect();
        roles.sort();
        assert_eq!(roles, self.policy.layout.roles(), "{keys:#?}");
        for k in keys {
            assert!(k.wanted, "{k:#?}");
            assert_eq!(k.dnskey.phase, Phase::Omnipresent, "{k:#?}");
            assert_eq!(k.word(), "active");
            if k.role.signs_zone() {
                assert_eq!(k.signatures.phase, Phase::Omnipresent, "{k:#?}");
            }
            if k.role.signs_keys() {
                assert_eq!(k.ds.phase, DsPhase::Omnipresent, "{k:#?}");
            }
        }
        assert_eq!(self.parent, self.asked());
    }
}

/// What a validator finds that holds these sets.
fn validate(ds: &BTreeSet<Known>, keys: &DnskeySet, data: &BTreeSet<Known>) -> Result<(), String> {
    let algorithms =
        |set: &BTreeSet<Known>| -> BTreeSet<Algorithm> { set.iter().map(|(_, a)| *a).collect() };
    for algorithm in algorithms(ds) {
        let anchored = ds
            .iter()
            .any(|d| d.1 == algorithm && keys.keys.contains(d) && keys.signers.contains(d));
        if !anchored {
            return Err(format!("no key of {algorithm:?} leads from the DS set"));
        }
    }
    if ds.is_empty() {
        return Ok(());
    }
    for algorithm in algorithms(&keys.keys) {
        let keys_signed = keys.signers.iter().any(|s| s.1 == algorithm);
        if !keys_signed {
            return Err(format!("the DNSKEY set is not signed with {algorithm:?}"));
        }
        let signed = data
            .iter()
            .any(|s| s.1 == algorithm && keys.keys.contains(s));
        if !signed {
            return Err(format!("no good signature of {algorithm:?}"));
        }
    }
    Ok(())
}
