//! Questions, asked by windows and answered as a person answers.

use crate::harness::{show, wait_until};
use crate::operations::wait_over;
use crate::seen::{all, assert_speaks, click, in_each_look, part, pass, picture, press, shown, type_text};
use fileops::Resolution;
use fileops_gtk::{
    ConfirmDelete, ConflictDialog, DiskFull, Operation, OperationManager, OperationState, Question, QuestionsWindow,
    Sameness,
};
use fileops_tests::tree::Tree;
use gtk::glib;
use gtk::prelude::*;

fn parent() -> gtk::Window {
    show(&gtk::Label::builder().label("Main window").width_request(500).height_request(300).build())
}

/// A copy of one file onto another, and its question.
fn conflict(tree: &Tree, manager: &OperationManager, name: &str) -> (Operation, Question) {
    let copy = manager.copy([tree.path("from").join(name)], tree.path("to")).start();
    wait_until("the conflict is asked", || copy.n_questions() == 1 && copy.state() == OperationState::Asking);
    let question = copy.questions().item(0).and_downcast::<Question>().expect("it was counted");
    (copy, question)
}

fn dialog(question: &Question) -> ConflictDialog {
    let dialog = ConflictDialog::new(question);
    dialog.present();
    wait_until("the dialog is active", || dialog.is_active());
    dialog
}

pub(crate) fn the_stem_is_selected_and_what_is_typed_keeps_the_ending() {
    let tree = Tree::new("from/report\\s(2).tar.gz=new to/report\\s(2).tar.gz=old");
    let manager = OperationManager::new(None);
    let (copy, question) = conflict(&tree, &manager, "report (2).tar.gz");
    let dialog = dialog(&question);
    let name: gtk::Entry = part(&dialog, "name");
    assert_eq!(name.text(), "report (2).tar.gz");
    assert_eq!(name.selection_bounds(), Some((0, 10)));
    wait_until("keys are heard", || !part::<gtk::Button>(&dialog, "keep").has_css_class("fileops-inert"));
    type_text("minutes");
    wait_until("it is typed", || name.text() == "minutes.tar.gz");
    press("Return");
    wait_over(&copy);
    tree.assert("from/report\\s(2).tar.gz=new to/report\\s(2).tar.gz=old to/minutes.tar.gz=new");
    wait_until("the dialog is gone", || !dialog.is_visible());
}

pub(crate) fn keys_meant_for_another_window_answer_nothing() {
    let tree = Tree::new("from/a=new to/a=old");
    let manager = OperationManager::new(None);
    let (copy, question) = conflict(&tree, &manager, "a");
    let dialog = ConflictDialog::new(&question);
    dialog.present();
    wait_until("the dialog is shown", || dialog.is_mapped());
    // At once, whatever the load of the machine.
    for id in ["skip", "replace", "keep"] {
        part::<gtk::Button>(&dialog, id).emit_clicked();
    }
    assert_eq!(copy.n_questions(), 1);
    click(&part(&dialog, "replace"));
    wait_over(&copy);
    tree.assert("from/a=new to/a=new");
}

pub(crate) fn escape_decides_later() {
    let tree = Tree::new("from/a=new to/a=old");
    let manager = OperationManager::new(None);
    let (copy, question) = conflict(&tree, &manager, "a");
    let dialog = dialog(&question);
    press("Escape");
    wait_until("the dialog is gone", || !dialog.is_visible());
    assert_eq!((copy.n_questions(), copy.state()), (1, OperationState::Asking));
    question.answer(Resolution::Skip, fileops::Scope::This).unwrap();
    wait_over(&copy);
}

pub(crate) fn enter_alone_loses_nothing() {
    let tree = Tree::new("from/a.txt=new to/a.txt=old");
    let manager = OperationManager::new(None);
    let (copy, question) = conflict(&tree, &manager, "a.txt");
    let dialog = dialog(&question);
    wait_until("keys are heard", || !part::<gtk::Button>(&dialog, "keep").has_css_class("fileops-inert"));
    press("Return");
    wait_over(&copy);
    tree.assert("from/a.txt=new to/a.txt=old to/a\\s(2).txt=new");
}

