//! What is known of the way between two file systems: learned at the first file, used for all others.

use crate::control::lock;
use crate::sys::mount::FsKind;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

pub(super) struct Route {
    pub(super) source: FsKind,
    pub(super) target: FsKind,
    pub(super) target_device: u64,
    can_clone: AtomicBool,
    kernel_copies: AtomicBool,
    has_attributes: AtomicBool,
    takes_user_attributes: AtomicBool,
    has_own_modes: AtomicBool,
}

impl Route {
    fn new(source: FsKind, target: FsKind, target_device: u64) -> Route {
        Route {
            source,
            target,
            target_device,
            // Blocks can only be shared within one file system; its first file tells whether it does.
            can_clone: AtomicBool::new(source == target && !source.is_pseudo()),
            kernel_copies: AtomicBool::new(source == target && source.copies_by_itself()),
            has_attributes: AtomicBool::new(!source.is_fat()),
            takes_user_attributes: AtomicBool::new(!target.is_fat()),
            has_own_modes: AtomicBool::new(target.is_fat()),
        }
    }

    pub(super) fn can_clone(&self) -> bool {
        self.can_clone.load(Relaxed)
    }

    pub(super) fn no_clone(&self) {
        self.can_clone.store(false, Relaxed);
    }

    pub(super) fn kernel_copies(&self) -> bool {
        self.kernel_copies.load(Relaxed)
    }

    pub(super) fn no_kernel_copy(&self) {
        self.kernel_copies.store(false, Relaxed);
    }

    /// Whether files of the source can have extended attributes at all.
    pub(super) fn has_attributes(&self) -> bool {
        self.has_attributes.load(Relaxed)
    }

    pub(super) fn no_attributes(&self) {
        self.has_attributes.store(false, Relaxed);
    }

    /// Whether the target has taken, or was not asked to take, attributes of the user's.
    pub(super) fn takes_user_attributes(&self) -> bool {
        self.takes_user_attributes.load(Relaxed)
    }

    pub(super) fn no_user_attributes(&self) {
        self.takes_user_attributes.store(false, Relaxed);
    }

    /// Whether the target gave an entry another mode than it was made with: such a file system may also take a new mode or
    /// owner without an error, and keep its own.
    pub(super) fn has_own_modes(&self) -> bool {
        self.has_own_modes.load(Relaxed)
    }

    pub(super) fn own_modes(&self) {
        self.has_own_modes.store(true, Relaxed);
    }
}

/// One route for each pair of devices.
#[derive(Default)]
pub(super) struct Routes(Mutex<HashMap<(u64, u64), Arc<Route>>>);

impl Routes {
    /// The route between two open directories on these devices.
    pub(super) fn between(&self, source: impl AsFd, target: impl AsFd, devices: (u64, u64)) -> Arc<Route> {
        if let Some(route) = lock(&self.0).get(&devices) {
            return Arc::clone(route);
        }
        // An unknown kind is treated like any local file system.
        let kind = |file| FsKind::of(file).unwrap_or_default();
        let route = Arc::new(Route::new(kind(source.as_fd()), kind(target.as_fd()), devices.1));
        Arc::clone(lock(&self.0).entry(devices).or_insert(route))
    }
}
