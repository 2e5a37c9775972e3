//! The power fails right after a durable copy was said to be done.

use std::path::Path;

use fileops::{Durability, OnConflict};
use fileops_tests::tree::make;
use fileops_tests::{Mount, Tree, alone, assert_same_tree, require_command, require_root};

use crate::{fill, finish};

fn survives(mount: &Mount) {
    let many: String = (0..200).map(|n| format!("top/{}/{n}#{} ", n % 7, n * 90)).collect();
    let source = Tree::new(&format!("{many} top/link->0/0 top/0/same=>top/0/7 single#70000 old=new"));
    fill(&source.path("large"), 20);
    make(mount.path(), "old=old merged/");
    let all = ["top", "single", "large", "old"].map(|name| source.path(name));
    let copy = fileops::copy(all, mount.path()).on_conflict(OnConflict::Replace).durability(Durability::Device);
    assert!(finish(copy.start()).is_complete());
    mount.fail_power().expect("the power fails, and comes back");
    for name in ["top", "single", "large", "old"] {
        assert_same_tree(source.path(name), mount.path().join(Path::new(name)));
    }
}

#[test]
fn a_power_cut_after_a_durable_copy_to_ext4_costs_nothing() {
    alone!();
    require_root!();
    require_command!("mkfs.ext4", "xfs_io");
    survives(&Mount::ext4(200).expect("mounted"));
}

#[test]
fn a_power_cut_after_a_durable_copy_to_xfs_costs_nothing() {
    alone!();
    require_root!();
    require_command!("mkfs.xfs", "xfs_io");
    survives(&Mount::xfs(400).expect("mounted"));
}
