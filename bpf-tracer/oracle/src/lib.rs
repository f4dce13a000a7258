//! Runs sBPF bytecode in `solana-sbpf`, the interpreter of Solana's validators, for tests to compare with.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;

use solana_sbpf::aligned_memory::AlignedMemory;
use solana_sbpf::ebpf;
use solana_sbpf::elf::Executable;
use solana_sbpf::error::{EbpfError, ProgramResult};
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};

/// What to run.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Version of sBPF, 0 to 3.
    pub version: u8,
    /// The instructions; they are also the read-only data.
    pub text: &'a [u8],
    /// Slot to start at.
    pub entry: u32,
    /// The slots that calls by number go to.
    pub functions: &'a BTreeMap<u32, u32>,
    /// The input region.
    pub input: Vec<u8>,
    /// The heap.
    pub heap: Vec<u8>,
    /// What `r2` starts as.
    pub r2: u64,
    /// Most instructions.
    pub limit: u64,
    /// Which of the two ways of mapping memory.
    pub aligned_mapping: bool,
}

/// How a run ended, and all that it left.
#[derive(Clone, Debug)]
pub struct Run {
    /// `r0`, or the error's name without its details.
    pub result: Result<u64, &'static str>,
    /// Instructions that were paid for.
    pub instructions: u64,
    /// `r0` to `r10` and the slot, before each instruction.
    pub registers: Vec<[u64; 12]>,
    /// The input region afterwards.
    pub input: Vec<u8>,
    /// The heap afterwards.
    pub heap: Vec<u8>,
    /// The stack afterwards, without gaps.
    pub stack: Vec<u8>,
}

struct Context {
    remaining: u64,
    memory: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, amount: u64) {
        self.remaining = self.remaining.saturating_sub(amount);
    }

    fn get_remaining(&self) -> u64 {
        self.remaining
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from_mut(&mut self.memory)
    }
}

/// Runs a program, unless the verifier of bytecode refuses it.
///
/// # Errors
/// The verifier's words.
///
/// # Panics
/// If the version or an entry is none.
pub fn run(case: Case<'_>) -> Result<Run, String> {
    let version = SBPFVersion::ALL[usize::from(case.version)];
    let config = Config {
        aligned_memory_mapping: case.aligned_mapping,
        ..Config::default()
    };
    let loader = Arc::new(BuiltinProgram::new_loader(config));
    let mut registry = FunctionRegistry::default();
    registry
        .register_function(
            ebpf::hash_symbol_name(b"entrypoint"),
            *b"entrypoint",
            case.entry as usize,
        )
        .expect("a new registry");
    for (key, slot) in case.functions {
        registry
            .register_function(*key, "f", *slot as usize)
            .map_err(|error| error.to_string())?;
    }
    let executable =
        Executable::<Context>::from_text_bytes(case.text, Arc::clone(&loader), version, registry)
            .map_err(|error| error.to_string())?;
    executable
        .verify::<RequisiteVerifier>()
        .map_err(|error| error.to_string())?;
    Ok(execute(&executable, loader, version, &case))
}

fn execute(
    executable: &Executable<Context>,
    loader: Arc<BuiltinProgram<Context>>,
    version: SBPFVersion,
    case: &Case<'_>,
) -> Run {
    let config = loader.get_config();
    let aligned = AlignedMemory::<{ ebpf::HOST_ALIGN }>::from_slice;
    let (mut input, mut heap) = (aligned(&case.input), aligned(&case.heap));
    let mut stack = AlignedMemory::<{ ebpf::HOST_ALIGN }>::zero_filled(config.stack_size());
    let stack_len = stack.len();
    let gap = if version.stack_frame_gaps() {
        config.stack_frame_size as u64
    } else {
        0
    };
    let mut frames = vec![CallFrame::default(); config.max_call_depth];
    let regions = vec![
        executable.get_ro_region(),
        MemoryRegion::new_gapped(&raw mut *stack.as_slice_mut(), ebpf::MM_STACK_START, gap),
        MemoryRegion::new(&raw mut *heap.as_slice_mut(), ebpf::MM_HEAP_START),
        MemoryRegion::new(&raw mut *input.as_slice_mut(), ebpf::MM_INPUT_START),
    ];
    #[expect(unsafe_code, reason = "the only constructor is unsafe")]
    // SAFETY: the regions are bytes that outlive the mapping, and nothing else uses them until the
    // run has ended.
    let memory = unsafe { MemoryMapping::new(regions, config, version) }.expect("disjoint regions");
    let mut context = Context {
        remaining: case.limit,
        memory,
    };
    let mut vm = EbpfVm::new(Arc::clone(&loader), version, &mut context, stack_len);
    vm.registers[1] = ebpf::MM_INPUT_START;
    vm.registers[2] = case.r2;
    let (instructions, result) =
        vm.execute_program(executable, &mut ExecutionMode::Interpreted, &mut frames);
    let registers = std::mem::take(&mut vm.register_trace);
    Run {
        result: match result {
            ProgramResult::Ok(r0) => Ok(r0),
            ProgramResult::Err(error) => Err(name(&error)),
        },
        instructions,
        registers,
        input: input.as_slice().to_vec(),
        heap: heap.as_slice().to_vec(),
        stack: stack.as_slice().to_vec(),
    }
}

fn name(error: &EbpfError) -> &'static str {
    match error {
        EbpfError::CallDepthExceeded => "CallDepthExceeded",
        EbpfError::DivideByZero => "DivideByZero",
        EbpfError::DivideOverflow => "DivideOverflow",
        EbpfError::ExecutionOverrun => "ExecutionOverrun",
        EbpfError::CallOutsideTextSegment => "CallOutsideTextSegment",
        EbpfError::ExceededMaxInstructions => "ExceededMaxInstructions",
        EbpfError::AccessViolation(..) | EbpfError::StackAccessViolation(..) => "AccessViolation",
        EbpfError::UnsupportedInstruction => "UnsupportedInstruction",
        _ => "another error",
    }
}
