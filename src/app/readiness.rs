//! Whether this node is ready to carry traffic, told over HTTP and over a socket in the state
//! directory.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::admin::{BackendDesk, NotReady, ReadyDesk, serve_ready};

use super::proxy::SharedCarrier;

/// The socket's name in the state directory.
pub const SOCKET: &str = "ready.sock";

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const LEAVING: u8 = 2;

/// How far the process is, and what it carries traffic with.
pub struct Readiness {
    phase: AtomicU8,
    carrier: SharedCarrier,
    backends: Arc<dyn BackendDesk>,
}

impl Readiness {
    /// Of a process that starts.
    pub fn new(carrier: SharedCarrier, backends: Arc<dyn BackendDesk>) -> Arc<Readiness> {
        Arc::new(Readiness {
            phase: AtomicU8::new(STARTING),
            carrier,
            backends,
        })
    }

    /// Everything is served from now on.
    pub fn serves(&self) {
        self.phase.store(SERVING, Ordering::Release);
    }

    /// It stops: nobody new shall be sent here, while who comes is still served.
    pub fn leaves(&self) {
        self.phase.store(LEAVING, Ordering::Release);
    }

    /// Waits until others have noticed that it leaves.
    pub async fn left(&self) {
        let Some(carrier) = &self.carrier else { return };
        let delay = carrier.proxy().tier().plan.node.leave_delay;
        if delay > Duration::ZERO {
            tracing::info!(
                seconds = delay.as_secs_f64(),
                "not ready any more; new connections are taken until others have noticed"
            );
            tokio::time::sleep(delay).await;
        }
    }

    /// Tells who asks at the socket in `state_dir`; from when this returns on, or never when the socket
    /// cannot be had, which is logged.
    pub fn tell_in(self: &Arc<Self>, state_dir: Option<&Path>, stopped: &watch::Receiver<bool>) {
        let Some(state_dir) = state_dir else { return };
        let path = state_dir.join(SOCKET);
        match listen(&path) {
            Ok(listener) => {
                let (desk, stopped) = (self.clone(), stopped.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve_ready(listener, desk, stopped).await {
                        tracing::error!(%error, "the socket of readiness ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no socket to ask for readiness");
            }
        }
    }
}

/// A socket that takes the place of one that another process left there, at once.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut own = path.as_os_str().to_owned();
    own.push(format!(".{}", std::process::id()));
    let own = PathBuf::from(own);
    // Of a process that ended in the middle and had this number.
    drop(std::fs::remove_file(&own));
    let listener = UnixListener::bind(&own)?;
    // Nobody but the own user and group.
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o660))?;
    std::fs::rename(&own, path)?;
    Ok(listener)
}

impl ReadyDesk for Readiness {
    fn ready(&self, upstreams: &[&str]) -> Result<(), NotReady> {
        match self.phase.load(Ordering::Acquire) {
            STARTING => {
                let why = "the first round of probes is not complete; nothing is served yet";
                return Err(NotReady::Now(why.to_owned()));
            }
            SERVING => {}
            _ => {
                return Err(NotReady::Now(
                    "it is stopping: drains what is under way".to_owned(),
                ));
            }
        }
        let Some(carrier) = &self.carrier else {
            return match upstreams.first() {
                None => Ok(()),
                Some(name) => Err(NotReady::Unknown(format!(
                    "this node has no proxy, and so no upstream `{name}`"
                ))),
            };
        };
        let plan = &carrier.proxy().tier().plan;
        let wanted: usize = plan.listeners.iter().map(|l| l.bind.len()).sum();
        let bound = carrier.addresses().len();
        if bound < wanted {
            return Err(NotReady::Now(format!(
                "{bound} of {wanted} addresses of the proxy's listeners are bound"
            )));
        }
        if upstreams.is_empty() {
            return Ok(());
        }
        let all = self.backends.status().unwrap_or_default();
        for name in upstreams {
            let Some(upstream) = all.iter().find(|u| u.name == *name) else {
                let why = format!("the proxy has no upstream `{name}`");
                return Err(NotReady::Unknown(why));
            };
            let count = upstream.backends.len();
            if !upstream.backends.iter().any(|b| b.used) {
                return Err(NotReady::Now(format!(
                    "of the backends of upstream `{name}`, {count} in number, none is usable"
                )));
            }
        }
        Ok(())
    }
}
