//! Progress on the icon in docks and task bars, by the signal that KDE's, elementary's and Ubuntu's listen to.

use gtk::glib::variant::ToVariant;
use gtk::prelude::*;
use gtk::{gio, glib};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Docks draw at leisure.
const AT_MOST_EVERY: Duration = Duration::from_millis(500);

/// What was said last, and when.
#[derive(Default)]
pub(super) struct Launcher {
    said: Cell<Option<(Said, Instant)>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    percent: Option<u32>,
    count: i64,
}

impl Launcher {
    pub(super) fn follow(&self, application: Option<&gtk::Application>, running: usize, fraction: f64) {
        let percent = (fraction >= 0.0 && running > 0).then_some((fraction * 100.0) as u32);
        let news = Said { percent, count: running as i64 };
        let said = self.said.get();
        let is_news = said.map_or(running > 0, |(said, _)| said != news);
        // That all is over is said at once: there may be no other time.
        let is_soon = said.is_some_and(|(_, at)| at.elapsed() < AT_MOST_EVERY) && running > 0;
        if !is_news || is_soon {
            return;
        }
        if let Some(application) = application
            && let (Some(connection), Some(id)) = (application.dbus_connection(), application.application_id())
        {
            self.said.set(Some((news, Instant::now())));
            update(&connection, &id, news);
        }
    }
}

/// Source: the Unity launcher API, as plasma-workspace and libplank read it.
fn update(connection: &gio::DBusConnection, id: &str, said: Said) {
    let values = glib::VariantDict::new(None);
    values.insert("progress", f64::from(said.percent.unwrap_or(0)) / 100.0);
    values.insert("progress-visible", said.percent.is_some());
    values.insert("count", said.count);
    values.insert("count-visible", said.count > 1);
    let entry = format!("application://{id}.desktop");
    let parameters = glib::Variant::tuple_from_iter([entry.to_variant(), values.end()]);
    let path = format!(
        "/com/canonical/unity/launcherentry/{}",
        id.bytes().fold(0_u32, |hash, byte| { hash.wrapping_mul(31).wrapping_add(u32::from(byte)) })
    );
    // Whether anybody listens is not known, and does not matter.
    let _ = connection.emit_signal(None, &path, "com.canonical.Unity.LauncherEntry", "Update", Some(&parameters));
}
