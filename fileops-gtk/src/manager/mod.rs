//! All operations of an application: a list model of them, and what the desktop is told about them.
//!
//! One timer samples all of them: ten times a second while a widget shows them, twice a second while they only run (for the
//! launcher, and to keep the machine awake), never else. Workers send nothing per file.

mod imp;
mod launcher;
mod request;
mod session;

pub use request::{Builder, Request};

use crate::operation::{About, Operation, OperationKind, OperationState};
use fileops::{OnConflict, OnError, OnNoTrash, OnShortage, Schedule, Trashed};
use gtk::glib::subclass::prelude::*;
use gtk::prelude::*;
use gtk::{gio, glib};
use std::cell::RefCell;
use std::path::PathBuf;

glib::wrapper! {
    /// All operations of an application, as a list model of [`Operation`]: those that run, those that wait in the order in
    /// which their turns come, and those that are over until they are dismissed.
    ///
    /// | property | |
    /// |---|---|
    /// | `n-running` | how many are not over |
    /// | `fraction` | all of them together, from 0 to 1; -1 while it is not known |
    /// | `n-questions` | open questions of all of them |
    /// | `shows-windows` | whether a [`ProgressWindow`](crate::ProgressWindow) and questions show themselves; at first they do |
    ///
    /// The signal `finished` has the [`Operation`] that is over.
    ///
    /// While something runs the application is held; after 5 s of work the machine does not suspend and the session does not
    /// end by itself, until it is paused or done. An operation that took longer than 5 s and ends while no window of the
    /// application is active sends a notification. Docks that know `com.canonical.Unity.LauncherEntry` show the progress.
    pub struct OperationManager(ObjectSubclass<imp::OperationManager>) @implements gio::ListModel;
}

thread_local! {
    static MANAGERS: RefCell<Vec<(glib::WeakRef<gtk::Application>, OperationManager)>> = const { RefCell::new(Vec::new()) };
}

impl OperationManager {
    /// One that tells the desktop about this application's operations, or with `None` tells nobody.
    pub fn new(application: Option<&gtk::Application>) -> OperationManager {
        let manager: OperationManager = glib::Object::new();
        manager.imp().application.set(application);
        manager
    }

    /// The one of this application; made when it is asked for first.
    pub fn default_for(application: &gtk::Application) -> OperationManager {
        MANAGERS.with_borrow_mut(|managers| {
            managers.retain(|(application, _)| application.upgrade().is_some());
            let known = managers.iter().find(|(other, _)| other.upgrade().as_ref() == Some(application));
            if let Some((_, manager)) = known {
                return manager.clone();
            }
            let manager = OperationManager::new(Some(application));
            managers.push((application.downgrade(), manager.clone()));
            manager
        })
    }

    /// Copies into a directory; see [`fileops::copy`]. Conflicts, failures and a full target are asked about.
    pub fn copy<S: Into<PathBuf>>(
        &self,
        sources: impl IntoIterator<Item = S>,
        into_dir: impl Into<PathBuf>,
    ) -> Request<fileops::Copy> {
        let (sources, target) = (paths(sources), into_dir.into());
        let copy = fileops::copy(sources.clone(), &target)
            .on_conflict(OnConflict::Ask)
            .on_error(OnError::Ask)
            .on_shortage(OnShortage::Pause);
        Request::new(self, copy, About::new(OperationKind::Copy, sources).into_dir(target))
    }

    /// Moves into a directory; see [`fileops::move_to`]. Conflicts, failures and a full target are asked about.
    pub fn move_to<S: Into<PathBuf>>(
        &self,
        sources: impl IntoIterator<Item = S>,
        into_dir: impl Into<PathBuf>,
    ) -> Request<fileops::Move> {
        let (sources, target) = (paths(sources), into_dir.into());
        let moving = fileops::move_to(sources.clone(), &target)
            .on_conflict(OnConflict::Ask)
            .on_error(OnError::Ask)
            .on_shortage(OnShortage::Pause);
        Request::new(self, moving, About::new(OperationKind::Move, sources).into_dir(target))
    }

    /// Puts things into the trash; see [`fileops::trash`]. What no trash can take is asked about.
    pub fn trash<S: Into<PathBuf>>(&self, paths: impl IntoIterator<Item = S>) -> Request<fileops::Trash> {
        let paths = self::paths(paths);
        let trash = fileops::trash(paths.clone()).on_no_trash(OnNoTrash::Ask);
        Request::new(self, trash, About::new(OperationKind::Trash, paths))
    }

