//! What was done, for a few seconds at the bottom of a window, with a way back.

use crate::manager::OperationManager;
use crate::operation::{Operation, OperationState};
use crate::{a11y, messages};
use gtk::glib;
use gtk::glib::Properties;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::{Cell, OnceCell, RefCell};
use std::time::{Duration, Instant};

/// Long enough to read, think and reach for the button.
const STAYS_FOR: Duration = Duration::from_secs(10);

/// The time that is left, which stands still while somebody is at the toast.
#[derive(Clone, Copy, Debug)]
struct Clock {
    left: Duration,
    running_since: Option<Instant>,
}

impl Clock {
    fn new(now: Instant) -> Clock {
        Clock { left: STAYS_FOR, running_since: Some(now) }
    }

    fn hold(&mut self, now: Instant) {
        self.left = self.left(now);
        self.running_since = None;
    }

    fn go_on(&mut self, now: Instant) {
        self.running_since.get_or_insert(now);
    }

    fn left(&self, now: Instant) -> Duration {
        self.left.saturating_sub(self.running_since.map_or(Duration::ZERO, |since| now.duration_since(since)))
    }
}

mod imp {
    use super::*;

    #[derive(Default, Properties)]
    #[properties(wrapper_type = super::ToastHost)]
    pub struct ToastHost {
        /// Whose operations are told about.
        #[property(get, construct_only)]
        manager: OnceCell<OperationManager>,
        /// What is below the toasts.
        #[property(get, set = Self::set_child, nullable)]
        child: RefCell<Option<gtk::Widget>>,
        overlay: gtk::Overlay,
        revealer: gtk::Revealer,
        text: gtk::Label,
        undo: gtk::Button,
        operation: RefCell<Option<Operation>>,
        clock: Cell<Option<Clock>>,
        timer: RefCell<Option<glib::SourceId>>,
        is_pointed_at: Cell<bool>,
        is_focused: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ToastHost {
        const NAME: &'static str = "FileopsToastHost";
        type Type = super::ToastHost;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_layout_manager_type::<gtk::BinLayout>();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for ToastHost {
        fn constructed(&self) {
            self.parent_constructed();
            self.build();
            let Some(manager) = self.manager.get() else { return };
            let host = self.obj().downgrade();
            manager.connect_finished(move |_, operation| {
                if let Some(host) = host.upgrade() {
                    host.imp().finished(operation);
                }
            });
        }

        fn dispose(&self) {
            if let Some(timer) = self.timer.take() {
                timer.remove();
            }
            self.overlay.unparent();
        }
    }

    impl WidgetImpl for ToastHost {}

    impl ToastHost {
        fn build(&self) {
            let toast = gtk::Box::builder().spacing(12).build();
            toast.add_css_class("fileops-toast");
            self.text.set_margin_start(9);
            self.text.set_ellipsize(gtk::pango::EllipsizeMode::Middle);
            self.undo.set_label(&messages::undo_button());
            self.undo.set_use_underline(true);
            a11y::name_by_content(&self.undo);
            let close = gtk::Button::from_icon_name("window-close-symbolic");
            close.add_css_class("flat");
            close.set_tooltip_text(Some(&messages::close()));
            a11y::set_label(&close, &messages::close());
            toast.append(&self.text);
            toast.append(&self.undo);
            toast.append(&close);
            self.revealer.set_child(Some(&toast));
            self.revealer.set_halign(gtk::Align::Center);
            self.revealer.set_valign(gtk::Align::End);
            self.revealer.set_transition_type(gtk::RevealerTransitionType::SlideUp);
            self.revealer.set_visible(false);
            self.overlay.add_overlay(&self.revealer);
            self.overlay.set_parent(&*self.obj());

            let host = self.obj().downgrade();
            self.undo.connect_clicked(move |_| {
                if let Some(host) = host.upgrade() {
                    host.imp().operation.borrow().iter().for_each(|operation| drop(operation.undo()));
                    host.imp().hide();
                }
            });
            let host = self.obj().downgrade();
            close.connect_clicked(move |_| host.upgrade().into_iter().for_each(|host| host.imp().hide()));
            let host = self.obj().downgrade();
            let at_it = move |change: &dyn Fn(&ToastHost)| {
                if let Some(host) = host.upgrade() {
                    change(host.imp());
                    host.imp().hold_or_go_on();
                }
            };
            let pointer = gtk::EventControllerMotion::new();
            let focus = gtk::EventControllerFocus::new();
            let (a, b, c, d) = (at_it.clone(), at_it.clone(), at_it.clone(), at_it);
            pointer.connect_enter(move |_, _, _| a(&|host| host.is_pointed_at.set(true)));
            pointer.connect_leave(move |_| b(&|host| host.is_pointed_at.set(false)));
            focus.connect_enter(move |_| c(&|host| host.is_focused.set(true)));
            focus.connect_leave(move |_| d(&|host| host.is_focused.set(false)));
            toast.add_controller(pointer);
            toast.add_controller(focus);
        }

        fn set_child(&self, child: Option<gtk::Widget>) {
            self.overlay.set_child(child.as_ref());
            *self.child.borrow_mut() = child;
        }

        /// Only what can be taken back is worth a word: what was done can be seen.
        fn finished(&self, operation: &Operation) {
            if operation.can_undo() && operation.state() != OperationState::Cancelled {
                self.text.set_label(&operation.title());
                *self.operation.borrow_mut() = Some(operation.clone());
                self.revealer.set_visible(true);
                self.revealer.set_reveal_child(true);
                self.clock.set(Some(Clock::new(Instant::now())));
                self.hold_or_go_on();
            }
        }

        fn hide(&self) {
            self.revealer.set_reveal_child(false);
            self.revealer.set_visible(false);
            self.clock.set(None);
            self.operation.take();
            self.is_pointed_at.set(false);
            self.is_focused.set(false);
            if let Some(timer) = self.timer.take() {
                timer.remove();
            }
        }

        fn hold_or_go_on(&self) {
            let Some(mut clock) = self.clock.get() else { return };
            let now = Instant::now();
            if let Some(timer) = self.timer.take() {
                timer.remove();
            }
            if self.is_pointed_at.get() || self.is_focused.get() {
                clock.hold(now);
            } else {
                clock.go_on(now);
                let host = self.obj().downgrade();
                let timer = glib::timeout_add_local_once(clock.left(now), move || {
                    if let Some(host) = host.upgrade() {
                        // It has fired.
                        host.imp().timer.take();
                        host.imp().hide();
                    }
                });
                *self.timer.borrow_mut() = Some(timer);
            }
            self.clock.set(Some(clock));
        }
    }
}

widget! {
    /// A place above the content of a window, for what was done and can be taken back: "Moved 3 items to the trash", with an
    /// Undo, for 10 s. The time stands still while the pointer or the focus is there.
    ToastHost
}

impl ToastHost {
    /// Tells what the operations of this manager did, above `child`.
    pub fn new(manager: &OperationManager, child: &impl IsA<gtk::Widget>) -> ToastHost {
        glib::Object::builder().property("manager", manager).property("child", child.as_ref()).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_toast_stands_still_while_it_is_held() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut clock = Clock::new(start);
        assert_eq!(clock.left(after(4)), Duration::from_secs(6));
        clock.hold(after(4));
        assert_eq!(clock.left(after(60)), Duration::from_secs(6));
        clock.go_on(after(60));
        clock.go_on(after(61));
        assert_eq!(clock.left(after(62)), Duration::from_secs(4));
        assert_eq!(clock.left(after(90)), Duration::ZERO);
    }
}
