//! What a node does for the two sides: what is given, and where it is asked for.

use std::io;
use std::sync::Arc;

use super::bag::{Bag, Sockets};
use super::door;
use super::link::{Door, NAME};
use super::old::Counts;
use super::program::Program;
use crate::admin::{self, Control as _};
use crate::app::control::Controller;
use crate::app::keeper::SharedLock;
use crate::app::proxy::SharedCarrier;
use crate::app::run::RunError;
use crate::compile::Node;
use crate::snapshot::Publisher;
use crate::telemetry::Stats;

/// The generation in force, whenever it is asked.
pub fn generation(publisher: &Publisher) -> Box<dyn Fn() -> u64 + Send + Sync> {
    let publisher = publisher.clone();
    Box::new(move || publisher.latest().generation.0)
}

/// What was counted so far, whenever it is asked.
pub fn counts(publisher: &Publisher, stats: &Arc<Stats>, controller: &Arc<Controller>) -> Counts {
    let (publisher, stats, controller) = (publisher.clone(), stats.clone(), controller.clone());
    Arc::new(move || {
        let fleet = controller.fleet().counts;
        let page = admin::metrics::render(&publisher.latest(), &stats, &fleet);
        stats.before().hand_on(&page)
    })
}

/// Copies of all sockets as they are, whenever it is asked: those that stay, and the proxy's.
pub fn sockets(
    kept: Bag,
    carrier: &SharedCarrier,
) -> Box<dyn Fn() -> io::Result<Bag> + Send + Sync> {
    let carrier = carrier.clone();
    Box::new(move || {
        let mut all = Bag::default();
        all.copy(&kept)?;
        if let Some(carrier) = &carrier {
            carrier.copy_sockets(&mut all)?;
        }
        Ok(all)
    })
}

/// Takes the lock of the state directory from a process that gives it up.
///
/// # Errors
/// When that one does not.
pub fn hold_state_dir(node: &Node, lock: &SharedLock, from_another: bool) -> Result<(), RunError> {
    let Some(dir) = node.state_dir.as_ref().filter(|_| from_another) else {
        return Ok(());
    };
    let held = lock.hold_soon(dir);
    held.map(drop).map_err(|e| RunError::Other(e.0))
}

/// Where takeovers are asked for, if this process has a state directory.
pub fn open_door(node: &Node, sockets: &mut Sockets) -> Option<Door> {
    let dir = node.state_dir.as_ref()?;
    let came = sockets.came.take_one(&door());
    let opened = Door::open(dir, came).and_then(|opened| {
        sockets.kept.put(door(), opened.copy()?);
        Ok(opened)
    });
    opened
        .inspect_err(|error| {
            tracing::error!(
                %error,
                dir = %dir.display(),
                "nobody can take over from this process: its state directory takes no socket"
            );
        })
        .ok()
}

/// Nobody can take over from a process that stops.
pub fn close_door(node: &Node) {
    if let Some(dir) = &node.state_dir {
        // What is left is replaced by the next process.
        drop(std::fs::remove_file(dir.join(NAME)));
    }
}

/// Starts the program anew, which then asks for a takeover.
pub fn upgrade(node: &Node, program: &io::Result<Program>) {
    if node.state_dir.is_none() {
        tracing::error!(
            "SIGUSR2: no takeover without a state directory, in which the new process asks; set \
             `state-dir` of the node and restart it"
        );
        return;
    }
    let started = match program {
        Ok(program) => program.start().map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    };
    if let Err(error) = started {
        tracing::error!(
            error,
            "SIGUSR2: the new process cannot be started; this one goes on"
        );
    }
}
