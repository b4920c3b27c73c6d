//! How much of the capacity must remain, as traffic says: for drills of which nobody says it.
//!
//! Weights stand for capacity, but in no unit. What a unit of weight can bear is at least the most that
//! one was seen to bear within the last day, in the region where that was most; it is trusted with
//! [`TRUST`] times that, and the traffic of now must find room in what remains.

/// A unit of weight is trusted with so many times what one has borne: where two regions share the
/// traffic evenly, as is usual, either may take that of both.
pub const TRUST: f64 = 2.0;

/// What was measured from less than this, arrivals or samples, is no measure.
pub const ENOUGH: f64 = 1000.0;

/// What the traffic was counted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Connections, sessions and requests in a second, at the proxies of the regions.
    Proxies,
    /// DNS answers in an hour that sent clients to the regions.
    Flows,
}

impl By {
    /// As programs read it.
    pub fn word(self) -> &'static str {
        match self {
            By::Proxies => "proxies",
            By::Flows => "flows",
        }
    }

    /// Of what stands in texts.
    pub fn from_word(word: &str) -> Option<By> {
        [By::Proxies, By::Flows]
            .into_iter()
            .find(|b| b.word() == word)
    }

    /// What is counted.
    pub fn unit(self) -> &'static str {
        match self {
            By::Proxies => "arrivals a second at proxies",
            By::Flows => "DNS answers an hour",
        }
    }
}

/// The load of one region.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// Traffic now.
    pub now: f64,
    /// The most within the last day.
    pub most: f64,
    /// The weight of the endpoints that the configuration enables there.
    pub weight: u64,
}

/// The traffic of now beside what weights have borne.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// Counted by this.
    pub by: By,
    /// Traffic now, of all regions.
    pub now: f64,
    /// The most that a unit of weight has borne within the last day.
    pub per_weight: f64,
    /// The weight of all regions.
    pub weight: f64,
}

impl Measured {
    /// Of the loads of all regions; `None` where there is no traffic, or no weight.
    pub fn of(by: By, loads: impl Iterator<Item = Load>) -> Option<Measured> {
        let (mut now, mut weight, mut per_weight) = (0.0, 0.0, 0.0_f64);
        for load in loads {
            let own = load.weight as f64;
            now += load.now;
            weight += own;
            if load.weight > 0 {
                per_weight = per_weight.max(load.most.max(load.now) / own);
            }
        }
        let fits = now > 0.0 && per_weight > 0.0 && weight > 0.0;
        fits.then_some(Measured {
            by,
            now,
            per_weight,
            weight,
        })
    }

    /// What share of the capacity the traffic needs, in percent, rounded up.
    pub fn percent(self) -> u8 {
        let needed = 100.0 * self.now / (TRUST * self.per_weight * self.weight);
        // 1 to 100: there is traffic, and more than all is all.
        (needed - 1e-9).ceil().clamp(1.0, 100.0) as u8
    }

    /// How much more than that there is where `percent` of the capacity remains, as a part of what is
    /// needed; below 0 it falls short.
    pub fn headroom(self, percent: u64) -> f64 {
        percent as f64 / f64::from(self.percent()) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured(loads: &[(f64, f64, u64)]) -> Option<Measured> {
        let loads = loads.iter().map(|(now, most, weight)| Load {
            now: *now,
            most: *most,
            weight: *weight,
        });
        Measured::of(By::Flows, loads)
    }

    #[test]
    fn o2_demand_follows_from_what_weights_have_borne() {
        // Of two alike either can take all.
        let even = measured(&[(50.0, 50.0, 1), (50.0, 50.0, 1)]).unwrap();
        assert_eq!(even.percent(), 50);
        assert_eq!(even.headroom(50), 0.0);
        // One of weight 1 cannot take what nine bear.
        let lean = measured(&[(90.0, 90.0, 9), (10.0, 10.0, 1)]).unwrap();
        assert_eq!(lean.percent(), 50);
        assert!(lean.headroom(10) < -0.7);
        // At night it can: less traffic needs less capacity.
        let night = measured(&[(9.0, 90.0, 9), (1.0, 10.0, 1)]).unwrap();
        assert_eq!(night.percent(), 5);
        assert_eq!(night.headroom(10), 1.0);
        // A region that took all before is believed to be able to again.
        let proven = measured(&[(50.0, 50.0, 1), (50.0, 100.0, 1)]).unwrap();
        assert_eq!(proven.percent(), 25);
        assert_eq!(measured(&[(0.0, 50.0, 1)]), None);
        assert_eq!(measured(&[(5.0, 50.0, 0)]), None);
    }

    proptest! {
        #[test]
        fn more_traffic_never_demands_less_nor_does_a_lower_peak(
            loads in prop::collection::vec((0.1..1e6f64, 0.0..1e6f64, 1..1000u64), 1..6),
            more in 1.0..10f64,
        ) {
            let m = measured(&loads).unwrap();
            prop_assert!((1..=50).contains(&m.percent()), "{}", m.percent());
            let peak = loads.iter().map(|(n, most, w)| (n * more, n.max(*most) * more, *w));
            let with_peak = measured(&peak.collect::<Vec<_>>()).unwrap();
            prop_assert!(with_peak.percent().abs_diff(m.percent()) <= 1, "the scale is nothing");
            let flat: Vec<_> = loads.iter().map(|(n, _, w)| (*n, 0.0, *w)).collect();
            prop_assert!(measured(&flat).unwrap().percent() >= m.percent());
        }
    }
}
