//! Consecutive chunks of one run as one statement, and how statements are joined.
//!
//! A chunk is a [`Span`] of one; two neighbours [`join`](Span::join) to a longer one; one that begins at
//! the start of the run and reaches its end is a [`WholeRun`]. [`verify_execution`](crate::verify_execution)
//! joins the chunks of a file from left to right, aggregation in a tree, with these rules.

use bpf_tracer::canonical::layout::MAX_REGION;
use bpf_tracer::{Outcome, TrapKind};
use halo2curves::bn256::G1Affine;
use zk_circuits::shape::MAX_CALL_DEPTH;
use zk_circuits::{ChunkInstance, STATUS_HALT, STATUS_RUNNING, STATUS_TRAP};

use crate::error::LinkError;
use crate::public::Lane;
use crate::statement::Commitments;

/// What consecutive chunks prove together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// As of a chunk: what enters is the first chunk's, what leaves is the last one's, `index` is the
    /// first one's place.
    pub instance: ChunkInstance,
    /// Number of chunks, at least 1.
    pub chunks: u64,
    /// As of a chunk: entry of the first one, exit of the last one.
    pub commitments: Commitments,
}

impl Span {
    /// The span of one chunk.
    ///
    /// # Errors
    /// If its public values are none that a chunk of a run has.
    pub fn of_chunk(
        instance: &ChunkInstance,
        commitments: &Commitments,
    ) -> Result<Self, LinkError> {
        if let Some(name) = out_of_range(instance) {
            return Err(LinkError::OutOfRange { name });
        }
        if instance.version != zk_circuits::VERSION {
            return Err(LinkError::OutOfRange { name: "version" });
        }
        if !instance.running_in {
            return Err(LinkError::NotRunning);
        }
        if instance.steps_out < instance.steps_in || instance.units_out < instance.units_in {
            return Err(LinkError::Decreases);
        }
        if instance.units_out > instance.budget {
            return Err(LinkError::OverBudget);
        }
        Ok(Self {
            instance: *instance,
            chunks: 1,
            commitments: *commitments,
        })
    }

    /// This span and the one behind it as one.
    ///
    /// # Errors
    /// If `next` does not continue this one.
    pub fn join(&self, next: &Self) -> Result<Self, LinkError> {
        let (a, b) = (&self.instance, &next.instance);
        let chunks = self.chunks.checked_add(next.chunks);
        let (Some(chunks), true) = (chunks, a.index.checked_add(self.chunks) == Some(b.index))
        else {
            return Err(LinkError::Index { found: b.index });
        };
        if !a.running_out {
            return Err(LinkError::EndsEarly);
        }
        for (name, out, into) in [
            ("pc", a.pc_out, b.pc_in),
            ("slot", a.slot_out, b.slot_in),
            ("depth", a.depth_out, b.depth_in),
            ("steps", a.steps_out, b.steps_in),
            ("units", a.units_out, b.units_in),
        ] {
            if out != into {
                return Err(LinkError::Value { name });
            }
        }
        let (before, after) = (&self.commitments, &next.commitments);
        for (name, same) in [
            ("budget", a.budget == b.budget),
            ("input_size", a.input_size == b.input_size),
            ("version", a.version == b.version),
            ("pages", before.pages == after.pages),
            ("program", before.program == after.program),
        ] {
            if !same {
                return Err(LinkError::Differs { name });
            }
        }
        for (lane, (out, into)) in [Lane::Private, Lane::Public]
            .into_iter()
            .zip(before.exit.iter().zip(&after.entry))
        {
            if out != into {
                return Err(LinkError::Memory { lane });
            }
        }
        Ok(Self {
            instance: ChunkInstance {
                running_in: a.running_in,
                pc_in: a.pc_in,
                slot_in: a.slot_in,
                depth_in: a.depth_in,
                steps_in: a.steps_in,
                units_in: a.units_in,
                index: a.index,
                ..*b
            },
            chunks,
            commitments: Commitments {
                entry: before.entry,
                ..*after
            },
        })
    }

