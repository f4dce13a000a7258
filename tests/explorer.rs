//! The page that shows a run, in a real browser: Debian's Chromium, driven by npm's playwright-core. Without
//! them, and where they cannot be installed, it says so and does nothing.
#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod asm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use asm::{EXIT, Fields, bytecode};
use serde_json::Value;
use zkbpf::explorer::{FailedConstraint, page};
use zkbpf::testing::{Check, NotProvable};
use zkbpf::zk_circuits::{Cell, Plan};
use zkbpf::{ExecutionTrace, Input, LoadOptions, Program, Shape, Tracer};

const PLAYWRIGHT: &str = "playwright-core@1.64.1";
const SHA256: &[u8] = include_bytes!("../examples/programs/sha256.o");

/// Runs a command; what it wrote, or why it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{command:?}: {}", text(&output.stderr).trim())),
    }
}

/// Chromium, and a directory with playwright-core: found or installed once, whichever test comes first.
fn browser() -> Result<(PathBuf, PathBuf), String> {
    static FOUND: LazyLock<Result<(PathBuf, PathBuf), String>> = LazyLock::new(find_browser);
    FOUND.clone()
}

fn find_browser() -> Result<(PathBuf, PathBuf), String> {
    let find = || run(Command::new("sh").args(["-c", "command -v chromium"]));
    let chromium = find().or_else(|_| {
        // Debian's package, where this process may install it.
        run(Command::new("apt-get").arg("update"))?;
        let install = ["install", "-y", "--no-install-recommends", "chromium"];
        run(Command::new("apt-get").args(install))?;
        find()
    })?;
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PLAYWRIGHT);
    if !modules.join("node_modules/playwright-core").exists() {
        fs::create_dir_all(&modules).map_err(|error| error.to_string())?;
        let install = ["install", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm")
            .args(install)
            .arg(&modules)
            .arg(PLAYWRIGHT))?;
    }
    Ok((chromium.trim().into(), modules))
}

