//! Which thread runs.

/// The scheduler's state.
pub struct Scheduler {}
