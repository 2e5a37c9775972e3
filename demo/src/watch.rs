//! Follows an operation from its start to its report.

use crate::args::ViewArgs;
use crate::bar::{Bar, Goal};
use crate::json;
use crate::out::Out;
use crate::shortage::Question;
use crate::signals::{self, Held};
use fileops::{Operation, Report};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Ten updates of the bar a second look alive.
const UPDATE_EVERY: Duration = Duration::from_millis(100);

/// What a program wants to know need not be as smooth.
const LINE_EVERY: Duration = Duration::from_millis(200);

/// What is shown of a running operation, and what it may leave.
pub(crate) struct Watch {
    bar: Option<Bar>,
    question: Question,
    is_json: bool,
    next_line: Instant,
    /// Where something unfinished may be left.
    target: Option<PathBuf>,
}

impl Watch {
    pub(crate) fn new(view: &ViewArgs, goal: Goal, target: Option<PathBuf>) -> Watch {
        Watch {
            bar: Bar::new(view.progress, goal),
            question: Question::new(view.json),
            is_json: view.json,
            next_line: Instant::now(),
            target,
        }
    }

    /// Starts the operation once signals are listened to, and gives its report.
    pub(crate) fn follow(mut self, start: impl FnOnce() -> Operation, out: &mut Out) -> Report {
        let held = Arc::new(Held::default());
        signals::listen(&held, self.target.take());
        held.hold(start());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            self.show(&held, out);
            if let Poll::Ready(report) = held.poll(&waker) {
                self.hide_bar();
                return report;
            }
            // The report, an answer or the next update: whichever comes first.
            thread::park_timeout(UPDATE_EVERY);
        }
    }

    fn show(&mut self, held: &Held, out: &mut Out) {
        let bar = &mut self.bar;
        self.question.look(held, out, || {
            if let Some(bar) = bar {
                bar.hide();
            }
        });
        let is_line_due = self.is_json && Instant::now() >= self.next_line;
        let is_bar_free = self.bar.is_some() && !self.question.is_open();
        if !is_line_due && !is_bar_free {
            return;
        }
        let Some(progress) = held.with(Operation::progress) else { return };
        if is_line_due {
            out.line(&json::progress(&progress));
            self.next_line = Instant::now() + LINE_EVERY;
        }
        if let Some(bar) = self.bar.as_mut().filter(|_| is_bar_free) {
            bar.update(&progress);
        }
    }

    fn hide_bar(&mut self) {
        if let Some(bar) = &mut self.bar {
            bar.hide();
        }
    }
}

/// Wakes the thread that follows the operation.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
