//! The threads of the admin API.
//!
//! They are few, their own, and of low priority: where there is not enough processor for all, who hammers
//! the API waits, and queries do not. They still get their share when DNS takes all there is, so that an
//! operator's order comes through.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Threads that answer. What blocks for longer has as many of its own.
const THREADS: usize = 2;

/// How nice they are, -20 to 19: at 10 they weigh a ninth of a thread that answers queries.
const NICE: i32 = 10;

/// Runs `serve` on threads of its own, until it ends.
pub(super) async fn run(serve: impl Future<Output = ()> + Send + 'static) {
    let threads = match Threads::start() {
        Ok(threads) => threads,
        Err(e) => {
            tracing::error!(error = %e, "the admin API has no threads to run on");
            return;
        }
    };
    threads.run(serve).await;
}

/// The threads; they end when this is dropped.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> io::Result<Threads> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(THREADS)
            .thread_name("tradewind-api")
            .on_thread_start(step_back)
            .enable_all()
            .build()?;
        Ok(Threads(Some(runtime)))
    }

    async fn run(self, serve: impl Future<Output = ()> + Send + 'static) {
        let Some(runtime) = &self.0 else {
            return;
        };
        if let Err(e) = runtime.spawn(serve).await {
            tracing::error!(error = %e, "the admin API ended");
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not waited for: who holds it may be on a thread that must not block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux priorities are of threads: this one's.
fn step_back() {
    // Nothing forbids anybody to be nicer; where it fails all the same, the threads are as others are.
    if let Err(e) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(error = %e, "a thread of the admin API keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_runs_has_lower_priority_than_who_started_it() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let (told, heard) = std::sync::mpsc::channel();
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        runtime.block_on(run(async move {
            let blocking = tokio::task::spawn_blocking(own).await.unwrap();
            told.send((own(), blocking)).unwrap();
        }));
        assert_eq!(heard.recv().unwrap(), (NICE, NICE));
        assert_eq!(own(), before, "the others are as they were");
    }
}
