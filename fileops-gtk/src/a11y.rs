//! What widgets tell to those who hear instead of seeing.
//!
//! gtk4-rs 0.11 hides `gtk::Accessible` and the C functions behind it below its feature `v4_10`, since the interface became
//! public in GTK 4.10. The symbols are in the library since 4.0 with the same signatures, so they are called by name here,
//! whatever the features.
#![allow(unsafe_code)]

use gtk::glib::{self, translate::IntoGlib};
use gtk::prelude::*;
use std::ffi::{c_int, c_void};

unsafe extern "C" {
    fn gtk_accessible_update_property_value(
        accessible: *mut c_void,
        count: c_int,
        properties: *mut c_int,
        values: *const glib::gobject_ffi::GValue,
    );
    fn gtk_accessible_update_state_value(
        accessible: *mut c_void,
        count: c_int,
        states: *mut c_int,
        values: *const glib::gobject_ffi::GValue,
    );
    fn gtk_accessible_reset_relation(accessible: *mut c_void, relation: c_int);
    fn gtk_accessible_reset_property(accessible: *mut c_void, property: c_int);
}

/// What the widget is called.
pub(crate) fn set_label(widget: &impl IsA<gtk::Widget>, label: &str) {
    set_property(widget, gtk::AccessibleProperty::Label, &label.to_value());
}

/// What a button with a text is called that says more than this text; GTK 4.8 would read both.
pub(crate) fn set_label_instead_of_text(button: &gtk::Button, label: &str) {
    // SAFETY: the button is alive and implements GtkAccessible.
    unsafe {
        gtk_accessible_reset_relation(pointer(button), gtk::AccessibleRelation::LabelledBy.into_glib());
    }
    set_label(button, label);
}

/// What a widget is called that has its focus in a button of its own, as drop-downs and menu buttons have.
pub(crate) fn set_label_of_button(widget: &impl IsA<gtk::Widget>, label: &str) {
    set_label(widget, label);
    widget.as_ref().first_child().iter().for_each(|button| set_label(button, label));
}

/// What is said instead of a number.
pub(crate) fn set_value_text(widget: &impl IsA<gtk::Widget>, text: &str) {
    set_property(widget, gtk::AccessibleProperty::ValueText, &text.to_value());
}

/// Whether what was typed cannot be taken.
pub(crate) fn set_invalid(widget: &impl IsA<gtk::Widget>, is_invalid: bool) {
    let invalid =
        if is_invalid { gtk::AccessibleInvalidState::True } else { gtk::AccessibleInvalidState::False }.into_glib();
    let (mut states, values) = ([gtk::AccessibleState::Invalid.into_glib()], [invalid.to_value()]);
    // SAFETY: the widget is alive and implements GtkAccessible, as every GtkWidget does; both arrays have one element and
    // outlive the call, which copies what it keeps; the value has the state's type, an int (gtk_accessible_value_get_for_state).
    unsafe { gtk_accessible_update_state_value(pointer(widget), 1, states.as_mut_ptr(), values.as_ptr().cast()) }
}

/// GTK 4.8 calls a button with a mnemonic "_Skip Skip": the label as it was written and what is in the button. Without the
/// former the latter is the name. Newer ones do so by themselves.
pub(crate) fn name_by_content(widget: &impl IsA<gtk::Widget>) {
    // SAFETY: the widget is alive and implements GtkAccessible.
    unsafe { gtk_accessible_reset_property(pointer(widget), gtk::AccessibleProperty::Label.into_glib()) }
}

fn set_property(widget: &impl IsA<gtk::Widget>, property: gtk::AccessibleProperty, value: &glib::Value) {
    let (mut properties, values) = ([property.into_glib()], [value.clone()]);
    // SAFETY: the widget is alive and implements GtkAccessible, as every GtkWidget does; both arrays have one element and
    // outlive the call, which copies what it keeps; `glib::Value` is a GValue in memory, and has the property's type: a
    // string (gtk_accessible_value_get_for_property).
    unsafe { gtk_accessible_update_property_value(pointer(widget), 1, properties.as_mut_ptr(), values.as_ptr().cast()) }
}

fn pointer(widget: &impl IsA<gtk::Widget>) -> *mut c_void {
    widget.upcast_ref::<gtk::Widget>().as_ptr().cast()
}
