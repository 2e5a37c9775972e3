//! An operation that was not started yet: what the core is asked for, and where its questions belong.

use super::OperationManager;
use crate::operation::{About, Operation};
use fileops::OnConflict;
use gtk::prelude::*;

/// A verb of the core that can be started.
pub trait Builder {
    /// Starts it.
    fn begin(self) -> fileops::Operation;
}

macro_rules! builders {
    ($($verb:ident),*) => {
        $(impl Builder for fileops::$verb {
            fn begin(self) -> fileops::Operation {
                self.start()
            }
        })*
    };
}

builders!(Copy, Move, Trash, Restore, Delete);

/// An operation that was not started yet, as [`OperationManager::copy`] makes it.
#[must_use = "nothing is done until it is started"]
pub struct Request<B> {
    manager: OperationManager,
    builder: B,
    about: About,
    parent: Option<gtk::Window>,
}

impl<B: Builder> Request<B> {
    pub(super) fn new(manager: &OperationManager, builder: B, about: About) -> Request<B> {
        Request { manager: manager.clone(), builder, about, parent: None }
    }

    /// The window where its questions appear; without one, the application's active window.
    pub fn parent(mut self, window: &impl IsA<gtk::Window>) -> Request<B> {
        self.parent = Some(window.clone().upcast());
        self
    }

    /// Sets whatever the core has an option for.
    pub fn with(mut self, options: impl FnOnce(B) -> B) -> Request<B> {
        self.builder = options(self.builder);
        self
    }

    /// Starts it, and gives the object that shows it. Dropping that lets it run on: the manager keeps it.
    pub fn start(self) -> Operation {
        self.manager.adopt(self.builder.begin(), self.about, self.parent.as_ref())
    }
}

impl Request<fileops::Copy> {
    /// What happens where a target exists; default [`OnConflict::Ask`].
    pub fn on_conflict(self, rule: OnConflict) -> Request<fileops::Copy> {
        self.with(|copy| copy.on_conflict(rule))
    }
}

impl Request<fileops::Move> {
    /// What happens where a target exists; default [`OnConflict::Ask`].
    pub fn on_conflict(self, rule: OnConflict) -> Request<fileops::Move> {
        self.with(|moving| moving.on_conflict(rule))
    }
}
