//! Lists what is mounted, with the room there is, and then what changes: `cargo run --example mounts [-- --watch]`.

use fileops::mounts::{self, Change};
use fileops::{Error, Shown, block_on};
use std::time::Duration;

fn main() -> Result<(), Error> {
    let mut changes = mounts::changes()?;
    for mount in changes.table().mounts() {
        // Asking the room may wait; everything else is told by the table.
        let space = block_on(mounts::space(mount.point()).limit(Duration::from_secs(1)));
        let space = space.map_or_else(|error| error.source.to_string(), |space| format!("{} free", space.available));
        println!("{} on {}: {space}", mount.kind(), Shown(mount.point()));
    }
    if std::env::args().any(|argument| argument == "--watch") {
        while let Some(change) = block_on(changes.next()) {
            match change {
                Change::Added(mount) => println!("mounted {}", Shown(mount.point())),
                Change::Removed(mount) => println!("unmounted {}", Shown(mount.point())),
                other => println!("changed {}", Shown(other.mount().point())),
            }
        }
    }
    Ok(())
}
