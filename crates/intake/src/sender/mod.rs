//! One file per sender: how it proves itself and what its bodies say.

pub(crate) mod distribution;
pub(crate) mod generic;
