//! `cxtract repair`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::running::PATIENCE;
use crate::support::{Place, code, err, out};

const BROKEN: &str = "id,name,note\n1,a,b\n2,bro\nken,c\n3,a,b,c\n4,d,e\n";

#[test]
fn c2_a_repair_joins_what_is_certain_and_sets_the_rest_aside() {
    let place = Place::empty();
    place.write("in.csv", BROKEN);
    let repair = place.run(&["repair", "in.csv", "out.csv"]);
    assert_eq!((code(&repair), out(&repair)), (1, String::new()));
    assert!(err(&repair).starts_with("3 records, 1 joined, 1 rejected\n"), "{}", err(&repair));
    assert_eq!(place.read("out.csv"), "id,name,note\n1,a,b\n2,\"bro\nken\",c\n4,d,e\n");
    assert!(place.read("out.csv.rejects.csv").ends_with(",\"3,a,b,c\"\n"));
    assert!(place.read("out.csv.repairs.jsonl").starts_with("{\"page\":1,\"record\":3,\"line\":3,"));
    assert_eq!(code(&place.run(&["verify", "out.csv"])), 0);

    let told: serde_json::Value =
        serde_json::from_str(&out(&place.run(&["repair", "in.csv", "out.csv", "--json"]))).unwrap();
    assert_eq!((&told["rows"], &told["joined"], &told["rejected"]), (&3.into(), &1.into(), &1.into()));
    assert_eq!((&told["ok"], &told["rejects"]), (&false.into(), &"out.csv.rejects.csv".into()));

    let again = place.run(&["repair", "out.csv", "again.csv"]);
    assert_eq!(code(&again), 0, "{}", err(&again));
    assert_eq!(place.read("again.csv"), place.read("out.csv"));
    assert!(!place.path("again.csv.rejects.csv").exists() && !place.path("again.csv.repairs.jsonl").exists());
}

#[test]
fn what_makes_no_sense_exits_2_and_what_can_not_be_read_exits_1() {
    let place = Place::empty();
    place.write("in.csv", BROKEN);
    for (arguments, exit, told) in [
        (&["repair", "in.csv"][..], 2, "OUT"),
        (&["repair", "in.csv", "./in.csv"], 2, "to be read"),
        (&["repair", "none.csv", "out.csv"], 1, "none.csv can't be read"),
        (&["repair", "in.csv", "none/out.csv"], 1, "none/out.csv can't be written"),
        (&["repair", ".", "out.csv"], 1, "directory"),
    ] {
        let repair = place.run(arguments);
        assert_eq!(code(&repair), exit, "{arguments:?}: {}", err(&repair));
        assert!(err(&repair).contains(told), "{arguments:?}: {}", err(&repair));
    }
    assert!(!place.path("out.csv").exists() && !place.path("out.csv.part").exists());
    assert_eq!(place.read("in.csv"), BROKEN);
}

/// Whether the process has that file open, by which it has also begun to listen for signals.
#[cfg(target_os = "linux")]
fn has_open(process: u32, file: &Path) -> bool {
    let Ok(handles) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    handles.flatten().any(|handle| fs::read_link(handle.path()).is_ok_and(|path| path == file))
}

#[cfg(target_os = "linux")]
#[test]
fn k2_a_signal_ends_a_repair_and_leaves_nothing_under_any_name() {
    for (signal, exit) in [("-INT", 130), ("-TERM", 143)] {
        let place = Place::empty();
        // A hole takes no room and far longer to read than this test takes.
        File::create(place.path("in.csv")).unwrap().set_len(1 << 40).unwrap();
        place.write("out.csv", "as it was");
        let input = place.path("in.csv").canonicalize().unwrap();
        let mut repair = place.command(&["repair", "in.csv", "out.csv"]).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while !has_open(repair.id(), &input) {
            assert!(start.elapsed() < PATIENCE, "it does not open its input");
            assert!(repair.try_wait().unwrap().is_none(), "it ended before it was told to");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([signal, &repair.id().to_string()]).status().unwrap().success());
        assert_eq!(repair.wait().unwrap().code(), Some(exit), "{signal}");
        let mut names: Vec<_> =
            fs::read_dir(input.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["in.csv", "out.csv"]);
        assert_eq!(place.read("out.csv"), "as it was");
    }
}
