//! Operations as objects, and the manager that keeps them: real files, seen through properties.

use crate::harness::wait_until;
use fileops::{OnConflict, QuestionKind, Resolution, Schedule, Scope};
use fileops_gtk::{Operation, OperationManager, OperationState};
use fileops_tests::tree::Tree;
use gtk::glib;
use gtk::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Slow enough to be seen, by a limit that can be lifted.
const SLOW: Option<u64> = Some(64 * 1024);

pub(crate) fn wait_over(operation: &Operation) {
    wait_until("the operation is over", || operation.state().is_over());
}

/// A copy of a file of 1 MiB that takes 16 s unless it is ended.
pub(crate) fn slow_copy(manager: &OperationManager, tree: &Tree) -> Operation {
    manager.copy([tree.path("big")], tree.path("to")).with(|copy| copy.bandwidth(SLOW)).start()
}

pub(crate) fn slow_tree() -> Tree {
    Tree::new("big#1048576 to/")
}

pub(crate) fn a_copy_is_told_from_its_start_to_its_undo() {
    let tree = Tree::new("photos/a=hello photos/b=world to/");
    let manager = OperationManager::new(None);
    let copy = manager.copy([tree.path("photos")], tree.path("to")).start();
    assert_eq!(copy.title(), "Copying “photos” to “to”");
    assert_eq!(manager.n_running(), 1);
    wait_over(&copy);
    assert_eq!(copy.state(), OperationState::Finished);
    assert_eq!(copy.title(), "Copied “photos” to “to”");
    assert_eq!(copy.subtitle().replace('\u{a0}', " "), "2 files, 10 bytes");
    assert_eq!((copy.fraction(), copy.entries_done()), (1.0, 3));
    assert!(copy.can_undo() && !copy.can_pause());
    tree.assert("photos/a=hello photos/b=world to/photos/a=hello to/photos/b=world");

    let undo = copy.undo().expect("a copy can be undone");
    assert!(!copy.can_undo() && copy.undo().is_none());
    wait_over(&undo);
    assert_eq!(undo.title(), "Undone: Copied “photos” to “to”");
    tree.assert("photos/a=hello photos/b=world to/");
    wait_until("the manager knows", || manager.n_running() == 0);
}

pub(crate) fn the_outcome_is_a_future_of_the_report() {
    let tree = Tree::new("a=1 to/");
    let manager = OperationManager::new(None);
    let copy = manager.copy([tree.path("a")], tree.path("to")).start();
    let report = glib::MainContext::default().block_on(copy.outcome());
    assert!(report.is_complete());
    assert_eq!(report.files, 1);
    // Whoever comes later hears it too.
    assert_eq!(glib::MainContext::default().block_on(copy.outcome()).files, 1);
}

pub(crate) fn questions_are_a_list_and_answers_leave_it() {
    let tree = Tree::new("a=new b=new c=new to/a=old to/b=old");
    let manager = OperationManager::new(None);
    let copy = manager.copy(["a", "b", "c"].map(|name| tree.path(name)), tree.path("to")).start();
    wait_until("both conflicts are asked", || copy.n_questions() == 2 && copy.state() == OperationState::Asking);
    assert_eq!(copy.subtitle(), "2 questions wait for your answers");
    assert_eq!(manager.n_questions(), 2);
    let question = |at| copy.questions().item(at).and_downcast::<fileops_gtk::Question>().unwrap();
    let (a, b) = (question(0), question(1));
    assert_eq!((a.name().as_str(), a.kind()), ("a", QuestionKind::Replace));
    assert!(a.answer(Resolution::Merge, Scope::This).is_err());
    assert_eq!(copy.n_questions(), 2);
    a.answer(Resolution::Replace, Scope::This).unwrap();
    wait_until("one is left", || copy.n_questions() == 1);
    assert_eq!(question(0), b);
    b.answer(Resolution::KeepBoth, Scope::This).unwrap();
    wait_over(&copy);
    assert_eq!((copy.state(), copy.n_questions()), (OperationState::Finished, 0));
    tree.assert("a=new b=new c=new to/a=new to/b=old to/b\\s(2)=new to/c=new");
}

pub(crate) fn a_thousand_conflicts_are_answered_at_once() {
    let names: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
    let entries = names.iter().map(|name| format!("from/{name}=new to/{name}=old")).collect::<Vec<_>>().join(" ");
    let tree = Tree::new(&entries);
    let manager = OperationManager::new(None);
    let copy = manager.copy(names.iter().map(|name| tree.path("from").join(name)), tree.path("to")).start();
    wait_until("all are asked", || copy.n_questions() == 1_000);
    let first = copy.questions().item(0).and_downcast::<fileops_gtk::Question>().unwrap();
    first.answer(Resolution::Skip, Scope::Kind).unwrap();
    wait_over(&copy);
    assert_eq!(copy.state(), OperationState::Incomplete);
    assert_eq!(copy.subtitle(), "1,000 items were skipped");
}

