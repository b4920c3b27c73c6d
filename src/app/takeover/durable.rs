//! What only one process of a node can have: the state directory with its store and its keys, and the
//! node's voice in the fleet. Given up to a process that takes over, and taken back when that fails.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as threads};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::app::chronicle;
use crate::app::fleet::Joined;
use crate::app::judge_loop::Order;
use crate::app::keeper::{self, SharedLock};
use crate::app::run::RunError;
use crate::app::store;
use crate::time::Clock;

/// Between two tries to take the state directory back.
const AGAIN: Duration = Duration::from_secs(2);

/// What a process has of it.
pub struct Durable {
    /// The state directory.
    pub state_dir: Option<PathBuf>,
    /// Its lock.
    pub lock: SharedLock,
    /// DNSSEC keys.
    pub keeper: keeper::Shared,
    /// The store's thread; `None` without a store.
    pub storing: Option<store::Running>,
    /// What happened.
    pub history: chronicle::Running,
    /// The fleet.
    pub joined: Arc<Joined>,
    /// The judge loop.
    pub orders: mpsc::Sender<Order>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The keeper's thread.
    pub keeping: Mutex<Option<Keeping>>,
}

/// The keeper's thread, which ends when the sender is dropped.
pub type Keeping = (threads::Sender<()>, JoinHandle<()>);

impl Durable {
    /// Starts the keeper's thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn keep(&self) -> Result<(), RunError> {
        let (stop, stopped) = threads::channel();
        let (keeper, clock) = (self.keeper.clone(), self.clock.clone());
        let thread = keeper::spawn(keeper, clock, self.orders.clone(), stopped)
            .map_err(|e| RunError::Other(format!("cannot start the thread of the keys: {e}")))?;
        *self.keeping() = Some((stop, thread));
        Ok(())
    }

    fn keeping(&self) -> MutexGuard<'_, Option<Keeping>> {
        // Replaced whole.
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step under way is finished and on the disk when this returns. Blocks.
    fn stop_keeping(&self) {
        if let Some((stop, thread)) = self.keeping().take() {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!("the thread of the keys had ended by a panic");
            }
        }
    }

    /// Gives it up: nothing of it is written, and nothing told to the fleet, until
    /// [`Durable::resume`].
    ///
    /// # Errors
    /// When the disk does not take what waits to be written; then it may be given up in part.
    pub async fn rest(self: &Arc<Self>) -> Result<(), String> {
        self.joined.rest().await;
        let this = self.clone();
        let rested = spawn_blocking(move || {
            this.lock.leave();
            this.stop_keeping();
            // A reload that makes keys now is done with it; a later one finds the directory left.
            drop(keeper::locked(&this.keeper));
            this.history.rest();
            this.storing.as_ref().is_none_or(store::Running::rest)
        });
        match rested.await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the disk does not take what waits to be written".to_owned()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Takes it back: at once where the other process has let go; else as soon as it has, and from
    /// memory until then.
    pub async fn resume(self: &Arc<Self>) {
        self.joined.resume();
        self.lock.want();
        if !self.take_back().await {
            tracing::error!(
                "the new process has not let go of the state directory: this one goes on from memory, \
                 and tries again; end the other process"
            );
            let this = self.clone();
            tokio::spawn(async move {
                while !this.lock.is_left() && !this.take_back().await {
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }

    async fn take_back(self: &Arc<Self>) -> bool {
        let this = self.clone();
        let taken = spawn_blocking(move || {
            let Some(dir) = &this.state_dir else {
                return true;
            };
            let Ok(held) = this.lock.hold_soon(dir) else {
                return false;
            };
            this.history.resume(Some(held.clone()));
            if let Some(storing) = &this.storing {
                storing.resume(Some(held));
            }
            if let Err(RunError::Other(why)) = this.keep() {
                tracing::error!("{why}; restart the node");
            }
            true
        });
        taken.await.unwrap_or(false)
    }

    /// Ends what writes; of a process that has it, when all that waits is written.
    pub async fn end(self: Arc<Self>) {
        let ended = spawn_blocking(move || {
            self.stop_keeping();
            if let Some(storing) = &self.storing {
                storing.end();
            }
            self.history.end();
        });
        drop(ended.await);
    }
}
