//! Checks: one run of a monitor against one target.

pub mod http;
pub mod socket;
pub mod tcp;

use std::net::SocketAddr;
use std::time::Duration;

use self::http::HttpProbe;
use super::schedule::TargetKey;
use crate::health::{Failure, MonitorKind};
use crate::time::Clock;

/// A target's check, made ready once and run many times.
#[derive(Debug)]
pub enum Check {
    /// Connects.
    Tcp(SocketAddr),
    /// Asks over HTTP or HTTPS.
    Http(Box<HttpProbe>),
}

impl Check {
    /// Makes the check of `key` ready. Costs no I/O.
    pub fn prepare(key: &TargetKey) -> Check {
        let addr = SocketAddr::new(key.addr, key.port);
        match &key.monitor.kind {
            MonitorKind::Tcp(_) => Check::Tcp(addr),
            MonitorKind::Http(http) => Check::Http(Box::new(HttpProbe::new(http, addr))),
        }
    }

    /// Runs it once; gives the time to connect. Has no time limit of its own: the caller's covers
    /// the whole run.
    ///
    /// # Errors
    /// When the target does not pass.
    pub async fn run(&self, clock: &dyn Clock) -> Result<Duration, Failure> {
        match self {
            Check::Tcp(addr) => tcp::connect(*addr, clock).await,
            Check::Http(http) => http.run(clock).await,
        }
    }
}
