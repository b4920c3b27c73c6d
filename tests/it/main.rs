//! The one integration-test binary.
mod geoip;
mod geoip_maxmind;
