//! One upstream in the kernel: where its backends are, what they get, and the table that names them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::balance::Candidate as _;
use crate::proxy::pick::Picker;
use crate::proxy::tier::{self, Server};
use crate::time::Moment;

use super::kernel::Kernel;
use super::layout::{Mac, NOBODY, flag, show_mac};
use super::netlink::Neighbours;
use super::places::{Place, Places};
use super::table::{Seen, fill, moved};

/// How often a table follows weights that change little by little, while a backend comes back slowly.
const PACE: Duration = Duration::from_secs(1);

/// A backend as the kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Its id.
    pub(super) id: u64,
    /// `None`: all places are taken.
    pub(super) place: Option<Place>,
    /// Where it is, or was when that was last known.
    pub(super) mac: Option<Mac>,
    /// What it gets.
    pub(super) flags: u8,
}

impl Member {
    fn write(&self, kernel: &mut Kernel, flags: u8) -> io::Result<()> {
        match (self.place, self.mac) {
            (Some(place), Some(mac)) => kernel.set_backend(place, mac, flags),
            // Nothing was written, so nothing goes there.
            _ => Ok(()),
        }
    }
}

/// What a table is made of.
#[derive(Default)]
struct Made {
    picker: Option<Arc<Picker>>,
    seen: Vec<Seen>,
    places: Vec<u16>,
    at: Moment,
}

impl Made {
    /// Whether a table of this would differ by more than shares.
    fn differs(&self, other: &Made) -> bool {
        let who = |seen: &Seen| seen.eligible && seen.weight > 0;
        let same_picker = match (&self.picker, &other.picker) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        !same_picker
            || self.places != other.places
            || !self.seen.iter().map(who).eq(other.seen.iter().map(who))
    }
}

/// An upstream.
pub(super) struct Group {
    /// Its name.
    pub(super) name: Box<str>,
    /// Its place among the tables.
    pub(super) table: u16,
    /// The number of the interface whose neighbours its backends are.
    pub(super) link: u32,
    /// Tables written.
    pub(super) generation: u64,
    /// Slots that were given another backend, with each table but the first.
    pub(super) moved: u64,
    /// In the order of the upstream.
    pub(super) members: Vec<Member>,
    made: Made,
    slots: Vec<u16>,
    buffer: u32,
}

impl Group {
    pub(super) fn new(name: &str, table: u16) -> Group {
        Group {
            name: name.into(),
            table,
            link: 0,
            generation: 0,
            moved: 0,
            members: Vec::new(),
            made: Made::default(),
            slots: Vec::new(),
            buffer: 0,
        }
    }

    /// Tells the kernel what has changed.
    pub(super) fn update(
        &mut self,
        kernel: &mut Kernel,
        places: &mut Places,
        neighbours: &Neighbours,
        group: &tier::Group,
        now: Moment,
    ) -> io::Result<()> {
        let mut members = Vec::with_capacity(group.servers.len());
        let mut made = Made {
            picker: Some(group.chooser.picker.clone()),
            at: now,
            ..Made::default()
        };
        for server in &group.servers {
            let (member, seen) = self.look(kernel, places, neighbours, server, now)?;
            made.places.push(member.place.map_or(NOBODY, |p| p.number));
            made.seen.push(seen);
            members.push(member);
        }
        // A new weight alone may wait, so that a slow start does not write a table ten times a second.
        let fills = self.made.differs(&made)
            || (self.made.seen != made.seen && now.since(self.made.at) >= PACE);
        if members == self.members && !fills {
            return Ok(());
        }
        // Nobody may be in the table whom the kernel does not know, nor be taken away while there.
        for m in &members {
            m.write(kernel, m.flags | self.flags_of(m.id))?;
        }
        if fills {
            self.fill(kernel, made)?;
        }
        for m in &members {
            m.write(kernel, m.flags)?;
        }
        for (m, server) in members.iter().zip(&group.servers) {
            self.tell(m, server);
        }
        self.members = members;
        Ok(())
    }

    fn flags_of(&self, id: u64) -> u8 {
        let known = self.members.iter().find(|m| m.id == id);
        known.map_or(0, |m| m.flags)
    }

    fn fill(&mut self, kernel: &mut Kernel, made: Made) -> io::Result<()> {
        let Some(picker) = &made.picker else {
            return Ok(());
        };
        let slots = fill(picker, &made.seen, &made.places);
        let buffer = 1 - self.buffer;
        kernel.set_table(self.table, buffer, &slots)?;
        let moved = moved(&self.slots, &slots);
        self.generation += 1;
        self.moved += moved as u64;
        tracing::debug!(
            upstream = %self.name, generation = self.generation, moved,
            "the kernel has another table"
        );
        (self.buffer, self.slots, self.made) = (buffer, slots, made);
        Ok(())
    }

    /// A backend as it is now.
    fn look(
        &self,
        kernel: &mut Kernel,
        places: &mut Places,
        neighbours: &Neighbours,
        server: &Arc<Server>,
        now: Moment,
    ) -> io::Result<(Member, Seen)> {
        let place = match places.take(server.id) {
            Some((place, true)) => {
                kernel.clear_backend_count(place)?;
                Some(place)
            }
            Some((place, false)) => Some(place),
            None => None,
        };
        let known = self.members.iter().find(|m| m.id == server.id);
        let found = neighbours.get(&(self.link, server.address.ip())).copied();
        let seen = Seen {
            eligible: server.eligible(now) && found.is_some() && place.is_some(),
            weight: server.weight(now),
        };
        let takes = seen.eligible && seen.weight > 0;
        let flags = if server.is_cut() {
            0
        } else if takes {
            flag::TAKES | flag::KEEPS_TCP | flag::KEEPS_UDP
        } else if server.serves_bound(now) {
            flag::KEEPS_TCP | flag::KEEPS_UDP
        } else {
            // A server that does not answer its probes may still serve the connections it has; datagrams
            // know no connection that would break.
            flag::KEEPS_TCP
        };
        let member = Member {
            id: server.id,
            place,
            mac: found.or_else(|| known?.mac),
            flags,
        };
        Ok((member, seen))
    }

    /// Says what has become of a backend.
    fn tell(&self, m: &Member, server: &Server) {
        let before = self.members.iter().find(|o| o.id == m.id);
        let (upstream, backend) = (&self.name, &server.name);
        let mac = m.mac.map(show_mac).unwrap_or_default();
        if m.mac != before.and_then(|b| b.mac) {
            tracing::info!(%upstream, %backend, mac, "the backend's hardware address is known");
        }
        if before.is_none() && m.mac.is_none() {
            let address = server.address.ip();
            tracing::warn!(
                %upstream, %backend, %address,
                "no neighbour has the backend's address: it gets nothing until one does"
            );
        }
        if before.is_none() && m.place.is_none() {
            tracing::error!(%upstream, %backend, "the kernel's table of backends is full");
        }
    }
}
