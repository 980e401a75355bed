//! Writing through a writer of the other kind: of futures-io for hyper, and the other way round.

/// The methods of hyper's or of futures-io's writer that hand over to the writer of the other kind inside.
/// The two traits differ only in what they call the end: `$end` here and `$its_end` there.
macro_rules! write_through {
    (|$this:ident| $inner:expr, $other:path, $end:ident is $its_end:ident) => {
        #[inline]
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            let $this = self.get_mut();
            <_ as $other>::poll_write(std::pin::Pin::new($inner), cx, bytes)
        }

        #[inline]
        fn poll_write_vectored(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            slices: &[std::io::IoSlice<'_>],
        ) -> std::task::Poll<std::io::Result<usize>> {
            let $this = self.get_mut();
            <_ as $other>::poll_write_vectored(std::pin::Pin::new($inner), cx, slices)
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            let $this = self.get_mut();
            <_ as $other>::poll_flush(std::pin::Pin::new($inner), cx)
        }

        fn $end(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            let $this = self.get_mut();
            <_ as $other>::$its_end(std::pin::Pin::new($inner), cx)
        }
    };
}

pub(super) use write_through;
