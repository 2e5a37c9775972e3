//! A running operation as an object with properties, to be shown and bound to by any widget.
//!
//! Workers never send anything here per file: the manager's ticker calls [`Operation::sample`] while somebody looks.
//! Questions and the end are awaited, and so are there without a look.

mod imp;
mod questions;

pub(crate) use questions::all_in;
pub use questions::{Choice, Question, Sameness};

use crate::device;
use crate::manager::OperationManager;
use crate::messages;
use fileops::{OnChanged, OnConflict, Phase, Report, Scope};
use gtk::glib;
use gtk::glib::subclass::prelude::*;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// What an operation does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "FileopsOperationKind")]
#[non_exhaustive]
pub enum OperationKind {
    /// Something else: the title only names it.
    #[default]
    Other,
    /// Copying.
    Copy,
    /// Moving.
    Move,
    /// Putting things into the trash.
    Trash,
    /// Taking things out of the trash.
    Restore,
    /// Deleting for good.
    Delete,
    /// Taking back what another operation did.
    Undo,
    /// Doing again what was taken back.
    Redo,
}

impl OperationKind {
    /// Whether it leaves things half-done when the session ends in the middle of it.
    pub(crate) fn writes(self) -> bool {
        self != OperationKind::Other
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "FileopsOperationState")]
#[non_exhaustive]
pub enum OperationState {
    /// In line for a device that others use.
    #[default]
    Waiting,
    /// Working.
    Running,
    /// Told to wait, or out of room: see [`Operation::shortage`].
    Paused,
    /// Everything is done but what waits for answers.
    Asking,
    /// Told to stop, and cleaning up.
    Cancelling,
    /// Over, and all was done.
    Finished,
    /// Over, but something failed or was skipped.
    Incomplete,
    /// Over, cancelled.
    Cancelled,
}

impl OperationState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, OperationState::Finished | OperationState::Incomplete | OperationState::Cancelled)
    }

    /// Whether it keeps the machine busy.
    pub(crate) fn is_working(self) -> bool {
        matches!(self, OperationState::Running | OperationState::Cancelling)
    }
}

/// What an operation is about, as its title tells.
#[derive(Clone, Debug)]
pub struct About {
    pub(crate) kind: OperationKind,
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) target: Option<PathBuf>,
    /// Instead of the name of the first source.
    pub(crate) name: Option<String>,
}

impl About {
    /// What is done to which paths, and where it goes if it goes somewhere.
    pub fn new(kind: OperationKind, sources: impl IntoIterator<Item = impl Into<PathBuf>>) -> About {
        About { kind, sources: sources.into_iter().map(Into::into).collect(), target: None, name: None }
    }

    /// The directory that things go to.
    #[must_use]
    pub fn into_dir(self, target: impl Into<PathBuf>) -> About {
        About { target: Some(target.into()), ..self }
    }

    /// A name to be shown instead of the first source's.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> About {
        About { name: Some(name.into()), ..self }
    }

    fn sentence(&self, make: impl Fn(&messages::Subject<'_>) -> String) -> String {
        let first = || self.sources.first().map_or_else(String::new, |path| messages::name(path));
        let (name, target) = (self.name.clone().unwrap_or_else(first), self.target.as_deref().map(messages::name));
        let count = self.sources.len() as u64;
        make(&messages::Subject { kind: self.kind, count, name: &name, target: target.as_deref() })
    }
}

glib::wrapper! {
    /// A running operation: its state as properties that notify, and what can be done about it.
    ///
    /// | property | |
    /// |---|---|
    /// | `title` | what is done, as a sentence |
    /// | `subtitle` | how far it is, what it waits for, or how it ended |
    /// | `state` | [`OperationState`] |
    /// | `fraction` | from 0 to 1; -1 while it is not known how much there is |
    /// | `bytes-done`, `bytes-total`, `bytes-safe` | bytes; safely on the device, or -1 where that is not counted |
    /// | `entries-done`, `entries-total` | files, directories and links |
    /// | `rate` | bytes a second, lately |
    /// | `time-left`, `time-left-text` | seconds, or -1; as a sentence, or empty |
    /// | `current-item` | the directory or large file that is worked on |
    /// | `can-pause`, `can-undo` | whether [`toggle_pause`](Operation::toggle_pause), [`undo`](Operation::undo) do something |
    /// | `is-full` | it paused since the target is full: see [`shortage`](Operation::shortage) |
    /// | `questions`, `n-questions` | a `gio::ListModel` of the open [`Question`]s, and how many there are |
    ///
    /// Figures follow ten times a second while a widget shows the operation ([`OperationManager::watch`]), less often else;
    /// questions and the end are there at once.
    pub struct Operation(ObjectSubclass<imp::Operation>);
}

impl Operation {
    pub(crate) fn new(core: fileops::Operation, about: About, manager: &OperationManager) -> Operation {
        let operation: Operation = glib::Object::new();
        operation.imp().begin(core, about, manager);
        operation
    }

    /// What the core calls it.
    pub fn id(&self) -> String {
        self.imp().id()
    }

    /// Stops it for good. What was done stays, and can be undone.
    pub fn cancel(&self) {
        self.imp().with_core(fileops::Operation::cancel);
        self.sample();
    }

