//! The heartbeat, key `hb`: `1 COUNT STATE`, such as `1 1042 sees`.

use super::Malformed;
use super::chunk::VERSION;

/// A sign of life, counting up every two seconds. Freshness is measured on the reader's own monotonic
/// clock when the count moves, so no node's calendar matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Counts up.
    pub count: u64,
    /// The node's prober does not trust what it sees.
    pub blind: bool,
}

impl Heartbeat {
    /// As it stands on the bus.
    pub fn encode(self) -> String {
        let state = if self.blind { "blind" } else { "sees" };
        format!("{VERSION} {} {state}", self.count)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn decode(text: &str) -> Result<Heartbeat, Malformed> {
        let mut words = text.split(' ');
        super::chunk::check_version(words.next())?;
        let count = words.next().and_then(|w| w.parse().ok());
        let count = count.ok_or(Malformed::Form("a heartbeat has a count"))?;
        let blind = match (words.next(), words.next()) {
            (Some("sees"), None) => false,
            (Some("blind"), None) => true,
            _ => return Err(Malformed::Form("a heartbeat ends in `sees` or `blind`")),
        };
        Ok(Heartbeat { count, blind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_read_as_written_and_nothing_else_is() {
        for blind in [false, true] {
            let beat = Heartbeat { count: 77, blind };
            assert_eq!(Heartbeat::decode(&beat.encode()), Ok(beat));
        }
        for broken in ["", "1", "1 x sees", "1 5", "1 5 sees more", "1 5 half"] {
            assert!(Heartbeat::decode(broken).is_err(), "{broken}");
        }
        assert_eq!(
            Heartbeat::decode("9 5 sees"),
            Err(Malformed::Version("9".to_owned()))
        );
    }
}
