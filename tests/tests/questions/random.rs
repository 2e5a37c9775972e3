//! Random answers, in random order, while the rest is copied: the tree is the one that the rules say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fileops::{OnConflict, Open, QuestionKind, Resolution, Scope, copy_as};
use fileops_tests::Tree;
use fileops_tests::tree::make;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::{end, wait_until};

/// What is under a name at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Nothing,
    File,
    Same,
    Link,
    Dir,
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        1 => Just(Thing::Nothing),
        3 => Just(Thing::File),
        1 => Just(Thing::Same),
        1 => Just(Thing::Link),
        1 => Just(Thing::Dir)
    ]
}

/// How a name is spelled for `make` at one end.
fn spelled(at: &str, name: &str, thing: Thing) -> String {
    match thing {
        Thing::Nothing => String::new(),
        Thing::File => format!("{at}/{name}={at} "),
        Thing::Same => format!("{at}/{name}=same "),
        Thing::Link => format!("{at}/{name}->{at} "),
        Thing::Dir => format!("{at}/{name}/in-{at}={at} "),
    }
}

/// One of the answers that fit, by chance.
fn chosen(open: &Open, chance: u8) -> Resolution {
    let name = open.question.path().file_name().unwrap().to_str().unwrap();
    let all = [
        Resolution::Skip,
        Resolution::KeepBoth,
        Resolution::Rename(format!("{name}-given").into()),
        Resolution::Replace,
        Resolution::Different,
    ];
    let count = if open.question.kind() == QuestionKind::Replace { 5 } else { 3 };
    all[usize::from(chance) % count].clone()
}

/// What the rules make of two things and an answer, in the words of `make`.
fn expected(name: &str, source: Thing, target: Thing, answer: Option<&Resolution>) -> String {
    let new = |name: &str| spelled("from", name, source).replace("from/", "to/");
    let old = spelled("to", name, target);
    match (source, target, answer) {
        (Thing::Nothing, ..) => old,
        (_, Thing::Nothing, _) => new(name),
        (Thing::Dir, Thing::Dir, None) => format!("{old}{}", new(name)),
        (.., Some(Resolution::Skip)) => old,
        (.., Some(Resolution::KeepBoth)) => format!("{old}{}", new(&format!("{name}\\s(2)"))),
        (.., Some(Resolution::Rename(_))) => format!("{old}{}", new(&format!("{name}-given"))),
        (.., Some(Resolution::Replace)) => new(name),
        (Thing::Same, Thing::Same, Some(Resolution::Different)) => old,
        (.., Some(Resolution::Different)) => new(name),
        other => panic!("{other:?} was not asked"),
    }
}

fn check(things: &[(Thing, Thing)], chances: &[u8], order: &[u8]) {
    let tree = Tree::new("from/dir/ to/dir/");
    let name = |number: usize| if number % 2 == 0 { format!("{number}") } else { format!("dir/{number}") };
    for (number, &(source, target)) in things.iter().enumerate() {
        make(tree.root(), &spelled("from", &name(number), source));
        make(tree.root(), &spelled("to", &name(number), target));
    }
    let source = things.iter().enumerate().map(|(number, &(source, _))| spelled("from", &name(number), source));
    let source = format!("from/dir/ {}", source.collect::<String>());
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let mut answers = BTreeMap::new();
    let mut order = order.iter().cycle();
    loop {
        wait_until(|| operation.is_done() || !operation.questions().is_empty());
        let questions = operation.questions();
        if questions.is_empty() {
            break;
        }
        let open = &questions[usize::from(*order.next().unwrap()) % questions.len()];
        let relative = open.question.path().strip_prefix(tree.path("from")).unwrap().to_owned();
        let number: usize = relative.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let answer = chosen(open, chances[number % chances.len()]);
        operation.answer(open.id, answer.clone(), Scope::This).unwrap();
        assert!(answers.insert(number, answer).is_none(), "asked twice about {}", relative.display());
    }
    let report = end(operation);
    let target = things
        .iter()
        .enumerate()
        .map(|(number, &(source, target))| expected(&name(number), source, target, answers.get(&number)));
    let target = format!("to/dir/ {}", target.collect::<String>());
    tree.assert(&format!("{source} {target}"));
    let is_skip = |(number, answer): (&usize, &Resolution)| match answer {
        Resolution::Skip => true,
        Resolution::Different => things[*number] == (Thing::Same, Thing::Same),
        _ => false,
    };
    assert_eq!(report.skipped.len(), answers.iter().filter(|pair| is_skip(*pair)).count());
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(
        fs::read_dir(tree.path("to")).unwrap().filter(|entry| is_stage(&entry.as_ref().unwrap().path())).count(),
        0
    );
}

fn is_stage(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".fileops"))
}

proptest! {
    #![proptest_config(Config { cases: 40, failure_persistence: None, ..Config::default() })]

    #[test]
    fn random_answers_in_random_order_lead_to_the_tree_that_the_rules_say(
        things in prop::collection::vec((thing(), thing()), 1..24),
        chances in prop::collection::vec(any::<u8>(), 7),
        order in prop::collection::vec(any::<u8>(), 5),
    ) {
        check(&things, &chances, &order);
    }
}
