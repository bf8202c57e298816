//! The inventory: hosts, fleets and checks, read from YAML and validated before anything is touched.

pub mod model;
