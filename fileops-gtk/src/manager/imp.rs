//! The list, the timer, and whom to tell.

use super::launcher::Launcher;
use super::session::Session;
use crate::operation::{Operation, OperationState};
use crate::questions;
use crate::widgets::ProgressWindow;
use gtk::glib::Properties;
use gtk::glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::time::Duration;

/// Seldom enough to cost nothing, often enough to look alive.
const SHOWN: Duration = Duration::from_millis(100);

/// For docks, which need no more, and for what counts in seconds.
const UNSEEN: Duration = Duration::from_millis(500);

/// Conflicts of the first moments are asked together.
const GATHERED_FOR: Duration = Duration::from_millis(500);

/// So long what is done stays in a list that nobody looks at.
const DISMISSED_AFTER: Duration = Duration::from_secs(10);

#[derive(Properties)]
#[properties(wrapper_type = super::OperationManager)]
pub struct OperationManager {
    /// How many are not over.
    #[property(get)]
    n_running: Cell<u32>,
    /// How far all are together, from 0 to 1; -1 while it is not known.
    #[property(get)]
    fraction: Cell<f64>,
    /// Open questions of all of them.
    #[property(get)]
    n_questions: Cell<u32>,
    /// Whether progress that takes its time and questions show themselves, in windows of their own.
    #[property(get, set)]
    shows_windows: Cell<bool>,

    pub(super) application: glib::WeakRef<gtk::Application>,
    pub(super) operations: RefCell<Vec<Operation>>,
    watchers: Cell<i32>,
    timer: RefCell<Option<(glib::SourceId, Duration)>>,
    session: Session,
    launcher: Launcher,
    window: OnceCell<ProgressWindow>,
    /// The operations whose open questions were shown; a person who closed them is not asked again.
    shown: RefCell<HashSet<String>>,
}

