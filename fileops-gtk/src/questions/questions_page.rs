//! What failed and waits: try again, leave out, and what exactly happened to which path.

use super::guard;
use crate::operation::{self, Operation, Question};
use crate::{a11y, messages};
use fileops::{QuestionKind, Resolution, Scope};
use gtk::glib;
use gtk::glib::Properties;
use gtk::glib::subclass::InitializingObject;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::OnceCell;

/// In the order in which they stand beside each other. Those that a question does not allow are left out.
const ANSWERS: [Resolution; 9] = [
    Resolution::Retry,
    Resolution::RetryWithRights,
    Resolution::Anyway,
    Resolution::Delete,
    Resolution::Merge,
    Resolution::Replace,
    Resolution::KeepBoth,
    Resolution::Skip,
    Resolution::Stop,
];

mod imp {
    use super::*;

    #[derive(Default, Properties, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/fileops/gtk/questions/questions_page.ui")]
    #[properties(wrapper_type = super::QuestionsPage)]
    pub struct QuestionsPage {
        /// Whose failures are shown.
        #[property(get, construct_only)]
        operation: OnceCell<Operation>,
        pub(super) problems: OnceCell<gtk::FilterListModel>,

        #[template_child]
        content: TemplateChild<gtk::Box>,
        #[template_child]
        heading: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) retry_all: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) skip_all: TemplateChild<gtk::Button>,
        #[template_child]
        list: TemplateChild<gtk::ListView>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for QuestionsPage {
        const NAME: &'static str = "FileopsQuestionsPage";
        type Type = super::QuestionsPage;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for QuestionsPage {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(operation) = self.operation.get() else { return };
            let is_problem = gtk::CustomFilter::new(|item| {
                item.downcast_ref::<Question>().is_some_and(|question| question.conflict().is_none())
            });
            let problems = gtk::FilterListModel::new(Some(operation.questions()), Some(is_problem));
            self.list.set_model(Some(&gtk::NoSelection::new(Some(problems.clone()))));
            self.list.set_factory(Some(&factory()));
            a11y::set_label(&*self.list, &messages::problem_list());
            a11y::name_by_content(&*self.retry_all);
            a11y::name_by_content(&*self.skip_all);
            let page = self.obj();
            guard::on_click(&*page, &self.retry_all, |page| page.answer_all(&Resolution::Retry));
            guard::on_click(&*page, &self.skip_all, |page| page.answer_all(&Resolution::Skip));
            let weak = page.downgrade();
            problems.connect_items_changed(move |_, _, _, _| {
                if let Some(page) = weak.upgrade() {
                    page.imp().update();
                }
            });
            assert!(self.problems.set(problems).is_ok(), "a page is made once");
            self.update();
        }

        fn dispose(&self) {
            self.content.unparent();
        }
    }

    impl WidgetImpl for QuestionsPage {}

    impl QuestionsPage {
        fn update(&self) {
            let Some(problems) = self.problems.get() else { return };
            let number = problems.n_items();
            self.heading.set_label(&messages::problems(number.into()));
            self.obj().set_visible(number > 0);
        }
    }
}

widget! {
    /// What failed in an operation and waits for an answer, while everything else goes on: a row each, to be tried again or
    /// left out, with the kernel's answer and the full path to be copied.
    QuestionsPage
}

impl QuestionsPage {
    /// Shows the failures of this operation, also those still to come.
    pub fn new(operation: &Operation) -> QuestionsPage {
        glib::Object::builder().property("operation", operation).build()
    }

    /// The buttons that answer for all, to be inert while they are new.
    pub(super) fn answers(&self) -> [gtk::Button; 2] {
        [self.imp().retry_all.clone(), self.imp().skip_all.clone()]
    }

    /// All that are open now; later ones are asked again.
    fn answer_all(&self, resolution: &Resolution) {
        let all = self.imp().problems.get().map(operation::all_in).unwrap_or_default();
        self.operation().answer_each(all.iter(), resolution);
    }
}

