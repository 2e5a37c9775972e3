//! What a person has of a widget: its picture, its parts, its names, and keys to press.

use crate::harness::wait_until;
use gtk::gdk;
use gtk::glib;
use gtk::prelude::*;
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The part of a widget that its template calls so.
#[track_caller]
pub(crate) fn part<T: IsA<gtk::Widget>>(root: &impl IsA<gtk::Widget>, id: &str) -> T {
    let is_it = |widget: &gtk::Widget| widget.is::<T>() && widget.buildable_id().as_deref() == Some(id);
    let found = find(root.upcast_ref(), &is_it);
    found.unwrap_or_else(|| panic!("there is no part {id}")).downcast().expect("it was looked for")
}

/// All widgets of a type, in the order in which they stand.
pub(crate) fn all<T: IsA<gtk::Widget>>(root: &impl IsA<gtk::Widget>) -> Vec<T> {
    let found = RefCell::new(Vec::new());
    let keep = |widget: &gtk::Widget| {
        found.borrow_mut().extend(widget.downcast_ref::<T>().filter(|widget| widget.is_mapped()).cloned());
        false
    };
    find(root.upcast_ref(), &keep);
    found.into_inner()
}

fn find(widget: &gtk::Widget, is_it: &dyn Fn(&gtk::Widget) -> bool) -> Option<gtk::Widget> {
    if is_it(widget) {
        return Some(widget.clone());
    }
    let mut child = widget.first_child();
    while let Some(one) = child {
        if let Some(found) = find(&one, is_it) {
            return Some(found);
        }
        child = one.next_sibling();
    }
    None
}

/// A picture of a window or popover, below the build directory, for a person to look at. Returns how many colours it has.
pub(crate) fn picture(window: &(impl IsA<gtk::Native> + IsA<gtk::Widget>), name: &str) -> usize {
    let paintable = gtk::WidgetPaintable::new(Some(window));
    let mut node = None;
    wait_until("there is something to see", || {
        let snapshot = gtk::Snapshot::new();
        paintable.snapshot(&snapshot, window.width().into(), window.height().into());
        node = snapshot.to_node();
        node.is_some()
    });
    let renderer = window.renderer().expect("it is shown");
    let texture = renderer.render_texture(node.expect("it was waited for"), None);
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&place).expect("cargo's own directory can be written");
    texture.save_to_png(place.join(format!("{name}.png"))).expect("it can be written");
    colours(&texture)
}

fn colours(texture: &gdk::Texture) -> usize {
    let (width, height) = (texture.width() as usize, texture.height() as usize);
    let mut pixels = vec![0; width * height * 4];
    texture.download(&mut pixels, width * 4);
    pixels.chunks(4).collect::<std::collections::HashSet<_>>().len()
}

/// A program that is waited for while the main loop runs, with what it printed.
fn run(command: &mut Command) -> String {
    let child: Child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let mut output = None;
    wait_until("a program is done", || {
        output = receiver.try_recv().ok();
        output.is_some()
    });
    let output = output.expect("it was waited for").expect("it was started");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Presses a key, as at a keyboard, in the window that has the focus.
pub(crate) fn press(key: &str) {
    run(Command::new("xdotool").args(["key", key]));
}

/// Types at a keyboard.
pub(crate) fn type_text(text: &str) {
    run(Command::new("xdotool").args(["type", "--delay", "5", text]));
}

/// What those hear who do not see: `(role, name, is focusable)` of all that is shown in windows of this title.
pub(crate) fn heard(title: &str) -> Vec<(String, String, bool)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/widgets/accessible.py");
    let told = run(Command::new("/usr/bin/python3").arg(script).arg(std::process::id().to_string()).arg(title));
    let lines = told.lines().map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        (next(), next(), next() == "focusable")
    });
    lines.collect()
}

/// Every widget that has the focus has a name that is not its type, no mnemonic in it, and a window has something in it.
#[track_caller]
pub(crate) fn assert_speaks(title: &str) -> Vec<(String, String, bool)> {
    let heard = heard(title);
    assert!(
        heard.iter().any(|(_, _, is_focusable)| *is_focusable),
        "nothing in “{title}” can have the focus: {heard:?}"
    );
    for (role, name, _) in heard.iter().filter(|(_, _, is_focusable)| *is_focusable) {
        assert!(
            !name.is_empty() && !name.starts_with("Gtk") && !name.starts_with('_'),
            "a {role} is called “{name}”: {heard:#?}"
        );
    }
    heard
}

/// Clicks a button that may be inert for a while.
pub(crate) fn click(button: &gtk::Button) {
    wait_until("the button is no longer inert", || !button.has_css_class("fileops-inert"));
    assert!(button.is_sensitive(), "the button “{:?}” is insensitive", button.label());
    button.emit_clicked();
}

/// The windows of this type that are shown.
pub(crate) fn shown<T: IsA<gtk::Window> + IsA<gtk::Widget>>() -> Vec<T> {
    let windows = gtk::Window::list_toplevels().into_iter();
    windows.filter(|window| window.is_mapped()).filter_map(|window| window.downcast().ok()).collect()
}

/// In the other direction, and dark, or as it was.
pub(crate) fn in_each_look(name: &str, mut show: impl FnMut(&str)) {
    let settings = gtk::Settings::default().expect("there is a display");
    show(name);
    settings.set_gtk_application_prefer_dark_theme(true);
    show(&format!("{name}-dark"));
    settings.set_gtk_application_prefer_dark_theme(false);
    gtk::Widget::set_default_direction(gtk::TextDirection::Rtl);
    show(&format!("{name}-rtl"));
    gtk::Widget::set_default_direction(gtk::TextDirection::Ltr);
}

/// Time passes, and the main loop runs.
pub(crate) fn pass(milliseconds: u64) {
    glib::MainContext::default().block_on(glib::timeout_future(std::time::Duration::from_millis(milliseconds)));
}
