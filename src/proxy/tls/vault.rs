//! All TLS of a proxy by the names of listeners and upstreams, kept over reloads.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::time::Clock;
use crate::traffic::Plan;

use super::listener::ListenerTls;
use super::material::{Fault, Material, UpstreamMaterial};
use super::upstream::UpstreamTls;

/// What runs, by name.
pub struct Vault {
    clock: Arc<dyn Clock>,
    listeners: HashMap<Box<str>, Arc<ListenerTls>>,
    upstreams: HashMap<Box<str>, Arc<UpstreamTls>>,
}

/// What a plan needs of TLS, read and found good, but not yet in force.
pub struct Prepared {
    listeners: Vec<(usize, Material)>,
    upstreams: Vec<(usize, UpstreamMaterial)>,
}

/// The TLS of a plan that is in force, by the places in it.
#[derive(Default, Debug)]
pub struct Doors {
    /// By listener.
    pub listeners: Vec<Option<Arc<ListenerTls>>>,
    /// By upstream.
    pub upstreams: Vec<Option<Arc<UpstreamTls>>>,
}

impl Vault {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Vault {
        Vault {
            clock,
            listeners: HashMap::new(),
            upstreams: HashMap::new(),
        }
    }

    /// Reads all files that a plan names, and tries whether handshakes could be begun with them. Changes
    /// nothing.
    ///
    /// # Errors
    /// What is wrong first, in words.
    pub fn prepare(&self, plan: &Plan) -> Result<Prepared, String> {
        let told = |kind: &str, name: &str, faults: &[Fault]| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("TLS of {kind} `{name}`: {}", faults.join("; "))
        };
        let mut prepared = Prepared {
            listeners: Vec::new(),
            upstreams: Vec::new(),
        };
        for (at, listener) in plan.listeners.iter().enumerate() {
            let Some(settings) = &listener.tls else {
                continue;
            };
            let name = &listener.name;
            let material =
                Material::read(settings).map_err(|faults| told("listener", name, &faults))?;
            ListenerTls::new(
                name,
                settings,
                listener.http2,
                material.clone(),
                self.clock.clone(),
            )
            .map_err(|e| format!("TLS of listener `{name}`: {e}"))?;
            prepared.listeners.push((at, material));
        }
        for (at, upstream) in plan.upstreams.iter().enumerate() {
            let Some(settings) = &upstream.tls else {
                continue;
            };
            let name = &upstream.name;
            let material = UpstreamMaterial::read(settings)
                .map_err(|faults| told("upstream", name, &faults))?;
            UpstreamTls::new(name, settings, upstream.http2, material.clone())
                .map_err(|e| format!("TLS of upstream `{name}`: {e}"))?;
            prepared.upstreams.push((at, material));
        }
        Ok(prepared)
    }

    /// Puts in force what was prepared for this plan; what it does not name is forgotten.
    ///
    /// # Errors
    /// When the system has no randomness; then some of it may be in force.
    pub fn adopt(&mut self, plan: &Plan, prepared: Prepared) -> Result<Doors, String> {
        let mut doors = Doors {
            listeners: vec![None; plan.listeners.len()],
            upstreams: vec![None; plan.upstreams.len()],
        };
        let mut listeners = HashMap::new();
        for (at, material) in prepared.listeners {
            let listener = &plan.listeners[at];
            let (name, http2) = (&listener.name, listener.http2);
            let Some(settings) = &listener.tls else {
                continue;
            };
            let kept = match self.listeners.get(name) {
                Some(known) => known
                    .adopt(settings, http2, material)
                    .map(|()| known.clone()),
                None => {
                    let clock = self.clock.clone();
                    ListenerTls::new(name, settings, http2, material, clock).map(Arc::new)
                }
            };
            let kept = kept.map_err(|e| format!("TLS of listener `{name}`: {e}"))?;
            doors.listeners[at] = Some(kept.clone());
            listeners.insert(name.clone(), kept);
        }
        let mut upstreams = HashMap::new();
        for (at, material) in prepared.upstreams {
            let upstream = &plan.upstreams[at];
            let (name, http2) = (&upstream.name, upstream.http2);
            let Some(settings) = &upstream.tls else {
                continue;
            };
            let kept = match self.upstreams.get(name) {
                Some(known) => known
                    .adopt(settings, http2, material)
                    .map(|()| known.clone()),
                None => UpstreamTls::new(name, settings, http2, material).map(Arc::new),
            };
            let kept = kept.map_err(|e| format!("TLS of upstream `{name}`: {e}"))?;
            doors.upstreams[at] = Some(kept.clone());
            upstreams.insert(name.clone(), kept);
        }
        (self.listeners, self.upstreams) = (listeners, upstreams);
        Ok(doors)
    }

    /// What runs, for looking at files beside the vault's lock.
    pub fn all(&self) -> (Vec<Arc<ListenerTls>>, Vec<Arc<UpstreamTls>>) {
        (
            self.listeners.values().cloned().collect(),
            self.upstreams.values().cloned().collect(),
        )
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("listeners", &self.listeners.len())
            .field("upstreams", &self.upstreams.len())
            .finish_non_exhaustive()
    }
}
