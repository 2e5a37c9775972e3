//! `fileops net`.

use crate::args::{MountsArgs, NetCommand};
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::{json, messages, text};
use fileops::mounts::{self, Mount, Space, Table};
use fileops::{Error, Shown};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

pub(crate) fn run(command: NetCommand) -> Exit {
    match command {
        NetCommand::Mounts(args) => list(&args),
    }
}

/// What is known of the room on a mount; `None` where it was not asked.
pub(crate) type Room = Option<Result<Space, Error>>;

fn list(args: &MountsArgs) -> Exit {
    let table = match mounts::table() {
        Ok(table) => table,
        Err(error) => {
            complain(&messages::failure(&error));
            return Exit::Incomplete;
        }
    };
    let shown: Vec<&Mount> = table.mounts().iter().filter(|mount| args.all || is_of_interest(&table, mount)).collect();
    let rooms = fileops::block_on(rooms(&table, &shown, args.limit));
    let mut out = Out::default();
    if args.json {
        for (mount, room) in shown.iter().zip(&rooms) {
            out.line(&json::mount(mount, table.is_hidden(mount), room));
        }
    } else {
        out.bytes(lines(&table, &shown, &rooms).as_bytes());
    }
    outcome::settle(Exit::Done, &out)
}

/// Whether files are kept there: not what the kernel makes up, nor what no path leads to.
fn is_of_interest(table: &Table, mount: &Mount) -> bool {
    const MADE_UP: [&str; 22] = [
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "proc",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    ];
    !MADE_UP.contains(&mount.kind()) && !table.is_hidden(mount)
}

/// Asks all at once: the slowest is waited for, and none longer than the limit.
async fn rooms(table: &Table, shown: &[&Mount], limit: Duration) -> Vec<Room> {
    let mut asked: Vec<_> = shown
        .iter()
        .map(|mount| {
            let can_be_asked = !mount.is_automount() && !table.is_hidden(mount);
            can_be_asked.then(|| mounts::space(mount.point()).limit(limit))
        })
        .collect();
    let mut rooms: Vec<Room> = asked.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (call, room) in asked.iter_mut().zip(&mut rooms) {
            if let Some(Poll::Ready(answer)) = call.as_mut().map(|call| Pin::new(call).poll(context)) {
                *room = Some(answer);
                *call = None;
            }
        }
        if asked.iter().any(Option::is_some) { Poll::Pending } else { Poll::Ready(std::mem::take(&mut rooms)) }
    })
    .await
}

/// A table: source, place, type, available of total, flags.
fn lines(table: &Table, shown: &[&Mount], rooms: &[Room]) -> String {
    let head = ["SOURCE", "PLACE", "TYPE", "FREE", "SIZE", "FLAGS"].map(str::to_owned);
    let rows = shown.iter().zip(rooms).map(|(mount, room)| {
        let (free, size, reason) = match room {
            Some(Ok(space)) if space.total == 0 => ("-".to_owned(), "-".to_owned(), None),
            Some(Ok(space)) => (text::size(space.available), text::size(space.total), None),
            Some(Err(error)) => ("-".to_owned(), "-".to_owned(), Some(messages::no_room(error))),
            None => ("-".to_owned(), "-".to_owned(), None),
        };
        let mut flags = flags(mount, table.is_hidden(mount)).join(",");
        if let Some(reason) = reason {
            flags += if flags.is_empty() { "" } else { " " };
            flags += &format!("({reason})");
        }
        let source = Shown(Path::new(mount.source())).to_string();
        [source, Shown(mount.point()).to_string(), Shown(Path::new(mount.kind())).to_string(), free, size, flags]
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let widths = [0, 1, 2, 3, 4].map(|column| {
        rows.iter().map(|row: &[String; 6]| console::measure_text_width(&row[column])).max().unwrap_or(0)
    });
    let padded = |text: &str, width: usize, is_number: bool| {
        let space = " ".repeat(width.saturating_sub(console::measure_text_width(text)));
        if is_number { space + text } else { text.to_owned() + &space }
    };
    let line = |row: &[String; 6]| {
        let cells: Vec<_> = (0..5).map(|column| padded(&row[column], widths[column], column >= 3)).collect();
        format!("{}  {}", cells.join("  "), row[5]).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// What is special about a mount, in words that scripts may rely on.
pub(crate) fn flags(mount: &Mount, is_hidden: bool) -> Vec<&'static str> {
    let all = [
        (mount.is_read_only(), "ro"),
        (mount.is_network(), "network"),
        (mount.is_fuse(), "fuse"),
        (mount.is_removable(), "removable"),
        (mount.is_rotational(), "rotational"),
        (mount.is_automount(), "automount"),
        (is_hidden, "hidden"),
    ];
    all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
}
