//! Output structs that later versions may extend. Only the members that the caller's version has
//! are written.

use std::mem::size_of;

use crate::failure::Failure;
use crate::pointers::Region;

/// A struct of the header whose first member is `uint32_t struct_size`.
///
/// # Safety
///
/// The type is `repr(C)`, begins with a `u32`, and has no padding.
pub(crate) unsafe trait Output {}

/// An output struct of the caller.
pub(crate) struct SizedOut<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: Output> SizedOut<T> {
    /// # Safety
    ///
    /// `pointer` is NULL, or points to as many bytes as its `struct_size` says (4 at least) during
    /// the call.
    pub(crate) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self, Failure> {
        if pointer.is_null() {
            return Err(Failure::null(name));
        }
        // SAFETY: not NULL, and the first member is the size.
        let size = unsafe { pointer.cast::<u32>().read() } as usize;
        if size < size_of::<u32>() {
            return Err(Failure::out_of_range(
                &format!("{name}->struct_size"),
                size,
                format_args!(
                    "set it to the struct's size, {} in this version",
                    size_of::<T>()
                ),
            ));
        }
        Ok(Self { pointer, size })
    }

    /// The caller's memory, in the size that it gave.
    pub(crate) fn region(&self, name: &'static str) -> Region {
        Region::written(name, self.pointer.cast::<u8>(), self.size)
    }

    /// Writes the members that both versions have. `struct_size` stays as the caller set it.
    pub(crate) fn set(&self, value: &T) {
        let start = size_of::<u32>();
        let end = self.size.min(size_of::<T>());
        let from = std::ptr::from_ref(value).cast::<u8>();
        // SAFETY: both have `end` bytes, `value` is fully initialized (no padding), and they do not
        // overlap.
        unsafe {
            let to = self.pointer.cast::<u8>().add(start);
            std::ptr::copy_nonoverlapping(from.add(start), to, end - start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{DCF_TB_ERR_NULL_POINTER, DCF_TB_ERR_OUT_OF_RANGE};

    #[repr(C)]
    struct Example {
        struct_size: u32,
        a: u32,
        b: u64,
    }
    // SAFETY: C layout, a u32 first, 16 bytes without padding.
    unsafe impl Output for Example {}

    #[test]
    fn written_as_far_as_both_go() {
        for size in 4..32 {
            let mut memory = [0x5A5A_5A5A_5A5A_5A5A_u64; 4];
            let pointer = memory.as_mut_ptr().cast::<Example>();
            // SAFETY: the memory is aligned for the struct and has 32 bytes.
            let out = unsafe {
                pointer.cast::<u32>().write(size as u32);
                SizedOut::new(pointer, "example").unwrap()
            };
            out.set(&Example {
                struct_size: 99,
                a: 0,
                b: 0,
            });
            let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let end = size.min(size_of::<Example>());
            assert_eq!(bytes[..4], (size as u32).to_ne_bytes());
            assert!(bytes[4..end].iter().all(|&byte| byte == 0));
            assert!(bytes[end..].iter().all(|&byte| byte == 0x5A));
        }
    }

    #[test]
    fn sizes_that_hold_nothing_are_refused() {
        for size in 0..4 {
            let mut example = Example {
                struct_size: size,
                a: 1,
                b: 2,
            };
            // SAFETY: a complete struct.
            let failure = unsafe { SizedOut::new(&mut example, "stats") }
                .err()
                .unwrap();
            assert_eq!(failure.status, DCF_TB_ERR_OUT_OF_RANGE);
            let expected = format!("stats->struct_size is {size}: set it to the struct's size");
            assert!(failure.text.starts_with(&expected), "{}", failure.text);
            assert_eq!((example.struct_size, example.a, example.b), (size, 1, 2));
        }
        // SAFETY: NULL is allowed.
        let failure = unsafe { SizedOut::<Example>::new(std::ptr::null_mut(), "stats") };
        assert_eq!(failure.err().unwrap().status, DCF_TB_ERR_NULL_POINTER);
    }
}
