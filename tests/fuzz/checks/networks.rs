//! A CSV of own networks.

use tradewind::geo::OwnNetworks;

/// The file.
pub fn check(data: &[u8]) {
    match OwnNetworks::parse(data) {
        Err(errors) => assert!(!errors.to_string().is_empty()),
        Ok(networks) => {
            for row in networks.rows() {
                assert!(networks.lookup(row.prefix.addr()).is_some());
            }
        }
    }
}
