//! What can be known before proving: traces and estimates.

use std::fs;

use serde_json::{Value, json};

use crate::support::{hex_of, loop_of, scratch, text, zkbpf};

#[test]
fn traces_are_pages_or_steps() {
    let looped = hex_of(&loop_of(3));
    let (page, steps) = (scratch("trace.html"), scratch("trace.json"));
    let run = ["trace", "--raw-hex", &looped, "--json", "-o"];
    let done = zkbpf(&[&run[..], &[text(&page)]].concat()).expect(0).json();
    for (field, value) in [("steps", 9), ("compute_units", 9), ("chunks", 1)] {
        assert_eq!(done[field], value, "{field}");
    }
    assert_eq!(
        (&done["outcome"], &done["r0"]),
        (&json!("halt"), &json!("0x0"))
    );
    let html = fs::read_to_string(&page).expect("written");
    assert_eq!(done["bytes"].as_u64(), Some(html.len() as u64));
    assert!(html.starts_with("<!doctype html>") && html.contains("r1 += -0x1"));

    zkbpf(&[&run[..], &[text(&steps)]].concat()).expect(0);
    let file: Value = serde_json::from_slice(&fs::read(&steps).expect("written")).expect("JSON");
    assert_eq!(file["program_id"], done["program_id"]);
    let slots: Vec<u64> = file["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["pc"].as_u64().expect("a slot"))
        .collect();
    assert_eq!(slots, [0, 1, 2, 1, 2, 1, 2, 3, 4]);
    assert_eq!(file["steps"][1]["op"], "add64");
    assert_eq!(file["steps"][1]["result"], "0x2");

    let other = scratch("trace.txt");
    let refused = zkbpf(&[&run[..], &[text(&other)]].concat()).expect(2);
    assert!(
        refused.stderr.contains(".html or .json"),
        "{}",
        refused.stderr
    );
}

/// An estimate is exact where it can be, and knows what it needs of memory.
#[test]
fn estimates_are_what_is_proved() {
    let looped = hex_of(&loop_of(40));
    let file = scratch("estimated.proof");
    let keys = scratch("estimated.keys");
    let keys = &["--insecure-test-srs", "--cache-dir", text(&keys)];
    let run = ["--raw-hex", &looped, "--k", "10", "--chunk-size", "60"];
    let ask = |more: &[&str]| zkbpf(&[&["estimate"], &run[..], keys, &["--json"], more].concat());
    // Nothing is known of this machine: a small chunk is proved first.
    let estimate = ask(&["--mode", "sequential"]).expect(0).json();
    assert_eq!(estimate["k"], 10);
    assert!(estimate["chunks"].as_u64() > Some(1), "{estimate}");
    assert_eq!(estimate["at_once"], 1);
    for field in ["prove_seconds", "cpu_seconds"] {
        assert!(estimate[field].as_f64() > Some(0.0), "{estimate}");
    }
    let prove = ["prove", "-o", text(&file), "--json", "--mode", "sequential"];
    let proved = zkbpf(&[&prove, &run[..], keys].concat()).expect(0).json();
    for field in ["chunks", "k", "steps", "proof_bytes", "program_id"] {
        assert_eq!(estimate[field], proved[field], "{field}");
    }

    // One after another takes less memory than all at once; a budget for one allows no more.
    let needed = estimate["memory_bytes"].as_u64().expect("a number");
    let parallel = ask(&["--mode", "parallel", "--threads", "3"])
        .expect(0)
        .json();
    assert!(
        parallel["memory_bytes"].as_u64() > Some(needed),
        "{parallel}"
    );
    assert!(parallel["at_once"].as_u64() > Some(1), "{parallel}");
    let budget = (needed + needed / 4).to_string();
    let bounded = [
        "--mode",
        "parallel",
        "--threads",
        "3",
        "--memory-budget",
        &budget,
    ];
    let bounded = ask(&bounded).expect(0).json();
    assert_eq!(bounded["at_once"], 1);
    assert_eq!(bounded["memory_bytes"], needed);
    for verb in [&["estimate"][..], &["prove", "-o", text(&file)]] {
        let small = ["--memory-budget", "1000000"];
        let refused = zkbpf(&[verb, &run[..], keys, &small].concat()).expect(4);
        assert!(
            refused.stderr.contains("bytes of memory"),
            "{}",
            refused.stderr
        );
    }
}
