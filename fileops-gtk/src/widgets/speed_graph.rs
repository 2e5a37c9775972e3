//! How fast an operation has been, over the last minute.

use super::{foreground, set_source, themed};
use crate::operation::{Operation, OperationState};
use crate::{a11y, messages};
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{glib, graphene};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const HEIGHT: i32 = 48;

/// What is shown of the past.
const SPAN: Duration = Duration::from_secs(60);

/// Twice as many points as pixels of a narrow one would say no more.
const APART: Duration = Duration::from_millis(250);

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct SpeedGraph {
        pub(super) rates: RefCell<VecDeque<(Instant, f64)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SpeedGraph {
        const NAME: &'static str = "FileopsSpeedGraph";
        type Type = super::SpeedGraph;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("speedgraph");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for SpeedGraph {
        fn constructed(&self) {
            self.parent_constructed();
            a11y::set_label(&*self.obj(), &messages::speed(0.0));
        }
    }

    impl WidgetImpl for SpeedGraph {
        fn measure(&self, orientation: gtk::Orientation, _: i32) -> (i32, i32, i32, i32) {
            if orientation == gtk::Orientation::Vertical {
                (HEIGHT, HEIGHT, -1, -1)
            } else {
                (HEIGHT, 4 * HEIGHT, -1, -1)
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let widget = self.obj();
            let (width, height) = (f64::from(widget.width()), f64::from(widget.height()));
            let cairo = snapshot.append_cairo(&graphene::Rect::new(0.0, 0.0, width as f32, height as f32));
            set_source(&cairo, &foreground(&*widget), 0.08);
            cairo.rectangle(0.0, 0.0, width, height);
            // A surface that cannot be drawn on shows nothing, and there is nobody to tell.
            let _ = cairo.fill();
            let points = points(&self.rates.borrow(), width, height, widget.direction() == gtk::TextDirection::Rtl);
            let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
            let color = themed(&*widget, "theme_selected_bg_color");
            cairo.move_to(first.0, height);
            points.iter().for_each(|(x, y)| cairo.line_to(*x, *y));
            cairo.line_to(last.0, height);
            set_source(&cairo, &color, 0.35);
            let _ = cairo.fill();
            points.iter().for_each(|(x, y)| cairo.line_to(*x, *y));
            set_source(&cairo, &color, 1.0);
            cairo.set_line_width(2.0);
            let _ = cairo.stroke();
        }
    }
}

/// The newest at the end of the line of writing; the fastest near the top.
fn points(rates: &VecDeque<(Instant, f64)>, width: f64, height: f64, is_rtl: bool) -> Vec<(f64, f64)> {
    let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let Some((newest, _)) = rates.back().filter(|_| most > 0.0) else { return Vec::new() };
    let point = |(at, rate): &(Instant, f64)| {
        let age = newest.duration_since(*at).as_secs_f64() / SPAN.as_secs_f64();
        let x = width * if is_rtl { age } else { 1.0 - age };
        (x, height - 1.0 - rate / most * (height - 4.0))
    };
    rates.iter().map(point).collect()
}

widget! {
    /// How fast an operation has been over the last minute, as a line.
    SpeedGraph
}

impl SpeedGraph {
    /// An empty one.
    pub fn new() -> SpeedGraph {
        glib::Object::new()
    }

    /// Takes in what the operation says of itself now.
    pub(crate) fn follow(&self, operation: &Operation) {
        if operation.state() == OperationState::Running {
            self.add(Instant::now(), operation.rate());
        }
    }

    fn add(&self, now: Instant, rate: f64) {
        let mut rates = self.imp().rates.borrow_mut();
        if rates.back().is_some_and(|(last, _)| now.duration_since(*last) < APART) {
            return;
        }
        rates.push_back((now, rate));
        while rates.front().is_some_and(|(first, _)| now.duration_since(*first) > SPAN) {
            rates.pop_front();
        }
        drop(rates);
        a11y::set_label(self, &messages::speed(rate));
        self.queue_draw();
    }
}

impl Default for SpeedGraph {
    fn default() -> SpeedGraph {
        SpeedGraph::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rate_is_at_the_end_of_the_line_of_writing() {
        let start = Instant::now();
        let rates = VecDeque::from([(start, 50.0), (start + SPAN / 2, 100.0), (start + SPAN, 0.0)]);
        assert_eq!(points(&rates, 60.0, 54.0, false), [(0.0, 28.0), (30.0, 3.0), (60.0, 53.0)]);
        assert_eq!(points(&rates, 60.0, 54.0, true)[2], (0.0, 53.0));
        assert_eq!(points(&VecDeque::from([(start, 0.0)]), 60.0, 54.0, false), []);
    }
}
