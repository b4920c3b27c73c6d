//! How the backends of each upstream are chosen, kept over reloads.
//!
//! An upstream that is configured as before keeps its hash tables and, on every worker, its turns. Sessions
//! that are remembered are kept whenever their table may stay as large as it is, and the secret that the
//! process drew for cookies lasts as long as the process.

use std::sync::Arc;

use hashbrown::HashMap;
use ring::rand::{SecureRandom, SystemRandom};

use crate::balance::Candidate;
use crate::limit::Secret;
use crate::traffic::session::table::StickyTable;
use crate::traffic::{Plan, Session, Upstream};

use super::pick::{Ask, NoPick, Picked, Picker, Turns};
use super::session::{Bond, Sessions};

/// How the backends of one upstream are chosen.
#[derive(Debug)]
pub struct Chooser {
    upstream: Upstream,
    zone: Option<Box<str>>,
    /// Who, where no session says it.
    pub picker: Arc<Picker>,
    /// Sessions, where the upstream has them.
    pub sessions: Option<Sessions>,
    table: Option<Arc<dyn StickyTable>>,
}

impl Chooser {
    /// Chooses for a request with the session `bond`.
    ///
    /// # Errors
    /// When none may be used, all are full, or the session's cannot serve and no other shall.
    pub fn choose<C: Candidate>(
        &self,
        bond: &mut Bond,
        turns: &mut Turns,
        backends: &[C],
        ask: &Ask<'_>,
    ) -> Result<Picked, NoPick> {
        match &self.sessions {
            None => self.picker.pick(turns, backends, ask),
            Some(sessions) => sessions.choose(bond, &self.picker, turns, backends, ask),
        }
    }

    /// Remembered sessions; `None` where none are.
    pub fn table(&self) -> Option<&Arc<dyn StickyTable>> {
        self.table.as_ref()
    }
}

/// Where tables come from whose sessions are shared with other nodes: of an upstream's name and its rules.
pub type Share = dyn Fn(&str, &Session) -> Arc<dyn StickyTable> + Send + Sync;

/// All of them.
pub struct Choosers {
    by_name: HashMap<Box<str>, Arc<Chooser>>,
    own: Secret,
    share: Option<Box<Share>>,
}

impl std::fmt::Debug for Choosers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Choosers({})", self.by_name.len())
    }
}

impl Default for Choosers {
    fn default() -> Choosers {
        let mut bits = [0; 16];
        SystemRandom::new()
            .fill(&mut bits)
            .expect("the system has random bits; without them no secret can be made");
        Choosers {
            by_name: HashMap::new(),
            own: Secret::new(bits),
            share: None,
        }
    }
}

impl Choosers {
    /// Has `share` make the tables of sessions that are to be shared. Without it each process remembers
    /// its own.
    pub fn share(&mut self, share: Box<Share>) {
        self.share = Some(share);
    }

    /// The secret that this process drew, or was given.
    pub fn own(&self) -> Secret {
        self.own
    }

    /// Goes on with the secret of the process before, whose cookies clients have; to be called before
    /// anybody is served: who was remembered so far is forgotten.
    pub fn set_own(&mut self, own: Secret) {
        self.own = own;
        self.by_name.clear();
    }

    /// Goes over to `plan`; gives those of its upstreams, by [`crate::ids::UpstreamId`].
    pub fn adopt(&mut self, plan: &Plan) -> Vec<Arc<Chooser>> {
        let mut kept = HashMap::with_capacity(plan.upstreams.len());
        let zone = &plan.node.zone;
        for upstream in &plan.upstreams {
            let known = self.by_name.remove(&upstream.name);
            let chooser = match known {
                Some(known) if known.upstream == *upstream && known.zone == *zone => known,
                known => Arc::new(self.make(upstream, zone.as_deref(), known.as_deref())),
            };
            kept.insert(upstream.name.clone(), chooser);
        }
        let all = plan
            .upstreams
            .iter()
            .map(|u| kept[&u.name].clone())
            .collect();
        self.by_name = kept;
        all
    }

