//! The rules: which record may move when.

use super::state::{DsPhase, KeyState, Phase, Record, ZoneState, secs};
use super::{Change, Ds, Event};
use crate::dnssec::policy::Layout;
use crate::dnssec::{Algorithm, Policy, Role, SignError};

/// A removed key is remembered for so many seconds, for people.
const REMEMBERED: u64 = 30 * 86_400;

/// What a zone's keys are stepped under.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Largest TTL in the zone in seconds, negative answers included.
    pub zone_ttl: u64,
    /// Role, algorithm and DNSKEY RDATA of the operator's key files, in their order: the last of a
    /// role is the one that shall serve. Empty: keys are made here.
    pub imported: &'a [(Role, Algorithm, Box<[u8]>)],
}

/// What a step did.
#[derive(Debug)]
pub struct Outcome {
    /// In order.
    pub events: Vec<Event>,
    /// When the next step is due; `None`: when something else happens.
    pub due: Option<u64>,
    /// Why a key that is needed could not be made.
    pub failed: Option<SignError>,
}

/// Moves everything that may move at `now` (Unix seconds). `make` makes a key pair and gives the
/// RDATA of its DNSKEY.
///
/// The caller stores the state before it publishes what follows from it: times in the state are then
/// never later than the publication they speak of, except by the moment between the two, which the
/// propagation delay covers.
pub fn step(
    state: &mut ZoneState,
    terms: &Terms<'_>,
    now: u64,
    make: &mut dyn FnMut(Role, Algorithm) -> Result<Box<[u8]>, SignError>,
) -> Outcome {
    let mut s = Step {
        state,
        terms,
        now,
        due: None,
        events: Vec::new(),
        failed: None,
    };
    // Each round moves something for an event, and every chain of moves ends: a record waits for
    // time or the parent after at most two.
    loop {
        s.due = None;
        let before = s.events.len();
        s.note_ttls();
        s.let_time_pass();
        s.take_imported();
        s.choose(make);
        s.introduce();
        s.withdraw();
        if s.events.len() == before {
            break;
        }
    }
    Outcome {
        events: s.events,
        due: s.due,
        failed: s.failed,
    }
}

struct Step<'a> {
    state: &'a mut ZoneState,
    terms: &'a Terms<'a>,
    now: u64,
    due: Option<u64>,
    events: Vec<Event>,
    failed: Option<SignError>,
}

