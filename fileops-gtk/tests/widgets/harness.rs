//! Starts a display for the tests, and waits for what is to happen on it.

use fileops_tests::skip;
use gtk::glib;
use gtk::prelude::*;
use libtest_mimic::{Arguments, Trial};
use std::cell::Cell;
use std::env;
use std::process::{Command, exit};
use std::rc::Rc;
use std::time::Duration;

/// Only to end what would never end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the tests that the arguments ask for, with a display.
pub(crate) fn run(tests: Vec<Trial>) {
    let mut arguments = Arguments::from_args();
    if !arguments.list && env::var("FILEOPS_DISPLAY").as_deref() != Ok("ready") {
        exit(again_with_display());
    }
    // All on this thread: it is GTK's.
    arguments.test_threads = Some(1);
    if !arguments.list {
        gtk::init().expect("there is a display");
        fileops_gtk::init();
        steady();
    }
    libtest_mimic::run(&arguments, tests).exit();
}

fn again_with_display() -> i32 {
    for command in ["Xvfb", "openbox", "dbus-run-session"] {
        if !skip::has_command(command) {
            skip::missing(&format!("command {command}"));
            skip::skipped("fileops-gtk::widgets", &format!("no command {command}"));
            return 0;
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/with-display");
    let own = env::current_exe().expect("a program knows itself");
    let status = Command::new(script).arg(own).args(env::args_os().skip(1)).status();
    status.expect("scripts/with-display runs").code().unwrap_or(101)
}

pub(crate) fn test(name: &'static str, test: fn()) -> Trial {
    Trial::test(name, move || {
        let _alone = Alone;
        test();
        Ok(())
    })
}

/// Takes away what a test leaves, above all one that failed: the next one has the display for itself.
struct Alone;

impl Drop for Alone {
    fn drop(&mut self) {
        for window in gtk::Window::list_toplevels() {
            window.downcast_ref::<gtk::Window>().into_iter().for_each(gtk::Window::destroy);
        }
        gtk::Widget::set_default_direction(gtk::TextDirection::Ltr);
        fileops::scheduler().set_schedule(fileops::Schedule::PerDevice);
    }
}

/// Pictures and waits do not depend on what moves by itself.
fn steady() {
    let settings = gtk::Settings::default().expect("there is a display");
    settings.set_gtk_enable_animations(false);
    settings.set_gtk_cursor_blink(false);
    settings.set_gtk_font_name(Some("DejaVu Sans 10"));
    settings.set_gtk_xft_dpi(96 * 1024);
}

/// Runs the main loop until this holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let context = glib::MainContext::default();
    let is_late = Rc::new(Cell::new(false));
    let late = Rc::clone(&is_late);
    let alarm = glib::timeout_add_local_once(PATIENCE, move || late.set(true));
    // What is waited for may come without a source of its own.
    let look = glib::timeout_add_local(Duration::from_millis(10), || glib::ControlFlow::Continue);
    while !holds() {
        assert!(!is_late.get(), "waited in vain until {what}");
        context.iteration(true);
    }
    look.remove();
    if !is_late.get() {
        alarm.remove();
    }
}

/// A window that has this in it, when it is shown.
pub(crate) fn show(child: &impl IsA<gtk::Widget>) -> gtk::Window {
    let window = gtk::Window::builder().child(child).title("Test").build();
    window.present();
    wait_until("the window is active and drawn", || window.is_active() && child.width() > 0);
    window
}

pub(crate) fn a_window_is_shown_and_becomes_active() {
    let label = gtk::Label::new(Some("Shown"));
    let window = show(&label);
    assert!(label.is_mapped() && label.width() <= window.width());
    window.destroy();
}
