//! Metadata: attributes that other programs see and set, what is extracted from contents, and what stays with a file wherever
//! it goes.

mod attributes;
mod beside;
mod damage;
mod extraction;
mod faults;
mod interop;
mod samples;
mod trash;

use fileops::fs::Call;
use fileops_tests::Tree;

/// Waits for a call.
fn wait<T: Send + 'static>(call: Call<T>) -> fileops::Result<T> {
    fileops::block_on(call)
}

/// A tree on a file system that holds user attributes; nothing, and said, where the temporary directory is none.
fn tagged_tree(spec: &str) -> Option<Tree> {
    let tree = Tree::new(spec);
    match xattr::set(tree.root(), "user.probe", b"x").and_then(|()| xattr::remove(tree.root(), "user.probe")) {
        Ok(()) => Some(tree),
        Err(_) => None,
    }
}

/// Leaves the test where there are no user attributes.
macro_rules! tree {
    ($spec:expr) => {
        match crate::tagged_tree($spec) {
            Some(tree) => tree,
            None => fileops_tests::skip!("no user attributes in the temporary directory"),
        }
    };
}

pub(crate) use tree;
