//! One operation in a list: compact, or with its speed and place in the queue.

use super::SpeedGraph;
use crate::operation::{Operation, OperationState};
use crate::questions::{self, DiskFull};
use crate::{a11y, messages};
use gtk::glib;
use gtk::glib::Properties;
use gtk::glib::subclass::InitializingObject;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::{Cell, OnceCell, RefCell};

mod imp {
    use super::*;

    #[derive(Default, Properties, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/fileops/gtk/widgets/operation_row.ui")]
    #[properties(wrapper_type = super::OperationRow)]
    pub struct OperationRow {
        /// What is shown.
        #[property(get, construct_only)]
        operation: OnceCell<Operation>,
        /// Whether its speed, its current item and its place in the queue are shown too.
        #[property(get, set = Self::set_expanded)]
        expanded: Cell<bool>,
        following: RefCell<Option<glib::SignalHandlerId>>,

        #[template_child]
        content: TemplateChild<gtk::Box>,
        #[template_child]
        title: TemplateChild<gtk::Label>,
        #[template_child]
        subtitle: TemplateChild<gtk::Label>,
        #[template_child]
        time_left: TemplateChild<gtk::Label>,
        #[template_child]
        bar: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        pause: TemplateChild<gtk::Button>,
        #[template_child]
        cancel: TemplateChild<gtk::Button>,
        #[template_child]
        undo: TemplateChild<gtk::Button>,
        #[template_child]
        dismiss: TemplateChild<gtk::Button>,
        #[template_child]
        more: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        answer: TemplateChild<gtk::Button>,
        #[template_child]
        details: TemplateChild<gtk::Revealer>,
        #[template_child]
        graph: TemplateChild<SpeedGraph>,
        #[template_child]
        rate: TemplateChild<gtk::Label>,
        #[template_child]
        current_item: TemplateChild<gtk::Label>,
        #[template_child]
        queue: TemplateChild<gtk::Box>,
        #[template_child]
        start_now: TemplateChild<gtk::Button>,
        #[template_child]
        to_front: TemplateChild<gtk::Button>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for OperationRow {
        const NAME: &'static str = "FileopsOperationRow";
        type Type = super::OperationRow;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            SpeedGraph::ensure_type();
            class.bind_template();
            class.set_accessible_role(gtk::AccessibleRole::Group);
        }

        fn instance_init(object: &InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for OperationRow {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(operation) = self.operation.get() else { return };
            if let Some(manager) = operation.manager() {
                manager.watch(&*self.obj());
            }
            for button in [&self.start_now, &self.to_front, &self.answer] {
                a11y::name_by_content(&**button);
            }
            self.on_click(&self.pause, |_, operation| operation.toggle_pause());
            self.on_click(&self.cancel, |_, operation| operation.cancel());
            self.on_click(&self.undo, |_, operation| drop(operation.undo()));
            self.on_click(&self.start_now, |_, operation| operation.start_now());
            self.on_click(&self.to_front, |_, operation| operation.move_to_front());
            self.on_click(&self.answer, |row, operation| {
                let window = row.root().and_downcast::<gtk::Window>();
                questions::present(operation, window.as_ref());
            });
            self.on_click(&self.dismiss, |_, operation| {
                if let Some(manager) = operation.manager() {
                    manager.dismiss(operation);
                }
            });
            self.more.bind_property("active", &*self.obj(), "expanded").bidirectional().sync_create().build();

            self.content.append(&DiskFull::new(operation));
            let row = self.obj().downgrade();
            let following = operation.connect_notify_local(None, move |_, _| {
                if let Some(row) = row.upgrade() {
                    row.imp().update();
                }
            });
            *self.following.borrow_mut() = Some(following);
            self.set_expanded(false);
        }

        fn dispose(&self) {
            if let (Some(operation), Some(following)) = (self.operation.get(), self.following.take()) {
                operation.disconnect(following);
            }
            self.content.unparent();
        }
    }

    impl WidgetImpl for OperationRow {}

    impl OperationRow {
        fn on_click(&self, button: &gtk::Button, f: impl Fn(&super::OperationRow, &Operation) + 'static) {
            let row = self.obj().downgrade();
            button.connect_clicked(move |_| {
                if let Some(row) = row.upgrade() {
                    f(&row, &row.operation());
                }
            });
        }

