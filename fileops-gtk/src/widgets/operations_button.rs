//! A button for a header bar: a pie of how far everything is, and the list of operations in its popover.

use super::{OperationRow, ProgressPie, name_drop_down};
use crate::manager::OperationManager;
use crate::operation::Operation;
use crate::{a11y, messages};
use fileops::Schedule;
use gtk::glib;
use gtk::glib::Properties;
use gtk::glib::subclass::InitializingObject;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::OnceCell;

/// In the order of the list in the template.
const SCHEDULES: [Schedule; 3] = [Schedule::PerDevice, Schedule::Always, Schedule::OneAtATime];

mod imp {
    use super::*;

    #[derive(Default, Properties, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/fileops/gtk/widgets/operations_button.ui")]
    #[properties(wrapper_type = super::OperationsButton)]
    pub struct OperationsButton {
        /// Whose operations are shown.
        #[property(get, construct_only)]
        manager: OnceCell<OperationManager>,

        #[template_child]
        pub(super) button: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pie: TemplateChild<ProgressPie>,
        #[template_child]
        popover: TemplateChild<gtk::Popover>,
        #[template_child]
        list: TemplateChild<gtk::ListBox>,
        #[template_child]
        schedule: TemplateChild<gtk::DropDown>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for OperationsButton {
        const NAME: &'static str = "FileopsOperationsButton";
        type Type = super::OperationsButton;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            ProgressPie::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for OperationsButton {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(manager) = self.manager.get() else { return };
            manager.watch(&*self.button);
            a11y::set_label(&*self.list, &messages::operations());
            name_drop_down(&self.schedule, &messages::schedule());
            self.list.bind_model(Some(manager), |item| {
                let operation = item.downcast_ref::<Operation>().expect("the manager's items are operations");
                let row = gtk::ListBoxRow::builder().child(&OperationRow::new(operation)).activatable(false).build();
                operation.bind_property("title", &row, "tooltip-text").sync_create().build();
                a11y::set_label(&row, &operation.title());
                row.upcast()
            });
            manager.bind_property("fraction", &*self.pie, "fraction").sync_create().build();
            let button = self.obj().downgrade();
            let update = move || {
                if let Some(button) = button.upgrade() {
                    button.imp().update();
                }
            };
            manager.connect_items_changed({
                let update = update.clone();
                move |_, _, _, _| update()
            });
            manager.connect_notify_local(None, move |_, _| update());
            let button = self.obj().downgrade();
            self.popover.connect_closed(move |_| {
                if let Some(button) = button.upgrade() {
                    button.manager().dismiss_finished();
                    button.imp().update();
                }
            });
            self.follow_schedule(manager);
            self.update();
        }

        fn dispose(&self) {
            self.button.unparent();
        }
    }

    impl WidgetImpl for OperationsButton {}

    impl OperationsButton {
        fn follow_schedule(&self, manager: &OperationManager) {
            let current = SCHEDULES.iter().position(|schedule| *schedule == manager.schedule());
            self.schedule.set_selected(current.map_or(gtk::INVALID_LIST_POSITION, |at| at as u32));
            let manager = manager.downgrade();
            self.schedule.connect_selected_notify(move |list| {
                let chosen = SCHEDULES.get(list.selected() as usize).copied();
                if let (Some(manager), Some(schedule)) = (manager.upgrade(), chosen) {
                    manager.set_schedule(schedule);
                }
            });
        }

        /// There is no button where there is nothing to show, but an open list is not pulled away.
        fn update(&self) {
            let Some(manager) = self.manager.get() else { return };
            self.obj().set_visible(manager.n_items() > 0 || self.popover.is_visible());
            self.pie.set_needs_attention(manager.n_questions() > 0);
            let name = messages::operations_button(manager.n_running().into(), manager.n_questions().into());
            self.button.set_tooltip_text(Some(&name));
            a11y::set_label_of_button(&*self.button, &name);
        }
    }
}

widget! {
    /// A button with a pie of how far everything is, and the list of all operations below it. It is only there while there
    /// is something to show; what is done leaves the list when that is closed.
    OperationsButton
}

impl OperationsButton {
    /// Shows the operations of this manager.
    pub fn new(manager: &OperationManager) -> OperationsButton {
        glib::Object::builder().property("manager", manager).build()
    }

    /// Opens the list.
    pub fn popup(&self) {
        self.imp().button.popup();
    }
}
