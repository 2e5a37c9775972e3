//! All conflicts of an operation at once: a row each, rules for many, applied when they are right.

use super::{conflict_dialog, guard};
use crate::operation::{self, Choice, Operation, Question, Sameness};
use crate::widgets::name_drop_down;
use crate::{a11y, messages};
use gtk::glib;
use gtk::glib::Properties;
use gtk::glib::subclass::InitializingObject;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use std::cell::OnceCell;

mod imp {
    use super::*;

    #[derive(Default, Properties, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/fileops/gtk/questions/conflict_page.ui")]
    #[properties(wrapper_type = super::ConflictPage)]
    pub struct ConflictPage {
        /// Whose conflicts are shown.
        #[property(get, construct_only)]
        operation: OnceCell<Operation>,
        pub(super) conflicts: OnceCell<gtk::FilterListModel>,

        #[template_child]
        content: TemplateChild<gtk::Box>,
        #[template_child]
        heading: TemplateChild<gtk::Label>,
        #[template_child]
        newer: TemplateChild<gtk::Button>,
        #[template_child]
        identical: TemplateChild<gtk::Button>,
        #[template_child]
        both: TemplateChild<gtk::Button>,
        #[template_child]
        none: TemplateChild<gtk::Button>,
        #[template_child]
        list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub(super) apply: TemplateChild<gtk::Button>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ConflictPage {
        const NAME: &'static str = "FileopsConflictPage";
        type Type = super::ConflictPage;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for ConflictPage {
        fn constructed(&self) {
            self.parent_constructed();
            let Some(operation) = self.operation.get() else { return };
            let is_conflict = gtk::CustomFilter::new(|item| {
                item.downcast_ref::<Question>().is_some_and(|question| question.conflict().is_some())
            });
            let conflicts = gtk::FilterListModel::new(Some(operation.questions()), Some(is_conflict));
            self.list.set_model(Some(&gtk::NoSelection::new(Some(conflicts.clone()))));
            self.list.set_factory(Some(&factory(&self.obj())));
            a11y::set_label(&*self.list, &messages::conflict_list());
            for button in [&self.newer, &self.identical, &self.both, &self.none, &self.apply] {
                a11y::name_by_content(&**button);
            }
            let page = self.obj();
            guard::on_click(&*page, &self.newer, |page| page.choose(newer));
            guard::on_click(&*page, &self.both, |page| page.choose(|_| Choice::KeepBoth));
            guard::on_click(&*page, &self.none, |page| page.choose(|_| Choice::Skip));
            guard::on_click(&*page, &self.identical, super::ConflictPage::skip_identical);
            guard::on_click(&*page, &self.apply, |page| page.operation().apply_choices());
            let weak = page.downgrade();
            conflicts.connect_items_changed(move |_, _, _, _| {
                if let Some(page) = weak.upgrade() {
                    page.imp().update();
                }
            });
            assert!(self.conflicts.set(conflicts).is_ok(), "a page is made once");
            self.update();
        }

        fn dispose(&self) {
            self.content.unparent();
        }
    }

    impl WidgetImpl for ConflictPage {}

    impl ConflictPage {
        pub(super) fn update(&self) {
            let Some(conflicts) = self.conflicts.get() else { return };
            let number = u64::from(conflicts.n_items());
            self.heading.set_label(&messages::conflicts(number));
            self.obj().set_visible(number > 0);
            let chosen = self.obj().questions().filter(|question| question.choice() != Choice::Later).count();
            self.apply.set_label(&messages::answers_button(chosen as u64));
            self.apply.set_sensitive(chosen > 0);
            a11y::name_by_content(&*self.apply);
        }
    }
}

widget! {
    /// All conflicts of an operation: a row each with both sides' facts and a choice, and rules that choose for many.
    /// Nothing is answered before "Apply"; what is to be decided later stays.
    ConflictPage
}

impl ConflictPage {
    /// Shows the conflicts of this operation, also those still to come.
    pub fn new(operation: &Operation) -> ConflictPage {
        glib::Object::builder().property("operation", operation).build()
    }

    /// The buttons that answer, to be inert while they are new.
    pub(super) fn answers(&self) -> gtk::Button {
        self.imp().apply.clone()
    }

    fn questions(&self) -> impl Iterator<Item = Question> {
        self.imp().conflicts.get().map(operation::all_in).unwrap_or_default().into_iter()
    }

    /// What does not fit one stays as it was.
    fn choose(&self, choice: impl Fn(&Question) -> Choice) {
        for question in self.questions() {
            let choice = choice(&question);
            if question.choices().contains(&choice) {
                question.set_choice(choice);
            }
        }
        self.imp().update();
    }

