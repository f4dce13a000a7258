//! A failing constraint is reported by name, with the step, the slot and the instruction.

use bpf_tracer::{LoadOptions, Program, Tracer};
use halo2curves::bn256::Fr;
use zk_circuits::{Cell, Plan, Shape, dev};

#[test]
fn a_failure_names_constraint_step_pc_and_instruction() {
    // mov64 r1, 5; add64 r1, 7; exit
    let code = hex::decode("b70100000500000007010000070000009500000000000000").expect("hex");
    let program = Program::from_bytecode(&code, &LoadOptions::default()).expect("loads");
    let trace = Tracer::new(&program).trace().expect("runs");
    let shape = Shape::new(10, 8).expect("supported");
    let plan = Plan::new(&trace, shape, None).expect("fits");
    let witness = plan.witness(0, &[[Fr::zero(); 8]; 8]).expect("exists");
    assert_eq!(dev::check(&witness), []);
    assert_eq!(dev::mock(&witness), []);

    let mut forgery = dev::Forgery::of(&witness);
    forgery.rows()[1][Cell::R] = 13;
    for failures in [forgery.check(), forgery.mock()] {
        let failure = failures
            .iter()
            .find(|failure| failure.family == "add")
            .expect("the family's own constraint");
        assert_eq!(failure.constraint, "r is the sum's low part");
        assert_eq!(failure.row, Some(zk_circuits::shape::FIRST_ROW + 1));
        let report = failure.to_string();
        let instruction = program.disassemble(1);
        for part in ["step 1, ", "pc 1: ", instruction.as_str(), "Add"] {
            assert!(report.contains(part), "{report}");
        }
    }
}
