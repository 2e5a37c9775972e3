//! The widgets that show operations.

mod operation_row;
mod operations_button;
mod progress_pie;
mod progress_window;
mod speed_graph;

pub use operation_row::OperationRow;
pub use operations_button::OperationsButton;
pub use progress_pie::ProgressPie;
pub use progress_window::ProgressWindow;
pub use speed_graph::SpeedGraph;

pub(crate) use operation_row::set_class;

use crate::a11y;
use gtk::gdk;
use gtk::prelude::*;

/// Names a drop-down and each of its items, which GTK 4.8 would call by their types.
pub(crate) fn name_drop_down(drop_down: &gtk::DropDown, name: &str) {
    a11y::set_label_of_button(drop_down, name);
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, item| {
        if let Some(item) = item.downcast_ref::<gtk::ListItem>() {
            item.set_child(Some(&gtk::Label::builder().xalign(0.0).build()));
        }
    });
    factory.connect_bind(|_, item| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else { return };
        let text = item.item().and_downcast::<gtk::StringObject>().map(|item| item.string()).unwrap_or_default();
        if let Some(label) = item.child().and_downcast::<gtk::Label>() {
            label.set_label(&text);
            label.parent().iter().for_each(|row| a11y::set_label(row, &text));
        }
    });
    drop_down.set_factory(Some(&factory));
}

/// The colour of the text around a widget, which every theme makes readable.
fn foreground(widget: &impl IsA<gtk::Widget>) -> gdk::RGBA {
    // What replaces it came with GTK 4.10.
    #[allow(deprecated)]
    widget.as_ref().style_context().color()
}

/// A colour that the theme names, or else that of the text.
fn themed(widget: &impl IsA<gtk::Widget>, name: &str) -> gdk::RGBA {
    #[allow(deprecated)]
    let color = widget.as_ref().style_context().lookup_color(name);
    color.unwrap_or_else(|| foreground(widget))
}

fn set_source(cairo: &gtk::cairo::Context, color: &gdk::RGBA, alpha: f64) {
    let part = f64::from;
    cairo.set_source_rgba(part(color.red()), part(color.green()), part(color.blue()), part(color.alpha()) * alpha);
}
