//! Flows as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::flows::FlowFacts;
use crate::snapshot::View;

/// How often clients of a network were sent to a region.
#[derive(Debug, Serialize, ToSchema)]
pub struct Flow {
    /// The steered name.
    pub name: String,
    /// The client network, a /24 or /48; where many are added up by country, one of them.
    pub network: String,
    /// ISO 3166-1 code of its country; null where nobody knows.
    pub country: Option<String>,
    /// Degrees north; null where nobody knows.
    pub latitude: Option<f64>,
    /// Degrees east; null where nobody knows.
    pub longitude: Option<f64>,
    /// The region; null: the answer had no endpoint.
    pub region: Option<String>,
    /// The pool; null: the answer had no endpoint.
    pub pool: Option<String>,
    /// Queries of the window, as estimated from the samples.
    pub queries: f64,
}

impl Flow {
    /// A flow, with what `view` knows of its place.
    pub fn of(facts: FlowFacts, view: &View) -> Flow {
        let geo = &view.snapshot.geo;
        let place = geo.location(geo.locate(facts.network.addr()).id);
        let word = |text: String| Some(text).filter(|t| !t.is_empty());
        Flow {
            name: facts.name,
            network: facts.network.to_string(),
            country: place.country.map(|c| c.to_string()),
            latitude: place.coordinates.map(|c| c.latitude()),
            longitude: place.coordinates.map(|c| c.longitude()),
            region: word(facts.region),
            pool: word(facts.pool),
            queries: (facts.queries * 10.0).round() / 10.0,
        }
    }
}
