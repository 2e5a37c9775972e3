//! The verbs: what an operation does to each entry. Threads and order are the engine's.

mod coming;
pub(crate) mod copy;
pub(crate) mod delete;
mod each;
pub(crate) mod measure;
pub(crate) mod recover;
pub(crate) mod relocate;
pub(crate) mod remove;
mod renaming;
mod retry;
mod sidecar;
pub(crate) mod single;
mod source;
pub(crate) mod steps;
mod terms;
pub(crate) mod trash;
mod turns;
pub(crate) mod undo;
