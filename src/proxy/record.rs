//! What is remembered of an exchange, for the log and the metrics.

use std::rc::Rc;

use crate::message::RequestHead;
use crate::time::Moment;

use super::answers::Failure;
use super::body::BodyError;
use super::message::Peer;
use super::stats::count;
use super::worker::Worker;

/// How the response ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It went out whole.
    Whole,
    /// The client went away, or took nothing in.
    ClientGone,
    /// What was to be sent ended early.
    Cut(BodyError),
}

/// One exchange.
pub struct Record {
    began: Moment,
    status: u16,
    failure: Option<Failure>,
}

impl Record {
    /// Begins one, with the head read.
    pub fn begin(worker: &Rc<Worker>, _peer: &Peer, _head: &RequestHead) -> Record {
        count(&worker.stats.requests);
        Record {
            began: worker.watches.coarse(),
            status: 0,
            failure: None,
        }
    }

    /// The proxy could not pass it on.
    pub fn failed(&mut self, why: Failure) {
        self.failure = Some(why);
    }

    /// The status that the client gets.
    pub fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// The response is over.
    pub fn finish(self, octets: u64, end: End) {
        tracing::trace!(status = self.status, octets, ?end, failure = ?self.failure, began = self.began.0, "exchange");
    }

    /// The tunnel is over.
    pub fn tunnelled(self, up: u64, down: u64) {
        tracing::trace!(up, down, "tunnel");
    }
}
