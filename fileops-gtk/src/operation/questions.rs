//! The open questions of an operation as a list model, kept in step with its inbox.

use super::Operation;
use crate::messages;
use fileops::{Conflict, EntryKind, Inbox, Open, QuestionKind, Resolution, Scope, Unfit};
use gtk::glib::subclass::prelude::*;
use gtk::prelude::*;
use gtk::{gio, glib};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// So many are taken in before the window is drawn again: a hundred thousand conflicts must not hold it up.
const BATCH: usize = 500;

/// Between two batches.
const BREATH: Duration = Duration::from_millis(20);

/// The list, and what brings questions into it.
pub(super) struct Questions {
    model: gio::ListStore,
}

impl Default for Questions {
    fn default() -> Questions {
        Questions { model: gio::ListStore::new::<Question>() }
    }
}

impl Questions {
    pub(super) fn model(&self) -> &gio::ListStore {
        &self.model
    }

    /// Takes in all that is asked from now on, until there will be no more, and says so.
    pub(super) fn hear(&self, inbox: Inbox, operation: glib::WeakRef<Operation>, changed: impl Fn() + 'static) {
        let model = self.model.downgrade();
        glib::spawn_future_local(async move {
            while let Some(open) = inbox.question().await {
                let mut batch = vec![Question::new(&open, &operation)];
                while batch.len() < BATCH {
                    let mut next = inbox.question();
                    let Poll::Ready(Some(open)) = Pin::new(&mut next).poll(&mut Context::from_waker(Waker::noop()))
                    else {
                        break;
                    };
                    batch.push(Question::new(&open, &operation));
                }
                let Some(model) = model.upgrade() else { return };
                model.extend_from_slice(&batch);
                drop(model);
                changed();
                glib::timeout_future(BREATH).await;
            }
        });
    }

    /// Drops all that are not open any more.
    pub(super) fn keep(&self, open: &[Open]) {
        let open: HashSet<u64> = open.iter().map(|open| open.id).collect();
        self.model.retain(|question| {
            question.downcast_ref::<Question>().is_some_and(|question| open.contains(&question.id()))
        });
    }
}

/// All that are in a list of questions now. A list that filters does not tell what it is a list of.
pub(crate) fn all_in(list: &impl IsA<gio::ListModel>) -> Vec<Question> {
    list.snapshot().into_iter().filter_map(|item| item.downcast().ok()).collect()
}

/// What is to be answered, once [`Operation::apply_choices`] is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "FileopsChoice")]
#[non_exhaustive]
pub enum Choice {
    /// Nothing yet: the question stays.
    #[default]
    Later,
    /// The entry is left out.
    Skip,
    /// The new one gets another name.
    KeepBoth,
    /// The new one takes the old one's place.
    Replace,
    /// What is in the directory goes into the one that is there.
    Merge,
}

impl Choice {
    /// All that there are.
    pub(crate) const ALL: [Choice; 5] = [Choice::Later, Choice::Skip, Choice::KeepBoth, Choice::Replace, Choice::Merge];

    pub(crate) fn resolution(self) -> Option<Resolution> {
        match self {
            Choice::Later => None,
            Choice::Skip => Some(Resolution::Skip),
            Choice::KeepBoth => Some(Resolution::KeepBoth),
            Choice::Replace => Some(Resolution::Replace),
            Choice::Merge => Some(Resolution::Merge),
        }
    }
}

/// Whether the contents of both sides of a conflict are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "FileopsSameness")]
#[non_exhaustive]
pub enum Sameness {
    /// Nobody has asked.
    #[default]
    Unknown,
    /// They are being read.
    Comparing,
    /// To the byte.
    Same,
    /// In a byte at least.
    Different,
    /// One could not be read.
    Failed,
}

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Question)]
    pub struct Question {
        /// What will be answered.
        #[property(get, set, builder(Choice::Later))]
        choice: Cell<Choice>,
        /// What a comparison found, as far as it was asked for.
        #[property(get, builder(Sameness::Unknown))]
        pub(super) sameness: Cell<Sameness>,
        pub(super) open: OnceCell<Open>,
        pub(super) operation: RefCell<glib::WeakRef<Operation>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Question {
        const NAME: &'static str = "FileopsQuestion";
        type Type = super::Question;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Question {}
}

glib::wrapper! {
    /// An open question of an operation: an element of [`Operation::questions`]. It leaves that list when it is answered.
    pub struct Question(ObjectSubclass<imp::Question>);
}

impl Question {
    fn new(open: &Open, operation: &glib::WeakRef<Operation>) -> Question {
        let question: Question = glib::Object::new();
        *question.imp().operation.borrow_mut() = operation.clone();
        assert!(question.imp().open.set(open.clone()).is_ok(), "it was just made");
        question
    }

    fn open(&self) -> &Open {
        self.imp().open.get().expect("a question is made with what is asked")
    }

    /// What it is called at the operation's inbox.
    pub fn id(&self) -> u64 {
        self.open().id
    }

    /// What is asked.
    pub fn asked(&self) -> &fileops::Question {
        &self.open().question
    }

    /// What it has in common with others that can be answered at once.
    pub fn kind(&self) -> QuestionKind {
        self.asked().kind()
    }

    /// The name of the entry that it is about, as it may be shown.
    pub fn name(&self) -> String {
        messages::name(self.asked().path())
    }

    /// The operation that asks, if it is still there.
    pub fn operation(&self) -> Option<Operation> {
        self.imp().operation.borrow().upgrade()
    }

    /// Both sides, if it is a conflict.
    pub(crate) fn conflict(&self) -> Option<&fileops::Conflict> {
        match self.asked() {
            fileops::Question::Conflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    /// The choices that fit, deciding later among them.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        let fits =
            |choice: &Choice| choice.resolution().is_none_or(|resolution| self.asked().allows(&resolution).is_ok());
        Choice::ALL.into_iter().filter(fits).collect()
    }

    /// Whether there is anything to compare: both are files or links, and size alone does not tell.
    pub(crate) fn may_be_same(&self) -> bool {
        self.conflict().is_some_and(|Conflict { source, target, .. }| {
            source.kind == target.kind && source.kind != EntryKind::Directory && source.size == target.size
        })
    }

    /// Finds out whether the contents are the same, on a thread of the core, and says so in `sameness`. What was asked
    /// before is not read again.
    pub async fn compare(&self) -> Sameness {
        let Some(conflict) = self.conflict() else { return Sameness::Unknown };
        let known = self.sameness();
        if !matches!(known, Sameness::Unknown | Sameness::Comparing) {
            return known;
        }
        let is_alike = conflict.source.kind == conflict.target.kind && conflict.source.kind != EntryKind::Directory;
        if !is_alike {
            return Sameness::Unknown;
        }
        self.set_sameness(Sameness::Comparing);
        let found = match conflict.compare().await {
            Ok(true) => Sameness::Same,
            Ok(false) => Sameness::Different,
            Err(_) => Sameness::Failed,
        };
        self.set_sameness(found);
        found
    }

    fn set_sameness(&self, sameness: Sameness) {
        if self.imp().sameness.replace(sameness) != sameness {
            self.notify_sameness();
        }
    }

    /// Answers it, or all that are like it.
    ///
    /// # Errors
    /// Why the answer does not fit; the question then stays open.
    pub fn answer(&self, resolution: Resolution, scope: Scope) -> Result<(), Unfit> {
        let operation = self.operation().ok_or(Unfit::NotOpen)?;
        let inbox = operation.inbox().ok_or(Unfit::NotOpen)?;
        let answered = inbox.answer(self.id(), resolution, scope);
        operation.imp().answered();
        answered
    }
}
