//! The widgets in another language. That is decided before GTK starts, so the test runs once more, in a process of its own.

use crate::harness::{show, wait_until};
use crate::operations::{slow_copy, slow_tree, wait_over};
use crate::seen::{all, assert_speaks, part, pass, picture};
use fileops_gtk::{ConflictDialog, OperationManager, OperationRow, OperationState, Question, QuestionsWindow};
use fileops_tests::tree::Tree;
use gtk::prelude::*;
use std::env;
use std::process::Command;

const NAME: &str = "german::everything_is_said_in_german_where_that_is_asked_for";

pub(crate) fn everything_is_said_in_german_where_that_is_asked_for() {
    if env::var("LANGUAGE").as_deref() != Ok("de") {
        // Where there is no msgfmt, the build has no catalogue.
        if !fileops_tests::skip::has_command("msgfmt") {
            fileops_tests::skip::missing("command msgfmt");
            fileops_tests::skip::skipped("fileops-gtk::german", "no command msgfmt");
            return;
        }
        let own = env::current_exe().expect("a program knows itself");
        let again = Command::new(own).args(["--exact", NAME]).env("LANGUAGE", "de").output().expect("it runs again");
        assert!(
            again.status.success(),
            "{}{}",
            String::from_utf8_lossy(&again.stdout),
            String::from_utf8_lossy(&again.stderr)
        );
        return;
    }
    row();
    questions();
}

fn row() {
    let tree = slow_tree();
    let manager = OperationManager::new(None);
    let copy = slow_copy(&manager, &tree);
    assert_eq!(copy.title(), "„big“ wird nach „to“ kopiert");
    wait_until("there is something to see", || copy.fraction() > 0.05);
    assert!(copy.subtitle().contains(" von "), "{}", copy.subtitle());
    let row = OperationRow::new(&copy);
    row.set_expanded(true);
    let window = show(&row);
    window.set_default_size(420, -1);
    pass(1_000);
    assert_eq!(part::<gtk::Button>(&row, "cancel").tooltip_text().as_deref(), Some("Abbrechen"));
    picture(&window, "row-german");
    let heard = assert_speaks("Test");
    assert!(heard.iter().any(|(_, name, _)| name == "Anhalten: „big“ wird nach „to“ kopiert"), "{heard:#?}");
    copy.cancel();
    wait_over(&copy);
    window.destroy();
}

fn questions() {
    let tree = Tree::new("from/a#3000 from/b=new to/a#3000 to/b=old");
    let manager = OperationManager::new(None);
    let names = ["a", "b", "missing"].map(|name| tree.path("from").join(name));
    let copy = manager.copy(names, tree.path("to")).start();
    wait_until("all is asked", || copy.n_questions() == 3 && copy.state() == OperationState::Asking);
    assert_eq!(copy.subtitle(), "3 Fragen warten auf Ihre Antworten");
    let window = QuestionsWindow::new(&copy);
    window.present();
    wait_until("a row each", || all::<gtk::DropDown>(&window).len() == 2);
    pass(700);
    picture(&window, "questions-german");
    assert_eq!(part::<gtk::Button>(&window, "newer").label().as_deref(), Some("Ersetzen, wenn _neuer"));
    window.destroy();

    let questions = copy.questions().snapshot().into_iter().filter_map(|item| item.downcast::<Question>().ok());
    let question = questions.into_iter().find(|question| question.name() == "a").expect("it is asked about");
    let dialog = ConflictDialog::new(&question);
    dialog.present();
    wait_until("the dialog is active", || dialog.is_active());
    pass(700);
    picture(&dialog, "conflict-german");
    assert_eq!(part::<gtk::Label>(&dialog, "heading").label(), "„a“ gibt es schon in „to“");
    let heard = assert_speaks("Dateikonflikt");
    assert!(heard.iter().any(|(_, name, _)| name == "Beide behalten"), "{heard:#?}");
    dialog.destroy();
    copy.cancel();
    wait_over(&copy);
}
