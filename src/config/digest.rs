//! A short name for what a configuration says, by which nodes see that they run the same one.

use std::fmt;

use ring::digest::{Context, SHA256};

use super::load::Inputs;
use super::sources::Sources;

/// 48 bits of SHA-256 over the files of a configuration and the files it names, in the order they
/// were read, wherever they lie. Secrets that stand in the text do not count; those in files do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigDigest(Box<str>);

impl ConfigDigest {
    /// The digest of what was read.
    pub(super) fn of(sources: &Sources, inputs: &Inputs) -> ConfigDigest {
        let mut context = Context::new(&SHA256);
        let mut add = |bytes: &[u8]| {
            // With its length, so that a line may not move from one file to the next unseen.
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        for text in sources.texts() {
            add(text.as_bytes());
        }
        let binary = inputs.files.values().filter(|i| i.file.is_none());
        for input in binary {
            add(&input.bytes);
        }
        let hash = context.finish();
        let hex = hash.as_ref()[..6].iter().map(|b| format!("{b:02x}"));
        ConfigDigest(hex.collect::<String>().into())
    }
}

impl fmt::Display for ConfigDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(texts: &[&str]) -> ConfigDigest {
        let mut sources = Sources::default();
        for text in texts {
            sources.add("anywhere", *text);
        }
        ConfigDigest::of(&sources, &Inputs::default())
    }

    #[test]
    fn the_same_texts_have_the_same_digest_and_others_another() {
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["ab", ""]));
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
        assert_eq!(digest(&["a"]).to_string().len(), 12);
    }
}
