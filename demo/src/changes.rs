//! `fileops watch`: what changes, until a signal ends it.

use crate::args::WatchArgs;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::{json, messages, signals};
use fileops::watch::{self, Event, Events};
use fileops::{Error, Shown};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

pub(crate) fn run(args: WatchArgs) -> Exit {
    signals::end_at_once();
    let mut watched = Vec::new();
    let mut out = Out::default();
    let mut exit = Exit::Done;
    for path in args.paths {
        let watch = watch::watch(path).interval(args.interval);
        let watch = if args.recursive { watch.tree() } else { watch };
        let watch = if args.poll { watch.method(watch::Method::Poll) } else { watch };
        match fileops::block_on(watch.into_future()) {
            Ok(events) => {
                if args.json {
                    out.line(&json::watching(events.path()));
                }
                watched.push(events);
            }
            Err(error) => {
                fail(&error, args.json, &mut out);
                exit = Exit::Incomplete;
            }
        }
    }
    while let Some(event) = fileops::block_on(next(&mut watched)) {
        out.line(&if args.json { json::event(&event) } else { line(&event) });
        if out.is_lost() {
            break;
        }
    }
    outcome::settle(exit, &out)
}

fn fail(error: &Error, is_json: bool, out: &mut Out) {
    complain(&messages::failure(error));
    if is_json {
        out.line(&json::failure(error));
    }
}

/// The next event of any; `None` when none is left.
fn next(watched: &mut Vec<Events>) -> impl Future<Output = Option<Event>> + '_ {
    std::future::poll_fn(|context| {
        let mut index = 0;
        while index < watched.len() {
            match Pin::new(&mut watched[index].next()).poll(context) {
                Poll::Ready(Some(event)) => {
                    // Each has its turn.
                    watched.rotate_left(index + 1);
                    return Poll::Ready(Some(event));
                }
                Poll::Ready(None) => drop(watched.swap_remove(index)),
                Poll::Pending => index += 1,
            }
        }
        if watched.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    })
}

/// "created   a/b", "renamed   a/b -> a/c".
fn line(event: &Event) -> String {
    let slash = |is_dir: &bool| if *is_dir { "/" } else { "" };
    match event {
        Event::Created { path, is_dir } => format!("created   {}{}", Shown(path), slash(is_dir)),
        Event::Removed { path, is_dir } => format!("removed   {}{}", Shown(path), slash(is_dir)),
        Event::Modified { path } => format!("modified  {}", Shown(path)),
        Event::Renamed { from, to, is_dir } => {
            format!("renamed   {}{slash} -> {}{slash}", Shown(from), Shown(to), slash = slash(is_dir))
        }
        Event::Rescan { path, why } => format!("rescan    {}  ({})", Shown(path), messages::why(*why).1),
        Event::Polled { path, why } => format!("polled    {}  ({})", Shown(path), messages::why(*why).1),
        Event::Unwatched { path, why } => format!("unwatched {}  ({})", Shown(path), messages::why(*why).1),
        other => format!("other     {}", Shown(other.path())),
    }
}
