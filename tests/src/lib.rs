//! Support for the headless tests: a file system which fails on demand, trees in a line of text,
//! file systems in images, tests as another user, and tests which say why they were skipped.

pub mod alone;
pub mod compare;
pub mod crash;
mod dsl;
pub mod fault;
pub mod kills;
pub mod mount;
pub mod random;
pub mod rich;
pub mod skip;
pub mod snapshot;
pub mod temp;
pub mod tree;
pub mod user;

pub use compare::{Ignore, assert_same_tree, assert_same_tree_but, differences};
pub use fault::{Action, Fault, FaultFs, Knobs, Modes, Op, Options, When, sweep};
pub use mount::Mount;
pub use rich::Rich;
pub use snapshot::snapshot;
pub use tree::Tree;
pub use user::as_user;
