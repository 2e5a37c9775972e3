//! The banner of an operation that paused since its target is full.

use crate::operation::Operation;
use crate::{a11y, messages};
use gtk::glib;
use gtk::glib::Properties;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::{OnceCell, RefCell};

mod imp {
    use super::*;

    #[derive(Default, Properties)]
    #[properties(wrapper_type = super::DiskFull)]
    pub struct DiskFull {
        /// The operation that waits for room.
        #[property(get, construct_only)]
        operation: OnceCell<Operation>,
        text: gtk::Label,
        content: gtk::Box,
        following: RefCell<Option<glib::SignalHandlerId>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DiskFull {
        const NAME: &'static str = "FileopsDiskFull";
        type Type = super::DiskFull;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_layout_manager_type::<gtk::BinLayout>();
            class.set_accessible_role(gtk::AccessibleRole::Group);
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for DiskFull {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(operation) = self.operation.get() else { return };
            self.content.add_css_class("fileops-banner");
            self.content.set_spacing(12);
            self.text.set_xalign(0.0);
            self.text.set_hexpand(true);
            self.text.set_wrap(true);
            self.text.set_max_width_chars(48);
            let retry = gtk::Button::with_mnemonic(&messages::answer(&fileops::Resolution::Retry).unwrap_or_default());
            a11y::name_by_content(&retry);
            retry.set_valign(gtk::Align::Center);
            self.content.append(&self.text);
            self.content.append(&retry);
            self.content.set_parent(&*self.obj());
            let waiting = operation.downgrade();
            retry.connect_clicked(move |_| waiting.upgrade().iter().for_each(Operation::resume));
            let banner = self.obj().downgrade();
            let following = operation.connect_is_full_notify(move |_| {
                if let Some(banner) = banner.upgrade() {
                    banner.imp().update();
                }
            });
            *self.following.borrow_mut() = Some(following);
            self.update();
        }

        fn dispose(&self) {
            if let (Some(operation), Some(following)) = (self.operation.get(), self.following.take()) {
                operation.disconnect(following);
            }
            self.content.unparent();
        }
    }

    impl WidgetImpl for DiskFull {}

    impl DiskFull {
        fn update(&self) {
            let shortage = self.operation.get().filter(|operation| operation.is_full()).and_then(Operation::shortage);
            self.obj().set_visible(shortage.is_some());
            if let Some(shortage) = shortage {
                let text = messages::full(&messages::name(&shortage.path), shortage.needed, shortage.free);
                self.text.set_label(&text);
                a11y::set_label(&*self.obj(), &text);
            }
        }
    }
}

widget! {
    /// Says that an operation waits since its target is full, how much is missing, and tries again when asked. Not there
    /// while there is room.
    DiskFull
}

impl DiskFull {
    /// Watches this operation.
    pub fn new(operation: &Operation) -> DiskFull {
        glib::Object::builder().property("operation", operation).build()
    }
}
