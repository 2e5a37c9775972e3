//! The progress bar on standard error.

use crate::args::ProgressRule;
use crate::text::{count, size, whole_seconds};
use console::{Term, measure_text_width, truncate_str};
use fileops::{Phase, Progress, Shown};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is over sooner needs no bar.
const APPEARS_AFTER: Duration = Duration::from_millis(500);

/// More than the updates a second, so that none is left out.
const REDRAWS: u8 = 20;

/// Room that the figures leave to the bar itself.
const BAR_WIDTH: usize = 12;

/// What the bar counts towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A total that is known, or becomes known.
    Total,
    /// Nothing: counting is the work itself.
    None,
}

pub(crate) struct Bar {
    goal: Goal,
    term: Term,
    words: Arc<Mutex<Words>>,
    /// What is on the screen.
    shown: Option<ProgressBar>,
}

#[derive(Default)]
struct Words {
    figures: String,
    current: String,
}

impl Bar {
    /// A bar that is not visible yet, or `None` where there is to be none.
    pub(crate) fn new(rule: ProgressRule, goal: Goal) -> Option<Bar> {
        let is_wanted = match rule {
            ProgressRule::Auto => is_drawable(),
            ProgressRule::Bar => true,
            ProgressRule::Never => false,
        };
        is_wanted.then(|| Bar { goal, term: Term::stderr(), words: Arc::default(), shown: None })
    }

    pub(crate) fn update(&mut self, progress: &Progress) {
        if progress.elapsed < APPEARS_AFTER && progress.phase != Phase::Waiting {
            return;
        }
        self.put_in_words(progress);
        let (done, total) = position(progress);
        self.shown.get_or_insert_with(|| bar(&self.term, self.goal, &self.words)).update(|state| {
            state.set_len(total);
            state.set_pos(done);
        });
    }

    /// Takes the bar off the screen; the next update brings it back.
    pub(crate) fn hide(&mut self) {
        if let Some(bar) = self.shown.take() {
            bar.finish_and_clear();
        }
    }

    fn put_in_words(&self, progress: &Progress) {
        // The last column stays empty: some terminals go to the next line when it is written.
        let width = usize::from(self.term.size().1).saturating_sub(1);
        let room = if self.goal == Goal::None { width } else { width.saturating_sub(BAR_WIDTH) };
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.figures = truncate_str(&figures(progress, self.goal), room, "…").into_owned();
        words.current = current(progress, width);
    }
}

fn is_drawable() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn bar(term: &Term, goal: Goal, words: &Arc<Mutex<Words>>) -> ProgressBar {
    let template = if goal == Goal::None { "{figures}\n{current}" } else { "{wide_bar} {figures}\n{current}" };
    let style = ProgressStyle::with_template(template).expect("both templates are well-formed");
    let style = style.progress_chars("█▌░");
    let style = style.with_key("figures", from(words, |words| &words.figures));
    let style = style.with_key("current", from(words, |words| &words.current));
    // The plain target for terminals would draw nothing elsewhere, even where a bar was asked for.
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), REDRAWS);
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

/// What the template asks for each time it is drawn: one drawing an update, however much has changed.
fn from(
    words: &Arc<Mutex<Words>>,
    which: fn(&Words) -> &String,
) -> impl Fn(&ProgressState, &mut dyn Write) + Clone + Send + Sync + 'static {
    let words = Arc::clone(words);
    move |_, to| {
        let words = words.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to indicatif's buffer cannot fail.
        let _ = to.write_str(which(&words));
    }
}

/// How far it is, by bytes where there are any. Nothing is done of a total that is not known at all yet.
fn position(progress: &Progress) -> (u64, u64) {
    let (done, total) = match progress.bytes_total {
        0 => (progress.entries_done, progress.entries_total),
        total => (progress.bytes_done, total),
    };
    if progress.is_total_growing && done >= total { (0, total) } else { (done, total) }
}

/// "12,345 of 27,000+  1.2 GiB of 2.7 GiB+  910.0 MiB/s  2 s left".
fn figures(progress: &Progress, goal: Goal) -> String {
    let (entries, bytes) = (count(progress.entries_done), size(progress.bytes_done));
    if goal == Goal::None {
        return format!("{entries} entries  {bytes}");
    }
    let more = if progress.is_total_growing { "+" } else { "" };
    let (all_entries, all_bytes) = (count(progress.entries_total), size(progress.bytes_total));
    let on_device =
        progress.bytes_on_device.map(|bytes| format!(" ({} on the device)", size(bytes))).unwrap_or_default();
    format!("{entries} of {all_entries}{more}  {bytes}{on_device} of {all_bytes}{more}  {}", pace(progress))
}

fn pace(progress: &Progress) -> String {
    let rate = format!("{}/s", size(progress.rate.max(0.0) as u64));
    match (progress.phase, progress.time_left) {
        (Phase::Waiting, _) => "waiting".to_owned(),
        (Phase::Paused, _) => "paused".to_owned(),
        (Phase::Asking, _) => "waiting for answers".to_owned(),
        (Phase::Cancelling, _) => "cancelling".to_owned(),
        (Phase::Finishing, _) => "finishing".to_owned(),
        (_, Some(left)) => format!("{rate}  {} left", whole_seconds(left)),
        _ => rate,
    }
}

/// The current path, of which the end tells most.
fn current(progress: &Progress, width: usize) -> String {
    let path = progress.current.as_ref().map(|path| Shown(path).to_string()).unwrap_or_default();
    shorten(&path, width)
}

/// Takes away from the left what is wider than `width` columns.
fn shorten(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut kept = text.len();
    for (index, character) in text.char_indices().rev() {
        let Some(left) = room.checked_sub(measure_text_width(character.encode_utf8(&mut [0; 4]))) else { break };
        (room, kept) = (left, index);
    }
    format!("…{}", &text[kept..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_its_beginning() {
        assert_eq!(shorten("a/b/c.txt", 9), "a/b/c.txt");
        assert_eq!(shorten("a/b/c.txt", 6), "…c.txt");
        assert_eq!(shorten("日本語.txt", 8), "…語.txt");
        assert_eq!(shorten("日本語.txt", 0), "…");
    }
}
