//! A window that comes when an operation takes its time, and goes when all is over.

use super::OperationRow;
use crate::manager::OperationManager;
use crate::operation::{Operation, OperationState};
use crate::{a11y, messages};
use gtk::glib;
use gtk::glib::Properties;
use gtk::glib::subclass::InitializingObject;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::{Cell, OnceCell, RefCell};
use std::time::{Duration, Instant};

/// What is over sooner is not worth a window.
const COMES_AFTER: Duration = Duration::from_secs(1);

/// Nor is what would be over as soon as it was read.
const LEFT_AT_LEAST: i64 = 1;

/// A window that only flashes leaves people wondering what it was.
const STAYS_FOR: Duration = Duration::from_millis(700);

mod imp {
    use super::*;

    #[derive(Default, Properties, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/fileops/gtk/widgets/progress_window.ui")]
    #[properties(wrapper_type = super::ProgressWindow)]
    pub struct ProgressWindow {
        /// Whose operations are shown.
        #[property(get, construct_only)]
        manager: OnceCell<OperationManager>,
        /// Since when it is shown.
        shown: Cell<Option<Instant>>,
        /// The operations there were when it was closed by hand: they are not shown again.
        closed: RefCell<Vec<glib::WeakRef<Operation>>>,
        look: RefCell<Option<glib::SourceId>>,

        #[template_child]
        list: TemplateChild<gtk::ListBox>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ProgressWindow {
        const NAME: &'static str = "FileopsProgressWindow";
        type Type = super::ProgressWindow;
        type ParentType = gtk::Window;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for ProgressWindow {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(manager) = self.manager.get() else { return };
            a11y::set_label(&*self.list, &messages::operations());
            let not_done = gtk::CustomFilter::new(|item| {
                let operation = item.downcast_ref::<Operation>();
                operation.is_some_and(|operation| {
                    !matches!(operation.state(), OperationState::Finished | OperationState::Cancelled)
                })
            });
            let shown = gtk::FilterListModel::new(Some(manager.clone()), Some(not_done.clone()));
            self.list.bind_model(Some(&shown), |item| {
                let operation = item.downcast_ref::<Operation>().expect("the manager's items are operations");
                let row = gtk::ListBoxRow::builder().child(&OperationRow::new(operation)).activatable(false).build();
                a11y::set_label(&row, &operation.title());
                row.upcast()
            });
            let window = self.obj().downgrade();
            manager.connect_notify_local(Some("n-running"), move |_, _| {
                not_done.changed(gtk::FilterChange::Different);
                if let Some(window) = window.upgrade() {
                    window.imp().look_again();
                }
            });
            self.look_again();
        }

        fn dispose(&self) {
            if let Some(look) = self.look.take() {
                look.remove();
            }
        }
    }

    impl WidgetImpl for ProgressWindow {}

    impl WindowImpl for ProgressWindow {
        fn close_request(&self) -> glib::Propagation {
            let manager = self.manager.get();
            *self.closed.borrow_mut() =
                manager.into_iter().flat_map(|manager| manager.operations()).map(|op| op.downgrade()).collect();
            self.shown.set(None);
            self.parent_close_request()
        }
    }

    impl ProgressWindow {
        /// Looks now, and ten times a second until there is nothing more to decide.
        fn look_again(&self) {
            if self.decide() || self.look.borrow().is_some() {
                return;
            }
            let window = self.obj().downgrade();
            let look = glib::timeout_add_local(Duration::from_millis(100), move || {
                let Some(window) = window.upgrade() else { return glib::ControlFlow::Break };
                if window.imp().decide() {
                    window.imp().look.take();
                    return glib::ControlFlow::Break;
                }
                glib::ControlFlow::Continue
            });
            *self.look.borrow_mut() = Some(look);
        }

        /// Comes or goes if it is time; whether there is nothing more to wait for.
        fn decide(&self) -> bool {
            let Some(manager) = self.manager.get() else { return true };
            let closed: Vec<Operation> = self.closed.borrow().iter().filter_map(glib::WeakRef::upgrade).collect();
            let running: Vec<Operation> = manager
                .operations()
                .into_iter()
                .filter(|operation| !operation.state().is_over() && !closed.contains(operation))
                .collect();
            match self.shown.get() {
                None => {
                    let is_due = |operation: &Operation| is_due(operation.elapsed(), operation.time_left());
                    // Where a list is shown that has them too, a window would say it twice.
                    if !manager.is_watched() && running.iter().any(is_due) {
                        self.shown.set(Some(Instant::now()));
                        self.obj().present();
                    }
                    running.is_empty()
                }
                Some(since) if running.is_empty() => {
                    let is_seen = since.elapsed() >= STAYS_FOR;
                    if is_seen {
                        self.shown.set(None);
                        self.obj().set_visible(false);
                    }
                    is_seen
                }
                Some(_) => true,
            }
        }
    }
}

/// Whether an operation has taken so long, and has so much before it, that a person should see it.
fn is_due(elapsed: Duration, time_left: i64) -> bool {
    elapsed >= COMES_AFTER && !(0..=LEFT_AT_LEAST).contains(&time_left)
}

window! {
    /// A window with all operations that are not done. It shows itself 1 s after one began that has more than 1 s left, stays
    /// for at least 0.7 s, and hides itself when all are over. Closing it only hides it: the operations go on.
    ProgressWindow
}

impl ProgressWindow {
    /// Waits for operations of this manager to take long. To be kept by the application, and hidden at first.
    pub fn new(manager: &OperationManager) -> ProgressWindow {
        glib::Object::builder().property("manager", manager).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_its_time_gets_a_window() {
        assert!(!is_due(Duration::from_millis(900), -1));
        assert!(is_due(COMES_AFTER, -1));
        assert!(!is_due(COMES_AFTER, 1));
        assert!(is_due(COMES_AFTER, 2));
    }
}
