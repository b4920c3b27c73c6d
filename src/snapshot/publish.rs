//! One writer publishes views; each reader keeps a cached pointer to the newest.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::View;

/// Where the newest view is put. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<ArcSwap<View>>);

impl Publisher {
    /// Starts with a first view.
    pub fn new(first: View) -> Publisher {
        Publisher(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// Publishes `view` unless a newer generation is already out (requirement F6). Says whether it did.
    pub fn publish(&self, view: View) -> bool {
        let view = Arc::new(view);
        let mut published = false;
        self.0.rcu(|current| {
            published = current.generation < view.generation;
            if published {
                view.clone()
            } else {
                current.clone()
            }
        });
        published
    }

    /// The newest view.
    pub fn latest(&self) -> Arc<View> {
        self.0.load_full()
    }

    /// A reader with its own cached pointer, for one thread.
    pub fn reader(&self) -> Reader {
        Reader(arc_swap::Cache::new(self.0.clone()))
    }
}

/// A thread's cached pointer to the newest view: under a nanosecond when nothing changed.
#[derive(Clone, Debug)]
pub struct Reader(arc_swap::Cache<Arc<ArcSwap<View>>, Arc<View>>);

impl Reader {
    /// The newest view. Call once per query or batch, and pass the reference down.
    pub fn view(&mut self) -> &Arc<View> {
        self.0.load()
    }
}
