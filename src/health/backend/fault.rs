//! What can go wrong between the proxy and a backend, and which of it counts.

use std::fmt;

/// One way in which a request to a backend failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// No connection, or no TLS session.
    Connect,
    /// Connected, but too slow.
    Timeout,
    /// The connection ended before the answer did, or the answer was no HTTP.
    Reset,
    /// An answer with status 502, 503 or 504.
    Gateway,
    /// An answer with another status from 500 to 599.
    Server,
}

impl Fault {
    /// The fault that an answer with `status` is, if it is one.
    pub const fn of_status(status: u16) -> Option<Fault> {
        match status {
            502..=504 => Some(Fault::Gateway),
            500..=599 => Some(Fault::Server),
            _ => None,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Connect => "no connection",
            Fault::Timeout => "no answer in time",
            Fault::Reset => "the connection ended early",
            Fault::Gateway => "a gateway error (502, 503 or 504)",
            Fault::Server => "a server error (5xx)",
        })
    }
}

/// Which faults count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FaultSet(u8);

impl FaultSet {
    /// None.
    pub const NONE: FaultSet = FaultSet(0);

    /// Those that no healthy server shows: no connection, no answer in time, a connection that ended
    /// early.
    pub const TRANSPORT: FaultSet = FaultSet::NONE
        .with(Fault::Connect)
        .with(Fault::Timeout)
        .with(Fault::Reset);

    /// This set and `fault`; [`Fault::Server`] stands for every status from 500 to 599.
    pub const fn with(self, fault: Fault) -> FaultSet {
        let more = match fault {
            Fault::Server => Fault::Server.bit() | Fault::Gateway.bit(),
            other => other.bit(),
        };
        FaultSet(self.0 | more)
    }

    /// Whether `fault` counts.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p4_statuses_are_the_faults_they_should_be() {
        let table = [
            (200, None),
            (404, None),
            (499, None),
            (500, Some(Fault::Server)),
            (501, Some(Fault::Server)),
            (502, Some(Fault::Gateway)),
            (503, Some(Fault::Gateway)),
            (504, Some(Fault::Gateway)),
            (505, Some(Fault::Server)),
            (599, Some(Fault::Server)),
            (600, None),
        ];
        for (status, fault) in table {
            assert_eq!(Fault::of_status(status), fault, "{status}");
        }
    }

    #[test]
    fn p4_every_5xx_includes_the_gateway_errors_and_not_the_other_way_round() {
        let all = FaultSet::NONE.with(Fault::Server);
        assert!(all.has(Fault::Gateway) && all.has(Fault::Server));
        let gateway = FaultSet::NONE.with(Fault::Gateway);
        assert!(gateway.has(Fault::Gateway) && !gateway.has(Fault::Server));
        assert!(!FaultSet::TRANSPORT.has(Fault::Gateway));
        assert!(FaultSet::TRANSPORT.has(Fault::Reset));
    }
}