pub(crate) fn a_name_that_cannot_be_is_not_taken() {
    let tree = Tree::new("from/a=new to/a=old");
    let manager = OperationManager::new(None);
    let (copy, question) = conflict(&tree, &manager, "a");
    let dialog = dialog(&question);
    let (name, keep): (gtk::Entry, gtk::Button) = (part(&dialog, "name"), part(&dialog, "keep"));
    name.set_text("a/b");
    assert!(!keep.is_sensitive() && name.has_css_class("error"));
    name.set_text("b");
    assert!(keep.is_sensitive() && !name.has_css_class("error"));
    copy.cancel();
    wait_over(&copy);
    wait_until("the dialog goes with its question", || !dialog.is_visible());
}

pub(crate) fn a_conflict_is_seen_and_heard() {
    let tree = Tree::new("from/photo.jpg#3000 to/photo.jpg#3000");
    let manager = OperationManager::new(None);
    let (copy, question) = conflict(&tree, &manager, "photo.jpg");
    in_each_look("conflict", |name| {
        let dialog = dialog(&question);
        wait_until("they are compared", || question.sameness() == Sameness::Same);
        assert_eq!(part::<gtk::Label>(&dialog, "sameness").label(), "The contents are the same");
        pass(600);
        assert!(picture(&dialog, name) > 8);
        let heard = assert_speaks("File Conflict");
        for expected in ["Skip", "Replace", "Keep both", "Name of the new one:"] {
            assert!(heard.iter().any(|(_, name, _)| name == expected), "{expected} is not in {heard:#?}");
        }
        dialog.destroy();
    });
    copy.cancel();
    wait_over(&copy);
}

/// Three conflicts: one newer at the source, one with the same contents, one older; and a failure.
fn many() -> (Tree, OperationManager, Operation) {
    let tree = Tree::new("from/new=123 from/same=456 from/old=789 to/new=000 to/same=456 to/old=999");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    for path in ["from/new", "to/old"] {
        std::fs::File::options().write(true).open(tree.path(path)).unwrap().set_modified(later).unwrap();
    }
    let manager = OperationManager::new(None);
    let names = ["new", "same", "old", "missing"].map(|name| tree.path("from").join(name));
    let copy = manager.copy(names, tree.path("to")).start();
    wait_until("all is asked", || copy.n_questions() == 4);
    (tree, manager, copy)
}

pub(crate) fn all_questions_are_answered_on_one_page() {
    let (tree, _manager, copy) = many();
    let window = QuestionsWindow::new(&copy);
    window.present();
    wait_until("a row each", || all::<gtk::DropDown>(&window).len() == 3);
    let apply: gtk::Button = part(&window, "apply");
    assert!(!apply.is_sensitive());
    click(&part(&window, "newer"));
    assert!(apply.is_sensitive());
    let is_same =
        |item: glib::Object| item.downcast::<Question>().is_ok_and(|asked| asked.sameness() == Sameness::Same);
    wait_until("the same are found", || {
        copy.questions().snapshot().into_iter().filter(|item| is_same(item.clone())).count() == 1
    });
    click(&part(&window, "identical"));
    assert_eq!(copy.n_questions(), 4, "nothing is answered before it is applied");
    click(&apply);
    wait_until("only the failure is left", || copy.n_questions() == 1);
    let retry = all::<gtk::Button>(&window).into_iter().find(|button| button.label().as_deref() == Some("_Retry"));
    std::fs::write(tree.path("from/missing"), "here").unwrap();
    click(&retry.expect("a failure can be tried again"));
    wait_over(&copy);
    tree.assert(
        "from/new=123 from/same=456 from/old=789 from/missing=here to/new=123 to/same=456 to/old=999 to/missing=here",
    );
    wait_until("the window goes when all is answered", || !window.is_visible());
}

