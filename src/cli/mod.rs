//! (room to be furnished)
pub mod geoip;
