//! The bus of a node that is alone: in-process, no sockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::bus::{BusError, BusView, Change, Key, Member, Owner, StateBus, check_length};
use super::readers::Readers;
use crate::time::Clock;

/// What a lone node tells itself.
pub struct LocalBus {
    node: Arc<str>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    view: Arc<BusView>,
    readers: Readers,
}

impl LocalBus {
    /// The bus of `node`.
    pub fn new(node: &str, clock: Arc<dyn Clock>) -> LocalBus {
        LocalBus {
            node: node.into(),
            clock,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing that holds it can leave it half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: &Key, value: &str) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let view = Arc::make_mut(&mut inner.view);
        let owner = view.owners.entry(self.node.clone()).or_insert_with(|| {
            Arc::new(Owner {
                generation: 1,
                keys: Default::default(),
                last_progress: now,
            })
        });
        let owner = Arc::make_mut(owner);
        let known = owner.keys.get(key);
        if known.map_or(value.is_empty(), |v| &**v == value) {
            return;
        }
        owner.last_progress = now;
        if value.is_empty() {
            owner.keys.remove(key);
        } else {
            owner.keys.insert(key.clone(), value.into());
        }
        let change = Change {
            owner: self.node.clone(),
            generation: 1,
            key: key.clone(),
            value: value.into(),
        };
        inner.readers.tell(&[change]);
    }
}

impl StateBus for LocalBus {
    fn publish(&self, key: &Key, value: &str) -> Result<(), BusError> {
        check_length(key, value)?;
        self.put(key, value);
        Ok(())
    }

    fn retire(&self, key: &Key) {
        self.put(key, "");
    }

    fn subscribe(&self, prefix: &str) -> mpsc::UnboundedReceiver<Change> {
        let mut inner = self.inner();
        let view = inner.view.clone();
        inner.readers.add(prefix, &view)
    }

    fn view(&self) -> Arc<BusView> {
        self.inner().view.clone()
    }

    fn members(&self) -> Arc<[Member]> {
        Arc::new([Member {
            node: self.node.clone(),
            generation: 1,
            alive: true,
            own: true,
        }])
    }
}
