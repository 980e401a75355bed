//! [`CancelGuard`]: asks for a cancellation when it is dropped.

/// Implemented by the handles of what can be cancelled.
pub(crate) trait RequestCancel {
    /// Asks for the cancellation, if there is anything left to cancel.
    fn request_cancel(&self);
}

impl<H: RequestCancel> RequestCancel for &H {
    fn request_cancel(&self) {
        H::request_cancel(self);
    }
}

/// Asks for the cancellation of what `0` is a handle of, when this is dropped.
#[must_use = "dropping it asks for the cancellation"]
pub(crate) struct CancelGuard<H: RequestCancel>(pub(crate) H);

impl<H: RequestCancel> Drop for CancelGuard<H> {
    fn drop(&mut self) {
        self.0.request_cancel();
    }
}
