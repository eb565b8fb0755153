//! The primitives of the model checker, adapted where they differ from the standard library's.

#![allow(missing_docs)] // those of the standard library apply

use std::time::Duration;

pub use loom::cell::UnsafeCell;
pub(crate) use loom::sync::RwLock;
pub use loom::sync::{Condvar, Mutex, MutexGuard};

/// Loom's macro does not accept `const` initial values.
macro_rules! local {
    ($(#[$about:meta])* static $name:ident: $type:ty = const $value:block;) => {
        loom::thread_local! {
            $(#[$about])*
            static $name: $type = $value;
        }
    };
}
pub(crate) use local as thread_local;

pub mod thread {
    pub use loom::thread::{yield_now, Builder, JoinHandle};

    /// In a model, time passes while other threads run.
    pub fn sleep(_: super::Duration) {
        yield_now();
    }
}

/// Atomics with sequentially consistent operations. Loom treats `SeqCst` as acquire and release. It
/// would report executions that no machine shows, where two threads each write one variable and then
/// read the other's. Loom does model `SeqCst` fences, so these atomics add a fence to each operation.
/// The fences order slightly more than the operations alone, so a model can miss a wrong ordering.
pub mod atomic {
    use loom::sync::atomic as model;
    pub use loom::sync::atomic::{AtomicPtr, Ordering};

    fn before(order: Ordering) {
        if order == Ordering::SeqCst {
            model::fence(order);
        }
    }

    use before as after;

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            #[derive(Debug, Default)]
            pub struct $name(model::$name);

            #[allow(dead_code)] // not every operation is used on every type
            impl $name {
                #[track_caller]
                pub fn new(value: $value) -> Self {
                    Self(model::$name::new(value))
                }

                #[track_caller]
                pub fn load(&self, order: Ordering) -> $value {
                    before(order);
                    self.0.load(order)
                }

                #[track_caller]
                pub fn store(&self, value: $value, order: Ordering) {
                    self.0.store(value, order);
                    after(order);
                }

                #[track_caller]
                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    before(order);
                    let old = self.0.swap(value, order);
                    after(order);
                    old
                }

                #[track_caller]
                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    before(success);
                    let outcome = self.0.compare_exchange(current, new, success, failure);
                    after(success);
                    outcome
                }

                #[track_caller]
                pub fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    before(success);
                    let outcome = self.0.compare_exchange_weak(current, new, success, failure);
                    after(success);
                    outcome
                }
            }
        };
        ($name:ident, $value:ty, $($operation:ident)*) => {
            atomic!($name, $value);

            #[allow(dead_code)]
            impl $name {
                $(
                    #[track_caller]
                    pub fn $operation(&self, value: $value, order: Ordering) -> $value {
                        before(order);
                        let old = self.0.$operation(value, order);
                        after(order);
                        old
                    }
                )*
            }
        };
    }

    atomic!(AtomicBool, bool);
    atomic!(AtomicU8, u8);
    atomic!(AtomicU16, u16);
    atomic!(AtomicU32, u32, fetch_add fetch_sub);
    atomic!(AtomicU64, u64, fetch_add fetch_sub);
    atomic!(AtomicUsize, usize, fetch_add fetch_sub fetch_min);
}
