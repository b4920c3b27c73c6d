//! Points on the globe and the distance between them.

/// A point in thousandths of a degree (about 110 m), so that it can be compared and hashed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Coordinates {
    /// Latitude, -90,000 to 90,000.
    lat: i32,
    /// Longitude, -180,000 to 180,000.
    lon: i32,
}

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH_KM: f64 = 6371.0088;

impl Coordinates {
    /// The point at these degrees; `None` outside ±90 and ±180 or when not a number.
    pub fn new(latitude: f64, longitude: f64) -> Option<Coordinates> {
        ((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude)).then(|| {
            Coordinates {
                lat: (latitude * 1000.0).round() as i32,
                lon: (longitude * 1000.0).round() as i32,
            }
        })
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        f64::from(self.lat) / 1000.0
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        f64::from(self.lon) / 1000.0
    }

    /// Great-circle distance in kilometres (haversine formula, good to 0.5 % on the ellipsoid).
    pub fn km_to(self, other: Coordinates) -> f64 {
        let (lat1, lat2) = (self.latitude().to_radians(), other.latitude().to_radians());
        let dlat = lat2 - lat1;
        let dlon = (other.longitude() - self.longitude()).to_radians();
        let h = (dlat / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * (dlon / 2.0).sin().powi(2);
        2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
    }
}

impl std::fmt::Display for Coordinates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3},{:.3}", self.latitude(), self.longitude())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distances() {
        let fra = Coordinates::new(50.11, 8.68).unwrap();
        let iad = Coordinates::new(38.95, -77.45).unwrap();
        let sin = Coordinates::new(1.35, 103.82).unwrap();
        assert!((fra.km_to(iad) - 6550.0).abs() < 40.0, "{}", fra.km_to(iad));
        assert!(
            (fra.km_to(sin) - 10260.0).abs() < 60.0,
            "{}",
            fra.km_to(sin)
        );
        assert_eq!(fra.km_to(fra), 0.0);
        let (w, e) = (
            Coordinates::new(0.0, -180.0).unwrap(),
            Coordinates::new(0.0, 180.0).unwrap(),
        );
        assert!(w.km_to(e) < 1e-6);
        assert!(Coordinates::new(91.0, 0.0).is_none());
        assert!(Coordinates::new(f64::NAN, 0.0).is_none());
    }
}
