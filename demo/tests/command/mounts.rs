//! `fileops net mounts`: what is mounted, with room and flags.

use crate::{Place, json_lines, of_kind, stderr, stdout};
use serde_json::{Value, json};
use std::process::{Command, Output};

/// The list, as seen where some shell commands have mounted things that nobody else sees. `None` where that is not allowed.
fn list_after(place: &Place, script: &str, args: &str) -> Option<Output> {
    let mut command = Command::new("unshare");
    place.prepare(&mut command);
    command.args(["--mount", "--propagation=private", "sh", "-ec"]);
    command.arg(format!("{script}\nexec \"$0\" net mounts {args}")).arg(env!("CARGO_BIN_EXE_fileops"));
    let is_allowed = Command::new("unshare").args(["--mount", "true"]).output().is_ok_and(|said| said.status.success());
    if !is_allowed {
        println!("skipped: this user may not mount anything");
        return None;
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    Some(output)
}

fn mount_at<'a>(mounts: &[&'a Value], point: &Value) -> &'a Value {
    mounts.iter().find(|mount| mount["point"] == *point).unwrap_or_else(|| panic!("{point} is not in {mounts:?}"))
}

#[test]
fn what_the_kernel_makes_up_is_listed_only_when_all_is_asked_for() {
    let place = Place::new();
    let (few, all) =
        (json_lines(&place.expect(0, "net mounts --json")), json_lines(&place.expect(0, "net mounts -a --json")));
    let (few, all) = (of_kind(&few, "mount"), of_kind(&all, "mount"));
    assert!(!few.iter().any(|mount| mount["type"] == "proc"), "{few:?}");
    assert_eq!(mount_at(&all, &json!("/proc"))["type"], "proc");
    let root = mount_at(&few, &json!("/"));
    assert_eq!(root["id"], mount_at(&all, &json!("/"))["id"]);
    let number = |name: &str| root[name].as_u64().unwrap();
    assert!(number("total") >= number("free") && number("free") >= number("available"), "{root}");
    assert!(number("total") > 0 && root["error"].is_null(), "{root}");
}

#[test]
fn a_table_has_a_line_for_each_mount_under_its_head() {
    let place = Place::new();
    let script = "mkdir a; mount -t tmpfs -o size=1m,ro source a";
    let Some(output) = list_after(&place, script, "") else { return };
    let text = stdout(&output);
    let head: Vec<_> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["SOURCE", "PLACE", "TYPE", "FREE", "SIZE", "FLAGS"]);
    let point = place.path("a").display().to_string();
    let row = text.lines().find(|line| line.contains(&point)).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells, ["source", &point, "tmpfs", "1.0", "MiB", "1.0", "MiB", "ro"]);
    let end = |line: &str, word: &str| line.rfind(word).unwrap() + word.len();
    assert_eq!(end(row, "MiB"), end(text.lines().next().unwrap(), "SIZE"), "numbers end below their head\n{text}");
}

#[test]
fn mounts_that_others_hide_are_listed_only_when_all_is_asked_for() {
    let place = Place::new();
    let script = "mkdir a; mount -t tmpfs -o size=1m below a; mount -t tmpfs -o size=2m over a";
    let Some(output) = list_after(&place, script, "--json") else { return };
    let point = json!(place.path("a"));
    let lines = json_lines(&output);
    let here = |mounts: &[&Value]| -> Vec<Value> {
        let here = mounts.iter().filter(|mount| mount["point"] == point);
        here.map(|mount| json!([mount["source"], mount["total"], mount["flags"]])).collect()
    };
    assert_eq!(here(&of_kind(&lines, "mount")), [json!(["over", 2 << 20, []])]);
    let Some(output) = list_after(&Place::new(), "true", "--json") else { return };
    assert!(here(&of_kind(&json_lines(&output), "mount")).is_empty(), "nobody else sees it");
    let script = "mount -t tmpfs -o size=1m below a; mount -t tmpfs -o size=2m over a";
    let Some(output) = list_after(&place, script, "--all --json") else { return };
    // No path leads to what is hidden, and so nobody can ask for its room.
    let hidden = [json!(["below", null, ["hidden"]]), json!(["over", 2 << 20, []])];
    assert_eq!(here(&of_kind(&json_lines(&output), "mount")), hidden);
}

#[test]
fn the_names_of_mounts_cannot_control_the_terminal() {
    let place = Place::new();
    let script = r#"name=$(printf 'a\033[31m\nb\377'); mkdir "$name"; mount -t tmpfs -o size=1m source "$name""#;
    let Some(output) = list_after(&place, script, "") else { return };
    let text = stdout(&output);
    let row = text.lines().find(|line| line.contains(r"/a\u{1b}[31m\nb\xff ")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains(" tmpfs ") && !text.contains('\u{1b}'));
    let script = script.replace("mkdir", ": mkdir");
    let Some(output) = list_after(&place, &script, "--json") else { return };
    let lines = json_lines(&output);
    let mounts = of_kind(&lines, "mount");
    let told = mounts.iter().find(|mount| !mount["point_bytes"].is_null()).expect("its bytes are told");
    assert!(told["point"].as_str().unwrap().ends_with(r"/a\u{1b}[31m\nb\xff"), "{told}");
    let bytes = told["point_bytes"].as_array().unwrap();
    assert_eq!(bytes.last_chunk::<3>().unwrap(), &[json!(b'\n'), json!(b'b'), json!(255)]);
}

#[test]
fn wrong_limits_are_wrong_usage() {
    let place = Place::new();
    place.expect(2, "net");
    place.expect(2, "net mounts --limit never");
    place.expect(2, "net mounts --limit=-1");
    place.expect(2, "net mounts --limit inf");
    place.expect(2, "net mounts a");
}
