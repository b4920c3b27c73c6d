//! The thread that keeps the kernel in step with the health of backends.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::proxy::sockets::{self, Inherited, Place};
use crate::proxy::tier::Tier;
use crate::time::Clock;
use crate::traffic::Plan;

use super::status::{self, Status};
use super::unable::XdpError;
use super::works::{Works, listeners};

/// How often the backends are looked at: a change reaches the kernel within this time.
const TICK: Duration = Duration::from_millis(100);

/// How long the start waits for the hardware addresses of backends.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// How often it looks meanwhile.
const FIRST_TICK: Duration = Duration::from_millis(20);

/// The kernel's half of a proxy, while any listener needs it. Dropping it takes the program off all
/// interfaces.
pub struct Forwarder {
    works: Arc<Mutex<Works>>,
    clock: Arc<dyn Clock>,
    /// Dropping it ends the thread.
    told: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Loads and attaches the program where `plan` wants it; forwards nothing yet. Where a link was
    /// inherited, what holds it goes on until [`Forwarder::take_over`]. Gives `None` when no listener wants
    /// it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start(
        plan: &Plan,
        clock: &Arc<dyn Clock>,
        inherited: &mut Inherited<'_>,
    ) -> Result<Option<Forwarder>, XdpError> {
        let Some(works) = Works::load(plan, inherited)? else {
            return Ok(None);
        };
        let works = Arc::new(Mutex::new(works));
        let (told, end) = channel::<()>();
        let (own, time) = (works.clone(), clock.clone());
        let run = move || {
            let mut said = false;
            while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(TICK) {
                let result = lock(&own).step(time.now());
                match result {
                    Err(error) if !said => {
                        tracing::error!(%error, "the kernel does not take what has changed; tried again");
                        said = true;
                    }
                    Err(_) => {}
                    Ok(()) => said = false,
                }
            }
        };
        let thread = std::thread::Builder::new().name("proxy-xdp".to_owned());
        let thread = thread.spawn(run).map_err(|e| {
            let (name, interface) = listeners(plan)
                .next()
                .map_or(("", ""), |(l, r)| (&*l.name, &*r.interface));
            XdpError::refused(name, interface, "its thread cannot be started", &e)
        })?;
        Ok(Some(Forwarder {
            works,
            clock: clock.clone(),
            told: Some(told),
            thread: Some(thread),
        }))
    }

    /// Attaches the program where `plan` wants it and it is not yet.
    ///
    /// # Errors
    /// When the kernel refuses; nothing that is forwarded changes.
    pub fn prepare(&self, plan: &Plan) -> Result<(), XdpError> {
        lock(&self.works).prepare(plan, &mut sockets::nothing)
    }

    /// Takes the place of the process before, where its links were inherited.
    pub fn take_over(&self) {
        if let Err(error) = lock(&self.works).take_over(self.clock.now()) {
            tracing::error!(%error, "the program of the process before goes on forwarding");
        }
    }

    /// Further descriptors of what holds the program at its interfaces, for the process that comes after
    /// this one.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn links(&self) -> io::Result<Vec<(Place, OwnedFd)>> {
        lock(&self.works).links()
    }

    /// Has flows go on that the process before remembered; to be called before [`Forwarder::take_over`].
    pub fn inherit(&self, maps: Vec<(Box<str>, OwnedFd)>) {
        lock(&self.works).inherit(maps);
    }

    /// Further descriptors of the maps that remember flows, with their names, for the process that comes
    /// after this one.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn maps(&self) -> io::Result<Vec<(Box<str>, OwnedFd)>> {
        lock(&self.works).maps()
    }

    /// Forwards by another tier, whose interfaces were prepared.
    pub fn follow(&self, tier: &Arc<Tier>) {
        let mut works = lock(&self.works);
        let is_first = works.groups.is_empty();
        let result = works.follow(tier.clone(), self.clock.now());
        if let Err(error) = result {
            tracing::error!(%error, "the kernel does not take all of the configuration; tried again");
        }
        if is_first {
            // Neighbours answer within milliseconds. Clients that come before would be sent away.
            let start = self.clock.now();
            while works.waits_for_neighbours() && self.clock.now().since(start) < FIRST_LOOK {
                drop(works);
                std::thread::park_timeout(FIRST_TICK);
                works = lock(&self.works);
                works.look_again();
                if let Err(error) = works.step(self.clock.now()) {
                    tracing::error!(%error, "the kernel does not take the backends; tried again");
                    return;
                }
            }
        }
    }

    /// How it stands.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn status(&self) -> io::Result<Status> {
        status::of(&lock(&self.works))
    }
}

fn lock(works: &Mutex<Works>) -> MutexGuard<'_, Works> {
    // A step that was broken off is done again by the next.
    works.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.told = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
