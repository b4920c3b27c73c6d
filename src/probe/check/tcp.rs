//! The TCP check: passes when the connection is established.

use std::net::SocketAddr;
use std::time::Duration;

use super::socket::connect_tcp;
use crate::health::Failure;
use crate::time::Clock;

/// Connects to exactly `addr` and closes again; gives the time it took.
///
/// # Errors
/// When there is no connection.
pub async fn connect(addr: SocketAddr, clock: &dyn Clock) -> Result<Duration, Failure> {
    let (_closed_at_once, rtt) = connect_tcp(addr, None, clock).await?;
    Ok(rtt)
}