    /// Takes things out of the trash; see [`fileops::restore`]. Conflicts are asked about.
    pub fn restore<I: Into<Trashed>>(&self, items: impl IntoIterator<Item = I>) -> Request<fileops::Restore> {
        let items: Vec<Trashed> = items.into_iter().map(Into::into).collect();
        let about = About::new(OperationKind::Restore, items.iter().map(place));
        Request::new(self, fileops::restore(items).on_conflict(OnConflict::Ask), about)
    }

    /// Deletes for good; see [`fileops::delete`]. Failures are asked about.
    pub fn delete<S: Into<PathBuf>>(&self, paths: impl IntoIterator<Item = S>) -> Request<fileops::Delete> {
        let paths = self::paths(paths);
        let delete = fileops::delete(paths.clone()).on_error(OnError::Ask);
        Request::new(self, delete, About::new(OperationKind::Delete, paths))
    }

    /// Shows an operation that was started elsewhere, with all options that the core has.
    pub fn adopt(&self, operation: fileops::Operation, about: About, parent: Option<&gtk::Window>) -> Operation {
        let operation = Operation::new(operation, about, self);
        operation.set_parent_window(parent);
        self.imp().add(&operation);
        operation
    }

    /// Samples ten times a second for as long as this widget is mapped. The widgets of this library do so by themselves.
    pub fn watch(&self, widget: &impl IsA<gtk::Widget>) {
        let manager = self.downgrade();
        let count = move |by: i32| {
            if let Some(manager) = manager.upgrade() {
                manager.imp().count_watchers(by);
            }
        };
        if widget.is_mapped() {
            count(1);
        }
        widget.connect_map({
            let count = count.clone();
            move |_| count(1)
        });
        widget.connect_unmap(move |_| count(-1));
    }

    /// All operations, those that are over included.
    pub fn operations(&self) -> Vec<Operation> {
        self.imp().operations.borrow().clone()
    }

    /// When operations start; of the whole process.
    pub fn schedule(&self) -> Schedule {
        fileops::scheduler().schedule()
    }

    /// Decides anew when operations start.
    pub fn set_schedule(&self, schedule: Schedule) {
        fileops::scheduler().set_schedule(schedule);
        self.sample();
    }

    /// Pauses all that are not over.
    pub fn pause_all(&self) {
        self.running().iter().for_each(Operation::pause);
    }

    /// Ends all pauses.
    pub fn resume_all(&self) {
        self.running().iter().for_each(Operation::resume);
    }

    /// Cancels all that are not over.
    pub fn cancel_all(&self) {
        self.running().iter().for_each(Operation::cancel);
    }

    /// Takes an operation that is over out of the list.
    pub fn dismiss(&self, operation: &Operation) {
        if operation.state().is_over() {
            self.imp().remove(operation);
        }
    }

    /// Takes all out of the list that are over and done; what failed in part stays until it is dismissed.
    pub fn dismiss_finished(&self) {
        let is_done =
            |operation: &&Operation| operation.state().is_over() && operation.state() != OperationState::Incomplete;
        self.operations().iter().filter(is_done).for_each(|operation| self.imp().remove(operation));
    }

    /// Hears of each operation that is over.
    pub fn connect_finished(&self, f: impl Fn(&OperationManager, &Operation) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            "finished",
            false,
            glib::closure_local!(move |manager: &OperationManager, operation: &Operation| f(manager, operation)),
        )
    }

    /// Brings all operations up to date.
    pub fn sample(&self) {
        self.imp().sample();
    }

    /// Puts those that wait into the order in which their turns come.
    pub(crate) fn put_in_order(&self) {
        self.imp().put_in_order();
    }

    /// Whether a widget shows the operations.
    pub(crate) fn is_watched(&self) -> bool {
        self.imp().is_watched()
    }

    pub(crate) fn state_changed(&self, operation: &Operation) {
        self.imp().state_changed(operation);
    }

    pub(crate) fn questions_changed(&self, operation: &Operation) {
        self.imp().questions_changed(operation);
    }

    fn running(&self) -> Vec<Operation> {
        self.operations().into_iter().filter(|operation| !operation.state().is_over()).collect()
    }
}

fn paths<S: Into<PathBuf>>(paths: impl IntoIterator<Item = S>) -> Vec<PathBuf> {
    paths.into_iter().map(Into::into).collect()
}

/// What a thing in the trash is known by.
fn place(item: &Trashed) -> PathBuf {
    match item {
        Trashed::Item(item) => item.original.clone().unwrap_or_else(|| item.id.clone()),
        Trashed::Original(path) | Trashed::Id(path) => path.clone(),
        _ => PathBuf::new(),
    }
}