fn factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_bind(move |_, item| {
        let item = item.downcast_ref::<gtk::ListItem>();
        let question = item.and_then(|item| item.item()).and_downcast::<Question>();
        if let (Some(item), Some(question)) = (item, question) {
            item.set_activatable(false);
            let row = row(&question);
            item.set_child(Some(&row));
            row.parent().iter().for_each(|parent| a11y::set_label(parent, &question.name()));
        }
    });
    factory
}

fn row(question: &Question) -> gtk::Box {
    let root = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(6).build();
    root.add_css_class("fileops-row");
    let (title, reason, details) = texts(question);
    root.append(&label(&title, &[]));
    if !reason.is_empty() {
        root.append(&label(&reason, &["fileops-small", "dim-label"]));
    }
    let path = messages::shown(question.asked().path());
    root.append(&expander(&title, &path, &details));
    root.append(&buttons(question));
    root
}

/// What happened, why, and the kernel's answer.
fn texts(question: &Question) -> (String, String, String) {
    let of = |title: String, error: &fileops::Error| (title, messages::reason(error), messages::errno(error));
    match question.asked() {
        fileops::Question::Failure(failure) => {
            let error = &failure.error;
            of(messages::failure(error.action, &messages::name(&error.path)), error)
        }
        fileops::Question::MediumGone(error) => of(messages::medium_gone(), error),
        fileops::Question::NoTrash(error) | fileops::Question::Changed(error) => {
            of(messages::failure(error.action, &messages::name(&error.path)), error)
        }
        _ => (question.name(), String::new(), String::new()),
    }
}

fn label(text: &str, classes: &[&str]) -> gtk::Label {
    let label = gtk::Label::builder().label(text).xalign(0.0).wrap(true).max_width_chars(60).build();
    label.set_wrap_mode(gtk::pango::WrapMode::WordChar);
    classes.iter().for_each(|class| label.add_css_class(class));
    label
}

/// The full path and the kernel's answer, to be read, selected and copied.
fn expander(title: &str, path: &str, errno: &str) -> gtk::Expander {
    let text = if errno.is_empty() { path.to_owned() } else { messages::details(path, errno) };
    let details = gtk::Box::builder().spacing(6).build();
    let shown = label(&text, &["fileops-small", "monospace"]);
    shown.set_selectable(true);
    shown.set_hexpand(true);
    a11y::set_label(&shown, &text);
    let copy = gtk::Button::from_icon_name("edit-copy-symbolic");
    copy.set_valign(gtk::Align::Start);
    copy.set_tooltip_text(Some(&messages::copy_path()));
    a11y::set_label(&copy, &messages::about(&messages::copy_path(), path));
    let path = path.to_owned();
    copy.connect_clicked(move |copy| copy.clipboard().set_text(&path));
    details.append(&shown);
    details.append(&copy);
    let expander = gtk::Expander::builder().label(messages::show_details()).child(&details).build();
    a11y::set_label(&expander, &messages::about(&messages::show_details(), title));
    expander
}

fn buttons(question: &Question) -> gtk::Box {
    let buttons = gtk::Box::builder().spacing(6).build();
    for resolution in ANSWERS {
        // One that fails because of rights can always be stopped from the list of operations.
        let is_elsewhere = resolution == Resolution::Stop && question.kind() == QuestionKind::Failure;
        let Some(name) = messages::answer(&resolution).filter(|_| !is_elsewhere) else { continue };
        if question.asked().allows(&resolution).is_err() {
            continue;
        }
        let button = gtk::Button::with_mnemonic(&name);
        if resolution == Resolution::Delete {
            button.add_css_class("destructive-action");
        }
        a11y::set_label_instead_of_text(&button, &messages::about(&name.replace('_', ""), &question.name()));
        guard::on_click(&button, &button, {
            let question = question.clone();
            move |_| {
                // What is not taken stays to be asked.
                let _ = question.answer(resolution.clone(), Scope::This);
            }
        });
        buttons.append(&button);
    }
    buttons
}