/// What a browser sees of a page; nothing if there is none.
fn look(name: &str, page: &str, queries: &[&str]) -> Option<Value> {
    let (chromium, modules) = match browser() {
        Ok(found) => found,
        Err(reason) => {
            eprintln!("SKIPPED: the page is not looked at, as there is no browser: {reason}");
            return None;
        }
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explorer");
    fs::create_dir_all(&folder).expect("writable");
    let file = folder.join(format!("{name}.html"));
    fs::write(&file, page).expect("writable");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/explorer/check.mjs");
    let mut node = Command::new("node");
    node.arg(script).args([&modules, &chromium, &file]);
    node.arg(folder.join(format!("{name}.png")));
    node.env("QUERIES", serde_json::to_string(queries).expect("strings"));
    let seen = run(&mut node).unwrap_or_else(|error| panic!("{error}"));
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(
        seen["problems"],
        Value::Array(Vec::new()),
        "the console is silent"
    );
    assert_eq!(
        seen["requests"],
        Value::Array(Vec::new()),
        "nothing is loaded"
    );
    Some(seen)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    let found = value.pointer(path).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{path} in {value}"))
}

/// Sums up a buffer on the stack in a function, in a loop, and calls itself once more.
fn small() -> ExecutionTrace {
    let code: [Fields; 9] = [
        (0xb7, 1, 0, 0, 3),   // r1 = 3
        (0x85, 0, 1, 0, 1),   // call slot 3
        EXIT,                 //
        (0x7b, 10, 1, -8, 0), // *(u64 *)(r10 - 8) = r1
        (0x79, 2, 10, -8, 0), // r2 = *(u64 *)(r10 - 8)
        (0x0f, 0, 2, 0, 0),   // r0 += r2
        (0x07, 1, 0, 0, -1),  // r1 += -1
        (0x55, 1, 0, -5, 0),  // if r1 != 0 goto slot 3
        EXIT,
    ];
    let program = Program::load(&bytecode(&code), &LoadOptions::default()).expect("a program");
    Tracer::new(&program).trace().expect("no input")
}

#[test]
fn runs_are_shown_step_by_step() {
    let trace = small();
    let shape = Shape::new(10, 8).expect("supported");
    let plan = Plan::new(&trace, shape, Some(8)).expect("it fits");
    let failure = FailedConstraint::new(6, 17, "add", "r is the sum's <low> part");
    let html = page(&trace, Some(&plan), std::slice::from_ref(&failure));
    assert!(!html.contains("@DATA@") && html.matches("</script>").count() == 2);
    let queries = ["@10", ":5", "0x3", "exit", "nowhere"];
    let Some(seen) = look("small", &html, &queries) else {
        return;
    };
    let steps = trace.instruction_count();
    // It begins at the failure, and a key has moved it on.
    assert_eq!(text(&seen, "/first"), format!("Step 7 of {steps}, slot 3"));
    assert!(text(&seen, "/facts").contains("failures 1"), "{seen}");
    assert!(
        text(&seen, "/side").contains("slot 1: call"),
        "in a function: {seen}"
    );
    assert_eq!(
        text(&seen, "/last/at"),
        format!("Step {} of {steps}, slot 2", steps - 1)
    );
    assert_eq!(text(&seen, "/behindLast"), text(&seen, "/last/at"));
    assert!(
        text(&seen, "/searches/@10/at").starts_with("Step 10 "),
        "{seen}"
    );
    assert!(text(&seen, "/searches/:5/at").ends_with("slot 5"), "{seen}");
    assert!(text(&seen, "/searches/0x3/row").contains("0x3"), "{seen}");
    assert!(text(&seen, "/searches/exit/row").contains("exit"), "{seen}");
    assert_eq!(text(&seen, "/searches/nowhere/found"), "not found");
    assert!(text(&seen, "/nextChunk").starts_with("Step 8 "), "{seen}");
    assert!(text(&seen, "/failure/at").starts_with("Step 6 "), "{seen}");
    assert!(
        text(&seen, "/failure/side").contains("row 17: add: r is the sum's <low> part"),
        "{seen}"
    );
    assert_eq!(
        seen["failure"]["red"].as_array().map(Vec::len),
        Some(1),
        "{seen}"
    );
    assert!(
        text(&seen, "/heat").starts_with("Step 2 "),
        "the first store: {seen}"
    );
    assert!(text(&seen, "/chart").contains("stxdw"), "{seen}");
}

/// What `MockProver` refuses is red: the step, its instruction, and the constraint beside it.
#[test]
fn a_refused_step_is_shown_red() {
    let trace = small();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explorer/refused");
    let check = Check::new(trace.program()).pages(&folder).chunk_size(8);
    check.run().expect("the honest run is accepted");
    // The second turn of the loop, in the second chunk, adds 2 to 3 and says 6.
    let refused = check.run_forged(|chunk, forgery| {
        if chunk == 1 {
            let rows = forgery.rows().iter_mut();
            let sum = rows.into_iter().find(|row| row[Cell::R] == 5);
            sum.expect("the sum")[Cell::R] = 6;
        }
    });
    let Err(NotProvable::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    let failure = &refusal.failures[0];
    let html = fs::read_to_string(refusal.page.as_ref().expect("a page")).expect("a page");
    let Some(seen) = look("refused", &html, &[]) else {
        return;
    };
    let at = format!(
        "Step {} of {}, slot 5",
        failure.step,
        trace.instruction_count()
    );
    assert_eq!(text(&seen, "/failure/at"), at);
    let side = text(&seen, "/failure/side");
    assert!(side.contains("add: r is the sum's low part"), "{side}");
    assert!(side.contains(&format!("row {}: ", failure.row)), "{side}");
    let red = seen["failure"]["red"].as_array().expect("rows");
    assert!(
        red.iter()
            .any(|row| row.as_str().is_some_and(|row| row.contains("r0 += r2"))),
        "{seen}"
    );
}

#[test]
fn long_runs_are_shown_at_once() {
    let program = Program::load(SHA256, &LoadOptions::default()).expect("an object");
    let input = Input::from_bytes(vec![7; 1040]).with_region_size(4096);
    let trace = Tracer::new(&program)
        .input(input)
        .trace()
        .expect("a small input");
    let steps = trace.instruction_count();
    assert!(steps > 150_000, "{steps}");
    let html = page(&trace, None, &[]);
    assert!(html.len() < 20 << 20, "{} bytes", html.len());
    let Some(seen) = look("sha256", &html, &["@100000", "exit"]) else {
        return;
    };
    let ready = seen["readyMs"].as_f64().expect("a number");
    eprintln!(
        "{steps} steps, {} bytes, ready after {ready} ms",
        html.len()
    );
    assert!(ready < 3000.0, "{ready} ms");
    assert!(
        text(&seen, "/searches/@100000/at").starts_with("Step 100000 "),
        "{seen}"
    );
    assert!(text(&seen, "/searches/exit/row").contains("exit"), "{seen}");
    let elements = seen["elements"].as_u64().expect("a number");
    assert!(elements < 400, "only what is seen is there: {elements}");
}

/// The registers that the page computes are those of the run.
#[test]
fn what_the_page_computes_ends_in_the_final_registers() {
    let trace = small();
    let Some(seen) = look("registers", &page(&trace, None, &[]), &["@16"]) else {
        return;
    };
    assert_eq!(trace.instruction_count(), 19);
    let r0 = trace.final_registers()[0];
    assert!(
        text(&seen, "/facts").contains(&format!("r0 = {r0:#x}")),
        "{seen}"
    );
    // 3 + 2 is there after the second turn.
    assert!(
        text(&seen, "/searches/@16/row").starts_with("16 7 "),
        "{seen}"
    );
}
