//! The widgets, shown and used. This program starts itself again below `scripts/with-display`, so that it needs nobody's
//! display; all tests run one after the other on GTK's thread.

mod harness;
mod operations;

/// Each function with its name, as a test.
macro_rules! tests {
    ($($module:ident { $($name:ident,)* })*) => {
        vec![$($(harness::test(concat!(stringify!($module), "::", stringify!($name)), $module::$name),)*)*]
    };
}

fn main() {
    harness::run(tests! {
        harness {
            a_window_is_shown_and_becomes_active,
        }
        operations {
            a_copy_is_told_from_its_start_to_its_undo,
            the_outcome_is_a_future_of_the_report,
            questions_are_a_list_and_answers_leave_it,
            a_thousand_conflicts_are_answered_at_once,
            a_copy_is_paused_resumed_and_cancelled,
            those_that_wait_are_listed_in_their_order_and_reordered,
            figures_follow_ten_times_a_second_only_while_a_widget_shows_them,
            failures_are_asked_and_the_rest_is_done,
            the_end_is_told_once_after_all_properties,
        }
    });
}
