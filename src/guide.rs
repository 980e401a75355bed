//! The guide: a tutorial, tables for those who come from elsewhere, and pages on protection, testing, debugging and
//! embedding.
//!
//! The pages are the files of `docs/guide` in the repository.
//!

// `links.md` says where the links of the pages lead to. Each page defines its links once more at its end, as files, for
// readers of the repository: the first definition of a link counts.
#![doc = include_str!("guide/links.md")]
#![doc = include_str!("../docs/guide/README.md")]

macro_rules! pages {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[doc = include_str!("guide/links.md")]
            #[doc = include_str!(concat!("../docs/", $file))]
            pub mod $name {}
        )*
    };
}

pages! {
    tutorial: "guide/tutorial.md",
    from_tokio: "guide/from-tokio.md",
    from_others: "guide/from-others.md",
    async_service: "guide/async-service.md",
    protection: "guide/protection.md",
    accept_loops: "guide/accept-loops.md",
    cancel_safety: "guide/cancel-safety.md",
    debugging: "guide/debugging.md",
    testing: "guide/testing.md",
    embedding: "guide/embedding.md",
    ecosystem: "guide/ecosystem.md",
    comparison: "comparison.md",
}
