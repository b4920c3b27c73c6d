//! Dense identifiers.
//!
//! Strings stop at the edges: once a configuration is compiled, every object is an index into the
//! `Vec` of its kind. The newtypes keep an index of one kind from being used for another.

/// Declares one dense identifier.
macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the `Vec` that holds objects of this kind.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The identifier of the object at `index`.
            ///
            /// # Panics
            /// When `index` does not fit 32 bits, which no configuration that fits in memory reaches.
            #[inline]
            pub const fn from_index(index: usize) -> Self {
                assert!(index <= u32::MAX as usize, "more than 2^32 objects of one kind");
                Self(index as u32)
            }
        }
    };
}

dense_id!(
    /// A region: a named place with coordinates.
    RegionId
);
dense_id!(
    /// A pool: a named set of endpoints in one region treated as one choice.
    PoolId
);
dense_id!(
    /// An endpoint: one address (or CNAME target) a client may be sent to.
    EndpointId
);
dense_id!(
    /// A monitor: the definition of a check.
    MonitorId
);
dense_id!(
    /// A probe target: one (address, port, monitor) of this node, shared by all endpoints that need it.
    TargetId
);
dense_id!(
    /// A policy: the list of stages that order pools for one client.
    PolicyId
);
dense_id!(
    /// A steered name.
    NameId
);
dense_id!(
    /// A group: what names with the same pools, policy, TTL bounds and last resort share.
    GroupId
);
dense_id!(
    /// A shape: a policy applied to members of the same geography; owns one partition of the address space.
    ShapeId
);
dense_id!(
    /// A plan: one refined order of a shape's members.
    PlanId
);
dense_id!(
    /// A distinct location of the geo table.
    LocationId
);
dense_id!(
    /// A vantage: a node that probes.
    VantageId
);
dense_id!(
    /// A site: the failure domain of vantages, which is one region and one autonomous system.
    SiteId
);
dense_id!(
    /// A listener: where a proxy takes traffic.
    ListenerId
);
dense_id!(
    /// A route: which requests go where.
    RouteId
);
dense_id!(
    /// An upstream: a named group of servers behind a proxy.
    UpstreamId
);
dense_id!(
    /// A backend: one server of an upstream, counted within it.
    BackendId
);
dense_id!(
    /// A cache of a proxy.
    CacheId
);
dense_id!(
    /// A rate limit of requests through a proxy.
    RateLimitId
);
dense_id!(
    /// A set of error pages.
    ErrorPagesId
);
dense_id!(
    /// An external authorisation.
    AuthId
);
