//! What the desktop is told of operations.

use crate::harness::wait_until;
use crate::operations::{slow_copy, slow_tree, wait_over};
use fileops_gtk::OperationManager;
use gtk::gio;
use gtk::glib;
use gtk::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What a dock was told, and when.
struct Told {
    at: Instant,
    progress: f64,
    is_progress_visible: bool,
}

pub(crate) fn docks_are_told_at_most_twice_a_second_and_at_the_end() {
    let application = gtk::Application::new(Some("io.github.fileops.Test"), gio::ApplicationFlags::NON_UNIQUE);
    application.register(gio::Cancellable::NONE).expect("there is a session bus");
    let told = Rc::new(RefCell::new(Vec::new()));
    let listener = {
        let told = Rc::clone(&told);
        let bus = gio::bus_get_sync(gio::BusType::Session, gio::Cancellable::NONE).expect("there is a session bus");
        bus.subscribe_to_signal(
            None,
            Some("com.canonical.Unity.LauncherEntry"),
            Some("Update"),
            None,
            None,
            gio::DBusSignalFlags::NONE,
            move |signal| {
                let entry: String = signal.parameters.child_value(0).get().expect("who it is about");
                assert_eq!(entry, "application://io.github.fileops.Test.desktop");
                let values = glib::VariantDict::new(Some(&signal.parameters.child_value(1)));
                told.borrow_mut().push(Told {
                    at: Instant::now(),
                    progress: values.lookup("progress").unwrap().unwrap(),
                    is_progress_visible: values.lookup("progress-visible").unwrap().unwrap(),
                });
            },
        )
    };
    let manager = OperationManager::default_for(&application);
    assert_eq!(manager, OperationManager::default_for(&application));
    manager.set_shows_windows(false);
    let tree = slow_tree();
    let copy = slow_copy(&manager, &tree);
    wait_until("the dock was told some times", || told.borrow().len() >= 5);
    {
        let told = told.borrow();
        let span = told[told.len() - 1].at - told[0].at;
        // The first and the last may have been on their way for unlike times.
        assert!(span >= Duration::from_millis(500) * (told.len() as u32 - 2), "{} in {span:?}", told.len());
        assert!(told.windows(2).all(|pair| pair[0].progress <= pair[1].progress));
    }
    copy.cancel();
    wait_over(&copy);
    wait_until("the dock hears of the end", || told.borrow().last().is_some_and(|last| !last.is_progress_visible));
    drop(listener);
}
