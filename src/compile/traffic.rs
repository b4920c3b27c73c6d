//! What the proxy of a node does with traffic: one part after the other into one plan.

use std::sync::Arc;

use crate::config::Spec;
use crate::config::load::Inputs;
use crate::config::spec::{NodeSpec, Role};
use crate::traffic::{Plan, Vip};

use super::{
    Problems, caches, features, listeners, node, routes, sni, sockets, tls_mode, udp, upstreams,
    uses, xdp,
};

/// The plan of the node called `wanted`; an empty one without the role `proxy`. All parts are checked
/// either way.
pub(super) fn plan(
    spec: &Spec,
    inputs: &Inputs,
    wanted: Option<&str>,
    vips: &[Vip],
    p: &mut Problems,
) -> Arc<Plan> {
    let this: Option<&NodeSpec> = spec
        .nodes
        .iter()
        .find(|n| Some(n.name.as_str()) == wanted && node::has(n, Role::Proxy));
    let upstreams = upstreams::upstreams(spec, this, p);
    let caches = caches::caches(spec, p);
    let shared = features::shared(spec, inputs, &upstreams.by_name, p);
    let listeners = this.map_or_else(Vec::new, |this| {
        listeners::listeners(spec, this, &shared, &upstreams.by_name, p)
    });
    let routes = routes::routes(
        spec,
        &upstreams.by_name,
        &listeners,
        &caches.by_name,
        &shared,
        p,
    );
    sockets::check(spec, wanted, p);
    udp::check(spec, p);
    xdp::check(spec, wanted, p);
    features::unused(spec, p);
    sni::check(spec, p);
    tls_mode::check(spec, p);
    uses::check(spec, p);
    uses::families(spec, p);
    let Some(this) = this else {
        return Arc::default();
    };
    Arc::new(Plan {
        listeners,
        waf: spec.waf.iter().map(|w| w.rules.clone()).collect(),
        routes,
        caches: caches.list,
        upstreams: upstreams.list,
        rate_limits: shared.rate_limits,
        error_pages: shared.error_pages,
        auths: shared.auths,
        node: listeners::node(this, vips),
    })
}
