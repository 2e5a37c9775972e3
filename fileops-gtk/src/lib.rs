//! GTK 4 widgets for running operations: progress that appears by itself, a list of all operations with pause, queue and
//! undo, and pages that answer conflicts and errors while everything else goes on. File logic stays in the `fileops` crate.
#![deny(unsafe_code)]

#[macro_use]
mod wrapper;

mod a11y;
mod device;
mod estimate;
mod i18n;
mod manager;
mod messages;
mod operation;
mod questions;
mod widgets;

pub use manager::{Builder, OperationManager, Request};
pub use operation::{About, Choice, Operation, OperationKind, OperationState, Question, Sameness};
pub use questions::{ConfirmDelete, ConflictDialog, ConflictPage, DiskFull, QuestionsPage, QuestionsWindow, ToastHost};
pub use widgets::{OperationRow, OperationsButton, ProgressPie, ProgressWindow, SpeedGraph};

use gtk::prelude::*;
use gtk::{gdk, gio};

/// Makes the widgets known, to `.ui` files too, and brings in their style and translations. To be called after GTK was
/// initialised, such as in `startup` of an application; again does nothing.
///
/// # Panics
/// When GTK was not initialised, or on another thread than its own.
pub fn init() {
    assert!(gtk::is_initialized_main_thread(), "fileops_gtk::init is called on GTK's thread, after gtk::init");
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        i18n::bind();
        gio::resources_register_include!("fileops.gresource").expect("the resource was compiled with the library");
        Operation::ensure_type();
        OperationManager::ensure_type();
        Question::ensure_type();
        OperationRow::ensure_type();
        OperationsButton::ensure_type();
        ProgressPie::ensure_type();
        SpeedGraph::ensure_type();
        ToastHost::ensure_type();
        if let Some(display) = gdk::Display::default() {
            let style = gtk::CssProvider::new();
            style.load_from_resource("/io/github/fileops/gtk/style.css");
            // An application's own style comes after.
            let priority = gtk::STYLE_PROVIDER_PRIORITY_APPLICATION - 1;
            gtk::style_context_add_provider_for_display(&display, &style, priority);
        }
    });
}
