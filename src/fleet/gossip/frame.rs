//! The frame of a message on its stream: which protocol, which cluster.
//!
//! One octet version, one octet kind, one octet length of the cluster's name, the name, and then the
//! message to the end of the stream.

/// The version of the frame that this node speaks.
pub const VERSION: u8 = 1;

/// Kind of message: gossip.
pub const GOSSIP: u8 = 1;

/// Kind of message: a question, whose answer comes back on the same stream.
pub const QUESTION: u8 = 2;

/// Longest message in octets, what fits one UDP datagram over IPv4: chitchat makes no longer ones.
pub const MAX_MESSAGE: usize = 65_507;

/// Longest name of a cluster in octets.
pub const MAX_CLUSTER: usize = 255;

/// Octets that a stream may have: the longest message with its frame, and some for later versions.
pub const MAX_STREAM: usize = 80_000;

/// Why a frame is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended within the frame.
    #[error("the stream ended within its frame")]
    CutOff,
    /// Another version.
    #[error("version {0}; this node speaks {VERSION}")]
    Version(u8),
    /// Another kind.
    #[error(
        "kind {0}; this node knows {GOSSIP} (gossip) and {QUESTION} (a question), each on its own streams"
    )]
    Kind(u8),
    /// It is for another cluster.
    #[error("it is for another cluster")]
    OtherCluster,
    /// No message in it, or too long a one.
    #[error("a message of {0} octets; it must have 1 to {MAX_MESSAGE}")]
    Length(usize),
}

/// A message of gossip in its frame. A name longer than [`MAX_CLUSTER`] is cut.
pub fn frame(cluster: &str, message: &[u8]) -> Vec<u8> {
    frame_of(GOSSIP, cluster, message)
}

/// A message of some kind in its frame. A name longer than [`MAX_CLUSTER`] is cut.
pub fn frame_of(kind: u8, cluster: &str, message: &[u8]) -> Vec<u8> {
    let name = &cluster.as_bytes()[..cluster.len().min(MAX_CLUSTER)];
    let mut out = Vec::with_capacity(3 + name.len() + message.len());
    // The name was cut to one octet's worth.
    out.extend([VERSION, kind, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    out.extend_from_slice(name);
    out.extend_from_slice(message);
    out
}

/// The message in a frame of this cluster.
///
/// # Errors
/// When it is none, or not for this node; nothing of it may be believed then.
pub fn unframe<'a>(cluster: &str, stream: &'a [u8]) -> Result<&'a [u8], FrameError> {
    unframe_of(GOSSIP, cluster, stream)
}

/// The message of one kind in a frame of this cluster.
///
/// # Errors
/// When it is none, or not for this node; nothing of it may be believed then.
pub fn unframe_of<'a>(wanted: u8, cluster: &str, stream: &'a [u8]) -> Result<&'a [u8], FrameError> {
    let (&version, rest) = stream.split_first().ok_or(FrameError::CutOff)?;
    // First of all: what follows is only known of this version.
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let (&kind, rest) = rest.split_first().ok_or(FrameError::CutOff)?;
    if kind != wanted {
        return Err(FrameError::Kind(kind));
    }
    let (&length, rest) = rest.split_first().ok_or(FrameError::CutOff)?;
    let (name, message) = rest
        .split_at_checked(usize::from(length))
        .ok_or(FrameError::CutOff)?;
    if name != &cluster.as_bytes()[..cluster.len().min(MAX_CLUSTER)] {
        return Err(FrameError::OtherCluster);
    }
    if message.is_empty() || message.len() > MAX_MESSAGE {
        return Err(FrameError::Length(message.len()));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_refused() {
        let good = frame("eu", b"hello");
        assert_eq!(unframe("eu", &good), Ok(&b"hello"[..]));
        assert_eq!(unframe("us", &good), Err(FrameError::OtherCluster));
        assert_eq!(unframe("e", &good), Err(FrameError::OtherCluster));
        assert_eq!(unframe("eu", &[]), Err(FrameError::CutOff));
        for end in 1..5 {
            assert_eq!(unframe("eu", &good[..end]), Err(FrameError::CutOff));
        }
        assert_eq!(unframe("eu", &good[..5]), Err(FrameError::Length(0)));
        assert_eq!(unframe("eu", b"\x02"), Err(FrameError::Version(2)));
        assert_eq!(unframe("eu", b"\x01\x07"), Err(FrameError::Kind(7)));
        let long = frame("eu", &vec![0; MAX_MESSAGE + 1]);
        assert_eq!(
            unframe("eu", &long),
            Err(FrameError::Length(MAX_MESSAGE + 1))
        );
    }

    proptest! {
        #[test]
        fn a_message_comes_out_as_it_went_in(
            cluster in ".{0,300}",
            message in prop::collection::vec(any::<u8>(), 1..500),
        ) {
            let stream = frame(&cluster, &message);
            prop_assert!(stream.len() <= MAX_STREAM);
            prop_assert_eq!(unframe(&cluster, &stream), Ok(&message[..]));
            // A question is no gossip, nor the other way round.
            prop_assert_eq!(unframe_of(QUESTION, &cluster, &stream), Err(FrameError::Kind(GOSSIP)));
            let asked = frame_of(QUESTION, &cluster, &message);
            prop_assert_eq!(unframe_of(QUESTION, &cluster, &asked), Ok(&message[..]));
            prop_assert_eq!(unframe(&cluster, &asked), Err(FrameError::Kind(QUESTION)));
        }
    }
}
