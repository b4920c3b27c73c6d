//! An explanation as shown.
