//! The directories of a watched tree: which watch is whose, and what their names are by now.

use crate::sys::inotify::Watch;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) type Node = u64;

/// The watched directory itself.
pub(super) const TOP: Node = 0;

#[derive(Default)]
pub(super) struct Tree {
    nodes: HashMap<Node, Directory>,
    by_watch: HashMap<Watch, Node>,
    next: Node,
}

struct Directory {
    /// `None` for the top, and for what has left its name and has no other yet.
    parent: Option<Node>,
    name: CString,
    watch: Watch,
    children: HashMap<CString, Node>,
}

impl Tree {
    pub(super) fn has(&self, node: Node) -> bool {
        self.nodes.contains_key(&node)
    }

    pub(super) fn at(&self, watch: Watch) -> Option<Node> {
        self.by_watch.get(&watch).copied()
    }

    pub(super) fn watch(&self, node: Node) -> Option<Watch> {
        self.nodes.get(&node).map(|directory| directory.watch)
    }

    pub(super) fn child(&self, node: Node, name: &CString) -> Option<Node> {
        self.nodes.get(&node)?.children.get(name).copied()
    }

    /// Adds the top, or a directory in one that is there.
    pub(super) fn add(&mut self, parent: Option<Node>, name: CString, watch: Watch) -> Node {
        // A number is never given again: some who have left are still asked for.
        self.next += 1;
        let node = if parent.is_none() { TOP } else { self.next };
        self.by_watch.insert(watch, node);
        let directory = Directory { parent, name: name.clone(), watch, children: HashMap::new() };
        self.nodes.insert(node, directory);
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            parent.children.insert(name, node);
        }
        node
    }

    /// Takes a directory out of the one it is in, with all that is below.
    pub(super) fn detach(&mut self, node: Node) {
        let Some(directory) = self.nodes.get_mut(&node) else { return };
        let (parent, name) = (directory.parent.take(), directory.name.clone());
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            if parent.children.get(&name) == Some(&node) {
                parent.children.remove(&name);
            }
        }
    }

    /// Gives it a name.
    pub(super) fn attach(&mut self, node: Node, parent: Node, name: CString) {
        self.detach(node);
        let Some(directory) = self.nodes.get_mut(&node) else { return };
        directory.parent = Some(parent);
        directory.name.clone_from(&name);
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children.insert(name, node);
        }
    }

    /// Forgets a directory and all below it. Gives their watches.
    pub(super) fn remove(&mut self, node: Node) -> Vec<Watch> {
        self.detach(node);
        let (mut watches, mut rest) = (Vec::new(), vec![node]);
        while let Some(node) = rest.pop() {
            if let Some(directory) = self.nodes.remove(&node) {
                rest.extend(directory.children.into_values());
                if self.by_watch.get(&directory.watch) == Some(&node) {
                    self.by_watch.remove(&directory.watch);
                    watches.push(directory.watch);
                }
            }
        }
        watches
    }

    /// Names from the top down; `None` for what has no place just now.
    pub(super) fn way(&self, node: Node) -> Option<Vec<CString>> {
        let (mut names, mut at) = (Vec::new(), node);
        while at != TOP {
            let directory = self.nodes.get(&at)?;
            names.push(directory.name.clone());
            at = directory.parent?;
        }
        names.reverse();
        self.has(TOP).then_some(names)
    }

    /// The first directory above: the top, or one that has no place just now.
    pub(super) fn first_above(&self, mut node: Node) -> Node {
        while let Some(parent) = self.nodes.get(&node).and_then(|directory| directory.parent) {
            node = parent;
        }
        node
    }

    /// For each name on the way up, the watch of the directory it is in.
    pub(super) fn names_above(&self, mut node: Node) -> Vec<(Watch, CString)> {
        let mut all = Vec::new();
        while let Some(directory) = self.nodes.get(&node) {
            let Some((parent, above)) = directory.parent.and_then(|parent| Some((parent, self.nodes.get(&parent)?)))
            else {
                break;
            };
            all.push((above.watch, directory.name.clone()));
            node = parent;
        }
        all
    }

    /// The directory at a path below the top, if it is watched.
    pub(super) fn find(&self, below: &Path) -> Option<Node> {
        let mut node = Some(TOP).filter(|top| self.has(*top));
        for name in below.components() {
            node = self.child(node?, &CString::new(name.as_os_str().as_bytes()).ok()?);
        }
        node
    }
}

/// A path with the names that lead on from it.
pub(super) fn join(path: &Path, names: &[CString]) -> PathBuf {
    let mut path = path.to_owned();
    path.extend(names.iter().map(|name| OsStr::from_bytes(name.to_bytes())));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CString {
        CString::new(text).unwrap()
    }

    #[test]
    fn a_directory_that_moves_takes_what_is_below_along() {
        let mut tree = Tree::default();
        let top = tree.add(None, CString::default(), 1);
        let a = tree.add(Some(top), name("a"), 2);
        let b = tree.add(Some(a), name("b"), 3);
        let c = tree.add(Some(top), name("c"), 4);
        assert_eq!(join(Path::new("/t"), &tree.way(b).unwrap()), Path::new("/t/a/b"));
        tree.detach(a);
        assert_eq!((tree.way(b), tree.find(Path::new("a"))), (None, None));
        tree.attach(a, c, name("d"));
        assert_eq!(join(Path::new("/t"), &tree.way(b).unwrap()), Path::new("/t/c/d/b"));
        assert_eq!(tree.find(Path::new("c/d/b")), Some(b));
        let mut gone = tree.remove(c);
        gone.sort_unstable();
        assert_eq!((gone, tree.at(3), tree.at(1)), (vec![2, 3, 4], None, Some(TOP)));
    }
}
