//! What is said of the time left: nothing before there is something to say, in steps, and not another thing each moment.
//!
//! The estimate itself is the core's ([`Progress::time_left`](fileops::Progress)); here is when it is shown. All times are
//! given, so that a test can make them up.

use std::time::Duration;

/// Sooner an estimate is mostly noise.
const DATA_FOR: Duration = Duration::from_secs(3);

/// Without progress for so long, a person should know.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// As long as the estimate is this near to what was said, minus the time since, that stands.
const TOLERANCE: f64 = 0.15;

/// A step of the shortest times.
const LEAST_TOLERANCE: Duration = Duration::from_secs(5);

/// What was said stands for at least so long, unless the time itself has come to the next step.
const STANDS_FOR: Duration = Duration::from_secs(2);

const MINUTE: u64 = 60;

/// What there is to be said of the time left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeLeft {
    /// Nothing yet.
    #[default]
    Unknown,
    /// Nothing has moved for a while.
    Stalled,
    /// A multiple of five.
    Seconds(u64),
    Minutes(u64),
    /// Hours, and minutes in steps of ten.
    Hours(u64, u64),
    MoreThanADay,
}

impl TimeLeft {
    /// The nearest step; below a minute the next one up, since nothing is worse than "0 seconds" for long.
    fn of(left: Duration) -> TimeLeft {
        let seconds = left.as_secs_f64();
        let whole = |unit: u64| (seconds / unit as f64).round() as u64;
        if seconds <= 55.0 {
            return TimeLeft::Seconds(((seconds / 5.0).ceil() as u64).max(1) * 5);
        }
        if whole(MINUTE) < 60 {
            return TimeLeft::Minutes(whole(MINUTE).max(1));
        }
        let tens = whole(10 * MINUTE);
        if tens > 24 * 6 { TimeLeft::MoreThanADay } else { TimeLeft::Hours(tens / 6, tens % 6 * 10) }
    }
}

/// Decides over the life of one operation.
#[derive(Debug, Default)]
pub(crate) struct Estimator {
    /// How long work was seen to be done.
    worked: Duration,
    /// The last look.
    looked: Option<Duration>,
    work: u64,
    still: Duration,
    said: Option<Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    text: TimeLeft,
    left: Duration,
    /// In time worked.
    at: Duration,
}

impl Estimator {
    /// What to say at a moment. `work` grows with all that is done; while `is_working` is false no time counts.
    pub(crate) fn look(&mut self, now: Duration, is_working: bool, work: u64, left: Option<Duration>) -> TimeLeft {
        let passed = self.looked.map_or(Duration::ZERO, |looked| now.saturating_sub(looked));
        self.looked = Some(now);
        let has_moved = work != self.work;
        self.work = work;
        if !is_working {
            self.still = Duration::ZERO;
            return TimeLeft::Unknown;
        }
        self.still = if has_moved { Duration::ZERO } else { self.still + passed };
        if work > 0 {
            self.worked += passed;
        }
        if self.still >= STALLED_AFTER {
            self.said = None;
            return TimeLeft::Stalled;
        }
        match left {
            Some(left) if self.worked >= DATA_FOR => self.say(left),
            _ => TimeLeft::Unknown,
        }
    }

