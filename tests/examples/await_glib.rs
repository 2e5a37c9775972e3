//! Awaits a copy in GLib's main loop, as a GTK application does: `cargo run -p fileops-tests --features glib --example
//! await_glib -- SOURCE DIRECTORY`.
//!
//! It stands here, since the library itself knows nothing of GLib.

use fileops::Phase;
use std::cell::Cell;
use std::rc::Rc;
use std::{env, error::Error, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(source), Some(into)) = (arguments.next(), arguments.next()) else {
        return Err("usage: await_glib SOURCE DIRECTORY".into());
    };
    let main = glib::MainLoop::new(None, false);
    let result = Rc::new(Cell::new(None));
    let (quit, told) = (main.clone(), Rc::clone(&result));
    // In a GTK application this is what a button's handler does; `MainContext::default` has it run between the events.
    glib::MainContext::default().spawn_local(async move {
        let mut copy = Box::pin(fileops::copy([source], into).start());
        // The bar of a window would be set here, ten times a second.
        let progress = glib::timeout_future(Duration::from_millis(100));
        if copy.progress().phase != Phase::Done {
            progress.await;
            println!("{} bytes so far", copy.progress().bytes_done);
        }
        told.set(Some(copy.as_mut().await.into_result()));
        quit.quit();
    });
    main.run();
    let complete = result.take().expect("the loop ends after the copy")?;
    println!("copied {} entries, {} bytes", complete.report.entries, complete.report.bytes);
    Ok(())
}