impl Default for OperationManager {
    fn default() -> OperationManager {
        OperationManager {
            n_running: Cell::default(),
            fraction: Cell::new(-1.0),
            n_questions: Cell::default(),
            shows_windows: Cell::new(true),
            application: glib::WeakRef::default(),
            operations: RefCell::default(),
            watchers: Cell::default(),
            timer: RefCell::default(),
            session: Session::default(),
            launcher: Launcher::default(),
            window: OnceCell::default(),
            shown: RefCell::default(),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for OperationManager {
    const NAME: &'static str = "FileopsOperationManager";
    type Type = super::OperationManager;
    type Interfaces = (gio::ListModel,);
}

#[glib::derived_properties]
impl ObjectImpl for OperationManager {
    fn signals() -> &'static [Signal] {
        static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
        SIGNALS.get_or_init(|| {
            let operation = [Operation::static_type()];
            vec![Signal::builder("finished").param_types(operation).build()]
        })
    }

    fn dispose(&self) {
        if let Some((timer, _)) = self.timer.take() {
            timer.remove();
        }
    }
}

impl ListModelImpl for OperationManager {
    fn item_type(&self) -> glib::Type {
        Operation::static_type()
    }

    fn n_items(&self) -> u32 {
        self.operations.borrow().len() as u32
    }

    fn item(&self, position: u32) -> Option<glib::Object> {
        self.operations.borrow().get(position as usize).map(|operation| operation.clone().upcast())
    }
}

impl OperationManager {
    pub(super) fn add(&self, operation: &Operation) {
        let at = self.operations.borrow().len() as u32;
        self.operations.borrow_mut().push(operation.clone());
        self.obj().items_changed(at, 0, 1);
        if self.shows_windows.get() && self.application.upgrade().is_some() {
            self.window.get_or_init(|| ProgressWindow::new(&self.obj()));
        }
        self.follow();
    }

    pub(super) fn remove(&self, operation: &Operation) {
        let at = self.operations.borrow().iter().position(|other| other == operation);
        if let Some(at) = at {
            self.operations.borrow_mut().remove(at);
            self.obj().items_changed(at as u32, 1, 0);
            self.follow();
        }
    }

    /// Running ones stay where they are; those that wait change places among themselves.
    pub(super) fn put_in_order(&self) {
        let places: HashMap<String, usize> =
            fileops::scheduler().operations().into_iter().enumerate().map(|(at, known)| (known.id, at)).collect();
        let mut operations = self.operations.borrow().clone();
        let is_waiting = |operation: &Operation| operation.state() == OperationState::Waiting;
        let slots: Vec<usize> = (0..operations.len()).filter(|&at| is_waiting(&operations[at])).collect();
        let mut waiting: Vec<Operation> = slots.iter().map(|&at| operations[at].clone()).collect();
        waiting.sort_by_key(|operation| places.get(&operation.id()).copied());
        for (at, operation) in slots.into_iter().zip(waiting) {
            operations[at] = operation;
        }
        if *self.operations.borrow() != operations {
            let number = operations.len() as u32;
            *self.operations.borrow_mut() = operations;
            self.obj().items_changed(0, number, number);
        }
    }

    pub(super) fn count_watchers(&self, by: i32) {
        self.watchers.set(self.watchers.get() + by);
        self.set_timer();
        if by > 0 {
            self.sample();
        }
    }

    pub(super) fn sample(&self) {
        let operations = self.operations.borrow().clone();
        operations.iter().for_each(Operation::sample);
        self.follow();
    }

    pub(super) fn state_changed(&self, operation: &Operation) {
        self.follow();
        self.show_questions(operation);
        if operation.state().is_over() {
            // Its other properties are told first.
            let (manager, operation) = (self.obj().clone(), operation.clone());
            glib::idle_add_local_full(glib::Priority::DEFAULT, move || {
                manager.imp().finished(&operation);
                glib::ControlFlow::Break
            });
        }
    }

    fn finished(&self, operation: &Operation) {
        self.session.tell_end(self.application.upgrade().as_ref(), operation);
        self.obj().emit_by_name::<()>("finished", &[operation]);
        if operation.state() != OperationState::Incomplete {
            let (manager, operation) = (self.obj().downgrade(), operation.downgrade());
            glib::timeout_add_local_once(DISMISSED_AFTER, move || {
                if let (Some(manager), Some(operation)) = (manager.upgrade(), operation.upgrade())
                    && manager.imp().watchers.get() == 0
                {
                    manager.dismiss(&operation);
                }
            });
        }
    }

    pub(super) fn questions_changed(&self, operation: &Operation) {
        self.follow();
        self.session.tell_questions(self.application.upgrade().as_ref(), operation);
        self.show_questions(operation);
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watchers.get() > 0
    }

    /// Once, until all are answered and others come.
    fn show_questions(&self, operation: &Operation) {
        let asks = |operation: &Operation| operation.n_questions() > 0 || operation.is_full();
        if !asks(operation) {
            self.shown.borrow_mut().remove(&operation.id());
            return;
        }
        let application = self.application.upgrade();
        let has_place = operation.parent_window().is_some() || application.is_some();
        if !self.shows_windows.get() || !has_place || !self.shown.borrow_mut().insert(operation.id()) {
            return;
        }
        let operation = operation.downgrade();
        glib::timeout_add_local_once(GATHERED_FOR, move || {
            if let Some(operation) = operation.upgrade().filter(asks) {
                let active = || application.and_then(|application| application.active_window());
                questions::present(&operation, operation.parent_window().or_else(active).as_ref());
            }
        });
    }

    /// Sums up, and tells those who want to know.
    fn follow(&self) {
        let operations = self.operations.borrow().clone();
        let running: Vec<&Operation> = operations.iter().filter(|operation| !operation.state().is_over()).collect();
        let _all_at_once = self.obj().freeze_notify();
        if self.n_running.replace(running.len() as u32) != running.len() as u32 {
            self.obj().notify_n_running();
        }
        let fraction = together(&running);
        if self.fraction.replace(fraction) != fraction {
            self.obj().notify_fraction();
        }
        let questions = running.iter().map(|operation| operation.n_questions()).sum();
        if self.n_questions.replace(questions) != questions {
            self.obj().notify_n_questions();
        }
        self.set_timer();
        let application = self.application.upgrade();
        self.session.follow(application.as_ref(), &running);
        self.launcher.follow(application.as_ref(), running.len(), fraction);
    }

    fn set_timer(&self) {
        let wanted = match (self.n_running.get(), self.watchers.get()) {
            (0, _) => None,
            (_, 0) => Some(UNSEEN),
            _ => Some(SHOWN),
        };
        if self.timer.borrow().as_ref().map(|(_, every)| *every) == wanted {
            return;
        }
        if let Some((timer, _)) = self.timer.take() {
            timer.remove();
        }
        *self.timer.borrow_mut() = wanted.map(|every| {
            let manager = self.obj().downgrade();
            let timer = glib::timeout_add_local(every, move || {
                if let Some(manager) = manager.upgrade() {
                    manager.sample();
                }
                glib::ControlFlow::Continue
            });
            (timer, every)
        });
    }
}

/// How far all are together, each counting the same; -1 when nothing is known of any.
fn together(running: &[&Operation]) -> f64 {
    let known: Vec<f64> =
        running.iter().map(|operation| operation.fraction()).filter(|fraction| *fraction >= 0.0).collect();
    if known.is_empty() { -1.0 } else { known.iter().sum::<f64>() / running.len() as f64 }
}