    fn say(&mut self, left: Duration) -> TimeLeft {
        let text = TimeLeft::of(left);
        if let Some(said) = self.said {
            let since = self.worked - said.at;
            let promised = said.left.saturating_sub(since);
            let is_as_promised = text == TimeLeft::of(promised);
            let off = left.abs_diff(promised);
            let is_news = since >= STANDS_FOR && off > promised.mul_f64(TOLERANCE).max(LEAST_TOLERANCE);
            if text == said.text || !(is_as_promised || is_news) {
                return said.text;
            }
        }
        self.said = Some(Said { text, left, at: self.worked });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten times a second from `from` on, and tells each change with its time in tenths.
    fn looks(
        estimator: &mut Estimator,
        from: u64,
        to: u64,
        mut at: impl FnMut(u64) -> (bool, u64, Option<Duration>),
    ) -> Vec<(u64, TimeLeft)> {
        let mut changes: Vec<(u64, TimeLeft)> = Vec::new();
        for tenth in from..to {
            let (is_working, work, left) = at(tenth);
            let said = estimator.look(Duration::from_millis(tenth * 100), is_working, work, left);
            if changes.last().map(|(_, last)| *last) != Some(said) {
                changes.push((tenth, said));
            }
        }
        changes
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn nothing_is_said_before_there_were_data_for_three_seconds() {
        let changes = looks(&mut Estimator::default(), 0, 100, |tenth| (true, tenth.max(9) - 9, seconds(300)));
        assert_eq!(changes, [(0, TimeLeft::Unknown), (39, TimeLeft::Minutes(5))]);
    }

    #[test]
    fn time_is_told_in_steps() {
        let of = |seconds| TimeLeft::of(Duration::from_secs(seconds));
        assert_eq!([0, 5, 6, 51].map(of), [5, 5, 10, 55].map(TimeLeft::Seconds));
        assert_eq!([56, 89, 91, 59 * 60].map(of), [1, 1, 2, 59].map(TimeLeft::Minutes));
        assert_eq!([3_600, 5_000, 20 * 3_600].map(of), [(1, 0), (1, 20), (20, 0)].map(|(h, m)| TimeLeft::Hours(h, m)));
        assert_eq!(of(25 * 3_600), TimeLeft::MoreThanADay);
    }

    #[test]
    fn an_estimate_that_wavers_does_not_make_the_text_waver() {
        // By four seconds, ten times a second: "45 seconds" and "50 seconds" would take turns.
        let left =
            |tenth: u64| Duration::from_millis(if tenth.is_multiple_of(2) { 54_000 } else { 58_000 } - tenth * 100);
        let changes = looks(&mut Estimator::default(), 0, 200, |tenth| (true, tenth, Some(left(tenth))));
        let said: Vec<TimeLeft> = changes.into_iter().map(|(_, said)| said).skip(1).collect();
        let seconds = said.iter().map(|said| if let TimeLeft::Seconds(seconds) = said { *seconds } else { 0 });
        assert!(seconds.clone().zip(seconds.skip(1)).all(|(one, next)| next < one), "{said:?}");
        assert!(said.len() <= 5, "{said:?}");
    }

    #[test]
    fn a_countdown_is_told_step_by_step() {
        let left = |tenth: u64| (true, tenth, Some(Duration::from_millis(30_000 - tenth * 100)));
        let changes = looks(&mut Estimator::default(), 0, 200, left);
        let said: Vec<TimeLeft> = changes.into_iter().map(|(_, said)| said).collect();
        let expected = [30, 25, 20, 15].map(TimeLeft::Seconds);
        assert_eq!(said[0], TimeLeft::Unknown);
        assert!(said[1..].ends_with(&expected[1..]), "{said:?}");
    }

    #[test]
    fn an_estimate_that_is_far_off_is_corrected_soon() {
        let jump = |tenth: u64| (true, tenth, seconds(if tenth < 60 { 300 } else { 30 }));
        let changes = looks(&mut Estimator::default(), 0, 100, jump);
        assert_eq!(changes.last(), Some(&(60, TimeLeft::Seconds(30))));
    }

    #[test]
    fn what_stands_still_for_five_seconds_is_stalled_until_it_moves() {
        let stall = |tenth: u64| (true, if (50..150).contains(&tenth) { 50 } else { tenth }, seconds(100));
        let changes = looks(&mut Estimator::default(), 0, 200, stall);
        assert_eq!(changes[2].1, TimeLeft::Stalled);
        assert!((99..=101).contains(&changes[2].0), "{changes:?}");
        assert_eq!(changes[3], (150, TimeLeft::Minutes(2)));
    }

    #[test]
    fn a_pause_is_no_stall_and_counts_for_nothing() {
        let pause = |tenth: u64| (!(20..200).contains(&tenth), if tenth < 200 { 20 } else { tenth }, seconds(100));
        let changes = looks(&mut Estimator::default(), 0, 230, pause);
        assert_eq!(changes.iter().filter(|(_, said)| *said == TimeLeft::Stalled).count(), 0, "{changes:?}");
        assert_eq!(changes.last(), Some(&(210, TimeLeft::Minutes(2))));
    }
}
