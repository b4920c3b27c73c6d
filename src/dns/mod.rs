//! DNS on the wire: names, message parsing and building, EDNS options. Pure; bytes in, bytes out.

pub mod name;