pub(crate) fn all_questions_are_seen_and_heard() {
    let (_tree, _manager, copy) = many();
    in_each_look("questions", |name| {
        let window = QuestionsWindow::new(&copy);
        window.present();
        wait_until("a row each", || all::<gtk::DropDown>(&window).len() == 3);
        pass(700);
        all::<gtk::Expander>(&window)[0].set_expanded(true);
        pass(100);
        assert!(picture(&window, name) > 8);
        let heard = assert_speaks("Copying 4 items to “to”");
        for expected in ["What to do with “same”", "Retry: missing", "Replace if newer"] {
            assert!(heard.iter().any(|(_, name, _)| name == expected), "{expected} is not in {heard:#?}");
        }
        window.destroy();
    });
    copy.cancel();
    wait_over(&copy);
}

pub(crate) fn questions_show_themselves_once_above_their_window() {
    let tree = Tree::new("from/a=new to/a=old");
    let (manager, parent) = (OperationManager::new(None), parent());
    let copy = manager.copy([tree.path("from/a")], tree.path("to")).parent(&parent).start();
    wait_until("the question shows itself", || !shown::<ConflictDialog>().is_empty());
    let dialog = shown::<ConflictDialog>().remove(0);
    assert_eq!(dialog.transient_for(), Some(parent.clone()));
    dialog.close();
    copy.pause();
    copy.resume();
    pass(700);
    assert!(shown::<ConflictDialog>().is_empty(), "who closed it is not asked again");
    copy.cancel();
    wait_over(&copy);
    parent.destroy();
}

pub(crate) fn deleting_is_confirmed_with_number_and_size() {
    let tree = Tree::new("d/a#1000 d/b#2000 c=1");
    let parent = parent();
    for (is_meant, key) in [(false, "Return"), (false, "Escape"), (true, "alt+d")] {
        let dialog = ConfirmDelete::new(["d", "c"].map(|name| tree.path(name)));
        dialog.set_transient_for(Some(&parent));
        dialog.present();
        wait_until("the dialog is active", || dialog.is_active());
        let counted = || all::<gtk::Label>(&dialog).iter().any(|label| label.label().starts_with("3 files, 3.0"));
        wait_until("it is counted", counted);
        assert_eq!(dialog.title().as_deref(), Some("Delete 2 items for good?"));
        let inert = || all::<gtk::Button>(&dialog).iter().any(|button| button.has_css_class("fileops-inert"));
        wait_until("keys are heard", || !inert());
        if is_meant {
            assert!(picture(&dialog, "delete") > 8);
            assert_speaks("Delete 2 items for good?");
        }
        press(key);
        wait_until("it is decided", || !dialog.is_visible());
        assert_eq!(glib::MainContext::default().block_on(dialog.answer()), is_meant, "{key}");
    }
    parent.destroy();
}

pub(crate) fn a_full_target_is_said_and_tried_again() {
    let tree = Tree::new("big#1500000");
    let Some(full) = Small::mount() else { return };
    let manager = OperationManager::new(None);
    let copy = manager.copy([tree.path("big")], full.path()).start();
    wait_until("it waits for room", || copy.is_full());
    assert_eq!(copy.state(), OperationState::Paused);
    let banner = DiskFull::new(&copy);
    let window = show(&banner);
    assert!(picture(&window, "full") > 8);
    let text = all::<gtk::Label>(&banner)[0].label();
    assert!(text.contains("is too full") || text.contains("is full"), "{text}");
    assert_speaks("Test");
    full.make_room();
    click(&all::<gtk::Button>(&banner)[0]);
    wait_over(&copy);
    assert_eq!(copy.state(), OperationState::Finished);
    assert!(!banner.is_visible());
    window.destroy();
}

/// A file system of 1 MiB, until it is made larger.
struct Small(fileops_tests::temp::Temp);

impl Small {
    fn mount() -> Option<Small> {
        if !fileops_tests::skip::is_root() {
            fileops_tests::skip::skipped("fileops-gtk::a_full_target_is_said_and_tried_again", "not root");
            return None;
        }
        let place = fileops_tests::temp::Temp::new("small").unwrap();
        mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], place.path());
        Some(Small(place))
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    fn make_room(&self) {
        mount(&["-o", "remount,size=16m"], self.path());
    }
}

fn mount(arguments: &[&str], place: &std::path::Path) {
    let status = std::process::Command::new("mount").args(arguments).arg(place).status().unwrap();
    assert!(status.success(), "mount {arguments:?}: {status}");
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.path()).status();
    }
}
