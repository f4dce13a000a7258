//! What programs' own tests use: honest runs pass, and a witness that lies fails by name, on a page that shows it.

mod asm;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use asm::{EXIT, Fields, bytecode};
use serde_json::Value;
use zkbpf::testing::{Check, NotProvable, Refusal, assert_provable, assert_provable_fixture};
use zkbpf::zk_circuits::Cell;
use zkbpf::{Input, LoadOptions, Outcome, Program, Shape, Tracer, TrapKind};

const FILTER: &[u8] = include_bytes!("../examples/programs/filter.o");
const SORT: &[u8] = include_bytes!("../examples/programs/sort.o");

/// r0 = 5; r0 += 2; *(u64 *)(r10 - 8) = r0; exit
const SUM: [Fields; 4] = [
    (0xb7, 0, 0, 0, 5),
    (0x07, 0, 0, 0, 2),
    (0x7b, 10, 0, -8, 0),
    EXIT,
];

fn sum() -> Program {
    Program::load(&bytecode(&SUM), &LoadOptions::default()).expect("a program")
}

#[test]
fn honest_runs_pass() {
    let run = assert_provable!(FILTER, &[0; 60]);
    assert_eq!(run.trace.outcome(), Outcome::Halt { r0: 0 });
    assert_eq!((run.k, run.chunks), (10, 1));
    // The same as a prover would cut it with small chunks.
    let program = Program::load(SORT, &LoadOptions::default()).expect("an object");
    let numbers: Vec<u8> = [9_u32, 3, 7, 1]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let run = Check::new(&program)
        .input(numbers)
        .k(11)
        .chunk_size(20)
        .run();
    let run = run.expect("provable");
    assert!(run.chunks > 2 && run.k == 11, "{}", run.chunks);
}

#[test]
fn traps_are_provable() {
    let run = assert_provable!(bytecode(&[(0x79, 0, 1, 0, 0), EXIT]));
    let kind = TrapKind::AccessViolation;
    assert_eq!(run.trace.outcome(), Outcome::Trap { kind, pc: 0 });
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let text = |panic: Box<dyn std::any::Any + Send>| {
        panic.downcast_ref::<String>().expect("a message").clone()
    };
    let refused = catch_unwind(|| assert_provable!(b"no program"));
    assert!(text(refused.expect_err("no program")).contains("multiple of 8"));
    let program = sum();
    let refused = Check::new(&program).k(30).run();
    assert!(matches!(refused, Err(NotProvable::Shape(_))), "{refused:?}");
    let refused = Check::new(&program).chunk_size(0).run();
    assert!(
        matches!(refused, Err(NotProvable::Witness(_))),
        "{refused:?}"
    );
    let refused = catch_unwind(|| assert_provable_fixture("no.so", "no.fix"));
    assert!(text(refused.expect_err("no files")).starts_with("no.fix: "));
}

/// A run whose prover says that 5 + 2 is 8.
fn refusal(pages: &Path) -> Box<Refusal> {
    let program = sum();
    let check = Check::new(&program).pages(pages);
    check.run().expect("the honest run is accepted");
    let refused = check.run_forged(|_, forgery| {
        let sum = forgery.rows().iter_mut().find(|row| row[Cell::R] == 7);
        sum.expect("the sum")[Cell::R] = 8;
    });
    match refused {
        Err(NotProvable::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_forged_step_is_named_and_shown() {
    let pages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let refusal = refusal(&pages);
    let named = refusal.failures.iter().find(|failure| failure.step == 1);
    let named = named.expect("the second step");
    assert_eq!(named.family, "add");
    assert_eq!(named.constraint, "r is the sum's low part");
    assert!(named.context.contains("r0 += 0x2"), "{}", named.context);
    let text = refusal.to_string();
    for part in [
        "refuses this run at step 1, slot 1: r0 += 0x2",
        "add: r is the sum's low part (chunk 0, row ",
        "failing rows in red: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let page = refusal.page.expect("a page");
    assert!(page.starts_with(&pages), "{}", page.display());
    let html = fs::read_to_string(&page).expect("a page");
    let data = html.split_once("id=\"data\">").expect("its data").1;
    let data = data.split_once("</script>").expect("its end").0;
    let data: Value = serde_json::from_str(data).expect("JSON");
    let failure = &data["failures"][0];
    assert_eq!(failure["step"], 1);
    assert_eq!(failure["constraint"], "r is the sum's low part");
    assert_eq!(failure["row"], named.row);
}

/// The row that a failure names is one of the circuit that belongs to its step.
#[test]
fn rows_belong_to_steps_in_later_chunks_too() {
    let program = sum();
    let pages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("later-pages");
    let check = Check::new(&program).pages(pages).chunk_size(1);
    assert_eq!(check.run().expect("the honest run is accepted").chunks, 4);
    let refused = check.run_forged(|chunk, forgery| {
        if chunk == 1 {
            forgery.rows()[0][Cell::R] = 8;
        }
    });
    let Err(NotProvable::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    let first = &refusal.failures[0];
    assert_eq!((first.chunk, first.step), (1, 1), "{first}");
    let trace = Tracer::new(&program).input(Input::default()).trace();
    assert_eq!(trace.expect("a trace").steps()[1].pc, 1);
    assert_eq!(refusal.k, Shape::MIN_K);
}