impl Step<'_> {
    /// Whether `at` has come; otherwise it is when to look again.
    fn reached(&mut self, at: u64) -> bool {
        if at <= self.now {
            return true;
        }
        self.due = Some(self.due.map_or(at, |d| d.min(at)));
        false
    }

    fn tell(&mut self, key: usize, change: Change) {
        let event = Event::new(&self.state.keys[key], change);
        self.events.push(event);
    }

    fn dnskey(&mut self, key: usize, phase: Phase, change: Change) {
        let since = self.now;
        self.state.keys[key].dnskey = Record { phase, since };
        self.tell(key, change);
    }

    fn signatures(&mut self, key: usize, phase: Phase, change: Change) {
        let since = self.now;
        self.state.keys[key].signatures = Record { phase, since };
        self.tell(key, change);
    }

    fn ds(&mut self, key: usize, phase: DsPhase, change: Change) {
        let since = self.now;
        self.state.keys[key].ds = Ds { phase, since };
        self.tell(key, change);
    }

    /// Indices of the keys that are not removed.
    fn live(&self) -> Vec<usize> {
        let keys = self.state.keys.iter().enumerate();
        keys.filter(|(_, k)| k.removed.is_none())
            .map(|(i, _)| i)
            .collect()
    }

    fn any(&self, is: impl Fn(&KeyState) -> bool) -> bool {
        self.state.live().any(is)
    }

    fn propagation(&self) -> u64 {
        secs(self.terms.policy.propagation_delay)
    }

    /// Until every cache has the DNSKEY set that is published now (Ipub of RFC 7583).
    fn dnskey_delay(&self) -> u64 {
        self.state.dnskey_ttl.ttl + self.propagation()
    }

    /// Until every cache has the zone's data with the signatures that are made now.
    fn zone_delay(&self) -> u64 {
        self.state.zone_ttl.ttl + self.propagation()
    }

    /// Until every cache has the DS set that the parent has now.
    fn ds_delay(&self) -> u64 {
        let policy = self.terms.policy;
        secs(policy.parent_ds_ttl) + secs(policy.parent_propagation_delay)
    }

    fn note_ttls(&mut self) {
        let (now, delay) = (self.now, self.propagation());
        let dnskey_ttl = secs(self.terms.policy.dnskey_ttl);
        let ends = [
            self.state.zone_ttl.note(self.terms.zone_ttl, delay, now),
            self.state.dnskey_ttl.note(dnskey_ttl, delay, now),
        ];
        for end in ends.into_iter().flatten() {
            self.reached(end);
        }
    }

    fn let_time_pass(&mut self) {
        for i in self.live() {
            let record = self.state.keys[i].dnskey;
            let over = record.since + self.dnskey_delay();
            match record.phase {
                Phase::Rumoured if self.reached(over) => {
                    self.dnskey(i, Phase::Omnipresent, Change::Ready);
                }
                Phase::Unretentive if self.reached(over) => {
                    self.dnskey(i, Phase::Hidden, Change::DnskeyGone);
                }
                _ => {}
            }
            let record = self.state.keys[i].signatures;
            let over = record.since + self.zone_delay();
            match record.phase {
                Phase::Rumoured if self.reached(over) => {
                    self.signatures(i, Phase::Omnipresent, Change::SignedEverywhere);
                }
                Phase::Unretentive if self.reached(over) => {
                    self.signatures(i, Phase::Hidden, Change::SignaturesGone);
                }
                _ => {}
            }
            let record = self.state.keys[i].ds;
            let over = record.since + self.ds_delay();
            match record.phase {
                DsPhase::Rumoured if self.reached(over) => {
                    self.ds(i, DsPhase::Omnipresent, Change::DsEverywhere);
                }
                DsPhase::Unretentive if self.reached(over) => {
                    self.ds(i, DsPhase::Hidden, Change::DsGone);
                }
                _ => {}
            }
        }
    }

    fn take_imported(&mut self) {
        let imported = self.terms.imported;
        let now = self.now;
        self.state.keys.retain(|k| {
            let listed = k.imported && imported.iter().any(|(_, _, r)| *r == k.dnskey_rdata);
            listed || k.removed.is_none_or(|at| now < at + REMEMBERED)
        });
        if self.terms.policy.layout == Layout::Insecure {
            return;
        }
        for (i, (role, algorithm, rdata)) in imported.iter().enumerate() {
            let known = self
                .state
                .keys
                .iter()
                .position(|k| k.dnskey_rdata == *rdata);
            match known.map(|at| (at, self.state.keys[at].removed)) {
                None => {}
                Some((_, None)) => continue,
                // It had its time; unless it is the one that shall serve, again.
                Some(_) if imported[i + 1..].iter().any(|(r, _, _)| r == role) => continue,
                Some((at, Some(_))) => {
                    self.state.keys.remove(at);
                }
            }
            let mut key = KeyState::new(*role, *algorithm, rdata.clone(), self.now);
            key.imported = true;
            key.wanted = false;
            self.state.keys.push(key);
            self.tell(self.state.keys.len() - 1, Change::Imported);
        }
    }

    /// Decides which key of each role shall serve, and makes those that are missing.
    fn choose(&mut self, make: &mut dyn FnMut(Role, Algorithm) -> Result<Box<[u8]>, SignError>) {
        let policy = self.terms.policy;
        let roles = policy.layout.roles();
        let imported = self.terms.imported;
        let last_of = |role: Role| imported.iter().rev().find(|(r, _, _)| *r == role);
        for i in self.live() {
            let k = &self.state.keys[i];
            let fits = roles.contains(&k.role)
                && match (imported, last_of(k.role)) {
                    ([], _) => k.wanted && !k.imported && k.algorithm == policy.algorithm,
                    (_, Some((_, _, last))) => k.dnskey_rdata == *last,
                    (_, None) => false,
                };
            if fits != k.wanted {
                self.state.keys[i].wanted = fits;
                if !fits {
                    self.tell(i, Change::Replaced);
                }
            }
        }
        if !imported.is_empty() {
            return;
        }
        for &role in roles {
            if !self.any(|k| k.wanted && k.role == role) || self.is_old(role) {
                self.make(role, make);
            }
        }
    }

    /// Whether it is time to prepare the successor of the key that serves in this role.
    fn is_old(&mut self, role: Role) -> bool {
        let Some(lifetime) = self.terms.policy.lifetime_of(role).map(secs) else {
            return false;
        };
        if self
            .state
            .in_the_way(role, self.terms.policy.algorithm)
            .is_some()
        {
            return false;
        }
        let serving =
            self.state.keys.iter().position(|k| {
                k.removed.is_none() && k.wanted && k.role == role && k.active.is_some()
            });
        let Some(i) = serving else { return false };
        let active = self.state.keys[i].active.unwrap_or(self.now);
        let retires = active + lifetime;
        // The successor is published so long before that it can take over on time.
        if !self.reached(retires.saturating_sub(self.dnskey_delay())) {
            return false;
        }
        self.state.keys[i].retire_after = retires;
        true
    }

    fn make(
        &mut self,
        role: Role,
        make: &mut dyn FnMut(Role, Algorithm) -> Result<Box<[u8]>, SignError>,
    ) {
        if self.failed.is_some() {
            return;
        }
        let algorithm = self.terms.policy.algorithm;
        let rdata = match make(role, algorithm) {
            Ok(rdata) => rdata,
            Err(e) => {
                self.failed = Some(e);
                return;
            }
        };
        for i in self.live() {
            if self.state.keys[i].wanted && self.state.keys[i].role == role {
                self.state.keys[i].wanted = false;
                self.tell(i, Change::Replaced);
            }
        }
        let key = KeyState::new(role, algorithm, rdata, self.now);
        self.state.keys.push(key);
        self.tell(self.state.keys.len() - 1, Change::Created);
    }

    fn introduce(&mut self) {
        if self.state.live().all(KeyState::is_hidden) {
            self.sign_first();
            return;
        }
        for i in self.live() {
            if !self.state.keys[i].wanted {
                continue;
            }
            if self.state.keys[i].dnskey.phase == Phase::Hidden {
                self.publish(i);
            }
            let k = &self.state.keys[i];
            if k.role.signs_zone() && k.signatures.phase == Phase::Hidden {
                self.sign(i);
            }
            let k = &self.state.keys[i];
            if k.role.signs_keys() && k.ds.phase == DsPhase::Hidden {
                self.submit(i);
            }
        }
    }

    /// The zone is unsigned: no validator knows of any key, so all may begin at once.
    fn sign_first(&mut self) {
        if self.terms.policy.layout == Layout::Insecure {
            return;
        }
        let mut signed = false;
        for i in self.live() {
            if !self.state.keys[i].wanted && !self.state.keys[i].imported {
                continue;
            }
            self.dnskey(i, Phase::Rumoured, Change::Published);
            // Of several imported keys the first is the one that the zone is signed with where it
            // comes from; the others follow by the rules.
            let role = self.state.keys[i].role;
            if role.signs_zone() && !signed {
                signed = true;
                self.signatures(i, Phase::Rumoured, Change::Signs);
            }
            if !role.signs_zone() || self.state.keys[i].is_signing() {
                self.state.keys[i].active = Some(self.now);
            }
        }
    }

    /// A DNSKEY may join when its algorithm is in the set already, or every cache has signatures of
    /// that algorithm (RFC 4035 section 2.2: "There MUST be an RRSIG for each RRset using at least
    /// one DNSKEY of each algorithm in the zone apex DNSKEY RRset").
    fn publish(&mut self, i: usize) {
        let algorithm = self.state.keys[i].algorithm;
        let in_set = self.any(|k| k.algorithm == algorithm && k.dnskey.phase.is_published());
        let signed = self.any(|k| {
            k.wanted && k.algorithm == algorithm && k.signatures.phase == Phase::Omnipresent
        });
        if in_set || signed {
            self.dnskey(i, Phase::Rumoured, Change::Published);
            if !self.state.keys[i].role.signs_zone() {
                self.state.keys[i].active = Some(self.now);
            }
        }
    }

    /// A key takes over the signing from another of its algorithm once every cache has its DNSKEY
    /// (pre-publish); the first of an algorithm signs beside the others, ahead of its DNSKEY.
    fn sign(&mut self, i: usize) {
        let algorithm = self.state.keys[i].algorithm;
        let before = self.live().into_iter().find(|&j| {
            let k = &self.state.keys[j];
            j != i && k.algorithm == algorithm && k.is_signing() && k.dnskey.phase != Phase::Hidden
        });
        if let Some(j) = before {
            let until = self.state.keys[j].retire_after;
            if self.state.keys[j].wanted
                || self.state.keys[i].dnskey.phase != Phase::Omnipresent
                || !self.reached(until)
            {
                return;
            }
            self.signatures(j, Phase::Unretentive, Change::SignsNoMore);
        }
        self.signatures(i, Phase::Rumoured, Change::Signs);
        self.state.keys[i].active = Some(self.now);
    }

    /// The parent may have a DS once every cache has the DNSKEY, and the zone's data with signatures
    /// of its algorithm: before that, data from a cache would be bogus.
    fn submit(&mut self, i: usize) {
        let k = &self.state.keys[i];
        let algorithm = k.algorithm;
        let signed = self.any(|z| {
            z.algorithm == algorithm
                && z.dnskey.phase == Phase::Omnipresent
                && z.signatures.phase == Phase::Omnipresent
        });
        if k.dnskey.phase == Phase::Omnipresent && signed {
            self.ds(i, DsPhase::Submitted, Change::DsSubmitted);
        }
    }

    fn withdraw(&mut self) {
        let insecure = self.terms.policy.layout == Layout::Insecure;
        let successor = self.any(|k| k.wanted && k.ds.phase.is_wanted());
        for i in self.live() {
            let k = &self.state.keys[i];
            if k.wanted {
                continue;
            }
            if (k.ds.phase.is_wanted() || k.ds_is_unknown()) && (successor || insecure) {
                self.ds(i, DsPhase::Leaving, Change::DsLeaving);
            }
        }
        if insecure && !self.state.may_have_ds() {
            // No cache has a DS: validators ask for no signature, and all may go at once.
            for i in self.live() {
                self.state.keys[i].dnskey = Record::default();
                self.state.keys[i].signatures = Record::default();
            }
        }
        for i in self.live() {
            if self.state.keys[i].wanted {
                continue;
            }
            if self.state.keys[i].dnskey.phase.is_published() && self.may_unpublish(i) {
                self.dnskey(i, Phase::Unretentive, Change::Withdrawn);
            }
            let k = &self.state.keys[i];
            if k.is_signing() && k.dnskey.phase == Phase::Hidden {
                // No cache has the DNSKEY, so nobody misses its signatures.
                self.signatures(i, Phase::Hidden, Change::SignsNoMore);
            }
            if self.state.keys[i].is_hidden() && !self.state.keys[i].ds_is_unknown() {
                self.state.keys[i].removed = Some(self.now);
                self.tell(i, Change::Removed);
            }
        }
    }

    /// Whether no validator misses the DNSKEY: no cache has a DS or a signature that only it makes
    /// good, and its algorithm stays in the set or is asked for by no DS.
    fn may_unpublish(&self, i: usize) -> bool {
        let k = &self.state.keys[i];
        let stands = |is: fn(Role) -> bool| {
            self.any(|n| n.wanted && is(n.role) && n.dnskey.phase == Phase::Omnipresent)
        };
        if !stands(Role::signs_keys) || !stands(Role::signs_zone) {
            return false;
        }
        if self.any(|n| n.wanted && n.algorithm == k.algorithm) {
            let ds_gone = k.ds.phase == DsPhase::Hidden && !k.ds_is_unknown();
            return ds_gone && k.signatures.phase == Phase::Hidden;
        }
        // The whole algorithm leaves: its DNSKEYs together, its signatures after them.
        let asked_for = self.any(|n| {
            n.algorithm == k.algorithm && (n.ds.phase != DsPhase::Hidden || n.ds_is_unknown())
        });
        let signed_otherwise = self
            .any(|n| n.wanted && n.role.signs_zone() && n.signatures.phase == Phase::Omnipresent);
        !asked_for && signed_otherwise
    }
}
