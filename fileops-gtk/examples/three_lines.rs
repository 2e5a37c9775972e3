//! Copies what the arguments name into the directory that the last of them names: with progress that appears by itself,
//! questions, pause and undo.
//!
//!     cargo run -p fileops-gtk --example three_lines -- SOURCE... DIRECTORY

use fileops_gtk::OperationManager;
use gtk::prelude::*;
use gtk::{gio, glib};

fn main() -> glib::ExitCode {
    let application = gtk::Application::new(Some("io.github.fileops.ThreeLines"), gio::ApplicationFlags::HANDLES_OPEN);
    // One.
    application.connect_startup(|_| fileops_gtk::init());
    application.connect_activate(|_| eprintln!("three_lines: name what to copy, and the directory to copy it to"));
    application.connect_open(|application, files, _| {
        let mut paths: Vec<_> = files.iter().filter_map(gio::prelude::FileExt::path).collect();
        let Some(directory) = paths.pop().filter(|_| !paths.is_empty()) else {
            return application.activate();
        };
        // Two and three.
        let manager = OperationManager::default_for(application);
        let copy = manager.copy(paths, directory).start();

        glib::spawn_future_local(async move {
            let report = copy.outcome().await;
            println!("{}: {}", copy.title(), copy.subtitle());
            report.failures.iter().for_each(|failure| eprintln!("{failure}: {}", failure.source));
        });
    });
    application.run()
}
