//! What is asked, and how a person answers. Whatever is closed without an answer stays open: Escape means later.

mod confirm_delete;
mod conflict_dialog;
mod conflict_page;
mod disk_full;
mod guard;
mod questions_page;
mod questions_window;
mod toast_host;

pub use confirm_delete::ConfirmDelete;
pub use conflict_dialog::ConflictDialog;
pub use conflict_page::ConflictPage;
pub use disk_full::DiskFull;
pub use questions_page::QuestionsPage;
pub use questions_window::QuestionsWindow;
pub use toast_host::ToastHost;

use crate::operation::{Operation, Question};
use gtk::prelude::*;

/// Shows what an operation asks above this window: a single conflict in a small dialog, else all there is. What is shown
/// already comes to the front.
pub(crate) fn present(operation: &Operation, parent: Option<&gtk::Window>) {
    let open = gtk::Window::list_toplevels().into_iter().find(|window| shows(window, operation));
    if let Some(window) = open.and_downcast::<gtk::Window>() {
        window.present();
        return;
    }
    let only =
        (operation.n_questions() == 1).then(|| operation.questions().item(0).and_downcast::<Question>()).flatten();
    let window: gtk::Window = match only.filter(|question| question.conflict().is_some()) {
        Some(question) => ConflictDialog::new(&question).upcast(),
        None => QuestionsWindow::new(operation).upcast(),
    };
    window.set_transient_for(parent);
    window.present();
}

fn shows(window: &gtk::Widget, operation: &Operation) -> bool {
    let asks = |dialog: &ConflictDialog| dialog.question().operation().as_ref() == Some(operation);
    window.is_visible()
        && (window.downcast_ref::<ConflictDialog>().is_some_and(asks)
            || window.downcast_ref::<QuestionsWindow>().is_some_and(|shown| shown.operation() == *operation))
}
