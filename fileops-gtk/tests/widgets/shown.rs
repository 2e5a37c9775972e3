//! The widgets that show operations.

use crate::harness::{show, wait_until};
use crate::operations::{slow_copy, slow_tree, wait_over};
use crate::seen::{all, assert_speaks, click, in_each_look, part, pass, picture, shown};
use fileops_gtk::{OperationManager, OperationRow, OperationState, OperationsButton, ProgressWindow, ToastHost};
use fileops_tests::tree::Tree;
use gtk::prelude::*;
use std::time::Duration;

pub(crate) fn a_row_follows_its_operation_and_steers_it() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let copy = slow_copy(&manager, &tree);
    let row = OperationRow::new(&copy);
    let window = show(&row);
    let title: gtk::Label = part(&row, "title");
    assert_eq!(title.label(), "Copying “big” to “to”");
    let (pause, bar): (gtk::Button, gtk::ProgressBar) = (part(&row, "pause"), part(&row, "bar"));
    wait_until("the bar moves", || bar.fraction() > 0.0);
    click(&pause);
    assert_eq!(copy.state(), OperationState::Paused);
    assert_eq!(pause.tooltip_text().as_deref(), Some("Resume"));
    click(&pause);
    wait_until("it goes on", || copy.state() == OperationState::Running);

    assert!(!part::<gtk::Revealer>(&row, "details").is_visible());
    row.set_expanded(true);
    wait_until("the speed is shown", || part::<gtk::Label>(&row, "rate").label().starts_with("Speed: "));
    click(&part(&row, "cancel"));
    wait_over(&copy);
    assert_eq!(part::<gtk::Label>(&row, "subtitle").label(), copy.subtitle());
    click(&part(&row, "dismiss"));
    assert_eq!(manager.n_items(), 0);
    window.destroy();
}

pub(crate) fn a_row_is_seen_and_heard() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let copy = slow_copy(&manager, &tree);
    wait_until("there is something to see", || copy.fraction() > 0.05);
    for expanded in [false, true] {
        in_each_look(if expanded { "row-expanded" } else { "row" }, |name| {
            let row = OperationRow::new(&copy);
            row.set_expanded(expanded);
            let window = show(&row);
            window.set_default_size(420, -1);
            if expanded {
                pass(1_000);
            }
            assert!(picture(&window, name) > 8);
            let heard = assert_speaks("Test");
            let has = |role: &str, name: &str| heard.iter().any(|(a, b, _)| a == role && b == name);
            assert!(has("progress bar", "Copying “big” to “to”"), "{heard:#?}");
            let button = heard.iter().any(|(_, name, _)| name == "Pause: Copying “big” to “to”");
            assert!(button, "{heard:#?}");
            window.destroy();
        });
    }
    copy.cancel();
    wait_over(&copy);
}

pub(crate) fn the_button_is_there_while_there_is_something_to_show() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let button = OperationsButton::new(&manager);
    let header = gtk::HeaderBar::new();
    header.pack_end(&button);
    let window = gtk::Window::builder().titlebar(&header).default_width(500).default_height(400).title("Test").build();
    window.present();
    wait_until("the window is active", || window.is_active());
    assert!(!button.is_visible());
    let copies = [slow_copy(&manager, &tree), slow_copy(&manager, &tree)];
    wait_until("the button comes", || button.is_mapped());
    button.popup();
    wait_until("the list has both", || all::<OperationRow>(&button).len() == 2);
    in_each_look("button", |name| {
        pass(300);
        assert!(picture(&window, name) > 8);
        if let Some(popover) = all::<gtk::Popover>(&button).first() {
            picture(popover, &format!("{name}-list"));
        }
    });
    let heard = assert_speaks("Test");
    assert!(heard.iter().any(|(_, name, _)| name == "File operations: 2 are running"), "{heard:#?}");
    copies.iter().for_each(|copy| copy.cancel());
    copies.iter().for_each(wait_over);
    // An open list is not pulled away, also when there is nothing left in it.
    manager.dismiss_finished();
    assert_eq!(manager.n_items(), 0);
    assert!(button.is_visible());
    all::<gtk::Popover>(&button)[0].popdown();
    wait_until("the button goes", || !button.is_visible());
    assert_eq!(manager.n_items(), 0);
    window.destroy();
}

pub(crate) fn the_window_comes_after_a_second_and_not_for_short_work() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let window = ProgressWindow::new(&manager);
    let short = manager.copy([tree.path("big")], tree.path("to")).start();
    wait_over(&short);
    assert!(!window.is_visible());
    std::fs::remove_file(tree.path("to/big")).unwrap();
    let long = slow_copy(&manager, &tree);
    wait_until("the window comes", || window.is_mapped());
    assert!(long.elapsed() >= Duration::from_secs(1));
    in_each_look("window", |name| {
        pass(200);
        assert!(picture(&window, name) > 8);
    });
    assert_speaks("File Operations");
    long.cancel();
    wait_until("the window goes", || !window.is_visible());
    window.destroy();
}

pub(crate) fn a_toast_undoes() {
    let tree = Tree::new("a=1 to/");
    let manager = OperationManager::new(None);
    let content = gtk::Label::new(Some("Content"));
    content.set_size_request(420, 160);
    let host = ToastHost::new(&manager, &content);
    let window = show(&host);
    let copy = manager.copy([tree.path("a")], tree.path("to")).start();
    wait_until("the toast comes", || all::<gtk::Button>(&host).len() == 2);
    in_each_look("toast", |name| {
        pass(100);
        assert!(picture(&window, name) > 8);
    });
    let heard = assert_speaks("Test");
    assert!(heard.iter().any(|(_, name, _)| name == "Undo"), "{heard:#?}");
    click(&all::<gtk::Button>(&host)[0]);
    wait_until("the copy is gone", || !tree.path("to/a").exists());
    assert!(!copy.can_undo());
    assert!(shown::<gtk::Window>().contains(&window));
    wait_until("the undo is over", || manager.n_running() == 0);
    assert!(all::<gtk::Button>(&host).is_empty(), "an undo offers no undo");
    window.destroy();
}
