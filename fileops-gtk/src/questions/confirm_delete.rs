//! The question before something is deleted for good, which nothing can bring back.

use super::guard;
use crate::a11y;
use crate::messages::{self, Subject};
use crate::operation::OperationKind;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::task::{Poll, Waker};

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct ConfirmDelete {
        pub(super) answer: Cell<Option<bool>>,
        pub(super) waiting: RefCell<Option<Waker>>,
        pub(super) facts: gtk::Label,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ConfirmDelete {
        const NAME: &'static str = "FileopsConfirmDelete";
        type Type = super::ConfirmDelete;
        type ParentType = gtk::Window;
    }

    impl ObjectImpl for ConfirmDelete {}

    impl WidgetImpl for ConfirmDelete {}

    impl WindowImpl for ConfirmDelete {
        fn close_request(&self) -> glib::Propagation {
            self.decide(false);
            self.parent_close_request()
        }
    }

    impl ConfirmDelete {
        /// The first answer counts.
        pub(super) fn decide(&self, answer: bool) {
            if self.answer.get().is_none() {
                self.answer.set(Some(answer));
            }
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}

window! {
    /// Asks whether things shall be deleted for good, with their number and size. Enter, Escape and closing delete nothing.
    ConfirmDelete
}

impl ConfirmDelete {
    /// Asks above this window. `true` if everything shall be deleted.
    pub async fn ask(paths: impl IntoIterator<Item = impl Into<PathBuf>>, parent: Option<&gtk::Window>) -> bool {
        let dialog = ConfirmDelete::new(paths);
        dialog.set_transient_for(parent);
        dialog.present();
        dialog.answer().await
    }

    /// The dialog, to be presented.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> ConfirmDelete {
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        let dialog: ConfirmDelete = glib::Object::new();
        dialog.set_modal(true);
        dialog.set_resizable(false);
        dialog.set_destroy_with_parent(true);
        let name = paths.first().map_or_else(String::new, |path| messages::name(path));
        let subject = Subject { kind: OperationKind::Delete, count: paths.len() as u64, name: &name, target: None };
        dialog.fill(&messages::confirm_delete(&subject));
        dialog.count(paths);
        dialog
    }

    /// Waits until somebody has decided, and takes the dialog away then.
    pub async fn answer(&self) -> bool {
        let dialog = self.clone();
        let answer = std::future::poll_fn(|context| match dialog.imp().answer.get() {
            Some(answer) => Poll::Ready(answer),
            None => {
                *dialog.imp().waiting.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
        self.destroy();
        answer
    }

    fn fill(&self, question: &str) {
        let content = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(12).build();
        for margin in ["margin-top", "margin-bottom", "margin-start", "margin-end"] {
            content.set_property(margin, 18);
        }
        self.set_title(Some(question));
        let heading = gtk::Label::builder().label(question).xalign(0.0).wrap(true).max_width_chars(44).build();
        heading.add_css_class("heading");
        let facts = &self.imp().facts;
        facts.set_label(&messages::cannot_be_undone());
        facts.set_xalign(0.0);
        facts.add_css_class("fileops-numbers");
        let buttons = gtk::Box::builder().spacing(6).homogeneous(true).margin_top(6).build();
        let cancel = gtk::Button::with_mnemonic(&messages::cancel_button());
        let delete = gtk::Button::with_mnemonic(&messages::delete_button());
        delete.add_css_class("destructive-action");
        [&cancel, &delete].into_iter().for_each(|button| {
            a11y::name_by_content(button);
            buttons.append(button);
        });
        content.append(&heading);
        content.append(facts);
        content.append(&buttons);
        self.set_child(Some(&content));
        self.set_default_widget(Some(&cancel));
        guard::guard(self, &[&cancel, &delete], &cancel);
        guard::close_on_escape(self);
        guard::on_click(self, &cancel, |dialog| dialog.close());
        guard::on_click(self, &delete, |dialog| {
            dialog.imp().decide(true);
            dialog.close();
        });
    }

    /// Says how much it is, as soon as that is known.
    fn count(&self, paths: Vec<PathBuf>) {
        let dialog = self.downgrade();
        glib::spawn_future_local(async move {
            let report = fileops::measure(paths).await;
            if let Some(dialog) = dialog.upgrade() {
                dialog.imp().facts.set_label(&messages::cannot_be_undone_of(report.files, report.bytes));
            }
        });
    }
}
