//! Follows an operation from its start to its report.

use crate::args::ViewArgs;
use crate::bar::{Bar, Goal};
use crate::input::Input;
use crate::json;
use crate::out::Out;
use crate::questions::Questions;
use crate::shortage::Pause;
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
    input: Input,
    pause: Pause,
    questions: Questions,
    is_json: bool,
    next_line: Instant,
    /// Where something unfinished may be left.
    target: Option<PathBuf>,
}

impl Watch {
    pub(crate) fn new(view: &ViewArgs, goal: Goal, target: Option<PathBuf>) -> Watch {
        Watch {
            bar: Bar::new(view.progress, goal),
            input: Input::default(),
            pause: Pause::new(view.json),
            questions: Questions::new(view.json),
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
                self.questions.close();
                return report;
            }
            // The report, an answer or the next update: whichever comes first.
            thread::park_timeout(UPDATE_EVERY);
        }
    }

    fn show(&mut self, held: &Held, out: &mut Out) {
        self.ask(held, out);
        let is_line_due = self.is_json && Instant::now() >= self.next_line;
        let is_bar_free = self.bar.is_some() && !self.pause.is_open() && !self.questions.is_on_screen();
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

    /// Puts questions, and hands on the answers that have come. One thing is asked at a time on a terminal.
    fn ask(&mut self, held: &Held, out: &mut Out) {
        while let Some(line) = self.input.next() {
            match self.pause.is_open() && !is_answer(&line) {
                true => self.pause.hear(&line, held),
                false => self.questions.hear(&line, held, out),
            }
        }
        let Watch { bar, input, pause, questions, .. } = self;
        pause.look(held, input, out, || hide(bar));
        if self.is_json || !pause.is_open() {
            questions.look(held, input, out, || hide(bar));
        }
    }

    fn hide_bar(&mut self) {
        hide(&mut self.bar);
    }
}

fn hide(bar: &mut Option<Bar>) {
    if let Some(bar) = bar {
        bar.hide();
    }
}

/// Whether a line of JSON answers a question by number. What a full target asks has none.
fn is_answer(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(line).is_ok_and(|object| object.get("answer").is_some())
}

/// Wakes the thread that follows the operation.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
