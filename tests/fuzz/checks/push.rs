//! The body of a push: whole frames, however the octets come, and what a DNS node makes of them.

use std::sync::Arc;

use tradewind::fleet::push::frame::{Decoder, Frame};
use tradewind::fleet::push::inbox::{Inbox, MAX_KEYS, Outcome};
use tradewind::fleet::push::{Newest, unwrap_pushed};
use tradewind::fleet::{Change, Roles};

/// All frames, fed in pieces of so many octets, up to the first that is broken.
fn frames(data: &[u8], piece: usize) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in data.chunks(piece) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

/// What comes on one connection of a probe.
pub fn check(data: &[u8]) {
    let found = frames(data, usize::MAX);
    // Where the network cuts has no say in it.
    assert_eq!(frames(data, 3), found);
    let mut written = Vec::new();
    found.iter().for_each(|f| f.write(&mut written));
    assert_eq!(written, &data[..written.len()]);
    let roles = Roles {
        probe: true,
        ..Roles::default()
    };
    let mut inbox = Inbox::default();
    let mut visit = inbox.visit(&Arc::from("agent"), roles, 7);
    let mut newest = Newest::default();
    let mut told = 0;
    for frame in found {
        let Outcome::Tell(keys) = inbox.take(&mut visit, frame) else {
            continue;
        };
        for (key, value) in keys {
            told += 1;
            let change = Change {
                owner: "dns".into(),
                generation: 1,
                key,
                value: value.as_str().into(),
            };
            let pushed = unwrap_pushed(&change).expect("what is relayed can be read");
            assert_eq!(&*pushed.change.owner, "agent");
            assert!(roles.may_write(&pushed.change.key));
            assert_eq!(newest.take(&change), Some(pushed.change));
            assert_eq!(newest.take(&change), None);
        }
    }
    assert!(told <= data.len() + MAX_KEYS);
}