pub(crate) fn a_copy_is_paused_resumed_and_cancelled() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let copy = slow_copy(&manager, &tree);
    wait_until("it runs", || copy.state() == OperationState::Running);
    copy.toggle_pause();
    assert_eq!(copy.state(), OperationState::Paused);
    assert!(copy.subtitle().starts_with("Paused — "), "{}", copy.subtitle());
    copy.toggle_pause();
    wait_until("it goes on", || copy.state() == OperationState::Running);
    copy.cancel();
    assert!(matches!(copy.state(), OperationState::Cancelling | OperationState::Cancelled));
    wait_over(&copy);
    assert_eq!(copy.state(), OperationState::Cancelled);
    tree.assert("big#1048576 to/");
    manager.dismiss(&copy);
    assert_eq!(manager.n_items(), 0);
}

pub(crate) fn those_that_wait_are_listed_in_their_order_and_reordered() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    manager.set_schedule(Schedule::OneAtATime);
    let copies: Vec<Operation> = (0..3).map(|_| slow_copy(&manager, &tree)).collect();
    let order = || manager.operations().iter().map(|op| copies.iter().position(|copy| copy == op)).collect::<Vec<_>>();
    assert_eq!(copies[1].state(), OperationState::Waiting);
    assert_eq!(copies[2].subtitle(), "Waiting for 2 other operations");
    copies[2].move_to_front();
    assert_eq!(order(), [Some(0), Some(2), Some(1)]);
    assert_eq!(copies[2].subtitle(), "Waiting for 1 other operation");
    copies[1].move_before(&copies[2]);
    assert_eq!(order(), [Some(0), Some(1), Some(2)]);
    copies[2].start_now();
    wait_until("it runs beside the first", || copies[2].state() == OperationState::Running);
    manager.cancel_all();
    copies.iter().for_each(wait_over);
    manager.set_schedule(Schedule::PerDevice);
}

pub(crate) fn figures_follow_ten_times_a_second_only_while_a_widget_shows_them() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let copy = slow_copy(&manager, &tree);
    let looks = Rc::new(Cell::new(0));
    copy.connect_bytes_done_notify({
        let looks = Rc::clone(&looks);
        move |_| looks.set(looks.get() + 1)
    });
    // How long so many looks take, by what the sampler itself says: the load of the machine only makes it longer.
    let time = |number: u32| {
        let (from, start) = (looks.get(), Instant::now());
        wait_until("the figures changed", || looks.get() >= from + number);
        start.elapsed()
    };
    time(1);
    let unseen = time(3);
    assert!(unseen >= Duration::from_millis(900), "sampled too often while nothing shows it: 3 in {unseen:?}");
    let widget = gtk::Label::new(Some("shows it"));
    manager.watch(&widget);
    let window = crate::harness::show(&widget);
    time(1);
    // Some of ten tries fall into a time without load.
    let fastest = (0..10).map(|_| time(3)).min().unwrap();
    assert!(fastest < Duration::from_millis(900), "sampled too seldom while a widget shows it: 3 in {fastest:?}");
    window.destroy();
    time(1);
    let unseen = time(3);
    assert!(unseen >= Duration::from_millis(900), "sampled on after the widget went: 3 in {unseen:?}");
    copy.cancel();
    wait_over(&copy);
}

pub(crate) fn failures_are_asked_and_the_rest_is_done() {
    let tree = Tree::new("a=1 b=2 to/");
    let manager = OperationManager::new(None);
    let copy = manager.copy(["a", "missing", "b"].map(|name| tree.path(name)), tree.path("to")).start();
    wait_until("the failure is asked", || copy.state() == OperationState::Asking && copy.n_questions() == 1);
    tree.assert("a=1 b=2 to/a=1 to/b=2");
    std::fs::write(tree.path("missing"), "3").unwrap();
    let question = copy.questions().item(0).and_downcast::<fileops_gtk::Question>().unwrap();
    assert_eq!(question.kind(), QuestionKind::Failure);
    question.answer(Resolution::Retry, Scope::This).unwrap();
    wait_over(&copy);
    assert_eq!(copy.state(), OperationState::Finished);
    tree.assert("a=1 b=2 missing=3 to/a=1 to/b=2 to/missing=3");
}

pub(crate) fn the_end_is_told_once_after_all_properties() {
    let tree = Tree::new("a=1 to/a=2");
    let manager = OperationManager::new(None);
    let ends = Rc::new(RefCell::new(Vec::new()));
    manager.connect_finished({
        let ends = Rc::clone(&ends);
        move |_, operation| ends.borrow_mut().push((operation.state(), operation.subtitle(), operation.can_undo()))
    });
    let copy = manager.copy([tree.path("a")], tree.path("to")).on_conflict(OnConflict::Replace).start();
    wait_until("the end is told", || !ends.borrow().is_empty());
    assert_eq!(*ends.borrow(), [(copy.state(), copy.subtitle(), true)]);
}
