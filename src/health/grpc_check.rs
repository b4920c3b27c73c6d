//! The check by gRPC's health protocol.

use super::tls_check::TlsTrust;

/// Asks `grpc.health.v1.Health/Check`; only `SERVING` passes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GrpcCheck {
    /// The service asked for; empty: the server as a whole.
    pub service: Box<str>,
    /// `:authority`; the address when `None`.
    pub host: Option<Box<str>>,
    /// Over TLS; cleartext when `None`.
    pub tls: Option<TlsTrust>,
}
