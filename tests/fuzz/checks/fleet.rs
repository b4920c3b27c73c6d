//! What comes to the fleet's port: datagrams before QUIC sees them, and the frame of a message.

use tradewind::fleet::Key;
use tradewind::fleet::gossip::frame::{frame, unframe};
use tradewind::fleet::gossip::wire::is_quic;

/// A datagram, a stream, and the text of a key.
pub fn check(data: &[u8]) {
    if is_quic(data) {
        // What is cut off behind the shortest packet stays QUIC, what is empty never is.
        assert!(!data.is_empty());
    }
    match unframe("tradewind", data) {
        // Every octet has a meaning: there is one frame per message.
        Ok(message) => assert_eq!(frame("tradewind", message), data),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(key) = Key::new(&String::from_utf8_lossy(data)) {
        assert!(key.as_str().is_ascii());
    }
}