    /// Compares all that may be the same, one after the other, and chooses for each as soon as it is known.
    fn skip_identical(&self) {
        let page = self.downgrade();
        let questions: Vec<Question> = self.questions().filter(Question::may_be_same).collect();
        glib::spawn_future_local(async move {
            for question in questions {
                let found = question.compare().await;
                let Some(page) = page.upgrade() else { return };
                if found == Sameness::Same {
                    question.set_choice(Choice::Skip);
                    page.imp().update();
                }
            }
        });
    }
}

fn newer(question: &Question) -> Choice {
    let is_newer = question.conflict().is_some_and(fileops::Conflict::is_newer);
    if is_newer { Choice::Replace } else { Choice::Skip }
}

/// Rows are made for what is in sight, and used again for others.
fn factory(page: &ConflictPage) -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    let page = page.downgrade();
    factory.connect_setup(|_, item| {
        if let Some(item) = item.downcast_ref::<gtk::ListItem>() {
            item.set_activatable(false);
            // What is in a row is reached by itself; before GTK 4.12 the row is a stop on the way.
            #[cfg(feature = "v4_12")]
            item.set_focusable(false);
        }
    });
    factory.connect_bind(move |_, item| {
        let item = item.downcast_ref::<gtk::ListItem>();
        let question = item.and_then(|item| item.item()).and_downcast::<Question>();
        if let (Some(item), Some(question)) = (item, question) {
            let row = row(&question, &page);
            item.set_child(Some(&row));
            row.parent().iter().for_each(|parent| a11y::set_label(parent, &question.name()));
        }
    });
    factory
}

fn row(question: &Question, page: &glib::WeakRef<ConflictPage>) -> gtk::Box {
    let root = gtk::Box::builder().spacing(12).build();
    root.add_css_class("fileops-row");
    let Some(conflict) = question.conflict() else { return root };
    let (new, old) = (&conflict.source, &conflict.target);
    let image = gtk::Image::builder().gicon(&conflict_dialog::icon(new)).pixel_size(32).build();
    root.append(&image);

    let texts = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(3).hexpand(true).build();
    let name = question.name();
    let directory = messages::shown(old.path.parent().unwrap_or(&old.path));
    texts.append(&label(&name, &[], Some(&directory)));
    texts.append(&label(&messages::new_side(&conflict_dialog::facts(new, old)), &["fileops-small"], None));
    texts.append(&label(&messages::old_side(&conflict_dialog::facts(old, new)), &["fileops-small"], None));
    let sameness = label("", &["fileops-small", "dim-label"], None);
    let show = |label: &gtk::Label, question: &Question| {
        let text = messages::sameness(question.sameness());
        label.set_visible(!text.is_empty());
        label.set_label(&text);
    };
    show(&sameness, question);
    question.connect_sameness_notify({
        let sameness = sameness.downgrade();
        move |question| sameness.upgrade().into_iter().for_each(|label| show(&label, question))
    });
    texts.append(&sameness);
    root.append(&texts);
    root.append(&chooser(question, &name, page));
    if question.may_be_same() {
        let question = question.clone();
        glib::spawn_future_local(async move { question.compare().await });
    }
    root
}

fn label(text: &str, classes: &[&str], tooltip: Option<&str>) -> gtk::Label {
    let label = gtk::Label::builder().label(text).xalign(0.0).ellipsize(gtk::pango::EllipsizeMode::Middle).build();
    label.add_css_class("fileops-numbers");
    classes.iter().for_each(|class| label.add_css_class(class));
    label.set_tooltip_text(tooltip);
    label
}

fn chooser(question: &Question, name: &str, page: &glib::WeakRef<ConflictPage>) -> gtk::DropDown {
    let choices = question.choices();
    let texts: Vec<String> = choices.iter().copied().map(messages::choice).collect();
    let chooser = gtk::DropDown::from_strings(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    chooser.set_valign(gtk::Align::Center);
    name_drop_down(&chooser, &messages::choice_for(name));
    let select = {
        let choices = choices.clone();
        move |chooser: &gtk::DropDown, question: &Question| {
            let at = choices.iter().position(|choice| *choice == question.choice());
            chooser.set_selected(at.map_or(gtk::INVALID_LIST_POSITION, |at| at as u32));
        }
    };
    select(&chooser, question);
    question.connect_choice_notify({
        let chooser = chooser.downgrade();
        move |question| chooser.upgrade().into_iter().for_each(|chooser| select(&chooser, question))
    });
    let (question, page) = (question.downgrade(), page.clone());
    chooser.connect_selected_notify(move |chooser| {
        let choice = choices.get(chooser.selected() as usize).copied();
        if let (Some(question), Some(choice)) = (question.upgrade(), choice) {
            question.set_choice(choice);
        }
        if let Some(page) = page.upgrade() {
            page.imp().update();
        }
    });
    chooser
}
