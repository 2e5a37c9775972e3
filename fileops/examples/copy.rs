//! Copies a tree beside what is there, and tells how far it is: `cargo run --example copy -- SOURCE DIRECTORY`.

use fileops::{OnConflict, Shown};
use std::{env, error::Error, thread, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(source), Some(into)) = (arguments.next(), arguments.next()) else {
        return Err("usage: copy SOURCE DIRECTORY".into());
    };
    let copy = fileops::copy([source], into).on_conflict(OnConflict::Rename).start();
    while !copy.is_done() {
        let progress = copy.progress();
        println!("{} of {} bytes, {:?} left", progress.bytes_done, progress.bytes_total, progress.time_left);
        thread::sleep(Duration::from_millis(100));
    }
    let report = copy.wait();
    for failure in &report.failures {
        eprintln!("{failure}: {}", failure.source);
    }
    for note in &report.notes {
        eprintln!("{:?} for {} entries, first {}", note.kind, note.count, Shown(&note.path));
    }
    report.into_result()?;
    Ok(())
}
