//! The time of day as people have it where they are.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment on the calendar and the clock of this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) year: i32,
    pub(crate) month: i32,
    pub(crate) day: i32,
    pub(crate) hour: i32,
    pub(crate) minute: i32,
    pub(crate) second: i32,
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// Seconds since 1970 as this place has them; `None` for a year that has no number.
#[allow(unsafe_code)]
pub(crate) fn local(seconds: i64) -> Option<Local> {
    let seconds = libc::time_t::from(seconds);
    // SAFETY: an all-zero `tm` is a valid value (integers, and a pointer that may be null); both pointers are valid for the
    // length of the call, which writes one `tm`.
    let raw = unsafe {
        let mut raw: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const seconds, &raw mut raw).is_null() {
            return None;
        }
        raw
    };
    let (year, month) = (raw.tm_year.checked_add(1900)?, raw.tm_mon + 1);
    Some(Local { year, month, day: raw.tm_mday, hour: raw.tm_hour, minute: raw.tm_min, second: raw.tm_sec })
}

/// The seconds since 1970 of a moment at this place; `None` for one that no calendar has. Of an hour that comes twice, one
/// of both.
#[allow(unsafe_code)]
pub(crate) fn seconds(of: &Local) -> Option<i64> {
    let is_date = (1..=12).contains(&of.month) && (1..=31).contains(&of.day);
    let is_time = (0..24).contains(&of.hour) && (0..60).contains(&of.minute) && (0..=60).contains(&of.second);
    if !is_date || !is_time {
        return None;
    }
    // SAFETY: an all-zero `tm` is a valid value; mktime(3) reads and writes one `tm`, to which the pointer is valid.
    let seconds = unsafe {
        let mut raw: libc::tm = std::mem::zeroed();
        raw.tm_year = of.year.checked_sub(1900)?;
        (raw.tm_mon, raw.tm_mday) = (of.month - 1, of.day);
        (raw.tm_hour, raw.tm_min, raw.tm_sec) = (of.hour, of.minute, of.second);
        // Whether it is summer time is the calendar's to say.
        raw.tm_isdst = -1;
        libc::mktime(&raw mut raw)
    };
    // -1 is an error, and the last second of 1969, when nothing of this was there.
    (seconds != -1).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_comes_back() {
        for moment in [1, 951_782_400, 1_785_587_399, now()] {
            assert_eq!(seconds(&local(moment).unwrap()), Some(moment));
        }
    }

    #[test]
    fn no_calendar_has_a_thirteenth_month() {
        let moment = local(0).unwrap();
        assert_eq!(seconds(&Local { month: 13, ..moment }), None);
        assert_eq!(seconds(&Local { hour: -1, ..moment }), None);
    }
}
