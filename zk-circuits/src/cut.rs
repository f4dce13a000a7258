//! Where a run is cut into chunks.

use crate::shape::Shape;

/// Rows kept free at the end of a chunk: more than lie between two places where one may begin.
const LONGEST_STRETCH: usize = 192;

/// A place in a run where a chunk may begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Rows since the place before.
    pub(crate) rows: u32,
    /// Whether an instruction begins here; otherwise one goes on that may take more rows than a chunk has.
    pub(crate) is_step: bool,
}

/// Says at one place after another whether a chunk begins there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutter {
    step_rows: usize,
    chunk_size: Option<usize>,
    /// Rows of the chunk so far.
    rows: usize,
    /// Steps that it has, whole or in part.
    steps: usize,
}

impl Cutter {
    /// For chunks of at most so many steps, or of as many as fit.
    pub(crate) const fn new(shape: Shape, chunk_size: Option<usize>) -> Self {
        Self {
            step_rows: shape.step_rows(),
            chunk_size,
            rows: 0,
            steps: 0,
        }
    }

    /// Whether a chunk begins at the next place. The first one begins before.
    pub(crate) fn begins_at(&mut self, place: Place) -> bool {
        self.rows += place.rows as usize;
        let enough = place.is_step && self.chunk_size == Some(self.steps);
        let full = self.rows + LONGEST_STRETCH > self.step_rows;
        let begins = self.rows > 0 && (enough || full);
        if begins {
            self.rows = 0;
            self.steps = usize::from(!place.is_step);
        }
        self.steps += usize::from(place.is_step);
        begins
    }
}
