//! The widgets, shown and used. This program starts itself again below `scripts/with-display`, so that it needs nobody's
//! display; all tests run one after the other on GTK's thread.

mod asked;
mod desktop;
mod german;
mod harness;
mod operations;
mod seen;
mod shown;

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
        shown {
            a_row_follows_its_operation_and_steers_it,
            a_row_is_seen_and_heard,
            the_button_is_there_while_there_is_something_to_show,
            the_window_comes_after_a_second_and_not_for_short_work,
            a_toast_undoes,
        }
        asked {
            the_stem_is_selected_and_what_is_typed_keeps_the_ending,
            keys_meant_for_another_window_answer_nothing,
            escape_decides_later,
            enter_alone_loses_nothing,
            a_name_that_cannot_be_is_not_taken,
            a_conflict_is_seen_and_heard,
            all_questions_are_answered_on_one_page,
            all_questions_are_seen_and_heard,
            questions_show_themselves_once_above_their_window,
            deleting_is_confirmed_with_number_and_size,
            a_full_target_is_said_and_tried_again,
        }
        german {
            everything_is_said_in_german_where_that_is_asked_for,
        }
        desktop {
            docks_are_told_at_most_twice_a_second_and_at_the_end,
        }
    });
}