        fn set_expanded(&self, expanded: bool) {
            self.expanded.set(expanded);
            self.details.set_reveal_child(expanded);
            // What is not revealed must not be found with the keyboard.
            self.details.set_visible(expanded);
            self.more.set_icon_name(if expanded { "pan-up-symbolic" } else { "pan-down-symbolic" });
            let name = if expanded { messages::hide_details() } else { messages::show_details() };
            self.more.set_tooltip_text(Some(&name));
            self.update();
        }

        fn update(&self) {
            let Some(operation) = self.operation.get() else { return };
            let state = operation.state();
            let (title, subtitle, time_left) = (operation.title(), operation.subtitle(), operation.time_left_text());
            self.title.set_label(&title);
            self.title.set_tooltip_text(Some(&title));
            self.subtitle.set_label(&subtitle);
            self.time_left.set_label(&time_left);
            self.time_left.set_visible(!time_left.is_empty());
            set_class(&*self.subtitle, "fileops-error", state == OperationState::Incomplete);
            set_class(&*self.subtitle, "fileops-attention", state == OperationState::Asking || operation.is_full());

            self.pause.set_visible(operation.can_pause());
            let (icon, name) = match state == OperationState::Paused {
                true => ("media-playback-start-symbolic", messages::resume()),
                false => ("media-playback-pause-symbolic", messages::pause()),
            };
            self.pause.set_icon_name(icon);
            self.pause.set_tooltip_text(Some(&name));
            self.cancel.set_visible(!state.is_over());
            self.cancel.set_sensitive(state != OperationState::Cancelling);
            self.undo.set_visible(operation.can_undo());
            self.dismiss.set_visible(state.is_over());
            self.more.set_visible(!state.is_over());
            self.answer.set_visible(operation.n_questions() > 0);
            self.name_buttons(&title);

            self.bar.set_visible(!state.is_over());
            self.show_fraction(operation, &title);
            if self.expanded.get() {
                self.rate.set_label(&messages::speed(operation.rate()));
                self.current_item.set_label(&operation.current_item());
                self.queue.set_visible(state == OperationState::Waiting);
            }
            self.graph.follow(operation);
            a11y::set_label(&*self.obj(), &title);
            if state.is_over() {
                self.details.set_visible(false);
            }
        }

        /// Several rows have the same buttons: each says which operation it is about.
        fn name_buttons(&self, title: &str) {
            let paused = self.operation.get().is_some_and(|operation| operation.state() == OperationState::Paused);
            let pause = if paused { messages::resume() } else { messages::pause() };
            let more = if self.expanded.get() { messages::hide_details() } else { messages::show_details() };
            a11y::set_label(&*self.pause, &messages::about(&pause, title));
            a11y::set_label(&*self.cancel, &messages::about(&messages::cancel(), title));
            a11y::set_label(&*self.undo, &messages::about(&messages::undo(), title));
            a11y::set_label(&*self.dismiss, &messages::about(&messages::dismiss(), title));
            a11y::set_label(&*self.more, &messages::about(&more, title));
        }

        fn show_fraction(&self, operation: &Operation, title: &str) {
            let fraction = operation.fraction();
            if fraction >= 0.0 {
                self.bar.set_fraction(fraction);
            } else if operation.state() == OperationState::Running && self.obj().settings().is_gtk_enable_animations() {
                self.bar.pulse();
            } else {
                self.bar.set_fraction(0.0);
            }
            a11y::set_label(&*self.bar, title);
            let spoken = match fraction >= 0.0 {
                true => messages::spoken_progress(fraction, &operation.time_left_text()),
                false => operation.subtitle(),
            };
            a11y::set_value_text(&*self.bar, &spoken);
        }
    }
}

pub(crate) fn set_class(widget: &impl IsA<gtk::Widget>, class: &str, is_set: bool) {
    if is_set { widget.add_css_class(class) } else { widget.remove_css_class(class) }
}

widget! {
    /// One operation in a list: its title, how far it is, and what can be done about it. `expanded` adds its speed, what it
    /// works on, and its place in the queue.
    OperationRow
}

impl OperationRow {
    /// Shows this operation.
    pub fn new(operation: &Operation) -> OperationRow {
        glib::Object::builder().property("operation", operation).build()
    }
}
