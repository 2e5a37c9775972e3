//! The properties of an operation, and how they follow the core.

use super::questions::Questions;
use super::{About, OperationKind, OperationState, end_of, state_of};
use crate::estimate::{Estimator, TimeLeft};
use crate::manager::OperationManager;
use crate::messages;
use fileops::{Outcome, Progress, Report};
use gtk::glib::{self, Properties};
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib::WeakRef};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// What an entry costs beside its contents, in bytes that take about as long: a tree of small files advances evenly.
const ENTRY_WEIGHT: u64 = 64 * 1024;

#[derive(Properties)]
#[properties(wrapper_type = super::Operation)]
pub struct Operation {
    /// What is done, as a sentence.
    #[property(get)]
    title: RefCell<String>,
    /// How far it is, what it waits for, or how it ended.
    #[property(get)]
    subtitle: RefCell<String>,
    /// Where it stands.
    #[property(get, builder(OperationState::Waiting))]
    state: Cell<OperationState>,
    /// How far it is, from 0 to 1; -1 while it is not known how much there is.
    #[property(get)]
    fraction: Cell<f64>,
    /// Bytes of contents that are over.
    #[property(get)]
    bytes_done: Cell<u64>,
    /// Bytes of contents that are known of.
    #[property(get)]
    bytes_total: Cell<u64>,
    /// Bytes that are safely on the device; -1 where that is not counted.
    #[property(get)]
    bytes_safe: Cell<i64>,
    /// Files, directories and links that are over.
    #[property(get)]
    entries_done: Cell<u64>,
    /// Files, directories and links that are known of.
    #[property(get)]
    entries_total: Cell<u64>,
    /// Bytes a second, lately.
    #[property(get)]
    rate: Cell<f64>,
    /// Seconds; -1 while there is nothing to be said.
    #[property(get)]
    time_left: Cell<i64>,
    /// The time left as a sentence; empty while there is nothing to be said.
    #[property(get)]
    time_left_text: RefCell<String>,
    /// The directory or large file that is worked on.
    #[property(get)]
    current_item: RefCell<String>,
    /// Whether a pause or a resume does something.
    #[property(get)]
    can_pause: Cell<bool>,
    /// Whether an undo does something.
    #[property(get)]
    can_undo: Cell<bool>,
    /// It paused since the target is full.
    #[property(get)]
    is_full: Cell<bool>,
    /// How many questions are open.
    #[property(get)]
    n_questions: Cell<u32>,
    /// The open questions, each a [`Question`](super::Question).
    #[property(get = Self::questions_model, type = gio::ListModel)]
    questions: Questions,

    core: OnceCell<RefCell<fileops::Operation>>,
    about: OnceCell<About>,
    manager: WeakRef<OperationManager>,
    parent: WeakRef<gtk::Window>,
    estimator: RefCell<Estimator>,
    began: Cell<Option<Instant>>,
    elapsed: Cell<Duration>,
    report: RefCell<Option<Rc<Report>>>,
    at_end: RefCell<Vec<Waker>>,
}

