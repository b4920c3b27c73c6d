//! Who reads a bus: the same for every bus.

use tokio::sync::mpsc;

use super::bus::{BusView, Change};

/// The readers of a bus, each of the keys that start with its prefix.
#[derive(Debug, Default)]
pub struct Readers(Vec<(String, mpsc::UnboundedSender<Change>)>);

impl Readers {
    /// A new reader of what starts with `prefix`; it begins with all that `view` has.
    pub fn add(&mut self, prefix: &str, view: &BusView) -> mpsc::UnboundedReceiver<Change> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for (name, owner) in &view.owners {
            let theirs = owner.keys.iter();
            for (key, value) in theirs.filter(|(key, _)| key.as_str().starts_with(prefix)) {
                // The receiver is right here.
                let _ = sender.send(Change {
                    owner: name.clone(),
                    generation: owner.generation,
                    key: key.clone(),
                    value: value.clone(),
                });
            }
        }
        self.0.push((prefix.to_owned(), sender));
        receiver
    }

    /// Tells everybody what concerns them; those that are gone are forgotten.
    pub fn tell(&mut self, changes: &[Change]) {
        self.0.retain(|(prefix, reader)| {
            let mut theirs = changes
                .iter()
                .filter(|change| change.key.as_str().starts_with(&**prefix));
            theirs.all(|change| reader.send(change.clone()).is_ok()) && !reader.is_closed()
        });
    }
}
