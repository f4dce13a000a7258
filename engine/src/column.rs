//! Whole columns between forms.

use halo2curves::bn256::Fr;

use ff::Field;

use crate::fft::Input;
use crate::packed::{Backend, Kernel, Packed, Words};
use crate::raw::Raw;

/// To halo2curves' elements, from work form.
pub(crate) fn to_std<B: Backend>(column: &[Words]) -> Vec<Fr> {
    let mut elements = vec![Fr::ZERO; column.len()];
    convert::<B>(
        Input::Work(column),
        Fr::as_words_mut(&mut elements),
        To::Std,
    );
    elements
}

/// To integers below the modulus.
pub(crate) fn to_integers<B: Backend>(column: Input<'_>) -> Vec<Words> {
    let mut integers = Vec::new();
    fill_integers::<B>(column, &mut integers);
    integers
}

/// As [`to_integers`], in place of what was there.
pub(crate) fn fill_integers<B: Backend>(column: Input<'_>, integers: &mut Vec<Words>) {
    integers.resize(column.words().len(), [0; 4]);
    convert::<B>(column, integers, To::Integers);
}

/// To work form.
pub(crate) fn to_work<B: Backend>(column: Input<'_>) -> Vec<Words> {
    let mut words = vec![[0; 4]; column.words().len()];
    convert::<B>(column, &mut words, To::Work);
    words
}

#[derive(Clone, Copy)]
enum To {
    Std,
    Integers,
    Work,
}

fn convert<B: Backend>(from: Input<'_>, into: &mut [Words], to: To) {
    let whole = into.len() / B::Fr::LANES * B::Fr::LANES;
    let (body, tail) = into.split_at_mut(whole);
    B::run(Convert {
        from,
        into: body,
        to,
    });
    if !tail.is_empty() {
        let mut rest = from.words()[whole..].to_vec();
        rest.resize(B::Fr::LANES, [0; 4]);
        let mut last = vec![[0; 4]; B::Fr::LANES];
        B::run(Convert {
            from: from.with(&rest),
            into: &mut last,
            to,
        });
        tail.copy_from_slice(&last[..tail.len()]);
    }
}

struct Convert<'a> {
    from: Input<'a>,
    into: &'a mut [Words],
    to: To,
}

impl<B: Backend> Kernel<B> for Convert<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let lanes = B::Fr::LANES;
        for (i, into) in self.into.chunks_exact_mut(lanes).enumerate() {
            let value = self.from.load::<B>(i * lanes);
            match self.to {
                To::Std => value.store_std(into),
                To::Integers => value.store_int(into),
                To::Work => value.store(into),
            }
        }
    }
}