    /// Starts nothing further until [`resume`](Operation::resume).
    pub fn pause(&self) {
        self.imp().with_core(fileops::Operation::pause);
        self.sample();
    }

    /// Goes on after a pause; tries again where the target was full.
    pub fn resume(&self) {
        self.imp().with_core(fileops::Operation::resume);
        self.sample();
    }

    /// Pauses what runs, and resumes what is paused.
    pub fn toggle_pause(&self) {
        if self.state() == OperationState::Paused { self.resume() } else { self.pause() }
    }

    /// Starts at once, whatever else uses its devices.
    pub fn start_now(&self) {
        self.imp().with_core(fileops::Operation::start_now);
        self.sample();
    }

    /// Goes before all others that wait.
    pub fn move_to_front(&self) {
        self.imp().with_core(fileops::Operation::move_to_front);
        self.reordered();
    }

    /// Goes just before another one that waits.
    pub fn move_before(&self, other: &Operation) {
        if self != other {
            self.imp().with_core(|core| other.imp().with_core(|other| core.move_before(other)));
            self.reordered();
        }
    }

    fn reordered(&self) {
        if let Some(manager) = self.manager() {
            manager.sample();
            manager.put_in_order();
        }
    }

    /// Takes back what it did, as an operation of its own, which asks about what was changed since; `None` if there is nothing to take back, or that was done before.
    pub fn undo(&self) -> Option<Operation> {
        let manager = self.manager().filter(|_| self.can_undo())?;
        let id = self.report()?.id.clone()?;
        self.imp().forget_undo();
        let about = About::new(OperationKind::Undo, [PathBuf::from(&id)]).named(self.title());
        let undo = fileops::undo(id).on_changed(OnChanged::Ask).on_conflict(OnConflict::Ask);
        Some(manager.adopt(undo.start(), about, self.imp().parent().as_ref()))
    }

    /// What it waits for since it paused by itself for want of room.
    pub fn shortage(&self) -> Option<fileops::Shortage> {
        self.imp().with_core(fileops::Operation::shortage).flatten()
    }

    /// The report, when it is over.
    pub fn report(&self) -> Option<Rc<Report>> {
        self.imp().report()
    }

    /// Waits for the report. Dropping the future changes nothing.
    pub fn outcome(&self) -> impl Future<Output = Rc<Report>> + 'static {
        let operation = self.clone();
        std::future::poll_fn(move |context| match operation.report() {
            Some(report) => Poll::Ready(report),
            None => {
                operation.imp().wake_at_end(context.waker());
                Poll::Pending
            }
        })
    }

    /// What it does.
    pub fn kind(&self) -> OperationKind {
        self.imp().kind()
    }

    /// The manager that it belongs to, if that is still there.
    pub fn manager(&self) -> Option<OperationManager> {
        self.imp().manager()
    }

    /// The window that questions belong to.
    pub fn parent_window(&self) -> Option<gtk::Window> {
        self.imp().parent()
    }

    pub(crate) fn set_parent_window(&self, parent: Option<&gtk::Window>) {
        self.imp().set_parent(parent);
    }

    /// Since it began; waiting for its first turn is not counted.
    pub fn elapsed(&self) -> std::time::Duration {
        self.imp().elapsed()
    }

    /// Brings the properties up to date.
    pub fn sample(&self) {
        self.imp().sample(Instant::now());
    }

    /// Answers questions by what was chosen for each ([`Question::choice`](Question)); those that are to be decided later
    /// stay, and so do those whose answers are not taken.
    pub fn apply_choices(&self) {
        let Some(inbox) = self.inbox() else { return };
        for question in questions::all_in(&self.questions()) {
            if let Some(resolution) = question.choice().resolution() {
                // What does not fit any more was answered elsewhere.
                let _ = inbox.answer(question.id(), resolution, Scope::This);
            }
        }
        self.imp().answered();
    }

    /// Gives many the same answer; those that it does not fit stay.
    pub(crate) fn answer_each<'a>(
        &self,
        questions: impl Iterator<Item = &'a Question>,
        resolution: &fileops::Resolution,
    ) {
        let Some(inbox) = self.inbox() else { return };
        for question in questions {
            let _ = inbox.answer(question.id(), resolution.clone(), Scope::This);
        }
        self.imp().answered();
    }

    /// What its target's device is called, or its source's.
    pub(crate) fn device(&self) -> String {
        let about = self.imp().about();
        let place = about.target.as_ref().or(about.sources.first());
        place.map_or_else(String::new, |path| device::name_for(path))
    }

    pub(crate) fn inbox(&self) -> Option<fileops::Inbox> {
        self.imp().with_core(fileops::Operation::inbox)
    }
}

/// Where the core's phase leads before the operation is over.
fn state_of(phase: Phase) -> OperationState {
    match phase {
        Phase::Waiting => OperationState::Waiting,
        Phase::Paused => OperationState::Paused,
        Phase::Asking => OperationState::Asking,
        Phase::Cancelling => OperationState::Cancelling,
        _ => OperationState::Running,
    }
}

/// The core's end of an operation, awaited without being taken away from those who steer it.
async fn end_of(operation: &Operation) -> Report {
    std::future::poll_fn(|context| {
        operation.imp().with_core_mut(|core| Pin::new(core).poll(context)).unwrap_or(Poll::Pending)
    })
    .await
}
