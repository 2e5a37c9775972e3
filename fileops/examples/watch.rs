//! Tells what changes in a directory, so many events and then no more: `cargo run --example watch -- DIRECTORY [EVENTS]`.

use fileops::watch::{Event, watch};
use fileops::{Shown, block_on};
use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let directory = arguments.next().ok_or("usage: watch DIRECTORY [EVENTS]")?;
    let most = arguments.next().map_or(Ok(usize::MAX), |text| text.to_string_lossy().parse())?;
    block_on(async {
        let mut events = watch(directory).tree().await?;
        println!("watching {}", Shown(events.path()));
        for _ in 0..most {
            match events.next().await {
                Some(Event::Created { path, .. }) => println!("created {}", Shown(&path)),
                Some(Event::Removed { path, .. }) => println!("removed {}", Shown(&path)),
                Some(Event::Modified { path }) => println!("modified {}", Shown(&path)),
                Some(Event::Renamed { from, to, .. }) => println!("renamed {} to {}", Shown(&from), Shown(&to)),
                Some(Event::Rescan { path, .. }) => println!("list {} again", Shown(&path)),
                Some(other) => println!("{other:?}"),
                None => break,
            }
        }
        Ok(())
    })
}
