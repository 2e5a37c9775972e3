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
    fn gtk_accessible_reset_property(accessible: *mut c_void, property: c_int);
}

/// What the widget is called.
pub(crate) fn set_label(widget: &impl IsA<gtk::Widget>, label: &str) {
    set_property(widget, gtk::AccessibleProperty::Label, &label.to_value());
}

/// What there is to be said beyond the name.
pub(crate) fn set_description(widget: &impl IsA<gtk::Widget>, description: &str) {
    set_property(widget, gtk::AccessibleProperty::Description, &description.to_value());
}

/// What is said instead of a number.
pub(crate) fn set_value_text(widget: &impl IsA<gtk::Widget>, text: &str) {
    set_property(widget, gtk::AccessibleProperty::ValueText, &text.to_value());
}

/// Where between 0 and 1 it stands.
pub(crate) fn set_value(widget: &impl IsA<gtk::Widget>, value: f64) {
    set_property(widget, gtk::AccessibleProperty::ValueMin, &0.0.to_value());
    set_property(widget, gtk::AccessibleProperty::ValueMax, &1.0.to_value());
    set_property(widget, gtk::AccessibleProperty::ValueNow, &value.to_value());
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
    // string, or a double for the three that are numbers (gtk_accessible_value_get_for_property).
    unsafe { gtk_accessible_update_property_value(pointer(widget), 1, properties.as_mut_ptr(), values.as_ptr().cast()) }
}

fn pointer(widget: &impl IsA<gtk::Widget>) -> *mut c_void {
    widget.upcast_ref::<gtk::Widget>().as_ptr().cast()
}
