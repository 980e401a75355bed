//! The pages of the guide, so that `cargo test` here compiles and runs their code blocks.

macro_rules! pages {
    ($($name:ident: $file:literal),* $(,)?) => {
        $(
            #[doc = include_str!(concat!("../", $file))]
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
