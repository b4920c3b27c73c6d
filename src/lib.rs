//! Tradewind: a DNS-based global server load balancer (GSLB) with its own probes.
//!
//! An authoritative DNS server answers each query with the healthy regional address that suits the
//! client best. Operators describe regions, pools and names in TOML, ask over HTTP or `dig` why an
//! answer was given, and rehearse failover by killing things.
//!
//! # Start reading here
//!
//! 1. [`docs::architecture`]: the picture, the code map, and what is deliberately absent.
//! 2. [`steer::decide`](steer::decide()): the one decision function.
//! 3. [`engine::answer()`]: bytes of a query in, bytes of its answer out.
//!
//! A query's way through the files: `server/udp.rs` → `engine/answer.rs` → `zone/lookup.rs` →
//! `steer/decide.rs` → `engine/respond.rs` → `server/udp.rs`. A probe result's way: `probe/runner.rs`
//! → `app/judge_loop.rs` → `health/judge.rs` → `health/council/mod.rs` → `steer/offer.rs` →
//! `snapshot/publish.rs`.

#![warn(missing_docs)]

// Layer 0: words.
pub mod chunked;
pub mod dns;
pub mod ids;
pub mod message;
pub mod net;
pub mod telemetry;
pub mod time;
pub mod tls;
pub mod units;

// Layer 1: neighbours that do not know each other.
pub mod balance;
pub mod caching;
pub mod dnssec;
pub mod geo;
pub mod health;
pub mod history;
pub mod limit;
pub mod overrides;
pub mod zone;

// Layer 2: the decision, for DNS and for the proxy.
pub mod drill;
pub mod steer;
pub mod traffic;

// Layer 3: what is published.
pub mod snapshot;

// Layer 4: the answer, the configuration's text, and the comparison of two views; strangers to each
// other.
pub mod config;
pub mod engine;
pub mod plan;

// Layer 5: text → snapshot.
pub mod compile;

// Also layer 5: system calls that no safe crate offers; all unsafe code is there.
pub mod sys;

// Layer 6: the edges; strangers to each other.
pub mod admin;
pub mod fleet;
pub mod probe;
pub mod proxy;
pub mod server;

// Layer 7: tasks, signals, the real clock.
pub mod app;

// Layer 8: the command line.
pub mod cli;

/// The long documents, as they lie in `src/docs/`.
pub mod docs {
    #[doc = include_str!("docs/api.md")]
    pub mod api {}
    #[doc = include_str!("docs/architecture.md")]
    pub mod architecture {}
    #[doc = include_str!("docs/admin-security.md")]
    pub mod admin_security {}
    #[doc = include_str!("docs/cli.md")]
    pub mod cli {}
    #[doc = include_str!("docs/configuration.md")]
    pub mod configuration {}
    #[doc = include_str!("docs/conformance.md")]
    pub mod conformance {}
    #[doc = include_str!("docs/console.md")]
    pub mod console {}
    #[doc = include_str!("docs/dnssec.md")]
    pub mod dnssec {}
    #[doc = include_str!("docs/expectations.md")]
    pub mod expectations {}
    #[doc = include_str!("docs/explain.md")]
    pub mod explain {}
    #[doc = include_str!("docs/drills.md")]
    pub mod drills {}
    #[doc = include_str!("docs/fleet.md")]
    pub mod fleet {}
    #[doc = include_str!("docs/history.md")]
    pub mod history {}
    #[doc = include_str!("docs/monitors.md")]
    pub mod monitors {}
    #[doc = include_str!("docs/plan.md")]
    pub mod plan {}
    #[doc = include_str!("docs/overrides.md")]
    pub mod overrides {}
    #[doc = include_str!("docs/performance.md")]
    pub mod performance {}
    #[doc = include_str!("docs/proxy-tls.md")]
    pub mod proxy_tls {}
    #[doc = include_str!("docs/proxy.md")]
    pub mod proxy {}
    #[doc = include_str!("docs/proxy-layer4.md")]
    pub mod proxy_layer4 {}
    #[doc = include_str!("docs/proxy-layer4-tls.md")]
    pub mod proxy_layer4_tls {}
    #[doc = include_str!("docs/proxy-observability.md")]
    pub mod proxy_observability {}
    #[doc = include_str!("docs/proxy-udp.md")]
    pub mod proxy_udp {}
    #[doc = include_str!("docs/proxy-balancing.md")]
    pub mod proxy_balancing {}
    #[doc = include_str!("docs/proxy-health.md")]
    pub mod proxy_health {}
    #[doc = include_str!("docs/proxy-high-availability.md")]
    pub mod proxy_high_availability {}
    #[doc = include_str!("docs/proxy-xdp.md")]
    pub mod proxy_xdp {}
    #[doc = include_str!("docs/telemetry.md")]
    pub mod telemetry {}
    #[doc = include_str!("docs/metrics.md")]
    pub mod metrics {}
    #[doc = include_str!("docs/upgrade.md")]
    pub mod upgrade {}
    #[doc = include_str!("docs/proxy-fields.md")]
    pub mod proxy_fields {}
    #[doc = include_str!("docs/proxy-routing.md")]
    pub mod proxy_routing {}
    #[doc = include_str!("docs/transports.md")]
    pub mod transports {}
    #[doc = include_str!("docs/protection.md")]
    pub mod protection {}
    #[doc = include_str!("docs/transfers.md")]
    pub mod transfers {}
    #[doc = include_str!("docs/proxy-conformance.md")]
    pub mod proxy_conformance {}
    #[doc = include_str!("docs/proxy-caching.md")]
    pub mod proxy_caching {}
}
