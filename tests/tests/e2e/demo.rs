//! What `make demo` plays arrives to the last event and is reported as what it was, nearly always.

use kraiter_tests::demo::Demo;

use crate::ingest::now;
use crate::rewritten::Platform;

#[test]
fn a_simulated_campaign_is_counted_in_full_and_people_are_told_from_machines() {
    let platform = Platform::start("demo");
    let demo = Demo {
        recipients: 2_000,
        live: 5,
        now: now(),
        progress: &|_, _, _| (),
    };
    let report = demo.play(&platform.stack, &platform.api).unwrap();
    println!("{report}");
    assert_eq!(report.live, 10);
    let line = |what| report.lines.iter().find(|line| line.what == what).unwrap();
    for what in [
        "mails sent",
        "opens",
        "mails opened",
        "clicks",
        "mails clicked",
    ] {
        assert_eq!(line(what).reported, line(what).truth, "{what}");
    }
    let verified = platform.stack.backend.json(&["verify", "--json"]).unwrap();
    assert_eq!(verified["differences"], 0, "{verified}");
    let judged = ["reclassify", "--dry-run", "--json"];
    let judged = platform.stack.backend.json(&judged).unwrap();
    assert_eq!(judged["verdictsChanged"], 0, "{judged}");
    // So few recipients leave a scanner few neighbours to be known by.
    for (kind, all) in [("by people", "opens"), ("by people", "clicks")] {
        let after = report.lines.iter().skip_while(|line| line.what != all);
        let judged = after
            .skip(1)
            .find(|line| line.what.ends_with(kind))
            .unwrap();
        let off = judged.truth.abs_diff(judged.reported);
        assert!(off * 20 < line(all).truth, "{all} {judged:?}");
    }
}
