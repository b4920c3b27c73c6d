//! Which address connections to backends come from.

use std::net::{IpAddr, SocketAddr};

/// Which address connections to the backends of an upstream come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Origin {
    /// The one that the routing table names.
    #[default]
    System,
    /// This one, of the same family as the backends.
    Address(IpAddr),
    /// The client's own, with any port (`IP_TRANSPARENT`): the way back must lead through this machine.
    Client,
}

impl Origin {
    /// Whether a connection belongs to one client: nobody else's octets go over it.
    pub fn is_of_one_client(self) -> bool {
        self == Origin::Client
    }

    /// What a socket for a connection of `client` to `backend` is bound to, its port left to the
    /// system; `None`: to nothing. A client's own port is not asked for: at the next try, or at another
    /// listener, the same pair of ports would be in use. A client of another family than the backend's
    /// has no address that the backend could answer.
    ///
    /// # Errors
    /// When client and backend are of different families.
    pub fn bind(
        self,
        client: SocketAddr,
        backend: SocketAddr,
    ) -> Result<Option<SocketAddr>, OtherFamily> {
        let from = match self {
            Origin::System => return Ok(None),
            Origin::Address(address) => address,
            Origin::Client => client.ip().to_canonical(),
        };
        if from.is_ipv4() == backend.is_ipv4() {
            Ok(Some(SocketAddr::new(from, 0)))
        } else {
            Err(OtherFamily)
        }
    }
}

/// The address that a connection shall come from is of another family than the one it goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the client's address and the backend's are of different families")]
pub struct OtherFamily;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_socket_is_bound_to() {
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (client, v4, v6) = (
            at("192.0.2.1:4000"),
            at("10.0.0.1:80"),
            at("[2001:db8::1]:80"),
        );
        assert_eq!(Origin::System.bind(client, v6), Ok(None));
        let own = Origin::Address([10, 0, 0, 9].into());
        assert_eq!(own.bind(client, v4), Ok(Some(at("10.0.0.9:0"))));
        assert_eq!(Origin::Client.bind(client, v4), Ok(Some(at("192.0.2.1:0"))));
        assert_eq!(
            Origin::Client.bind(at("[::ffff:192.0.2.1]:4000"), v4),
            Ok(Some(at("192.0.2.1:0")))
        );
        assert_eq!(Origin::Client.bind(client, v6), Err(OtherFamily));
        assert!(Origin::Client.is_of_one_client() && !own.is_of_one_client());
    }
}
