//! What the session is told: not to end or suspend in the middle of work, and what was done while nobody looked.

use crate::messages;
use crate::operation::{Operation, OperationState};
use gtk::gio::ApplicationHoldGuard;
use gtk::prelude::*;
use gtk::{ApplicationInhibitFlags, gio};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// Shorter work is over before anybody could suspend the machine, or wonder.
const LONG: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Session {
    hold: RefCell<Option<ApplicationHoldGuard>>,
    /// Since when there is work without a break.
    working: Cell<Option<Instant>>,
    /// The cookie, and what was asked for.
    inhibited: Cell<Option<(u32, ApplicationInhibitFlags)>>,
}

impl Session {
    pub(super) fn follow(&self, application: Option<&gtk::Application>, running: &[&Operation]) {
        let Some(application) = application else { return };
        // A guard that goes may end the application's main loop: it goes last.
        let _released = match running.is_empty() {
            true => self.hold.take(),
            false if self.hold.borrow().is_none() => self.hold.replace(Some(application.hold())),
            false => None,
        };
        let work: Vec<(OperationState, bool)> =
            running.iter().map(|operation| (operation.state(), operation.kind().writes())).collect();
        let is_working = work.iter().any(|(state, _)| state.is_working());
        let since = is_working.then(|| self.working.get().unwrap_or_else(Instant::now));
        self.working.set(since);
        let wanted = wanted(&work, since.map_or(Duration::ZERO, |since| since.elapsed()));
        self.inhibit(application, wanted);
    }

    fn inhibit(&self, application: &gtk::Application, wanted: ApplicationInhibitFlags) {
        let current = self.inhibited.get();
        if current.map_or(ApplicationInhibitFlags::empty(), |(_, flags)| flags) == wanted {
            return;
        }
        if let Some((cookie, _)) = self.inhibited.take()
            && cookie != 0
        {
            application.uninhibit(cookie);
        }
        if !wanted.is_empty() {
            let window = application.active_window();
            let cookie = application.inhibit(window.as_ref(), wanted, Some(&messages::inhibit_reason()));
            // Also where there is nobody to ask, so as not to ask again each time.
            self.inhibited.set(Some((cookie, wanted)));
        }
    }

    /// Says that an operation is over, if that is news.
    pub(super) fn tell_end(&self, application: Option<&gtk::Application>, operation: &Operation) {
        let Some(application) = application else { return };
        let id = notification_id(operation);
        if operation.state() == OperationState::Cancelled || !is_news(is_looked_at(application), operation.elapsed()) {
            application.withdraw_notification(&id);
            return;
        }
        let notification = gio::Notification::new(&operation.title());
        notification.set_body(Some(&operation.subtitle()));
        application.send_notification(Some(&id), &notification);
    }

    /// Says that an operation asks something.
    pub(super) fn tell_questions(&self, application: Option<&gtk::Application>, operation: &Operation) {
        let Some(application) = application else { return };
        let id = notification_id(operation);
        if operation.n_questions() == 0 || operation.state().is_over() {
            application.withdraw_notification(&id);
        } else if is_news(is_looked_at(application), operation.elapsed()) {
            let notification = gio::Notification::new(&operation.title());
            notification.set_body(Some(&messages::asking(operation.n_questions().into())));
            application.send_notification(Some(&id), &notification);
        }
    }
}

fn notification_id(operation: &Operation) -> String {
    format!("fileops-{}", operation.id())
}

fn is_looked_at(application: &gtk::Application) -> bool {
    application.active_window().is_some_and(|window| window.is_active())
}

fn is_news(is_looked_at: bool, took: Duration) -> bool {
    !is_looked_at && took > LONG
}

/// What must not happen, given what runs (and whether it writes) and how long there has been work.
fn wanted(work: &[(OperationState, bool)], worked: Duration) -> ApplicationInhibitFlags {
    let working: Vec<bool> = work.iter().filter(|(state, _)| state.is_working()).map(|(_, writes)| *writes).collect();
    if working.is_empty() || worked < LONG {
        return ApplicationInhibitFlags::empty();
    }
    match working.contains(&true) {
        true => ApplicationInhibitFlags::SUSPEND | ApplicationInhibitFlags::LOGOUT,
        false => ApplicationInhibitFlags::SUSPEND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_of_more_than_five_seconds_keeps_the_session() {
        let (none, both) =
            (ApplicationInhibitFlags::empty(), ApplicationInhibitFlags::SUSPEND | ApplicationInhibitFlags::LOGOUT);
        let copy = (OperationState::Running, true);
        assert_eq!(wanted(&[copy], Duration::from_millis(4_900)), none);
        assert_eq!(wanted(&[copy], LONG), both);
        assert_eq!(wanted(&[(OperationState::Running, false)], LONG), ApplicationInhibitFlags::SUSPEND);
        for idle in [OperationState::Paused, OperationState::Waiting, OperationState::Asking] {
            assert_eq!(wanted(&[(idle, true)], LONG), none);
        }
        assert_eq!(wanted(&[(OperationState::Paused, true), copy], LONG), both);
    }

    #[test]
    fn only_what_took_long_and_nobody_saw_is_news() {
        assert!(is_news(false, Duration::from_secs(6)));
        assert!(!is_news(true, Duration::from_secs(6)));
        assert!(!is_news(false, Duration::from_secs(5)));
    }
}
