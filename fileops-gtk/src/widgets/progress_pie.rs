//! A small circle that fills: how far everything is, for a header bar.

use super::{foreground, set_source, themed};
use crate::{a11y, messages};
use gtk::glib::Properties;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{glib, graphene};
use std::cell::Cell;
use std::f64::consts::{FRAC_PI_2, TAU};

const SIZE: i32 = 16;

mod imp {
    use super::*;

    #[derive(Default, Properties)]
    #[properties(wrapper_type = super::ProgressPie)]
    pub struct ProgressPie {
        /// From 0 to 1; less while it is not known.
        #[property(get, set = Self::set_fraction)]
        fraction: Cell<f64>,
        /// Something waits for an answer.
        #[property(get, set = Self::set_needs_attention)]
        needs_attention: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ProgressPie {
        const NAME: &'static str = "FileopsProgressPie";
        type Type = super::ProgressPie;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("progresspie");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for ProgressPie {
        fn constructed(&self) {
            self.parent_constructed();
            self.speak();
        }
    }

    impl WidgetImpl for ProgressPie {
        fn measure(&self, _: gtk::Orientation, _: i32) -> (i32, i32, i32, i32) {
            (SIZE, SIZE, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let widget = self.obj();
            let (width, height) = (widget.width() as f32, widget.height() as f32);
            let cairo = snapshot.append_cairo(&graphene::Rect::new(0.0, 0.0, width, height));
            let (x, y) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
            let radius = x.min(y) - 1.0;
            let color = match self.needs_attention.get() {
                true => themed(&*widget, "warning_color"),
                false => foreground(&*widget),
            };
            set_source(&cairo, &color, 0.3);
            cairo.arc(x, y, radius, 0.0, TAU);
            // A surface that cannot be drawn on shows nothing, and there is nobody to tell.
            let _ = cairo.fill();
            set_source(&cairo, &color, 1.0);
            if self.fraction.get() > 0.0 {
                // Clockwise from the top, in either direction of writing: as clocks go.
                cairo.move_to(x, y);
                cairo.arc(x, y, radius, -FRAC_PI_2, -FRAC_PI_2 + TAU * self.fraction.get().min(1.0));
                let _ = cairo.fill();
            }
            if self.needs_attention.get() {
                cairo.set_line_width(1.5);
                cairo.arc(x, y, radius, 0.0, TAU);
                let _ = cairo.stroke();
            }
        }
    }

    impl ProgressPie {
        fn set_fraction(&self, fraction: f64) {
            self.fraction.set(fraction);
            self.obj().queue_draw();
            self.speak();
        }

        fn set_needs_attention(&self, needs_attention: bool) {
            self.needs_attention.set(needs_attention);
            self.obj().queue_draw();
        }

        fn speak(&self) {
            a11y::set_label(&*self.obj(), &messages::spoken_progress(self.fraction.get().max(0.0), ""));
        }
    }
}

widget! {
    /// How far something is, as a circle that fills; `fraction` from 0 to 1, `needs-attention` in the colour of warnings.
    ProgressPie
}

impl ProgressPie {
    /// An empty one.
    pub fn new() -> ProgressPie {
        glib::Object::new()
    }
}

impl Default for ProgressPie {
    fn default() -> ProgressPie {
        ProgressPie::new()
    }
}
