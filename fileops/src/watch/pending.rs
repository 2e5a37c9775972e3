//! Events that wait for a moment, since what follows may make them one, or none.
//!
//! They leave in the order in which they came. Of one name:
//!
//! | first | then | told |
//! |---|---|---|
//! | created | modified | created |
//! | created | removed | nothing |
//! | created, a file | renamed | created, under the new name |
//! | modified | modified | modified |
//! | modified | removed | removed |
//! | removed | created | removed, created |
//!
//! Nothing is told only of what came to a name that nothing had: what was moved there may have replaced something.

use super::event::Event;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the second half of a rename is waited for. The kernel tells both in a row, but the thread that renames may lose
/// its processor between them.
const PAIRING: Duration = Duration::from_millis(50);

/// More than these do not wait: the oldest go.
const MOST: usize = 4096;

pub(super) struct Pending {
    window: Duration,
    /// By the order in which they came.
    entries: BTreeMap<u64, Entry>,
    /// The last that is about a name.
    last: HashMap<PathBuf, u64>,
    next: u64,
    /// What came before this is not made one with anything: a directory above it has another name since.
    frozen: u64,
}

struct Entry {
    since: Instant,
    what: What,
    /// Something was created where nothing was: gone again, nothing has to be told.
    is_new: bool,
}

enum What {
    Event(Event),
    /// The first half of a rename, and what was created under its name before.
    Half {
        cookie: u32,
        from: PathBuf,
        is_dir: bool,
        made: Option<u64>,
    },
}

impl Pending {
    pub(super) fn new(window: Duration) -> Pending {
        Pending { window, entries: BTreeMap::new(), last: HashMap::new(), next: 0, frozen: 0 }
    }

    /// Something has a name that nothing had.
    pub(super) fn created(&mut self, path: PathBuf, is_dir: bool, now: Instant) {
        self.appeared(path, is_dir, true, now);
    }

    /// Something has a name that something else may have had.
    pub(super) fn arrived(&mut self, path: PathBuf, is_dir: bool, now: Instant) {
        self.appeared(path, is_dir, false, now);
    }

    fn appeared(&mut self, path: PathBuf, is_dir: bool, is_new: bool, now: Instant) {
        if !matches!(self.last_of(&path), Some((_, Event::Created { is_dir: before, .. }, _)) if *before == is_dir) {
            self.push(path.clone(), What::Event(Event::Created { path, is_dir }), is_new, now);
        }
    }

    pub(super) fn removed(&mut self, path: PathBuf, is_dir: bool, now: Instant) {
        match self.last_of(&path) {
            // What was told of its inside would be left.
            Some((at, Event::Created { .. }, true)) if is_dir && self.has_inside(at, &path) => {}
            Some((at, Event::Created { .. }, true)) => {
                self.entries.remove(&at);
                self.last.remove(&path);
                return;
            }
            Some((at, Event::Created { .. } | Event::Modified { .. }, _)) => drop(self.entries.remove(&at)),
            _ => {}
        }
        self.push(path.clone(), What::Event(Event::Removed { path, is_dir }), false, now);
    }

    pub(super) fn modified(&mut self, path: PathBuf, now: Instant) {
        if !matches!(self.last_of(&path), Some((_, Event::Created { .. } | Event::Modified { .. }, _))) {
            self.push(path.clone(), What::Event(Event::Modified { path }), false, now);
        }
    }

    /// What is neither changed nor changes others.
    pub(super) fn other(&mut self, event: Event, now: Instant) {
        let path = event.path().to_owned();
        self.push(path, What::Event(event), false, now);
    }

    /// Something left a name; [`moved_to`](Self::moved_to) may say where to.
    pub(super) fn moved_from(&mut self, from: PathBuf, is_dir: bool, cookie: u32, now: Instant) {
        let made = match self.last_of(&from) {
            Some((at, Event::Created { .. }, true)) if !is_dir => Some(at),
            _ => None,
        };
        self.push(from.clone(), What::Half { cookie, from, is_dir, made }, false, now);
    }

