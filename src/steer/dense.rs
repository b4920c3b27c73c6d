//! What a query reads of the names and groups, in rows that lie densely.
//!
//! A query for one of many names should touch as few cache lines and pages as one for the only
//! name. So the few words that a decision needs are kept apart from owners, members and texts.

use crate::ids::{GroupId, NameId, ShapeId};

use super::facts::Lane;
use super::resolve::lanes;
use super::users::Users;
use super::{Chooser, Group, Shape, Steering};

/// A name, for a query: 8 octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameRow {
    pub(super) group: GroupId,
    pub(super) answers: u8,
    pub(super) ignore_ecs: bool,
}

/// A group, for a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupRow {
    pub(super) shape: ShapeId,
    pub(super) chooser: Chooser,
    pub(super) cname: bool,
    /// Offers per plan.
    lanes: u8,
    /// By lane: its place among the offers of a plan.
    places: [Option<u8>; 3],
}

impl GroupRow {
    fn new(group: &Group, steering: &Steering) -> GroupRow {
        let mut row = GroupRow {
            shape: group.shape,
            chooser: steering.policies[steering.shapes[group.shape.index()].policy.index()].chooser,
            cname: group.cname,
            lanes: 0,
            places: [None; 3],
        };
        for lane in lanes(group) {
            row.places[lane as usize] = Some(row.lanes);
            row.lanes += 1;
        }
        row
    }

    /// The place of a plan's offer in a lane among the offers of the group; `None` where the group
    /// has no such lane.
    #[inline]
    pub(super) fn place(&self, plan: usize, lane: Lane) -> Option<usize> {
        self.places[lane as usize].map(|at| plan * usize::from(self.lanes) + usize::from(at))
    }
}

/// The rows of all names and groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Dense {
    names: Vec<NameRow>,
    groups: Vec<GroupRow>,
    /// Which groups a pool serves; for publications, not for queries.
    pub(super) users: Users,
}

impl Dense {
    /// The rows of everything in `steering`.
    pub(super) fn of(steering: &Steering) -> Dense {
        let name = |n: &super::SteeredName| NameRow {
            group: n.group,
            answers: n.answers,
            ignore_ecs: n.ignore_ecs,
        };
        let group = |g: &Group| GroupRow::new(g, steering);
        Dense {
            names: steering.names.iter().map(name).collect(),
            groups: steering.groups.iter().map(group).collect(),
            users: Users::of(steering),
        }
    }

    #[inline]
    pub(super) fn name(&self, name: NameId) -> NameRow {
        self.names[name.index()]
    }

    #[inline]
    pub(super) fn group(&self, group: GroupId) -> &GroupRow {
        &self.groups[group.index()]
    }
}

impl Steering {
    /// The name's group.
    pub fn group_of(&self, name: NameId) -> &Group {
        &self.groups[self.dense.name(name).group.index()]
    }

    /// The shape of the name's group.
    pub fn shape_of(&self, name: NameId) -> &Shape {
        &self.shapes[self.shape_id_of(name).index()]
    }

    /// Which shape the name's group has.
    pub fn shape_id_of(&self, name: NameId) -> ShapeId {
        self.dense.group(self.dense.name(name).group).shape
    }

    /// How the name's policy chooses in the end.
    pub fn chooser_of(&self, name: NameId) -> Chooser {
        self.dense.group(self.dense.name(name).group).chooser
    }

    /// Whether the client's ECS option is ignored for the name.
    pub fn ignores_ecs(&self, name: NameId) -> bool {
        self.dense.name(name).ignore_ecs
    }
}
