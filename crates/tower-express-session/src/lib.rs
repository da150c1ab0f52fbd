//! Sessions for tower.
