//! A window with all that an operation asks.

use super::{ConflictPage, DiskFull, QuestionsPage, guard};
use crate::messages;
use crate::operation::Operation;
use gtk::glib;
use gtk::glib::Properties;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::OnceCell;

mod imp {
    use super::*;

    #[derive(Default, Properties)]
    #[properties(wrapper_type = super::QuestionsWindow)]
    pub struct QuestionsWindow {
        /// The operation that asks.
        #[property(get, construct_only)]
        operation: OnceCell<Operation>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for QuestionsWindow {
        const NAME: &'static str = "FileopsQuestionsWindow";
        type Type = super::QuestionsWindow;
        type ParentType = gtk::Window;
    }

    #[glib::derived_properties]
    impl ObjectImpl for QuestionsWindow {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(operation) = self.operation.get() else { return };
            let window = self.obj();
            window.set_destroy_with_parent(true);
            window.set_default_size(620, 480);
            operation.bind_property("title", &*window, "title").sync_create().build();

            let (conflicts, problems) = (ConflictPage::new(operation), QuestionsPage::new(operation));
            let pages = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(18).build();
            for margin in ["margin-top", "margin-bottom", "margin-start", "margin-end"] {
                pages.set_property(margin, 18);
            }
            pages.append(&DiskFull::new(operation));
            pages.append(&conflicts);
            pages.append(&problems);
            let hint = gtk::Label::builder().label(messages::everything_else_goes_on()).xalign(0.0).wrap(true).build();
            hint.add_css_class("dim-label");
            pages.append(&hint);
            window.set_child(Some(&pages));

            let [retry, skip] = problems.answers();
            guard::guard(&*window, &[&conflicts.answers(), &retry, &skip], &pages);
            guard::close_on_escape(&*window);
            let weak = window.downgrade();
            operation.connect_notify_local(None, move |operation, _| {
                let is_answered = operation.n_questions() == 0 && !operation.is_full();
                if let Some(window) = weak.upgrade().filter(|window| is_answered && window.is_visible()) {
                    window.close();
                }
            });
        }
    }

    impl WidgetImpl for QuestionsWindow {}

    impl WindowImpl for QuestionsWindow {}
}

window! {
    /// All that an operation asks: a full target, conflicts, failures. It closes itself when all is answered; closed before,
    /// the questions stay open.
    QuestionsWindow
}

impl QuestionsWindow {
    /// Shows what this operation asks.
    pub fn new(operation: &Operation) -> QuestionsWindow {
        glib::Object::builder().property("operation", operation).build()
    }
}
