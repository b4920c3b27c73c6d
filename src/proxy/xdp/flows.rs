//! Flows that the process before remembered, at a takeover.
//!
//! They are copied, not shared: each process has maps of its own, whose sizes and places of backends may
//! differ. A flow names a place, and the old map of backends says which hardware address is there; the flow
//! goes on if a backend of the same upstream has that address now. Most are copied before the own program
//! takes the place of the old one, which forwards meanwhile; those that it wrote down in between are copied
//! right after, where the own program has not written them down itself.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use aya::maps::{Array, Map, MapData};

use crate::sys::bpf_map;

use super::kernel::{Kernel, other};
use super::layout::{FlowKey, LAYOUT, Mac, VipKey, flow, read_backend, read_flow, vip_of};
use super::places::Place;

/// Flows read by one call.
const AT_ONCE: u32 = 4096;

/// What the map of flows is called between processes.
pub(super) fn flows_name() -> String {
    format!("xdp-flows/{LAYOUT}")
}

/// What the map of backends is called between processes.
pub(super) fn backends_name() -> String {
    format!("xdp-backends/{LAYOUT}")
}

/// The maps of the process before.
pub(super) struct Theirs {
    flows: OwnedFd,
    /// Octets of keys and values.
    sizes: (u32, u32),
    backends: Array<MapData, [u8; 16]>,
}

impl Theirs {
    /// Of what came: maps with their names.
    ///
    /// # Errors
    /// Why they are not understood.
    pub(super) fn of(mut came: Vec<(Box<str>, OwnedFd)>) -> io::Result<Theirs> {
        let mut take = |wanted: &str| {
            let at = came.iter().position(|(name, _)| **name == *wanted);
            at.map(|at| came.swap_remove(at).1)
        };
        let found = take(&flows_name()).zip(take(&backends_name()));
        let Some((flows, backends)) = found else {
            let names: Vec<&str> = came.iter().map(|(name, _)| &**name).collect();
            return Err(io::Error::other(format!(
                "it lays its maps out otherwise: {}; this one knows {} and {}",
                names.join(", "),
                flows_name(),
                backends_name()
            )));
        };
        let map = MapData::from_fd(flows.try_clone()?).map_err(other)?;
        let info = map.info().map_err(other)?;
        let backends = MapData::from_fd(backends).map_err(other)?;
        let backends = Map::from_map_data(backends).map_err(other)?;
        Ok(Theirs {
            flows,
            sizes: (info.key_size(), info.value_size()),
            backends: Array::try_from(backends).map_err(other)?,
        })
    }

    /// Copies flows that the own map does not have, `most` at most. `place` says where the backend with a
    /// hardware address is that a virtual address goes to. Gives how many were copied, and how many go to
    /// nobody who is known.
    pub(super) fn copy(
        &self,
        kernel: &mut Kernel,
        most: u32,
        place: impl Fn(&VipKey, Mac) -> Option<Place>,
    ) -> io::Result<Copied> {
        let mut copied = Copied::default();
        let mut backends = Vec::new();
        for number in 0..self.backends.len() {
            backends.push(read_backend(&self.backends.get(&number, 0).map_err(other)?));
        }
        let mut failure = None;
        let each = |key: &FlowKey, value: &[u8; 4]| {
            let (number, epoch) = read_flow(value);
            let backend = backends.get(usize::from(number));
            let backend = backend.filter(|(_, of)| *of == epoch);
            let Some(now) = backend.and_then(|(mac, _)| place(&vip_of(key), *mac)) else {
                copied.nobodys += 1;
                return true;
            };
            match kernel.add_flow(key, flow(now.number, now.epoch)) {
                Ok(true) => copied.flows += 1,
                Ok(false) => {}
                Err(error) => {
                    failure = Some(error);
                    return false;
                }
            }
            copied.flows < most
        };
        bpf_map::read_all(self.flows.as_fd(), self.sizes, AT_ONCE, each)?;
        failure.map_or(Ok(copied), Err)
    }
}

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Copied {
    /// Flows that go on.
    pub(super) flows: u32,
    /// Flows whose backend is none any more.
    pub(super) nobodys: u32,
}