    /// The second half of a rename; `false` where the first is not known, or was told as a removal already.
    pub(super) fn moved_to(&mut self, to: &Path, cookie: u32) -> bool {
        let is_it = |what: &What| matches!(what, What::Half { cookie: other, .. } if *other == cookie);
        // It is one of the last, as a rule the very last.
        let Some(at) = self.entries.iter().rev().find(|(_, entry)| is_it(&entry.what)).map(|(at, _)| *at) else {
            return false;
        };
        let Some(Entry { since, what: What::Half { from, is_dir, made, .. }, .. }) = self.entries.remove(&at) else {
            return false;
        };
        let made = made.filter(|made| *made >= self.frozen && self.entries.remove(made).is_some());
        if is_dir {
            self.frozen = self.next;
            self.last.clear();
        }
        let event = match made {
            Some(_) => Event::Created { path: to.to_owned(), is_dir },
            None => Event::Renamed { from: from.clone(), to: to.to_owned(), is_dir },
        };
        if self.last.get(&from) == Some(&at) {
            self.last.remove(&from);
        }
        self.entries.insert(at, Entry { since, what: What::Event(event), is_new: false });
        self.last.insert(to.to_owned(), at);
        true
    }

    /// The second half is not to come.
    pub(super) fn give_up(&mut self, cookie: u32) {
        for entry in self.entries.values_mut().rev() {
            match &entry.what {
                What::Half { cookie: other, from, is_dir, .. } if *other == cookie => {
                    entry.what = What::Event(Event::Removed { path: from.clone(), is_dir: *is_dir });
                    return;
                }
                _ => {}
            }
        }
    }

