//! The one integration-test binary.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "a binary of tests: nothing is reached from outside"
)]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a failed test shall panic, and end-to-end tests watch the real clock"
)]

mod support;

mod alloc;
mod conformance;
mod deploy;
mod e2e_admin;
mod e2e_admin_tls;
mod e2e_api;
mod e2e_api_speed;
mod e2e_check;
mod e2e_cli;
mod e2e_compare;
mod e2e_console;
mod e2e_console_cli;
mod e2e_demo;
mod e2e_dnssec;
mod e2e_doh;
mod e2e_doq;
mod e2e_dot;
mod e2e_drill;
mod e2e_drill_answers;
mod e2e_expectations;
mod e2e_explain;
mod e2e_fleetwide;
mod e2e_guard;
mod e2e_history;
mod e2e_hostile;
mod e2e_identity;
mod e2e_keys;
mod e2e_latency;
mod e2e_monitors;
mod e2e_overrides;
mod e2e_plan;
mod e2e_probe;
mod e2e_probe_secure;
mod e2e_proxy;
mod e2e_proxy_auth;
mod e2e_proxy_balance;
mod e2e_proxy_cache;
mod e2e_proxy_compare;
mod e2e_proxy_compress;
mod e2e_proxy_fields;
mod e2e_proxy_grpc;
mod e2e_proxy_health;
mod e2e_proxy_hostile;
mod e2e_proxy_http2;
mod e2e_proxy_l4_balance;
mod e2e_proxy_l4_limits;
mod e2e_proxy_l4_transparent;
mod e2e_proxy_layer4_floods;
mod e2e_proxy_layer4_told;
mod e2e_proxy_limits;
mod e2e_proxy_operation;
mod e2e_proxy_protocol;
mod e2e_proxy_routes;
mod e2e_proxy_runtime;
mod e2e_proxy_session;
mod e2e_proxy_shared;
mod e2e_proxy_smuggling;
mod e2e_proxy_sni;
mod e2e_proxy_sni_hostile;
mod e2e_proxy_tcp;
mod e2e_proxy_tls;
mod e2e_proxy_udp;
mod e2e_proxy_udp_quic;
mod e2e_proxy_waf;
mod e2e_proxy_websocket;
mod e2e_readme;
mod e2e_reload;
mod e2e_scale;
mod e2e_steer;
mod e2e_takeover;
mod e2e_takeover_sessions;
mod e2e_tcp;
mod e2e_telemetry;
mod e2e_transfer;
mod e2e_types;
mod fleet;
mod fuzz;
mod geoip;
mod geoip_maxmind;
mod golden_explain;
mod publish;
mod scenarios;
mod tidy;
mod tidy_gate;