    fn make(&self, upstream: &Upstream, zone: Option<&str>, known: Option<&Chooser>) -> Chooser {
        let before = known.and_then(|k| Some((k.upstream.session.as_ref()?, k.table.clone()?)));
        let table = upstream.session.as_ref().and_then(|session| match before {
            Some((old, table))
                if session.binding.wants_table()
                    && (old.entries, old.ttl, old.is_shared)
                        == (session.entries, session.ttl, session.is_shared) =>
            {
                Some(table)
            }
            _ => match &self.share {
                Some(share) if session.is_shared && session.binding.wants_table() => {
                    Some(share(&upstream.name, session))
                }
                _ => Sessions::new_table(session),
            },
        });
        Chooser {
            picker: Arc::new(Picker::new(upstream, zone)),
            sessions: Sessions::new(upstream, self.own, table.clone()),
            table,
            upstream: upstream.clone(),
            zone: zone.map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::session::{Binding, OnGone};
    use crate::traffic::{Backend, HashKey};
    use std::net::SocketAddr;
    use std::time::Duration;

    fn plan(backends: &[&str], entries: usize) -> Plan {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let upstream = |name: &str, backends: &[&str]| Upstream {
            name: name.into(),
            backends: backends.iter().map(|n| Backend::new(n, address)).collect(),
            session: Some(Session {
                binding: Binding::Key(HashKey::Source),
                on_gone: OnGone::Reassign,
                entries,
                ttl: Duration::from_secs(60),
                is_shared: false,
                secrets: Vec::new(),
            }),
            ..Upstream::default()
        };
        Plan {
            upstreams: vec![upstream("a", &["x"]), upstream("b", backends)],
            ..Plan::default()
        }
    }

    #[test]
    fn only_sessions_that_are_to_be_shared_are_and_going_over_to_it_takes_effect() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let made = Arc::new(AtomicUsize::new(0));
        let counted = made.clone();
        let mut choosers = Choosers::default();
        choosers.share(Box::new(move |name, rules| {
            assert_eq!(name, "b");
            counted.fetch_add(1, Ordering::Relaxed);
            Sessions::new_table(rules).expect("a table")
        }));
        choosers.adopt(&plan(&["x"], 100));
        assert_eq!(made.load(Ordering::Relaxed), 0);
        let shared = |backends: &[&str]| {
            let mut plan = plan(backends, 100);
            let session = plan.upstreams[1].session.as_mut();
            session.expect("it has one").is_shared = true;
            plan
        };
        let first = choosers.adopt(&shared(&["x"]));
        let second = choosers.adopt(&shared(&["x", "y"]));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        let (Some(a), Some(b)) = (first[1].table(), second[1].table()) else {
            panic!("no table")
        };
        assert!(Arc::ptr_eq(a, b));
    }

    #[test]
    fn p2_a_reload_keeps_what_did_not_change_and_remembered_sessions() {
        let same = |a: &Chooser, b: &Chooser| {
            let (Some(a), Some(b)) = (a.table(), b.table()) else {
                panic!("no table")
            };
            Arc::ptr_eq(a, b)
        };
        let mut choosers = Choosers::default();
        let first = choosers.adopt(&plan(&["x"], 100));
        let second = choosers.adopt(&plan(&["x", "y"], 100));
        assert!(Arc::ptr_eq(&first[0], &second[0]));
        assert!(!Arc::ptr_eq(&first[1], &second[1]));
        assert!(same(&first[1], &second[1]));
        let third = choosers.adopt(&plan(&["x", "y"], 200));
        assert!(!same(&second[1], &third[1]));
        let gone = Plan::default();
        assert!(choosers.adopt(&gone).is_empty());
        assert!(!same(
            &choosers.adopt(&plan(&["x", "y"], 200))[0],
            &third[0]
        ));
    }
}