    /// When the next is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(_, entry)| entry.since + self.wait(entry))
    }

    fn wait(&self, entry: &Entry) -> Duration {
        match entry.what {
            What::Half { .. } => self.window.max(PAIRING),
            What::Event(_) => self.window,
        }
    }

    /// Takes what is due, and the cookies of renames that have no second half.
    pub(super) fn take_due(&mut self, now: Instant) -> (Vec<Event>, Vec<u32>) {
        let (mut events, mut alone) = (Vec::new(), Vec::new());
        while let Some((&at, entry)) = self.entries.first_key_value() {
            let is_half = matches!(entry.what, What::Half { .. });
            let is_over = now.saturating_duration_since(entry.since) >= self.wait(entry);
            if !is_over && (is_half || self.entries.len() <= MOST) {
                break;
            }
            let Some(entry) = self.entries.remove(&at) else { break };
            let event = match entry.what {
                What::Event(event) => event,
                What::Half { cookie, from, is_dir, .. } => {
                    alone.push(cookie);
                    Event::Removed { path: from, is_dir }
                }
            };
            if self.last.get(event.path()) == Some(&at) {
                self.last.remove(event.path());
            }
            events.push(event);
        }
        (events, alone)
    }

    /// Forgets everything: it is not worth anything any more.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.last.clear();
    }

    /// Whether anything inside a directory waits, since it was created.
    fn has_inside(&self, at: u64, dir: &Path) -> bool {
        let is_inside = |path: &Path| path != dir && path.starts_with(dir);
        self.entries.range(at + 1..).any(|(_, entry)| match &entry.what {
            What::Event(Event::Renamed { from, to, .. }) => is_inside(from) || is_inside(to),
            What::Event(event) => is_inside(event.path()),
            What::Half { from, .. } => is_inside(from),
        })
    }

    fn last_of(&self, path: &Path) -> Option<(u64, &Event, bool)> {
        let at = *self.last.get(path)?;
        let entry = self.entries.get(&at)?;
        match &entry.what {
            What::Event(event) => Some((at, event, entry.is_new)),
            What::Half { .. } => None,
        }
    }

    fn push(&mut self, path: PathBuf, what: What, is_new: bool, now: Instant) {
        self.entries.insert(self.next, Entry { since: now, what, is_new });
        self.last.insert(path, self.next);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(10);

    /// What is told of steps such as "+a" (created), "-a", "~a", "a>" (left its name), ">b" (has this one).
    fn told(steps: &str) -> String {
        let mut pending = Pending::new(WINDOW);
        let now = Instant::now();
        for step in steps.split(' ') {
            let (first, rest) = step.split_at(1);
            // A name that ends in a slash is a directory's.
            let is_dir = step.trim_end_matches('>').ends_with('/');
            let path = |name: &str| PathBuf::from(name.trim_end_matches('/'));
            match first {
                "+" => pending.created(path(rest), is_dir, now),
                "^" => pending.arrived(path(rest), is_dir, now),
                "!" => pending.give_up(1),
                "-" => pending.removed(path(rest), is_dir, now),
                "~" => pending.modified(path(rest), now),
                ">" => assert!(pending.moved_to(&path(rest), 1)),
                _ => pending.moved_from(path(step.trim_end_matches('>')), is_dir, 1, now),
            }
        }
        let (events, _) = pending.take_due(now + PAIRING);
        assert!(pending.entries.is_empty() && pending.last.is_empty(), "nothing is kept of what was told");
        let shown = events.iter().map(|event| match event {
            Event::Created { path, .. } => format!("+{}", path.display()),
            Event::Removed { path, .. } => format!("-{}", path.display()),
            Event::Modified { path } => format!("~{}", path.display()),
            Event::Renamed { from, to, .. } => format!("{}>{}", from.display(), to.display()),
            other => format!("{other:?}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_follows_within_the_window_is_made_one_or_none() {
        assert_eq!(told("~a ~b ~a"), "~a ~b");
        assert_eq!(told("+a ~a ~a"), "+a");
        assert_eq!(told("+a ~a -a"), "");
        assert_eq!(told("~a -a"), "-a");
        assert_eq!(told("-a +a ~a"), "-a +a");
        assert_eq!(told("-a +a -a"), "-a");
        assert_eq!(told("+a -a +a"), "+a");
    }

    #[test]
    fn a_rename_is_one_event_and_of_a_new_file_its_creation() {
        assert_eq!(told("a> >b"), "a>b");
        assert_eq!(told("+a ~a a> >b"), "+b");
        assert_eq!(told("a> >b ~b"), "a>b ~b");
        assert_eq!(told("~a a> >b"), "~a a>b");
        assert_eq!(told("+x +a a> >b"), "+x +b");
        assert_eq!(told("a> ! ^b"), "-a +b");
    }

    #[test]
    fn what_may_have_replaced_something_does_not_vanish() {
        assert_eq!(told("^a ~a"), "+a");
        assert_eq!(told("^a -a"), "-a");
        assert_eq!(told("^a a> >b"), "+a a>b");
        assert_eq!(told("+a a> >b -b"), "-b");
        assert_eq!(told("+d/ a> >d/b -d/"), "+d a>d/b -d");
        assert_eq!(told("+d/ +d/b -d/b -d/"), "");
    }

    #[test]
    fn a_name_that_was_left_can_be_taken_again_before_the_second_half_comes() {
        assert_eq!(told("a> +a >b"), "a>b +a");
        assert_eq!(told("a> +a ~a"), "-a +a");
    }

    #[test]
    fn a_directory_that_has_another_name_keeps_what_was_told_before_it() {
        assert_eq!(told("+d/ +d/f d/> >e/"), "+d +d/f d>e");
        assert_eq!(told("+d/ +d/f d/> >e/ -e/f"), "+d +d/f d>e -e/f");
        assert_eq!(told("+d/f d/> >e/ +d/f"), "+d/f d>e +d/f");
    }

    #[test]
    fn nothing_is_told_before_its_time_and_a_half_waits_for_the_other() {
        let mut pending = Pending::new(WINDOW);
        let now = Instant::now();
        pending.moved_from("a".into(), false, 7, now);
        pending.modified("b".into(), now);
        assert_eq!(pending.due(), Some(now + PAIRING));
        assert!(pending.take_due(now + WINDOW).0.is_empty(), "the second half may still come");
        let (events, alone) = pending.take_due(now + PAIRING);
        assert_eq!((events.len(), alone), (2, vec![7]));
        assert!(!pending.moved_to(Path::new("c"), 7), "it was told as a removal");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut pending = Pending::new(WINDOW);
        let now = Instant::now();
        for number in 0..2 * MOST {
            pending.created(number.to_string().into(), false, now);
        }
        assert_eq!(pending.take_due(now).0.len(), MOST);
    }
}
