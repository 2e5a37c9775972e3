//! The same program on each executor. None of them is told anything about fileops.

use std::fs;
use std::path::PathBuf;
use std::pin::pin;

use fileops::{Outcome, Phase, Pool, TaskError};
use fileops_tests::{Tree, assert_same_tree};

/// What a program does with the library, on whatever polls it.
async fn program(root: PathBuf) {
    let pool = Pool::global();
    let file = root.join("a/file");
    let length = pool.run_at(file.clone(), move || fs::metadata(file).map(|file| file.len()));
    assert_eq!(length.await.unwrap().unwrap(), 5);
    let tasks: Vec<_> = (0..100_u32).map(|number| pool.run(move || number)).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 4950);
    let panicked = pool.run(|| panic!("this panic is part of the test")).await;
    assert_eq!(panicked, Err::<(), _>(TaskError::Panicked("this panic is part of the test".to_owned())));

    let awaited = fileops::copy([root.join("a")], root.join("b")).await.into_result().unwrap().report;
    let mut operation = pin!(fileops::copy([root.join("a")], root.join("c")).start());
    let started = operation.as_mut().await;
    assert_eq!((awaited.entries, started.entries, started.outcome), (4, 4, Outcome::Done));
    assert_eq!(operation.progress().phase, Phase::Done);
    assert_eq!(fileops::measure([root.join("b/a"), root.join("c/a")]).await.entries, 8);
}

fn tree() -> Tree {
    Tree::new("a/file=hello a/sub/link->../file b/ c/")
}

fn check(tree: &Tree) {
    assert_same_tree(tree.path("a"), tree.path("b/a"));
    assert_same_tree(tree.path("a"), tree.path("c/a"));
}

#[test]
fn fileops_block_on_runs_it() {
    let tree = tree();
    fileops::block_on(program(tree.root().to_owned()));
    check(&tree);
}

#[test]
fn futures_block_on_runs_it() {
    let tree = tree();
    futures_executor::block_on(program(tree.root().to_owned()));
    check(&tree);
}

#[test]
fn a_tokio_runtime_of_one_thread_runs_it_without_a_reactor() {
    let tree = tree();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(program(tree.root().to_owned()));
    check(&tree);
}

#[test]
fn a_tokio_runtime_of_many_threads_runs_it_as_tasks() {
    let trees: Vec<_> = (0..3).map(|_| tree()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let running: Vec<_> = trees.iter().map(|tree| runtime.spawn(program(tree.root().to_owned()))).collect();
    for task in running {
        runtime.block_on(task).unwrap();
    }
    trees.iter().for_each(check);
}

#[test]
fn glibs_main_context_runs_it() {
    #[cfg(not(feature = "glib"))]
    fileops_tests::skip!("built without GLib, whose development files were not found");
    #[cfg(feature = "glib")]
    {
        let tree = tree();
        glib::MainContext::new().block_on(program(tree.root().to_owned()));
        check(&tree);
    }
}

#[test]
fn glibs_main_loop_runs_it_beside_its_other_sources() {
    #[cfg(not(feature = "glib"))]
    fileops_tests::skip!("built without GLib, whose development files were not found");
    #[cfg(feature = "glib")]
    {
        let tree = tree();
        // Sources of this kind are only for the context that is the default one, which no other test uses.
        let context = glib::MainContext::default();
        let main = glib::MainLoop::new(Some(&context), false);
        let ticks = std::rc::Rc::new(std::cell::Cell::new(0));
        let (count, quit, root) = (ticks.clone(), main.clone(), tree.root().to_owned());
        let idle = glib::source::idle_add_local_full(glib::Priority::LOW, move || {
            count.set(count.get() + 1);
            glib::ControlFlow::Continue
        });
        let _owner = context.acquire().unwrap();
        context.spawn_local(async move {
            program(root).await;
            quit.quit();
        });
        main.run();
        idle.remove();
        check(&tree);
        assert!(ticks.get() > 0, "the loop did nothing else");
    }
}
