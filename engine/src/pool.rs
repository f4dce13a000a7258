//! Buffers that are used again: by the next column, and by the next proof with the same key.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers of one kind: as many as were ever in use at once, which is one for each thread.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// One that is not in use, with whatever it holds, or else an empty one.
    pub(crate) fn take(&self) -> Pooled<'_, T> {
        let idle = self.idle().pop();
        Pooled {
            buffer: idle.unwrap_or_default(),
            pool: self,
        }
    }
}

impl<T> Pool<T> {
    fn idle(&self) -> impl DerefMut<Target = Vec<T>> {
        // Nothing that panics runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} idle", self.idle().len())
    }
}

/// A buffer in use. It goes back when it is dropped.
pub(crate) struct Pooled<'a, T: Default> {
    buffer: T,
    pool: &'a Pool<T>,
}

impl<T: Default> Deref for Pooled<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.buffer
    }
}

impl<T: Default> DerefMut for Pooled<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.buffer
    }
}

impl<T: Default> Drop for Pooled<'_, T> {
    fn drop(&mut self) {
        self.pool.idle().push(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again() {
        let pool = Pool::<Vec<u8>>::default();
        let (mut one, mut other) = (pool.take(), pool.take());
        one.push(1);
        other.push(2);
        drop(one);
        assert_eq!(**pool.take(), [1]);
        let again = pool.take();
        assert_eq!(**again, [1]);
        assert_eq!(format!("{pool:?}"), "0 idle");
        drop((again, other));
        assert_eq!(format!("{pool:?}"), "2 idle");
    }

    #[test]
    fn a_panic_gives_buffers_back() {
        let pool = Pool::<Vec<u8>>::default();
        let panic = std::panic::catch_unwind(|| {
            let _one = pool.take();
            panic!("as it is tested");
        });
        assert!(panic.is_err());
        assert_eq!(format!("{pool:?}"), "1 idle");
    }
}
