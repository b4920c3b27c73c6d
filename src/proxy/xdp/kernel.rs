//! The program in the kernel and its maps, through aya.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use aya::maps::{Array, HashMap as KernelMap, Map, MapData, PerCpuArray, PerCpuValues};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};

use crate::sys::xdp_link;

use super::layout::{EVENTS, FlowKey, Mac, SLOTS_PADDED, VipKey, backend, link, vip};
use super::places::Place;

/// What the kernel runs: `program/forward.bpf.c`, as `program/build` makes it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("program/forward.bpf.o");

/// Its name.
const PROGRAM: &str = "forward";

/// Slots as the kernel has them.
type Slots = [u16; SLOTS_PADDED];

/// Packets and octets, frames with their Ethernet heads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Octets of frames.
    pub octets: u64,
}

/// How a program stands before the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Attachment {
    /// In the driver.
    Native,
    /// After the driver, which knows nothing of XDP: slower.
    Generic,
}

impl Attachment {
    /// One word.
    pub const fn word(self) -> &'static str {
        match self {
            Attachment::Native => "native",
            Attachment::Generic => "generic",
        }
    }
}

/// The program on an interface; dropping it takes it off, unless another process holds the link too.
pub(super) struct Attached {
    /// The link, which a process that takes over gets a copy of.
    pub(super) link: OwnedFd,
    pub(super) how: Attachment,
}

/// The loaded program.
pub(super) struct Kernel {
    program: Ebpf,
    links: KernelMap<MapData, u32, [u8; 8]>,
    vips: KernelMap<MapData, VipKey, [u8; 8]>,
    backends: Array<MapData, [u8; 16]>,
    tables: Array<MapData, Slots>,
    live: Array<MapData, u32>,
    vip_counts: PerCpuArray<MapData, [u64; 2]>,
    backend_counts: PerCpuArray<MapData, [u64; 2]>,
    events: PerCpuArray<MapData, u64>,
    flows: KernelMap<MapData, FlowKey, [u8; 4]>,
    /// The maps of flows and of backends, for the process that comes after this one.
    for_next: [OwnedFd; 2],
}

/// An error of the maps or of the program as an error of the system where it is one.
pub(super) fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    while let Some(e) = source {
        if let Some(code) = e.downcast_ref::<io::Error>().and_then(|e| e.raw_os_error()) {
            return io::Error::from_raw_os_error(code);
        }
        source = e.source();
    }
    io::Error::other(error.to_string())
}

/// The map called `name` as what it is.
fn map<T>(program: &mut Ebpf, name: &str) -> io::Result<T>
where
    T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    let map = program.take_map(name);
    let map = map.ok_or_else(|| io::Error::other(format!("the program has no map {name}")))?;
    T::try_from(map).map_err(other)
}

/// Another descriptor of the map called `name`.
fn copy(program: &Ebpf, name: &str) -> io::Result<OwnedFd> {
    match program.map(name) {
        Some(Map::LruHashMap(map) | Map::Array(map)) => map.fd().as_fd().try_clone_to_owned(),
        _ => Err(io::Error::other(format!("the program has no map {name}"))),
    }
}

impl Kernel {
    /// Loads the program with room for so many flows. Each CPU writes down at most `pace` new ones in a
    /// second.
    pub(super) fn load(flows: u32, pace: u64) -> io::Result<Kernel> {
        let mut program = EbpfLoader::new()
            .btf(None)
            .map_max_entries("FLOW", flows)
            .load(OBJECT)
            .map_err(other)?;
        let mut most: Array<MapData, u64> = map(&mut program, "MOST")?;
        most.set(0, pace, 0).map_err(other)?;
        let for_next = [copy(&program, "FLOW")?, copy(&program, "BACKEND")?];
        let p = &mut program;
        let mut kernel = Kernel {
            for_next,
            flows: map(p, "FLOW")?,
            links: map(p, "LINK")?,
            vips: map(p, "VIP")?,
            backends: map(p, "BACKEND")?,
            tables: map(p, "TABLE")?,
            live: map(p, "LIVE")?,
            vip_counts: map(p, "VIP_COUNT")?,
            backend_counts: map(p, "BACKEND_COUNT")?,
            events: map(p, "EVENT")?,
            program,
        };
        kernel.forward()?.load().map_err(other)?;
        Ok(kernel)
    }

    fn forward(&mut self) -> io::Result<&mut Xdp> {
        let program = self.program.program_mut(PROGRAM);
        let program = program.ok_or_else(|| io::Error::other("the object has no program"))?;
        program.try_into().map_err(other)
    }

