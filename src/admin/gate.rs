//! Who asks: a value that every handler must be given before it does anything (requirement S1).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::State;

/// What somebody may do. Each role may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Gives orders: overrides, drills, backends, caches.
    Operator,
    /// Reloads, and what else changes the node itself.
    Admin,
}

/// How somebody was known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// By asking from this machine.
    Loopback,
}

/// Somebody who may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The name for the audit record.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// How they were known.
    pub by: By,
}

/// Somebody who may at least see.
#[derive(Clone, Debug)]
pub struct Viewer(pub Who);

/// Somebody who may at least give orders.
#[derive(Clone, Debug)]
pub struct Operator(pub Who);

/// Somebody who may do everything.
#[derive(Clone, Debug)]
pub struct Admin(pub Who);

impl FromRequestParts<State> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &State) -> Result<Viewer, Infallible> {
        Ok(Viewer(local()))
    }
}

impl FromRequestParts<State> for Operator {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &State) -> Result<Operator, Infallible> {
        Ok(Operator(local()))
    }
}

impl FromRequestParts<State> for Admin {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &State) -> Result<Admin, Infallible> {
        Ok(Admin(local()))
    }
}

/// The listener is on loopback: who reaches it is at home here.
fn local() -> Who {
    Who {
        name: "local".into(),
        role: Role::Admin,
        by: By::Loopback,
    }
}
