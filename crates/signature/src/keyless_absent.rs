//! In place of keyless signatures, where they are not built in: there is never a trust root.

use std::convert::Infallible;

use tagboat_model::{Digest, Timestamp};

use crate::{
    reason::{Rejection, TrustRootError},
    rule::Signer,
};

/// A trust root, of which there is none in this build.
#[derive(Debug)]
pub struct TrustRoot(Infallible);

/// A keyless signature as cosign 2 attached it.
#[expect(dead_code, reason = "nothing of it is read without a trust root")]
pub(crate) struct OldFormat<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a str,
    pub(crate) certificate: &'a str,
    pub(crate) log_entry: &'a str,
}

impl TrustRoot {
    pub(crate) const IS_BUILT: bool = false;

    /// Refuse it.
    ///
    /// # Errors
    /// Always.
    pub fn public_good() -> Result<Self, TrustRootError> {
        Self::parse(&[])
    }

    /// Refuse it.
    ///
    /// # Errors
    /// Always.
    pub fn parse(_: &[u8]) -> Result<Self, TrustRootError> {
        Err(TrustRootError { detail: "this Tagboat was built without `sigstore`".to_owned(), source: None })
    }

    pub(crate) fn check_bundle(&self, _: &[u8], _: &Digest, _: Timestamp) -> Result<Signer, Rejection> {
        match self.0 {}
    }

    pub(crate) fn check_old_format(&self, _: &OldFormat<'_>, _: Timestamp) -> Result<Signer, Rejection> {
        match self.0 {}
    }
}
