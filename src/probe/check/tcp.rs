//! The TCP check: passes when the connection is established.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::health::Failure;
use crate::time::Clock;

/// Connects to exactly `addr` and closes again; gives the time it took.
///
/// # Errors
/// When there is no connection.
pub async fn connect(addr: SocketAddr, clock: &dyn Clock) -> Result<Duration, Failure> {
    let start = clock.now();
    let stream = TcpStream::connect(addr)
        .await
        .map_err(|e| Failure::Connect(e.to_string()))?;
    let rtt = start.until(clock.now());
    drop(stream);
    Ok(rtt)
}