impl Default for Operation {
    fn default() -> Operation {
        Operation {
            title: RefCell::default(),
            subtitle: RefCell::default(),
            state: Cell::default(),
            fraction: Cell::new(-1.0),
            bytes_done: Cell::default(),
            bytes_total: Cell::default(),
            bytes_safe: Cell::new(-1),
            entries_done: Cell::default(),
            entries_total: Cell::default(),
            rate: Cell::default(),
            time_left: Cell::new(-1),
            time_left_text: RefCell::default(),
            current_item: RefCell::default(),
            can_pause: Cell::default(),
            can_undo: Cell::default(),
            is_full: Cell::default(),
            n_questions: Cell::default(),
            questions: Questions::default(),
            core: OnceCell::default(),
            about: OnceCell::default(),
            manager: WeakRef::default(),
            parent: WeakRef::default(),
            estimator: RefCell::default(),
            began: Cell::default(),
            elapsed: Cell::default(),
            report: RefCell::default(),
            at_end: RefCell::default(),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for Operation {
    const NAME: &'static str = "FileopsOperation";
    type Type = super::Operation;
}

#[glib::derived_properties]
impl ObjectImpl for Operation {}

impl Operation {
    pub(super) fn begin(&self, core: fileops::Operation, about: About, manager: &OperationManager) {
        *self.title.borrow_mut() = about.sentence(messages::title);
        self.manager.set(Some(manager));
        self.began.set(Some(Instant::now()));
        let inbox = core.inbox();
        assert!(self.about.set(about).is_ok(), "an operation begins once");
        assert!(self.core.set(RefCell::new(core)).is_ok(), "an operation begins once");
        self.sample(Instant::now());

        let operation = self.obj().clone();
        glib::spawn_future_local(async move {
            let report = end_of(&operation).await;
            operation.imp().end(report);
        });
        let operation = self.obj().downgrade();
        self.questions.hear(inbox, operation.clone(), move || {
            if let Some(operation) = operation.upgrade() {
                operation.imp().questions_changed();
            }
        });
    }

    pub(super) fn id(&self) -> String {
        self.with_core(|core| core.id().to_owned()).unwrap_or_default()
    }

    pub(super) fn with_core<T>(&self, f: impl FnOnce(&fileops::Operation) -> T) -> Option<T> {
        self.core.get().map(|core| f(&core.borrow()))
    }

    pub(super) fn with_core_mut<T>(&self, f: impl FnOnce(&mut fileops::Operation) -> T) -> Option<T> {
        self.core.get().map(|core| f(&mut core.borrow_mut()))
    }

    pub(super) fn about(&self) -> &About {
        self.about.get().expect("an operation is made with what it is about")
    }

    pub(super) fn kind(&self) -> OperationKind {
        self.about().kind
    }

    pub(super) fn manager(&self) -> Option<OperationManager> {
        self.manager.upgrade()
    }

    pub(super) fn parent(&self) -> Option<gtk::Window> {
        self.parent.upgrade()
    }

    pub(super) fn set_parent(&self, parent: Option<&gtk::Window>) {
        self.parent.set(parent);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    pub(super) fn report(&self) -> Option<Rc<Report>> {
        self.report.borrow().clone()
    }

    pub(super) fn wake_at_end(&self, waker: &Waker) {
        self.at_end.borrow_mut().push(waker.clone());
    }

    pub(super) fn forget_undo(&self) {
        self.set(&self.can_undo, false, "can-undo");
    }

    fn questions_model(&self) -> gio::ListModel {
        self.questions.model().clone().upcast()
    }

    /// Some were asked or answered.
    fn questions_changed(&self) {
        self.sample(Instant::now());
        if let Some(manager) = self.manager() {
            manager.questions_changed(&self.obj());
        }
    }

    /// What was answered is no longer open.
    pub(super) fn answered(&self) {
        if let Some(open) = self.with_core(fileops::Operation::questions) {
            self.questions.keep(&open);
        }
        self.questions_changed();
    }

    /// Follows the core's counters.
    pub(super) fn sample(&self, now: Instant) {
        if self.report.borrow().is_some() {
            return;
        }
        let Some((progress, is_full)) = self.with_core(|core| (core.progress(), core.shortage().is_some())) else {
            return;
        };
        let _all_at_once = self.obj().freeze_notify();
        if progress.questions < self.questions.model().n_items() as usize {
            // Somebody else has answered.
            if let Some(open) = self.with_core(fileops::Operation::questions) {
                self.questions.keep(&open);
            }
        }
        let state = state_of(progress.phase);
        self.set(&self.is_full, is_full && state == OperationState::Paused, "is-full");
        self.set(&self.bytes_done, progress.bytes_done, "bytes-done");
        self.set(&self.bytes_total, progress.bytes_total, "bytes-total");
        self.set(&self.bytes_safe, progress.bytes_on_device.map_or(-1, |bytes| bytes as i64), "bytes-safe");
        self.set(&self.entries_done, progress.entries_done, "entries-done");
        self.set(&self.entries_total, progress.entries_total, "entries-total");
        self.set(&self.fraction, fraction(&progress), "fraction");
        self.set(&self.rate, progress.rate, "rate");
        let current = progress.current.as_deref().map_or_else(String::new, messages::shown);
        self.set_text(&self.current_item, current, "current-item");
        self.set(&self.n_questions, self.questions.model().n_items(), "n-questions");
        self.set(&self.can_pause, !matches!(state, OperationState::Cancelling | OperationState::Asking), "can-pause");
        self.elapsed.set(progress.elapsed);

        let since = self.began.get().map_or(Duration::ZERO, |began| now - began);
        let work = progress.entries_done + progress.bytes_done + progress.bytes_on_device.unwrap_or(0);
        let is_working = state == OperationState::Running;
        let left = self.estimator.borrow_mut().look(since, is_working, work, progress.time_left);
        let seconds = if matches!(left, TimeLeft::Unknown | TimeLeft::Stalled) { None } else { progress.time_left };
        self.set(&self.time_left, seconds.map_or(-1, |left| left.as_secs() as i64), "time-left");
        let device = if left == TimeLeft::Stalled { self.obj().device() } else { String::new() };
        self.set_text(&self.time_left_text, messages::time_left(left, &device), "time-left-text");
        self.set_text(&self.subtitle, subtitle(state, &progress), "subtitle");
        self.set_state(state);
    }

    fn end(&self, report: Report) {
        let _all_at_once = self.obj().freeze_notify();
        self.sample(Instant::now());
        let (failed, skipped) = (report.failures.len() as u64, report.skipped.len() as u64);
        let is_cancelled = report.outcome != Outcome::Done;
        let (state, subtitle) = match (is_cancelled, failed + skipped) {
            (true, _) => (OperationState::Cancelled, messages::cancelled(report.entries - report.removed)),
            (false, 0) => (OperationState::Finished, messages::finished(report.files, report.bytes)),
            (false, _) => (OperationState::Incomplete, messages::incomplete(failed, skipped)),
        };
        let can_undo = report.id.is_some() && self.kind() != OperationKind::Undo;
        self.elapsed.set(report.elapsed);
        *self.report.borrow_mut() = Some(Rc::new(report));
        self.questions.keep(&[]);
        self.set(&self.n_questions, 0, "n-questions");
        if state == OperationState::Finished {
            self.set_text(&self.title, self.about().sentence(messages::title_done), "title");
            self.set(&self.fraction, 1.0, "fraction");
        }
        self.set_text(&self.subtitle, subtitle, "subtitle");
        self.set_text(&self.time_left_text, String::new(), "time-left-text");
        self.set_text(&self.current_item, String::new(), "current-item");
        self.set(&self.time_left, -1, "time-left");
        self.set(&self.rate, 0.0, "rate");
        self.set(&self.is_full, false, "is-full");
        self.set(&self.can_pause, false, "can-pause");
        self.set(&self.can_undo, can_undo, "can-undo");
        self.set_state(state);
        self.at_end.take().into_iter().for_each(Waker::wake);
    }

    fn set_state(&self, state: OperationState) {
        if self.state.get() != state {
            self.state.set(state);
            self.obj().notify("state");
            if let Some(manager) = self.manager() {
                manager.state_changed(&self.obj());
            }
        }
    }

    fn set<T: Copy + PartialEq>(&self, cell: &Cell<T>, value: T, name: &str) {
        if cell.replace(value) != value {
            self.obj().notify(name);
        }
    }

    fn set_text(&self, cell: &RefCell<String>, value: String, name: &str) {
        if *cell.borrow() != value {
            *cell.borrow_mut() = value;
            self.obj().notify(name);
        }
    }
}

/// From 0 to 1, or -1 while it is not known how much there is. What has to reach the device counts again on its way: at 1
/// nothing is left to write.
fn fraction(progress: &Progress) -> f64 {
    if progress.is_total_growing {
        return -1.0;
    }
    let weight = |entries: u64, bytes: u64| entries as f64 * ENTRY_WEIGHT as f64 + bytes as f64;
    let (mut done, mut total) =
        (weight(progress.entries_done, progress.bytes_done), weight(progress.entries_total, progress.bytes_total));
    if let Some(safe) = progress.bytes_on_device {
        done += safe as f64;
        total += progress.bytes_total as f64;
    }
    if total == 0.0 { -1.0 } else { (done / total).clamp(0.0, 1.0) }
}

fn subtitle(state: OperationState, progress: &Progress) -> String {
    match state {
        OperationState::Waiting => match progress.place {
            Some(before) if before > 0 => messages::waiting(before as u64),
            _ => messages::waiting_for_nobody(),
        },
        OperationState::Asking => messages::asking(progress.questions as u64),
        OperationState::Cancelling => messages::cancelling(),
        OperationState::Paused => messages::paused(&amount(progress)),
        _ => amount(progress),
    }
}

/// How much is done, in the measure that tells most.
fn amount(progress: &Progress) -> String {
    let (bytes, entries) = (progress.bytes_total, progress.entries_total);
    if let Some(safe) = progress.bytes_on_device.filter(|&safe| safe < progress.bytes_done) {
        return messages::copied_and_safe(progress.bytes_done, bytes, safe);
    }
    match (progress.is_total_growing, bytes > 0) {
        (true, _) if entries == 0 => messages::preparing(),
        (true, true) => messages::bytes_so_far(progress.bytes_done),
        (true, false) => messages::entries_so_far(progress.entries_done),
        // Of many small files the number says more.
        (false, true) if bytes / entries.max(1) >= ENTRY_WEIGHT => messages::bytes(progress.bytes_done, bytes),
        _ => messages::entries(progress.entries_done, entries),
    }
}
