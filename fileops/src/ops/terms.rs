//! What may be said of many operations, in one shape. Each builder has the setters that mean something for it.

use crate::conflict::Undoable;
use crate::engine::Workers;
use crate::operation::{Job, OnShortage};
use crate::pool::Pool;
use crate::question::OnError;
use std::sync::Arc;

/// What was said of an operation that was not started yet.
pub(super) struct Terms {
    pub(super) on_error: OnError,
    pub(super) retries: u32,
    pub(super) undoable: Undoable,
    pub(super) workers: Workers,
    pub(super) pool: Option<Pool>,
}

impl Default for Terms {
    fn default() -> Terms {
        let (on_error, undoable) = Default::default();
        Terms { on_error, retries: 0, undoable, workers: Workers::Adapt, pool: None }
    }
}

impl Terms {
    /// The workers' end of the operation, and the threads that it gets.
    pub(super) fn begin(&self, verb: &'static str) -> (Arc<Job>, Pool) {
        let job = Job::with_rules(verb, OnShortage::Warn, self.on_error);
        if self.undoable == Undoable::No {
            job.journal.keep_no_steps();
        }
        (job, self.pool.clone().unwrap_or_else(|| Pool::global().clone()))
    }
}

/// Setters of a builder that has `terms`.
macro_rules! setters {
    ($builder:ident: $($setter:ident),*) => {
        impl $builder {
            $($crate::ops::terms::setters! { @$setter })*
        }
    };
    (@on_error) => {
        /// What happens when an entry fails; default [`OnError::Continue`](crate::OnError::Continue).
        pub fn on_error(mut self, rule: crate::question::OnError) -> Self {
            self.terms.on_error = rule;
            self
        }
    };
    (@retry) => {
        /// Tries an entry that failed so many times more, with growing pauses; default 0.
        pub fn retry(mut self, times: u32) -> Self {
            self.terms.retries = times;
            self
        }
    };
    (@undoable) => {
        /// Whether an [`undo`](crate::undo) can take it back; default [`Undoable::Yes`](crate::Undoable::Yes).
        pub fn undoable(mut self, undoable: crate::conflict::Undoable) -> Self {
            self.terms.undoable = undoable;
            self
        }
    };
    (@jobs) => {
        /// Uses so many workers, instead of as many as are useful.
        pub fn jobs(mut self, count: usize) -> Self {
            self.terms.workers = crate::engine::Workers::Fixed(count);
            self
        }
    };
    (@pool) => {
        /// Uses the threads of this pool, instead of the global one.
        pub fn pool(mut self, pool: &crate::pool::Pool) -> Self {
            self.terms.pool = Some(pool.clone());
            self
        }
    };
}

pub(super) use setters;
