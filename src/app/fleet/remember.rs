//! Keeps verdicts on the disk, so that a restart begins with them (requirement H1).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::app::judge_loop::Order;
use crate::app::store::{Store, Verdicts};
use crate::time::Clock;

/// Time between two looks. A crash loses what changed since the last one.
const LOOK: Duration = Duration::from_secs(5);

/// Writes down verdicts that changed, until the judge loop ends. `verdicts` is what the store has.
pub async fn remember(
    orders: mpsc::Sender<Order>,
    (store, mut verdicts): (Store, Verdicts),
    clock: Arc<dyn Clock>,
) {
    if !store.is_durable() {
        return;
    }
    loop {
        tokio::time::sleep(LOOK).await;
        let (ask, answer) = oneshot::channel();
        if orders.send(Order::Remember(ask)).await.is_err() {
            return;
        }
        let Ok(all) = answer.await else { return };
        let unix = clock.wall().unix(clock.now());
        store.write_later(verdicts.update(&all, unix));
    }
}
