//! What keeps a dialog from being answered by a key or click that was meant for the window below it.

use gtk::prelude::*;
use gtk::{gdk, glib};
use std::time::Duration;

/// Nobody reads and decides faster than this.
const INERT_FOR: Duration = Duration::from_millis(500);

/// The buttons do nothing for half a second each time the window appears; then the one that `focus` names has the focus.
pub(super) fn guard(window: &impl IsA<gtk::Widget>, buttons: &[&gtk::Button], focus: &impl IsA<gtk::Widget>) {
    let buttons: Vec<_> = buttons.iter().map(|button| button.downgrade()).collect();
    let focus = focus.upcast_ref::<gtk::Widget>().downgrade();
    window.connect_map(move |_| {
        buttons.iter().filter_map(glib::WeakRef::upgrade).for_each(|button| button.add_css_class(INERT));
        let (buttons, focus) = (buttons.clone(), focus.clone());
        glib::timeout_add_local_once(INERT_FOR, move || {
            buttons.iter().filter_map(glib::WeakRef::upgrade).for_each(|button| button.remove_css_class(INERT));
            if let Some(focus) = focus.upgrade()
                && focus.root().is_some_and(|root| root.focus().is_none())
            {
                focus.grab_focus();
            }
        });
    });
}

/// The class of a button that is inert, whatever else makes it insensitive: an insensitive one would lose the focus.
const INERT: &str = "fileops-inert";

/// Whether a click on a button counts.
fn counts(button: &gtk::Button) -> bool {
    !button.has_css_class(INERT)
}

/// Hears of clicks that count.
pub(super) fn on_click<W: IsA<gtk::Widget>>(widget: &W, button: &gtk::Button, f: impl Fn(&W) + 'static) {
    let widget = widget.downgrade();
    button.connect_clicked(move |button| {
        if let Some(widget) = widget.upgrade().filter(|_| counts(button)) {
            f(&widget);
        }
    });
}

/// Escape closes the window: whatever it asks stays to be decided later.
pub(super) fn close_on_escape(window: &impl IsA<gtk::Window>) {
    let keys = gtk::EventControllerKey::new();
    let closed = window.upcast_ref::<gtk::Window>();
    let (window, closed) = (closed, closed.downgrade());
    keys.connect_key_pressed(move |_, key, _, _| {
        if key != gdk::Key::Escape {
            return glib::Propagation::Proceed;
        }
        if let Some(window) = closed.upgrade() {
            window.close();
        }
        glib::Propagation::Stop
    });
    window.add_controller(keys);
}