    /// The run, if this span is all of it.
    ///
    /// # Errors
    /// If it does not begin at the start of a run, or does not reach an end.
    pub fn whole(&self) -> Result<WholeRun, LinkError> {
        let instance = &self.instance;
        if instance.index != 0 {
            let found = instance.index;
            return Err(LinkError::Index { found });
        }
        let counts = [instance.slot_in, instance.steps_in, instance.units_in];
        if instance.depth_in != 1 || counts != [0; 3] {
            return Err(LinkError::NotTheStart);
        }
        // A run that still runs has ended exactly if it may not go on.
        if instance.running_out && instance.units_out != instance.budget {
            return Err(LinkError::Unfinished);
        }
        Ok(WholeRun {
            version: instance.version,
            entry: instance.pc_in,
            input_size: instance.input_size,
            budget: instance.budget,
            steps: instance.steps_out,
            units: instance.units_out,
            stopped: instance.running_out,
            stopped_at: instance.pc_out,
            status: instance.status,
            r0: instance.r0,
            trap_kind: instance.trap_kind,
            trap_pc: instance.trap_pc,
            memory: self.commitments.entry,
            output: self.commitments.exit[1],
            pages: self.commitments.pages,
            program: self.commitments.program,
        })
    }
}

/// What the chunks of a run prove together: everything that a claim is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeRun {
    /// Version of the circuit.
    pub version: u64,
    /// Slot at which it began.
    pub entry: u64,
    /// Bytes of the input region.
    pub input_size: u64,
    /// Most compute units that it could use.
    pub budget: u64,
    /// Instructions begun.
    pub steps: u64,
    /// Compute units used.
    pub units: u64,
    /// Whether it stopped because the budget was used up. The next four values are then 0.
    pub stopped: bool,
    /// Where it then would have gone on; 0 if it ended.
    pub stopped_at: u64,
    /// How it ended: [`STATUS_HALT`] or [`STATUS_TRAP`].
    pub status: u64,
    /// `r0` of a halt.
    pub r0: u64,
    /// Number of the trap.
    pub trap_kind: u64,
    /// Slot of the trapping instruction.
    pub trap_pc: u64,
    /// Memory at the start: private and public lane.
    pub memory: [G1Affine; 2],
    /// Public lane at the end.
    pub output: G1Affine,
    /// Virtual page numbers.
    pub pages: G1Affine,
    /// Program table: code, immediate, target.
    pub program: [G1Affine; 3],
}

impl WholeRun {
    /// How it ended; `None` if its values are none of a run.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        if self.stopped {
            let pc = u32::try_from(self.stopped_at).ok()?;
            let kind = TrapKind::ExceededMaxInstructions;
            return (self.units == self.budget).then_some(Outcome::Trap { kind, pc });
        }
        if self.status == STATUS_HALT {
            return Some(Outcome::Halt { r0: self.r0 });
        }
        let kind = u8::try_from(self.trap_kind)
            .ok()
            .and_then(TrapKind::from_code)?;
        Some(Outcome::Trap {
            kind,
            pc: u32::try_from(self.trap_pc).ok()?,
        })
    }
}

/// The first public value that is outside its range, or set where it has no meaning. The circuit proves
/// the rest; these are its assumptions and what makes one run have one instance.
pub(crate) fn out_of_range(instance: &ChunkInstance) -> Option<&'static str> {
    let is_slot = |value: u64| u32::try_from(value).is_ok();
    let is_depth = |value| value <= u64::from(MAX_CALL_DEPTH).saturating_add(1);
    let ended = !instance.running_out;
    let trapped = instance.status == STATUS_TRAP;
    let halted = instance.status == STATUS_HALT;
    let kind = u8::try_from(instance.trap_kind)
        .ok()
        .and_then(TrapKind::from_code);
    [
        ("pc_in", is_slot(instance.pc_in)),
        (
            "pc_out",
            is_slot(instance.pc_out) && (!ended || instance.pc_out == 0),
        ),
        ("slot_in", is_slot(instance.slot_in)),
        ("slot_out", is_slot(instance.slot_out)),
        ("depth_in", is_depth(instance.depth_in)),
        (
            "depth_out",
            is_depth(instance.depth_out) && (!ended || instance.depth_out == 0),
        ),
        ("input_size", instance.input_size <= MAX_REGION),
        (
            "status",
            (instance.status == STATUS_RUNNING) != ended && (!ended || halted || trapped),
        ),
        ("r0", halted || instance.r0 == 0),
        (
            "trap_kind",
            if trapped {
                is_trap(kind)
            } else {
                instance.trap_kind == 0
            },
        ),
        (
            "trap_pc",
            is_slot(instance.trap_pc) && (trapped || instance.trap_pc == 0),
        ),
    ]
    .into_iter()
    .find_map(|(name, ok)| (!ok).then_some(name))
}

/// Whether an instruction can trap so. Reaching the step budget is not the trap of an instruction.
fn is_trap(kind: Option<TrapKind>) -> bool {
    kind.is_some_and(|kind| kind != TrapKind::ExceededMaxInstructions)
}

#[cfg(test)]
mod tests;
