//! What is on the device, what was compared, and how fast it may go.

use super::{Place, json_lines, of_kind, stderr};

#[test]
fn progress_and_report_tell_what_is_on_the_device_and_what_was_compared() {
    let place = Place::new();
    place.file("from/a", "hello");
    let lines = json_lines(&place.expect(0, "copy --durable --verify --json from to"));
    let report = of_kind(&lines, "report")[0];
    let verified = &report["verified"];
    let files = verified["from_device"]["files"].as_u64().unwrap() + verified["read_back"]["files"].as_u64().unwrap();
    assert_eq!((files, report["resumed"].as_u64()), (1, Some(0)), "{report}");
    let progress = of_kind(&lines, "progress");
    assert!(progress.iter().all(|progress| progress["bytes_on_device"].is_u64()), "{progress:?}");
    let told = stderr(&place.expect(0, "copy -v --verify from again"));
    assert!(told.contains("verified: 1 file (5 B)"), "{told}");
}

#[test]
fn a_rate_that_is_none_is_wrong_usage() {
    let place = Place::new();
    place.file("from", "hello");
    for rate in ["fast", "-1M", "1e9"] {
        let output = place.expect(2, &format!("copy --bwlimit={rate} from to"));
        assert!(stderr(&output).contains("KiB, MiB, GiB"), "{}", stderr(&output));
        assert!(!place.exists("to"));
    }
    place.expect(0, "copy --bwlimit=10M from to");
}
