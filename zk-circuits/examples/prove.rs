use bpf_tracer::*;
use halo2_proofs::{
    plonk::*,
    poly::{
        commitment::*,
        kzg::{commitment::*, multiopen::*, strategy::SingleStrategy},
    },
    transcript::*,
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::rngs::OsRng;
use std::time::Instant;
use zk_circuits::*;
fn main() {
    let k: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let bytes = std::fs::read(std::env::args().nth(2).unwrap()).unwrap();
    let size: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let program = Program::load(&bytes, &LoadOptions::default()).unwrap();
    let trace = Tracer::new(&program)
        .input(Input::from_bytes(size.to_le_bytes().to_vec()).with_region_size(32768))
        .trace()
        .unwrap();
    println!("{} steps {:?}", trace.instruction_count(), trace.outcome());
    let shape = Shape::new(k, 8).unwrap();
    let t = Instant::now();
    let plan = Plan::new(&trace, shape, None).unwrap();
    println!(
        "plan {:?} chunks {} steps in first {}",
        t.elapsed(),
        plan.chunk_count(),
        plan.chunk_steps(0)
    );
    let t = Instant::now();
    let w = plan.witness(0, &[[Fr::zero(); 8]; 8]).unwrap();
    println!("witness {:?} rows {}", t.elapsed(), w.used_rows());
    let t = Instant::now();
    let params = ParamsKZG::<Bn256>::setup(k, OsRng);
    println!("srs {:?}", t.elapsed());
    let t = Instant::now();
    let c = ChunkCircuit::keygen(shape);
    let vk = keygen_vk(&params, &c).unwrap();
    let pk = keygen_pk(&params, vk, &c).unwrap();
    println!("keygen {:?}", t.elapsed());
    let inst = w.instance().to_fields();
    let t = Instant::now();
    let circuit = ChunkCircuit::new(w);
    let mut tr = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(vec![]);
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<_>, _, _, _, _>(
        &params,
        &pk,
        &[circuit],
        &[&[&inst]],
        OsRng,
        &mut tr,
    )
    .unwrap();
    let proof = tr.finalize();
    println!("prove {:?} {} bytes", t.elapsed(), proof.len());
    let t = Instant::now();
    let mut tr = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(&proof[..]);
    let r = verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<_>, _, _, _>(
        params.verifier_params(),
        pk.get_vk(),
        SingleStrategy::new(&params),
        &[&[&inst]],
        &mut tr,
    );
    println!("verify {:?} {:?}", r.is_ok(), t.elapsed());
}
