//! One conflict: both sides, whether they are the same, and a name for the new one.

use super::guard;
use crate::operation::{self, Question};
use crate::widgets::set_class;
use crate::{a11y, messages};
use fileops::{EntryKind, Party, Resolution, Scope};
use gtk::glib::Properties;
use gtk::glib::subclass::InitializingObject;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib};
use std::cell::OnceCell;
use std::path::Path;

mod imp {
    use super::*;

    #[derive(Default, Properties, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/fileops/gtk/questions/conflict_dialog.ui")]
    #[properties(wrapper_type = super::ConflictDialog)]
    pub struct ConflictDialog {
        /// The conflict that is asked about.
        #[property(get, construct_only)]
        question: OnceCell<Question>,

        #[template_child]
        heading: TemplateChild<gtk::Label>,
        #[template_child]
        new_icon: TemplateChild<gtk::Image>,
        #[template_child]
        new_facts: TemplateChild<gtk::Label>,
        #[template_child]
        old_icon: TemplateChild<gtk::Image>,
        #[template_child]
        old_facts: TemplateChild<gtk::Label>,
        #[template_child]
        sameness: TemplateChild<gtk::Label>,
        #[template_child]
        hint: TemplateChild<gtk::Label>,
        #[template_child]
        name: TemplateChild<gtk::Entry>,
        #[template_child]
        skip: TemplateChild<gtk::Button>,
        #[template_child]
        replace: TemplateChild<gtk::Button>,
        #[template_child]
        merge: TemplateChild<gtk::Button>,
        #[template_child]
        keep: TemplateChild<gtk::Button>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ConflictDialog {
        const NAME: &'static str = "FileopsConflictDialog";
        type Type = super::ConflictDialog;
        type ParentType = gtk::Window;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for ConflictDialog {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(question) = self.question.get() else { return };
            self.show(question);
            let buttons = [&*self.skip, &*self.replace, &*self.merge, &*self.keep];
            buttons.iter().for_each(|button| a11y::name_by_content(*button));
            guard::guard(&*self.obj(), &buttons, &*self.name);
            guard::close_on_escape(&*self.obj());
            let dialog = self.obj();
            guard::on_click(&*dialog, &self.skip, |dialog| dialog.imp().answer(Resolution::Skip));
            guard::on_click(&*dialog, &self.replace, |dialog| dialog.imp().answer(Resolution::Replace));
            guard::on_click(&*dialog, &self.merge, |dialog| dialog.imp().answer(Resolution::Merge));
            guard::on_click(&*dialog, &self.keep, |dialog| {
                let resolution = dialog.imp().keeping();
                dialog.imp().answer(resolution);
            });
            let weak = dialog.downgrade();
            self.name.connect_changed(move |_| {
                if let Some(dialog) = weak.upgrade() {
                    dialog.imp().check_name();
                }
            });
            self.close_when_answered(question);
        }
    }

    impl WidgetImpl for ConflictDialog {
        fn map(&self) {
            self.parent_map();
            // Last, as the window gives its focus to the first entry, and an entry that gets it selects everything.
            let stem = fileops::stem(&*self.name.text());
            let characters = self.name.text().get(..stem).map_or(0, |stem| stem.chars().count());
            self.name.grab_focus();
            self.name.select_region(0, characters as i32);
        }
    }

    impl WindowImpl for ConflictDialog {}

    impl ConflictDialog {
        fn show(&self, question: &Question) {
            let Some(conflict) = question.conflict() else { return };
            let (new, old) = (&conflict.source, &conflict.target);
            let directory = old.path.parent().map_or_else(String::new, messages::name);
            self.heading.set_label(&messages::exists(&messages::name(&old.path), &directory));
            self.new_facts.set_label(&messages::new_side(&facts(new, old)));
            self.old_facts.set_label(&messages::old_side(&facts(old, new)));
            self.new_icon.set_from_gicon(&icon(new));
            self.old_icon.set_from_gicon(&icon(old));
            self.hint.set_label(&messages::conflict_hint(question.kind()));
            self.name.set_text(&name(&new.path));
            // The label beside it names it; a description would be read twice.
            let allows = |resolution: &Resolution| question.asked().allows(resolution).is_ok();
            self.replace.set_visible(allows(&Resolution::Replace));
            self.merge.set_visible(allows(&Resolution::Merge));
            self.follow_sameness(question);
            if question.may_be_same() {
                let question = question.clone();
                glib::spawn_future_local(async move { question.compare().await });
            }
        }

        fn follow_sameness(&self, question: &Question) {
            let dialog = self.obj().downgrade();
            let update = move |question: &Question| {
                if let Some(dialog) = dialog.upgrade() {
                    let text = messages::sameness(question.sameness());
                    dialog.imp().sameness.set_visible(!text.is_empty());
                    dialog.imp().sameness.set_label(&text);
                }
            };
            update(question);
            question.connect_sameness_notify(update);
        }

        /// The name that was typed; with none, one with a number.
        fn keeping(&self) -> Resolution {
            let typed = self.name.text();
            let own = self
                .question
                .get()
                .and_then(|question| question.conflict())
                .map(|conflict| name(&conflict.source.path));
            if own.as_deref() == Some(&*typed) {
                Resolution::KeepBoth
            } else {
                Resolution::Rename(typed.as_str().into())
            }
        }

        fn check_name(&self) {
            let Some(question) = self.question.get() else { return };
            let fits = question.asked().allows(&self.keeping()).is_ok();
            self.keep.set_sensitive(fits);
            set_class(&*self.name, "error", !fits);
            a11y::set_invalid(&*self.name, !fits);
        }

        fn answer(&self, resolution: Resolution) {
            let Some(question) = self.question.get() else { return };
            // What is not taken stays to be asked; what is not open any more was answered elsewhere.
            if matches!(question.answer(resolution, Scope::This), Ok(()) | Err(fileops::Unfit::NotOpen)) {
                self.obj().close();
            }
        }

        /// Somebody else may answer, or the operation may end.
        fn close_when_answered(&self, question: &Question) {
            let Some(operation) = question.operation() else { return };
            let (dialog, question) = (self.obj().downgrade(), question.clone());
            operation.questions().connect_items_changed(move |open, _, _, _| {
                let is_open = operation::all_in(open).contains(&question);
                if let Some(dialog) = dialog.upgrade().filter(|_| !is_open) {
                    dialog.close();
                }
            });
        }
    }
}

/// As it is to be typed, if it can be typed.
fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

pub(super) fn facts(this: &Party, other: &Party) -> String {
    messages::facts(&messages::party(this), &messages::advantage(this, other))
}

/// By what its name says: nothing is read.
pub(super) fn icon(party: &Party) -> gio::Icon {
    match party.kind {
        EntryKind::Directory => gio::ThemedIcon::new("folder").upcast(),
        EntryKind::Symlink => gio::ThemedIcon::new("emblem-symbolic-link").upcast(),
        _ => {
            let (kind, _) = gio::content_type_guess(Some(&party.path), None::<&[u8]>);
            gio::content_type_get_icon(&kind)
        }
    }
}

window! {
    /// Asks about one conflict. The name in the field is for the new one, with all but its ending selected; Enter keeps both.
    /// Escape decides nothing: the question stays open.
    ConflictDialog
}

impl ConflictDialog {
    /// Asks this question, which is a conflict.
    pub fn new(question: &Question) -> ConflictDialog {
        glib::Object::builder().property("question", question).build()
    }
}