    /// Puts the program before the stack of an interface: in the driver where it can do that.
    pub(super) fn attach(&mut self, index: u32) -> io::Result<Attached> {
        let program = self.forward()?.fd().map_err(other)?.as_fd();
        let (link, how) = match xdp_link::attach(program, index, true) {
            Ok(link) => (link, Attachment::Native),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "the driver cannot run XDP programs");
                let link = xdp_link::attach(program, index, false)?;
                (link, Attachment::Generic)
            }
        };
        Ok(Attached { link, how })
    }

    /// Takes the place of the program that a link holds, which another process loaded.
    pub(super) fn take_over(&mut self, link: &OwnedFd) -> io::Result<()> {
        let program = self.forward()?.fd().map_err(other)?.as_fd();
        xdp_link::replace(link.as_fd(), program)
    }

    /// Says which hardware address an interface has; `None`: nothing is taken there.
    pub(super) fn set_link(&mut self, index: u32, mac: Option<Mac>) -> io::Result<()> {
        match mac {
            Some(mac) => self.links.insert(index, link(mac), 0).map_err(other),
            None => self.links.remove(&index).map_err(other),
        }
    }

    /// Forwards what comes for a virtual address by a table; counts it in `counter`.
    pub(super) fn set_vip(
        &mut self,
        key: &VipKey,
        table: u16,
        counter: u16,
        flags: u32,
    ) -> io::Result<()> {
        let value = vip(table, counter, flags);
        self.vips.insert(key, value, 0).map_err(other)
    }

    /// Leaves what comes for a virtual address to the stack.
    pub(super) fn remove_vip(&mut self, key: &VipKey) -> io::Result<()> {
        self.vips.remove(key).map_err(other)
    }

    /// Says where a backend is and what it gets.
    pub(super) fn set_backend(&mut self, place: Place, mac: Mac, flags: u8) -> io::Result<()> {
        let value = backend(mac, place.epoch, flags);
        let number = u32::from(place.number);
        self.backends.set(number, value, 0).map_err(other)
    }

    /// Takes from a backend what is not in `flags`.
    pub(super) fn limit_backend(&mut self, place: Place, flags: u8) -> io::Result<()> {
        let number = u32::from(place.number);
        let mut value = self.backends.get(&number, 0).map_err(other)?;
        value[8] &= flags;
        self.backends.set(number, value, 0).map_err(other)
    }

    /// Writes a table aside and has it used from the next packet on. `buffer`: which of the two that the
    /// table has.
    pub(super) fn set_table(&mut self, table: u16, buffer: u32, slots: &[u16]) -> io::Result<()> {
        let mut padded = slots.to_vec();
        padded.resize(SLOTS_PADDED, 0);
        let padded: Box<Slots> = padded
            .into_boxed_slice()
            .try_into()
            .map_err(|_| io::Error::other("a table of another size"))?;
        let at = 2 * u32::from(table) + buffer;
        self.tables.set(at, padded, 0).map_err(other)?;
        self.live.set(u32::from(table), at, 0).map_err(other)
    }

    /// What came for a virtual address.
    pub(super) fn vip_count(&self, counter: u16) -> io::Result<Count> {
        read(&self.vip_counts, counter)
    }

    /// What went to a backend.
    pub(super) fn backend_count(&self, place: Place) -> io::Result<Count> {
        read(&self.backend_counts, place.number)
    }

    /// Begins to count a virtual address anew.
    pub(super) fn clear_vip_count(&mut self, counter: u16) -> io::Result<()> {
        clear(&mut self.vip_counts, counter)
    }

    /// Begins to count a backend anew.
    pub(super) fn clear_backend_count(&mut self, place: Place) -> io::Result<()> {
        clear(&mut self.backend_counts, place.number)
    }

    /// Remembers a flow, unless it is remembered already; says whether it was not.
    pub(super) fn add_flow(&mut self, key: &FlowKey, flow: [u8; 4]) -> io::Result<bool> {
        const NEW: u64 = 1; // BPF_NOEXIST
        match self.flows.insert(key, flow, NEW).map_err(other) {
            Ok(()) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Further descriptors of the maps of flows and of backends.
    pub(super) fn maps(&self) -> io::Result<[OwnedFd; 2]> {
        let [flows, backends] = &self.for_next;
        Ok([flows.try_clone()?, backends.try_clone()?])
    }

    /// What else is counted, in the order of `enum event`.
    pub(super) fn events(&self) -> io::Result<[u64; EVENTS]> {
        let mut all = [0; EVENTS];
        for (at, sum) in (0..).zip(&mut all) {
            let values = self.events.get(&at, 0).map_err(other)?;
            *sum = values.iter().sum();
        }
        Ok(all)
    }

    #[cfg(test)]
    pub(super) fn run(&mut self, frame: &[u8], index: u32) -> (u32, Vec<u8>) {
        use aya::programs::{TestRun as _, TestRunOptions};
        let mut out = vec![0; frame.len() + 64];
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let mut context = [0_u8; 24];
        context[4..8].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
        context[12..16].copy_from_slice(&index.to_ne_bytes());
        let program = self.forward().unwrap();
        let result = program
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut out),
                ctx_in: Some(&context),
                ..TestRunOptions::default()
            })
            .unwrap();
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }
}

fn read(counts: &PerCpuArray<MapData, [u64; 2]>, at: u16) -> io::Result<Count> {
    let values = counts.get(&u32::from(at), 0).map_err(other)?;
    let add = |sum: Count, [packets, octets]: &[u64; 2]| Count {
        packets: sum.packets + packets,
        octets: sum.octets + octets,
    };
    Ok(values.iter().fold(Count::default(), add))
}

fn clear(counts: &mut PerCpuArray<MapData, [u64; 2]>, at: u16) -> io::Result<()> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    let none = PerCpuValues::try_from(vec![[0; 2]; cpus])?;
    counts.set(u32::from(at), none, 0).map_err(other)
}
